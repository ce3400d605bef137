// Adds a row to `media` by SQLite's own calls: a controller that tells its whole volume sends hundreds of thousands of rows, and to box
// each row's values and look its statement up costs a third of what SQLite takes to store it. One row a statement: with several,
// SQLite copies each page before it changes it, to be able to undo the statement.

import Foundation
import GRDB
import GRDBSQLite

/// The statement that adds a row, compiled once per connection.
struct MediaInsertion {
    private let statement: Statement
    /// The connection's own, which the writer's queue alone uses. GRDB keeps it as long as the connection, which is longer than a job.
    private let compiled: SQLiteStatement

    init(_ db: Database) throws {
        statement = try db.cachedStatement(
            sql: """
                INSERT INTO media (media_id, source_id, kind, start_us, end_us, size_bytes, lease_epoch, recorded_us, volume_id, path,
                  run_id, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (volume_id, path) DO NOTHING
                """)
        compiled = statement.sqliteStatement
    }

    /// Adds a row. False where its path is known; then nothing changes. `mediaID` nil: SQLite gives one.
    func add(_ new: NewMedia, mediaID: Int64?, sourceID: Int64, nowUs: Int64, _ db: Database) throws -> Bool {
        // A parameter that is not bound is NULL.
        if let mediaID { sqlite3_bind_int64(compiled, 1, mediaID) }
        sqlite3_bind_int64(compiled, 2, sourceID)
        sqlite3_bind_int64(compiled, 3, Int64(new.kind.rawValue))
        sqlite3_bind_int64(compiled, 4, new.span.startUs)
        sqlite3_bind_int64(compiled, 5, new.span.endUs)
        sqlite3_bind_int64(compiled, 6, new.sizeBytes)
        sqlite3_bind_int64(compiled, 7, new.leaseEpoch)
        sqlite3_bind_int64(compiled, 8, nowUs)
        let code = bound(new.volumeID, 9) {
            bound(new.path, 10) {
                bound(new.runID, 11) {
                    new.record.withUnsafeBytes { record in
                        sqlite3_bind_blob64(compiled, 12, record.baseAddress, UInt64(record.count), nil)
                        return sqlite3_step(compiled)
                    }
                }
            }
        }
        // Nothing of what was bound is looked at afterwards.
        sqlite3_reset(compiled)
        sqlite3_clear_bindings(compiled)
        guard code == SQLITE_DONE else {
            throw DatabaseError(resultCode: ResultCode(rawValue: code), message: db.lastErrorMessage)
        }
        return db.changesCount > 0
    }

    /// Binds a text as long as `body` runs: SQLite reads it where it is. (The nil says that it neither copies nor frees it.)
    private func bound(_ text: String, _ index: Int32, _ body: () -> Int32) -> Int32 {
        text.withCString { characters in
            sqlite3_bind_text64(compiled, index, characters, UInt64(text.utf8.count), nil, UInt8(SQLITE_UTF8))
            return body()
        }
    }
}

extension Turn {
    /// Adds a row. False where its path is known; then nothing changes.
    func insertRow(_ new: NewMedia, mediaID: Int64?, sourceID: Int64) throws -> Bool {
        let insertion = try intake.insertion ?? MediaInsertion(db)
        intake.insertion = insertion
        return try insertion.add(new, mediaID: mediaID, sourceID: sourceID, nowUs: nowUs, db)
    }
}
