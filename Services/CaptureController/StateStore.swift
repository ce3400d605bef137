// controller.sqlite in the state directory: what the controller must not forget between two starts. Three tables:
//
//   spool      records that the indexer has not acknowledged, in the order in which they were made (Spool.swift)
//   footage    the files on the recording volume that this controller made (Inventory.swift)
//   footage_windows  the windows of EnsureFootage and their soft holds (Inventory.swift)
//
// `spool` and `footage` can be rebuilt from the volume (Reconcile.swift); `footage_windows` cannot, so a commit is synced.
import Foundation
import GRDB

struct StateStore: Sendable {
    let database: DatabaseQueue

    /// Opens or makes the database in `directory`.
    static func open(directory: String) throws -> StateStore {
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            var configuration = Configuration()
            configuration.label = "controller.sqlite"
            configuration.prepareDatabase { database in
                // WAL: the sender reads while the writer appends. FULL: a hold that was promised survives a power cut.
                try database.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
            }
            let database = try DatabaseQueue(path: directory + "/controller.sqlite", configuration: configuration)
            try migrator.migrate(database)
            return StateStore(database: database)
        } catch let error as DatabaseError {
            throw StateError(
                "\(directory)/controller.sqlite cannot be used: \(error.message ?? "SQLite error \(error.resultCode)")")
        } catch {
            throw StateError(
                "state directory \(directory) cannot be used: \(error.localizedDescription); make it writable")
        }
    }

    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { database in
            try database.execute(
                sql: """
                    CREATE TABLE spool (
                      -- Order of making; the indexer must see a run before its segments. A reused id would let an old
                      -- acknowledgement delete a new record, hence AUTOINCREMENT.
                      id INTEGER PRIMARY KEY AUTOINCREMENT,
                      -- MediaRecord as on the wire, without spool_id. Damaged: the row is skipped and logged.
                      record BLOB NOT NULL
                    );
                    CREATE TABLE footage (
                      -- Relative to the volume's root. Wrong: the file is not found, ReadSegment says so.
                      path TEXT PRIMARY KEY,
                      device TEXT NOT NULL,
                      endpoint TEXT NOT NULL,
                      -- Microseconds since 1970. Wrong: a hold may not protect the file, coverage is answered wrongly.
                      start_us INTEGER NOT NULL,
                      end_us INTEGER NOT NULL,
                      -- 1 for footage, 2 for pictures (MediaKind): pictures do not cover a window.
                      kind INTEGER NOT NULL
                    ) WITHOUT ROWID;
                    CREATE INDEX footage_by_time ON footage (device, endpoint, start_us);
                    CREATE TABLE footage_windows (
                      -- Event key or request id. Two windows under one key would keep the older one's footage for ever.
                      key TEXT NOT NULL,
                      device TEXT NOT NULL,
                      endpoint TEXT NOT NULL,
                      start_us INTEGER NOT NULL,
                      end_us INTEGER NOT NULL,
                      -- Wall time at which the soft hold ends. Too early: footage of a request may be deleted.
                      hold_until_us INTEGER NOT NULL,
                      PRIMARY KEY (key, device, endpoint)
                    ) WITHOUT ROWID;
                    """)
        }
        migrator.registerMigration("2") { database in
            // Bytes. 0 until the first comparison with the catalogue fills it in. Wrong: the volume is compared once too often.
            try database.execute(sql: "ALTER TABLE footage ADD COLUMN size_bytes INTEGER NOT NULL DEFAULT 0")
        }
        migrator.registerMigration("3") { database in
            try database.execute(sql: holding)
        }
        return migrator
    }

    /// Asked for every few seconds, so it is kept while files come and go. Wrong: the volume is compared again and again, or never.
    private static let holding = """
        CREATE TABLE holding (files INTEGER NOT NULL, bytes INTEGER NOT NULL);
        INSERT INTO holding SELECT COUNT(*), COALESCE(SUM(size_bytes), 0) FROM footage;
        CREATE TRIGGER footage_came AFTER INSERT ON footage BEGIN
          UPDATE holding SET files = files + 1, bytes = bytes + NEW.size_bytes;
        END;
        CREATE TRIGGER footage_went AFTER DELETE ON footage BEGIN
          UPDATE holding SET files = files - 1, bytes = bytes - OLD.size_bytes;
        END;
        CREATE TRIGGER footage_changed AFTER UPDATE OF size_bytes ON footage BEGIN
          UPDATE holding SET bytes = bytes + NEW.size_bytes - OLD.size_bytes;
        END;
        """
}

/// What is wrong with the state directory, for a person.
struct StateError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
