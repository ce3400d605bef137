// How the catalogue finds what may go: among two million files, behind months that are held, for one camera that has too much,
// and on an archive volume. The decisions themselves: RetentionPlannerTests.swift, RetentionModelTests.swift.

import Foundation
import GRDB
import Harness
import Synchronization
import Testing
import Wire

@testable import Indexer

@Suite struct RetentionWalkTests {
    typealias T = TestCatalogue

    private func grants(_ test: T, _ volume: String = "vol1", limit: UInt32 = 1000) async throws -> [DeletionGrant] {
        try await test.retention.getDeletionGrants(
            GetDeletionGrantsRequest(volumeID: volume, owner: "cc-0", limit: limit)
        ).grants
    }

    private func hold(_ test: T, _ id: String, _ from: Double, _ to: Double, camera: String) async throws {
        _ = try await test.retention.placeHold(
            PlaceHoldRequest(
                hold: Hold(
                    holdID: id, kind: .legal, source: T.source(camera), window: T.window(from, to), placedBy: "court",
                    reason: "case 7")))
    }

    /// Sixteen cameras of ten seconds a file, two million of them. A court wants the first half of it all to be kept.
    @Test func amongTwoMillionFilesTheFirstThatIsNotHeldIsFound() async throws {
        let test = try T { $0.retentionUs = 3600 * Micro.second }
        let (files, cameras, lengthUs) = (2_000_000, 16, 10 * Micro.second)
        let spanUs = Int64(files / cameras) * lengthUs
        let firstUs = T.startUs - spanUs
        try await test.catalogue.write { turn in
            for camera in 1...cameras {
                try turn.run(
                    """
                    INSERT INTO sources (source_id, device, endpoint, max_segment_us, segments, bytes)
                    VALUES (?, ?, 'main', ?, ?, ?)
                    """, [camera, "dev-cam\(camera)", lengthUs, files / cameras, files / cameras * 1000])
            }
            try turn.run(
                """
                WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 - 1)
                INSERT INTO media (volume_id, path, source_id, kind, start_us, end_us, size_bytes, lease_epoch, run_id,
                  recorded_us, record)
                SELECT 'vol1', printf('%08d', i), i % ?2 + 1, 1, ?3 + i / ?2 * ?4, ?3 + (i / ?2 + 1) * ?4, 1000, 1, 'r',
                  0, x'' FROM n
                """, [files, cameras, firstUs, lengthUs])
            try turn.run("INSERT INTO volume_usage VALUES ('vol1', ?, ?)", [files, files * 1000])
        }
        let heldTo = T.seconds(firstUs + spanUs / 2)
        for camera in 1...cameras {
            var from = T.seconds(firstUs)
            // A hold is a day at most: it is held by many.
            while from < heldTo {
                let to = min(from + 86_400, heldTo)
                try await hold(test, "c\(camera)-\(Int(from))", from, to, camera: "cam\(camera)")
                from = to
            }
        }
        let asked = Mutex<[String]>([])
        let found = try await test.catalogue.write { turn in
            turn.db.trace { event in
                if case .statement(let statement) = event { asked.withLock { $0.append(statement.expandedSQL) } }
            }
            defer { turn.db.trace(options: []) }
            return try turn.grants(volumeID: "vol1", limit: 100)
        }
        #expect(found.map(\.path) == (0..<100).map { String(format: "%08d", files / 2 + $0) })
        #expect(found.allSatisfy { $0.now == true && $0.cause == "age" })
        // A few looks at an index for each camera, not one for each held file.
        let statements = asked.withLock { $0 }
        #expect(statements.count < 1000)
        let plans = try await test.catalogue.read { db in
            try Set(statements.filter { $0.contains("FROM media") }).flatMap { sql in
                try db.rows("EXPLAIN QUERY PLAN " + sql).map { $0["detail"] as String }
            }
        }
        let looks = plans.filter { $0.contains(" media") }
        #expect(!looks.isEmpty && looks.allSatisfy { $0.hasPrefix("SEARCH media USING") }, "\(plans)")
    }

    /// Leaps over what is held change nothing of what is found.
    @Test(arguments: [UInt64](1...12)) func aLeapPassesOverNothingThatIsFree(seed: UInt64) async throws {
        var random = SplitMix64(seed: seed)
        let test = try T { $0.retentionUs = 1000 * Micro.second }
        var records: [MediaRecord] = []
        for camera in 1...4 {
            var at = Double(-random.within(2000...6000))
            while at < 0 {
                let length = Double(random.within(5...60))
                let volume = random.chance(90) ? "vol\(camera / 4 + 1)" : "vol2"
                records.append(T.segment(at, at + length, camera: "cam\(camera)", volume: volume))
                if random.chance(10) { records.append(T.snapshot(at + 1, camera: "cam\(camera)")) }
                at += length + Double(random.chance(10) ? random.within(1...100) : 0)
            }
            for hold in 0..<random.within(0...4) {
                let from = -random.within(500...6000)
                try await self.hold(
                    test, "c\(camera)-\(hold)", Double(from), Double(from + random.within(10...4000)),
                    camera: "cam\(camera)")
            }
        }
        for start in stride(from: 0, to: records.count, by: 500) {
            try await test.record(Array(records[start..<min(start + 500, records.count)]))
        }
        for volume in ["vol1", "vol2"] {
            let (leaping, walking) = try await test.catalogue.write { turn in
                (
                    try turn.grants(volumeID: volume, limit: 1000, leapAfter: 1),
                    try turn.grants(volumeID: volume, limit: 1000, leapAfter: .max)
                )
            }
            #expect(leaping == walking)
        }
    }

    @Test func aCameraBeyondItsQuotaLosesItsOldestAndNobodyElseAny() async throws {
        let test = try T {
            $0.retentionUs = 0
            $0.sourceQuotaBytes = 6000
        }
        try await test.recordFootage(-200, -100, camera: "old")
        try await test.recordFootage(-100, 0, camera: "old2")
        // Both have ten files of 1000 bytes; the first of one is held, so its next four go.
        #expect(try await grants(test).count == 8)
        try await hold(test, "h", -200, -190, camera: "old")
        let found = try await grants(test).compactMap(\.path)
        #expect(
            found == [-190, -180, -170, -160].map { "old/run1/\(T.us($0))_\(T.us($0 + 10)).mp4" }
                + [-100, -90, -80, -70].map { "old2/run1/\(T.us($0))_\(T.us($0 + 10)).mp4" })
        #expect(try await grants(test).allSatisfy { $0.cause == "quota" && $0.now == true })
        try await test.recordFootage(-60, 0, camera: "small")
        #expect(try await grants(test).compactMap(\.path) == found)
    }

    /// A camera that moved to another controller has files on both volumes: only the older one's go.
    @Test func ofACameraOnTwoVolumesTheOldestGoesOnce() async throws {
        let test = try T {
            $0.retentionUs = 0
            $0.sourceQuotaBytes = 4000
        }
        for index in 0..<6 {
            let at = Double(index * 10 - 60)
            try await test.record([T.segment(at, at + 10, volume: index < 3 ? "vol1" : "vol2")])
        }
        let first = try await grants(test)
        #expect(first.count == 2)
        #expect(try await grants(test, "vol2").isEmpty)
        _ = try await test.retention.reportDeleted(
            ReportDeletedRequest(volumeID: "vol1", owner: "cc-0", paths: first.compactMap(\.path)))
        #expect(try await grants(test).isEmpty)
        try await test.record([T.segment(0, 10, volume: "vol2"), T.segment(10, 20, volume: "vol2")])
        #expect(try await grants(test).count == 1)
        #expect(try await grants(test, "vol2").isEmpty)
    }

    /// A large request that waits for its last uploads must not hide what others are done with.
    @Test func uploadedFilesOfAnOpenRequestHideNoOthers() async throws {
        let test = try T { $0.archiveRetentionUs = 10 * Micro.second }
        try await test.recordFootage(-20, 0)
        _ = try await test.records.reportVolume(
            ReportVolumeRequest(
                volume: VolumeStatus(volumeID: "arch", role: "archive", totalBytes: 1 << 40, freeBytes: 1 << 39),
                owner: "cloud-uploader/0"))
        try await test.archive("done", -20, 0, delivery: .cloud)
        try await test.work(.archive)
        try await test.work(.upload)
        #expect(try await test.request("done").state == .done)
        let open = try await test.archive("open", 100, 200, delivery: .cloud).request
        #expect(open?.state == .waiting)
        try await test.catalogue.write { turn in
            try turn.run(
                """
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
                INSERT INTO items (item_id, kind, state, camera, start_us, end_us, archive_path, archive_stem,
                  archive_volume, size_bytes, work, priority, created_us, uploaded_us)
                SELECT 100000 + i, 1, 6, 'cam1', i, i + 1, 'x' || i || '.mp4', 'x' || i, 'arch', 1, 0, 0, 0, i FROM n
                """)
            try turn.run(
                """
                INSERT INTO request_items (request_id, item_id, is_manifest, progress)
                SELECT 'open', item_id, 0, 2 FROM items WHERE item_id > 100000
                """)
        }
        test.now(20)
        let found = try await grants(test, "arch", limit: 100)
        #expect(found.count == 5)
        #expect(found.allSatisfy { $0.now == true && $0.path?.hasPrefix("x") == false })
    }
}
