// doctor: what of a site needs a person. Each rule has its test among the unit tests; here are whole sites.

import Fakes
import Foundation
import Harness
import Testing
import Wire

@Suite struct DoctorTests {
    private struct Shown: Decodable {
        let verdict: String
        let checks: [ShownCheck]

        func check(_ code: String) -> ShownCheck? { checks.first { $0.code == code } }
    }

    private func doctor(_ bench: CommandBench, _ more: String...) async throws -> (Shown, Int32) {
        let result = try await bench.run(["doctor", "--json"] + more)
        return (try shown(result), result.exitCode)
    }

    /// The camera streams and records by the clock of this host, moved by `aheadUs`.
    private func streams(_ bench: CommandBench, aheadUs: Int64 = 0) {
        bench.controller.listStatus.answer { _ in
            let nowUs = Int64(Date().timeIntervalSince1970 * 1e6) + aheadUs
            return ListStatusReply(
                controllerID: "cc-0",
                sources: [
                    SourceStatus(
                        source: CommandBench.source, state: .streaming, videoCodec: "h264", widthPx: 640, heightPx: 480,
                        packets: 10, lastPacketUs: nowUs, syncedToUs: nowUs)
                ],
                volumes: [
                    VolumeStatus(
                        volumeID: "v1", role: "recording", mountPath: "/mnt/recording", writable: true,
                        totalBytes: 1 << 40, freeBytes: 1 << 39)
                ])
        }
    }

    @Test func theScreenOfASiteInTrouble() async throws {
        try await withCommands { bench in
            bench.controller.listStatus.answer { _ in
                ListStatusReply(
                    controllerID: "cc-0",
                    sources: [
                        SourceStatus(
                            source: CommandBench.source, state: .backingOff, reason: "connection refused at cam1:554",
                            cause: "refused", attempts: 40)
                    ],
                    volumes: [
                        VolumeStatus(
                            volumeID: "v1", role: "recording", mountPath: "/mnt/recording", writable: true,
                            totalBytes: 1 << 40, freeBytes: 100 << 20, spooledRecords: 4_000)
                    ])
            }
            bench.indexer.listUploads.answer { _ in
                ListUploadsReply(waitingFiles: 7, waitingBytes: 7 << 20, setAsideFiles: 2, setAsideBytes: 1 << 20)
            }
            bench.indexer.checkCatalogue.answer { _ in
                CheckCatalogueReply(problems: ["row 7 of media has no volume"], rows: 100)
            }
            let result = try await bench.run("doctor")
            #expect(result.exitCode == 2, "\(result.error)")
            let screen = Screen(result.output)
            #expect(try screen.text == screen.recorded(as: "doctor/trouble"))
        }
    }

    @Test func exitStatusesAreZeroOneAndTwo() async throws {
        try await withCommands { bench in
            streams(bench)
            // Archiver and adapter are away.
            #expect(try await doctor(bench).1 == 2)
            let stand = try FakeIndexer(
                address: "ipc://\(bench.folder.path("archiver.rpc"))",
                hints: "ipc://\(bench.folder.path("archiver.hints"))")
            stand.server.start()
            let (attention, one) = try await doctor(bench)
            #expect(one == 1 && attention.verdict == "attention")
            #expect(attention.checks.filter { $0.verdict != "ok" }.map(\.subject) == ["mqtt-edge-adapter"])
            let adapter = try FakeAdapter(address: "ipc://\(bench.folder.path("mqtt-edge-adapter.rpc"))")
            adapter.server.start()
            let (well, zero) = try await doctor(bench)
            #expect(zero == 0 && well.verdict == "ok", "\(well.checks.filter { $0.verdict != "ok" })")
            #expect(try await bench.run("doctor", "--brief").output == "all is well\n")
            await stand.server.stop()
            await adapter.server.stop()
        }
    }

    @Test(arguments: [(Int64(-60_000_000), "behind"), (60_000_000, "ahead of")])
    func aControllersClockIsSeen(aheadUs: Int64, words: String) async throws {
        try await withCommands { bench in
            streams(bench, aheadUs: aheadUs)
            let clock = try #require(try await doctor(bench).0.check("clock"))
            #expect(clock.subject == "clock of cc-0" && clock.seen.contains(words))
        }
    }

    @Test func certificatesAreRead() async throws {
        let folder = try TemporaryDirectory(holdsSecrets: true)
        let place = try await BrokenCamera.secure(folder)
        try FileManager.default.copyItem(
            atPath: folder.path("trusted/camera.pem"), toPath: folder.path("trusted/indexer.pem"))
        let port = try #require(place.address.firstMatch(of: /:(\d+)\//)?.1)
        try await withCommands { bench in
            let (shown, status) = try await doctor(
                bench, "--indexer", "tls+tcp://localhost:\(port)", "--tls-authorities", folder.path("trusted"),
                "--tls-certificate", folder.path("trusted/camera.pem"), "--tls-key", folder.path("camera.key"),
                "--answer-within", "500ms")
            #expect(status == 2, "its certificates end in two days")
            let ending = shown.checks.filter { $0.code == "certificate_ends" }
            #expect(
                ending.map(\.subject) == [
                    "certificate: operator's own", "certificate: authority of camera",
                    "certificate: authority of indexer",
                    "certificate: indexer at tls+tcp://localhost:\(port)",
                ])
            #expect(ending.allSatisfy { $0.verdict == "wrong" && $0.advice?.contains("renew ROLE") == true })
        }
        withExtendedLifetime(place) {}
    }

    @Test func whereNobodyAnswersItSaysWhatToStart() async throws {
        let folder = try TemporaryDirectory()
        let result = try await runTool("sightglass", ["doctor", "--run-directory", folder.url.path])
        #expect(result.exitCode == 2)
        #expect(result.output.contains("start asset-registry") && result.output.contains("start indexer"))
    }
}
