// fsck of a recording volume against the catalogue's rows, and of the catalogue itself.

import Fakes
import Foundation
import Harness
import RPC
import Testing
import Volume
import Wire

@Suite struct FsckTests {
    private func volume(_ bench: CommandBench) throws -> VolumeRoot {
        let path = try bench.folder.makeFolder("recording")
        try VolumeRoot.adopt(at: path, role: .recording, nowUs: 1_795_410_000_000_000)
        return try VolumeRoot.open(at: path, role: .recording, access: .reader)
    }

    private func path(_ second: Int) throws -> String {
        let startUs = 1_795_410_000_000_000 + Int64(second) * 1_000_000
        return try RecordingLayout.segment(
            owner: "line1", part: "clips", startUs: startUs, endUs: startUs + 1_000_000, fileExtension: "mp4"
        ).string
    }

    /// A file of an hour ago and its row.
    private func record(_ volume: VolumeRoot, _ second: Int, _ text: String) throws -> MediaFile {
        let path = try path(second)
        let digest = try volume.put(text, at: path)
        try volume.age(path)
        return MediaFile(
            kind: .segment, volumeID: volume.volumeID, path: path, sizeBytes: UInt64(digest.sizeBytes),
            sha256: digest.sha256)
    }

    /// Lists rows as the indexer does: after a path, in byte order, two at a time so that there are pages.
    private func list(_ rows: [MediaFile], _ bench: CommandBench) {
        let sorted = rows.sorted { ($0.path ?? "") < ($1.path ?? "") }
        bench.indexer.listFiles.answer { request in
            let after = sorted.filter { ($0.path ?? "") > (request.afterPath ?? "") }
            return ListFilesReply(files: Array(after.prefix(2)), more: after.count > 2)
        }
    }

    private func findings(_ result: ToolResult) throws -> [String: Int] {
        struct Shown: Decodable { let counts: [String: Int] }
        return try shown(result, as: Shown.self).counts
    }

    @Test func aVolumeThatIsAsTheCatalogueSaysIsRight() async throws {
        try await withCommands { bench in
            let volume = try volume(bench)
            let rows = try (0..<5).map { try record(volume, $0, "segment \($0)") }
            list(rows, bench)
            // Sealed a moment ago: its row is on its way.
            try volume.put("new", at: try path(100))
            let result = try await bench.run("fsck", volume.path, "--level", "hashes")
            #expect(result.exitCode == 0, "\(result.output)\(result.error)")
            #expect(result.output.contains("6 files") && result.output.contains("5 rows"))
            #expect(result.output.contains("1 file on the way"))
            #expect(bench.indexer.listFiles.requests.allSatisfy { $0.volumeID == volume.volumeID })
            #expect(bench.indexer.listFiles.requests.count == 3)
        }
    }

    @Test func bothDirectionsAndContentAreCompared() async throws {
        try await withCommands { bench in
            let volume = try volume(bench)
            var rows = try (0..<6).map { try record(volume, $0, "segment \($0)") }
            // Row without file, other size, other content of the same size, file without row, a stranger.
            try FileManager.default.removeItem(atPath: volume.path + "/" + (rows[0].path ?? ""))
            rows[1].sizeBytes = 1
            rows[2].sha256 = [UInt8](repeating: 0, count: 32)
            let without = rows.remove(at: 3)
            try Data("x".utf8).write(to: URL(fileURLWithPath: volume.path + "/notes.txt"))
            try volume.age("notes.txt")
            list(rows, bench)
            let hashes = try await bench.run("fsck", volume.path, "--level", "hashes", "--json")
            #expect(hashes.exitCode == 1, "\(hashes.error)")
            #expect(
                try findings(hashes) == ["no file": 1, "size": 1, "hash": 1, "not in catalogue": 1, "foreign": 1],
                "\(hashes.output)")
            let names = try await bench.run("fsck", volume.path, "--level", "names", "--json")
            #expect(try findings(names) == ["no file": 1, "not in catalogue": 1, "foreign": 1])
            let text = try await bench.run("fsck", volume.path)
            #expect(text.output.contains(without.path ?? "?") && text.output.contains(rows[0].path ?? "?"))
            #expect(text.output.contains("records it again when it starts"))
        }
    }

    @Test func aFileThatIsDeletedInGoodOrderIsNotMissing() async throws {
        try await withCommands { bench in
            let volume = try volume(bench)
            let rows = try (0..<3).map { try record(volume, $0, "segment \($0)") }
            try FileManager.default.removeItem(atPath: volume.path + "/" + (rows[1].path ?? ""))
            // Once its row is there, and then it was reported as deleted.
            bench.indexer.listFiles.answer { request in
                let isFirst = request.afterPath == nil
                return ListFilesReply(files: isFirst ? rows : [rows[0], rows[2]], more: false)
            }
            let result = try await bench.run("fsck", volume.path)
            #expect(result.exitCode == 0, "\(result.output)\(result.error)")
        }
    }

    @Test func anEmptyFolderIsADiskThatIsNotMounted() async throws {
        try await withCommands { bench in
            let volume = try volume(bench)
            bench.indexer.listFiles.answer { request in
                ListFilesReply(
                    files: (0..<500).map { MediaFile(volumeID: request.volumeID, path: "line1/clips/\($0).mp4") },
                    more: true)
            }
            let result = try await bench.run("fsck", volume.path)
            #expect(result.exitCode == 1)
            #expect(result.output.contains("is the disk mounted"))
            #expect(result.output.split(separator: "\n").count < 10)
            #expect(bench.indexer.listFiles.requests.count == 1)
        }
    }

    @Test func theCatalogueIsCheckedOnRequest() async throws {
        try await withCommands { bench in
            #expect(try await bench.run("fsck").exitCode == 64)
            #expect(try await bench.run("fsck", "--catalogue", "slow").exitCode == 64)
            bench.indexer.checkCatalogue.answer { request in
                CheckCatalogueReply(problems: request.level == .full ? ["page 7 is torn"] : [], rows: 42)
            }
            let quick = try await bench.run("fsck", "--catalogue", "quick")
            #expect(quick.exitCode == 0 && quick.output == "catalogue: 42 rows, 0 problems\n", "\(quick.error)")
            let full = try await bench.run("fsck", "--catalogue", "full")
            #expect(full.exitCode == 1 && full.output.contains("page 7 is torn"))
        }
    }

    @Test func whatIsNoVolumeAndAnIndexerThatIsAwayAreToldApart() async throws {
        try await withCommands { bench in
            let plain = try await bench.run("fsck", try bench.folder.makeFolder("plain"))
            #expect(plain.exitCode == 1 && plain.error.contains("check that the volume is mounted"))
            let volume = try volume(bench)
            await bench.indexer.server.stop()
            let away = try await bench.run("fsck", volume.path, "--answer-within", "300ms")
            #expect(away.exitCode == 69 && away.error.contains("Start indexer"))
        }
    }
}
