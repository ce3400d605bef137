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

extension Database {
    /// One page. Duplicates are not shown: they serve only where no primary segment has the time.
    func page(_ question: MediaQuestion) throws -> QueryMediaReply {
        var candidates: [(start: Int64, path: String, id: Int64)] = []
        let kinds: [MediaKind] = question.kind.map { [$0] } ?? [.segment, .snapshot]
        for source in try sources(asset: question.asset, source: question.source) {
            for kind in kinds {
                candidates += try starts(source, kind, question).map { ($0["start_us"], $0["path"], $0["media_id"]) }
            }
        }
        // By bytes, as SQLite compares texts.
        candidates.sort { left, right in
            left.start == right.start
                ? left.path.utf8.lexicographicallyPrecedes(right.path.utf8) : left.start < right.start
        }
        var reply = QueryMediaReply()
        var room = MessageRoom()
        for (index, candidate) in candidates.enumerated() {
            let (row, record) = try media(id: candidate.id)
            var file = record
            file.endUs = row.span.endUs
            guard index < question.limit, room.take(file.encoded().count) else {
                if let last = reply.files.last {
                    reply.nextPageToken = PageToken(startUs: last.startUs ?? 0, path: last.path ?? "").text
                }
                break
            }
            reply.files.append(file)
        }
        return reply
    }

    /// The first files of one source and kind on this page, and one more that tells of a further page.
    private func starts(_ source: SourceRow, _ kind: MediaKind, _ question: MediaQuestion) throws -> [Row] {
        let window = question.window ?? Span(0, Int64.max)
        let lookBackUs = kind != .snapshot ? source.maximumSegmentUs + 1 : 1
        let from = max(window.startUs - min(lookBackUs, window.startUs), -1)
        let lastEndUs = kind != .snapshot ? window.startUs : window.startUs - 1
        let after = question.after ?? PageToken(startUs: -1, path: "")
        // A page goes on inside the second that it ended in, so both bounds are on start_us and the path decides inside.
        return try rows(
            """
            SELECT media_id, start_us, path FROM media
            WHERE source_id = ?1 AND kind = ?2 AND start_us > ?3 AND start_us >= ?4 AND start_us < ?5 AND end_us > ?6
              AND is_primary = 1 AND (start_us, path) > (?4, ?7)
            ORDER BY start_us, path LIMIT ?8
            """,
            [
                source.sourceID, kind.rawValue, from, after.startUs, window.endUs, lastEndUs, after.path,
                question.limit + 1,
            ])
    }
}
