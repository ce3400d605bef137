// Another chance for what was set aside: which items, which requests, and what becomes of the manifest.

import Foundation
import RPC
import Testing
import Wire

@testable import Indexer

@Suite struct RevivalTests {
    typealias T = TestCatalogue

    private func revive(
        _ test: T, _ ids: [UInt64?] = [], all: Bool? = nil, work: Work? = nil, by who: String? = "ops"
    ) async throws -> UInt64? {
        try await test.uploads.reviveItems(
            ReviveItemsRequest(itemIDs: ids.compactMap(\.self), all: all, work: work, requestedBy: who), caller: "cli"
        ).revived
    }

    private func audit(_ test: T) async throws -> [AuditEntry] {
        try await test.queries.listAudit(ListAuditRequest()).entries.filter { $0.action == "revived" }
    }

    /// The requests that hold footage.
    private func holders(_ test: T) async throws -> [String?] {
        try await test.catalogue.read { db in try db.holds().map(\.requestID) }
    }

    @Test func aFileThatCouldNotBeUploadedGoesUpAndItsRequestIsDone() async throws {
        let test = try await uploadsWaiting(["r1"])
        let item = try #require(try await test.claim(.upload).first)
        try await test.fail(item, retryable: false, "403: the signature is not allowed to write")
        let failed = try await test.request("r1")
        #expect(failed.state == .failed && failed.finishedUs != nil && failed.reason?.contains("403") == true)
        #expect(try await holders(test).isEmpty)
        let cursor = failed.cursor ?? 0

        #expect(try await revive(test, [item.itemID]) == 1)
        let open = try await test.request("r1")
        #expect(open.state == .uploading && open.reason == nil && open.finishedUs == nil)
        #expect((open.cursor ?? 0) > cursor && test.announced.uploadWork)
        #expect(
            try await holders(test) == ["r1"], "it is open, so it holds its footage"
        )
        let again = try #require(try await test.claim(.upload).first)
        #expect(again.itemID == item.itemID && again.attempts == 0, "with all its attempts")
        try await test.complete(again, .upload)
        try await test.work(.upload)
        let done = try await test.request("r1")
        #expect(done.state == .done && done.files.allSatisfy { $0.state == .uploaded && $0.error == nil })
        #expect(done.manifestPath == failed.manifestPath, "what the manifest says was right all along")
        #expect(try await holders(test).isEmpty)
        #expect(try await audit(test).map { "\($0.who ?? "") \($0.subject ?? "")" } == ["ops r1"])
        #expect(try await test.problems().isEmpty)
    }

    @Test func theSameAgainChangesNothing() async throws {
        let test = try await uploadsWaiting(["r1"])
        let item = try #require(try await test.claim(.upload).first)
        try await test.fail(item, retryable: false)
        #expect(try await revive(test, [item.itemID, item.itemID]) == 1)
        let newest = try await test.queries.changes(IndexerChangesRequest(after: 0, limit: 1)).newest
        #expect(try await revive(test, [item.itemID, 4711]) == 0)
        #expect(try await revive(test, all: true) == 0)
        #expect(try await test.queries.changes(IndexerChangesRequest(after: 0, limit: 1)).newest == newest)
        #expect(try await audit(test).count == 1)
    }

    @Test func aFileThatCouldNotBeArchivedGetsAnotherManifest() async throws {
        let test = try T()
        try await test.recordFootage(-20, 0)
        try await test.archive("r1", -20, 0, delivery: .cloud)
        let items = try await test.claim(.archive)
        try await test.complete(items[0], .archive)
        try await test.fail(items[1], .archive, retryable: false, "the disk is full")
        try await test.work(.archive)
        try await test.work(.upload)
        let partial = try await test.request("r1")
        #expect(partial.state == .partial && partial.reason?.contains("the disk is full") == true)
        let firstManifest = try #require(partial.manifestPath)
        #expect(try await revive(test, all: true, work: .upload) == 0, "it is not an upload")
        #expect(try await revive(test, all: true, work: .archive) == 1)
        #expect(try await test.request("r1").state == .copying)
        try await test.work(.archive)
        try await test.work(.upload)
        let done = try await test.request("r1")
        #expect(done.state == .done && done.manifestPath != firstManifest)
        #expect(done.files.filter { $0.kind == .manifest }.map(\.archivePath) == [done.manifestPath])
        #expect(done.files.count == 3 && done.files.allSatisfy { $0.state == .uploaded })
        #expect(try await test.problems().isEmpty)
    }

    @Test func whileARequestStillUploadsItsManifestIsMadeAgainToo() async throws {
        let test = try T()
        try await test.recordFootage(-20, 0)
        try await test.archive("r1", -20, 0, delivery: .cloud)
        let items = try await test.claim(.archive)
        try await test.complete(items[0], .archive)
        try await test.fail(items[1], .archive, retryable: false)
        try await test.work(.archive)
        let uploading = try await test.request("r1")
        #expect(uploading.state == .uploading)
        #expect(try await revive(test, [items[1].itemID]) == 1)
        #expect(try await test.request("r1").state == .copying)
        try await test.work(.archive)
        try await test.work(.upload)
        let done = try await test.request("r1")
        #expect(done.state == .done && done.manifestPath != uploading.manifestPath)
    }

    @Test func aManifestIsRevivedAsItIs() async throws {
        let test = try await uploadsWaiting(["r1"])
        let media = try #require(try await test.claim(.upload).first)
        try await test.complete(media, .upload)
        let manifest = try #require(try await test.claim(.upload).first)
        #expect(manifest.kind == .manifest)
        try await test.fail(manifest, retryable: false)
        #expect(try await test.request("r1").state == .partial)
        #expect(try await revive(test, [manifest.itemID]) == 1)
        try await test.work(.upload)
        let done = try await test.request("r1")
        #expect(done.state == .done && done.manifestPath == manifest.archivePath)
    }

    @Test func whatSomebodyCancelledStaysSo() async throws {
        let test = try await uploadsWaiting(["r1", "r2"])
        let items = try await test.claim(.upload)
        for item in items { try await test.fail(item, retryable: false) }
        try await test.archive("r3", -20, -10, delivery: .cloud)
        #expect(try await test.request("r3").state != .failed, "a new wish revives it by itself")
        _ = try await test.requests.cancelRequest(CancelRequestRequest(requestID: "r3"), caller: "ops")
        #expect(try await revive(test, all: true) == 1, "r2's; that of r1 was dropped with r3")
        #expect(try await test.request("r2").state == .uploading)
        #expect(try await test.request("r3").state == .cancelled)
    }

    @Test func whatNobodyWantsAnyMoreIsPassedOver() async throws {
        let test = try T()
        try await test.recordFootage(-20, 0)
        try await test.archive("r1", -20, 0, delivery: .cloud)
        let items = try await test.claim(.archive)
        try await test.fail(items[0], .archive, retryable: false)
        _ = try await test.requests.cancelRequest(CancelRequestRequest(requestID: "r1"), caller: "ops")
        #expect(try await revive(test, all: true) == 0)
        #expect(try await test.claim(.archive).isEmpty)
    }

    @Test func thousandsAreRevivedInPieces() async throws {
        let test = try T()
        let files = Turn.mostRevivedAtOnce + 3
        try await test.record((0..<files / 2).map { T.segment(Double($0 - files), Double($0 - files) + 1) })
        try await test.record((files / 2..<files).map { T.segment(Double($0 - files), Double($0 - files) + 1) })
        try await test.archive("r1", Double(-files), 0, delivery: .cloud)
        try await test.work(.archive)
        while case let items = try await test.claim(.upload), !items.isEmpty {
            for item in items { try await test.fail(item, retryable: false) }
        }
        #expect(try await test.uploads(limit: 0).setAsideFiles == UInt64(files))
        #expect(try await revive(test, all: true) == UInt64(files))
        let reply = try await test.uploads(limit: 0)
        #expect(reply.setAsideFiles == 0 && reply.waitingFiles == UInt64(files))
        #expect(try await test.request("r1").state == .uploading)
        #expect(try await audit(test).count == 2, "one line for each piece")
    }

    /// Promise 5: a local copy goes only when its upload was verified, and not while a request still needs it.
    @Test func aLocalCopyIsNotLetGoWhileItsRequestIsOpenAgain() async throws {
        let test = try T { $0.archiveRetentionUs = Micro.second }
        try await test.recordFootage(-20, 0)
        _ = try await test.records.reportVolume(
            ReportVolumeRequest(
                volume: VolumeStatus(volumeID: "arch", role: "archive", totalBytes: 1 << 40, freeBytes: 1 << 39),
                owner: "cloud-uploader/0"))
        func grants() async throws -> [String] {
            try await test.retention.getDeletionGrants(
                GetDeletionGrantsRequest(volumeID: "arch", owner: "cloud-uploader/0")
            ).grants.compactMap(\.path).filter { !$0.hasSuffix(".json") }
        }
        try await test.archive("r1", -20, 0, delivery: .cloud)
        try await test.work(.archive)
        let items = try await test.claim(.upload)
        try await test.complete(items[0], .upload)
        try await test.fail(items[1], retryable: false)
        try await test.work(.upload)
        test.now(10)
        #expect(try await test.request("r1").state == .partial)
        #expect(try await grants() == [items[0].archivePath], "the one that is not in the cloud stays")
        #expect(try await revive(test, [items[1].itemID]) == 1)
        #expect(try await grants().isEmpty)
        try await test.work(.upload)
        test.now(20)
        #expect(try await grants() == items.map(\.archivePath))
    }

    @Test func aQuestionThatNamesNothingOrBothIsRefused() async throws {
        let test = try T()
        for (ids, all) in [([], nil), ([], false), ([1], true)] as [([UInt64?], Bool?)] {
            await #expect {
                _ = try await revive(test, ids, all: all)
            } throws: {
                ($0 as? RPCError)?.field == "item_ids"
            }
        }
    }

    // MARK: - The machine alone

    @Test(arguments: [
        (RequestState.partial, "x", Delivery.cloud, true, true), (.failed, "x", .cloud, true, true),
        (.partial, "evicted: full", .cloud, false, false), (.failed, "x", .archive, true, false),
        (.cancelled, "cancelled by ops", .cloud, false, false), (.done, "", .cloud, false, false),
        (.uploading, "", .cloud, true, true), (.copying, "", .archive, true, false),
    ])
    func whichRequestsGoOn(
        state: RequestState, reason: String, delivery: Delivery, byArchive: Bool, byUpload: Bool
    ) {
        let machine = RequestMachine(state: state, reason: reason, delivery: delivery)
        #expect(machine.isRevived(by: .archive) == byArchive)
        #expect(machine.isRevived(by: .upload) == byUpload)
    }

    @Test func anOpenedRequestFindsItsPlaceAgainAndKeepsItsFirstTimes() {
        var machine = RequestMachine(
            state: .partial, reason: "1 file could not be uploaded", delivery: .cloud, copyingUs: 10, archivedUs: 20,
            finishedUs: 30)
        let isOpened = machine.reopen()
        #expect(isOpened && machine.isOpen && machine.reason.isEmpty && machine.finishedUs == nil)
        let facts = RequestFacts(
            fixedCameras: 1, items: [.archived: 1, .delivered: 2], manifest: .delivered)
        #expect(machine.advance(facts, nowUs: 40).isEmpty)
        #expect(machine.state == .uploading && machine.archivedUs == 20)
        var waiting = RequestMachine(state: .waiting, delivery: .cloud)
        let isWaitingOpened = waiting.reopen()
        #expect(!isWaitingOpened && waiting.state == .waiting)
    }
}
