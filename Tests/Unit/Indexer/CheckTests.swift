// The check of the catalogue: a whole one has no problems, and each rule that is broken on purpose is one.

import Foundation
import GRDB
import RPC
import Testing
import Wire

@testable import Indexer

@Suite struct CheckTests {
    typealias T = TestCatalogue

    /// Footage, pictures and a rendition; a request that is done and one that is open.
    private func catalogue() async throws -> T {
        let test = try T()
        try await test.record([T.run("run1", from: -100)])
        try await test.recordFootage(-100, 0)
        try await test.record([T.snapshot(-50), T.rendition(-100, -90)])
        try await test.archive("done", -30, -10)
        try await test.work(.archive)
        #expect(try await test.request("done").state == .done)
        try await test.archive("open", -60, 60)
        #expect(try await test.request("open").state == .waiting)
        return test
    }

    private func check(_ test: T, _ level: CheckLevel? = nil) async throws -> CheckCatalogueReply {
        try await CheckCalls(longReads: LongReads(catalogue: test.catalogue)).checkCatalogue(
            CheckCatalogueRequest(level: level))
    }

    /// Changes rows as no code of ours would.
    private func damage(_ test: T, _ sql: String) async throws {
        var configuration = GRDB.Configuration()
        configuration.foreignKeysEnabled = false
        configuration.busyMode = .timeout(5)
        let other = try DatabaseQueue(path: test.catalogue.path, configuration: configuration)
        try await other.write { db in try db.execute(sql: sql) }
        try other.close()
    }

    @Test func aWholeCatalogueHasNoProblems() async throws {
        let test = try await catalogue()
        for level in [nil, CheckLevel.unspecified, .quick, .full] {
            let reply = try await check(test, level)
            #expect(reply.problems.isEmpty)
            #expect((reply.rows ?? 0) > 20)
        }
        _ = try await test.retention.reportDeleted(
            ReportDeletedRequest(
                volumeID: "vol1", owner: "cc-0",
                paths: try await test.records.known(ListFilesRequest(volumeID: "vol1")).files.compactMap(\.path)))
        #expect(try await check(test).problems.isEmpty, "nor has one whose files are gone")
    }

    @Test(arguments: [
        (
            "UPDATE sources SET segments = segments + 1",
            "source dev-cam1/main counts 11 segments, 1 pictures and"
        ),
        ("UPDATE sources SET bytes = 0", "pictures and 0 bytes, its files are 10 segments, 1 pictures and 11050 bytes"),
        ("UPDATE sources SET max_segment_us = 5", "has a segment of 10000000 us and looks back for 5 us only"),
        ("UPDATE volume_usage SET files = 7", "volume vol1 counts 7 files of 11050 bytes, its rows are 12 files"),
        ("DELETE FROM volume_usage", "volume vol1 counts 0 files of 0 bytes"),
        ("UPDATE media_days SET bytes = bytes + 1 WHERE kind = 2", "counts 1 files of kind snapshot with 51 bytes"),
        ("DELETE FROM media_days WHERE kind = 3", "counts 0 files of kind rendition"),
        (
            "UPDATE item_totals SET upload_files = 2, upload_bytes = 7",
            "the totals say 0 files to archive, 2 to upload (7 bytes), 0 of them on their way, 0 set aside; the rows are 0, 0 (0"
        ),
        (
            """
            UPDATE sources SET max_segment_us = 20000000;
            UPDATE media SET end_us = end_us + 1000000 WHERE kind = 1 AND start_us = 1795409900000000
            """,
            "source dev-cam1/main would be shown twice: cam1/run1/1795409910000000_1795409920000000.mp4 begins 1000000 us"
        ),
        ("UPDATE request_items SET progress = 3 WHERE is_manifest", "request done believes item"),
        (
            "UPDATE requests SET state = 5 WHERE request_id = 'open'",
            "hold request:open:0 keeps footage for request open"
        ),
        ("DELETE FROM requests WHERE request_id = 'open'", "hold request:open:0 keeps footage for request open"),
        ("DELETE FROM holds", "request open is open and no hold keeps the footage of cam1"),
        (
            "UPDATE source_names SET source_id = 99",
            "a row of source_names refers to a row of sources that is not there"
        ),
    ])
    func aBrokenRuleIsASentence(sql: String, problem: String) async throws {
        let test = try await catalogue()
        try await damage(test, sql)
        let problems = try await check(test).problems
        #expect(problems.contains { $0.contains(problem) }, "\(problems)")
        #expect(problems.allSatisfy { !$0.contains("\n") })
    }

    @Test func overlapsOfWhatIsNotPrimaryAreAllowed() async throws {
        let test = try await catalogue()
        try await test.record([T.segment(-95, -85, run: "run2", epoch: 2)])
        let rows = try await test.catalogue.read { db in
            try db.number("SELECT COUNT(*) FROM media WHERE is_primary = 0")
        }
        #expect((rows ?? 0) > 0)
        #expect(try await check(test).problems.isEmpty)
    }

    @Test func atMostAHundredAreNamed() async throws {
        let test = try await catalogue()
        try await damage(
            test,
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)
            INSERT INTO holds SELECT 'h' || i, 1, 'cam1', 1, 1, 2, 'p', 'r', 1, 'gone' FROM n
            """)
        #expect(try await check(test).problems.count == 100)
    }

    @Test func aDamagedPageIsAProblemAndNoError() async throws {
        let test = try await catalogue()
        try await test.catalogue.checkpoint()
        let (page, pageBytes) = try await test.catalogue.read { db in
            (
                try db.number("SELECT rootpage FROM sqlite_schema WHERE name = 'media_by_path'") ?? 0,
                try db.number("PRAGMA page_size") ?? 0
            )
        }
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: test.catalogue.path))
        try file.seek(toOffset: UInt64((page - 1) * pageBytes))
        try file.write(contentsOf: Data(repeating: 0x5a, count: Int(pageBytes)))
        try file.close()
        for level in [CheckLevel.quick, .full] {
            let problems = try await check(test, level).problems
            #expect(problems.contains { $0.contains("the database file is damaged, restore a backup") }, "\(problems)")
        }
    }

    @Test func anUnknownLevelIsRefused() async throws {
        let test = try T()
        await #expect {
            try await check(test, .unrecognized(9))
        } throws: {
            ($0 as? RPCError)?.field == "level"
        }
    }
}
