// Claims over the catalogue, retention, changes, audit, and what happens to a damaged or restarted database.

import Foundation
import GRDB
import RPC
import ServiceKit
import Testing
import Wire

@testable import Indexer

@Suite struct ClaimFlowTests {
    typealias T = TestCatalogue

    @Test func higherPriorityComesFirstThenTheOldest() async throws {
        let test = try T()
        try await test.recordFootage(-20, 0, camera: "cam1")
        try await test.recordFootage(-20, 0, camera: "cam2")
        try await test.archive("routine", -20, 0, priority: 0)
        try await test.archive("urgent", -20, 0, cameras: [T.camera("cam2")], priority: 100)
        let first = try await test.claim(.archive, limit: 2)
        #expect(first.map(\.camera) == ["cam2", "cam2"])
        let rest = try await test.claim(.archive, limit: 64)
        #expect(rest.map { T.seconds($0.window?.startUs) } == [-20, -10])
    }

    @Test func twoWorkersNeverHaveTheSameItem() async throws {
        let test = try T()
        try await test.recordFootage(-400, 0)
        try await test.archive("r1", -400, 0)
        let counts = try await withThrowingTaskGroup(of: [UInt64].self) { group in
            for worker in 0..<8 {
                group.addTask { try await test.claim(.archive, limit: 5, worker: "w\(worker)").compactMap(\.itemID) }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(counts.count == 40)
        #expect(Set(counts).count == 40)
    }

    @Test func aClaimThatIsNotRenewedFallsBack() async throws {
        let test = try T()
        try await test.recordFootage(-10, 0)
        try await test.archive("r1", -10, 0)
        let lost = try #require(try await test.claim(.archive, worker: "dead").first)
        #expect(try await test.claim(.archive).isEmpty)
        test.now(31)
        try await test.tick()
        let again = try #require(try await test.claim(.archive).first)
        #expect(again.itemID == lost.itemID)
        #expect(again.attempts == 1)
        #expect((again.epoch ?? 0) > (lost.epoch ?? 0))
        await #expect {
            try await test.complete(lost, .archive)
        } throws: {
            ($0 as? RPCError)?.code == .failedPrecondition
        }
        try await test.complete(again, .archive)
    }

    @Test func aLongPollIsWokenByWork() async throws {
        let test = try T()
        try await test.recordFootage(-10, 0)
        let seen = test.bell.generation(.archive)
        async let claimed = test.claims.claimItems(
            ClaimItemsRequest(work: .archive, worker: "w", waitMs: 20_000), remaining: .seconds(60))
        try await test.archive("r1", -10, 0)
        let items = try await claimed.items
        #expect(items.count == 1)
        #expect(test.bell.generation(.archive) > seen)
    }

    @Test func aClosedBellEndsLongPolls() async throws {
        let test = try T()
        async let claimed = test.claims.claimItems(
            ClaimItemsRequest(work: .archive, worker: "w", waitMs: 20_000), remaining: .seconds(60))
        test.bell.close()
        let items = try await claimed.items
        #expect(items.isEmpty)
    }
}

@Suite struct RetentionFlowTests {
    typealias T = TestCatalogue

    private func grants(_ test: T, _ volume: String = "vol1") async throws -> [DeletionGrant] {
        try await test.retention.getDeletionGrants(
            GetDeletionGrantsRequest(volumeID: volume, owner: "cc-0")
        ).grants
    }

    @Test func openRequestsAndLegalHoldsKeepWhatIsOld() async throws {
        let test = try T { $0.retentionUs = 100 * Micro.second }
        try await test.recordFootage(-300, 0)
        try await test.archive("r1", -250, -230)
        _ = try await test.retention.placeHold(
            PlaceHoldRequest(
                hold: Hold(
                    holdID: "h1", kind: .legal, source: T.source("cam1"), window: T.window(-300, -290),
                    placedBy: "court",
                    reason: "case 7")))
        let starts = try await grants(test).filter { $0.now == true }.compactMap(\.path).count
        // Nineteen files ended before -100; one is held by law, two by the request.
        #expect(starts == 16)
        #expect(try await test.catalogue.read { db in try db.holds() }.count == 2)
        try await test.work(.archive)
        #expect(try await test.request("r1").state == .done)
        #expect(try await grants(test).count { $0.now == true } == 18)
        #expect(try await test.retention.releaseHold(ReleaseHoldRequest(holdID: "h1"), caller: "x").existed == true)
        #expect(try await test.retention.releaseHold(ReleaseHoldRequest(holdID: "h1"), caller: "x").existed == false)
        #expect(try await grants(test).count { $0.now == true } == 19)
    }

    @Test func aRequestsHoldCannotBeReleasedByHand() async throws {
        let test = try T()
        try await test.archive("r1", 0, 10)
        let hold = try #require(try await test.catalogue.read { db in try db.holds() }.first)
        #expect(hold.kind == .request)
        #expect(hold.requestID == "r1")
        await #expect {
            try await test.retention.releaseHold(ReleaseHoldRequest(holdID: hold.holdID), caller: "x")
        } throws: {
            ($0 as? RPCError)?.code == .failedPrecondition
        }
    }

    @Test func deletedFilesLeaveTheCatalogueAndTheirTimeIsExpired() async throws {
        let test = try T()
        try await test.recordFootage(-300, -270)
        try await test.recordFootage(-260, 0)
        let path = try #require(
            try await test.queries.files(QueryMediaRequest(asset: "cam1")).files.first?.path)
        for _ in 0..<2 {
            _ = try await test.retention.reportDeleted(
                ReportDeletedRequest(volumeID: "vol1", owner: "cc-0", paths: [path]))
        }
        let coverage = try await test.queries.coverage(CoverageRequest(asset: "cam1", window: T.window(-300, 0)))
        #expect(coverage.gaps.map(\.cause) == ["expired", "not_recorded"])
        let audit = try await test.queries.listAudit(ListAuditRequest()).entries.filter { $0.action == "deleted" }
        #expect(audit.count == 1)
        #expect(audit.first?.who == "cc-0")
        #expect(audit.first?.detail?.contains("without a grant") == true)
    }

    @Test func theArchiveKeepsWhatIsNotUploaded() async throws {
        let test = try T { $0.archiveRetentionUs = 100 * Micro.second }
        try await test.recordFootage(-20, 0)
        _ = try await test.records.reportVolume(
            ReportVolumeRequest(
                volume: VolumeStatus(volumeID: "arch", role: "archive", totalBytes: 1 << 40, freeBytes: 1 << 39),
                owner: "cloud-uploader/0"))
        try await test.archive("r1", -20, 0, delivery: .cloud)
        try await test.work(.archive)
        #expect(try await grants(test, "arch").isEmpty)
        let uploads = try await test.claim(.upload)
        for item in uploads { try await test.complete(item, .upload) }
        // The request is still open: its manifest is not in the cloud.
        #expect(try await grants(test, "arch").isEmpty)
        try await test.work(.upload)
        let ahead = try await grants(test, "arch")
        #expect(ahead.count == 5)
        #expect(ahead.allSatisfy { $0.cause == "uploaded" && $0.now == false })
        #expect(ahead.compactMap(\.path).filter { $0.hasSuffix(".json") }.count == 3)
        test.now(101)
        #expect(try await grants(test, "arch").allSatisfy { $0.now == true })
        let path = try #require(uploads.first?.archivePath)
        _ = try await test.retention.reportDeleted(
            ReportDeletedRequest(volumeID: "arch", owner: "cloud-uploader/0", paths: [path]))
        #expect(try await test.request("r1").files.first?.state == .evicted)
        #expect(try await grants(test, "arch").count == 3)
    }

    @Test func holdsThatTakeMoreThanTheirShareGiveWay() async throws {
        let test = try T { $0.freeFloorBytes = 0 }
        try await test.recordFootage(-100, 0)
        _ = try await test.records.reportVolume(
            ReportVolumeRequest(
                volume: VolumeStatus(volumeID: "vol1", role: "recording", totalBytes: 12_000, freeBytes: 2000),
                owner: "cc-0", ownerAddress: "ipc:///x"))
        try await test.archive("low", -60, 0, priority: 0)
        #expect(try await grants(test).filter { $0.now == true }.isEmpty)
        #expect(try await test.request("low").state == .copying)
        try await test.archive("high", -100, -60, priority: 100)
        _ = try await grants(test)
        #expect(try await test.request("low").state == .failed)
        #expect(try await test.request("low").reason?.hasPrefix("evicted: ") == true)
        #expect(try await test.request("high").state == .copying)
    }
}

@Suite struct ChangeTests {
    typealias T = TestCatalogue

    @Test func changesAreFollowedByCursorAndExpire() async throws {
        let test = try T { $0.keptChanges = 500 }
        try await test.archive("r1", 0, 10)
        let first = try await test.queries.changes(IndexerChangesRequest(after: 0, limit: 1))
        #expect(first.changes.map(\.name) == ["r1"])
        #expect((first.newest ?? 0) > 1)
        try await test.catalogue.write { turn in for _ in 0..<2000 { try turn.change(.item, "x") } }
        await #expect {
            try await test.queries.changes(IndexerChangesRequest(after: 0))
        } throws: {
            ($0 as? RPCError)?.code == .outOfRange
        }
        let newest = try await test.queries.changes(IndexerChangesRequest(after: 1990, limit: 1)).newest ?? 0
        #expect(try await test.queries.changes(IndexerChangesRequest(after: newest)).changes.isEmpty)
        await #expect {
            try await test.queries.changes(IndexerChangesRequest(after: newest + 1))
        } throws: {
            ($0 as? RPCError)?.code == .outOfRange
        }
    }

    @Test func aRequestsCursorIsWhereItLastChanged() async throws {
        let test = try T()
        try await test.archive("r1", 0, 10)
        let request = try await test.request("r1")
        let changes = try await test.queries.changes(IndexerChangesRequest()).changes
        #expect(changes.last { $0.name == "r1" }?.cursor == request.cursor)
        #expect(test.announced.requests == ["r1"])
    }

    @Test func theAuditCannotBeChanged() async throws {
        let test = try T()
        try await test.archive("r1", 0, 10)
        await #expect(throws: (any Error).self) {
            try await test.catalogue.write { turn in try turn.run("UPDATE audit SET who = 'nobody'") }
        }
        await #expect(throws: (any Error).self) {
            try await test.catalogue.write { turn in try turn.run("DELETE FROM audit") }
        }
        #expect(try await test.queries.listAudit(ListAuditRequest()).entries.map(\.action) == ["requested"])
    }
}

@Suite struct DatabaseFileTests {
    private func folder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("indexer-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    @Test func aDamagedCatalogueIsRefusedInOneLine() throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("catalogue.sqlite").path
        try Data(repeating: 0x5a, count: 8192).write(to: URL(fileURLWithPath: path))
        #expect {
            _ = try Catalogue(path: path, policy: Policy(), clock: SystemWallClock())
        } throws: { error in
            let text = "\(error)"
            return text.contains(path) && text.contains("backup") && !text.contains("\n")
        }
    }

    @Test func durabilityIsFullAndTheLogIsBounded() async throws {
        let test = try TestCatalogue()
        let modes = try await test.catalogue.write { turn in
            [
                try turn.number("PRAGMA synchronous"), try turn.number("PRAGMA journal_size_limit"),
                try turn.number("PRAGMA foreign_keys"),
            ]
        }
        #expect(modes == [2, 64 << 20, 1])
        try await test.recordFootage(0, 100)
        try await test.catalogue.checkpoint()
        #expect(try await test.queries.listCameras().cameras.count == 1)
    }
}
