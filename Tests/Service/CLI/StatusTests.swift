// status: one screen of the whole site, once and again and again.

import Fakes
import Foundation
import Harness
import Testing
import Wire

@Suite struct StatusTests {
    /// The controller says that the camera streams, and records if `synced`.
    private func streams(_ bench: CommandBench, synced: Bool = true) {
        bench.controller.listStatus.answer { _ in
            let nowUs = Int64(Date().timeIntervalSince1970 * 1e6)
            return ListStatusReply(
                controllerID: "cc-0",
                sources: [
                    SourceStatus(
                        source: CommandBench.source, state: .streaming, videoCodec: "h264", widthPx: 1280,
                        heightPx: 720,
                        packets: 100, lastPacketUs: nowUs, syncedToUs: synced ? nowUs : nil)
                ],
                tasks: [TaskStatus(stream: CommandBench.clips, type: .clipToFs, state: .running, produced: 3)],
                volumes: [
                    VolumeStatus(
                        role: "recording", mountPath: "/mnt/recording", writable: true, totalBytes: 1 << 40,
                        freeBytes: 1 << 39)
                ])
        }
    }

    @Test func theScreenOfASiteWhoseCameraRecords() async throws {
        try await withCommands { bench in
            streams(bench)
            let result = try await bench.run("status")
            #expect(result.exitCode == 1, "archiver and adapter are away")
            let screen = Screen(result.output)
            #expect(try screen.text == screen.recorded(as: "status/faked"))
        }
    }

    @Test func asJSONItSaysWhetherFootageLands() async throws {
        struct Shown: Decodable {
            struct Camera: Decodable, Equatable {
                let source: String
                let footage: String
            }
            struct Service: Decodable {
                let role: String
                let answers: Bool
            }
            let well: Bool
            let cameras: [Camera]
            let services: [Service]
            let openRequests: Int
        }
        try await withCommands { bench in
            streams(bench)
            let status = try shown(try await bench.run("status", "--json"), as: Shown.self)
            #expect(status.cameras == [.init(source: "cam1/main", footage: "lands")])
            #expect(!status.well && status.openRequests == 0)
            #expect(status.services.count == 6)
            #expect(
                Set(status.services.filter(\.answers).map(\.role))
                    == ["asset-registry", "capture-controller", "indexer", "cloud-uploader"])
        }
    }

    @Test func watchedItFollowsWhatHappens() async throws {
        try await withCommands { bench in
            streams(bench, synced: false)
            let process = try ServiceProcess(
                "sightglass", ["status", "--watch", "--every", "50ms"],
                environment: ["SIGHTGLASS_RUN_DIRECTORY": bench.folder.url.path], logs: bench.folder)
            func shows(_ text: String) async throws {
                try await eventually("it shows \(text)") { process.standardOutput.contains(text) ? true : nil }
            }
            try await shows("1 only in memory")
            streams(bench)
            try await shows("footage: lands of 1 of 1 camera")
            await bench.indexer.server.stop()
            try await shows("requests, uploads: not known, the indexer does not answer")
            #expect(process.isRunning)
            process.signal(SIGINT)
            #expect(try await process.exitCode(within: .seconds(10)) == -SIGINT)
        }
    }

    @Test func watchedAsJSONEachLineIsAnObject() async throws {
        try await withCommands { bench in
            streams(bench)
            let process = try ServiceProcess(
                "sightglass", ["status", "--watch", "--every", "50ms", "--json"],
                environment: ["SIGHTGLASS_RUN_DIRECTORY": bench.folder.url.path], logs: bench.folder)
            let lines = try await eventually("two lines come") {
                let lines = process.standardOutput.split(separator: "\n")
                return lines.count >= 2 ? lines : nil
            }
            for line in lines {
                let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
                #expect((object?["cameras"] as? [Any])?.count == 1)
            }
            try await process.kill()
        }
    }

    @Test func whereNobodyAnswersItIs69() async throws {
        let folder = try TemporaryDirectory()
        let result = try await runTool("sightglass", ["status", "--run-directory", folder.url.path])
        #expect(result.exitCode == 69)
        #expect(result.error.contains("start them, or give --run-directory"))
    }
}
