// The catalogue's schema: every table, what each column means, in which unit, and what breaks when it is wrong.
// Opened by Catalogue.swift; one file per table group reads and writes it (…Table.swift).
//
// Rules that hold for every row:
//   1. Times ("_us") are microseconds since 1970-01-01T00:00:00Z. Spans are half-open: [start_us, end_us).
//   2. No two rows of `media` with is_primary = 1 and kind = 1 of one source overlap in time.
//   3. One row of `items` per media file, whoever asks for it: what two requests share is copied and uploaded once.
//   4. A row is written after the file it speaks of is safe, and removed after the file is gone.
// A change of the schema is a new migration at the end of `migrator`; a published one is never edited.

import GRDB

enum Schema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1-catalogue") { db in
            try db.execute(sql: media)
            try db.execute(sql: mediaCounters)
            try db.execute(sql: timeline)
            try db.execute(sql: requests)
            try db.execute(sql: items)
            try db.execute(sql: keeping)
            try db.execute(sql: history)
        }
        // Foreign keys are checked when it is done.
        migrator.registerMigration("2-renditions") { try $0.execute(sql: renditions) }
        migrator.registerMigration("3-days") { try $0.execute(sql: days) }
        migrator.registerMigration("4-clips") { db in
            // Whether a clip of the same window exists already.
            try db.execute(sql: "CREATE INDEX items_clips ON items (source_id, start_us, end_us) WHERE kind = 3")
        }
        migrator.registerMigration("5-crc64") { db in
            // CRC-64/NVME of the archived file whose SHA-256 is sha256, its bits as a signed number; NULL: nobody made one. Wrong: the
            // uploader makes the SHA-256 of the file as well, says so, and goes on by that.
            try db.execute(sql: "ALTER TABLE items ADD COLUMN crc64 INTEGER")
        }
        migrator.registerMigration("6-uploads") { try $0.execute(sql: uploads) }
        return migrator
    }

    static let media = """
        -- A camera endpoint that has footage or is asked for. Never deleted: old requests name it.
        CREATE TABLE sources (
          source_id      INTEGER PRIMARY KEY,
          device         TEXT NOT NULL,
          endpoint       TEXT NOT NULL,
          -- Longest segment ever recorded, in microseconds. Range queries look back so far and no further: too small, and
          -- a segment that began before the window is missed; too large, and each query reads more than it needs.
          max_segment_us INTEGER NOT NULL DEFAULT 0,
          -- How far the present run has reported (end of its newest segment, or of the newest gap). A window that ends at
          -- or before it waits for nothing more: too large, and requests are closed before their footage arrived.
          reported_to_us INTEGER NOT NULL DEFAULT 0,
          -- The run that reported_to_us speaks of. Another one takes over and may move reported_to_us back (a clock that
          -- was set back starts a run).
          reported_run   TEXT,
          -- When a record of it came last, by our clock. While records of a backlog come in, windows go on waiting.
          heard_us       INTEGER NOT NULL DEFAULT 0,
          -- End of the newest segment that retention has deleted: what is missing before it is called "expired".
          deleted_to_us  INTEGER NOT NULL DEFAULT 0,
          -- Counters over `media`, so that a list of cameras reads no media rows.
          segments       INTEGER NOT NULL DEFAULT 0,
          snapshots      INTEGER NOT NULL DEFAULT 0,
          bytes          INTEGER NOT NULL DEFAULT 0,
          UNIQUE (device, endpoint)
        ) STRICT;

        -- Assets that name a source, learned from records and requests. Only for questions by asset and for lists.
        CREATE TABLE source_names (
          asset          TEXT NOT NULL,
          source_id      INTEGER NOT NULL REFERENCES sources,
          PRIMARY KEY (asset, source_id)
        ) STRICT, WITHOUT ROWID;

        -- A sealed file on a recording volume: a segment or a snapshot.
        CREATE TABLE media (
          -- Source by source, in order of their coming (Turn.freeMediaID). Wrong: a window's rows are on as many pages.
          media_id       INTEGER PRIMARY KEY,
          -- With path the file's identity. Wrong: another volume's files are deleted or never found.
          volume_id      TEXT NOT NULL,
          path           TEXT NOT NULL,
          source_id      INTEGER NOT NULL REFERENCES sources,
          -- 1 segment, 2 snapshot (MediaKind); since migration 2 also 3, rendition.
          kind           INTEGER NOT NULL CHECK (kind IN (1, 2)),
          start_us       INTEGER NOT NULL,
          -- As reported, but never later than the start of the next segment of the same run (rule 2).
          end_us         INTEGER NOT NULL,
          -- 0: footage that a segment of a higher lease epoch (or an earlier one of another run) covers already. It is
          -- kept and serves where no primary segment has the time. Wrong: a frame is delivered twice.
          is_primary     INTEGER NOT NULL DEFAULT 1,
          size_bytes     INTEGER NOT NULL,
          lease_epoch    INTEGER NOT NULL,
          run_id         TEXT NOT NULL,
          -- When we stored the row, by our clock.
          recorded_us    INTEGER NOT NULL,
          -- When its deletion was granted; NULL: not granted.
          granted_us     INTEGER,
          -- The encoded MediaFile as it was reported: everything that is not needed for finding it.
          record         BLOB NOT NULL
        ) STRICT;
        CREATE UNIQUE INDEX media_by_path ON media (volume_id, path);
        -- Covers range queries: the rows themselves are read only for what is returned.
        CREATE INDEX media_by_time ON media (source_id, kind, start_us, end_us, is_primary, size_bytes);
        -- Retention walks a volume from its oldest file.
        CREATE INDEX media_by_age ON media (volume_id, start_us, size_bytes);

        -- Bytes that the catalogue believes a volume to hold. Wrong: a quota deletes too much or too little.
        CREATE TABLE volume_usage (
          volume_id      TEXT PRIMARY KEY,
          files          INTEGER NOT NULL,
          bytes          INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """

    /// `media` once more with kind 3: SQLite changes no CHECK of a table that is there. A new column of `media` goes behind this.
    private static let renditions = """
        CREATE TABLE media_2 (
          media_id       INTEGER PRIMARY KEY,
          volume_id      TEXT NOT NULL,
          path           TEXT NOT NULL,
          source_id      INTEGER NOT NULL REFERENCES sources,
          -- 1 segment, 2 snapshot, 3 rendition (MediaKind). Wrong: a rendition is delivered beside the footage it repeats.
          -- A range, because SQLite makes a table of a list for each row that it checks, a tenth of what the row costs.
          kind           INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 3),
          start_us       INTEGER NOT NULL,
          end_us         INTEGER NOT NULL,
          is_primary     INTEGER NOT NULL DEFAULT 1,
          size_bytes     INTEGER NOT NULL,
          lease_epoch    INTEGER NOT NULL,
          run_id         TEXT NOT NULL,
          recorded_us    INTEGER NOT NULL,
          granted_us     INTEGER,
          record         BLOB NOT NULL
        ) STRICT;
        INSERT INTO media_2 SELECT media_id, volume_id, path, source_id, kind, start_us, end_us, is_primary, size_bytes,
          lease_epoch, run_id, recorded_us, granted_us, record FROM media;
        DROP TABLE media;
        ALTER TABLE media_2 RENAME TO media;
        CREATE UNIQUE INDEX media_by_path ON media (volume_id, path);
        CREATE INDEX media_by_time ON media (source_id, kind, start_us, end_us, is_primary, size_bytes);
        CREATE INDEX media_by_age ON media (volume_id, start_us, size_bytes);
        \(mediaCounters)
        """

    /// Counters are kept by MediaIntake.swift from here on, once for a batch: by triggers they cost more than the rows themselves.
    private static let days = """
        DROP TRIGGER media_counted;
        DROP TRIGGER media_uncounted;
        -- Files of each day, by their start. Wrong: a list of days shows what is not there, or hides what is.
        CREATE TABLE media_days (
          source_id      INTEGER NOT NULL REFERENCES sources,
          -- As in media.
          kind           INTEGER NOT NULL,
          -- Whole days since 1970, UTC.
          day            INTEGER NOT NULL,
          files          INTEGER NOT NULL,
          bytes          INTEGER NOT NULL,
          PRIMARY KEY (source_id, kind, day)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO media_days SELECT source_id, kind, start_us / 86400000000, COUNT(*), SUM(size_bytes) FROM media
          GROUP BY source_id, kind, start_us / 86400000000;
        """

    static let mediaCounters = """
        CREATE TRIGGER media_counted AFTER INSERT ON media BEGIN
          UPDATE sources SET segments = segments + (NEW.kind = 1), snapshots = snapshots + (NEW.kind = 2),
            bytes = bytes + NEW.size_bytes WHERE source_id = NEW.source_id;
          INSERT INTO volume_usage (volume_id, files, bytes) VALUES (NEW.volume_id, 1, NEW.size_bytes)
            ON CONFLICT (volume_id) DO UPDATE SET files = files + 1, bytes = bytes + NEW.size_bytes;
        END;
        CREATE TRIGGER media_uncounted AFTER DELETE ON media BEGIN
          UPDATE sources SET segments = segments - (OLD.kind = 1), snapshots = snapshots - (OLD.kind = 2),
            bytes = bytes - OLD.size_bytes WHERE source_id = OLD.source_id;
          UPDATE volume_usage SET files = files - 1, bytes = bytes - OLD.size_bytes WHERE volume_id = OLD.volume_id;
        END;
        """

    static let timeline = """
        -- One unbroken session of a source.
        CREATE TABLE runs (
          run_id         TEXT PRIMARY KEY,
          source_id      INTEGER NOT NULL REFERENCES sources,
          started_us     INTEGER NOT NULL,
          -- NULL while it goes on.
          ended_us       INTEGER,
          end_reason     TEXT,
          lease_epoch    INTEGER NOT NULL,
          controller_id  TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;

        -- Versions of the map from a run's media time to wall time. A new version is added; none is rewritten.
        CREATE TABLE anchors (
          run_id         TEXT NOT NULL,
          version        INTEGER NOT NULL,
          media_us       INTEGER NOT NULL,
          wall_us        INTEGER NOT NULL,
          -- Parts per million, -500 to 500.
          rate_ppm       INTEGER NOT NULL,
          origin         TEXT NOT NULL,
          PRIMARY KEY (run_id, version)
        ) STRICT, WITHOUT ROWID;

        -- Time in which a source should have been recorded and was not. Longer ones are stored in pieces of at most 24 h,
        -- so that range queries can look back a bounded time.
        CREATE TABLE gaps (
          source_id      INTEGER NOT NULL REFERENCES sources,
          start_us       INTEGER NOT NULL,
          end_us         INTEGER NOT NULL,
          cause          TEXT NOT NULL,
          reason         TEXT NOT NULL,
          run_id         TEXT NOT NULL,
          -- Video frames known to be lost; 0 where they cannot be counted. Above 0 it is shown even inside a segment.
          frames_lost    INTEGER NOT NULL,
          PRIMARY KEY (source_id, start_us, end_us, cause)
        ) STRICT, WITHOUT ROWID;
        """

    static let requests = """
        -- What somebody asked to be archived. Durable before it is accepted; never deleted.
        CREATE TABLE requests (
          request_id     TEXT PRIMARY KEY,
          -- RequestState. 1 to 4 are open. Wrong: work is lost or goes on for ever.
          state          INTEGER NOT NULL,
          -- Why it is not done wholly, for a person.
          reason         TEXT NOT NULL DEFAULT '',
          start_us       INTEGER NOT NULL,
          end_us         INTEGER NOT NULL,
          -- The latest end that extensions may give it. Equal to end_us for a request that is not of an event.
          maximum_end_us INTEGER NOT NULL,
          -- Delivery and ArchiveMode.
          delivery       INTEGER NOT NULL,
          mode           INTEGER NOT NULL,
          -- Bit 0: segments, bit 1: snapshots.
          kinds          INTEGER NOT NULL,
          priority       INTEGER NOT NULL,
          requested_by   TEXT NOT NULL,
          why            TEXT NOT NULL,
          -- Mapping that the event came by; NULL for an operator's request. With camera_key it says which events extend it.
          rule           TEXT,
          -- Names and sources of all cameras, sorted: equal for equal sets.
          camera_key     TEXT NOT NULL,
          accepted_us    INTEGER NOT NULL,
          copying_us     INTEGER,
          archived_us    INTEGER,
          finished_us    INTEGER,
          -- When the clock alone may change it; NULL: only a record or a worker can.
          check_us       INTEGER,
          manifest_path  TEXT,
          -- Position in `changes` at which it last changed.
          cursor         INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE INDEX requests_open ON requests (check_us, request_id) WHERE state <= 4;
        CREATE INDEX requests_extendable ON requests (rule, camera_key) WHERE state <= 2;
        CREATE INDEX requests_newest ON requests (accepted_us);

        -- Events by their key: the same key again is a duplicate. Wrong: an incident is archived twice or not at all.
        CREATE TABLE events (
          event_key      TEXT PRIMARY KEY,
          request_id     TEXT NOT NULL REFERENCES requests,
          event_us       INTEGER NOT NULL,
          received_us    INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX events_by_request ON events (request_id, received_us);

        CREATE TABLE request_cameras (
          request_id     TEXT NOT NULL REFERENCES requests,
          position       INTEGER NOT NULL,
          -- As the footage is called in the archive.
          camera         TEXT NOT NULL,
          source_id      INTEGER NOT NULL REFERENCES sources,
          -- FootageState that EnsureFootage answered, and why.
          footage        INTEGER NOT NULL,
          footage_reason TEXT NOT NULL,
          -- 1: its footage is complete, its items exist, its gaps are in request_gaps.
          is_fixed       INTEGER NOT NULL DEFAULT 0,
          PRIMARY KEY (request_id, position)
        ) STRICT, WITHOUT ROWID;
        -- Which requests a new record may wake.
        CREATE INDEX request_cameras_waiting ON request_cameras (source_id) WHERE is_fixed = 0;

        CREATE TABLE request_gaps (
          request_id     TEXT NOT NULL REFERENCES requests,
          position       INTEGER NOT NULL,
          start_us       INTEGER NOT NULL,
          end_us         INTEGER NOT NULL,
          cause          TEXT NOT NULL,
          reason         TEXT NOT NULL,
          frames_lost    INTEGER NOT NULL,
          PRIMARY KEY (request_id, position, start_us, end_us, cause)
        ) STRICT, WITHOUT ROWID;
        """

    static let items = """
        -- One file that is to be in the archive. Never deleted: its path stays taken (archive_stem), and a later request
        -- for the same media finds it.
        CREATE TABLE items (
          item_id        INTEGER PRIMARY KEY AUTOINCREMENT,
          -- ItemKind and ItemState.
          kind           INTEGER NOT NULL,
          state          INTEGER NOT NULL,
          -- The file on the recording volume; NULL for clips and manifests.
          media_volume   TEXT,
          media_path     TEXT,
          source_id      INTEGER REFERENCES sources,
          camera         TEXT NOT NULL,
          start_us       INTEGER NOT NULL,
          end_us         INTEGER NOT NULL,
          -- Relative to the archive volume's root; also the blob's name. Wrong: one file replaces another.
          archive_path   TEXT NOT NULL,
          -- archive_path without its extension: a file and its sidecar share it, so two items never may.
          archive_stem   TEXT NOT NULL,
          archive_volume TEXT,
          -- Of the archived file; for a media item before that, what the recorder reported (may be NULL).
          size_bytes     INTEGER,
          sha256         BLOB,
          blob_url       TEXT,
          -- The last error, for a person.
          error          TEXT NOT NULL DEFAULT '',
          -- 0 nothing to do, 1 to be archived, 2 to be uploaded (Work). Wrong: it is never claimed, or for ever.
          work           INTEGER NOT NULL,
          -- Not to be claimed before: end of the present claim, or of the back-off; 0: now.
          ready_us       INTEGER NOT NULL DEFAULT 0,
          priority       INTEGER NOT NULL,
          -- Attempts at the present work so far that count, the present claim among them.
          attempts       INTEGER NOT NULL DEFAULT 0,
          -- When the present work failed first; NULL: it has not. Attempts that failed for a cause outside the item are
          -- not counted for a day from then. Wrong: an outage sets files aside, or a bad file keeps a request open.
          failing_since_us INTEGER,
          -- Who holds the claim; NULL: nobody.
          worker         TEXT,
          -- Grows with each claim, never shrinks. Wrong: a worker that lost its claim overwrites another's result.
          epoch          INTEGER NOT NULL DEFAULT 0,
          -- Epochs of the claims that archived and uploaded it: their repeated completion is answered, not refused.
          archive_epoch  INTEGER,
          upload_epoch   INTEGER,
          -- The encoded MediaFile, because the row in `media` may be gone before the upload is done.
          media          BLOB,
          -- A manifest's bytes.
          content        BLOB,
          created_us     INTEGER NOT NULL,
          archived_us    INTEGER,
          uploaded_us    INTEGER
        ) STRICT;
        CREATE UNIQUE INDEX items_by_media ON items (media_volume, media_path) WHERE media_path IS NOT NULL;
        CREATE UNIQUE INDEX items_by_stem ON items (archive_stem);
        CREATE UNIQUE INDEX items_by_path ON items (archive_path);
        -- The queue: highest priority first, then oldest.
        CREATE INDEX items_queue ON items (work, priority DESC, item_id, ready_us, kind) WHERE work > 0;
        CREATE INDEX items_timed ON items (ready_us) WHERE work > 0 AND ready_us > 0;
        -- Uploaded files that the archive volume may let go.
        CREATE INDEX items_evictable ON items (archive_volume, uploaded_us) WHERE state = 6;

        CREATE TABLE request_items (
          request_id     TEXT NOT NULL REFERENCES requests,
          item_id        INTEGER NOT NULL REFERENCES items,
          is_manifest    INTEGER NOT NULL,
          -- ItemProgress, a copy of what the item's state means: 0 open, 1 archived, 2 in the cloud, 3 poisoned before
          -- the archive, 4 poisoned before the cloud. Wrong: a request ends early or never.
          progress       INTEGER NOT NULL,
          PRIMARY KEY (request_id, item_id)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX request_items_progress ON request_items (request_id, is_manifest, progress);
        CREATE INDEX request_items_by_item ON request_items (item_id, request_id);
        """

    static let keeping = """
        -- What must not be deleted. Wrong: evidence is lost, or a volume fills up.
        CREATE TABLE holds (
          hold_id        TEXT PRIMARY KEY,
          -- HoldKind: 1 of an open request, 2 legal.
          kind           INTEGER NOT NULL,
          camera         TEXT NOT NULL,
          source_id      INTEGER NOT NULL REFERENCES sources,
          start_us       INTEGER NOT NULL,
          end_us         INTEGER NOT NULL,
          placed_by      TEXT NOT NULL,
          reason         TEXT NOT NULL,
          placed_us      INTEGER NOT NULL,
          request_id     TEXT
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX holds_by_request ON holds (request_id) WHERE request_id IS NOT NULL;

        -- The last that each volume's owner said of it.
        CREATE TABLE volumes (
          volume_id      TEXT PRIMARY KEY,
          -- "recording" or "archive".
          role           TEXT NOT NULL,
          owner          TEXT NOT NULL,
          -- Where ReadSegment gives its files; empty for an archive volume.
          owner_address  TEXT NOT NULL,
          -- The encoded VolumeStatus.
          status         BLOB NOT NULL,
          -- Wrong: retention deletes for room that there is, or lets the volume run full.
          total_bytes    INTEGER NOT NULL,
          free_bytes     INTEGER NOT NULL,
          reported_us    INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """

    static let history = """
        -- The last 100000 changes. The cursor only grows, also when old rows are gone.
        CREATE TABLE changes (
          cursor         INTEGER PRIMARY KEY AUTOINCREMENT,
          what           TEXT NOT NULL,
          name           TEXT NOT NULL,
          at_us          INTEGER NOT NULL
        ) STRICT;

        -- Who did what. Only ever appended to.
        CREATE TABLE audit (
          audit_id       INTEGER PRIMARY KEY,
          at_us          INTEGER NOT NULL,
          who            TEXT NOT NULL,
          action         TEXT NOT NULL,
          subject        TEXT NOT NULL,
          detail         TEXT NOT NULL
        ) STRICT;
        CREATE INDEX audit_by_time ON audit (at_us);
        CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN
          SELECT RAISE(ABORT, 'the audit is append-only');
        END;
        CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit BEGIN
          SELECT RAISE(ABORT, 'the audit is append-only');
        END;
        """
}
