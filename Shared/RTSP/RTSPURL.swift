// Where a camera is: the URL of its configuration, and how the URLs of its streams come from it.

/// An rtsp or rtsps URL, apart from the credentials that may stand in it: those are never sent nor shown.
public struct RTSPURL: Sendable, Hashable, CustomStringConvertible {
    /// rtsps: everything runs inside TLS.
    public let isSecure: Bool
    /// A name or an address, without brackets.
    public let host: String
    /// 554, or 322 for rtsps, where the URL names none.
    public let port: UInt16
    /// As it is sent in requests: "rtsp://camera:8554/main?channel=1".
    public let text: String

    /// "192.0.2.1:554", "[2001:db8::1]:554": where it leads, for a person.
    public var hostAndPort: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// The URL without credentials.
    public var description: String { text }

    /// Nil for what is no rtsp or rtsps URL with a host.
    public init?(_ text: String) {
        let lowered = text.lowercased()
        guard let scheme = ["rtsp://", "rtsps://"].first(where: lowered.hasPrefix) else { return nil }
        isSecure = scheme == "rtsps://"
        let rest = text.dropFirst(scheme.count)
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        var authority = rest[..<end]
        let tail = rest[end...].prefix { $0 != "#" }
        // A password may hold '@': the last one ends the credentials.
        if let at = authority.lastIndex(of: "@") { authority = authority[authority.index(after: at)...] }
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
        guard !host.isEmpty, !text.contains(where: { $0.isWhitespace || $0.isNewline }) else { return nil }
        if let portText, !portText.isEmpty {
            guard let number = UInt16(portText), number > 0 else { return nil }
            port = number
        } else {
            port = isSecure ? 322 : 554
        }
        self.text = scheme + authority + tail
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
