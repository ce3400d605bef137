// What a camera was asked and what it sent.

/// A picture or a packet of sound that was sent.
public struct SentUnit: Sendable, Hashable {
    /// Of the connection, from 0.
    public var session: Int
    /// The stream's place in the scenario.
    public var stream: Int
    /// In its stream, from 0.
    public var number: Int
    /// A decoder can begin here.
    public var isKeyframe: Bool
    /// `contentHash` of what a recorder keeps of it: NAL units behind their lengths without parameter sets, the tables and the
    /// scan of a JPEG picture, the bytes of sound.
    public var hash: UInt64
    /// RTP's time, as it was sent.
    public var timestamp: UInt32
    /// The same beyond its wrap: the first timestamp, and all ticks since.
    public var ticks: Int64
    /// A packet of it was left out: it cannot arrive.
    public var isLost: Bool
}

/// A request that came.
public struct SeenRequest: Sendable, Hashable {
    /// Of the connection, from 0.
    public var session: Int
    /// "DESCRIBE".
    public var method: String
    /// As it was sent.
    public var uri: String
    /// Names in lower case.
    public var headers: [String: String]
    /// Units sent in the session before it came.
    public var afterUnits: Int
    /// What it was answered; nil: nothing.
    public var status: Int?
}

/// An answer of the client to a request of the camera.
public struct SeenAnswer: Sendable, Hashable {
    /// Its status.
    public var status: Int
    /// What it says of the request's number.
    public var cseq: String?
}

/// An interleaved frame of the client.
public struct SeenReport: Sendable, Hashable {
    /// Its channel.
    public var channel: UInt8
    /// A compound RTCP packet.
    public var bytes: [UInt8]
}

/// All that happened so far.
public struct CameraRecord: Sendable {
    /// Connections that came.
    public var connections = 0
    /// Connections that are over.
    public var ended = 0
    /// Whether connections are taken.
    public var isListening = true
    /// In their order.
    public var units: [SentUnit] = []
    /// In their order.
    public var requests: [SeenRequest] = []
    /// In their order.
    public var answers: [SeenAnswer] = []
    /// Interleaved frames that the client sent: its reports.
    public var reports: [SeenReport] = []

    /// What must arrive: all that was sent of a stream but for what was declared lost.
    public func expected(stream: Int = 0, session: Int = 0) -> [SentUnit] {
        units.filter { $0.stream == stream && $0.session == session && !$0.isLost }
    }

    /// "METHOD" of all requests of a session.
    public func methods(session: Int = 0) -> [String] { requests.filter { $0.session == session }.map(\.method) }
}

/// FNV-1a over words of eight bytes, then over what is left: quick without an optimizer.
public func contentHash(_ bytes: [UInt8]) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325 ^ UInt64(bytes.count)
    bytes.withUnsafeBytes { raw in
        var index = 0
        while index + 8 <= raw.count {
            hash = (hash ^ raw.loadUnaligned(fromByteOffset: index, as: UInt64.self)) &* 0x100_0000_01B3
            index += 8
        }
        while index < raw.count {
            hash = (hash ^ UInt64(raw[index])) &* 0x100_0000_01B3
            index += 1
        }
    }
    return hash
}
