// The queue of items: giving work to workers, taking their results. ItemMachine.swift decides; here it is found and stored.

import Foundation
import GRDB
import RPC
import Volume
import Wire

/// A checked claim.
struct ClaimOrder: Sendable {
    var work: Work
    var worker: String
    var limit: Int
    var leaseUs: Int64
    /// Empty: all but clips.
    var kinds: Set<Int32>
}

/// Which item, under which epoch.
struct HeldClaim: Sendable {
    var itemID: Int64
    var epoch: Int64
    /// What its worker says to have done of it.
    var doneBytes: Int64?

    var wire: ItemClaim { ItemClaim(itemID: UInt64(clamping: itemID), epoch: UInt64(clamping: epoch)) }
}

extension Policy {
    var claims: ClaimPolicy { ClaimPolicy(archiveAttempts: archiveAttempts, uploadAttempts: uploadAttempts) }
}

extension Turn {
    /// Gives out work: highest priority first, then what an event wants, then what is due first, then the oldest; as much as
    /// was asked for and fits into one message.
    func claim(_ order: ClaimOrder) throws -> [ClaimedItem] {
        var result: [ClaimedItem] = []
        var room = MessageRoom()
        // What fell due since the timer's last turn.
        try expireClaims()
        for itemID in try claimable(order) {
            guard var item = try db.item(itemID), item.machine.isClaimable(for: order.work, nowUs: nowUs) else {
                continue
            }
            let before = item.machine.progress
            item.machine.claim(by: order.worker, nowUs: nowUs, leaseUs: order.leaseUs)
            let claimed = try describe(item)
            guard room.take(claimed.encoded().count) || result.isEmpty else { break }
            try saveItem(item, before: before)
            try change(.item, String(itemID))
            result.append(claimed)
        }
        return result
    }

    private func claimable(_ order: ClaimOrder) throws -> [Int64] {
        var found: [Int64] = []
        let cursor = try SQLRequest<Row>(
            sql: """
                SELECT item_id, kind FROM items WHERE work = ? AND work > 0 AND ready_us = 0
                ORDER BY priority DESC, is_routine, due_us, item_id
                """, arguments: [order.work.rawValue], cached: false
        ).fetchCursor(db)
        while found.count < order.limit, let row = try cursor.next() {
            let kind: Int32 = row["kind"]
            let fits = order.kinds.isEmpty ? kind != ItemKind.clip.rawValue : order.kinds.contains(kind)
            if fits { found.append(row["item_id"]) }
        }
        return found
    }

    /// All that a worker needs.
    private func describe(_ item: ItemRow) throws -> ClaimedItem {
        // A storm of events may want one file: some names are enough, each request's manifest names the file.
        let requestIDs = try db.requestIDs(ofItem: item.itemID, limit: 32)
        let address = try item.mediaVolumeID.flatMap { volumeID in
            try row("SELECT owner_address FROM volumes WHERE volume_id = ?", [volumeID])?["owner_address"] as String?
        }
        return ClaimedItem(
            itemID: UInt64(clamping: item.itemID), epoch: UInt64(clamping: item.machine.epoch), kind: item.kind,
            source: item.media, sourceAddress: address, archivePath: item.archivePath,
            sizeBytes: item.machine.sizeBytes.map { UInt64(clamping: $0) }, sha256: item.machine.sha256,
            sidecar: try item.sidecar(
                requestIDs: requestIDs, eventKeys: try db.eventKeys(ofItem: item.itemID, limit: 32)
            )
            .map(documentBytes),
            content: item.content,
            camera: item.camera.isEmpty ? nil : item.camera, window: item.span.window,
            requestIDs: requestIDs, attempts: UInt32(clamping: item.machine.attempts - 1),
            archivedUs: item.machine.archivedUs, crc64: item.machine.crc64)
    }

    /// Prolongs claims; gives those that are lost.
    func renew(_ claims: [HeldClaim], worker: String, leaseUs: Int64) throws -> [HeldClaim] {
        try claims.filter { claim in
            guard var item = try db.item(claim.itemID),
                item.machine.renew(epoch: claim.epoch, worker: worker, nowUs: nowUs, leaseUs: leaseUs)
            else { return true }
            // Nothing else has changed, and a claim is renewed more often than anything else is done to an item.
            try run("UPDATE items SET ready_us = ? WHERE item_id = ?", [item.machine.readyUs, claim.itemID])
            effects.timing = true
            return false
        }
    }

    /// Takes a worker's result and moves the item's requests on.
    func complete(_ claim: HeldClaim, work: Work, _ result: ItemResult) throws -> ItemState {
        var item = try knownItem(claim)
        let before = item.machine
        try item.machine.complete(result, work: work, epoch: claim.epoch, nowUs: nowUs)
        guard item.machine != before else { return item.machine.state }
        // An open request that wants it in the cloud asked before it was archived.
        if item.machine.state == .archived, item.kind != .manifest {
            let requests = try db.requestIDs(ofItem: item.itemID, openOnly: true).compactMap { try db.request($0) }
            if requests.contains(where: { $0.machine.delivery == .cloud }) { _ = item.machine.want(inCloud: true) }
        }
        let state = item.machine.state
        try saveItem(item)
        try advanceRequests(ofItem: item.itemID)
        return state
    }

    /// Takes a worker's failure and moves the item's requests on where it is given up.
    func fail(
        _ claim: HeldClaim, work: Work, reason: String, retryable: Bool, retryAfterUs: Int64?
    ) throws -> ItemState {
        var item = try knownItem(claim)
        let before = item.machine
        try item.machine.fail(
            reason, work: work, epoch: claim.epoch, nowUs: nowUs, retryable: retryable, retryAfterUs: retryAfterUs,
            policy.claims)
        if item.machine != before {
            try saveItem(item)
            try advanceRequests(ofItem: item.itemID)
        }
        return item.machine.state
    }

    /// Claims whose time is over fall back, each as an attempt that failed; back-offs that are over are work again, and ring
    /// for it. At most some hundred at a time, so that what waits for the writer does not wait long.
    func expireClaims() throws {
        let due = try rows(
            "SELECT item_id FROM items WHERE work > 0 AND ready_us > 0 AND ready_us <= ? ORDER BY ready_us LIMIT 500",
            [nowUs])
        for row in due {
            guard var item = try db.item(row["item_id"]) else { continue }
            let expired = item.machine.expire(nowUs: nowUs, policy.claims)
            if item.machine.work != .unspecified { item.machine.readyUs = 0 }
            try saveItem(item)
            if expired { try advanceRequests(ofItem: item.itemID) }
        }
    }

    private func knownItem(_ claim: HeldClaim) throws -> ItemRow {
        guard let item = try db.item(claim.itemID) else {
            throw RPCError.notFound("there is no item \(claim.itemID): drop this work")
        }
        return item
    }
}

extension Database {
    /// When the clock alone changes something next: an open request or a claim.
    func nextDueUs() throws -> Int64? {
        let request = try number("SELECT MIN(check_us) FROM requests WHERE state <= 4 AND check_us IS NOT NULL")
        let item = try number("SELECT MIN(ready_us) FROM items WHERE work > 0 AND ready_us > 0")
        return [request, item].compactMap { $0 }.min()
    }
}

extension ItemRow {
    /// The document that goes beside the file; nil for a manifest.
    func sidecar(requestIDs: [String], eventKeys: [String]) throws -> Sidecar? {
        guard kind != .manifest else { return nil }
        let folder = archivePath.split(separator: "/").first.map(String.init) ?? camera
        let name = archivePath.split(separator: "/").last.map(String.init) ?? archivePath
        let source = media?.source?.text ?? ""
        let milliseconds = (Double(span.durationUs) / 1000).rounded()
        return Sidecar(
            cameraID: folder, segmentStart: documentTime(span.startUs), segmentEnd: documentTime(span.endUs),
            durationSeconds: milliseconds / 1000, fileName: name, kind: kind.name, source: source,
            asset: media?.stream?.asset, codec: media?.videoCodec, widthPx: media?.widthPx, heightPx: media?.heightPx,
            frames: media?.frames, runID: media?.runID, startUs: span.startUs, endUs: span.endUs,
            sizeBytes: machine.archivedUs == nil ? nil : machine.sizeBytes,
            sha256: machine.archivedUs == nil ? nil : machine.sha256.map(Digest.hexadecimal),
            sourcePath: mediaPath ?? "", sourceVolumeID: mediaVolumeID ?? "", requestIDs: requestIDs,
            eventKeys: eventKeys.isEmpty ? nil : eventKeys)
    }
}
