// Reads and writes registry.sqlite (Schema.swift says what is in it). Calls block; the registry's own thread makes them.

import Foundation
import GRDB
import JSON
import RPC
import ServiceKit
import Wire

/// A database that cannot be used.
struct StoreError: Error, CustomStringConvertible {
    let description: String
}

/// The database of the registry.
final class RegistryStore: Sendable {
    /// Changes that are kept: a client that is away longer fetches the whole configuration once.
    static let keptChanges = 10_000
    /// The contract's time for answers by idempotency key.
    static let answerLifetimeUs: Int64 = 24 * 3600 * 1_000_000
    /// Bound for answers, so that a client that makes up keys cannot fill the disk: 100 starts a minute for 24 hours.
    static let keptAnswers = 144_000

    let database: DatabaseQueue

    /// Keeps the lock on the state directory as long as somebody can write.
    private let holding: StateDirectory?

    /// Opens or makes the database.
    init(path: String, holding: StateDirectory? = nil) throws {
        self.holding = holding
        var configuration = GRDB.Configuration()
        configuration.journalMode = .wal
        // Another process that looks at the file (sqlite3, a backup) makes a write wait, not fail.
        configuration.busyMode = .timeout(5)
        do {
            database = try DatabaseQueue(path: path, configuration: configuration)
            // FULL: what was answered survives a power cut. After opening, because GRDB sets NORMAL with WAL.
            try database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            try RegistrySchema.migrator.migrate(database)
        } catch {
            throw StoreError(
                description: "\(path) cannot be opened (\(error)): restore it from a backup, or set 'state-directory'")
        }
    }

    /// Everything, as it was last made durable.
    func load(into model: inout RegistryModel) throws {
        var loaded = model
        try database.read { database in
            for row in try Row.fetchAll(database, sql: "SELECT name, value FROM counters") {
                let value: Int64 = row["value"]
                switch row["name"] as String {
                case "revision": loaded.revision = UInt64(value)
                case "devices_revision": loaded.devicesRevision = UInt64(value)
                case "assets_revision": loaded.assetsRevision = UInt64(value)
                default: break
                }
            }
            for row in try Row.fetchAll(database, sql: "SELECT kind, name, revision, json FROM documents") {
                let document = try Self.stored(row)
                loaded.documents[document.key] = RegistryModel.StoredDocument(
                    document: document, revision: UInt64(row["revision"] as Int64))
            }
            for row in try Row.fetchAll(database, sql: "SELECT * FROM desired_states") {
                let state = DesiredState(
                    running: row["running"], runID: row["run_id"], overrideJSON: row["override_json"],
                    startedBy: row["started_by"], changedUs: row["changed_us"], endsAtUs: row["ends_at_us"],
                    startedUs: row["started_us"])
                loaded.desired[StreamName(asset: row["asset"], stream: row["stream"])] = RegistryModel.StoredDesired(
                    state: state, revision: UInt64(row["revision"] as Int64))
            }
        }
        model = loaded
    }

    private static func stored(_ row: Row) throws -> RegistryDocument {
        do {
            return try DocumentReading.readDocument(JSONReader.read(row["json"], .documents))
        } catch {
            let name: String = row["name"]
            throw StoreError(
                description: "the stored document \(name) cannot be read (\(error)): restore registry.sqlite")
        }
    }

    /// The leases that were made durable; `expiresAtMs` is zero in all.
    func loadLeases() throws -> [SourceName: LeaseTable.Entry] {
        try database.read { database in
            var entries: [SourceName: LeaseTable.Entry] = [:]
            for row in try Row.fetchAll(database, sql: "SELECT * FROM leases") {
                let issued = UInt64(row["issued_epoch"] as Int64)
                let move = (row["successor"] as String?).map { successor in
                    LeaseTable.Move(
                        successor: successor, address: row["successor_address"], epoch: issued, beganAtMs: 0,
                        isTold: true)
                }
                entries[SourceName(device: row["device"], endpoint: row["endpoint"])] = LeaseTable.Entry(
                    epoch: UInt64(row["epoch"] as Int64), holder: row["holder"], holderAddress: row["holder_address"],
                    expiresAtMs: 0, move: move, issuedEpoch: issued)
            }
            return entries
        }
    }

    /// Makes a transaction durable. Gives the newest cursor of the list of changes.
    func commit(_ write: RegistryWrite) throws -> UInt64 {
        try database.write { database in
            for (name, value) in [
                ("revision", write.revision), ("devices_revision", write.devicesRevision),
                ("assets_revision", write.assetsRevision),
            ] {
                try database.execute(
                    sql: "INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)", arguments: [name, Int64(value)])
            }
            try writeDocuments(write, database)
            try writeDesired(write, database)
            for (source, entry) in write.leases {
                try database.execute(
                    sql: """
                        INSERT OR REPLACE INTO leases
                        (device, endpoint, epoch, holder, holder_address, issued_epoch, successor, successor_address)
                        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                        """,
                    arguments: [
                        source.device, source.endpoint, Int64(entry.epoch), entry.holder, entry.holderAddress,
                        Int64(entry.issuedEpoch), entry.move?.successor, entry.move?.address,
                    ])
            }
            if let answer = write.answer {
                try database.execute(
                    sql: "INSERT OR REPLACE INTO answers (key, answer, at_us) VALUES (?, ?, ?)",
                    arguments: [answer.key, Data(answer.bytes), write.nowUs])
                try pruneAnswers(database, nowUs: write.nowUs)
            }
            for change in write.changes {
                try database.execute(
                    sql: "INSERT INTO changes (what, name, at_us) VALUES (?, ?, ?)",
                    arguments: [change.what.rawValue, change.name, write.nowUs])
            }
            if !write.changes.isEmpty {
                try database.execute(
                    sql: "DELETE FROM changes WHERE cursor <= (SELECT MAX(cursor) FROM changes) - ?",
                    arguments: [Self.keptChanges])
            }
            return try newestCursor(database)
        }
    }

    private func writeDocuments(_ write: RegistryWrite, _ database: Database) throws {
        for key in write.deletedDocuments {
            try database.execute(
                sql: "DELETE FROM documents WHERE kind = ? AND name = ?", arguments: [key.kind.rawValue, key.name])
        }
        for (document, revision, origin) in write.documents {
            try database.execute(
                sql: """
                    INSERT OR REPLACE INTO documents (kind, name, revision, json, origin, applied_us)
                    VALUES (?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    document.key.kind.rawValue, document.key.name, Int64(revision), document.json, origin, write.nowUs,
                ])
        }
    }

    private func writeDesired(_ write: RegistryWrite, _ database: Database) throws {
        for name in write.deletedDesired {
            try database.execute(
                sql: "DELETE FROM desired_states WHERE asset = ? AND stream = ?", arguments: [name.asset, name.stream])
        }
        for (name, stored) in write.desired {
            try database.execute(
                sql: """
                    INSERT OR REPLACE INTO desired_states
                    (asset, stream, running, run_id, override_json, started_by, changed_us, ends_at_us, revision,
                     started_us)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    name.asset, name.stream, stored.state.running ?? false, stored.state.runID ?? "",
                    stored.state.overrideJSON, stored.state.startedBy, stored.state.changedUs ?? write.nowUs,
                    stored.state.endsAtUs, Int64(stored.revision), stored.state.startedUs,
                ])
        }
    }

    private func pruneAnswers(_ database: Database, nowUs: Int64) throws {
        try database.execute(sql: "DELETE FROM answers WHERE at_us < ?", arguments: [nowUs - Self.answerLifetimeUs])
        let surplus = try Int.fetchOne(database, sql: "SELECT COUNT(*) FROM answers").map { $0 - Self.keptAnswers } ?? 0
        guard surplus > 0 else { return }
        try database.execute(
            sql: "DELETE FROM answers WHERE key IN (SELECT key FROM answers ORDER BY at_us LIMIT ?)",
            arguments: [surplus])
    }

    /// The stored answer of a key; nil where there is none, or where it is older than 24 hours.
    func answer(key: String, nowUs: Int64) throws -> [UInt8]? {
        try database.read { database in
            try Data.fetchOne(
                database, sql: "SELECT answer FROM answers WHERE key = ? AND at_us >= ?",
                arguments: [key, nowUs - Self.answerLifetimeUs]
            ).map { [UInt8]($0) }
        }
    }

    /// Changes after a cursor, oldest first; nil where some of them were pruned.
    func changes(after cursor: UInt64, limit: Int) throws -> (changes: [RegistryChange], newest: UInt64)? {
        try database.read { database in
            let newest = try newestCursor(database)
            let oldest = try Int64.fetchOne(database, sql: "SELECT MIN(cursor) FROM changes") ?? Int64(newest) + 1
            let after = Int64(clamping: cursor)
            // A cursor beyond the newest is of another database, such as one from before a restore.
            if after > Int64(newest) || (after > 0 && after + 1 < oldest) { return nil }
            let rows = try Row.fetchAll(
                database, sql: "SELECT * FROM changes WHERE cursor > ? ORDER BY cursor LIMIT ?",
                arguments: [after, limit])
            let changes = rows.map { row in
                RegistryChange(
                    cursor: UInt64(row["cursor"] as Int64), what: row["what"], name: row["name"], atUs: row["at_us"])
            }
            return (changes, newest)
        }
    }

    /// From SQLite's own counter, so that it stays right when the list is empty.
    private func newestCursor(_ database: Database) throws -> UInt64 {
        UInt64(try Int64.fetchOne(database, sql: "SELECT seq FROM sqlite_sequence WHERE name = 'changes'") ?? 0)
    }

    /// The newest cursor of the list of changes.
    func newestCursor() throws -> UInt64 {
        try database.read { database in try newestCursor(database) }
    }
}
