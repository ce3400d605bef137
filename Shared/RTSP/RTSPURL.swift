// Where a camera is: the URL of its configuration, and how the URLs of its streams come from it.

/// An rtsp or rtsps URL, apart from the credentials that may stand in it: those are never sent nor shown.
public struct RTSPURL: Sendable, Hashable, CustomStringConvertible, PeerURL {
    /// rtsps: everything runs inside TLS.
    public let isSecure: Bool
    /// A name or an address, without brackets.
    public let host: String
    /// 554, or 322 for rtsps, where the URL names none.
    public let port: UInt16
    /// As it is sent in requests: "rtsp://camera:8554/main?channel=1".
    public let text: String

    /// "192.0.2.1:554", "[2001:db8::1]:554": where it leads, for a person.
    public var hostAndPort: String { URLParts.hostAndPort(host, port) }

    /// The URL without credentials.
    public var description: String { text }

    /// Nil for what is no rtsp or rtsps URL with a host.
    public init?(_ text: String) {
        guard let parts = URLParts(text, schemes: ["rtsp", "rtsps"]) else { return nil }
        isSecure = parts.scheme == "rtsps"
        host = parts.host
        port = parts.port ?? (isSecure ? 322 : 554)
        self.text = "\(parts.scheme)://\(parts.authority)\(parts.tail)"
    }

    /// The URL that a stream's `a=control` means.
    ///
    /// Cameras do not join URLs as RFC 3986 says: the control goes behind the base as it is, query and all, with one slash
    /// between. An absolute one is taken as it is: it is a name for the camera, the connection stays.
    ///
    /// - Parameter base: Content-Base or Content-Location of the description; one without a scheme says nothing, then the URL
    ///   of the request is the base.
    public func joining(control: String?, base: String?) -> String {
        let base = base.map { String($0.trimmed) }.flatMap { RTSPURL($0)?.text } ?? text
        guard let control = control?.trimmed, !control.isEmpty, control != "*" else { return base }
        if control.lowercased().hasPrefix("rtsp://") || control.lowercased().hasPrefix("rtsps://") {
            return RTSPURL(String(control))?.text ?? base
        }
        return base.hasSuffix("/") || control.hasPrefix("/")
            ? base.dropLast(base.hasSuffix("/") ? 1 : 0) + "/"
                + control.drop { $0 == "/" } : "\(base)/\(control)"
    }

    /// Where a redirect leads; nil where it may not be followed: to no RTSP URL, or from rtsps down to rtsp, which would show
    /// the user to everybody on the way.
    public func redirected(to location: String) -> RTSPURL? {
        guard let target = RTSPURL(String(location.trimmed)), target.isSecure || !isSecure else { return nil }
        return target
    }
}

/// Where a camera or media server is.
protocol PeerURL {
    /// A name or an address, without brackets.
    var host: String { get }
    /// For a person.
    var hostAndPort: String { get }
}

/// A URL of a scheme that has a host, apart into its parts, without the credentials that may stand in it.
struct URLParts {
    /// In small letters.
    let scheme: String
    /// Host and port as they stand there, brackets and all.
    let authority: Substring
    /// A name or an address, without brackets.
    let host: String
    /// Where the URL names one.
    let port: UInt16?
    /// Path and query, without fragment.
    let tail: Substring

    /// Nil for what is no URL of these schemes with a host.
    init?(_ text: String, schemes: [String]) {
        let lowered = text.lowercased()
        guard let scheme = schemes.first(where: { lowered.hasPrefix("\($0)://") }),
            !text.contains(where: { $0.isWhitespace || $0.isNewline })
        else { return nil }
        self.scheme = scheme
        let rest = text.dropFirst(scheme.count + 3)
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        var authority = rest[..<end]
        tail = rest[end...].prefix { $0 != "#" }
        // A password may hold '@': the last one ends the credentials.
        if let at = authority.lastIndex(of: "@") { authority = authority[authority.index(after: at)...] }
        self.authority = authority
        let portText: Substring?
        if authority.hasPrefix("[") {
            guard let close = authority.firstIndex(of: "]") else { return nil }
            host = String(authority[authority.index(after: authority.startIndex)..<close])
            let behind = authority[authority.index(after: close)...]
            guard behind.isEmpty || behind.hasPrefix(":") else { return nil }
            portText = behind.isEmpty ? nil : behind.dropFirst()
        } else {
            let (name, port) = authority.halves(at: ":")
            host = String(name)
            portText = port
        }
        guard !host.isEmpty else { return nil }
        guard let portText, !portText.isEmpty else {
            port = nil
            return
        }
        guard let number = UInt16(portText), number > 0 else { return nil }
        port = number
    }

    /// "192.0.2.1:554", "[2001:db8::1]:554": for a person.
    static func hostAndPort(_ host: String, _ port: UInt16) -> String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
