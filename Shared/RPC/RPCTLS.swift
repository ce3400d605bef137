// RPCTLS: the certificate files of one side, and the nng configuration made from them. Both sides always show a
// certificate: a peer that shows none, or one of another authority, is refused before a byte of it is read.

import CNNG
import Foundation

/// Certificate files for tls+tcp:// addresses, PEM. They are read when a socket is opened; a restart takes up new ones.
public struct RPCTLS: Sendable, Hashable {
    /// Certificates of the authorities whose peers are trusted; one file, several certificates one after the other.
    /// One authority per role: who is listed here may call.
    public var authorityPath: String
    /// Our certificate, followed by intermediates if there are any.
    public var certificatePath: String
    /// The private key of our certificate, not encrypted.
    public var keyPath: String
    /// The name that a server's certificate must carry, where it is not the host of the address. Needed when the
    /// address is an IP number, because the TLS library compares DNS names only.
    public var serverName: String?

    /// Names the files; nothing is read yet.
    public init(authorityPath: String, certificatePath: String, keyPath: String, serverName: String? = nil) {
        self.authorityPath = authorityPath
        self.certificatePath = certificatePath
        self.keyPath = keyPath
        self.serverName = serverName
    }
}

/// The contents of the files, read once for all endpoints of a socket. Never printed: it holds the private key.
struct TLSMaterial: Sendable {
    private let tls: RPCTLS
    private let authority: String
    private let certificate: String
    private let key: String

    init(reading tls: RPCTLS) throws(RPCError) {
        self.tls = tls
        authority = try Self.read(tls.authorityPath, "tls-ca", "the authority's certificate")
        certificate = try Self.read(tls.certificatePath, "tls-certificate", "our certificate")
        key = try Self.read(tls.keyPath, "tls-key", "our private key")
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
        try check(
            nng_tls_config_ca_chain(made, authority, nil), "tls-ca",
            "\(tls.authorityPath) holds no usable certificate")
        try check(
            nng_tls_config_own_cert(made, certificate, key, nil), "tls-certificate",
            "\(tls.certificatePath) and \(tls.keyPath) are not a certificate and its unencrypted key")
        if mode == NNG_TLS_MODE_CLIENT {
            try check(nng_tls_config_server_name(made, tls.serverName ?? host), "tls", "the server name is refused")
        }
        try check(body(made), "tls", "nng refuses the TLS configuration")
    }

    private func check(_ result: Int32, _ setting: String, _ text: String) throws(RPCError) {
        if result != 0 { throw .invalidArgument(setting, "\(text) (\(NNGError(result)))") }
    }
}
