// ClaimItems, RenewClaims, CompleteItem, FailItem: the work of archivers and uploaders. ItemMachine.swift decides.

import GRDB
import RPC
import ServiceKit
import Wire

struct ClaimCalls: Sendable {
    let catalogue: Catalogue
    let bell: WorkBell
    let progress: ClaimProgress
    let counters: IndexerCounters

    /// Time kept of the caller's deadline, so that the answer of a long poll still arrives.
    private static let answerTime = Duration.milliseconds(500)

    func register(on server: RPCServer) {
        server.handle(IndexerMethods.claimItems) { request, context in
            try await claimItems(request, remaining: context.remaining)
        }
        server.handle(IndexerMethods.renewClaims) { request, _ in try await renewClaims(request) }
        server.handle(IndexerMethods.completeItem) { request, _ in try await completeItem(request) }
        server.handle(IndexerMethods.failItem) { request, _ in try await failItem(request) }
    }

    func claimItems(_ request: ClaimItemsRequest, remaining: Duration) async throws -> ClaimItemsReply {
        let kinds = try Self.kinds(request.kinds)
        let order = ClaimOrder(
            work: try FieldCheck.work(request.work), worker: try FieldCheck.someText(request.worker, "worker"),
            limit: try FieldCheck.bounded(request.limit, "limit", default: 4, 1...64),
            leaseUs: try Self.lease(request.leaseMs), kinds: kinds)
        let waitMs = try FieldCheck.bounded(request.waitMs, "wait_ms", default: 0, 0...20_000)
        let end = ContinuousClock.now + min(.milliseconds(waitMs), remaining - Self.answerTime)
        let topic: WorkBell.Topic = order.work == .archive ? .archive : .upload
        while true {
            let seen = bell.generation(topic)
            let mayHaveWork = try await catalogue.read { db in
                try db.hasWork(order.work, nowUs: catalogue.clock.nowUs())
            }
            let items = mayHaveWork ? try await catalogue.write { turn in try turn.claim(order) } : []
            if !items.isEmpty || ContinuousClock.now >= end {
                counters.claimed(items.count, order.work)
                return ClaimItemsReply(items: items)
            }
            guard await bell.wait(for: topic, after: seen, until: end) else { return ClaimItemsReply() }
        }
    }

    func renewClaims(_ request: RenewClaimsRequest) async throws -> RenewClaimsReply {
        let worker = try FieldCheck.someText(request.worker, "worker")
        try FieldCheck.entries(request.claims, "claims", 0...256)
        var claims: [HeldClaim] = []
        for (index, claim) in request.claims.enumerated() { claims.append(try Self.claim(claim, "claims[\(index)]")) }
        let leaseUs = try Self.lease(request.leaseMs)
        let held = claims
        let lost = try await catalogue.write { turn in try turn.renew(held, worker: worker, leaseUs: leaseUs) }
        let lostIDs = Set(lost.map(\.itemID))
        for claim in claims where !lostIDs.contains(claim.itemID) {
            progress.note(claim, nowUs: catalogue.clock.nowUs())
        }
        return RenewClaimsReply(lost: lost.map(\.wire))
    }

    func completeItem(_ request: CompleteItemRequest) async throws -> CompleteItemReply {
        let claim = try Self.claim(request.claim, "claim")
        let work = try FieldCheck.work(request.work)
        _ = try FieldCheck.someText(request.worker, "worker")
        var result = ItemResult(handedOver: request.handedOver ?? false)
        result.sha256 = try FieldCheck.digest(request.sha256, "sha256")
        result.crc64 = request.crc64
        result.sizeBytes = try request.sizeBytes.map { value throws(RPCError) in
            try FieldCheck.fileSize(value, "size_bytes")
        }
        if work == .archive {
            result.archiveVolumeID = try FieldCheck.someText(request.archiveVolumeID, "archive_volume_id")
            guard result.sha256 != nil else {
                throw FieldCheck.wrong("sha256", "is missing: read the file back and give its SHA-256")
            }
            guard result.sizeBytes != nil else { throw FieldCheck.wrong("size_bytes", "is missing") }
        }
        result.blobURL = try Self.blobURL(request.blobURL, isRequired: work == .upload && !result.handedOver)
        let checked = result
        let state = try await catalogue.write { turn in try turn.complete(claim, work: work, checked) }
        progress.forget(claim)
        counters.completed(work, bytes: checked.sizeBytes ?? 0)
        return CompleteItemReply(state: state)
    }

    func failItem(_ request: FailItemRequest) async throws -> FailItemReply {
        let claim = try Self.claim(request.claim, "claim")
        let work = try FieldCheck.work(request.work)
        _ = try FieldCheck.someText(request.worker, "worker")
        let reason = try FieldCheck.someText(request.reason, "reason", maximumBytes: 1024)
        let retryAfter = try request.retryAfterMs.map { value throws(RPCError) in
            Int64(try FieldCheck.bounded(value, "retry_after_ms", default: 0, 0...3_600_000)) * Micro.millisecond
        }
        let retryable = request.retryable ?? true
        let state = try await catalogue.write { turn in
            try turn.fail(claim, work: work, reason: reason, retryable: retryable, retryAfterUs: retryAfter)
        }
        progress.forget(claim)
        counters.failed(work)
        return FailItemReply(state: state)
    }

    // MARK: - Checks

    private static func kinds(_ values: [ItemKind]) throws(RPCError) -> Set<Int32> {
        for (index, value) in values.enumerated() {
            switch value {
            case .segment, .snapshot, .clip, .manifest: continue
            case .unspecified, .unrecognized:
                throw FieldCheck.wrong(
                    "kinds[\(index)]", "is \(value.name): segment, snapshot, clip and manifest are allowed")
            }
        }
        return Set(values.map(\.rawValue))
    }

    private static func lease(_ value: UInt32?) throws(RPCError) -> Int64 {
        Int64(try FieldCheck.bounded(value, "lease_ms", default: 30_000, 1000...600_000)) * Micro.millisecond
    }

    private static func claim(_ value: ItemClaim?, _ field: String) throws(RPCError) -> HeldClaim {
        guard let value else {
            throw FieldCheck.wrong(field, "is missing: give item_id and epoch as they were claimed")
        }
        guard let itemID = value.itemID else { throw FieldCheck.wrong("\(field).item_id", "is missing") }
        guard let epoch = value.epoch, epoch > 0 else {
            throw FieldCheck.wrong("\(field).epoch", "is missing or 0: give the one that the claim got")
        }
        return HeldClaim(
            itemID: try FieldCheck.count(itemID, "\(field).item_id"),
            epoch: try FieldCheck.count(epoch, "\(field).epoch"),
            doneBytes: try value.doneBytes.map { bytes throws(RPCError) in
                try FieldCheck.fileSize(bytes, "\(field).done_bytes")
            })
    }

    /// Where the file is, without the signature that gives access to it.
    private static func blobURL(_ value: String?, isRequired: Bool) throws(RPCError) -> String? {
        guard let value, !value.isEmpty else {
            if isRequired { throw FieldCheck.wrong("blob_url", "is missing: say where the file is now") }
            return nil
        }
        let url = try FieldCheck.text(value, "blob_url", maximumBytes: 2048)
        guard !url.contains("?"), !url.contains("@") else {
            throw FieldCheck.wrong("blob_url", "has a query or a user: give it without signature and credential")
        }
        return url
    }
}

extension Database {
    /// Whether some item may be claimable; spares the writer from workers that ask in vain.
    func hasWork(_ work: Work, nowUs: Int64) throws -> Bool {
        let ready = "SELECT 1 FROM items WHERE work = ? AND work > 0 AND ready_us = 0 LIMIT 1"
        if try number(ready, [work.rawValue]) != nil { return true }
        // What falls back or has backed off: of either work, because both are moved on together.
        let fallen = "SELECT 1 FROM items WHERE work > 0 AND ready_us > 0 AND ready_us <= ? LIMIT 1"
        return try number(fallen, [nowUs]) != nil
    }
}
