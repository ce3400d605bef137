// RPCAddress: where a service listens. Parsing refuses what would expose a service or fail obscurely inside nng.

/// The address of a socket: ipc:///run/sightglass/indexer.rpc, tls+tcp://indexer:7001, or tcp://127.0.0.1:7001.
public struct RPCAddress: Sendable, Hashable, CustomStringConvertible {
    /// How bytes travel.
    public enum Transport: Sendable, Hashable {
        /// A socket file on this host; `path` is absolute, at most 107 bytes.
        case ipc(path: String)
        /// Plain TCP.
        case tcp(host: String, port: UInt16)
        /// TLS over TCP; both sides show a certificate.
        case tls(host: String, port: UInt16)
    }

    /// The parts of the address.
    public let transport: Transport

    /// As nng takes it.
    public var description: String {
        switch transport {
        case .ipc(let path): "ipc://\(path)"
        case .tcp(let host, let port): "tcp://\(host):\(port)"
        case .tls(let host, let port): "tls+tcp://\(host):\(port)"
        }
    }

    /// Whether certificates are needed.
    public var needsTLS: Bool { if case .tls = transport { true } else { false } }

    init(_ transport: Transport) { self.transport = transport }

    /// Parses an address. Port 0 lets a listener take any free port.
    ///
    /// - Parameter allowInsecure: lets tcp:// name a host other than loopback, where anybody on the network can read it.
    /// - Throws: `.invalidArgument` that says what is wrong with the text and what to write.
    public init(parsing text: String, allowInsecure: Bool = false) throws(RPCError) {
        func wrong(_ reason: String) -> RPCError { .invalidArgument("address", "address \"\(text)\" \(reason)") }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else {
            throw wrong("holds a space or a control character")
        }
        if let path = text.dropping(prefix: "ipc://") {
            guard path.hasPrefix("/"), path.utf8.count > 1 else {
                throw wrong("needs an absolute path: ipc:///run/sightglass/indexer.rpc")
            }
            guard path.utf8.count <= 107 else {
                throw wrong("is too long for a socket file (path of at most 107 bytes): choose a shorter folder")
            }
            self.init(.ipc(path: path))
        } else if let rest = text.dropping(prefix: "tls+tcp://") {
            guard let (host, port) = Self.hostAndPort(rest) else {
                throw wrong("needs a host and a port: tls+tcp://host:7001")
            }
            self.init(.tls(host: host, port: port))
        } else if let rest = text.dropping(prefix: "tcp://") {
            guard let (host, port) = Self.hostAndPort(rest) else {
                throw wrong("needs a host and a port: tcp://127.0.0.1:7001")
            }
            guard allowInsecure || Self.isLoopback(host) else {
                throw wrong(
                    "is plain TCP beyond this host, where anybody on the network can read and send: use tls+tcp://, "
                        + "or set insecure if the network is trusted")
            }
            self.init(.tcp(host: host, port: port))
        } else {
            throw wrong("must begin with ipc://, tls+tcp:// or tcp://")
        }
    }

    /// "host:port" in its parts; nil for anything else. An IPv6 address keeps the brackets that it must have.
    public static func hostAndPort(_ text: String) -> (host: String, port: UInt16)? {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let host = String(text[..<colon])
        let digits = text[text.index(after: colon)...]
        guard !host.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits) else {
            return nil
        }
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        // "[::1]" is a host; "::1" without brackets, a path or a user name is not.
        let rest = isBracketed ? host.dropFirst().dropLast() : host[...]
        let isClean = rest.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-._*".contains($0)) }
        let isAddress6 = isBracketed && rest.allSatisfy { $0.isHexDigit || ":.%".contains($0) }
        return isClean && !isBracketed || isAddress6 ? (host, port) : nil
    }

    private static func isLoopback(_ host: String) -> Bool {
        if host == "localhost" || host == "[::1]" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}

extension String {
    fileprivate func dropping(prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
