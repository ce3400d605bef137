// When certificates end: those of files, and those that services show. Blocks; called on a thread of its own (DiskLane.swift).

import COpenSSL
import Foundation

enum CertificateReader {
    /// A service on the same network answers in milliseconds.
    private static let patienceS = 2

    /// The first certificate of a PEM file.
    static func file(_ path: String, name: String) -> CertificateFact {
        guard let source = BIO_new_file(path, "r") else {
            ERR_clear_error()
            return CertificateFact(name: name, endsUs: nil, problem: "\(path) cannot be read")
        }
        defer { BIO_free(source) }
        guard let certificate = PEM_read_bio_X509(source, nil, nil, nil) else {
            ERR_clear_error()
            return CertificateFact(name: name, endsUs: nil, problem: "\(path) holds no certificate in PEM")
        }
        defer { X509_free(certificate) }
        return fact(certificate, name)
    }

    /// What a service shows. With the operator's own certificate and key, so that it takes the connection for one of ours. Whether
    /// the certificate is trusted is not asked here: each call checks that.
    static func shown(
        host: String, port: String, name: String, certificatePath: String?, keyPath: String?
    ) -> CertificateFact {
        func failed(_ problem: String) -> CertificateFact { CertificateFact(name: name, endsUs: nil, problem: problem) }
        guard let descriptor = connected(host, port) else { return failed("nothing answers at \(host):\(port)") }
        defer { close(descriptor) }
        guard let context = SSL_CTX_new(TLS_client_method()) else { return failed("TLS cannot be used") }
        defer { SSL_CTX_free(context) }
        if let certificatePath, let keyPath {
            // Where they do not fit the service refuses us, after it has shown its own.
            SSL_CTX_use_certificate_chain_file(context, certificatePath)
            SSL_CTX_use_PrivateKey_file(context, keyPath, SSL_FILETYPE_PEM)
        }
        guard let session = SSL_new(context) else { return failed("TLS cannot be used") }
        defer {
            SSL_free(session)
            ERR_clear_error()
        }
        SSL_set_verify(session, SSL_VERIFY_NONE, nil)
        SSL_set_fd(session, descriptor)
        let result = SSL_connect(session)
        guard let certificate = SSL_get1_peer_certificate(session) else {
            return failed("\(host):\(port) shows no certificate")
        }
        defer { X509_free(certificate) }
        if result == 1 { SSL_shutdown(session) }
        return fact(certificate, name)
    }

    private static func fact(_ certificate: OpaquePointer, _ name: String) -> CertificateFact {
        var time = tm()
        guard ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) == 1 else {
            return CertificateFact(name: name, endsUs: nil, problem: "its end is no time")
        }
        return CertificateFact(name: name, endsUs: Int64(timegm(&time)) * 1_000_000, problem: nil)
    }

    /// A connection to the first address that takes one.
    private static func connected(_ host: String, _ port: String) -> Int32? {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, port, &hints, &found) == 0 else { return nil }
        defer { freeaddrinfo(found) }
        var next = found
        while let info = next?.pointee {
            next = info.ai_next
            let descriptor = socket(info.ai_family, info.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), info.ai_protocol)
            guard descriptor >= 0 else { continue }
            // Linux ends a connect by the time-out of sending (socket(7)).
            var patience = timeval(tv_sec: patienceS, tv_usec: 0)
            let size = socklen_t(MemoryLayout<timeval>.size)
            setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, size)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, size)
            if connect(descriptor, info.ai_addr, info.ai_addrlen) == 0 { return descriptor }
            close(descriptor)
        }
        return nil
    }
}
