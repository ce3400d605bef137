// What this controller's files cover (`footage`) and which windows are promised (`footage_windows`).
import GRDB
import Wire

struct Inventory: Sendable {
    let store: StateStore

    /// Notes sealed files. What is known already costs no write. Blocks: call it on an own thread.
    func add(_ files: [MediaFile]) throws {
        try store.database.write { database in
            for file in files {
                guard let path = file.path, let source = SourceKey(file.source) else { continue }
                try database.execute(
                    sql: """
                        INSERT INTO footage (path, device, endpoint, start_us, end_us, kind, size_bytes)
                        VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET device = excluded.device,
                          endpoint = excluded.endpoint, start_us = excluded.start_us, end_us = excluded.end_us,
                          kind = excluded.kind, size_bytes = excluded.size_bytes
                        WHERE (device, endpoint, start_us, end_us, kind, size_bytes) IS NOT (excluded.device,
                          excluded.endpoint, excluded.start_us, excluded.end_us, excluded.kind, excluded.size_bytes)
                        """,
                    arguments: [
                        path, source.device, source.endpoint, file.startUs ?? 0, file.endUs ?? 0,
                        Int64((file.kind ?? .unspecified).rawValue), Int64(clamping: file.sizeBytes ?? 0),
                    ])
            }
        }
    }

    /// How much there is in all.
    func holding() async throws -> Holding {
        try await store.database.read { database in
            let row = try Row.fetchOne(database, sql: "SELECT files, bytes FROM holding")
            return Holding(files: row?["files"] ?? 0, bytes: row?["bytes"] ?? 0)
        }
    }

    /// Those of some files that are noted.
    func noted(_ paths: [String]) async throws -> Set<String> {
        try await store.database.read { database in
            let question = try database.cachedStatement(sql: "SELECT 1 FROM footage WHERE path = ?")
            return Set(try paths.filter { try Int.fetchOne(question, arguments: [$0]) != nil })
        }
    }

    /// Forgets deleted files.
    func remove(_ paths: [String]) async throws {
        try await store.database.write { database in
            for path in paths { try database.execute(sql: "DELETE FROM footage WHERE path = ?", arguments: [path]) }
        }
    }

    /// Where the footage of each source ends. Blocks: for the start of the service.
    func footageEnds() throws -> [SourceKey: Int64] {
        try store.database.read { database in
            let rows = try Row.fetchAll(
                database,
                sql:
                    "SELECT device, endpoint, max(end_us) AS end_us FROM footage WHERE kind = 1 GROUP BY device, endpoint"
            )
            var ends: [SourceKey: Int64] = [:]
            for row in rows { ends[SourceKey(device: row["device"], endpoint: row["endpoint"])] = row["end_us"] }
            return ends
        }
    }

    /// A source's newest segment.
    struct NewestSegment: Sendable, Equatable {
        let path: String
        let span: Span
    }

    /// That of each source. Blocks: for the start of the service.
    func newestSegments() throws -> [NewestSegment] {
        try store.database.read { database in
            // Beside max(), SQLite gives the other columns of the same row.
            try Row.fetchAll(
                database,
                sql:
                    "SELECT path, start_us, max(end_us) AS end_us FROM footage WHERE kind = 1 GROUP BY device, endpoint"
            ).map { NewestSegment(path: $0["path"], span: Span(startUs: $0["start_us"], endUs: $0["end_us"])) }
        }
    }

    /// Those of some files that are not noted, in their order. Blocks: for the start of the service.
    func unnoted(_ paths: [String]) throws -> [String] {
        try store.database.read { database in
            let question = try database.cachedStatement(sql: "SELECT 1 FROM footage WHERE path = ?")
            return try paths.filter { try Int.fetchOne(question, arguments: [$0]) == nil }
        }
    }

    /// Whether a promised window protects a file, also where this controller has no session of its source.
    func isHeld(_ source: SourceKey, _ span: Span, nowUs: Int64) async throws -> Bool {
        try await store.database.read { database in
            try Int.fetchOne(
                database,
                sql: """
                    SELECT 1 FROM footage_windows WHERE device = ? AND endpoint = ? AND hold_until_us > ?
                      AND start_us < ? AND end_us > ? LIMIT 1
                    """,
                arguments: [source.device, source.endpoint, nowUs, span.endUs, span.startUs]) != nil
        }
    }

    /// What of `span` has sealed footage of `source`, in order.
    func covered(_ source: SourceKey, _ span: Span) async throws -> [Span] {
        try await store.database.read { database in
            // No segment is longer than an hour times four (R2), so the index bounds the search from below too.
            try Row.fetchAll(
                database,
                sql: """
                    SELECT start_us, end_us FROM footage WHERE device = ? AND endpoint = ? AND kind = 1
                      AND start_us < ? AND start_us > ? AND end_us > ? ORDER BY start_us
                    """,
                arguments: [
                    source.device, source.endpoint, span.endUs, span.startUs - 14_400_000_000, span.startUs,
                ]
            ).map { Span(startUs: $0["start_us"], endUs: $0["end_us"]) }
        }
    }

    /// Which source a file is of, and what it covers. Nil for a file that this controller did not make.
    func file(_ path: String) async throws -> (source: SourceKey, span: Span)? {
        try await store.database.read { database in
            try Row.fetchOne(
                database, sql: "SELECT device, endpoint, start_us, end_us FROM footage WHERE path = ?",
                arguments: [path]
            )
            .map {
                (
                    SourceKey(device: $0["device"], endpoint: $0["endpoint"]),
                    Span(startUs: $0["start_us"], endUs: $0["end_us"])
                )
            }
        }
    }

    /// Keeps a window over a restart.
    func keep(_ windows: [FootageWindow]) async throws {
        try await store.database.write { database in
            for window in windows {
                try database.execute(
                    sql: """
                        INSERT OR REPLACE INTO footage_windows (key, device, endpoint, start_us, end_us, hold_until_us)
                        VALUES (?, ?, ?, ?, ?, ?)
                        """,
                    arguments: [
                        window.key, window.source.device, window.source.endpoint, window.span.startUs,
                        window.span.endUs, window.holdUntilUs,
                    ])
            }
        }
    }

    /// All windows whose hold has not ended; older ones are forgotten. Blocks: for the start of the service.
    func windows(nowUs: Int64) throws -> [FootageWindow] {
        try store.database.write { database in
            try database.execute(sql: "DELETE FROM footage_windows WHERE hold_until_us <= ?", arguments: [nowUs])
            return try Row.fetchAll(database, sql: "SELECT * FROM footage_windows ORDER BY start_us").map {
                FootageWindow(
                    key: $0["key"], source: SourceKey(device: $0["device"], endpoint: $0["endpoint"]),
                    span: Span(startUs: $0["start_us"], endUs: $0["end_us"]), holdUntilUs: $0["hold_until_us"])
            }
        }
    }
}
