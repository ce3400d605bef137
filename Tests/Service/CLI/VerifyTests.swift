// verify and the archive half of fsck: an archive volume against its own documents, and the indexer asked about what is gone.

import Fakes
import Foundation
import Harness
import Testing
import Volume
import Wire

@Suite struct VerifyTests {
    private static let first = "line1/2026/11/23/05/segment_2026-11-23T05:00:00Z_line1.mp4"
    private static let second = "line1/2026/11/23/05/segment_2026-11-23T05:00:10Z_line1.mp4"

    /// Two files, and the manifest of request r-1 that names them.
    private func archive(_ bench: CommandBench) throws -> (ArchiveOnDisk, manifest: String) {
        let archive = try ArchiveOnDisk(bench.folder)
        let files = [try archive.archive(Self.first, "first"), try archive.archive(Self.second, "second")]
        return (archive, try archive.manifest("r-1", files))
    }

    private func sidecar(of path: String) throws -> String { try ArchiveLayout.sidecar(of: RelativePath(path)).string }

    /// The kinds of what was found.
    private func findings(_ result: ToolResult) throws -> [String: Int] {
        struct Shown: Decodable { let counts: [String: Int] }
        return try shown(result, as: Shown.self).counts
    }

    @Test func whatIsAsTheManifestSaysIsRight() async throws {
        try await withCommands { bench in
            let (archive, manifest) = try archive(bench)
            for path in [manifest, archive.path, archive.absolute("sightglass.requests/2026/11")] {
                let result = try await bench.run("verify", path)
                #expect(result.exitCode == 0, "\(result.output)\(result.error)")
                #expect(result.output == "1 manifest, 2 files, 11 B: all is right\n")
            }
            // The same twice is looked at once.
            #expect(try await bench.run("verify", manifest, archive.path).output.hasPrefix("1 manifest, 2 files"))
            #expect(bench.indexer.getRequest.requests.isEmpty, "nothing is gone, so there is nothing to ask")
        }
    }

    @Test func eachThingThatIsWrongIsNamed() async throws {
        try await withCommands { bench in
            let (archive, manifest) = try archive(bench)
            func expect(_ kind: String, exits: Int32 = 1, _ arguments: [String] = []) async throws {
                let json = try await bench.run(["verify", manifest, "--json"] + arguments)
                #expect(json.exitCode == exits, "\(kind): \(json.error)")
                #expect(try findings(json) == (exits == 0 ? [:] : [kind: 1]), "\(json.output)")
                let text = try await bench.run(["verify", manifest] + arguments)
                #expect(text.exitCode == exits)
                #expect(text.output.contains(Self.second) == (exits == 1), "\(text.output)")
            }
            try archive.overwrite(Self.second, "SECOND")
            try await expect("hash")
            try await expect("hash", exits: 0, ["--sizes-only"])
            try archive.overwrite(Self.second, "seconds")
            try await expect("size")
            try await expect("size", ["--sizes-only"])
            try archive.overwrite(Self.second, "second")
            try archive.overwrite(try sidecar(of: Self.second), #"{"file_name": "x.mp4"}"#)
            try await expect("sidecar")
            try archive.remove(try sidecar(of: Self.second))
            try await expect("sidecar")
        }
    }

    @Test func whatIsGoneIsAskedFor() async throws {
        try await withCommands { bench in
            let (archive, manifest) = try archive(bench)
            try archive.remove(Self.second)
            try archive.remove(try sidecar(of: Self.second))
            func show(_ state: ItemState) {
                bench.indexer.show(
                    ArchiveRequest(
                        requestID: "r-1", state: .done,
                        files: [
                            DeliveredFile(
                                kind: .segment, state: state, archivePath: Self.second, blobURL: "https://a.example/s")
                        ]))
            }
            // Unknown to the indexer.
            #expect(try findings(try await bench.run("verify", manifest, "--json")) == ["missing": 1])
            show(.evicted)
            let evicted = try await bench.run("verify", manifest)
            #expect(evicted.exitCode == 0, "\(evicted.output)")
            #expect(evicted.output.contains("evicted (uploaded): 1"))
            show(.archived)
            let lost = try await bench.run("verify", manifest)
            #expect(lost.exitCode == 1 && lost.output.contains("for the indexer it is archived"))
            let asked = bench.indexer.getRequest.requests.count
            show(.evicted)
            let offline = try await bench.run("verify", manifest, "--offline")
            #expect(offline.exitCode == 1 && offline.output.contains("missing: 1"))
            #expect(bench.indexer.getRequest.requests.count == asked)
            await bench.indexer.server.stop()
            let away = try await bench.run("verify", manifest, "--answer-within", "300ms")
            #expect(away.exitCode == 1 && away.error.contains("Without the indexer"))
        }
    }

    @Test func aManifestLeadsOutOfNoVolume() async throws {
        try await withCommands { bench in
            let archive = try ArchiveOnDisk(bench.folder)
            let manifest = try archive.manifest(
                "r-2", [["path": "../../etc/passwd"], ["path": Self.first, "error": "source is gone"]])
            let result = try await bench.run("verify", manifest)
            #expect(result.exitCode == 1)
            #expect(result.output.contains("no path below the volume") && result.output.contains("1 more that"))
        }
    }

    @Test func whatIsNoManifestOrNoVolumeIsRefused() async throws {
        try await withCommands { bench in
            let (archive, _) = try archive(bench)
            let noManifest = try await bench.run("verify", archive.absolute(try sidecar(of: Self.first)))
            #expect(noManifest.exitCode == 1 && noManifest.output.contains("no manifest"))
            let empty = try await bench.run("verify", archive.absolute("line1"))
            #expect(empty.exitCode == 1 && empty.error.contains("there is no manifest below it"))
            let outside = try await bench.run("verify", try bench.folder.write("{}", to: "m.json"))
            #expect(outside.exitCode == 1 && outside.error.contains("is the volume mounted?"))
            #expect(try await bench.run("verify", archive.absolute("none")).exitCode == 1)
            #expect(try await bench.run("verify").exitCode == 64)
        }
    }

    @Test func fsckLooksAtAllOfAnArchiveVolume() async throws {
        try await withCommands { bench in
            let (archive, manifest) = try archive(bench)
            let good = try await bench.run("fsck", archive.path, "--level", "hashes")
            #expect(good.exitCode == 0, "\(good.output)\(good.error)")
            #expect(good.output.contains("2 files, 11 B, 1 manifest"))
            // One of each: no sidecar, a sidecar alone, other content, a manifest that is none, a leftover, a stranger.
            let others = (0..<4).map { "dock/2026/11/23/05/segment_2026-11-23T05:00:0\($0)Z_dock.mp4" }
            try archive.archive(others[0], "a", sidecar: false)
            try archive.volume.age(others[0])
            try archive.archive(others[1], "b")
            try archive.remove(others[1])
            try archive.archive(others[2], "c")
            try archive.overwrite(others[2], "C")
            // Its sidecar is on its way.
            try archive.archive(others[3], "d", sidecar: false)
            try archive.overwrite(".staging/archiver-0.1.x", "part")
            try archive.volume.age(".staging/archiver-0.1.x", seconds: 100_000)
            try archive.overwrite("README", "hello")
            try FileManager.default.removeItem(atPath: manifest)
            try archive.volume.put("[]", at: "sightglass.requests/2026/11/23/r-9.json")
            let result = try await bench.run("fsck", archive.path, "--level", "hashes", "--json")
            #expect(result.exitCode == 1, "\(result.error)")
            #expect(
                try findings(result) == [
                    "sidecar": 1, "sidecar alone": 1, "hash": 1, "manifest": 1, "leftover": 1, "foreign": 1,
                ], "\(result.output)")
            struct Shown: Decodable { let onTheirWay: Int }
            #expect(try shown(result, as: Shown.self).onTheirWay == 1)
            // The level says how closely.
            #expect(try findings(try await bench.run("fsck", archive.path, "--json"))["hash"] == nil)
        }
    }
}
