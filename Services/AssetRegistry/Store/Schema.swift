// registry.sqlite: what the registry must not lose. WAL with synchronous=FULL: what was answered survives a power cut. The
// one connection belongs to RegistryStore; nobody else writes this file. `revision` and cursors are what clients compare:
// restoring an older copy of this file while clients run makes them miss changes, so restart them too.

import GRDB

enum RegistrySchema {
    /// Version 1, whole; later versions append steps to `migrator`.
    static let version1 = """
        -- Single values by name: "revision", "devices_revision", "assets_revision". If "revision" went back, a client that
        -- knows the higher number would be told that nothing changed and would keep an old configuration.
        CREATE TABLE counters (
            name TEXT PRIMARY KEY NOT NULL,
            value INTEGER NOT NULL
        ) WITHOUT ROWID;

        -- Devices and assets as they were applied.
        CREATE TABLE documents (
            kind INTEGER NOT NULL,          -- DocumentKind: 1 device, 2 asset. Wrong: the body is read as the other kind.
            name TEXT NOT NULL,             -- Folder and topic part. Renamed here: footage of before is another camera's.
            revision INTEGER NOT NULL,      -- counters.revision at the last change. Too low: clients keep the old one.
            json TEXT NOT NULL,             -- The document. Unreadable: the registry refuses to start and names the row.
            origin TEXT NOT NULL,           -- Who applied it, for people.
            applied_us INTEGER NOT NULL,    -- For people.
            PRIMARY KEY (kind, name)
        ) WITHOUT ROWID;

        -- Whether each task shall run. A missing row of a known stream: autostart decides again, so a task that somebody
        -- stopped would run.
        CREATE TABLE desired_states (
            asset TEXT NOT NULL,
            stream TEXT NOT NULL,
            running INTEGER NOT NULL,
            run_id TEXT NOT NULL,           -- "" while it never ran. Repeated: two runs look like one to the controllers.
            override_json TEXT,             -- Lost: the run goes on with other settings.
            started_by TEXT,
            changed_us INTEGER NOT NULL,
            ends_at_us INTEGER,             -- Lost: a task that should end does not.
            revision INTEGER NOT NULL,
            PRIMARY KEY (asset, stream)
        ) WITHOUT ROWID;

        -- Who may open which camera. A row stays for ever: its epoch must not start again, else footage of an old holder
        -- would count as the newer. `holder` NULL: nobody. When it runs out is not stored: after a start every holder gets a
        -- full lease time.
        CREATE TABLE leases (
            device TEXT NOT NULL,
            endpoint TEXT NOT NULL,
            epoch INTEGER NOT NULL,
            holder TEXT,
            holder_address TEXT,
            PRIMARY KEY (device, endpoint)
        ) WITHOUT ROWID;

        -- What happened, for those who may not miss it. AUTOINCREMENT: a cursor is never given twice, even after pruning.
        CREATE TABLE changes (
            cursor INTEGER PRIMARY KEY AUTOINCREMENT,
            what TEXT NOT NULL,             -- "device", "asset", "desired", "lease".
            name TEXT NOT NULL,
            at_us INTEGER NOT NULL
        );

        -- Answers of SetDesiredState by idempotency key, for 24 hours. Lost: a repeated start begins a second run.
        CREATE TABLE answers (
            key TEXT PRIMARY KEY NOT NULL,
            answer BLOB NOT NULL,           -- An encoded SetDesiredStateReply.
            at_us INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX answers_by_time ON answers (at_us);
        """

    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { database in try database.execute(sql: version1) }
        migrator.registerMigration("2-run-starts") { database in
            // When the present or last run began; NULL for one that began before there was this column. Wrong: clips with a
            // pre-roll begin at another moment than asked.
            try database.execute(sql: "ALTER TABLE desired_states ADD COLUMN started_us INTEGER")
        }
        migrator.registerMigration("3-lease-moves") { database in
            try database.execute(
                sql: """
                    -- The highest epoch that anybody was given, also for a move that came to nothing; 0: the holder's. Too low:
                    -- footage of two controllers has one epoch.
                    ALTER TABLE leases ADD COLUMN issued_epoch INTEGER NOT NULL DEFAULT 0;
                    -- Who takes the source over under that epoch while the holder goes on; NULL: it does not move. Lost: the move
                    -- begins anew.
                    ALTER TABLE leases ADD COLUMN successor TEXT;
                    ALTER TABLE leases ADD COLUMN successor_address TEXT;
                    """)
        }
        return migrator
    }
}
