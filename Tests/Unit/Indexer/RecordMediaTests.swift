// What controllers record: stored once, checked one by one, primary or duplicate, found by a bounded look-back.

import Foundation
import GRDB
import RPC
import Testing
import Wire

@testable import Indexer

@Suite struct RecordMediaTests {
    typealias T = TestCatalogue

    private func paths(_ test: T, _ question: QueryMediaRequest) async throws -> [String] {
        try await test.queries.files(question).files.map { "\(T.seconds($0.startUs))-\(T.seconds($0.endUs))" }
    }

    @Test func theSameRecordAgainIsAcknowledgedAndChangesNothing() async throws {
        let test = try T()
        let records = [
            T.run("run1", from: 0), T.segment(0, 10), T.snapshot(3), T.gap(10, 20),
            MediaRecord(anchor: Anchor(runID: "run1", version: 1, mediaUs: 0, wallUs: T.us(0), origin: "arrival")),
        ]
        let first = try await test.record(records)
        let before = try await test.queries.changes(IndexerChangesRequest())
        let again = try await test.record(records)
        #expect(first.acknowledged == [1, 2, 3, 4, 5])
        #expect(again.acknowledged == [6, 7, 8, 9, 10])
        #expect(again.rejected.isEmpty)
        #expect(try await test.queries.changes(IndexerChangesRequest()).newest == before.newest)
        let camera = try #require(try await test.queries.listCameras().cameras.first)
        #expect(camera.segments == 1)
        #expect(camera.snapshots == 1)
        #expect(camera.bytes == 1050)
        #expect(camera.camera == "cam1")
        #expect(T.seconds(camera.newestUs) == 10)
    }

    @Test func badRecordsAreRejectedOneByOneWithTheFieldsPath() async throws {
        let test = try T()
        var noPath = T.segment(20, 30)
        noPath.file?.path = "../etc/passwd"
        var backwards = T.segment(30, 40)
        backwards.file?.endUs = T.us(30)
        var twoAtOnce = T.segment(40, 50)
        twoAtOnce.gap = Gap()
        var shortSum = T.segment(50, 60)
        shortSum.file?.sha256 = [1, 2]
        let reply = try await test.record([
            T.segment(0, 10), noPath, backwards, twoAtOnce, shortSum, MediaRecord(), T.segment(10, 20),
        ])
        #expect(reply.acknowledged == [1, 7])
        #expect(reply.rejected.map(\.spoolID) == [2, 3, 4, 5, 6])
        let messages = reply.rejected.map { $0.message ?? "" }
        #expect(messages[0].hasPrefix("records[1].file.path"))
        #expect(messages[1].hasPrefix("records[2].file.end_us"))
        #expect(messages[2].hasPrefix("records[3] must have exactly one"))
        #expect(messages[3].hasPrefix("records[4].file.sha256"))
    }

    @Test func aRunBelongsToOneSource() async throws {
        let test = try T()
        try await test.record([T.run("run1", camera: "cam1", from: 0)])
        let reply = try await test.record([T.run("run1", camera: "cam2", from: 0)])
        #expect(reply.acknowledged.isEmpty)
        #expect(reply.rejected.first?.message == "run run1 is known as one of another source")
    }

    @Test func footageOfALowerEpochIsADuplicate() async throws {
        let test = try T()
        try await test.record([T.segment(0, 10), T.segment(10, 20), T.segment(20, 30)])
        try await test.record([T.segment(8, 22, run: "run2", epoch: 2)])
        // The first ends where the other controller's begins; of the others some is not at their end.
        #expect(try await paths(test, QueryMediaRequest(asset: "cam1")) == ["0.0-8.0", "8.0-22.0"])
        // What only the duplicates have is still delivered and counted as covered.
        let coverage = try await test.queries.coverage(CoverageRequest(asset: "cam1", window: T.window(0, 30)))
        #expect(coverage.covered == [T.window(0, 30)])
        #expect(coverage.segments == 3)
        #expect(try await test.records.known(ListFilesRequest(volumeID: "vol1")).files.count == 4)
    }

    @Test func whenThePrimaryIsDeletedADuplicateTakesItsPlace() async throws {
        let test = try T()
        try await test.record([T.segment(0, 10), T.segment(5, 15, run: "run2", epoch: 2, path: "high.mp4")])
        _ = try await test.retention.reportDeleted(
            ReportDeletedRequest(volumeID: "vol1", owner: "cc-0", paths: ["high.mp4"]))
        #expect(try await paths(test, QueryMediaRequest(asset: "cam1")) == ["0.0-10.0"])
    }

    @Test func filesOfOneRunThatOverlapByAFrameAreTrimmed() async throws {
        let test = try T()
        try await test.record([T.segment(0, 10.04), T.segment(10, 20)])
        #expect(try await paths(test, QueryMediaRequest(asset: "cam1")) == ["0.0-10.0", "10.0-20.0"])
    }

    @Test func aLongSegmentIsFoundByAWindowFarInsideIt() async throws {
        let test = try T()
        try await test.record([T.segment(0, 7200), T.segment(7200, 7210), T.segment(7210, 7220)])
        #expect(
            try await paths(test, QueryMediaRequest(source: T.source("cam1"), window: T.window(7000, 7205)))
                == ["0.0-7200.0", "7200.0-7210.0"])
        #expect(
            try await paths(test, QueryMediaRequest(source: T.source("cam1"), window: T.window(7210, 7300)))
                == ["7210.0-7220.0"])
    }

    @Test func rangeQueriesUseTheCoveringIndex() async throws {
        let test = try T()
        try await test.recordFootage(0, 50)
        let plan = try await test.catalogue.read { db in
            try db.rows(
                """
                EXPLAIN QUERY PLAN SELECT media_id, start_us, end_us, is_primary, size_bytes FROM media
                WHERE source_id = 1 AND kind = 1 AND start_us > 0 AND start_us < 9 AND end_us > 5 ORDER BY start_us
                """
            ).map { $0["detail"] as String }
        }
        #expect(
            plan == [
                "SEARCH media USING COVERING INDEX media_by_time (source_id=? AND kind=? AND start_us>? AND start_us<?)"
            ])
    }

    @Test func pagesJoinWithoutLossOrRepeat() async throws {
        let test = try T()
        for camera in ["cam1", "cam2"] {
            try await test.recordFootage(0, 100, camera: camera)
            try await test.record([T.snapshot(5, camera: camera), T.snapshot(10, camera: camera)])
        }
        let all = try await test.queries.files(QueryMediaRequest()).files
        #expect(all.count == 24)
        var paged: [MediaFile] = []
        var token: String?
        repeat {
            let page = try await test.queries.files(QueryMediaRequest(limit: 5, pageToken: token))
            #expect(page.files.count <= 5)
            paged += page.files
            token = page.nextPageToken
        } while token != nil
        #expect(paged == all)
        #expect(all.map { $0.startUs ?? 0 } == all.map { $0.startUs ?? 0 }.sorted())
        #expect(try await test.queries.files(QueryMediaRequest(kind: .snapshot)).files.count == 4)
        #expect(try await test.queries.files(QueryMediaRequest(asset: "cam2", kind: .segment)).files.count == 10)
    }

    /// A rendition repeats footage: it is kept and found, and no request is answered from it.
    @Test func aRenditionIsKnownAndIsNoFootage() async throws {
        let test = try T()
        try await test.record([
            T.run("run1", from: -20), T.segment(-20, -10), T.rendition(-20, -10), T.rendition(-10, 0),
        ])
        let camera = try #require(try await test.queries.listCameras().cameras.first)
        #expect(camera.segments == 1 && camera.snapshots == 0 && camera.bytes == 3000)
        #expect(try await test.queries.files(QueryMediaRequest()).files.map(\.kind) == [.segment])
        let found = try await test.queries.files(QueryMediaRequest(window: T.window(-11, -10), kind: .rendition))
            .files
        #expect(found.map(\.fileExtension) == ["mkv"] && found.first?.kind == .rendition)
        #expect(try await test.records.known(ListFilesRequest(volumeID: "vol1", limit: 9)).files.count == 3)
        try await test.archive("all", -20, -10)
        #expect(try await test.request("all").files.map(\.kind) == [.segment])
        await #expect(throws: RPCError.self) { try await test.archive("wrong", -20, 0, kinds: [.rendition]) }
        #expect(try await test.record([T.rendition(0, 0)]).rejected.count == 1)
    }

    @Test func aCatalogueOfBeforeRenditionsKeepsAllItHolds() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("catalogue.sqlite").path
        do {
            let old = try DatabaseQueue(path: path)
            try Schema.migrator.migrate(old, upTo: "1-catalogue")
            try await old.write { db in
                try db.execute(sql: "INSERT INTO sources (source_id, device, endpoint) VALUES (7, 'cam1', 'main')")
                for kind in [1, 2] {
                    try db.execute(
                        sql: """
                            INSERT INTO media (volume_id, path, source_id, kind, start_us, end_us, size_bytes, lease_epoch,
                              run_id, recorded_us, record) VALUES ('v', ?, 7, ?, 5, 9, 11, 1, 'r', 3, x'01')
                            """, arguments: ["file\(kind)", kind])
                }
                try db.execute(
                    sql: """
                        INSERT INTO items (kind, state, camera, start_us, end_us, archive_path, archive_stem, sha256, work,
                          priority, created_us) VALUES (1, 5, 'cam1', 5, 9, 'a.mp4', 'a', x'01', 2, 0, 3)
                        """)
            }
        }
        let new = try DatabaseQueue(path: path)
        try Schema.migrator.migrate(new)
        try await new.write { db in
            #expect(try Int.fetchOne(db, sql: "SELECT COUNT(*) FROM media WHERE start_us = 5 AND size_bytes = 11") == 2)
            #expect(try Int.fetchOne(db, sql: "SELECT files FROM volume_usage WHERE volume_id = 'v'") == 2)
            #expect(try Int.fetchOne(db, sql: "SELECT bytes FROM sources WHERE source_id = 7") == 22)
            let days = "SELECT SUM(bytes) FROM media_days WHERE source_id = 7 AND day = 0"
            #expect(try Int.fetchOne(db, sql: days) == 22)
            // Nobody made a CRC-64 then: the uploader makes the SHA-256.
            let item = try ItemRow(#require(try Row.fetchOne(db, sql: "SELECT * FROM items")))
            #expect(item.machine.crc64 == nil && item.machine.sha256 == [1] && item.machine.work == .upload)
            try db.execute(sql: "UPDATE media SET kind = 3 WHERE kind = 2")
            #expect(throws: DatabaseError.self) { try db.execute(sql: "UPDATE media SET kind = 4") }
        }
    }

    @Test func rowsOfACameraLieSideBySideWhoeverElseRecords() async throws {
        let test = try T()
        for turn in 0..<3 {
            let at = Double(turn) * 10
            try await test.record(["cam1", "cam2"].map { T.segment(at, at + 10, camera: $0) } + [T.snapshot(at)])
            // What is known already takes no number.
            try await test.record([T.segment(at, at + 10)])
        }
        let rows = try await test.catalogue.read { db in
            try db.rows("SELECT source_id FROM media ORDER BY media_id").map { $0[0] as Int64 }
        }
        #expect(rows == [1, 1, 1, 1, 1, 1, 2, 2, 2])
        let numbers = try await test.catalogue.read { db in
            try db.rows("SELECT MAX(media_id) - MIN(media_id) FROM media GROUP BY source_id").map { $0[0] as Int64 }
        }
        #expect(numbers == [5, 2])
    }

    @Test func filesOfAVolumeAreListedInByteOrder() async throws {
        let test = try T()
        for path in ["b.mp4", "B.mp4", "é.mp4", "a.mp4"] {
            let at = Double(path.utf8.first ?? 0)
            try await test.record([T.segment(at, at + 0.5, run: path, path: path)])
        }
        let first = try await test.records.known(ListFilesRequest(volumeID: "vol1", limit: 3))
        #expect(first.files.map(\.path) == ["B.mp4", "a.mp4", "b.mp4"])
        #expect(first.more == true)
        let rest = try await test.records.known(ListFilesRequest(volumeID: "vol1", afterPath: "b.mp4"))
        #expect(rest.files.map(\.path) == ["é.mp4"])
        #expect(rest.more == false)
    }

    @Test func aLongOutageIsOneGapOfItsWindow() async throws {
        let test = try T()
        try await test.record([T.gap(-300_000, 0)])
        let coverage = try await test.queries.coverage(
            CoverageRequest(source: T.source("cam1"), window: T.window(-170_000, -90_000)))
        #expect(coverage.gaps.map(\.cause) == ["dark"])
        #expect(coverage.gaps.first?.window == T.window(-170_000, -90_000))
    }

    @Test func manyWritersShareCommitsAndNoneIsLost() async throws {
        let test = try T()
        try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<200 {
                group.addTask {
                    try await test.record([
                        T.segment(Double(index) * 10, Double(index) * 10 + 10, camera: "cam\(index % 7)")
                    ])
                    .acknowledged.count
                }
            }
            let count = try await group.reduce(0, +)
            #expect(count == 200)
        }
        let cameras = try await test.queries.listCameras().cameras
        #expect(cameras.count == 7)
        #expect(cameras.reduce(0) { $0 + ($1.segments ?? 0) } == 200)
    }

    @Test func aWriteThatFailsUndoesNothingOfItsNeighbours() async throws {
        let test = try T()
        async let good = test.record([T.segment(0, 10)])
        async let bad = test.catalogue.write { turn -> Int in
            try turn.run("INSERT INTO sources (device, endpoint) VALUES ('ghost', 'x')")
            throw RPCError.failedPrecondition("no")
        }
        let stored = try await good.acknowledged.count
        #expect(stored == 1)
        do {
            _ = try await bad
            Issue.record("the write that throws must fail")
        } catch {
            #expect(error as? RPCError == .failedPrecondition("no"))
        }
        #expect(try await test.catalogue.read { db in try db.source(SourceID(device: "ghost", endpoint: "x")) } == nil)
    }
}
