// ListVolumes, CountDays: what there is where, from rows that are kept while files come and go. No file is looked at.

import Foundation
import GRDB
import RPC
import ServiceKit
import Wire

struct VolumeCalls: Sendable {
    let catalogue: Catalogue

    func register(on server: RPCServer) {
        server.handle(IndexerMethods.listVolumes) { _, _ in try await listVolumes() }
        server.handle(IndexerMethods.countDays) { request, _ in try await countDays(request) }
    }

    func listVolumes() async throws -> ListVolumesReply {
        try await catalogue.read { db in
            var room = MessageRoom()
            return ListVolumesReply(volumes: Array(try db.knownVolumes().prefix { room.take($0.encoded().count) }))
        }
    }

    func countDays(_ request: CountDaysRequest) async throws -> CountDaysReply {
        let asset = try FieldCheck.nameIfAny(request.asset, "asset")
        let source = try request.source.map { source throws(RPCError) in try FieldCheck.sourceID(source, "source") }
        let window = try FieldCheck.span(request.window, "window", longestUs: .max)
        let days = DayRange(touchedBy: window)
        guard days.count <= DayRange.most else {
            throw FieldCheck.wrong(
                "window", "touches \(days.count) days: at most \(DayRange.most) are allowed; ask in several parts")
        }
        return try await catalogue.read { db in try db.countDays(asset: asset, source: source, days) }
    }
}

/// Whole days since 1970, UTC, as `media_days.day` counts them.
struct DayRange: Sendable, Equatable {
    let first: Int64
    let last: Int64

    /// A leap year.
    static let most: Int64 = 366

    var count: Int64 { last - first + 1 }

    /// The days that share a moment with a window that is not empty.
    init(touchedBy window: Span) {
        first = window.startUs / Micro.day
        last = (window.endUs - 1) / Micro.day
    }
}

extension Database {
    /// Every volume that was reported, by id.
    func knownVolumes() throws -> [KnownVolume] {
        try rows(
            """
            SELECT volumes.*, files, bytes FROM volumes LEFT JOIN volume_usage USING (volume_id) ORDER BY volume_id
            """
        ).map { row in
            let status: Data = row["status"]
            // Files on an archive volume are items: they are not counted per volume, which is not the same as none.
            let none: Int64? = row["role"] == "archive" ? nil : 0
            return KnownVolume(
                volume: try VolumeStatus(wire: [UInt8](status)), owner: row["owner"],
                ownerAddress: row["owner_address"], reportedUs: row["reported_us"],
                files: (row["files"] as Int64? ?? none).map { UInt64(clamping: $0) },
                bytes: (row["bytes"] as Int64? ?? none).map { UInt64(clamping: $0) })
        }
    }

    /// Files and bytes per day and camera: a source that several assets name has a line for each of them, as in the list of
    /// cameras. As many as fit into one message.
    func countDays(asset: String?, source name: SourceID?, _ days: DayRange) throws -> CountDaysReply {
        var reply = CountDaysReply(more: false)
        var room = MessageRoom()
        let chosen = try sources(asset: asset, source: name).map(\.sourceID)
        // All sources, or the few of the question; these are numbers of our own, so they may stand in the text.
        let isOfAll = asset == nil && name == nil
        let condition = isOfAll ? "TRUE" : "sources.source_id IN (\(chosen.map(String.init).joined(separator: ", ")))"
        let cursor = try SQLRequest<Row>(
            sql: """
                SELECT day, device, endpoint, COALESCE(asset, device || '/' || endpoint) AS camera,
                  SUM(files * (kind = 1)) AS segments, SUM(files * (kind = 2)) AS snapshots,
                  SUM(media_days.bytes) AS bytes
                FROM sources
                  CROSS JOIN media_days ON media_days.source_id = sources.source_id AND kind IN (1, 2, 3)
                    AND day BETWEEN ?1 AND ?2
                  LEFT JOIN source_names ON source_names.source_id = sources.source_id AND (?4 OR asset = ?3)
                WHERE \(condition)
                GROUP BY day, device, endpoint, camera HAVING SUM(files) > 0
                ORDER BY day, device, endpoint, camera
                """,
            arguments: [days.first, days.last, asset, asset == nil || name != nil]
        ).fetchCursor(self)
        while let row = try cursor.next() {
            let count = DayCount(
                camera: row["camera"], source: SourceID(device: row["device"], endpoint: row["endpoint"]).name,
                dayUs: (row["day"] as Int64) * Micro.day, segments: UInt64(clamping: row["segments"] as Int64),
                snapshots: UInt64(clamping: row["snapshots"] as Int64), bytes: UInt64(clamping: row["bytes"] as Int64))
            guard room.take(count.encoded().count) else {
                reply.more = true
                break
            }
            reply.days.append(count)
        }
        return reply
    }
}
