// TLSSession: the TLS side of one connection, without its socket: what came from the wire goes in, what is to be read and what
// is to be sent comes out. OpenSSL does the work; nothing here waits.
//
// The certificate is checked when the handshake is done and before a byte of ours is sent, chain and name each on its own, so
// that a site may trust a camera's self-made certificate by list and still leave the name unchecked, or the other way round.

import COpenSSL

/// What a server's certificate must be. The default asks for everything.
public struct TLSTrust: Sendable, Hashable {
    /// PEM certificates that are trusted, roots or the server's own; nil: those of the system.
    public var trustedPEM: [UInt8]?
    /// Whether the certificate must be issued under a trusted one and be in date. Off only where a person set it so.
    public var checksChain: Bool
    /// Whether the certificate must name the host of the URL. Off only where a person set it so.
    public var checksHostName: Bool

    /// Trust from its parts.
    public init(trustedPEM: [UInt8]? = nil, checksChain: Bool = true, checksHostName: Bool = true) {
        self.trustedPEM = trustedPEM
        self.checksChain = checksChain
        self.checksHostName = checksHostName
    }
}

/// Why a TLS connection cannot be, for a person.
struct TLSFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// The certificate is not the one that is trusted; false: TLS itself failed.
    let isDistrust: Bool
    let description: String
}

/// One client session. Belongs to one thread.
final class TLSSession {
    private let session: OpaquePointer
    /// From the wire to OpenSSL; owned by `session`.
    private let incoming: OpaquePointer
    /// From OpenSSL to the wire; owned by `session`.
    private let outgoing: OpaquePointer
    private let trust: TLSTrust
    private let host: String
    private(set) var isSecured = false

    /// - Parameter host: the name or address of the URL, without brackets.
    init(trust: TLSTrust, host: String) throws(TLSFailure) {
        // Cameras of the last ten years speak 1.2; what is older cannot keep a password.
        guard let context = SSL_CTX_new(TLS_client_method()),
            SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil) == 1
        else { throw Self.failure("TLS cannot be used") }
        // The session keeps the context.
        defer { SSL_CTX_free(context) }
        try Self.trustAuthorities(of: trust, in: context)
        guard let session = SSL_new(context) else { throw Self.failure("TLS cannot be used") }
        guard let incoming = BIO_new(BIO_s_mem()), let outgoing = BIO_new(BIO_s_mem()) else {
            SSL_free(session)
            throw Self.failure("TLS cannot be used")
        }
        SSL_set_bio(session, incoming, outgoing)
        (self.session, self.incoming, self.outgoing) = (session, incoming, outgoing)
        (self.trust, self.host) = (trust, host)
        // The result of the check is asked for in `checkCertificate`.
        SSL_set_verify(session, SSL_VERIFY_NONE, nil)
        if !Self.isAddress(host) {
            host.withCString { name in
                // Macro SSL_set_tlsext_host_name: the server is told which of its names is meant (RFC 6066, section 3).
                _ = SSL_ctrl(
                    session, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name),
                    UnsafeMutableRawPointer(mutating: name))
            }
        }
        SSL_set_connect_state(session)
    }

    deinit { SSL_free(session) }

    private static func trustAuthorities(of trust: TLSTrust, in context: OpaquePointer) throws(TLSFailure) {
        guard let pem = trust.trustedPEM else {
            SSL_CTX_set_default_verify_paths(context)
            return
        }
        let source = pem.withUnsafeBytes { BIO_new_mem_buf($0.baseAddress, Int32(clamping: $0.count)) }
        defer { BIO_free(source) }
        var count = 0
        while let certificate = PEM_read_bio_X509(source, nil, nil, nil) {
            X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate)
            X509_free(certificate)
            count += 1
        }
        ERR_clear_error()
        if count == 0 {
            throw TLSFailure(isDistrust: true, description: "the trust list holds no PEM certificate")
        }
        // A certificate that is in the list is trusted though it is not its own issuer.
        let parameters = SSL_CTX_get0_param(context)
        X509_VERIFY_PARAM_set_flags(parameters, UInt(X509_V_FLAG_PARTIAL_CHAIN))
    }

    private static func isAddress(_ host: String) -> Bool {
        guard let octets = a2i_IPADDRESS(host) else { return false }
        ASN1_OCTET_STRING_free(octets)
        return true
    }

    /// Takes what came from the wire.
    func received(_ bytes: UnsafeRawBufferPointer) {
        _ = BIO_write(incoming, bytes.baseAddress, Int32(clamping: bytes.count))
    }

    /// Goes on with the handshake; true once it is done and the certificate is trusted.
    func handshake() throws(TLSFailure) -> Bool {
        if isSecured { return true }
        ERR_clear_error()
        let result = SSL_do_handshake(session)
        if result == 1 {
            try checkCertificate()
            isSecured = true
            return true
        }
        switch SSL_get_error(session, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return false
        default: throw Self.failure("the TLS handshake failed")
        }
    }

    private func checkCertificate() throws(TLSFailure) {
        guard let certificate = SSL_get1_peer_certificate(session) else {
            throw TLSFailure(isDistrust: true, description: "the server shows no certificate")
        }
        defer { X509_free(certificate) }
        let result = SSL_get_verify_result(session)
        if trust.checksChain, result != Int(X509_V_OK) {
            let words = String(cString: X509_verify_cert_error_string(result))
            throw TLSFailure(isDistrust: true, description: "the server's certificate is not trusted: \(words)")
        }
        guard trust.checksHostName else { return }
        let names =
            Self.isAddress(host)
            ? X509_check_ip_asc(certificate, host, 0) : X509_check_host(certificate, host, host.utf8.count, 0, nil)
        if names != 1 {
            throw TLSFailure(isDistrust: true, description: "the server's certificate is not for \(host)")
        }
    }

    /// Decrypts into `room`; 0: nothing whole is there yet. Nil: the other side ended the session.
    func read(into room: UnsafeMutableRawBufferPointer) throws(TLSFailure) -> Int? {
        ERR_clear_error()
        let count = SSL_read(session, room.baseAddress, Int32(clamping: room.count))
        if count > 0 { return Int(count) }
        switch SSL_get_error(session, count) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return 0
        case SSL_ERROR_ZERO_RETURN: return nil
        default: throw Self.failure("TLS broke")
        }
    }

    /// Encrypts; the result is in `takeOutgoing`.
    func send(_ bytes: [UInt8]) throws(TLSFailure) {
        guard !bytes.isEmpty else { return }
        ERR_clear_error()
        // The outgoing side grows as needed: all is taken at once, or it fails.
        let count = bytes.withUnsafeBytes { SSL_write(session, $0.baseAddress, Int32(clamping: $0.count)) }
        if count != bytes.count { throw Self.failure("TLS broke") }
    }

    /// Tells the other side that nothing more comes.
    func end() { if isSecured { SSL_shutdown(session) } }

    /// What is to go on the wire.
    func takeOutgoing() -> [UInt8] {
        let waiting = BIO_ctrl_pending(outgoing)
        guard waiting > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: waiting) { buffer, count in
            count = max(0, Int(BIO_read(outgoing, buffer.baseAddress, Int32(clamping: waiting))))
        }
    }

    /// A failure with OpenSSL's reason, where it has one.
    private static func failure(_ what: String) -> TLSFailure {
        let code = ERR_get_error()
        ERR_clear_error()
        guard code != 0, let reason = ERR_reason_error_string(code) else {
            return TLSFailure(isDistrust: false, description: what)
        }
        return TLSFailure(isDistrust: false, description: "\(what): \(String(cString: reason))")
    }
}
