// Changes (a bounded list with a cursor that only grows) and the audit (append-only).

import GRDB
import RPC
import Wire

/// What a row of Changes speaks of.
enum ChangedThing: String, Sendable {
    case request, item, hold, gap
}

/// What somebody did, for the audit.
enum AuditAction: String, Sendable {
    case requested, duplicate, extended, rejected, cancelled, delivered, failed, held, released, deleted, revived
}

extension Turn {
    /// Adds a change and gives its cursor.
    @discardableResult func change(_ what: ChangedThing, _ name: String) throws -> Int64 {
        try run(
            "INSERT INTO changes (what, name, at_us) VALUES (?, ?, ?)", [what.rawValue, name, nowUs])
        let cursor = db.lastInsertedRowID
        // Cut in steps, so that not each change deletes one.
        if cursor % 1000 == 0 { try run("DELETE FROM changes WHERE cursor <= ?", [cursor - policy.keptChanges]) }
        return cursor
    }

    func audit(_ action: AuditAction, by who: String, subject: String, detail: String = "") throws {
        try run(
            "INSERT INTO audit (at_us, who, action, subject, detail) VALUES (?, ?, ?, ?, ?)",
            [nowUs, who, action.rawValue, subject, detail])
    }

    func newestCursor() throws -> Int64 { try db.newestCursor() }
}

extension Database {
    func newestCursor() throws -> Int64 {
        try number("SELECT seq FROM sqlite_sequence WHERE name = 'changes'") ?? 0
    }

    /// Changes after a cursor, oldest first. OUT_OF_RANGE where some of them are gone, or where the cursor is of a future
    /// that this catalogue does not have (it was restored from a backup).
    func changes(after: Int64, limit: Int) throws -> IndexerChangesReply {
        let newest = try newestCursor()
        let oldest = try number("SELECT MIN(cursor) FROM changes") ?? newest + 1
        guard after <= newest else {
            throw RPCError.outOfRange(
                "the newest change is \(newest), before \(after): list the requests and start there")
        }
        guard after + 1 >= oldest else {
            throw RPCError.outOfRange("changes before \(oldest) are gone: list the requests and start at \(newest)")
        }
        let found = try rows(
            "SELECT cursor, what, name, at_us FROM changes WHERE cursor > ? ORDER BY cursor LIMIT ?", [after, limit])
        let changes = found.map { row in
            IndexerChange(
                cursor: UInt64(row["cursor"] as Int64), what: row["what"], name: row["name"], atUs: row["at_us"])
        }
        return IndexerChangesReply(changes: changes, newest: UInt64(newest))
    }

    /// Audit entries from a time on, oldest first.
    func auditEntries(fromUs: Int64, limit: Int) throws -> [AuditEntry] {
        try rows(
            """
            SELECT at_us, who, action, subject, detail FROM audit WHERE at_us >= ? ORDER BY at_us, audit_id LIMIT ?
            """, [fromUs, limit]
        ).map { row in
            AuditEntry(
                atUs: row["at_us"], who: row["who"], action: row["action"], subject: row["subject"],
                detail: row["detail"])
        }
    }
}
