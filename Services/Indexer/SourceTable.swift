// Sources and the assets that name them, as they are read. MediaIntake.swift writes them.

import GRDB
import RPC
import Wire

/// A row of `sources`.
struct SourceRow: Sendable, Equatable {
    var sourceID: Int64
    var source: SourceID
    var maximumSegmentUs: Int64
    var reportedToUs: Int64
    var reportedRun: String?
    var heardUs: Int64
    var deletedToUs: Int64

    init(_ row: Row) {
        sourceID = row["source_id"]
        source = SourceID(device: row["device"], endpoint: row["endpoint"])
        maximumSegmentUs = row["max_segment_us"]
        reportedToUs = row["reported_to_us"]
        reportedRun = row["reported_run"]
        heardUs = row["heard_us"]
        deletedToUs = row["deleted_to_us"]
    }
}

extension Database {
    func source(_ name: SourceID) throws -> SourceRow? {
        try row("SELECT * FROM sources WHERE device = ? AND endpoint = ?", [name.device, name.endpoint]).map(
            SourceRow.init)
    }

    func source(id: Int64) throws -> SourceRow {
        guard let row = try row("SELECT * FROM sources WHERE source_id = ?", [id]) else {
            throw RPCError.internal("the catalogue names source \(id) and does not have it")
        }
        return SourceRow(row)
    }

    /// The sources that a question names: one by name, those of an asset, or all.
    func sources(asset: String?, source name: SourceID?) throws -> [SourceRow] {
        if let name { return try source(name).map { [$0] } ?? [] }
        if let asset {
            return try rows(
                """
                SELECT sources.* FROM source_names JOIN sources USING (source_id) WHERE asset = ? ORDER BY source_id
                """, [asset]
            ).map(SourceRow.init)
        }
        return try rows("SELECT * FROM sources ORDER BY source_id").map(SourceRow.init)
    }

    /// One line per asset and source that has media; a source that no asset names is called "device/endpoint".
    func cameraSummaries() throws -> [CameraSummary] {
        try rows(
            """
            SELECT sources.*, COALESCE(asset, device || '/' || endpoint) AS camera,
              (SELECT MIN(start_us) FROM media WHERE media.source_id = sources.source_id AND kind = 1) AS segment_from,
              (SELECT MIN(start_us) FROM media WHERE media.source_id = sources.source_id AND kind = 2) AS picture_from,
              (SELECT MAX(start_us) FROM media WHERE media.source_id = sources.source_id AND kind = 2) AS picture_to,
              (SELECT end_us FROM media WHERE media.source_id = sources.source_id AND kind = 1
                ORDER BY start_us DESC LIMIT 1) AS segment_to
            FROM sources LEFT JOIN source_names USING (source_id)
            WHERE segments + snapshots > 0 ORDER BY camera, source_id
            """
        ).map { row in
            let source = SourceRow(row).source
            let oldest: [Int64?] = [row["segment_from"], row["picture_from"]]
            let newest: [Int64?] = [row["segment_to"], row["picture_to"]]
            return CameraSummary(
                camera: row["camera"], source: source.name, oldestUs: oldest.compactMap { $0 }.min(),
                newestUs: newest.compactMap { $0 }.max(), segments: UInt64(clamping: row["segments"] as Int64),
                snapshots: UInt64(clamping: row["snapshots"] as Int64), bytes: UInt64(clamping: row["bytes"] as Int64))
        }
    }
}
