// What is probed: an address that a camera can have, and is to be reached from here.

import RTSP

enum ProbeAddress: Sendable, Equatable {
    case rtsp(RTSPURL)
    case http(HTTPURL)

    init?(_ text: String) {
        if let url = RTSPURL(text) {
            self = .rtsp(url)
        } else if let url = HTTPURL(text) {
            self = .http(url)
        } else {
            return nil
        }
    }

    /// Whether a user stands in a text that shall be an address: that belongs into files.
    static func namesUser(_ text: String) -> Bool {
        guard let scheme = text.firstRange(of: "://") else { return false }
        return text[scheme.upperBound...].prefix { !"/?#".contains($0) }.contains("@")
    }

    /// Without credentials.
    var text: String { parts.text }
    var host: String { parts.host }
    var hostAndPort: String { parts.hostAndPort }
    var isSecure: Bool { parts.isSecure }

    private var parts: (text: String, host: String, hostAndPort: String, isSecure: Bool) {
        switch self {
        case .rtsp(let url): (url.description, url.host, url.hostAndPort, url.isSecure)
        case .http(let url): (url.description, url.host, url.hostAndPort, url.isSecure)
        }
    }

    /// "RTSP", "HTTP".
    var protocolName: String {
        switch self {
        case .rtsp: "RTSP"
        case .http: "HTTP"
        }
    }
}
