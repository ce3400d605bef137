// QueryMedia, Coverage, ListCameras, Changes, ListAudit: questions that change nothing.

import GRDB
import RPC
import ServiceKit
import Wire

struct QueryCalls: Sendable {
    let catalogue: Catalogue

    func register(on server: RPCServer) {
        server.handleEncoded(IndexerMethods.queryMedia) { request, _ in try await queryMedia(request) }
        server.handle(IndexerMethods.coverage) { request, _ in try await coverage(request) }
        server.handle(IndexerMethods.listCameras) { _, _ in try await listCameras() }
        server.handle(IndexerMethods.changes) { request, _ in try await changes(request) }
        server.handle(IndexerMethods.listAudit) { request, _ in try await listAudit(request) }
    }

    /// Gives a QueryMediaReply.
    func queryMedia(_ request: QueryMediaRequest) async throws -> EncodedMessage {
        let kind: MediaKind?
        switch request.kind {
        case nil, .unspecified: kind = nil
        case .segment, .snapshot, .rendition: kind = request.kind
        case .unrecognized: throw FieldCheck.wrong("kind", "is unknown: segment, snapshot and rendition are allowed")
        }
        let question = MediaQuestion(
            asset: try FieldCheck.nameIfAny(request.asset, "asset"), source: try source(request.source),
            window: try request.window.map { window throws(RPCError) in try FieldCheck.span(window, "window") },
            kind: kind,
            limit: try FieldCheck.bounded(request.limit, "limit", default: 500, 1...2000),
            after: try request.pageToken.map { token throws(RPCError) in try PageToken(parsing: token) })
        return try await catalogue.read { db in try db.page(question) }
    }

    func coverage(_ request: CoverageRequest) async throws -> CoverageReply {
        let asset = try FieldCheck.nameIfAny(request.asset, "asset")
        let source = try source(request.source)
        guard asset != nil || source != nil else {
            throw FieldCheck.wrong("source", "is missing: give an asset or a source")
        }
        let window = try FieldCheck.span(request.window, "window")
        let seamUs = catalogue.policy.seamUs
        return try await catalogue.read { db in
            var reply = CoverageReply(segments: 0, bytes: 0)
            let rows = try db.sources(asset: asset, source: source)
            if rows.isEmpty {
                guard let source else { throw RPCError.notFound("no footage came of an asset \(asset ?? "")") }
                let map = CoverageMap(window: window, segments: [], known: [], seamUs: seamUs)
                reply.gaps = map.gaps.map { $0.wire(source) }
            }
            for row in rows {
                let map = try db.coverage(row, in: window, seamUs: seamUs)
                reply.covered += map.covered.map(\.window)
                reply.gaps += map.gaps.map { $0.wire(row.source) }
                reply.segments = (reply.segments ?? 0) + UInt64(map.chosen.count)
                reply.bytes = (reply.bytes ?? 0) + UInt64(clamping: map.chosen.reduce(0) { $0 + $1.sizeBytes })
            }
            if rows.count > 1 {
                let spans = reply.covered.map { Span($0.startUs ?? 0, $0.endUs ?? 0) }
                reply.covered = CoverageMap.joined(spans).map(\.window)
                reply.gaps.sort { ($0.window?.startUs ?? 0) < ($1.window?.startUs ?? 0) }
            }
            return reply
        }
    }

    func listCameras() async throws -> ListCamerasReply {
        try await catalogue.read { db in ListCamerasReply(cameras: try db.cameraSummaries()) }
    }

    func changes(_ request: IndexerChangesRequest) async throws -> IndexerChangesReply {
        let after = try FieldCheck.count(request.after, "after")
        let limit = try FieldCheck.bounded(request.limit, "limit", default: 100, 1...1000)
        return try await catalogue.read { db in try db.changes(after: after, limit: limit) }
    }

    func listAudit(_ request: ListAuditRequest) async throws -> ListAuditReply {
        let limit = try FieldCheck.bounded(request.limit, "limit", default: 100, 1...1000)
        let fromUs = try FieldCheck.timeIfAny(request.fromUs, "from_us") ?? 0
        return try await catalogue.read { db in
            var room = MessageRoom()
            let entries = try db.auditEntries(fromUs: fromUs, limit: limit)
            return ListAuditReply(entries: Array(entries.prefix { room.take($0.encoded().count) }))
        }
    }

    private func source(_ value: SourceName?) throws(RPCError) -> SourceID? {
        guard let value else { return nil }
        return try FieldCheck.sourceID(value, "source")
    }
}
