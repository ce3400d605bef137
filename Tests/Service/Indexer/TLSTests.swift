// The indexer between hosts: it lets in whom its contract names, and nobody takes another role's certificate for an indexer.

import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.enabled(if: ownsProcess)) struct TLSTests {
    @Test func eachRoleOfTheContractIsServed() async throws {
        try await withTLS { bench, certificates, host async throws in
            for role in IndexerMethods.callerRoles {
                let client = RPCClient(
                    role: "indexer", addresses: [try host.requests], caller: "\(role)/test",
                    tls: certificates.tls(of: role))
                defer { client.close() }
                let health = try await client.call(HealthMethods.check, HealthRequest())
                #expect(health.service == "indexer/indexer-0", "\(role)")
                #expect(try await handshake(as: role, at: host.requestPort, certificates) == 0, "\(role)")
                #expect(try await handshake(as: role, at: host.hintPort, certificates) == 0, "\(role)")
            }
        }
    }

    @Test func hintsTravelToo() async throws {
        try await withTLS { bench, certificates, host async throws in
            let listener = HintSubscriber(
                addresses: [try host.hints], topics: ["requests/"], tls: certificates.tls(of: "operator"))
            defer { listener.close() }
            var events = listener.hints.makeAsyncIterator()
            // Connected: from here on no hint is lost unnoticed.
            #expect(await events.next() == .lost)
            _ = try await bench.call(IndexerMethods.submitArchive, bench.archive("over-tls", 0, 10))
            guard case .hint(let hint) = await events.next() else {
                Testing.Issue.record("no hint came")
                return
            }
            #expect(hint.name == "over-tls-\(bench.tag)")
        }
    }

    @Test func everybodyElseIsRefusedOnBothSockets() async throws {
        try await withTLS { _, certificates, host async throws in
            for port in [host.requestPort, host.hintPort] {
                for role in ["asset-registry", "indexer"] {
                    #expect(try await handshake(as: role, at: port, certificates) != 0, "\(role)")
                }
                #expect(try await handshake(as: nil, at: port, certificates) != 0, "without a certificate")
                #expect(try await handshake(as: "operator", at: port, certificates) == 0)
            }
        }
    }

    @Test func aControllerThatPosesAsTheIndexerIsRefusedByTheCommandLine() async throws {
        for (role, exitCode) in [("capture-controller", Int32(69)), ("indexer", 0)] {
            try await withTLS(certificateOf: role) { bench, certificates, host async throws in
                let result = try await runTool(
                    "sightglass",
                    ["health", "indexer", "--indexer", "\(try host.requests)", "--answer-within", "1s"]
                        + certificates.arguments(of: "operator"))
                #expect(result.exitCode == exitCode, "\(role): \(result.output)\(result.error)")
                #expect(result.error.contains("do both sides trust each other's certificate") == (exitCode != 0))
                // The process itself is well: over ipc it answers.
                _ = try await bench.call(IndexerMethods.listCameras, ListCamerasRequest())
            }
        }
    }

    @Test func aRoleWithoutAuthorityFileIsNotTrustedAndTheLogSaysSo() async throws {
        let some = try await SiteCertificates.shared().authorities(of: ["operator"])
        try await withTLS(trusting: some.url.path) { bench, certificates, host async throws in
            #expect(try await handshake(as: "operator", at: host.requestPort, certificates) == 0)
            #expect(try await handshake(as: "archiver", at: host.requestPort, certificates) != 0)
            let lines = host.process.standardError.split(separator: "\n").filter { $0.contains("nobody is let in as") }
            #expect(lines.count == 1)
            #expect(lines.first?.contains("capture-controller, archiver, cloud-uploader, mqtt-edge-adapter") == true)
        }
    }

    @Test func certificatesThatAreMissingAreOneLineThatSaysWhatToDo() async throws {
        let certificates = try await SiteCertificates.shared()
        let none = try TemporaryDirectory()
        let cases: [([String], String)] = [
            ([], "it needs tls-authorities, tls-certificate and tls-key as well"),
            (certificates.arguments(of: "indexer", trusting: none.url.path), "put the certificate of"),
            (Array(certificates.arguments(of: "indexer").dropLast()) + ["/nowhere.key"], "'tls-key': cannot read"),
        ]
        for (arguments, words) in cases {
            let bench = try IndexerBench()
            let process = try #require(try bench.start(["--listen", "tls+tcp://localhost:1"] + arguments))
            #expect(try await process.exitCode(within: .seconds(10)) == 64, "\(words)")
            #expect(process.standardError.split(separator: "\n").count == 1)
            #expect(process.standardError.contains(words), "\(process.standardError)")
        }
    }
}

// MARK: - An indexer on tls+tcp

/// Where the indexer of a test listens beside its ipc sockets.
private struct TLSHost: Sendable {
    let requestPort: UInt16
    let hintPort: UInt16
    let process: ServiceProcess
    var requests: RPCAddress { get throws { try RPCAddress(parsing: "tls+tcp://localhost:\(requestPort)") } }
    var hints: RPCAddress { get throws { try RPCAddress(parsing: "tls+tcp://localhost:\(hintPort)") } }
}

/// Runs a test against an indexer that listens on ipc and on TLS, with the certificate of `role`.
private func withTLS(
    certificateOf role: String = "indexer", trusting authorities: String? = nil,
    _ body: (IndexerBench, SiteCertificates, TLSHost) async throws -> Void
) async throws {
    let certificates = try await SiteCertificates.shared()
    let bench = try IndexerBench()
    let (requests, hints) = (try freePort(), try freePort())
    let process = try #require(
        try bench.start(
            [
                "--listen", bench.address, "--listen", "tls+tcp://localhost:\(requests)", "--hints",
                "tls+tcp://localhost:\(hints)",
            ] + certificates.arguments(of: role, trusting: authorities)))
    do {
        _ = try await bench.call(IndexerMethods.listCameras, ListCamerasRequest())
        try await body(bench, certificates, TLSHost(requestPort: requests, hintPort: hints, process: process))
    } catch {
        Testing.Issue.record("\(error)\n\(process.standardError)")
        try await process.kill()
        throw error
    }
    #expect(try await process.terminate() == 0)
}

/// One TLS handshake by openssl as `role`, or without a certificate: 0 when both sides took each other's.
private func handshake(as role: String?, at port: UInt16, _ certificates: SiteCertificates) async throws -> Int32 {
    let own = role.map { ["-cert", certificates.certificate(of: $0), "-key", certificates.key(of: $0)] } ?? []
    return try await runTool(
        "openssl",
        [
            "s_client", "-connect", "localhost:\(port)", "-CAfile", "\(certificates.authorities)/indexer.pem",
            "-verify_return_error", "-brief",
        ] + own
    ).exitCode
}

extension SiteCertificates {
    fileprivate func tls(of role: String) -> RPCTLS {
        RPCTLS(
            authoritiesPath: authorities, trustedRoles: ["indexer"], certificatePath: certificate(of: role),
            keyPath: key(of: role))
    }
}
