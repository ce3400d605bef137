// ListUploads and ReviveItems, once as they should be called; due times on the way.

import Harness
import RPC
import Testing
import Wire

extension IndexerContract {
    @Suite struct IndexerUploadTests {
        /// Pages until the file is found: on a given indexer others may wait in front of it.
        private func shown(_ bench: IndexerBench, _ itemID: UInt64?, setAsideOnly: Bool = false) async throws
            -> UploadItem?
        {
            var token: String?
            repeat {
                let page = try await bench.call(
                    IndexerMethods.listUploads,
                    ListUploadsRequest(setAsideOnly: setAsideOnly, limit: 1000, pageToken: token))
                if let found = page.items.first(where: { $0.itemID == itemID }) { return found }
                token = page.nextPageToken
            } while token != nil
            return nil
        }

        private func totals(_ bench: IndexerBench) async throws -> ListUploadsReply {
            try await bench.call(IndexerMethods.listUploads, ListUploadsRequest(limit: 0))
        }

        @Test func aFileIsShownFromTheArchiveToTheCloudByWayOfBeingSetAside() async throws {
            try await withIndexer { bench in
                try await bench.recordFootage()
                var request = bench.archive("r", 0, 10, delivery: .cloud)
                request.dueUs = bench.us(3600)
                let due = try #require(request.dueUs)
                let submitted = try await bench.call(IndexerMethods.submitArchive, request)
                #expect(submitted.request?.dueUs == due)
                let before = try await totals(bench)
                for _ in 0..<2 {
                    let item = try #require(try await bench.claim(.archive, limit: 1).first)
                    try await bench.complete(item, .archive)
                }
                let item = try #require(try await bench.claim(.upload, limit: 1).first)
                let claim = ItemClaim(itemID: item.itemID, epoch: item.epoch, doneBytes: 600)
                let renewed = try await bench.call(
                    IndexerMethods.renewClaims, RenewClaimsRequest(worker: "worker-\(bench.tag)", claims: [claim]))
                #expect(renewed.lost.isEmpty)
                let active = try #require(try await shown(bench, item.itemID))
                #expect(active.sentBytes == 600 && active.sizeBytes == 1000 && active.worker == "worker-\(bench.tag)")
                #expect(active.dueUs == due && active.priority == .max && active.archivePath == item.archivePath)
                #expect(active.requestIDs == ["r-\(bench.tag)"])
                if ownsProcess {
                    let now = try await totals(bench)
                    #expect(now.items.isEmpty && now.waitingFiles == (before.waitingFiles ?? 0) + 1)
                    #expect(now.activeFiles == 1 && now.activeBytes == 1000 && now.oldestUs == active.archivedUs)
                }
                let failed = try await bench.call(
                    IndexerMethods.failItem,
                    FailItemRequest(
                        claim: claim, work: .upload, worker: "worker-\(bench.tag)", reason: "403", retryable: false))
                #expect(failed.state == .poisoned)
                let aside = try #require(try await shown(bench, item.itemID, setAsideOnly: true))
                #expect(aside.error == "403" && aside.sentBytes == nil && aside.worker == nil)
                #expect(try await bench.request("r").state == .failed)

                let question = ReviveItemsRequest(
                    itemIDs: [item.itemID ?? 0], work: .upload, requestedBy: "ops-\(bench.tag)")
                for revived: UInt64 in [1, 0] {
                    #expect(try await bench.call(IndexerMethods.reviveItems, question).revived == revived)
                }
                #expect(try await bench.request("r").state == .uploading)
                let again = try #require(try await bench.claim(.upload, limit: 1).first)
                #expect(again.itemID == item.itemID)
                try await bench.complete(again, .upload)
                try await bench.complete(try #require(try await bench.claim(.upload, limit: 1).first), .upload)
                #expect(try await bench.request("r").state == .done)
                let after = try await totals(bench)
                #expect(
                    (after.minuteFiles ?? 0) >= 2 && (after.hourBytes ?? 0) >= 1000 && after.newestUploadedUs != nil)
                let audit = try await bench.call(
                    IndexerMethods.listAudit, ListAuditRequest(fromUs: bench.zeroUs, limit: 1000))
                #expect(audit.entries.contains { $0.action == "revived" && $0.who == "ops-\(bench.tag)" })
            }
        }

        @Test func everythingThatWasSetAsideIsRevivedByOneCall() async throws {
            // It would revive what others left on a given indexer.
            guard ownsProcess else { return }
            try await withIndexer { bench in
                try await bench.recordFootage()
                _ = try await bench.call(IndexerMethods.submitArchive, bench.archive("r"))
                for item in try await bench.claim(.archive, limit: 3) {
                    _ = try await bench.call(
                        IndexerMethods.failItem,
                        FailItemRequest(
                            claim: ItemClaim(itemID: item.itemID, epoch: item.epoch), work: .archive,
                            worker: "worker-\(bench.tag)", reason: "the disk is full", retryable: false))
                }
                #expect(try await bench.request("r").state == .failed)
                let none = try await bench.call(
                    IndexerMethods.reviveItems, ReviveItemsRequest(all: true, work: .upload))
                #expect(none.revived == 0)
                let all = try await bench.call(IndexerMethods.reviveItems, ReviveItemsRequest(all: true))
                #expect(all.revived == 3)
                #expect(try await bench.request("r").state == .copying)
                #expect(try await bench.claim(.archive, limit: 4).count == 3)
                try await bench.cleanUp()
            }
        }
    }
}
