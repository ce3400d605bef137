// backup: the whole catalogue or no file.

import Fakes
import Foundation
import Harness
import RPC
import Testing
import Volume
import Wire

@Suite struct BackupTests {
    /// Longer than two pieces, and no multiple of one.
    private static let bytes = (0..<2_000_003).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }

    /// Bytes with their true SHA-256, which a volume makes.
    private func hold(_ bench: CommandBench, sizeBytes: UInt64? = nil, sha256: [UInt8]? = nil) throws {
        let path = try bench.folder.makeFolder("digest")
        try VolumeRoot.adopt(at: path, role: .archive, nowUs: 1_795_410_000_000_000)
        let digest = try VolumeRoot.open(at: path, role: .archive).write(
            Self.bytes, to: RelativePath("x"), staging: StagingName(owner: "t", epoch: 1, label: "x")
        ).digest
        bench.indexer.holdBackup(
            BackupCatalogueReply(
                name: "catalogue-1.sqlite", sizeBytes: sizeBytes ?? UInt64(digest.sizeBytes),
                sha256: sha256 ?? digest.sha256), bytes: Self.bytes)
    }

    private func files(_ folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder)
    }

    @Test func theFileIsTheCatalogue() async throws {
        try await withCommands { bench in
            try hold(bench)
            let folder = try bench.folder.makeFolder("out")
            let result = try await bench.run("backup", "-o", folder + "/c.sqlite", "--json")
            #expect(result.exitCode == 0, "\(result.error)")
            #expect(FileManager.default.contents(atPath: folder + "/c.sqlite") == Data(Self.bytes))
            #expect(try files(folder) == ["c.sqlite"])
            struct Shown: Decodable {
                let sizeBytes: Int
                let sha256: String
                let name: String
            }
            let backup = try shown(result, as: Shown.self)
            #expect(backup.sizeBytes == Self.bytes.count && backup.sha256.count == 64)
            #expect(backup.name == "catalogue-1.sqlite")
            #expect(bench.indexer.readBackup.requests.map(\.offset) == [0, 921_600, 1_843_200, 2_000_003])
            // What is there is not replaced, and the indexer is not asked to work for nothing.
            let again = try await bench.run("backup", "-o", folder + "/c.sqlite")
            #expect(again.exitCode == 1 && again.error.contains("c.sqlite"))
            #expect(bench.indexer.backupCatalogue.requests.count == 1)
        }
    }

    @Test func whatCameOtherwiseThanPromisedIsNoFile() async throws {
        try await withCommands { bench in
            let folder = try bench.folder.makeFolder("out")
            try hold(bench, sha256: [UInt8](repeating: 7, count: 32))
            let other = try await bench.run("backup", "-o", folder + "/c.sqlite")
            #expect(other.exitCode == 1 && other.error.contains("nothing was written"))
            #expect(try files(folder).isEmpty)
        }
    }

    @Test(arguments: [UInt64(1_000_000), 3_000_000])
    func aBackupThatIsLongerOrShorterIsNoFile(sizeBytes: UInt64) async throws {
        try await withCommands { bench in
            let folder = try bench.folder.makeFolder("out")
            try hold(bench, sizeBytes: sizeBytes)
            let result = try await bench.run("backup", "-o", folder + "/c.sqlite")
            #expect(result.exitCode == 1)
            #expect(try files(folder).isEmpty)
        }
    }

    @Test func anIndexerThatCannotLeavesNoFile() async throws {
        try await withCommands { bench in
            let folder = try bench.folder.makeFolder("out")
            bench.indexer.backupCatalogue.answer { _ in throw RPCError.resourceExhausted("no room for a copy") }
            let result = try await bench.run("backup", "-o", folder + "/c.sqlite")
            #expect(result.exitCode == 1 && result.error.contains("no room for a copy"))
            #expect(try files(folder).isEmpty)
            let nowhere = try await bench.run("backup", "-o", folder + "/none/c.sqlite")
            #expect(nowhere.exitCode == 1)
            #expect(bench.indexer.backupCatalogue.requests.count == 1)
        }
    }
}
