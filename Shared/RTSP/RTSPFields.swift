// The header fields of a session that have a form of their own: Transport, Session, RTP-Info, Public (RFC 2326, section 12).

/// How the packets of one stream travel.
public struct RTSPTransport: Sendable, Hashable {
    /// Inside the connection of the requests.
    public var isInterleaved: Bool
    /// Channels for RTP and RTCP; the second is the first plus one where only one is named.
    public var channels: (UInt8, UInt8)? {
        get { channelPair.map { ($0[0], $0[1]) } }
        set { channelPair = newValue.map { [$0.0, $0.1] } }
    }
    private var channelPair: [UInt8]?
    /// The server's ports for RTP and RTCP.
    public var serverPorts: [UInt16] = []
    /// Where packets come from, when it is not the server.
    public var source: String?
    /// Of the stream, where the server says it.
    public var ssrc: UInt32?

    /// The channels that we ask for: 0 and 1 for the first track.
    static func channels(ofTrack index: Int) -> (UInt8, UInt8) {
        let first = UInt8(truncatingIfNeeded: index * 2)
        return (first, first &+ 1)
    }

    /// Reads a Transport header; of several transports the first counts.
    public init(_ text: String) {
        let parts = text.prefix { $0 != "," }.split(separator: ";").map(\.trimmed)
        isInterleaved = parts.contains { $0.uppercased() == "RTP/AVP/TCP" }
        for part in parts {
            let (name, value) = part.halves(at: "=")
            guard let value else { continue }
            let numbers = value.split(separator: "-").map(\.trimmed)
            switch name.lowercased() {
            case "interleaved":
                guard let first = numbers.first.flatMap({ UInt8($0) }) else { continue }
                channels = (first, numbers.count > 1 ? UInt8(numbers[1]) ?? (first &+ 1) : first &+ 1)
            case "server_port": serverPorts = numbers.compactMap { UInt16($0) }
            case "source": source = value.isEmpty ? nil : String(value)
            case "ssrc": ssrc = UInt32(value, radix: 16)
            default: break
            }
        }
    }
}

/// The name of a session, and how long the server keeps it without a word of ours.
public struct RTSPSessionID: Sendable, Hashable {
    /// As it goes into requests.
    public let text: String
    /// Seconds; 60 where the server does not say (RFC 2326, section 12.37), never less than 2.
    public let timeoutS: Int

    /// Reads a Session header; nil where it names none.
    ///
    /// - Parameter earlier: what was said before: its time-out holds as long as no other is stated. Most servers state it in
    ///   the answer to SETUP only, and name the session without it from then on.
    public init?(_ header: String, earlier: RTSPSessionID? = nil) {
        let parts = header.split(separator: ";").map(\.trimmed)
        guard let name = parts.first, !name.isEmpty else { return nil }
        text = String(name)
        let told = parts.dropFirst().compactMap { part -> Int? in
            let (key, value) = part.halves(at: "=")
            return key.lowercased() == "timeout" ? value.flatMap { Int($0) } : nil
        }
        timeoutS = min(max(told.first ?? earlier?.timeoutS ?? 60, 2), 86_400)
    }
}

/// The first packet of a stream, as PLAY's answer says it. The timestamps of all streams are of the same moment.
public struct RTSPStart: Sendable, Hashable {
    /// Of the packet.
    public let sequenceNumber: UInt16
    /// At the moment that is common to all streams.
    public let timestamp: UInt32

    /// Reads an RTP-Info header. Which stream is meant is not read: many servers name it wrongly, and the sequence number tells.
    static func all(in header: String) -> [RTSPStart] {
        header.split(separator: ",").compactMap { stream in
            let fields = stream.split(separator: ";").map { $0.trimmed.halves(at: "=") }
            func value(_ name: String) -> Substring? { fields.first { $0.0.lowercased() == name }?.1 }
            guard let sequenceNumber = value("seq").flatMap({ UInt16($0) }),
                let timestamp = value("rtptime").flatMap({ UInt32($0) })
            else { return nil }
            return RTSPStart(sequenceNumber: sequenceNumber, timestamp: timestamp)
        }
    }
}

/// How the server is told that we are still there.
public enum RTSPKeepalive: String, Sendable, CaseIterable {
    case getParameter = "GET_PARAMETER"
    case options = "OPTIONS"
    case setParameter = "SET_PARAMETER"

    /// The ways to try, the best first. GET_PARAMETER and SET_PARAMETER only where the server names them: some close the
    /// connection on a method that they do not know. OPTIONS is always possible.
    public static func ways(publicMethods: String?) -> [RTSPKeepalive] {
        let named = Set((publicMethods ?? "").split(separator: ",").map { $0.trimmed.uppercased() })
        return allCases.filter { $0 == .options || named.contains($0.rawValue) }
    }
}
