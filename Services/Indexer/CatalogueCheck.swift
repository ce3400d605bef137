// What makes a catalogue whole, rule by rule: the file's pages, references, the counters beside `media`, and the rules of
// Schema.swift that no constraint enforces. Each rule is one statement, so that it sees one state; a rule that finds nothing
// reads indexes only. The statements give the rows that break a rule, and each such row becomes a sentence for a person.

import GRDB
import Wire

struct CatalogueCheck {
    /// A statement that gives what breaks a rule.
    struct Rule: Sendable {
        /// What cannot be checked when the statement fails.
        let subject: String
        let sql: String
        let sentence: @Sendable (Row) -> String
    }

    private let read: LongRead
    private var problems: [String] = []

    static let mostProblems = 100

    init(_ read: LongRead) { self.read = read }

    /// Blocks for as long as reading takes.
    mutating func run(isFull: Bool) throws -> CheckCatalogueReply {
        try apply(isFull ? Self.allPages : Self.pages)
        for rule in Self.rules { try apply(rule) }
        return CheckCatalogueReply(problems: problems, rows: try countRows())
    }

    private mutating func apply(_ rule: Rule) throws {
        let room = Self.mostProblems - problems.count
        guard room > 0 else { return }
        do {
            let found = try read.read { db in
                var found: [String] = []
                let cursor = try Row.fetchCursor(db, sql: rule.sql)
                while found.count < room, let row = try cursor.next() { found.append(rule.sentence(row)) }
                return found
            }
            // The pages' check says "ok" in a row.
            problems += found.filter { !$0.isEmpty }
        } catch let error as DatabaseError {
            problems.append(
                "\(rule.subject) cannot be checked, the database file is damaged, restore a backup: \(error.message ?? "no reason given")"
            )
        }
    }

    /// Of all tables together. What a damaged file does not tell is not counted.
    private func countRows() throws -> UInt64 {
        let tables = """
            SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
            """
        do {
            var rows: Int64 = 0
            for table in try read.read({ db in try String.fetchAll(db, sql: tables) }) {
                rows += try read.read { db in
                    try Int64.fetchOne(db, sql: "SELECT COUNT(*) FROM \"\(table)\"") ?? 0
                }
            }
            return UInt64(clamping: rows)
        } catch is DatabaseError {
            return 0
        }
    }
}

extension CatalogueCheck {
    static let pages = pages("quick_check")
    static let allPages = pages("integrity_check")

    private static func pages(_ pragma: String) -> Rule {
        Rule(subject: "the file", sql: "PRAGMA \(pragma)(\(mostProblems))") { row in
            let answer = row[0] as String? ?? "no answer"
            return answer == "ok" ? "" : "the database file is damaged, restore a backup: \(answer)"
        }
    }

    static let rules: [Rule] = [
        references, sourceCounters, longestSegments, volumeUsage, days, itemTotals, overlaps, progress, lateHolds,
        missingHolds,
    ]

    static let references = Rule(subject: "what rows refer to", sql: "PRAGMA foreign_key_check") { row in
        let table = row["table"] as String? ?? "a table"
        let parent = row["parent"] as String? ?? "another table"
        let place = (row["rowid"] as Int64?).map { "row \($0)" } ?? "a row"
        return "\(place) of \(table) refers to a row of \(parent) that is not there"
    }

    static let sourceCounters = Rule(
        subject: "the counters of sources",
        sql: """
            WITH counted AS (
              SELECT source_id, SUM(kind = 1) AS segments, SUM(kind = 2) AS snapshots, SUM(size_bytes) AS bytes
              FROM media GROUP BY source_id)
            SELECT device || '/' || endpoint AS source, sources.segments, sources.snapshots, sources.bytes,
              IFNULL(counted.segments, 0) AS real_segments, IFNULL(counted.snapshots, 0) AS real_snapshots,
              IFNULL(counted.bytes, 0) AS real_bytes
            FROM sources LEFT JOIN counted USING (source_id)
            WHERE sources.segments <> real_segments OR sources.snapshots <> real_snapshots
              OR sources.bytes <> real_bytes
            """
    ) { row in
        "source \(text(row, "source")) counts \(number(row, "segments")) segments, \(number(row, "snapshots")) pictures "
            + "and \(number(row, "bytes")) bytes, its files are \(number(row, "real_segments")) segments, "
            + "\(number(row, "real_snapshots")) pictures and \(number(row, "real_bytes")) bytes"
    }

    static let longestSegments = Rule(
        subject: "the longest segments",
        sql: """
            SELECT device || '/' || endpoint AS source, max_segment_us, longest_us FROM (
              SELECT source_id, MAX(end_us - start_us) AS longest_us FROM media WHERE kind = 1 GROUP BY source_id)
            JOIN sources USING (source_id) WHERE longest_us > max_segment_us
            """
    ) { row in
        "source \(text(row, "source")) has a segment of \(number(row, "longest_us")) us and looks back for "
            + "\(number(row, "max_segment_us")) us only: windows may miss footage"
    }

    static let volumeUsage = Rule(
        subject: "the use of volumes",
        sql: """
            WITH counted AS (
              SELECT volume_id, COUNT(*) AS files, SUM(size_bytes) AS bytes FROM media GROUP BY volume_id)
            SELECT volume_id, IFNULL(volume_usage.files, 0) AS files, IFNULL(volume_usage.bytes, 0) AS bytes,
              IFNULL(counted.files, 0) AS real_files, IFNULL(counted.bytes, 0) AS real_bytes
            FROM (SELECT volume_id FROM counted UNION SELECT volume_id FROM volume_usage)
              LEFT JOIN counted USING (volume_id) LEFT JOIN volume_usage USING (volume_id)
            WHERE IFNULL(volume_usage.files, 0) <> real_files OR IFNULL(volume_usage.bytes, 0) <> real_bytes
            """
    ) { row in
        "volume \(text(row, "volume_id")) counts \(number(row, "files")) files of \(number(row, "bytes")) bytes, its rows "
            + "are \(number(row, "real_files")) files of \(number(row, "real_bytes")) bytes"
    }

    static let days = Rule(
        subject: "the counts per day",
        sql: """
            WITH counted AS (
              SELECT source_id, kind, start_us / \(Micro.day) AS day, COUNT(*) AS files, SUM(size_bytes) AS bytes
              FROM media GROUP BY 1, 2, 3)
            SELECT device || '/' || endpoint AS source, kind, day, IFNULL(media_days.files, 0) AS files,
              IFNULL(media_days.bytes, 0) AS bytes, IFNULL(counted.files, 0) AS real_files,
              IFNULL(counted.bytes, 0) AS real_bytes
            FROM (SELECT source_id, kind, day FROM counted UNION SELECT source_id, kind, day FROM media_days)
              LEFT JOIN counted USING (source_id, kind, day) LEFT JOIN media_days USING (source_id, kind, day)
              LEFT JOIN sources USING (source_id)
            WHERE IFNULL(media_days.files, 0) <> real_files OR IFNULL(media_days.bytes, 0) <> real_bytes
            """
    ) { row in
        let kind = MediaKind(rawValue: Int32(clamping: number(row, "kind"))).name
        return
            "source \(text(row, "source")), day \(number(row, "day")) since 1970, counts \(number(row, "files")) files of "
            + "kind \(kind) with \(number(row, "bytes")) bytes, its rows are \(number(row, "real_files")) with "
            + "\(number(row, "real_bytes")) bytes"
    }

    static let itemTotals = Rule(
        subject: "the totals of uploads",
        sql: """
            WITH counted AS (
              SELECT (SELECT COUNT(*) FROM items WHERE work = 1) AS archive,
                (SELECT COUNT(*) FROM items WHERE work = 2) AS upload,
                (SELECT IFNULL(SUM(size_bytes), 0) FROM items WHERE work = 2) AS upload_size,
                (SELECT COUNT(*) FROM items WHERE work = 2 AND worker IS NOT NULL) AS active,
                (SELECT IFNULL(SUM(size_bytes), 0) FROM items WHERE work = 2 AND worker IS NOT NULL) AS active_size,
                (SELECT COUNT(*) FROM items WHERE state = 8 AND archived_us IS NOT NULL) AS aside,
                (SELECT IFNULL(SUM(size_bytes), 0) FROM items WHERE state = 8 AND archived_us IS NOT NULL) AS aside_size)
            SELECT * FROM item_totals, counted WHERE archive_files <> archive OR upload_files <> upload
              OR upload_bytes <> upload_size OR active_files <> active OR active_bytes <> active_size
              OR aside_files <> aside OR aside_bytes <> aside_size
            """
    ) { row in
        "the totals say \(number(row, "archive_files")) files to archive, \(number(row, "upload_files")) to upload "
            + "(\(number(row, "upload_bytes")) bytes), \(number(row, "active_files")) of them on their way, "
            + "\(number(row, "aside_files")) set aside; the rows are \(number(row, "archive")), \(number(row, "upload")) "
            + "(\(number(row, "upload_size")) bytes), \(number(row, "active")) and \(number(row, "aside"))"
    }

    /// Of segments in order, one that overlaps any other overlaps its neighbour.
    static let overlaps = Rule(
        subject: "overlapping segments",
        sql: """
            SELECT (SELECT device || '/' || endpoint FROM sources WHERE sources.source_id = ordered.source_id) AS source,
              (SELECT path FROM media WHERE media.media_id = ordered.media_id) AS path, start_us, before_end_us
            FROM (
              SELECT media_id, source_id, kind, start_us,
                LAG(end_us) OVER (PARTITION BY source_id, kind ORDER BY start_us) AS before_end_us
              FROM media WHERE is_primary = 1) AS ordered
            WHERE kind = 1 AND before_end_us > start_us
            """
    ) { row in
        "source \(text(row, "source")) would be shown twice: \(text(row, "path")) begins "
            + "\(number(row, "before_end_us") - number(row, "start_us")) us before the segment in front of it ends"
    }

    /// The machine says what a state means; the statement is made of its answers.
    static let progress = Rule(
        subject: "the progress of requests",
        sql: """
            SELECT request_id, item_id, progress, real_progress FROM (
              SELECT request_id, item_id, progress, CASE \(progressOfStates) ELSE 0 END AS real_progress
              FROM request_items JOIN items USING (item_id))
            WHERE progress <> real_progress
            """
    ) { row in
        "request \(text(row, "request_id")) believes item \(number(row, "item_id")) to be at \(number(row, "progress")), it "
            + "is at \(number(row, "real_progress")) (0 open, 1 archived, 2 delivered, 3 and 4 given up)"
    }

    private static var progressOfStates: String {
        ItemState.known.flatMap { state in
            let never = ItemMachine(state: state, archivedUs: nil).progress.rawValue
            let before = ItemMachine(state: state, archivedUs: 1).progress.rawValue
            return [
                "WHEN items.state = \(state.rawValue) AND archived_us IS NULL THEN \(never)",
                "WHEN items.state = \(state.rawValue) THEN \(before)",
            ]
        }.joined(separator: " ")
    }

    static let lateHolds = Rule(
        subject: "the holds of requests that ended",
        sql: """
            SELECT hold_id, holds.request_id FROM holds LEFT JOIN requests USING (request_id)
            WHERE holds.kind = 1 AND (requests.state IS NULL OR requests.state > 4)
            """
    ) { row in
        "hold \(text(row, "hold_id")) keeps footage for request \(text(row, "request_id")), which has ended"
    }

    static let missingHolds = Rule(
        subject: "the holds of open requests",
        sql: """
            SELECT request_id, camera FROM requests JOIN request_cameras USING (request_id)
            WHERE state <= 4 AND NOT EXISTS (SELECT 1 FROM holds WHERE holds.request_id = requests.request_id
              AND holds.source_id = request_cameras.source_id AND holds.kind = 1)
            """
    ) { row in
        "request \(text(row, "request_id")) is open and no hold keeps the footage of \(text(row, "camera"))"
    }

    private static func text(_ row: Row, _ column: String) -> String { row[column] as String? ?? "(unknown)" }
    private static func number(_ row: Row, _ column: String) -> Int64 { row[column] as Int64? ?? 0 }
}
