// Rows of items and of their links to requests. An item's state changes only through ItemMachine, and only here is it
// stored, so that `request_items.progress` never differs from what the state means.

import Foundation
import GRDB
import RPC
import Wire

/// A row of `items`.
struct ItemRow: Sendable {
    var itemID: Int64
    var kind: ItemKind
    var machine: ItemMachine
    var mediaVolumeID: String?
    var mediaPath: String?
    var sourceID: Int64?
    var camera: String
    var span: Span
    var archivePath: String
    var archiveStem: String
    /// The highest of its requests.
    var priority: Int64
    /// No event wants it: it goes behind those of its priority that one does.
    var isRoutine: Bool
    /// The earliest of its requests; `Schema.neverDueUs`: at no time.
    var dueUs: Int64
    var media: MediaFile?
    var content: [UInt8]?

    init(_ row: Row) throws {
        itemID = row["item_id"]
        kind = ItemKind(rawValue: row["kind"])
        let sha256: Data? = row["sha256"]
        let crc64: Int64? = row["crc64"]
        machine = ItemMachine(
            state: ItemState(rawValue: row["state"]), work: Work(rawValue: row["work"]), epoch: row["epoch"],
            worker: row["worker"], readyUs: row["ready_us"], attempts: row["attempts"], sizeBytes: row["size_bytes"],
            sha256: sha256.map { [UInt8]($0) }, crc64: crc64.map { UInt64(bitPattern: $0) },
            archiveVolumeID: row["archive_volume"], blobURL: row["blob_url"],
            error: row["error"], failingSinceUs: row["failing_since_us"], archiveEpoch: row["archive_epoch"],
            uploadEpoch: row["upload_epoch"],
            archivedUs: row["archived_us"], uploadedUs: row["uploaded_us"])
        mediaVolumeID = row["media_volume"]
        mediaPath = row["media_path"]
        sourceID = row["source_id"]
        camera = row["camera"]
        span = Span(row["start_us"], row["end_us"])
        archivePath = row["archive_path"]
        archiveStem = row["archive_stem"]
        priority = row["priority"]
        isRoutine = row["is_routine"]
        dueUs = row["due_us"]
        let record: Data? = row["media"]
        media = try record.map { try MediaFile(wire: [UInt8]($0)) }
        let bytes: Data? = row["content"]
        content = bytes.map { [UInt8]($0) }
    }
}

/// What a new item is made of.
struct NewItem: Sendable {
    var kind: ItemKind
    var camera: String
    var span: Span
    var name: ArchiveName
    var sourceID: Int64?
    var mediaVolumeID: String?
    var mediaPath: String?
    var media: MediaFile?
    var content: [UInt8]?
    var sizeBytes: Int64?
    var sha256: [UInt8]?
}

extension Database {
    func item(_ itemID: Int64) throws -> ItemRow? {
        try row("SELECT * FROM items WHERE item_id = ?", [itemID]).map(ItemRow.init)
    }

    func items(of requestID: String) throws -> [ItemRow] {
        try rows(
            """
            SELECT items.* FROM request_items JOIN items USING (item_id) WHERE request_id = ? ORDER BY item_id
            """, [requestID]
        ).map(ItemRow.init)
    }

    func isStemTaken(_ stem: String) throws -> Bool {
        try number("SELECT 1 FROM items WHERE archive_stem = ?", [stem]) != nil
    }

    /// Requests that an item belongs to: all, or those that are open.
    func requestIDs(ofItem itemID: Int64, openOnly: Bool = false, limit: Int = -1) throws -> [String] {
        let all = "SELECT request_id FROM request_items JOIN requests USING (request_id) WHERE item_id = ?"
        return try rows(all + (openOnly ? " AND state <= 4" : "") + " ORDER BY request_id LIMIT ?", [itemID, limit])
            .map { $0["request_id"] }
    }

    /// Keys of the events behind the requests of an item, in the order of their coming.
    func eventKeys(ofItem itemID: Int64, limit: Int) throws -> [String] {
        try rows(
            """
            SELECT event_key FROM request_items JOIN events USING (request_id) WHERE item_id = ?
            ORDER BY received_us, event_key LIMIT ?
            """, [itemID, limit]
        ).map { $0["event_key"] }
    }
}

extension Turn {
    /// Makes an item with nothing to do yet; `wantItem` gives it work.
    func insertItem(_ new: NewItem, priority: Int64) throws -> ItemRow {
        try run(
            """
            INSERT INTO items (kind, state, media_volume, media_path, source_id, camera, start_us, end_us, archive_path,
              archive_stem, size_bytes, sha256, work, priority, media, content, created_us)
            VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?)
            """,
            [
                new.kind.rawValue, new.mediaVolumeID, new.mediaPath, new.sourceID, new.camera, new.span.startUs,
                new.span.endUs, new.name.path, new.name.stem, new.sizeBytes, new.sha256.map { Data($0) }, priority,
                new.media.map { Data($0.encoded()) }, new.content.map { Data($0) }, nowUs,
            ])
        guard let item = try db.item(db.lastInsertedRowID) else {
            throw RPCError.internal("an item was stored and is not there")
        }
        return item
    }

    /// Links an item to a request and gives it the work that the request wants.
    func wantItem(_ item: ItemRow, for request: RequestRow) throws {
        var item = item
        let before = item.machine.progress
        let isManifest = item.kind == .manifest
        _ = item.machine.want(inCloud: request.machine.delivery == .cloud && !isManifest)
        try run(
            """
            INSERT INTO request_items (request_id, item_id, is_manifest, progress) VALUES (?, ?, ?, ?)
            ON CONFLICT DO NOTHING
            """, [request.requestID, item.itemID, isManifest, item.machine.progress.rawValue])
        item.priority = max(item.priority, request.priority)
        item.isRoutine = item.isRoutine && request.isRoutine
        item.dueUs = min(item.dueUs, request.dueUs ?? Schema.neverDueUs)
        try saveItem(item, before: before)
    }

    /// Stores an item's state, tells its requests' rows where its progress differs from `before` (nil: not known), and
    /// rings for work that may be claimed now.
    func saveItem(_ item: ItemRow, before: ItemProgress? = nil) throws {
        let machine = item.machine
        try run(
            """
            UPDATE items SET state = ?, work = ?, epoch = ?, worker = ?, ready_us = ?, attempts = ?, size_bytes = ?,
              sha256 = ?, crc64 = ?, archive_volume = ?, blob_url = ?, error = ?, archive_epoch = ?, upload_epoch = ?,
              archived_us = ?, uploaded_us = ?, failing_since_us = ?, priority = ?, is_routine = ?, due_us = ?
            WHERE item_id = ?
            """,
            [
                machine.state.rawValue, machine.work.rawValue, machine.epoch, machine.worker, machine.readyUs,
                machine.attempts, machine.sizeBytes, machine.sha256.map { Data($0) },
                machine.crc64.map { Int64(bitPattern: $0) }, machine.archiveVolumeID, machine.blobURL, machine.error,
                machine.archiveEpoch, machine.uploadEpoch, machine.archivedUs,
                machine.uploadedUs, machine.failingSinceUs, item.priority, item.isRoutine, item.dueUs, item.itemID,
            ])
        if before != machine.progress {
            try run(
                "UPDATE request_items SET progress = ?1 WHERE item_id = ?2 AND progress <> ?1",
                [machine.progress.rawValue, item.itemID])
        }
        guard machine.work != .unspecified else { return }
        if machine.readyUs > nowUs {
            effects.timing = true
        } else if machine.work == .archive {
            effects.archiveWork = true
        } else {
            effects.uploadWork = true
        }
    }

    /// An item for a media file: the one that exists, or a new one.
    func ensureItem(_ row: MediaRow, _ file: MediaFile, camera: String, priority: Int64) throws -> ItemRow {
        let known = try self.row(
            "SELECT * FROM items WHERE media_volume = ? AND media_path = ?", [row.volumeID, row.path])
        if let known { return try ItemRow(known) }
        let kind: ItemKind = row.kind == .snapshot ? .snapshot : .segment
        let name = try ArchiveNaming.media(
            kind: kind, camera: camera, startUs: row.span.startUs, fileExtension: Self.fileExtension(file),
            isTaken: { try db.isStemTaken($0) })
        return try insertItem(
            NewItem(
                kind: kind, camera: camera, span: row.span, name: name, sourceID: row.sourceID,
                mediaVolumeID: row.volumeID, mediaPath: row.path, media: file,
                // 0: the recorder did not know it.
                sizeBytes: row.sizeBytes > 0 ? row.sizeBytes : nil,
                sha256: file.sha256), priority: priority)
    }

    /// The extension as recorded, else the path's.
    private static func fileExtension(_ file: MediaFile) -> String {
        if let named = file.fileExtension, !named.isEmpty { return named }
        return (file.path ?? "").split(separator: "/").last?.split(separator: ".").last.map(String.init) ?? "mp4"
    }
}
