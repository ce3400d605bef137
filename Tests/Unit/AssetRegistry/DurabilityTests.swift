// What the registry answered survives a power cut: the database syncs at each commit.

import Foundation
import GRDB
import Testing

@testable import AssetRegistry

@Suite struct DurabilityTests {
    /// GRDB sets synchronous to NORMAL when it opens a database in WAL mode; 2 is FULL.
    @Test func everyCommitIsSyncedAlthoughGRDBRelaxesThatWhileOpening() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("registry-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let store = try RegistryStore(path: folder.path + "/registry.sqlite")
        let settings = try store.database.read { database in
            (
                try String.fetchOne(database, sql: "PRAGMA journal_mode"),
                try Int.fetchOne(database, sql: "PRAGMA synchronous")
            )
        }
        #expect(settings.0 == "wal")
        #expect(settings.1 == 2)
    }
}
