// Every method of the contract, once as it should be called. BadInputTests.swift has the other half.

import Harness
import RPC
import Testing
import Wire

extension IndexerContract {
    @Suite struct IndexerMethodTests {
        @Test func recordMediaAcknowledgesOnceAndAgain() async throws {
            try await withIndexer { bench in
                let records = [
                    bench.segment(0, 10, spool: 7),
                    MediaRecord(
                        spoolID: 8,
                        run: Run(runID: "r-\(bench.tag)", source: bench.source("cam"), startedUs: bench.us(0))),
                    MediaRecord(
                        spoolID: 9,
                        anchor: Anchor(
                            runID: "r-\(bench.tag)", version: 1, mediaUs: 0, wallUs: bench.us(0), origin: "arrival")),
                    MediaRecord(
                        spoolID: 10, gap: Gap(source: bench.source("cam"), window: bench.window(10, 20), cause: "dark")),
                ]
                for _ in 0..<2 { #expect(try await bench.record(records).acknowledged == [7, 8, 9, 10]) }
                let reply = try await bench.call(IndexerMethods.listFiles, ListFilesRequest(volumeID: bench.volumeID))
                #expect(reply.files.count == 1)
                #expect(reply.files.first == records[0].file)
            }
        }

        @Test func listFilesPagesByPath() async throws {
            try await withIndexer { bench in
                try await bench.recordFootage()
                let first = try await bench.call(
                    IndexerMethods.listFiles, ListFilesRequest(volumeID: bench.volumeID, limit: 2))
                #expect(first.files.count == 2)
                #expect(first.more == true)
                let rest = try await bench.call(
                    IndexerMethods.listFiles,
                    ListFilesRequest(volumeID: bench.volumeID, afterPath: first.files.last?.path, limit: 2))
                #expect(rest.files.count == 1)
                #expect(rest.more == false)
            }
        }

        @Test func queriesShowWhatWasRecorded() async throws {
            try await withIndexer { bench in
                try await bench.recordFootage()
                let media = try await bench.call(
                    IndexerMethods.queryMedia,
                    QueryMediaRequest(asset: bench.asset("cam"), window: bench.window(5, 15), limit: 1))
                #expect(media.files.map(\.startUs) == [bench.us(0)])
                let next = try await bench.call(
                    IndexerMethods.queryMedia,
                    QueryMediaRequest(
                        asset: bench.asset("cam"), window: bench.window(5, 15), limit: 1, pageToken: media.nextPageToken
                    ))
                #expect(next.files.map(\.startUs) == [bench.us(10)])
                #expect(next.nextPageToken == nil)
                let coverage = try await bench.call(
                    IndexerMethods.coverage, CoverageRequest(source: bench.source("cam"), window: bench.window(-10, 30))
                )
                #expect(coverage.covered == [bench.window(0, 30)])
                #expect(coverage.gaps.map(\.cause) == ["not_recorded"])
                #expect(coverage.segments == 3)
                #expect(coverage.bytes == 3000)
                let cameras = try await bench.call(IndexerMethods.listCameras, ListCamerasRequest()).cameras
                let camera = try #require(cameras.first { $0.camera == bench.asset("cam") })
                #expect(camera.segments == 3)
                #expect(camera.newestUs == bench.us(30))
            }
        }

        @Test func anEventBecomesOneRequestWithItsWindow() async throws {
            try await withIndexer { bench in
                try await bench.recordFootage()
                let first = try await bench.call(IndexerMethods.submitEvent, bench.event("e1", at: 15))
                #expect(first.receipt == .accepted)
                #expect(first.request?.window == bench.window(5, 20))
                #expect(first.request?.state == .copying)
                let again = try await bench.call(IndexerMethods.submitEvent, bench.event("e1", at: 15))
                #expect(again.receipt == .duplicate)
                #expect(again.request?.requestID == first.request?.requestID)
            }
        }

        @Test func anOpenWindowIsExtended() async throws {
            try await withIndexer { bench in
                try await bench.recordFootage()
                // It ends after now, so it waits.
                let first = try await bench.call(IndexerMethods.submitEvent, bench.event("e1", at: 900))
                #expect(first.request?.state == .waiting)
                let second = try await bench.call(IndexerMethods.submitEvent, bench.event("e2", at: 905))
                #expect(second.receipt == .extended)
                #expect(second.request?.window == bench.window(890, 910))
                #expect(second.request?.eventKeys.count == 2)
                _ = try await bench.call(
                    IndexerMethods.cancelRequest, CancelRequestRequest(requestID: first.request?.requestID))
            }
        }

        @Test func anArchiveRequestGoesAllTheWayToTheCloud() async throws {
            try await withIndexer { bench in
                try await bench.recordFootage()
                _ = try await bench.call(
                    IndexerMethods.reportVolume,
                    ReportVolumeRequest(
                        volume: VolumeStatus(
                            volumeID: bench.volumeID, role: "recording", writable: true, totalBytes: 1 << 40,
                            freeBytes: 1 << 39),
                        owner: "cc-0", ownerAddress: "ipc:///run/cc-0.rpc"))
                let reply = try await bench.call(IndexerMethods.submitArchive, bench.archive("r", delivery: .cloud))
                #expect(reply.receipt == .accepted)
                let items = try await bench.claim(.archive, limit: 3)
                #expect(items.count == 3)
                #expect(items.allSatisfy { $0.sourceAddress == "ipc:///run/cc-0.rpc" && $0.sidecar != nil })
                let renewed = try await bench.call(
                    IndexerMethods.renewClaims,
                    RenewClaimsRequest(
                        worker: "worker-\(bench.tag)",
                        claims: items.map { ItemClaim(itemID: $0.itemID, epoch: $0.epoch) } + [
                            ItemClaim(itemID: 1 << 40, epoch: 1)
                        ]))
                #expect(renewed.lost.map(\.itemID) == [1 << 40])
                for item in items { #expect(try await bench.complete(item, .archive).state == .archived) }
                let manifest = try await bench.claim(.archive, limit: 1)
                #expect(manifest.map(\.kind) == [.manifest])
                try await bench.complete(try #require(manifest.first), .archive)
                let uploads = try await bench.claim(.upload, limit: 3)
                #expect(uploads.allSatisfy { $0.crc64 == IndexerBench.crc64 })
                for item in uploads { #expect(try await bench.complete(item, .upload).state == .uploaded) }
                try await bench.complete(try #require(try await bench.claim(.upload, limit: 1).first), .upload)
                let done = try await bench.request("r")
                #expect(done.state == .done)
                #expect(done.files.count == 4)
                #expect(done.files.allSatisfy { $0.blobURL?.hasPrefix("https://") == true })
                let listed = try await bench.call(
                    IndexerMethods.listRequests, ListRequestsRequest(state: .done, limit: 200))
                #expect(listed.requests.contains { $0.requestID == done.requestID && $0.files.isEmpty })
                let grants = try await bench.call(
                    IndexerMethods.getDeletionGrants,
                    GetDeletionGrantsRequest(volumeID: bench.archiveID, owner: "cloud-uploader"))
                #expect(grants.grants.allSatisfy { $0.cause == "uploaded" })
            }
        }

        @Test func aFailedItemComesBackUntilItIsPoisoned() async throws {
            try await withIndexer { bench in
                try await bench.recordFootage()
                _ = try await bench.call(IndexerMethods.submitArchive, bench.archive("r", 0, 10))
                let item = try #require(try await bench.claim(.archive, limit: 1).first)
                func failure(_ item: ClaimedItem, retryable: Bool) -> FailItemRequest {
                    FailItemRequest(
                        claim: ItemClaim(itemID: item.itemID, epoch: item.epoch), work: .archive,
                        worker: "worker-\(bench.tag)",
                        reason: "the disk is full", retryable: retryable)
                }
                #expect(try await bench.call(IndexerMethods.failItem, failure(item, retryable: true)).state == .pending)
                let again = try #require(try await bench.claim(.archive, limit: 1, waitMs: 5000).first)
                #expect(again.itemID == item.itemID)
                #expect(again.attempts == 1)
                #expect(
                    try await bench.call(IndexerMethods.failItem, failure(again, retryable: false)).state == .poisoned)
                let failed = try await bench.request("r")
                #expect(failed.state == .failed)
                #expect(failed.reason == "1 file could not be archived: the disk is full")
            }
        }

        @Test func aLongPollAnswersWhenWorkAppears() async throws {
            try await withIndexer { bench in
                try await bench.recordFootage()
                async let items = bench.call(
                    IndexerMethods.claimItems,
                    ClaimItemsRequest(work: .archive, worker: "worker-\(bench.tag)", limit: 1, waitMs: 9000)
                ).items
                _ = try await bench.call(IndexerMethods.submitArchive, bench.archive("r", 0, 10))
                let found = try await items
                #expect(found.count == 1)
            }
        }

        @Test func cancelEndsAnOpenRequest() async throws {
            try await withIndexer { bench in
                _ = try await bench.call(
                    IndexerMethods.submitArchive,
                    bench.archive("r", 900, 910, cameras: [bench.requested("cam", .recording)]))
                for _ in 0..<2 {
                    let reply = try await bench.call(
                        IndexerMethods.cancelRequest,
                        CancelRequestRequest(requestID: "r-\(bench.tag)", requestedBy: "ops"))
                    #expect(reply.state == .cancelled)
                }
            }
        }

        @Test func holdsKeepFootageFromDeletion() async throws {
            try await withIndexer(["--retention-hours", "1"]) { bench in
                // Footage of some hours ago.
                try await bench.record([bench.segment(-9000, -8990, spool: 1), bench.segment(-8990, -8980, spool: 2)])
                func grants() async throws -> [DeletionGrant] {
                    try await bench.call(
                        IndexerMethods.getDeletionGrants,
                        GetDeletionGrantsRequest(volumeID: bench.volumeID, owner: "cc-0")
                    ).grants.filter { $0.now == true }
                }
                let hold = Hold(
                    holdID: "h-\(bench.tag)", kind: .legal, source: bench.source("cam"),
                    window: bench.window(-9000, -8990),
                    placedBy: "court", reason: "case 7")
                for _ in 0..<2 {
                    let placed = try await bench.call(IndexerMethods.placeHold, PlaceHoldRequest(hold: hold))
                    #expect(placed.holdID == hold.holdID)
                }
                let holds = try await bench.call(IndexerMethods.listHolds, ListHoldsRequest()).holds
                #expect(holds.contains { $0.holdID == hold.holdID && $0.reason == "case 7" })
                if ownsProcess { #expect(try await grants().map(\.cause) == ["age"]) }
                let released = try await bench.call(
                    IndexerMethods.releaseHold, ReleaseHoldRequest(holdID: hold.holdID, requestedBy: "court"))
                #expect(released.existed == true)
                if ownsProcess { #expect(try await grants().count == 2) }
                let paths = try await bench.call(IndexerMethods.listFiles, ListFilesRequest(volumeID: bench.volumeID))
                    .files.compactMap(\.path)
                for _ in 0..<2 {
                    _ = try await bench.call(
                        IndexerMethods.reportDeleted,
                        ReportDeletedRequest(volumeID: bench.volumeID, owner: "cc-0", paths: paths))
                }
                #expect(
                    try await bench.call(IndexerMethods.listFiles, ListFilesRequest(volumeID: bench.volumeID)).files
                        .isEmpty
                )
            }
        }

        @Test func changesAndAuditTellWhatHappened() async throws {
            try await withIndexer { bench in
                let before =
                    try await bench.call(IndexerMethods.changes, IndexerChangesRequest(after: 0, limit: 1)).newest ?? 0
                _ = try await bench.call(IndexerMethods.submitArchive, bench.archive("r", 900, 910))
                let changes = try await bench.call(
                    IndexerMethods.changes, IndexerChangesRequest(after: before, limit: 1000))
                #expect(changes.changes.contains { $0.what == "request" && $0.name == "r-\(bench.tag)" })
                let audit = try await bench.call(
                    IndexerMethods.listAudit, ListAuditRequest(fromUs: bench.zeroUs, limit: 1000))
                let entry = try #require(audit.entries.first { $0.subject == "r-\(bench.tag)" })
                #expect(entry.action == "requested")
                #expect(entry.who == "ops")
                _ = try await bench.call(
                    IndexerMethods.cancelRequest, CancelRequestRequest(requestID: "r-\(bench.tag)"))
            }
        }

        @Test func itTellsItsHealth() async throws {
            try await withIndexer { bench in
                try await bench.recordFootage()
                let health = try await bench.call(HealthMethods.check, HealthRequest())
                #expect(health.live == true)
                #expect(health.ready == true)
                #expect(health.metrics.contains { $0.name == "sightglass_indexer_records_total" })
            }
        }
    }
}
