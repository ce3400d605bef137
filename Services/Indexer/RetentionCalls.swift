// PlaceHold, ReleaseHold, ListHolds, GetDeletionGrants, ReportDeleted: what must stay and what may go.

import Foundation
import GRDB
import RPC
import ServiceKit
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
        guard var hold = request.hold else { throw FieldCheck.wrong("hold", "is missing") }
        guard hold.kind == .legal else {
            throw FieldCheck.wrong("hold.kind", "must be legal: a request's hold is placed with the request")
        }
        let id: String
        if let given = hold.holdID {
            id = try FieldCheck.identifier(given, "hold.hold_id")
        } else {
            id = UUID().uuidString.lowercased()
        }
        let source = try FieldCheck.sourceID(hold.source, "hold.source")
        let window = try FieldCheck.span(hold.window, "hold.window")
        hold.placedBy = try FieldCheck.someText(hold.placedBy, "hold.placed_by")
        hold.reason = try FieldCheck.someText(hold.reason, "hold.reason", maximumBytes: 1024)
        hold.camera = try FieldCheck.camera(hold.camera, of: source, "hold.camera")
        let wanted = hold
        return try await catalogue.write { turn in
            try turn.placeHold(wanted, id: id, source: source, window: window)
        }
    }

    func releaseHold(_ request: ReleaseHoldRequest, caller: String) async throws -> ReleaseHoldReply {
        let id = try FieldCheck.someText(request.holdID, "hold_id")
        let named = try FieldCheck.text(request.requestedBy, "requested_by", maximumBytes: 128)
        let who = named.isEmpty ? caller : named
        return try await catalogue.write { turn in ReleaseHoldReply(existed: try turn.releaseHold(id, by: who)) }
    }

    func getDeletionGrants(_ request: GetDeletionGrantsRequest) async throws -> GetDeletionGrantsReply {
        let volumeID = try FieldCheck.someText(request.volumeID, "volume_id")
        _ = try FieldCheck.someText(request.owner, "owner")
        let limit = try FieldCheck.bounded(request.limit, "limit", default: 200, 1...1000)
        let grants = try await catalogue.write { turn in try turn.grants(volumeID: volumeID, limit: limit) }
        return GetDeletionGrantsReply(grants: grants)
    }

    func reportDeleted(_ request: ReportDeletedRequest) async throws -> ReportDeletedReply {
        let volumeID = try FieldCheck.someText(request.volumeID, "volume_id")
        let owner = try FieldCheck.someText(request.owner, "owner")
        try FieldCheck.entries(request.paths, "paths", 0...2000)
        for (index, path) in request.paths.enumerated() { _ = try FieldCheck.path(path, "paths[\(index)]") }
        let paths = request.paths
        try await catalogue.write { turn in try turn.deleted(volumeID: volumeID, owner: owner, paths: paths) }
        counters.deleted(paths.count)
        return ReportDeletedReply()
    }
}
