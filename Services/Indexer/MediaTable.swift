// Segments and snapshots: storing them, deciding which are primary, finding them by time and by path.
// SegmentRanking.swift has the rule; RecordCalls.swift checks what comes in.

import Foundation
import GRDB
import RPC
import Wire

/// A checked media record.
struct NewMedia: Sendable {
    /// The file as it was told, encoded.
    var record: Data
    var source: SourceID
    var volumeID: String
    var path: String
    var kind: MediaKind
    var span: Span
    var sizeBytes: Int64
    var leaseEpoch: Int64
    var runID: String
    var asset: String?
    /// Left by a recorder that was killed.
    var isSalvaged: Bool

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
        let source = try seen(new.source)
        let latestEndUs = new.kind == .segment ? try latestEndUs(source) : 0
        let mediaID = try freeMediaID(source)
        let isNew = try insertRow(new, mediaID: mediaID, sourceID: source.row.sourceID)
        source.isHeard = true
        guard isNew else { return false }
        source.freeMediaID = mediaID.map { $0 + 1 }
        intake.count(
            new.kind, sourceID: source.row.sourceID, volumeID: new.volumeID, startUs: new.span.startUs,
            bytes: new.sizeBytes, sign: 1)
        if let asset = new.asset { try name(source, asset: asset) }
        if new.kind == .segment {
            source.latestEndUs = max(latestEndUs, new.span.endUs)
            if new.span.durationUs > source.row.maximumSegmentUs {
                source.row.maximumSegmentUs = new.span.durationUs
                source.isChanged = true
            }
            // What begins behind all the others overlaps none of them.
            if new.span.startUs < latestEndUs { try judge(source.row, around: new.span) }
            let isPresent = try !new.isSalvaged && !hasEnded(new.runID)
            source.reported(toUs: new.span.endUs, run: new.runID, takesOver: isPresent)
        }
        effects.cameras.insert(new.camera)
        return true
    }

    /// The number of a source's next file. The table is in the order of these numbers, and each source has a range of its own: so what
    /// a window of one camera asks for lies side by side, whoever else recorded meanwhile, and ten minutes are some pages instead of
    /// one page for each file. Nil, which leaves it to SQLite: no range is left for that source.
    private func freeMediaID(_ source: SeenSource) throws -> Int64? {
        if let known = source.freeMediaID { return known }
        // What SQLite numbered itself lies below the first range.
        let rangeBits: Int64 = 40
        guard source.row.sourceID > 0, source.row.sourceID < Int64.max >> rangeBits else { return nil }
        let first = source.row.sourceID << rangeBits
        let newest = try number(
            "SELECT MAX(media_id) FROM media WHERE media_id >= ? AND media_id < ?", [first, first + (1 << rangeBits)])
        let free = newest.map { $0 + 1 } ?? first
        source.freeMediaID = free
        return free
    }

    /// The latest end of a source's segments, as reported. A segment that ends later than the newest begins cannot have begun
    /// more than the longest segment before it.
    private func latestEndUs(_ source: SeenSource) throws -> Int64 {
        if let known = source.latestEndUs { return known }
        let newest = try number(
            "SELECT MAX(start_us) FROM media WHERE source_id = ? AND kind = 1", [source.row.sourceID])
        var latest: Int64 = 0
        if let newest {
            latest =
                try rows(
                    "SELECT * FROM media WHERE source_id = ? AND kind = 1 AND start_us > ?",
                    [source.row.sourceID, newest - source.row.maximumSegmentUs - 1]
                ).map { row in try Database.mediaFile(row).endUs ?? row["end_us"] }.max() ?? 0
        }
        source.latestEndUs = latest
        return latest
    }

    /// Makes rule 2 of Schema.swift hold again around a span of one source, after a segment came or went.
    func judge(_ source: SourceRow, around span: Span) throws {
        let found = try neighbourhood(source, around: span)
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
        _ source: SourceRow, around first: Span
    ) throws -> [(row: MediaRow, ranked: RankedSegment)] {
        var span = first
        // Footage overlaps where a lease moved or a clock was set back, a few files at a time; a source that sends
        // nothing but overlaps is bounded here.
        for _ in 0..<64 {
            let rows = try rows(
                """
                SELECT * FROM media WHERE source_id = ? AND kind = 1 AND start_us > ? AND start_us < ? ORDER BY start_us
                """, [source.sourceID, span.startUs - source.maximumSegmentUs - 1, span.endUs])
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
        intake.count(
            found.kind, sourceID: found.sourceID, volumeID: volumeID, startUs: found.span.startUs,
            bytes: found.sizeBytes, sign: -1)
        if found.kind == .segment {
            try run(
                "UPDATE sources SET deleted_to_us = MAX(deleted_to_us, ?) WHERE source_id = ?",
                [found.span.endUs, found.sourceID])
            try judge(db.source(id: found.sourceID), around: found.span)
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
        let cursor = try SQLRequest<Row>(
            sql: """
                SELECT media_id, start_us, end_us, is_primary, size_bytes FROM media
                WHERE source_id = ? AND kind = 1 AND start_us > ? AND start_us < ? AND end_us > ? ORDER BY start_us
                """,
            arguments: [
                source.sourceID, window.startUs - source.maximumSegmentUs - 1, window.endUs, window.startUs,
            ], cached: true
        ).fetchCursor(self)
        var result: [CoveringSegment] = []
        // Columns by place: a day has thousands of rows, and looking for names takes longer than the index.
        while let row = try cursor.next() {
            result.append(
                CoveringSegment(
                    mediaID: row[0], span: Span(row[1], row[2]), isPrimary: row[3], sizeBytes: row[4]))
        }
        return result
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

    /// Files of a volume after a path, in byte order, as they were reported, as many as fit into one message: a ListFilesReply.
    func files(volumeID: String, after path: String, limit: Int) throws -> EncodedMessage {
        var reply = EncodedMessage()
        var room = MessageRoom()
        var (count, hasMore) = (0, false)
        let cursor = try SQLRequest<Row>(
            sql: "SELECT record, kind FROM media WHERE volume_id = ? AND path > ? ORDER BY path LIMIT ?",
            arguments: [volumeID, path, limit + 1], cached: true
        ).fetchCursor(self)
        while let row = try cursor.next() {
            let record: Data = row[0]
            guard count < limit, room.take(record.count) else {
                hasMore = true
                break
            }
            let kind: Int64 = row[1]
            record.withUnsafeBytes { record in
                reply.append(
                    message: record, field: MediaReplyFields.files,
                    replacing: (MediaReplyFields.kind, UInt64(clamping: kind)))
            }
            count += 1
        }
        reply.append(hasMore ? 1 : 0, field: MediaReplyFields.more)
        return reply
    }
}

/// Numbers of fields, from proto/sightglass/v1, in replies that are put together from stored records. The tests read each such reply
/// as the message of the contract.
enum MediaReplyFields {
    /// `files` of QueryMediaReply and of ListFilesReply.
    static let files: UInt64 = 1
    /// `next_page_token` of QueryMediaReply.
    static let nextPageToken: UInt64 = 2
    /// `more` of ListFilesReply.
    static let more: UInt64 = 2
    /// `kind` and `end_us` of MediaFile.
    static let kind: UInt64 = 1
    static let endUs: UInt64 = 7
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
