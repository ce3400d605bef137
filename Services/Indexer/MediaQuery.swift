// QueryMedia: media of one source, of an asset's sources, or of all, by start and path, in pages. A page token is where the
// page before ended; it holds nothing but that.

import Foundation
import GRDB
import RPC
import ServiceKit
import Wire

/// Where a page ended: start and path of its last file.
struct PageToken: Sendable, Equatable {
    var startUs: Int64
    var path: String

    init(startUs: Int64, path: String) {
        self.startUs = startUs
        self.path = path
    }

    init(parsing text: String) throws(RPCError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let start = Int64(parts[0]), text.utf8.count <= 1100 else {
            throw FieldCheck.wrong("page_token", "is not one that a reply gave: leave it out to start over")
        }
        self.init(startUs: start, path: String(parts[1]))
    }

    var text: String { "\(startUs):\(path)" }
}

/// A checked question.
struct MediaQuestion: Sendable {
    var asset: String?
    var source: SourceID?
    /// Nil: all times.
    var window: Span?
    /// Nil: footage and pictures; renditions repeat footage and are shown where they are asked for.
    var kind: MediaKind?
    var limit: Int
    var after: PageToken?
}

/// Files of one source and kind in their order, one after the other.
private struct MediaRun {
    private let cursor: RowCursor
    private(set) var startUs: Int64 = 0
    private(set) var endUs: Int64 = 0
    private(set) var path = ""
    private(set) var record = Data()

    /// Nil where there is no file.
    init?(_ cursor: RowCursor) throws {
        self.cursor = cursor
        guard try step() else { return nil }
    }

    /// Goes to the next file; false where there is none.
    mutating func step() throws -> Bool {
        guard let row = try cursor.next() else { return false }
        (startUs, endUs, path, record) = (row[0], row[1], row[2], row[3])
        return true
    }

    /// By bytes, as SQLite compares texts.
    func isBefore(_ other: MediaRun) -> Bool {
        startUs == other.startUs ? path.utf8.lexicographicallyPrecedes(other.path.utf8) : startUs < other.startUs
    }
}

extension Database {
    /// One page, a QueryMediaReply: the records as they are stored, with the end as the catalogue counts it. Duplicates are not
    /// shown: they serve only where no primary segment has the time.
    func page(_ question: MediaQuestion) throws -> EncodedMessage {
        let kinds: [MediaKind] = question.kind.map { [$0] } ?? [.segment, .snapshot]
        var runs: [MediaRun] = []
        for source in try sources(asset: question.asset, source: question.source) {
            for kind in kinds {
                if let run = try MediaRun(files(source, kind, question)) { runs.append(run) }
            }
        }
        var reply = EncodedMessage()
        var room = MessageRoom()
        var last: PageToken?
        var count = 0
        while let next = runs.indices.min(by: { runs[$0].isBefore(runs[$1]) }) {
            let file = runs[next]
            // The field that is appended has at most eleven bytes.
            guard count < question.limit, room.take(file.record.count + 11) else {
                if let last { reply.append(last.text, field: MediaReplyFields.nextPageToken) }
                break
            }
            file.record.withUnsafeBytes { record in
                reply.append(
                    message: record, field: MediaReplyFields.files,
                    replacing: (MediaReplyFields.endUs, UInt64(clamping: file.endUs)))
            }
            last = PageToken(startUs: file.startUs, path: file.path)
            count += 1
            if try !runs[next].step() { runs.remove(at: next) }
        }
        return reply
    }

    /// The files of one source and kind from this page on, and one more that tells of a further page. A statement of its own for
    /// each: they are read side by side.
    private func files(_ source: SourceRow, _ kind: MediaKind, _ question: MediaQuestion) throws -> RowCursor {
        let window = question.window ?? Span(0, Int64.max)
        let lookBackUs = kind != .snapshot ? source.maximumSegmentUs + 1 : 1
        let from = max(window.startUs - min(lookBackUs, window.startUs), -1)
        let lastEndUs = kind != .snapshot ? window.startUs : window.startUs - 1
        let after = question.after ?? PageToken(startUs: -1, path: "")
        // A page goes on inside the second that it ended in, so both bounds are on start_us and the path decides inside.
        return try Row.fetchCursor(
            makeStatement(
                sql: """
                    SELECT start_us, end_us, path, record FROM media
                    WHERE source_id = ?1 AND kind = ?2 AND start_us > ?3 AND start_us >= ?4 AND start_us < ?5 AND end_us > ?6
                      AND is_primary = 1 AND (start_us, path) > (?4, ?7)
                    ORDER BY start_us, path LIMIT ?8
                    """),
            arguments: [
                source.sourceID, kind.rawValue, from, after.startUs, window.endUs, lastEndUs, after.path,
                question.limit + 1,
            ])
    }
}
