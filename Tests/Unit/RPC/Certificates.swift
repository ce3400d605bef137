// Certificates for the TLS tests, made by openssl into a folder of their own.

import Foundation

@testable import RPC

/// Two authorities: "ours" signed localhost's server and client; "foreign" signed another client.
struct Certificates: Sendable {
    private static let made = Task { try await make() }

    let folder: TemporaryFolder
    var server: RPCTLS { tls("ours", "server") }
    var client: RPCTLS { tls("ours", "client") }
    var foreignClient: RPCTLS { tls("ours", "foreign-client") }
    /// A client that trusts another authority than the server's.
    var mistrustfulClient: RPCTLS { tls("foreign", "client") }

    static func shared() async throws -> Certificates { try await made.value }

    private func tls(_ authority: String, _ name: String) -> RPCTLS {
        RPCTLS(
            authorityPath: "\(folder.path)/\(authority).pem", certificatePath: "\(folder.path)/\(name).pem",
            keyPath: "\(folder.path)/\(name).key")
    }

    private struct Failed: Error { let output: String }

    private static func make() async throws -> Certificates {
        let folder = try TemporaryFolder()
        let script = """
            set -e; cd "$1"
            key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
            for authority in ours foreign; do
              openssl req -x509 $key -keyout $authority.key -out $authority.pem -days 2 -subj "/CN=$authority"
            done
            sign() {
              openssl req $key -keyout $2.key -out $2.csr -subj "/CN=localhost"
              printf 'subjectAltName=DNS:localhost\\n' > $2.ext
              openssl x509 -req -in $2.csr -CA $1.pem -CAkey $1.key -CAcreateserial -out $2.pem -days 2 -extfile $2.ext
            }
            sign ours server; sign ours client; sign foreign foreign-client
            """
        let (status, output) = await onOwnThread { () -> (Int32, String) in
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = ["-c", script, "sh", folder.path]
            let pipe = Pipe()
            process.standardOutput = pipe
            process.standardError = pipe
            do { try process.run() } catch { return (-1, "\(error)") }
            let output = pipe.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return (process.terminationStatus, String(decoding: output, as: UTF8.self))
        }
        guard status == 0 else { throw Failed(output: output) }
        return Certificates(folder: folder)
    }
}
