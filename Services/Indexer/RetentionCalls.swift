// PlaceHold, ReleaseHold, ListHolds, GetDeletionGrants, ReportDeleted: what must stay and what may go.

import Foundation
import GRDB
import RPC
import Wire

struct RetentionCalls: Sendable {
    let catalogue: Catalogue
    let counters: IndexerCounters

    func register(on server: RPCServer) {
        server.handle(IndexerMethods.placeHold) { request, _ in try await placeHold(request) }
        server.handle(IndexerMethods.releaseHold) { request, context in
            try await releaseHold(request, caller: context.caller)
        }
        server.handle(IndexerMethods.listHolds) { _, _ in
            try await catalogue.read { db in ListHoldsReply(holds: try db.holds()) }
        }
        server.handle(IndexerMethods.getDeletionGrants) { request, _ in try await getDeletionGrants(request) }
        server.handle(IndexerMethods.reportDeleted) { request, _ in try await reportDeleted(request) }
    }

    func placeHold(_ request: PlaceHoldRequest) async throws -> Hold {
        guard var hold = request.hold else { throw RPCError.invalidArgument("hold", "is missing") }
        guard hold.kind == .legal else {
            throw RPCError.invalidArgument("hold.kind", "must be legal: a request's hold is placed with the request")
        }
        let id: String
        if let given = hold.holdID, !given.isEmpty {
            id = try Check.identifier(given, "hold.hold_id")
        } else {
            id = UUID().uuidString.lowercased()
        }
        let source = try Check.source(hold.source, "hold.source")
        let window = try Check.window(hold.window, "hold.window")
        hold.placedBy = try Check.someText(hold.placedBy, "hold.placed_by")
        hold.reason = try Check.someText(hold.reason, "hold.reason", maximumBytes: 1024)
        if let camera = hold.camera { hold.camera = try Check.someText(camera, "hold.camera", maximumBytes: 257) }
        let wanted = hold
        return try await catalogue.write { turn in
            try turn.placeHold(wanted, id: id, source: source, window: window)
        }
    }

    func releaseHold(_ request: ReleaseHoldRequest, caller: String) async throws -> ReleaseHoldReply {
        let id = try Check.someText(request.holdID, "hold_id")
        let named = try Check.text(request.requestedBy, "requested_by", maximumBytes: 128)
        let who = named.isEmpty ? caller : named
        return try await catalogue.write { turn in ReleaseHoldReply(existed: try turn.releaseHold(id, by: who)) }
    }

    func getDeletionGrants(_ request: GetDeletionGrantsRequest) async throws -> GetDeletionGrantsReply {
        let volumeID = try Check.someText(request.volumeID, "volume_id")
        _ = try Check.someText(request.owner, "owner")
        let limit = try Check.bounded(request.limit, "limit", default: 200, 1...1000)
        let grants = try await catalogue.write { turn in try turn.grants(volumeID: volumeID, limit: limit) }
        return GetDeletionGrantsReply(grants: grants)
    }

    func reportDeleted(_ request: ReportDeletedRequest) async throws -> ReportDeletedReply {
        let volumeID = try Check.someText(request.volumeID, "volume_id")
        let owner = try Check.someText(request.owner, "owner")
        guard request.paths.count <= 2000 else {
            throw RPCError.invalidArgument("paths", "has \(request.paths.count): at most 2000 are allowed")
        }
        for (index, path) in request.paths.enumerated() { _ = try Check.path(path, "paths[\(index)]") }
        let paths = request.paths
        try await catalogue.write { turn in try turn.deleted(volumeID: volumeID, owner: owner, paths: paths) }
        counters.deleted(paths.count)
        return ReportDeletedReply()
    }
}
