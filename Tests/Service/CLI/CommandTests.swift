// Each command: what it asks the services, what it prints, how it ends.

import Fakes
import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite struct CommandTests {
    @Test func applySendsEachFileAndFailsForAnErrorIssue() async throws {
        try await withCommands { bench in
            let first = try bench.folder.write("kind: Device\n", to: "a.yaml")
            let second = try bench.folder.write("{}", to: "b.json")
            bench.registry.apply.answer { request in
                let failed = request.text == "{}"
                return ApplyReply(documents: [
                    AppliedDocument(
                        kind: .asset, name: "line1", changed: true,
                        issues: failed ? [Issue(severity: .error, message: "duration is wrong", stream: "clips")] : [])
                ])
            }
            let good = try await bench.run("apply", "-f", first)
            #expect(good.exitCode == 0, "\(good.error)")
            #expect(good.output == "asset line1: applied\n")
            let bad = try await bench.run("apply", "-f", first, "-f", second, "--dry-run")
            #expect(bad.exitCode == 1)
            #expect(bad.output.contains("error [clips]: duration is wrong"))
            #expect(bench.registry.apply.requests.map(\.dryRun) == [false, true, true])
            #expect(bench.registry.apply.requests.last?.origin == "file \(second)")
        }
    }

    @Test func applyShowsWhereATextIsWrong() async throws {
        try await withCommands { bench in
            bench.registry.apply.answer { _ in throw RPCError.invalidArgument("text", "line 3, column 5: no such key") }
            let result = try await bench.run("apply", "-f", try bench.folder.write("x", to: "cams.yaml"))
            #expect(result.exitCode == 1)
            #expect(result.error.contains("cams.yaml: line 3, column 5"))
            let missing = try await bench.run("apply", "-f", "/nonexistent.yaml")
            #expect(missing.exitCode == 1)
            #expect(missing.error.contains("/nonexistent.yaml: cannot be read"))
        }
    }

    @Test func getPrintsTablesAndJSON() async throws {
        try await withCommands { bench in
            let table = try await bench.run("get", "streams")
            #expect(table.exitCode == 0, "\(table.error)")
            #expect(table.output.split(separator: "\n").count == 2)
            #expect(table.output.contains("line1/clips  cam1/main  clip_to_fs  run"))
            let json = try await bench.run("get", "leases", "--json")
            struct Shown: Decodable, Equatable {
                let source: String
                let holder: String
                let epoch: Int
            }
            let leases = try JSONDecoder().decode([Shown].self, from: Data(json.output.utf8))
            #expect(leases == [Shown(source: "cam1/main", holder: "cc-0", epoch: 1)])
        }
    }

    @Test func startSendsSettingsAndEnd() async throws {
        try await withCommands { bench in
            let result = try await bench.run(
                "start", "line1/clips", "--set", "duration=30", "--set", "format=mp4", "--set", "audioEnabled=false",
                "--for",
                "10m")
            #expect(result.exitCode == 0, "\(result.error)")
            let request = try #require(bench.registry.setDesiredState.requests.last)
            #expect(request.stream == CommandBench.clips && request.running == true)
            #expect(request.overrideJSON == #"{"duration":30,"format":"mp4","audioEnabled":false}"#)
            #expect(request.endsAfterMs == 600_000)
            #expect(request.startedBy?.hasPrefix("cli:") == true)
            let stop = try await bench.run("stop", "line1/clips")
            #expect(stop.exitCode == 0)
            #expect(bench.registry.setDesiredState.requests.last?.running == false)
            let unknown = try await bench.run("start", "line1/none")
            #expect(unknown.exitCode == 1)
            #expect(unknown.error.contains("no stream line1/none"))
        }
    }

    @Test func archiveAsksForTheFootageBeforeTheRequest() async throws {
        try await withCommands { bench in
            let result = try await bench.run(
                "archive", "line1", "--start", "2026-11-23T05:00:00Z", "--duration", "30s", "--reason", "spill",
                "--delivery", "archive", "--request-id", "r-1")
            #expect(result.exitCode == 0, "\(result.error)")
            #expect(result.output == "r-1\n")
            let window = Window(startUs: 1_795_410_000_000_000, endUs: 1_795_410_030_000_000)
            #expect(bench.controller.ensureFootage.requests.map(\.window) == [window])
            #expect(bench.controller.ensureFootage.requests.map(\.key) == ["r-1"])
            let request = try #require(bench.indexer.submitArchive.requests.first)
            #expect(request.window == window && request.delivery == .archive && request.reason == "spill")
            #expect(request.cameras.map(\.camera) == ["line1"])
            #expect(request.cameras.map(\.footage) == [.recording])
        }
    }

    @Test func archiveKeepsTheFootageWhenTheIndexerIsAway() async throws {
        try await withCommands { bench in
            await bench.indexer.server.stop()
            let result = try await bench.run(
                "archive", "cam1/main", "--start", "-90s", "--duration", "30s", "--answer-within", "500ms")
            #expect(result.exitCode == 69)
            #expect(bench.controller.ensureFootage.requests.count == 1)
            let key = try #require(bench.controller.ensureFootage.requests.first?.key)
            #expect(result.error.contains("--request-id \(key)"))
            #expect(result.error.contains("Start indexer"))
        }
    }

    @Test(arguments: [(RequestState.done, Int32(0)), (.partial, 1), (.failed, 1), (.cancelled, 1)])
    func archiveWaitsForTheEnd(state: RequestState, status: Int32) async throws {
        try await withCommands { bench in
            bench.indexer.show(
                ArchiveRequest(
                    requestID: "r-2", state: state,
                    files: [
                        DeliveredFile(
                            kind: .segment, state: .uploaded, blobURL: "https://a.example/b.mp4", sizeBytes: 2048)
                    ]))
            let result = try await bench.run(
                "archive", "line1", "--start", "now", "--duration", "5s", "--request-id", "r-2", "--wait")
            #expect(result.exitCode == status, "\(result.error)")
            #expect(result.output.contains("https://a.example/b.mp4"))
            #expect(result.output.contains("2.0 KiB"))
        }
    }

    @Test func anUnknownCameraIsNamedWithThoseThereAre() async throws {
        try await withCommands { bench in
            let result = try await bench.run("archive", "line9", "--start", "now", "--duration", "5s")
            #expect(result.exitCode == 1)
            #expect(result.error.contains("line9") && result.error.contains("line1"))
            #expect(bench.indexer.submitArchive.requests.isEmpty)
        }
    }

    @Test func snapshotWritesAFileOnce() async throws {
        try await withCommands { bench in
            let path = bench.folder.path("now.jpg")
            let result = try await bench.run(
                "snapshot", "line1/clips", "-o", path, "--quality", "70", "--max-width", "640", "--max-height", "480")
            #expect(result.exitCode == 0, "\(result.error)")
            #expect(FileManager.default.contents(atPath: path) == Data([0xFF, 0xD8, 0xFF, 0xD9]))
            let asked = TakeSnapshotRequest(
                stream: CommandBench.clips, format: "jpeg", jpegQuality: 70, maxWidthPx: 640, maxHeightPx: 480)
            #expect(bench.controller.takeSnapshot.requests == [asked])
            #expect(try await bench.run("snapshot", "line1/clips", "-o", path).exitCode == 1)
            bench.registry.setLeases([])
            #expect(try await bench.run("snapshot", "line1/clips", "-o", path + "2").exitCode == 69)
        }
    }

    @Test func statusShowsServicesSourcesAndTasks() async throws {
        try await withCommands { bench in
            bench.controller.listStatus.answer { _ in
                ListStatusReply(
                    controllerID: "cc-0",
                    sources: [
                        SourceStatus(
                            source: CommandBench.source, state: .backingOff, reason: "camera refuses the user name")
                    ],
                    tasks: [TaskStatus(stream: CommandBench.clips, type: .clipToFs, state: .waiting)])
            }
            let result = try await bench.run("status")
            #expect(result.exitCode == 1, "services are away and a source is dark")
            #expect(result.output.contains("camera refuses the user name"))
            #expect(result.output.contains("line1/clips"))
            #expect(result.output.split(separator: "\n").contains { $0.hasPrefix("archiver") && $0.contains("away") })
        }
    }

    @Test func requestsAndCancel() async throws {
        try await withCommands { bench in
            bench.indexer.show(ArchiveRequest(requestID: "r-3", state: .copying))
            let list = try await bench.run("requests")
            #expect(list.exitCode == 0 && list.output.contains("r-3") && list.output.contains("copying"))
            #expect(try await bench.run("request", "r-3").exitCode == 0)
            #expect(try await bench.run("request", "none").exitCode == 1)
            let cancel = try await bench.run("cancel", "r-3")
            #expect(cancel.exitCode == 0)
            #expect(bench.indexer.cancelRequest.requests.map(\.requestID) == ["r-3"])
        }
    }

    @Test func healthTellsReadyAndAway() async throws {
        try await withCommands { bench in
            #expect(try await bench.run("health", "indexer").exitCode == 0)
            let away = try await bench.run("health", "archiver", "--answer-within", "300ms")
            #expect(away.exitCode == 69)
            #expect(away.error.contains("Start archiver, or say where it is with --archiver"))
        }
    }

    @Test func volumesAreAdoptedOnce() async throws {
        let folder = try TemporaryDirectory()
        let path = try folder.makeFolder("volume")
        func volume(_ arguments: String...) async throws -> ToolResult {
            try await runTool("sightglass", ["volume"] + arguments)
        }
        #expect(try await volume("show", path).exitCode == 1)
        let adopted = try await volume("adopt", path, "--role", "archive")
        #expect(adopted.exitCode == 0, "\(adopted.error)")
        #expect(try await volume("adopt", path, "--role", "archive").exitCode == 1)
        let shown = try await volume("show", path)
        #expect(shown.exitCode == 0 && shown.output.contains("archive volume"))
    }

    @Test(arguments: [
        ["archive", "line1", "--start", "yesterday", "--duration", "5s"], ["archive", "line1", "--start", "now"],
        ["archive", "line1", "--start", "2026-11-23T05:00:00", "--duration", "5s"],
        ["archive", "line1", "--start", "now", "--end", "-5s"],
        ["archive", "line1", "--start", "now", "--duration", "25h"],
        ["footage", "line1", "--start", "2026-02-29T05:00:00Z", "--duration", "5s"], ["start", "line1"],
        ["start", "a/b", "--set", "duration"], ["get", "cameras"], ["apply"], ["health", "broker"], ["nonsense"],
        ["cameras", "--indexer", "tcp://192.0.2.1:7001"],
    ])
    func wrongUsageIs64(arguments: [String]) async throws {
        let result = try await runTool("sightglass", arguments)
        #expect(result.exitCode == 64, "\(result.error)")
        #expect(!result.error.isEmpty)
    }
}
