// Every method of the contract with input that is wrong: a clear error that names the field, and nothing changed.

import RPC
import Testing
import Wire

extension IndexerContract {
    @Suite struct IndexerBadInputTests {
        /// What a call with bad input gives: the error's code and field.
        private func check<Q, R>(
            _ bench: IndexerBench, _ method: RPCMethod<Q, R>, _ request: Q, _ code: Code, _ field: String?,
            at location: SourceLocation = #_sourceLocation
        ) async throws {
            let error = try await bench.refusal(method, request, at: location)
            #expect(error.code == code, "\(error)", sourceLocation: location)
            #expect(error.field == field, "\(error)", sourceLocation: location)
            #expect(!error.message.isEmpty, sourceLocation: location)
        }

        @Test func recordsAndVolumes() async throws {
            try await withIndexer { bench in
                try await check(
                    bench, IndexerMethods.recordMedia, RecordMediaRequest(records: [bench.segment(0, 1)]),
                    .invalidArgument,
                    "controller_id")
                let many = RecordMediaRequest(
                    controllerID: "cc-0", records: Array(repeating: MediaRecord(spoolID: 1), count: 501))
                try await check(bench, IndexerMethods.recordMedia, many, .invalidArgument, "records")
                var bad = bench.segment(0, 10, spool: 1)
                bad.file?.source?.device = "a/b"
                let reply = try await bench.record([bad, bench.segment(10, 20, spool: 2)])
                #expect(reply.acknowledged == [2])
                #expect(reply.rejected.map(\.spoolID) == [1])
                #expect(reply.rejected.first?.message?.hasPrefix("records[0].file.source.device") == true)
                try await check(
                    bench, IndexerMethods.reportVolume,
                    ReportVolumeRequest(volume: VolumeStatus(volumeID: "v", role: "scratch"), owner: "cc-0"),
                    .invalidArgument,
                    "volume.role")
                try await check(bench, IndexerMethods.listFiles, ListFilesRequest(), .invalidArgument, "volume_id")
                try await check(
                    bench, IndexerMethods.listFiles, ListFilesRequest(volumeID: "v", limit: 2001), .invalidArgument,
                    "limit"
                )
            }
        }

        @Test func queries() async throws {
            try await withIndexer { bench in
                try await check(
                    bench, IndexerMethods.queryMedia, QueryMediaRequest(window: bench.window(10, 10)), .invalidArgument,
                    "window.end_us")
                try await check(
                    bench, IndexerMethods.queryMedia, QueryMediaRequest(pageToken: "nonsense"), .invalidArgument,
                    "page_token")
                try await check(
                    bench, IndexerMethods.coverage, CoverageRequest(window: bench.window(0, 10)), .invalidArgument,
                    "source"
                )
                try await check(
                    bench, IndexerMethods.coverage,
                    CoverageRequest(source: bench.source("cam"), window: bench.window(0, 86_401)), .invalidArgument,
                    "window.end_us")
                try await check(
                    bench, IndexerMethods.changes, IndexerChangesRequest(after: 1 << 50), .outOfRange, nil)
                try await check(bench, IndexerMethods.listAudit, ListAuditRequest(limit: 0), .invalidArgument, "limit")
            }
        }

        @Test func events() async throws {
            try await withIndexer { bench in
                var noTime = bench.event("e", at: 0)
                noTime.eventUs = nil
                try await check(bench, IndexerMethods.submitEvent, noTime, .invalidArgument, "event_us")
                try await check(
                    bench, IndexerMethods.submitEvent, bench.event("e", at: 600 + 3700), .invalidArgument, "event_us")
                var noKey = bench.event("e", at: 0)
                noKey.eventKey = ""
                try await check(bench, IndexerMethods.submitEvent, noKey, .invalidArgument, "event_key")
                var noCamera = bench.event("e", at: 0)
                noCamera.cameras = []
                try await check(bench, IndexerMethods.submitEvent, noCamera, .invalidArgument, "cameras")
                var backwards = bench.event("e", at: 0)
                backwards.endOffsetMs = -20_000
                try await check(bench, IndexerMethods.submitEvent, backwards, .invalidArgument, "end_offset_ms")
                var tooLong = bench.event("e", at: 0)
                tooLong.maximumMs = 86_400_001
                try await check(bench, IndexerMethods.submitEvent, tooLong, .invalidArgument, "maximum_ms")
            }
        }

        @Test func archiveRequests() async throws {
            try await withIndexer { bench in
                var odd = bench.archive("r")
                odd.requestID = "../r"
                try await check(bench, IndexerMethods.submitArchive, odd, .invalidArgument, "request_id")
                try await check(
                    bench, IndexerMethods.submitArchive, bench.archive("r", 0, 86_401), .invalidArgument,
                    "window.end_us")
                var endless = bench.archive("r")
                endless.window?.endUs = nil
                try await check(bench, IndexerMethods.submitArchive, endless, .invalidArgument, "window.end_us")
                var nameless = bench.archive("r")
                nameless.cameras[0].source?.endpoint = nil
                try await check(
                    bench, IndexerMethods.submitArchive, nameless, .invalidArgument, "cameras[0].source.endpoint")
                _ = try await bench.call(IndexerMethods.submitArchive, bench.archive("r", 900, 910))
                try await check(
                    bench, IndexerMethods.submitArchive, bench.archive("r", 900, 911), .alreadyExists, nil)
                try await check(
                    bench, IndexerMethods.getRequest, GetRequestRequest(requestID: "none-\(bench.tag)"), .notFound, nil)
                try await check(bench, IndexerMethods.getRequest, GetRequestRequest(), .invalidArgument, "request_id")
                try await check(
                    bench, IndexerMethods.listRequests, ListRequestsRequest(limit: 201), .invalidArgument, "limit")
                try await check(
                    bench, IndexerMethods.cancelRequest, CancelRequestRequest(requestID: "none-\(bench.tag)"),
                    .notFound,
                    nil)
                _ = try await bench.call(
                    IndexerMethods.cancelRequest, CancelRequestRequest(requestID: "r-\(bench.tag)"))
            }
        }

        @Test func claims() async throws {
            try await withIndexer { bench in
                try await check(
                    bench, IndexerMethods.claimItems, ClaimItemsRequest(worker: "w"), .invalidArgument, "work")
                try await check(
                    bench, IndexerMethods.claimItems, ClaimItemsRequest(work: .archive, worker: "w", leaseMs: 1),
                    .invalidArgument, "lease_ms")
                try await check(
                    bench, IndexerMethods.renewClaims, RenewClaimsRequest(worker: "w", claims: [ItemClaim(itemID: 1)]),
                    .invalidArgument, "claims[0].epoch")
                try await bench.recordFootage()
                _ = try await bench.call(IndexerMethods.submitArchive, bench.archive("r", 0, 10))
                let item = try #require(try await bench.claim(.archive, limit: 1).first)
                var short = bench.completion(item, .archive)
                short.sha256 = [1, 2, 3]
                try await check(bench, IndexerMethods.completeItem, short, .invalidArgument, "sha256")
                var other = bench.completion(item, .archive)
                other.sizeBytes = 999
                try await check(bench, IndexerMethods.completeItem, other, .invalidArgument, "size_bytes")
                var signed = bench.completion(item, .upload)
                signed.blobURL = "https://a.blob.example/x?sv=1&sig=secret"
                let refused = try await bench.refusal(IndexerMethods.completeItem, signed)
                #expect(refused.field == "blob_url")
                #expect(!refused.message.contains("secret"))
                var stale = bench.completion(item, .archive)
                stale.claim?.epoch = (item.epoch ?? 0) + 1
                try await check(bench, IndexerMethods.completeItem, stale, .failedPrecondition, nil)
                var unknown = bench.completion(item, .archive)
                unknown.claim?.itemID = 1 << 50
                try await check(bench, IndexerMethods.completeItem, unknown, .notFound, nil)
                let silent = FailItemRequest(
                    claim: ItemClaim(itemID: item.itemID, epoch: item.epoch), work: .archive, worker: "w")
                try await check(bench, IndexerMethods.failItem, silent, .invalidArgument, "reason")
                #expect(try await bench.complete(item, .archive).state == .archived)
            }
        }

        @Test func holdsAndDeletion() async throws {
            try await withIndexer { bench in
                var hold = Hold(
                    kind: .request, source: bench.source("cam"), window: bench.window(0, 10), placedBy: "me",
                    reason: "x")
                try await check(
                    bench, IndexerMethods.placeHold, PlaceHoldRequest(hold: hold), .invalidArgument, "hold.kind")
                hold.kind = .legal
                hold.reason = nil
                try await check(
                    bench, IndexerMethods.placeHold, PlaceHoldRequest(hold: hold), .invalidArgument, "hold.reason")
                try await check(bench, IndexerMethods.releaseHold, ReleaseHoldRequest(), .invalidArgument, "hold_id")
                try await check(
                    bench, IndexerMethods.getDeletionGrants, GetDeletionGrantsRequest(volumeID: "v"), .invalidArgument,
                    "owner")
                try await check(
                    bench, IndexerMethods.reportDeleted,
                    ReportDeletedRequest(volumeID: "v", owner: "cc-0", paths: ["/etc/passwd"]), .invalidArgument,
                    "paths[0]"
                )
            }
        }
    }
}
