// ListUploads and ReviveItems: how the uploads are, and another chance for what was set aside. UploadTable.swift reads,
// Revival.swift writes.

import RPC
import ServiceKit
import Wire

struct UploadCalls: Sendable {
    let catalogue: Catalogue
    let progress: ClaimProgress

    func register(on server: RPCServer) {
        server.handle(IndexerMethods.listUploads) { request, _ in try await listUploads(request) }
        server.handle(IndexerMethods.reviveItems) { request, context in
            try await reviveItems(request, caller: context.caller)
        }
    }

    func listUploads(_ request: ListUploadsRequest) async throws -> ListUploadsReply {
        let limit = try FieldCheck.bounded(request.limit, "limit", default: 100, 0...1000)
        let onlyAside = request.setAsideOnly ?? false
        let after = try request.pageToken.map { token throws(RPCError) in
            try UploadPlace(parsing: try FieldCheck.text(token, "page_token", maximumBytes: 128))
        }
        let nowUs = catalogue.clock.nowUs()
        let (progress, start) = (progress, after ?? UploadPlace(onlyAside ? .aside : .active))
        return try await catalogue.read { db in
            var reply = try db.uploadTotals(nowUs: nowUs)
            try db.listUploads(from: start, limit: limit, nowUs: nowUs, progress, into: &reply)
            return reply
        }
    }

    func reviveItems(_ request: ReviveItemsRequest, caller: String) async throws -> ReviveItemsReply {
        let work = request.work == .unspecified ? nil : request.work
        if let work { _ = try FieldCheck.work(work) }
        let named = try FieldCheck.text(request.requestedBy, "requested_by", maximumBytes: 256)
        let who = named.isEmpty ? caller : named
        let isAll = request.all ?? false
        try FieldCheck.entries(request.itemIDs, "item_ids", 0...1000)
        guard isAll == request.itemIDs.isEmpty else {
            throw FieldCheck.wrong(
                "item_ids", isAll ? "are given besides all: give one of them" : "are missing: name items, or say all")
        }
        var itemIDs: [Int64] = []
        for (index, itemID) in request.itemIDs.enumerated() {
            itemIDs.append(try FieldCheck.count(itemID, "item_ids[\(index)]"))
        }
        var revived = 0
        var afterID: Int64 = 0
        // A piece at a time, so that records and events do not wait for a hundred thousand files.
        while true {
            let (named, after) = (itemIDs, afterID)
            let piece = try await catalogue.write { turn in
                try turn.revive(
                    isAll ? try turn.db.setAside(afterID: after, limit: Turn.mostRevivedAtOnce) : named,
                    of: work, by: who)
            }
            revived += piece.revived
            guard isAll, let lastID = piece.lastID else { return ReviveItemsReply(revived: UInt64(revived)) }
            afterID = lastID
        }
    }
}
