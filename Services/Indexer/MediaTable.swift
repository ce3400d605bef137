// Segments and snapshots: storing them, deciding which are primary, finding them by time and by path.
// SegmentRanking.swift has the rule; RecordCalls.swift checks what comes in.

import Foundation
import GRDB
import RPC
import Wire

/// A checked media record.
struct NewMedia: Sendable {
    var file: MediaFile
    var source: SourceID
    var volumeID: String
    var path: String
    var kind: MediaKind
    var span: Span
    var sizeBytes: Int64
    var leaseEpoch: Int64
    var runID: String
    var asset: String?

    /// The camera as hints call it.
    var camera: String { asset ?? source.text }
}

extension MediaRow {
    init(_ row: Row) {
        mediaID = row["media_id"]
        volumeID = row["volume_id"]
        path = row["path"]
        sourceID = row["source_id"]
        kind = MediaKind(rawValue: row["kind"])
        span = Span(row["start_us"], row["end_us"])
        isPrimary = row["is_primary"]
        sizeBytes = row["size_bytes"]
        leaseEpoch = row["lease_epoch"]
        runID = row["run_id"]
    }
}

extension Turn {
    /// Stores a file. False where it is known already; then nothing changes.
    func insertMedia(_ new: NewMedia) throws -> Bool {
        let source = try ensureSource(new.source)
        try run(
            """
            INSERT INTO media (volume_id, path, source_id, kind, start_us, end_us, size_bytes, lease_epoch, run_id,
              recorded_us, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (volume_id, path) DO NOTHING
            """,
            [
                new.volumeID, new.path, source.sourceID, new.kind.rawValue, new.span.startUs, new.span.endUs,
                new.sizeBytes, new.leaseEpoch, new.runID, nowUs, Data(new.file.encoded()),
            ])
        let isNew = changedRows > 0
        try heard(source.sourceID)
        guard isNew else { return false }
        if let asset = new.asset { try nameSource(source.sourceID, asset: asset) }
        if new.kind == .segment {
            if new.span.durationUs > source.maximumSegmentUs {
                try run(
                    "UPDATE sources SET max_segment_us = MAX(max_segment_us, ?) WHERE source_id = ?",
                    [new.span.durationUs, source.sourceID])
            }
            try judge(source.sourceID, around: new.span)
            let isPresent = try new.file.salvaged != true && !Timeline.hasEnded(new.runID, self)
            try reported(source.sourceID, toUs: new.span.endUs, run: new.runID, takesOver: isPresent)
        }
        effects.cameras.insert(new.camera)
        return true
    }

    /// Makes rule 2 of Schema.swift hold again around a span of one source, after a segment came or went.
    func judge(_ sourceID: Int64, around span: Span) throws {
        let found = try neighbourhood(sourceID, around: span)
        guard found.count > 1 || found.contains(where: { !$0.row.isPrimary || $0.row.span != $0.ranked.span }) else {
            return
        }
        let rows = Dictionary(uniqueKeysWithValues: found.map { ($0.row.mediaID, $0.row) })
        for verdict in SegmentRanking.judge(found.map(\.ranked)) {
            guard let row = rows[verdict.mediaID] else { continue }
            if row.isPrimary == verdict.isPrimary && row.span.endUs == verdict.endUs { continue }
            try run(
                "UPDATE media SET is_primary = ?, end_us = ? WHERE media_id = ?",
                [verdict.isPrimary, verdict.endUs, verdict.mediaID])
        }
    }

    /// All segments that overlap a span, directly or through others, by the times that were reported.
    private func neighbourhood(
        _ sourceID: Int64, around first: Span
    ) throws -> [(row: MediaRow, ranked: RankedSegment)] {
        let lookBackUs = try db.source(id: sourceID).maximumSegmentUs
        var span = first
        // Footage overlaps where a lease moved or a clock was set back, a few files at a time; a source that sends
        // nothing but overlaps is bounded here.
        for _ in 0..<64 {
            let rows = try rows(
                """
                SELECT * FROM media WHERE source_id = ? AND kind = 1 AND start_us > ? AND start_us < ? ORDER BY start_us
                """, [sourceID, span.startUs - lookBackUs - 1, span.endUs])
            let found = try rows.map { row -> (row: MediaRow, ranked: RankedSegment) in
                let media = MediaRow(row)
                let record = try Database.mediaFile(row)
                let reported = Span(media.span.startUs, record.endUs ?? media.span.endUs)
                return (
                    media,
                    RankedSegment(
                        mediaID: media.mediaID, span: reported, leaseEpoch: media.leaseEpoch, runID: media.runID,
                        path: media.path)
                )
            }.filter { $0.ranked.span.overlaps(span) }
            let wider = found.reduce(span) { $0.joined(with: $1.ranked.span) }
            if wider == span || rows.count > 2000 { return found }
            span = wider
        }
        return []
    }

    /// Removes a file that its volume's owner has deleted. Gives the row that went, or nil.
    func deleteMedia(_ volumeID: String, _ path: String) throws -> MediaRow? {
        guard
            let found = try row("SELECT * FROM media WHERE volume_id = ? AND path = ?", [volumeID, path])
                .map(MediaRow.init)
        else { return nil }
        try run("DELETE FROM media WHERE media_id = ?", [found.mediaID])
        if found.kind == .segment {
            try run(
                "UPDATE sources SET deleted_to_us = MAX(deleted_to_us, ?) WHERE source_id = ?",
                [found.span.endUs, found.sourceID])
            try judge(found.sourceID, around: found.span)
        }
        return found
    }
}

extension Database {
    /// The file as it was reported, with its end as the catalogue counts it.
    static func mediaFile(_ row: Row) throws -> MediaFile {
        let bytes: Data = row["record"]
        return try MediaFile(wire: [UInt8](bytes))
    }

    /// Segments of a source that touch a window, in order: a bounded look-back on a covering index, no OR.
    func segments(_ source: SourceRow, in window: Span) throws -> [CoveringSegment] {
        try rows(
            """
            SELECT media_id, start_us, end_us, is_primary, size_bytes FROM media
            WHERE source_id = ? AND kind = 1 AND start_us > ? AND start_us < ? AND end_us > ? ORDER BY start_us
            """,
            [source.sourceID, window.startUs - source.maximumSegmentUs - 1, window.endUs, window.startUs]
        ).map { row in
            CoveringSegment(
                mediaID: row["media_id"], span: Span(row["start_us"], row["end_us"]), isPrimary: row["is_primary"],
                sizeBytes: row["size_bytes"])
        }
    }

    /// Ids of the snapshots of a source inside a window, in order.
    func snapshots(_ source: SourceRow, in window: Span) throws -> [Int64] {
        try rows(
            """
            SELECT media_id FROM media WHERE source_id = ? AND kind = 2 AND start_us >= ? AND start_us < ?
            ORDER BY start_us
            """, [source.sourceID, window.startUs, window.endUs]
        ).map { $0["media_id"] }
    }

    /// A row and its record.
    func media(id: Int64) throws -> (row: MediaRow, file: MediaFile) {
        guard let row = try row("SELECT * FROM media WHERE media_id = ?", [id]) else {
            throw RPCError.internal("the catalogue lost media row \(id)")
        }
        return (MediaRow(row), try Self.mediaFile(row))
    }

    /// Files of a volume after a path, in byte order, as many as fit into one message.
    func files(volumeID: String, after path: String, limit: Int) throws -> ListFilesReply {
        var reply = ListFilesReply(more: false)
        var room = MessageRoom()
        let cursor = try SQLRequest<Row>(
            sql: "SELECT record FROM media WHERE volume_id = ? AND path > ? ORDER BY path LIMIT ?",
            arguments: [volumeID, path, limit + 1], cached: true
        ).fetchCursor(self)
        while let row = try cursor.next() {
            let bytes: Data = row["record"]
            guard reply.files.count < limit, room.take(bytes.count) else {
                reply.more = true
                break
            }
            reply.files.append(try MediaFile(wire: [UInt8](bytes)))
        }
        return reply
    }
}

/// Counts what goes into one message, so that a reply stays below the bound of 1 MiB.
struct MessageRoom {
    private var leftBytes = 900_000

    /// Takes room for a field of so many bytes; false where there is no more.
    mutating func take(_ bytes: Int) -> Bool {
        leftBytes -= bytes + 8
        return leftBytes >= 0
    }
}
