// Certificates for the TLS tests, made by deploy/local/certificates as a site would: an authority and a certificate for each
// role, for the name localhost or for others.

import Foundation

/// The authorities and certificates of one site.
public struct SiteCertificates: Sendable {
    private static let made = Task { try await make(for: ["localhost"]) }

    private let folder: TemporaryDirectory

    /// Made once for the whole test process.
    public static func shared() async throws -> SiteCertificates { try await made.value }

    /// The folder with the authority of every role, for `tls-authorities`.
    public var authorities: String { folder.path("authorities") }

    /// The certificate of a role.
    public func certificate(of role: String) -> String { folder.path("issued/\(role).pem") }

    /// The private key of a role.
    public func key(of role: String) -> String { folder.path("issued/\(role).key") }

    /// The arguments that give an executable the certificate of a role. With `trusting`, the folder of authorities where not
    /// all are to be trusted.
    public func arguments(of role: String, trusting folder: String? = nil) -> [String] {
        [
            "--tls-authorities", folder ?? authorities, "--tls-certificate", certificate(of: role), "--tls-key",
            key(of: role),
        ]
    }

    /// A new folder with the authorities of some roles only.
    public func authorities(of roles: [String]) throws -> TemporaryDirectory {
        let some = try TemporaryDirectory()
        for role in roles {
            try FileManager.default.copyItem(atPath: "\(authorities)/\(role).pem", toPath: some.path("\(role).pem"))
        }
        return some
    }

    /// New ones for hosts of these names; each certificate is for all of them.
    public static func make(for names: [String]) async throws -> SiteCertificates {
        let folder = try TemporaryDirectory(holdsSecrets: true)
        let script = Executables.repository.appendingPathComponent("deploy/local/certificates").path
        let result = try await runTool("bash", [script, folder.url.path, "all"] + names)
        guard result.exitCode == 0 else { throw HarnessError("certificates: \(result.output)\(result.error)") }
        return SiteCertificates(folder: folder)
    }
}
