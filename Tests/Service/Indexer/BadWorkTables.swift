// What the indexer must refuse of those who record, work and delete; BadInputTests.swift sends it. Queries and archive requests
// are in BadInputTables.swift.

import Harness
import RPC
import Wire

extension IndexerBench {
    private var badPaths: [String?] {
        [nil, "", "/etc/passwd", "a/../b", "a//b", "a/./b", ".staging/x", "a\u{1}b", Bad.text(256), longPath]
    }

    /// 1025 bytes of parts that are short enough each.
    private var longPath: String { String(repeating: Bad.text(99) + "/", count: 10) + Bad.text(25) }

    // MARK: - Records

    /// A good record of each kind, and what spoils it.
    var badRecords: [(MediaRecord, KeyValuePairs<String, [(inout MediaRecord) -> Void]>)] {
        let file = segment(0, 10, spool: 1)
        let snapshot = MediaRecord(
            spoolID: 1,
            file: MediaFile(
                kind: .snapshot, volumeID: volumeID, path: "a/b.jpg", source: source("cam"), startUs: us(0),
                endUs: us(0)))
        let run = MediaRecord(
            spoolID: 1, run: Run(runID: "bad-\(tag)", source: source("cam"), startedUs: us(0)))
        let anchor = MediaRecord(
            spoolID: 1, anchor: Anchor(runID: "bad-\(tag)", version: 1, mediaUs: 0, wallUs: us(0)))
        let gap = MediaRecord(
            spoolID: 1, gap: Gap(source: source("cam"), window: window(0, 10), cause: "dark"))
        return [
            (file, badFile),
            (snapshot, ["file.end_us": [{ $0.file?.endUs = self.us(1) }]]),
            (
                run,
                [
                    "run.run_id": Bad.each(Bad.identities) { $0.run?.runID = $1 },
                    "run.source": [{ $0.run?.source = nil }],
                    "run.source.device": Bad.each(Bad.names) { $0.run?.source?.device = $1 },
                    "run.source.endpoint": Bad.each(Bad.names) { $0.run?.source?.endpoint = $1 },
                    "run.started_us": Bad.each(Bad.times) { $0.run?.startedUs = $1 },
                    "run.ended_us": Bad.each(Bad.timesIfAny) { $0.run?.endedUs = $1 },
                    "run.end_reason": [{ $0.run?.endReason = Bad.text(1025) }],
                    "run.lease_epoch": [{ $0.run?.leaseEpoch = .max }],
                    "run.controller_id": [{ $0.run?.controllerID = Bad.text(129) }],
                ]
            ),
            (
                anchor,
                [
                    "anchor.run_id": Bad.each(Bad.identities) { $0.anchor?.runID = $1 },
                    "anchor.version": [{ $0.anchor?.version = nil }],
                    "anchor.media_us": [{ $0.anchor?.mediaUs = nil }],
                    "anchor.wall_us": Bad.each(Bad.times) { $0.anchor?.wallUs = $1 },
                    "anchor.rate_ppm": Bad.each([-501, 501, .min, .max]) { $0.anchor?.ratePpm = $1 },
                    "anchor.origin": [{ $0.anchor?.origin = Bad.text(65) }],
                ]
            ),
            (
                gap,
                [
                    "gap.source": [{ $0.gap?.source = nil }],
                    "gap.source.device": Bad.each(Bad.names) { $0.gap?.source?.device = $1 },
                    "gap.source.endpoint": Bad.each(Bad.names) { $0.gap?.source?.endpoint = $1 },
                    "gap.window": [{ $0.gap?.window = nil }],
                    "gap.window.start_us": Bad.each(Bad.times) { $0.gap?.window?.startUs = $1 },
                    "gap.window.end_us": Bad.each(Bad.times + [us(0), us(401 * 86_400)]) {
                        $0.gap?.window?.endUs = $1
                    },
                    "gap.cause": Bad.each([nil, "", Bad.text(65)]) { $0.gap?.cause = $1 },
                    "gap.reason": [{ $0.gap?.reason = Bad.text(1025) }],
                    "gap.run_id": [{ $0.gap?.runID = Bad.text(129) }],
                ]
            ),
        ]
    }

    private var badFile: KeyValuePairs<String, [(inout MediaRecord) -> Void]> {
        let kinds: [MediaKind?] = [nil, .unspecified, .unrecognized(9)]
        return [
            "": [{ $0.gap = Gap() }, { $0.file = nil }],
            "spool_id": [{ $0.spoolID = nil }],
            "file.kind": Bad.each(kinds) { $0.file?.kind = $1 },
            "file.volume_id": Bad.each(Bad.identities) { $0.file?.volumeID = $1 },
            "file.path": Bad.each(badPaths) { $0.file?.path = $1 },
            "file.source": [{ $0.file?.source = nil }],
            "file.source.device": Bad.each(Bad.names) { $0.file?.source?.device = $1 },
            "file.source.endpoint": Bad.each(Bad.names) { $0.file?.source?.endpoint = $1 },
            "file.stream.asset": Bad.each(Bad.names) { $0.file?.stream?.asset = $1 },
            "file.stream.stream": Bad.each(Bad.names) { $0.file?.stream?.stream = $1 },
            "file.start_us": Bad.each(Bad.times) { $0.file?.startUs = $1 },
            "file.end_us": Bad.each(Bad.times + [us(0), us(86_401)]) { $0.file?.endUs = $1 },
            "file.size_bytes": Bad.each([(1 << 40) + 1, .max]) { $0.file?.sizeBytes = $1 },
            "file.run_id": [{ $0.file?.runID = Bad.text(129) }],
            "file.lease_epoch": [{ $0.file?.leaseEpoch = .max }],
            "file.sha256": Bad.each([31, 33]) { $0.file?.sha256 = [UInt8](repeating: 1, count: $1) },
            "file.file_extension": Bad.each(["", "json", "JSON", "m p4", "mp4/", Bad.text(17)]) {
                $0.file?.fileExtension = $1
            },
        ]
    }

    // MARK: - Claims

    func badClaims(of item: ClaimedItem) -> [BadRequests] {
        let works: [Work?] = [nil, .unspecified, .unrecognized(9)]
        let kinds: [ItemKind] = [.unspecified, .unrecognized(9)]
        let tooLarge: [UInt64] = [(1 << 40) + 1, .max]
        let urls = [
            nil, "", "https://a.example/x?sig=1", "https://u:p@a.example/x", "https://a.example/" + Bad.text(2048),
        ]
        let completion = completion(item, .archive)
        let failure = FailItemRequest(claim: completion.claim, work: .archive, worker: "w", reason: "why")
        return [
            BadRequests(
                IndexerMethods.claimItems, like: ClaimItemsRequest(work: .upload, worker: "w"),
                [
                    "work": Bad.each(works) { $0.work = $1 },
                    "worker": Bad.each(Bad.identities) { $0.worker = $1 },
                    "limit": Bad.each([0, 65, .max]) { $0.limit = $1 },
                    "lease_ms": Bad.each([0, 999, 600_001, .max]) { $0.leaseMs = $1 },
                    "kinds[1]": Bad.each(kinds) { $0.kinds = [.segment, $1] },
                    "wait_ms": Bad.each([20_001, .max]) { $0.waitMs = $1 },
                ]),
            BadRequests(
                IndexerMethods.renewClaims,
                like: RenewClaimsRequest(worker: "w", claims: [ItemClaim(itemID: 1 << 50, epoch: 1)]),
                [
                    "worker": Bad.each(Bad.identities) { $0.worker = $1 },
                    "claims": [{ $0.claims = Array(repeating: $0.claims[0], count: 257) }],
                    "claims[0].item_id": Bad.each([nil, .max]) { $0.claims[0].itemID = $1 },
                    "claims[0].epoch": Bad.each([nil, 0, .max]) { $0.claims[0].epoch = $1 },
                    "claims[0].done_bytes": Bad.each(tooLarge) { $0.claims[0].doneBytes = $1 },
                    "lease_ms": Bad.each([0, 999, 600_001, .max]) { $0.leaseMs = $1 },
                ],
                taken: [
                    { $0.claims = [] }, { $0.claims = Array(repeating: $0.claims[0], count: 256) },
                    { $0.leaseMs = 1000 }, { $0.leaseMs = 600_000 }, { $0.claims[0].epoch = UInt64(Int64.max) },
                    { $0.claims[0].doneBytes = 1 << 40 },
                ]),
            BadRequests(
                IndexerMethods.completeItem, like: completion,
                [
                    "claim": [{ $0.claim = nil }],
                    "claim.item_id": Bad.each([nil, .max]) { $0.claim?.itemID = $1 },
                    "claim.epoch": Bad.each([nil, 0, .max]) { $0.claim?.epoch = $1 },
                    "claim.done_bytes": Bad.each(tooLarge) { $0.claim?.doneBytes = $1 },
                    "work": Bad.each(works) { $0.work = $1 },
                    "worker": Bad.each(Bad.identities) { $0.worker = $1 },
                    // 999: not what the recorder said.
                    "size_bytes": Bad.each([nil, 999, (1 << 40) + 1, .max]) { $0.sizeBytes = $1 },
                    "sha256": Bad.each([nil, [], [1, 2, 3]]) { $0.sha256 = $1 },
                    "archive_volume_id": Bad.each(Bad.identities) { $0.archiveVolumeID = $1 },
                    "blob_url": Bad.each(Array(urls.dropFirst(2))) { $0.blobURL = $1 },
                ]),
            BadRequests(
                IndexerMethods.completeItem, like: self.completion(item, .upload),
                ["blob_url": Bad.each(urls) { $0.blobURL = $1 }]),
            BadRequests(
                IndexerMethods.completeItem, like: completion, code: .notFound,
                ["": [{ $0.claim?.itemID = 1 << 50 }]]),
            BadRequests(
                IndexerMethods.completeItem, like: completion, code: .failedPrecondition,
                ["": [{ $0.claim?.epoch = (item.epoch ?? 0) + 1 }, { $0.claim?.epoch = UInt64(Int64.max) }]]),
            BadRequests(
                IndexerMethods.failItem, like: failure,
                [
                    "claim": [{ $0.claim = nil }],
                    "claim.item_id": Bad.each([nil, .max]) { $0.claim?.itemID = $1 },
                    "claim.epoch": Bad.each([nil, 0, .max]) { $0.claim?.epoch = $1 },
                    "claim.done_bytes": Bad.each(tooLarge) { $0.claim?.doneBytes = $1 },
                    "work": Bad.each(works) { $0.work = $1 },
                    "worker": Bad.each(Bad.identities) { $0.worker = $1 },
                    "reason": Bad.each([nil, "", Bad.text(1025)]) { $0.reason = $1 },
                    "retry_after_ms": Bad.each([3_600_001, .max]) { $0.retryAfterMs = $1 },
                ]),
            BadRequests(
                IndexerMethods.failItem, like: failure, code: .notFound, ["": [{ $0.claim?.itemID = 1 << 50 }]]),
            BadRequests(
                IndexerMethods.failItem, like: failure, code: .failedPrecondition,
                ["": [{ $0.claim?.epoch = (item.epoch ?? 0) + 1 }]]),
        ]
    }

    // MARK: - Uploads

    var badUploads: [BadRequests] {
        [
            BadRequests(
                IndexerMethods.listUploads, like: ListUploadsRequest(),
                [
                    "limit": Bad.each([1001, .max]) { $0.limit = $1 },
                    "page_token": Bad.each(["", "nonsense", "w:1:2:3:4", "w:1:0:3:x", "w:" + Bad.text(127)]) {
                        $0.pageToken = $1
                    },
                ],
                taken: [
                    { $0.limit = 0 }, { $0.limit = 1000 }, { $0.pageToken = "s" }, { $0.setAsideOnly = true },
                    { $0.pageToken = "w:2147483647:0:9223372036854775807:9223372036854775807" },
                ]),
            BadRequests(
                IndexerMethods.reviveItems, like: ReviveItemsRequest(itemIDs: [1 << 50]),
                [
                    "item_ids": [
                        { $0.itemIDs = [] }, { $0.itemIDs = Array(repeating: 1 << 50, count: 1001) }, { $0.all = true },
                    ],
                    "item_ids[1]": [{ $0.itemIDs = [1 << 50, .max] }],
                    "work": [{ $0.work = .unrecognized(9) }],
                    "requested_by": [{ $0.requestedBy = Bad.text(257) }],
                ],
                taken: [
                    { $0.itemIDs = Array(repeating: 1 << 50, count: 1000) }, { $0.requestedBy = Bad.text(256) },
                    { $0.work = .unspecified }, { $0.work = .archive },
                ]),
        ]
    }

    // MARK: - Volumes, holds, deletion

    var badRetention: [BadRequests] {
        let kinds: [HoldKind?] = [nil, .unspecified, .request, .unrecognized(9)]
        let hold = Hold(
            kind: .legal, source: source("cam"), window: window(0, 10), placedBy: "me", reason: "case 7")
        return [
            BadRequests(
                IndexerMethods.recordMedia,
                like: RecordMediaRequest(controllerID: "cc-0", records: [segment(0, 10)]),
                [
                    "controller_id": Bad.each(Bad.identities) { $0.controllerID = $1 },
                    "records": [{ $0.records = Array(repeating: MediaRecord(spoolID: 1), count: 501) }],
                ],
                taken: [
                    { $0.records = [] }, { $0.records = Array(repeating: MediaRecord(spoolID: 1), count: 500) },
                ]),
            BadRequests(
                IndexerMethods.reportVolume,
                like: ReportVolumeRequest(
                    volume: VolumeStatus(volumeID: "v-\(tag)", role: "recording", writable: true), owner: "cc-0",
                    ownerAddress: "ipc:///run/cc-0.rpc"),
                [
                    "volume": [{ $0.volume = nil }],
                    "volume.volume_id": Bad.each(Bad.identities) { $0.volume?.volumeID = $1 },
                    "volume.role": Bad.each([nil, "", "scratch"]) { $0.volume?.role = $1 },
                    "volume.total_bytes": [{ $0.volume?.totalBytes = .max }],
                    "volume.free_bytes": [{ $0.volume?.freeBytes = .max }],
                    "owner": Bad.each(Bad.identities) { $0.owner = $1 },
                    "owner_address": Bad.each(["x", "ipc://relative", "ipc:///" + Bad.text(510)]) {
                        $0.ownerAddress = $1
                    },
                ],
                taken: [
                    { $0.ownerAddress = nil }, { $0.ownerAddress = "" },
                    { $0.volume?.totalBytes = UInt64(Int64.max) },
                ]),
            BadRequests(
                IndexerMethods.placeHold, like: PlaceHoldRequest(hold: hold),
                [
                    "hold": [{ $0.hold = nil }],
                    "hold.hold_id": Bad.each(["", Bad.text(65), "../h", ".h", "request:r:0"]) { $0.hold?.holdID = $1 },
                    "hold.kind": Bad.each(kinds) { $0.hold?.kind = $1 },
                    "hold.camera": Bad.each(["", "a/b", Bad.text(258)]) { $0.hold?.camera = $1 },
                    "hold.source": [{ $0.hold?.source = nil }],
                    "hold.source.device": Bad.each(Bad.names) { $0.hold?.source?.device = $1 },
                    "hold.source.endpoint": Bad.each(Bad.names) { $0.hold?.source?.endpoint = $1 },
                    "hold.window": [{ $0.hold?.window = nil }],
                    "hold.window.start_us": Bad.each(Bad.times) { $0.hold?.window?.startUs = $1 },
                    "hold.window.end_us": Bad.each(Bad.times + [us(0), us(86_401)]) { $0.hold?.window?.endUs = $1 },
                    "hold.placed_by": Bad.each(Bad.identities) { $0.hold?.placedBy = $1 },
                    "hold.reason": Bad.each([nil, "", Bad.text(1025)]) { $0.hold?.reason = $1 },
                ]),
            BadRequests(
                IndexerMethods.releaseHold, like: ReleaseHoldRequest(holdID: "none-\(tag)"),
                [
                    "hold_id": Bad.each(Bad.identities) { $0.holdID = $1 },
                    "requested_by": [{ $0.requestedBy = Bad.text(129) }],
                ], taken: [{ $0.requestedBy = Bad.text(128) }]),
            BadRequests(
                IndexerMethods.releaseHold, like: ReleaseHoldRequest(holdID: "request:taken-\(tag):0"),
                code: .failedPrecondition, ["": [{ _ in }]]),
            BadRequests(
                IndexerMethods.getDeletionGrants,
                like: GetDeletionGrantsRequest(volumeID: "v-\(tag)", owner: "cc-0"),
                [
                    "volume_id": Bad.each(Bad.identities) { $0.volumeID = $1 },
                    "owner": Bad.each(Bad.identities) { $0.owner = $1 },
                    "limit": Bad.each([0, 1001, .max]) { $0.limit = $1 },
                ], taken: [{ $0.limit = 1 }, { $0.limit = 1000 }]),
            BadRequests(
                IndexerMethods.reportDeleted, like: ReportDeletedRequest(volumeID: "v-\(tag)", owner: "cc-0"),
                [
                    "volume_id": Bad.each(Bad.identities) { $0.volumeID = $1 },
                    "owner": Bad.each(Bad.identities) { $0.owner = $1 },
                    "paths": [{ $0.paths = Array(repeating: "a", count: 2001) }],
                    "paths[1]": Bad.each(badPaths.compactMap { $0 }) { $0.paths = ["a", $1] },
                ], taken: [{ $0.paths = Array(repeating: "a", count: 2000) }]),
        ]
    }
}
