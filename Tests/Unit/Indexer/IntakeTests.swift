// What a batch of records counts and notes once: counters, days, names; and which commits wait for others.

import GRDB
import RPC
import ServiceKit
import Testing
import Wire

@testable import Indexer

@Suite struct IntakeTests {
    typealias T = TestCatalogue

    private struct Counters: Equatable {
        var camera: [String: [Int64]] = [:]
        var volume: [String: [Int64]] = [:]
        var days: [String: [Int64]] = [:]
    }

    /// As they are kept, and as they are when all rows are counted.
    private func counters(_ test: T) async throws -> (kept: Counters, counted: Counters) {
        try await test.catalogue.read { db in
            var (kept, counted) = (Counters(), Counters())
            for row in try db.rows("SELECT endpoint || device AS name, segments, snapshots, bytes FROM sources") {
                kept.camera[row["name"]] = [row["segments"], row["snapshots"], row["bytes"]]
            }
            let cameras = """
                SELECT endpoint || device AS name, COALESCE(SUM(kind = 1), 0) AS segments, COALESCE(SUM(kind = 2), 0) AS snapshots,
                  COALESCE(SUM(size_bytes), 0) AS bytes FROM sources LEFT JOIN media USING (source_id) GROUP BY source_id
                """
            for row in try db.rows(cameras) {
                counted.camera[row["name"]] = [row["segments"], row["snapshots"], row["bytes"]]
            }
            for row in try db.rows("SELECT * FROM volume_usage WHERE files > 0") {
                kept.volume[row["volume_id"]] = [row["files"], row["bytes"]]
            }
            for row in try db.rows(
                "SELECT volume_id, COUNT(*) AS f, SUM(size_bytes) AS b FROM media GROUP BY volume_id")
            {
                counted.volume[row["volume_id"]] = [row["f"], row["b"]]
            }
            for row in try db.rows(
                "SELECT source_id || ' ' || kind || ' ' || day AS d, files, bytes FROM media_days WHERE files > 0")
            {
                kept.days[row["d"]] = [row["files"], row["bytes"]]
            }
            let days = """
                SELECT source_id || ' ' || kind || ' ' || (start_us / 86400000000) AS d, COUNT(*) AS f, SUM(size_bytes) AS b
                FROM media GROUP BY d
                """
            for row in try db.rows(days) { counted.days[row["d"]] = [row["f"], row["b"]] }
            return (kept, counted)
        }
    }

    @Test func countersAreThoseOfTheRows() async throws {
        let test = try T()
        for camera in ["cam1", "cam2"] {
            try await test.record(
                (0..<20).map { T.segment(Double($0) * 10_000, Double($0) * 10_000 + 10, camera: camera) }
                    + (0..<5).map { T.snapshot(Double($0) * 30_000, camera: camera) })
        }
        // The same again, one of a lower epoch, and one in between.
        try await test.record([
            T.segment(0, 10), T.segment(0, 10), T.segment(4, 14, run: "other", epoch: 0),
            T.segment(500, 510, run: "r3"),
        ])
        var (kept, counted) = try await counters(test)
        #expect(kept == counted && kept.camera.count == 2 && kept.days.count > 4)
        let files = try await test.records.known(ListFilesRequest(volumeID: "vol1")).files
        _ = try await test.retention.reportDeleted(
            ReportDeletedRequest(volumeID: "vol1", owner: "cc", paths: files.prefix(17).compactMap(\.path)))
        (kept, counted) = try await counters(test)
        #expect(kept == counted)
    }

    @Test func aBatchJudgesOverlapsWithinItself() async throws {
        let test = try T()
        try await test.record([
            T.segment(0, 10), T.segment(10, 20.02), T.segment(20, 30), T.segment(15, 35, run: "run2", epoch: 2),
            T.segment(40, 50),
        ])
        let shown = try await test.queries.files(QueryMediaRequest(asset: "cam1")).files
        #expect(
            shown.map { "\(T.seconds($0.startUs))-\(T.seconds($0.endUs))" } == [
                "0.0-10.0", "10.0-15.0", "15.0-35.0", "40.0-50.0",
            ])
    }

    @Test(.timeLimit(.minutes(1))) func whatCanWaitGoesWithWhatCannot() async throws {
        let test = try T { $0.commitDelayUs = 600 * Micro.second }
        // The first has nothing to wait for.
        try await test.record([T.segment(0, 10)])
        async let waiting = test.record([T.segment(10, 20)])
        async let alsoWaiting = test.record([T.segment(20, 30)])
        var stored = 0
        while stored < 3 {
            // Somebody else's urgent write; the two before it are in the same commit or in one of the next ones.
            _ = try await test.retention.reportDeleted(ReportDeletedRequest(volumeID: "vol1", owner: "cc", paths: []))
            stored = try await test.records.known(ListFilesRequest(volumeID: "vol1")).files.count
        }
        #expect(try await waiting.acknowledged.count == 1)
        #expect(try await alsoWaiting.acknowledged.count == 1)
    }

    @Test(.timeLimit(.minutes(1))) func footageThatIsWaitedForIsNotHeldUp() async throws {
        let test = try T { $0.commitDelayUs = 600 * Micro.second }
        try await test.record([T.segment(0, 10)])
        test.now(20)
        try await test.archive("r1", 5, 25)
        // Neither of these could end in time if it waited for the delay.
        try await test.record([T.segment(10, 20)])
        try await test.record([T.segment(20, 30)])
        #expect(try await test.request("r1").state == .copying)
    }

    /// The log can be cut back only when nobody reads what is older; a reader that stays ends with the call that it is for.
    @Test(.timeLimit(.minutes(1))) func aReaderThatStaysEndsWithItsCaller() async throws {
        let test = try T()
        try await test.record([T.segment(0, 10)])
        let began = AsyncStream.makeStream(of: Void.self)
        let reader = Task {
            try await test.catalogue.read { db in
                _ = try db.number("SELECT COUNT(*) FROM media")
                began.continuation.yield()
                return try db.number(
                    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000000000000) SELECT COUNT(*) FROM n"
                )
            }
        }
        for await _ in began.stream { break }
        try await test.record((1..<200).map { T.segment(Double($0) * 10, Double($0) * 10 + 10) })
        #expect(try test.walBytes() > 0)
        reader.cancel()
        await #expect(throws: (any Error).self) { try await reader.value }
        try await test.catalogue.checkpoint()
        #expect(try test.walBytes() == 0)
    }
}
