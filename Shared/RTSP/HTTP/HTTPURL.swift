// Where a camera is that gives its pictures over HTTP.

/// An http or https URL, apart from the credentials that may stand in it: those are never sent nor shown.
public struct HTTPURL: Sendable, Hashable, CustomStringConvertible, PeerURL {
    /// https: everything runs inside TLS.
    public let isSecure: Bool
    /// A name or an address, without brackets.
    public let host: String
    /// 80, or 443 for https, where the URL names none.
    public let port: UInt16
    /// Path and query, as they stand in the request: "/snapshot.jpg?channel=1".
    public let target: String
    /// What the Host field says.
    let authority: String

    /// "192.0.2.1:80": where it leads, for a person.
    public var hostAndPort: String { URLParts.hostAndPort(host, port) }

    /// The URL without credentials.
    public var description: String { "\(isSecure ? "https" : "http")://\(authority)\(target)" }

    /// Nil for what is no http or https URL with a host.
    public init?(_ text: String) {
        guard let parts = URLParts(text, schemes: ["http", "https"]) else { return nil }
        isSecure = parts.scheme == "https"
        host = parts.host
        port = parts.port ?? (isSecure ? 443 : 80)
        authority = String(parts.authority)
        target = parts.tail.hasPrefix("/") ? String(parts.tail) : "/\(parts.tail)"
    }

    /// Where a redirect leads (RFC 9110, section 10.2.2); nil where it may not be followed: to another scheme, or from https down
    /// to http, which would show the user to everybody on the way.
    func redirected(to location: String) -> HTTPURL? {
        let location = String(location.trimmed)
        let scheme = isSecure ? "https" : "http"
        let text: String
        if location.hasPrefix("//") {
            text = "\(scheme):\(location)"
        } else if location.hasPrefix("/") || location.hasPrefix("?") {
            text = "\(scheme)://\(authority)\(location)"
        } else if location.prefix(while: { !"/?#".contains($0) }).contains(":") {
            text = location
        } else {
            let folder = target.prefix { $0 != "?" }
            text = "\(scheme)://\(authority)\(folder[...(folder.lastIndex(of: "/") ?? folder.startIndex)])\(location)"
        }
        guard let target = HTTPURL(text), target.isSecure || !isSecure else { return nil }
        return target
    }
}
