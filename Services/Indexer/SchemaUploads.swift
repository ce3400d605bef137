// Migration 6 of the catalogue's schema: the order in which files go up, and what is known of the uploads without counting them.
// The rules of Schema.swift hold here too.

extension Schema {
    /// `items.due_us` of what is due at no time. A number and no NULL, because an index puts NULL first.
    static let neverDueUs = Int64.max

    static let uploads = """
        -- When it should be where `delivery` wants it; NULL: at no time.
        ALTER TABLE requests ADD COLUMN due_us INTEGER;
        -- The earliest of its requests; 9223372036854775807: at no time. Wrong: it goes up too late, or in front of others.
        ALTER TABLE items ADD COLUMN due_us INTEGER NOT NULL DEFAULT 9223372036854775807;
        -- 0: an event wants it. 1: only people and schedules do. Wrong: what happened waits behind what somebody looks at.
        ALTER TABLE items ADD COLUMN is_routine INTEGER NOT NULL DEFAULT 1;
        UPDATE items SET is_routine = 0 WHERE (work > 0 OR state = 8) AND EXISTS (
          SELECT 1 FROM request_items JOIN requests USING (request_id)
          WHERE request_items.item_id = items.item_id AND rule IS NOT NULL);

        -- The queue: highest priority first, then events, then what is due first, then the oldest. What is claimed or backs
        -- off (ready_us > 0) is not in it, so that an outage in which all of it waits makes no claim slower. SQLite takes an
        -- index with a condition only where the statement says the same condition in the same words.
        DROP INDEX items_queue;
        CREATE INDEX items_ready ON items (work, priority DESC, is_routine, due_us, item_id, kind, ready_us)
          WHERE work > 0 AND ready_us = 0;
        -- The same order for whoever looks: what an uploader has, all that is to be uploaded, what was set aside.
        CREATE INDEX items_uploading ON items (priority DESC, is_routine, due_us, item_id)
          WHERE work = 2 AND worker IS NOT NULL;
        CREATE INDEX items_uploads ON items (priority DESC, is_routine, due_us, item_id) WHERE work = 2;
        CREATE INDEX items_set_aside ON items (item_id) WHERE state = 8;
        CREATE INDEX items_upload_age ON items (archived_us) WHERE work = 2;
        CREATE INDEX items_uploaded ON items (uploaded_us, size_bytes) WHERE uploaded_us IS NOT NULL;

        -- One row of totals over `items`, so that nobody counts a million of them. Kept by the trigger, which is cheap here:
        -- items move some hundred times a second at most, and a renewed claim does not fire it. An item begins without work
        -- and is never deleted, so only changes count. Wrong: the backlog that people see is not the one that there is.
        CREATE TABLE item_totals (
          only_row        INTEGER PRIMARY KEY CHECK (only_row = 1),
          -- To be archived (work = 1).
          archive_files   INTEGER NOT NULL,
          -- To be uploaded (work = 2), and those of them that an uploader has.
          upload_files    INTEGER NOT NULL,
          upload_bytes    INTEGER NOT NULL,
          active_files    INTEGER NOT NULL,
          active_bytes    INTEGER NOT NULL,
          -- Archived, and set aside when they could not be uploaded.
          aside_files     INTEGER NOT NULL,
          aside_bytes     INTEGER NOT NULL
        ) STRICT;
        INSERT INTO item_totals SELECT 1, IFNULL(SUM(work = 1), 0),
          IFNULL(SUM(work = 2), 0), IFNULL(SUM((work = 2) * IFNULL(size_bytes, 0)), 0),
          IFNULL(SUM(work = 2 AND worker IS NOT NULL), 0),
          IFNULL(SUM((work = 2 AND worker IS NOT NULL) * IFNULL(size_bytes, 0)), 0),
          IFNULL(SUM(state = 8 AND archived_us IS NOT NULL), 0),
          IFNULL(SUM((state = 8 AND archived_us IS NOT NULL) * IFNULL(size_bytes, 0)), 0) FROM items;
        CREATE TRIGGER items_totalled AFTER UPDATE OF state, work, worker, size_bytes ON items
          WHEN OLD.state <> NEW.state OR OLD.work <> NEW.work OR (OLD.worker IS NULL) <> (NEW.worker IS NULL)
            OR OLD.size_bytes IS NOT NEW.size_bytes
        BEGIN
          UPDATE item_totals SET archive_files = archive_files + (NEW.work = 1) - (OLD.work = 1),
            upload_files = upload_files + (NEW.work = 2) - (OLD.work = 2),
            upload_bytes = upload_bytes + (NEW.work = 2) * IFNULL(NEW.size_bytes, 0)
              - (OLD.work = 2) * IFNULL(OLD.size_bytes, 0),
            active_files = active_files + (NEW.work = 2 AND NEW.worker IS NOT NULL)
              - (OLD.work = 2 AND OLD.worker IS NOT NULL),
            active_bytes = active_bytes + (NEW.work = 2 AND NEW.worker IS NOT NULL) * IFNULL(NEW.size_bytes, 0)
              - (OLD.work = 2 AND OLD.worker IS NOT NULL) * IFNULL(OLD.size_bytes, 0),
            aside_files = aside_files + (NEW.state = 8 AND NEW.archived_us IS NOT NULL)
              - (OLD.state = 8 AND OLD.archived_us IS NOT NULL),
            aside_bytes = aside_bytes + (NEW.state = 8 AND NEW.archived_us IS NOT NULL) * IFNULL(NEW.size_bytes, 0)
              - (OLD.state = 8 AND OLD.archived_us IS NOT NULL) * IFNULL(OLD.size_bytes, 0);
        END;
        """
}
