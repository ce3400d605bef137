// A catalogue whose disk is full (field lessons, test 26), at each page that it would grow by: the caller is told, health says
// why, what was accepted stays, and it goes on when there is room, without a restart. SQLite itself is given a bound of pages,
// which it answers as it answers a full disk. With a real full disk, its log included: Tests/Service/Indexer/FullDiskTests.swift.

import Foundation
import GRDB
import RPC
import ServiceKit
import Synchronization
import Testing
import Wire

@testable import Indexer

@Suite struct FullDiskTests {
    typealias T = TestCatalogue

    /// What health was told last.
    private final class Health: Sendable {
        private let told = Mutex<String?>(nil)
        var problem: String? { told.withLock { $0 } }
        func tell(_ problem: String?) { told.withLock { $0 = problem } }
    }

    @Test func aFullDiskIsToldAndRoomEndsIt() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("full-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let health = Health()
        var policy = Policy()
        policy.commitDelayUs = 0
        let catalogue = try Catalogue(
            path: folder.appendingPathComponent("catalogue.sqlite").path, policy: policy,
            clock: ManualWallClock(us: T.startUs), onHealth: health.tell)
        let records = RecordCalls(catalogue: catalogue, counters: IndexerCounters())
        let requests = RequestCalls(catalogue: catalogue, counters: IndexerCounters())
        let queries = QueryCalls(catalogue: catalogue)
        var stored = 0
        var accepted: [String] = []
        for spare in 0..<16 {
            try await bound(catalogue, sparePages: spare)
            var refusal: RPCError?
            // In turn a batch of footage and a request, until one of them finds no room.
            while refusal == nil, stored < 100_000 {
                do {
                    let batch = (0..<20).map { index in
                        var record = T.segment(
                            Double(stored + index) * 10 - 1e6, Double(stored + index) * 10 + 10 - 1e6)
                        record.spoolID = UInt64(stored + index)
                        return record
                    }
                    let reply = try await records.recordMedia(
                        RecordMediaRequest(controllerID: "cc-0", records: batch))
                    stored += reply.acknowledged.count
                    let request = try await requests.submitArchive(
                        SubmitArchiveRequest(
                            window: T.window(1000, 1010), cameras: [T.camera("cam1")], requestedBy: "ops",
                            delivery: .archive, kinds: [.segment]))
                    accepted.append(try #require(request.request?.requestID))
                } catch let error as RPCError {
                    refusal = error
                }
            }
            #expect(refusal?.code == .unavailable && refusal?.message.contains("full") == true, "\(spare)")
            #expect(health.problem?.contains("check the disk of the state directory") == true)
            // Reading goes on, and nothing of what was said is missing.
            #expect(try await queries.listCameras().cameras.first?.segments ?? 0 == UInt64(stored))
            #expect(try await requests.listRequests(ListRequestsRequest(limit: 200)).requests.count == accepted.count)
            try await bound(catalogue, sparePages: nil)
            _ = try await requests.submitArchive(
                SubmitArchiveRequest(
                    requestID: "room\(spare)", window: T.window(1000, 1010), cameras: [T.camera("cam1")],
                    requestedBy: "ops", delivery: .archive, kinds: [.segment]))
            accepted.append("room\(spare)")
            #expect(health.problem == nil)
        }
        #expect(stored > 0 && accepted.count > 8)
        for id in accepted {
            #expect(try await requests.getRequest(GetRequestRequest(requestID: id)).state == .waiting)
        }
        let check = try await catalogue.read { db in try db.rows("PRAGMA integrity_check").map { $0[0] as String } }
        #expect(check == ["ok"])
        try catalogue.close()
    }

    /// Lets the file grow by so many pages; nil: as it likes.
    private func bound(_ catalogue: Catalogue, sparePages: Int?) async throws {
        try await catalogue.write { turn in
            let pages = try turn.number("PRAGMA page_count") ?? 0
            let free = try turn.number("PRAGMA freelist_count") ?? 0
            let most = sparePages.map { pages - free + Int64($0) } ?? 1_000_000_000
            _ = try SQLRequest<Int64>(sql: "PRAGMA max_page_count = \(most)", cached: false).fetchOne(turn.db)
        }
    }
}
