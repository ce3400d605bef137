// What a camera offers (SDP, RFC 8866), read as cameras write it: lines missing, in another order, with spaces where none
// belong. What is not understood is passed over; what is missing is said by nil.

/// A description: the streams of one URL.
public struct SessionDescription: Sendable, Hashable {
    /// `a=control` of the whole.
    public var control: String?
    /// The streams, in their order.
    public var media: [MediaDescription] = []

    /// More streams than any camera has; further ones are passed over.
    static let maximumMedia = 32

    /// Reads a description. Never fails: one without streams has none.
    public init(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.trimmed
            guard let kind = line.first, line.dropFirst().first == "=" else { continue }
            let value = line.dropFirst(2).trimmed
            switch kind {
            case "m":
                guard media.count < Self.maximumMedia else { return }
                media.append(MediaDescription(value))
            case "a": attribute(value)
            default: break
            }
        }
    }

    private mutating func attribute(_ text: Substring) {
        let (name, value) = text.halves(at: ":")
        guard !media.isEmpty else {
            if name == "control" { control = value.map(String.init) }
            return
        }
        media[media.count - 1].add(attribute: name, value ?? "")
    }
}

/// One stream of a description.
public struct MediaDescription: Sendable, Hashable {
    /// "video", "audio", "application".
    public var kind: String
    /// The RTP payload types that it may use, the preferred one first.
    public var payloadTypes: [UInt8]
    /// What the stream's own `a=control` says.
    public var control: String?
    private var maps: [UInt8: Map] = [:]
    private var parameters: [UInt8: [String: String]] = [:]

    private struct Map: Sendable, Hashable {
        var encoding: String
        var clockRateHz: Int
        var channels: Int
    }

    /// Types that need no rtpmap (RFC 3551, tables 4 and 5).
    private static let fixed: [UInt8: Map] = [
        0: Map(encoding: "PCMU", clockRateHz: 8_000, channels: 1),
        8: Map(encoding: "PCMA", clockRateHz: 8_000, channels: 1),
        10: Map(encoding: "L16", clockRateHz: 44_100, channels: 2),
        11: Map(encoding: "L16", clockRateHz: 44_100, channels: 1),
        26: Map(encoding: "JPEG", clockRateHz: 90_000, channels: 1),
    ]

    /// Reads what stands behind "m=": kind, port, protocol, payload types.
    init(_ text: Substring) {
        let words = text.split(separator: " ", omittingEmptySubsequences: true)
        kind = words.first.map { $0.lowercased() } ?? ""
        payloadTypes = words.dropFirst(3).compactMap { UInt8($0) }.filter { $0 < 128 }
    }

    /// The type that the stream is expected to use; nil where it names none.
    public var payloadType: UInt8? { payloadTypes.first }
    /// "H264", in upper case; nil where the type has no name.
    public var encoding: String? { map?.encoding }
    /// Ticks of RTP's timestamps per second.
    public var clockRateHz: Int? { map?.clockRateHz }
    /// Of sound; 1 where it is not said.
    public var channels: Int { map?.channels ?? 1 }
    /// A parameter of `a=fmtp`, by its name in lower case.
    public func parameter(_ name: String) -> String? { formatParameters[name] }
    /// All parameters of `a=fmtp`, names in lower case.
    public var formatParameters: [String: String] { payloadType.flatMap { parameters[$0] } ?? [:] }

    /// H.264's parameter sets, H.265's in the order VPS, SPS, PPS; what is no Base64 is left out.
    public var parameterSets: [[UInt8]] {
        let lists = ["sprop-parameter-sets", "sprop-vps", "sprop-sps", "sprop-pps"].compactMap { parameter($0) }
        return lists.flatMap { $0.split(separator: ",") }.compactMap { Base64.decode($0.trimmed) }.filter {
            !$0.isEmpty
        }
    }

    private var map: Map? { payloadType.flatMap { maps[$0] ?? Self.fixed[$0] } }

    mutating func add(attribute name: Substring, _ value: Substring) {
        switch name {
        case "control": control = String(value)
        case "rtpmap":
            let (type, rest) = value.halves(at: " ")
            // "H264/90000", "MPEG4-GENERIC/44100/2".
            let parts = (rest ?? "").split(separator: "/").map(\.trimmed)
            guard let type = UInt8(type), parts.count >= 2, let clock = Int(parts[1]), (1...1_000_000).contains(clock)
            else { return }
            let channels = parts.count > 2 ? Int(parts[2]) ?? 1 : 1
            maps[type] = Map(
                encoding: parts[0].uppercased(), clockRateHz: clock,
                channels: (1...16).contains(channels) ? channels : 1)
        case "fmtp":
            let (type, rest) = value.halves(at: " ")
            guard let type = UInt8(type) else { return }
            for part in (rest ?? "").split(separator: ";") {
                let (key, text) = part.trimmed.halves(at: "=")
                if let text { parameters[type, default: [:]][key.lowercased()] = String(text) }
            }
        default: break
        }
    }
}

extension Substring {
    /// What stands before and behind the first `separator`, both trimmed; nothing behind: nil.
    func halves(at separator: Character) -> (Substring, Substring?) {
        guard let index = firstIndex(of: separator) else { return (trimmed, nil) }
        return (self[..<index].trimmed, self[self.index(after: index)...].trimmed)
    }
}
