// RPCTLS: the certificate files of one side, and the nng configuration made from them. Both sides always show a
// certificate: a peer that shows none, or one of an authority that is not trusted, is refused before a byte of it is read.
//
// Who a peer is, its certificate's issuer says: each role has an authority of its own, because nng shows no name of a peer.
// So a listener trusts the authorities of the roles that its contract lets call, and a client that of the one role that it
// calls: a controller's certificate is good for calling the indexer, and worthless for posing as it.

import CNNG
import Foundation

/// Certificate files for tls+tcp:// addresses, PEM. They are read when a socket is opened; a restart takes up new ones.
public struct RPCTLS: Sendable, Hashable {
    /// Folder of the authorities' certificates, `{role}.pem` each.
    public var authoritiesPath: String
    /// The roles whose authorities are trusted, "archiver". One without a file is not; at least one must have it.
    public var trustedRoles: [String]
    /// Our certificate, followed by intermediates if there are any.
    public var certificatePath: String
    /// The private key of our certificate, not encrypted.
    public var keyPath: String
    /// The name that a server's certificate must carry, where it is not the host of the address. Needed when the
    /// address is an IP number, because the TLS library compares DNS names only.
    public var serverName: String?

    /// Names the files; nothing is read yet.
    public init(
        authoritiesPath: String, trustedRoles: [String], certificatePath: String, keyPath: String,
        serverName: String? = nil
    ) {
        self.authoritiesPath = authoritiesPath
        self.trustedRoles = trustedRoles
        self.certificatePath = certificatePath
        self.keyPath = keyPath
        self.serverName = serverName
    }

    /// Reads the files, and throws what is wrong with them: `.invalidArgument` whose field is the setting. Sockets do it too;
    /// call it where an error of the settings must not look like one of the network.
    public func check() throws(RPCError) { _ = try TLSMaterial(reading: self) }

    /// The trusted roles that have no file in the folder at this moment: nobody of these is let in.
    public var rolesWithoutAuthority: [String] {
        trustedRoles.filter { role in
            var status = stat()
            // What is there and cannot be read is an error when it is read, not an absence.
            return stat(authorityPath(of: role), &status) != 0 && errno == ENOENT
        }
    }

    func authorityPath(of role: String) -> String { "\(authoritiesPath)/\(role).pem" }
}

/// The contents of the files, read once for all endpoints of a socket. Never printed: it holds the private key.
struct TLSMaterial: Sendable {
    private struct Authority: Sendable {
        let path: String
        let certificate: String
    }

    private let tls: RPCTLS
    private let authorities: [Authority]
    private let certificate: String
    private let key: String

    init(reading tls: RPCTLS) throws(RPCError) {
        self.tls = tls
        authorities = try Self.authorities(of: tls)
        certificate = try Self.read(tls.certificatePath, "tls-certificate", "our certificate")
        key = try Self.read(tls.keyPath, "tls-key", "our private key")
    }

    private static func authorities(of tls: RPCTLS) throws(RPCError) -> [Authority] {
        let absent = tls.rolesWithoutAuthority
        var found: [Authority] = []
        for role in tls.trustedRoles where !absent.contains(role) {
            let path = tls.authorityPath(of: role)
            found.append(
                Authority(path: path, certificate: try read(path, "tls-authorities", "the authority of \(role)")))
        }
        guard !found.isEmpty else {
            let files = absent.map { "\($0).pem" }.joined(separator: ", ")
            throw .invalidArgument(
                "tls-authorities",
                "the folder \(tls.authoritiesPath) has no \(files): put the certificate of "
                    + (absent.count == 1
                        ? "that role's authority there" : "the authority of each role that may call there"))
        }
        return found
    }

    private static func read(_ path: String, _ setting: String, _ what: String) throws(RPCError) -> String {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw .invalidArgument(setting, "cannot read \(what) at \(path): check that it exists and who may read it")
        }
        guard let text = String(data: data, encoding: .utf8), text.contains("-----BEGIN ") else {
            throw .invalidArgument(setting, "\(path) is not PEM, which \(what) must be")
        }
        return text
    }

    /// Makes the configuration of one endpoint and lends it to `body`; nng keeps its own reference where it is set.
    func withConfiguration(
        _ mode: nng_tls_mode, host: String, _ body: (OpaquePointer) -> Int32
    ) throws(RPCError) {
        var made: OpaquePointer?
        guard nng_tls_config_alloc(&made, mode) == 0, let made else {
            throw .internal("nng cannot make a TLS configuration: is it built with TLS?")
        }
        defer { nng_tls_config_free(made) }
        try check(nng_tls_config_auth_mode(made, NNG_TLS_AUTH_MODE_REQUIRED), "tls", "mutual authentication is refused")
        // nng adds each to those before.
        for authority in authorities {
            try check(
                nng_tls_config_ca_chain(made, authority.certificate, nil), "tls-authorities",
                "\(authority.path) holds no usable certificate")
        }
        try check(
            nng_tls_config_own_cert(made, certificate, key, nil), "tls-certificate",
            "\(tls.certificatePath) and \(tls.keyPath) are not a certificate and its unencrypted key")
        if mode == NNG_TLS_MODE_CLIENT {
            let name = try serverName(host)
            try check(nng_tls_config_server_name(made, name), "tls", "the server name is refused")
        }
        try check(body(made), "tls", "nng refuses the TLS configuration")
    }

    private func serverName(_ host: String) throws(RPCError) -> String {
        if let given = tls.serverName { return given }
        var address = in_addr()
        guard !host.hasPrefix("["), inet_pton(AF_INET, host, &address) != 1 else {
            throw .invalidArgument(
                "address",
                "\(host) is a number, and certificates are compared by name: write the host's name, from DNS or /etc/hosts"
            )
        }
        return host
    }

    private func check(_ result: Int32, _ setting: String, _ text: String) throws(RPCError) {
        if result != 0 { throw .invalidArgument(setting, "\(text) (\(NNGError(result)))") }
    }
}
