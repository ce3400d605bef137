// The certificates of the RPC tests: an indexer that lets archivers call, and those who come with others. And a client that
// says how its first handshake ended.

import CNNG
import Foundation
import Harness

@testable import RPC

struct Certificates: Sendable {
    let site: SiteCertificates

    static func shared() async throws -> Certificates { Certificates(site: try await .shared()) }

    var server: RPCTLS { tls(of: "indexer", trusting: ["archiver"]) }
    var client: RPCTLS { tls(of: "archiver", trusting: ["indexer"]) }
    /// A client whose role the server does not let call.
    var foreignClient: RPCTLS { tls(of: "cloud-uploader", trusting: ["indexer"]) }
    /// A client that calls another role than the server's.
    var mistrustfulClient: RPCTLS { tls(of: "archiver", trusting: ["asset-registry"]) }

    func tls(of role: String, trusting roles: [String], in authorities: String? = nil) -> RPCTLS {
        RPCTLS(
            authoritiesPath: authorities ?? site.authorities, trustedRoles: roles,
            certificatePath: site.certificate(of: role), keyPath: site.key(of: role))
    }

    /// Connects once as `role`, or without a certificate, trusting the authority of `serverRole`; gives nng's result: 0 when
    /// both sides took each other's certificate.
    func handshake(
        as role: String?, with serverRole: String = "indexer", at address: RPCAddress
    ) async throws -> Int32 {
        func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
        let authority = try text("\(site.authorities)/\(serverRole).pem")
        let own = try role.map { (try text(site.certificate(of: $0)), try text(site.key(of: $0))) }
        return await onOwnThread {
            var (socket, dialer) = (nng_socket(), nng_dialer())
            var configuration: OpaquePointer?
            guard nng_req0_open(&socket) == 0 else { return -1 }
            defer { nng_close(socket) }
            guard nng_tls_config_alloc(&configuration, NNG_TLS_MODE_CLIENT) == 0, let configuration else { return -2 }
            defer { nng_tls_config_free(configuration) }
            nng_tls_config_auth_mode(configuration, NNG_TLS_AUTH_MODE_REQUIRED)
            nng_tls_config_server_name(configuration, "localhost")
            guard nng_tls_config_ca_chain(configuration, authority, nil) == 0 else { return -3 }
            if let (certificate, key) = own, nng_tls_config_own_cert(configuration, certificate, key, nil) != 0 {
                return -4
            }
            guard nng_dialer_create(&dialer, socket, "\(address)") == 0 else { return -5 }
            nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, UnsafeMutableRawPointer(configuration))
            return nng_dialer_start(dialer, 0)
        }
    }
}
