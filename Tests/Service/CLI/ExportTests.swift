// sightglass export: a window as a file here, of volumes that are mounted and of others, and what is there when it does not work.

import Fakes
import Foundation
import Harness
import RPC
import TestFootage
import Testing
import Volume
import Wire

@Suite struct ExportTests {
    private static let start = "2026-11-23T05:00:00.400Z"
    private static let awayID = "8d0f1a52-6d6c-4f3f-9a53-0f7f2c1f7f10"

    /// Three segments of a second: the first and the last on a volume that is mounted, the other at the controller.
    private func record(
        _ bench: CommandBench, _ cameras: [RecordedCamera] = Array(repeating: RecordedCamera(), count: 3)
    ) throws -> String {
        let volume = try bench.folder.makeFolder("recording")
        let mountedID = try VolumeRoot.adopt(at: volume, role: .recording, nowUs: RecordedCamera.startUs).volumeID
        var files: [MediaFile] = []
        var away: [UInt8] = []
        for (number, camera) in cameras.enumerated() {
            let frames = (25 * number)..<(25 * number + 25)
            let bytes = try camera.segment(frames)
            let path = "line1/clips/\(number).mp4"
            if number == 1 {
                away = bytes
            } else {
                let target = URL(fileURLWithPath: volume).appendingPathComponent(path)
                try FileManager.default.createDirectory(
                    at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(bytes).write(to: target)
            }
            files.append(
                MediaFile(
                    kind: .segment, volumeID: number == 1 ? Self.awayID : mountedID, path: path,
                    source: CommandBench.source, startUs: RecordedCamera.timeUs(frames.lowerBound),
                    endUs: RecordedCamera.timeUs(frames.upperBound), sizeBytes: UInt64(bytes.count)))
        }
        bench.indexer.queryMedia.answer { [files] _ in QueryMediaReply(files: files) }
        let address = "ipc://\(bench.folder.path("cc-0.rpc"))"
        bench.indexer.listVolumes.answer { _ in
            ListVolumesReply(volumes: [
                KnownVolume(volume: VolumeStatus(volumeID: Self.awayID), owner: "cc-0", ownerAddress: address)
            ])
        }
        bench.controller.readSegment.answer { [away] request in
            let from = Int(request.offset ?? 0)
            return ReadSegmentReply(
                data: Array(away[from..<min(away.count, from + Int(request.length ?? 0))]),
                sizeBytes: UInt64(away.count))
        }
        return volume
    }

    private func names(_ bench: CommandBench) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: bench.folder.path("out")).sorted()
    }

    @Test func aWindowBecomesAFileThatPlays() async throws {
        try await withCommands { bench in
            let volume = try record(bench)
            let path = try bench.folder.makeFolder("out") + "/clip.mp4"
            let result = try await bench.run(
                "export", "line1", "--start", Self.start, "--duration", "2200ms", "-o", path, "--volume", volume)
            #expect(result.exitCode == 0, "\(result.error)")
            #expect(result.output.hasPrefix("\(path): ") && result.output.contains("2.200s, 55 frames"))
            #expect(bench.indexer.queryMedia.requests.first?.asset == "line1")
            #expect(Set(bench.controller.readSegment.requests.map(\.path)) == ["line1/clips/1.mp4"])
            let probe = try await runTool(
                "ffprobe",
                [
                    "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries",
                    "stream=nb_read_frames:format=duration", "-of", "csv=p=0", path,
                ])
            #expect(probe.error == "" && probe.output.split(separator: "\n") == ["55", "2.200000"])
            #expect(try names(bench) == ["clip.mp4"])
        }
    }

    @Test func aFileThatIsThereIsNotReplaced() async throws {
        try await withCommands { bench in
            let volume = try record(bench)
            let path = try bench.folder.makeFolder("out") + "/clip.mp4"
            try Data([1]).write(to: URL(fileURLWithPath: path))
            let result = try await bench.run(
                "export", "line1", "--start", Self.start, "--duration", "2s", "-o", path, "--volume", volume)
            #expect(result.exitCode == 1 && result.error.contains("clip.mp4"))
            #expect(FileManager.default.contents(atPath: path) == Data([1]))
            #expect(try names(bench) == ["clip.mp4"] && bench.controller.readSegment.requests.isEmpty)
        }
    }

    @Test func whatIsMissingIsListedAndIsTheStatus() async throws {
        try await withCommands { bench in
            let volume = try record(bench)
            bench.indexer.coverage.answer { request in
                let end = request.window?.endUs ?? 0
                return CoverageReply(
                    covered: [Window(startUs: request.window?.startUs, endUs: end - 1_000_000)],
                    gaps: [
                        Gap(window: Window(startUs: end - 1_000_000, endUs: end), cause: "dark", reason: "no answer")
                    ], segments: 3, bytes: 9)
            }
            let path = try bench.folder.makeFolder("out") + "/clip.mp4"
            let result = try await bench.run(
                "export", "cam1/main", "--start", Self.start, "--duration", "3600ms", "-o", path, "--volume", volume,
                "--json")
            #expect(result.exitCode == 1, "\(result.error)")
            struct Shown: Decodable {
                struct File: Decodable {
                    let path: String
                    let sizeBytes: Int
                    let frames: Int
                }
                struct Coverage: Decodable {
                    struct Gap: Decodable { let cause: String }
                    let gaps: [Gap]
                }
                let files: [File]
                let coverage: Coverage
            }
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            let shown = try decoder.decode(Shown.self, from: Data(result.output.utf8))
            #expect(shown.files.map(\.frames) == [65] && shown.files.map(\.path) == [path])
            #expect(shown.coverage.gaps.map(\.cause) == ["dark"])
            let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
            #expect(size == shown.files.first?.sizeBytes)
            #expect(bench.indexer.queryMedia.requests.first?.source == CommandBench.source)
        }
    }

    @Test func ofNothingNoFileIsMade() async throws {
        try await withCommands { bench in
            let volume = try record(bench)
            let path = try bench.folder.makeFolder("out") + "/clip.mp4"
            func export() async throws -> ToolResult {
                try await bench.run(
                    "export", "line1", "--start", Self.start, "--duration", "2s", "-o", path, "--volume", volume)
            }
            bench.indexer.queryMedia.answer { _ in QueryMediaReply() }
            let vanished = try await export()
            #expect(vanished.exitCode == 1 && vanished.error.contains("nothing of the window"))
            bench.indexer.coverage.answer { request in
                CoverageReply(gaps: [Gap(window: request.window, cause: "dark", reason: "no answer")])
            }
            let dark = try await export()
            #expect(dark.exitCode == 1 && dark.error.contains("dark: no answer"))
            bench.indexer.coverage.answer { _ in throw RPCError.notFound("no footage came of an asset line1") }
            let unknown = try await export()
            #expect(unknown.exitCode == 1 && unknown.error.contains("no footage came"))
            #expect(try names(bench) == [])
        }
    }

    @Test func aVolumeThatCannotBeReadLeavesNothing() async throws {
        try await withCommands { bench in
            let volume = try record(bench)
            let path = try bench.folder.makeFolder("out") + "/clip.mp4"
            func export(_ volume: String) async throws -> ToolResult {
                try await bench.run(
                    "export", "line1", "--start", Self.start, "--duration", "2s", "-o", path, "--volume", volume)
            }
            let wrong = try await export(bench.folder.path("out"))
            #expect(wrong.exitCode == 1 && wrong.error.contains("no marker"))
            bench.indexer.listVolumes.answer { _ in ListVolumesReply() }
            let nobody = try await export(volume)
            #expect(nobody.exitCode == 69 && nobody.error.contains(Self.awayID))
            #expect(try names(bench) == [])
        }
    }

    @Test func aChangeOfCodecIsAnotherFile() async throws {
        try await withCommands { bench in
            let volume = try record(bench, [RecordedCamera(), RecordedCamera(), RecordedCamera(.h264)])
            let path = try bench.folder.makeFolder("out") + "/clip.mp4"
            let second = bench.folder.path("out/clip-2.mp4")
            try Data([1]).write(to: URL(fileURLWithPath: second))
            func export() async throws -> ToolResult {
                try await bench.run(
                    "export", "line1", "--start", Self.start, "--duration", "2200ms", "-o", path, "--volume", volume)
            }
            // All files or none.
            let taken = try await export()
            #expect(taken.exitCode == 1 && taken.error.contains("clip-2.mp4"))
            #expect(try names(bench) == ["clip-2.mp4"])
            try FileManager.default.removeItem(atPath: second)
            let result = try await export()
            #expect(result.exitCode == 0, "\(result.error)")
            #expect(try names(bench) == ["clip-2.mp4", "clip.mp4"])
            #expect(result.output.contains("40 frames") && result.output.contains("15 frames"))
        }
    }
}
