// Addresses of cameras and media servers: an allow-list of schemes, a host, no user information. Hand-made, because the
// rule is narrow and an address that one reader takes for a host and another for user information must not pass.

/// An address of the form scheme://host[:port][/path].
struct StreamURL: Sendable, Equatable {
    enum Problem: Error, Equatable {
        case noScheme(allowed: [String])
        case unsupportedScheme(String, allowed: [String])
        case userInformation
        case badHost
        case badPort
        case badPath
        case credential
    }

    let scheme: String
    /// A name, an IPv4 address, or an IPv6 address in brackets.
    let host: String
    let port: Int?
    /// With its leading '/', query included; empty where there is none.
    let path: String

    /// What a source may be opened by. A pipe or a playlist would give a configuration access to the host.
    static let cameraSchemes = ["rtsp", "rtsps", "http", "https"]

    init(scheme: String, host: String, port: Int?, path: String) {
        self.scheme = scheme
        self.host = host
        self.port = port
        self.path = path
    }

    init(parsing text: String, schemes: [String]) throws(Problem) {
        guard let separator = text.firstRange(of: "://") else { throw .noScheme(allowed: schemes) }
        let scheme = text[..<separator.lowerBound].lowercased()
        guard schemes.contains(scheme) else {
            throw .unsupportedScheme(String(scheme.prefix(32)), allowed: schemes)
        }
        try self.init(scheme: scheme, afterScheme: text[separator.upperBound...])
    }

    /// host[:port][/path] for a scheme that is known otherwise.
    init(scheme: String, afterScheme rest: Substring) throws(Problem) {
        let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        let authority = rest[..<end]
        let path = rest[end...]
        // Anywhere, because a password may hold a '/' and so look like a path.
        guard !rest.utf8.contains(UInt8(ascii: "@")) else { throw .userInformation }
        var hostText = authority
        var portText: Substring?
        if authority.hasPrefix("[") {
            guard let close = authority.firstIndex(of: "]") else { throw .badHost }
            hostText = authority[...close]
            let after = authority[authority.index(after: close)...]
            if !after.isEmpty {
                guard after.hasPrefix(":") else { throw .badHost }
                portText = after.dropFirst()
            }
        } else if let colon = authority.firstIndex(of: ":") {
            hostText = authority[..<colon]
            portText = authority[authority.index(after: colon)...]
        }
        guard Self.isHost(hostText) else { throw .badHost }
        var port: Int?
        if let portText {
            guard let number = UInt16(portText), number > 0 else { throw .badPort }
            port = Int(number)
        }
        let legal = path.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"\"<>\\^`{|}#".utf8.contains($0) }
        guard legal, path.utf8.count <= 1024, path.isEmpty || path.hasPrefix("/") else { throw .badPath }
        guard !Self.holdsCredential(String(path)) else { throw .credential }
        self.init(scheme: scheme, host: String(hostText), port: port, path: String(path))
    }

    /// Whether a path or query gives a password or the like, as "password=…". Some cameras want theirs in the path, between
    /// '&' or '_'. Without a value it is none.
    private static func holdsCredential(_ path: String) -> Bool {
        path.split { "/?&;_".contains($0) }.contains { part in
            let sides = part.split(separator: "=", maxSplits: 1)
            return sides.count == 2 && credentialNames.contains(sides[0].lowercased())
        }
    }

    /// What cameras call a password or what stands for one.
    private static let credentialNames: Set<String> = [
        "password", "passwd", "pass", "pwd", "psw", "token", "secret", "auth", "authbasic", "apikey",
    ]

    /// A name or address: letters, digits, '.', '-', '_'; in brackets hexadecimal digits, ':' , '.' and a zone.
    static func isHost(_ host: Substring) -> Bool {
        guard !host.isEmpty, host.utf8.count <= 253 else { return false }
        if host.hasPrefix("[") {
            let inner = host.dropFirst().dropLast()
            return host.hasSuffix("]") && inner.contains(":")
                && inner.allSatisfy { $0.isHexDigit || ":.".contains($0) }
        }
        return host.utf8.allSatisfy { byte in
            let character = Character(Unicode.Scalar(byte))
            return byte < 0x80 && (character.isLetter || character.isNumber || ".-_".contains(character))
        }
    }

    var text: String { "\(scheme)://\(host)\(port.map { ":\($0)" } ?? "")\(path)" }

    /// Whether a text holds an address with an '@' anywhere: most likely a credential, which must not be stored, shown or
    /// logged. A password may hold a '/', so all up to the next blank or quotation mark counts.
    static func holdsUserInformation(_ text: String) -> Bool {
        var rest = text[...]
        while let separator = rest.firstRange(of: "//") {
            rest = rest[separator.upperBound...]
            let address = rest.prefix { !" \t\r\n\"'".contains($0) }
            if address.utf8.contains(UInt8(ascii: "@")) { return true }
        }
        return text.contains("\\/\\/") && holdsUserInformation(text.replacing("\\/", with: "/"))
    }
}

extension StreamURL.Problem {
    /// For a person; what is wrong and what to do. Never holds the address.
    var advice: String {
        switch self {
        case .noScheme(let allowed): "is not an address of the form \(allowed.first ?? "")://host:port/path"
        case .unsupportedScheme(let scheme, let allowed):
            "has the scheme \(scheme.quotedForMessage), which is not supported: "
                + "use \(allowed.map { $0 + "://" }.joined(separator: " or "))"
        case .userInformation:
            "holds a user name or password ('@'): take it out and name secrets instead, because addresses are shown; "
                + "an '@' that belongs to the path is written %40"
        case .credential:
            "holds a password or token (\"name=value\" in its path or query): take it out and name secrets instead, because "
                + "addresses are shown"
        case .badHost: "has no host name or IP address after \"://\" (IPv6 stands in [brackets])"
        case .badPort: "has a port that is not 1 to 65535"
        case .badPath: "has a path with blanks or characters that must be percent-encoded, or longer than 1024 bytes"
        }
    }
}
