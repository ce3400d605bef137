// From the settings to who is trusted: what a service says of its certificates before it starts.
import Foundation
import Harness
import Logging
import RPC
import Synchronization
import Testing
import Wire

@testable import ServiceKit

private final class Lines: Sendable {
    private let held = Mutex<[String]>([])
    var all: [String] { held.withLock { $0 } }

    var logger: Logger {
        Logger(label: "test") { label in
            StandardErrorLog(label: label, service: "t-0", level: .info, format: .text, clock: ManualWallClock()) {
                [self] line in held.withLock { $0.append(line) }
            }
        }
    }
}

@Suite("TLS settings")
struct TLSSettingsTests {
    private let lines = Lines()

    private func runtime(
        _ role: String, callers: [String] = [], authorities: String? = nil,
        _ change: (inout Settings) -> Void = { _ in }
    ) async throws -> ServiceRuntime {
        let certificates = try await SiteCertificates.shared()
        var settings = Settings()
        settings[CommonSettings.listen] = ["tls+tcp://localhost:0"]
        settings[CommonSettings.hints] = ["tls+tcp://localhost:0"]
        settings[CommonSettings.tlsAuthorities] = authorities ?? certificates.authorities
        settings[CommonSettings.tlsCertificate] = certificates.certificate(of: role)
        settings[CommonSettings.tlsKey] = certificates.key(of: role)
        change(&settings)
        return ServiceRuntime(role: role, callers: callers, settings: settings, logger: lines.logger)
    }

    /// Runs a server of `runtime`, and gives what Health/Check answers to `callers`, in their order; nil for no answer.
    private func answers(of runtime: ServiceRuntime, to callers: [String]) async throws -> [String?] {
        let server = try runtime.makeServer()
        try await server.start()
        let running = Task { try await server.run() }
        var answers: [String?] = []
        for caller in callers {
            let other = try await self.runtime(caller) { settings in
                settings[CommonSettings.neighbour("indexer")] = server.listeningAddresses.map(\.description)
            }
            let client = try other.makeClient(role: "indexer")
            // One who is let in is answered in milliseconds.
            let reply = try? await client.call(HealthMethods.check, HealthRequest(), timeout: .seconds(1))
            answers.append(reply?.service)
            other.close()
        }
        server.stop()
        try await running.value
        return answers
    }

    @Test func whomTheContractNamesIsLetInAndSoAreProbes() async throws {
        let indexer = try await runtime("indexer", callers: ["archiver"])
        let answers = try await answers(of: indexer, to: ["archiver", "operator", "asset-registry"])
        #expect(answers == ["indexer/indexer-0", "indexer/indexer-0", nil])
        #expect(lines.all.isEmpty)
    }

    @Test func aNeighbourIsItsRoleOnly() async throws {
        let impostor = try await runtime("capture-controller", callers: ["archiver"])
        #expect(try await answers(of: impostor, to: ["archiver"]) == [nil])
    }

    @Test func rolesWithoutAuthorityAreToldOnce() async throws {
        let some = try await SiteCertificates.shared().authorities(of: ["operator"])
        let indexer = try await runtime("indexer", callers: ["archiver", "operator"], authorities: some.url.path)
        _ = try indexer.makeServer()
        _ = try indexer.makePublisher()
        #expect(lines.all.count == 1)
        #expect(lines.all.first?.contains("over TLS nobody is let in as archiver: ") == true)
    }

    @Test func withoutAnyAuthorityTheSettingsAreWrong() async throws {
        let none = try TemporaryDirectory()
        let indexer = try await runtime("indexer", callers: ["archiver"], authorities: none.url.path)
        let folder = none.url.path
        for make in [{ _ = try indexer.makeServer() }, { _ = try indexer.makePublisher() }] {
            let error = try #require(throws: SettingsError.self) { try make() }
            #expect(
                error.description.hasPrefix("setting 'tls-authorities': the folder \(folder) has no archiver.pem, "))
        }
        #expect(throws: Never.self) { try indexer.makeClient(role: "asset-registry").close() }
    }

    @Test func eachOfTheThreeSettingsIsNeeded() async throws {
        for setting in [CommonSettings.tlsAuthorities, CommonSettings.tlsCertificate, CommonSettings.tlsKey] {
            let indexer = try await runtime("indexer") { $0[setting] = "" }
            let error = try #require(throws: SettingsError.self) { try indexer.makeServer() }
            #expect(error.description.contains("tls-authorities, tls-certificate and tls-key"))
        }
    }
}
