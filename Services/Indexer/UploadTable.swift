// What is to be uploaded, what is on its way and what was set aside, page by page in the order in which it goes up. Each page is
// a walk along an index from where the one before ended; the totals are kept by a trigger (SchemaUploads.swift).

import GRDB
import RPC
import ServiceKit
import Wire

/// Where a page of uploads ended. The list has three parts: what an uploader has, what waits, what was set aside. A file that
/// moves on while somebody turns pages may be shown twice or not at all.
struct UploadPlace: Sendable, Equatable {
    enum Part: String, Sendable {
        case active = "a"
        case waiting = "w"
        case aside = "s"
    }

    var part: Part
    /// The last file's place in the queue; nil: from the part's beginning. Of those set aside only the item counts.
    var last: Key?

    struct Key: Sendable, Equatable {
        var priority: Int64 = 0
        var isRoutine = true
        var dueUs = Schema.neverDueUs
        var itemID: Int64
    }

    /// The beginning of a part.
    init(_ part: Part) { self.part = part }

    /// As `text` gives it: "w", or "w:100:0:9223372036854775807:17".
    init(parsing text: String) throws(RPCError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard let part = parts.first.flatMap({ Part(rawValue: String($0)) }) else { throw Self.wrongToken }
        self.init(part)
        if parts.count == 1 { return }
        guard parts.count == 5, let priority = Int64(parts[1]), parts[2] == "0" || parts[2] == "1",
            let dueUs = Int64(parts[3]), let itemID = Int64(parts[4])
        else { throw Self.wrongToken }
        last = Key(priority: priority, isRoutine: parts[2] == "1", dueUs: dueUs, itemID: itemID)
    }

    private static var wrongToken: RPCError {
        FieldCheck.wrong("page_token", "is not one that a reply gave: leave it out to start over")
    }

    var text: String {
        guard let last else { return part.rawValue }
        return "\(part.rawValue):\(last.priority):\(last.isRoutine ? 1 : 0):\(last.dueUs):\(last.itemID)"
    }
}

extension UploadPlace {
    /// What comes behind the last file, as conditions in their order: one index cannot be walked for what is lower in one column
    /// and higher in the others.
    fileprivate var walks: [(condition: String, arguments: StatementArguments)] {
        guard let last else { return [("", [])] }
        return [
            (
                " AND priority = ? AND is_routine = ? AND due_us = ? AND item_id > ?",
                [last.priority, last.isRoutine, last.dueUs, last.itemID]
            ),
            (" AND priority = ? AND is_routine = ? AND due_us > ?", [last.priority, last.isRoutine, last.dueUs]),
            (" AND priority = ? AND is_routine > ?", [last.priority, last.isRoutine]),
            (" AND priority < ?", [last.priority]),
        ]
    }
}

extension Database {
    /// So many of the requests that want an item are named.
    private static let mostRequests = 8

    /// All that ListUploads says beside the files.
    func uploadTotals(nowUs: Int64) throws -> ListUploadsReply {
        var reply = ListUploadsReply()
        if let row = try row("SELECT * FROM item_totals") {
            func total(_ column: String) -> UInt64 { UInt64(clamping: row[column] as Int64) }
            (reply.waitingFiles, reply.waitingBytes) = (total("upload_files"), total("upload_bytes"))
            (reply.activeFiles, reply.activeBytes) = (total("active_files"), total("active_bytes"))
            (reply.setAsideFiles, reply.setAsideBytes) = (total("aside_files"), total("aside_bytes"))
        }
        reply.oldestUs = try number("SELECT MIN(archived_us) FROM items WHERE work = 2")
        reply.newestUploadedUs = try number("SELECT MAX(uploaded_us) FROM items WHERE uploaded_us IS NOT NULL")
        (reply.minuteFiles, reply.minuteBytes) = try uploaded(since: nowUs - 60 * Micro.second, until: nowUs)
        (reply.hourFiles, reply.hourBytes) = try uploaded(since: nowUs - Micro.hour, until: nowUs)
        return reply
    }

    private func uploaded(since startUs: Int64, until endUs: Int64) throws -> (files: UInt64, bytes: UInt64) {
        let row = try row(
            """
            SELECT COUNT(*) AS files, IFNULL(SUM(size_bytes), 0) AS bytes FROM items
            WHERE uploaded_us IS NOT NULL AND uploaded_us > ? AND uploaded_us <= ?
            """, [startUs, endUs])
        return (UInt64(clamping: row?["files"] ?? 0 as Int64), UInt64(clamping: row?["bytes"] ?? 0 as Int64))
    }

    /// Adds the files from a place on to a reply, as many as are wanted and fit into it.
    func listUploads(
        from start: UploadPlace, limit: Int, nowUs: Int64, _ progress: ClaimProgress, into reply: inout ListUploadsReply
    ) throws {
        guard limit > 0 else { return }
        var room = MessageRoom()
        _ = room.take(reply.encoded().count + 128)
        var place = start
        while true {
            // One more than is wanted says whether there is another page.
            for row in try uploads(at: place, limit: limit - reply.items.count + 1) {
                let item = try ItemRow(row)
                let shown = try describe(item, nowUs: nowUs, progress)
                guard reply.items.count < limit, room.take(shown.encoded().count) else {
                    reply.nextPageToken = place.text
                    return
                }
                reply.items.append(shown)
                place.last = UploadPlace.Key(
                    priority: item.priority, isRoutine: item.isRoutine, dueUs: item.dueUs, itemID: item.itemID)
            }
            switch place.part {
            case .active: place = UploadPlace(.waiting)
            case .waiting: place = UploadPlace(.aside)
            case .aside: return
            }
        }
    }

    private func uploads(at place: UploadPlace, limit: Int) throws -> [Row] {
        if place.part == .aside {
            return try rows(
                """
                SELECT * FROM items WHERE state = 8 AND archived_us IS NOT NULL AND item_id > ? ORDER BY item_id LIMIT ?
                """, [place.last?.itemID ?? 0, limit])
        }
        // Without its name SQLite takes the index of all that waits for the few that somebody has.
        let part =
            place.part == .active
            ? "items INDEXED BY items_uploading WHERE work = 2 AND worker IS NOT NULL"
            : "items INDEXED BY items_uploads WHERE work = 2 AND worker IS NULL"
        var found: [Row] = []
        for walk in place.walks where found.count < limit {
            found += try rows(
                "SELECT * FROM \(part)\(walk.condition) ORDER BY priority DESC, is_routine, due_us, item_id LIMIT ?",
                walk.arguments + [limit - found.count])
        }
        return found
    }

    private func describe(_ item: ItemRow, nowUs: Int64, _ progress: ClaimProgress) throws -> UploadItem {
        let machine = item.machine
        let isActive = machine.worker != nil
        let done = isActive ? progress.doneBytes(item.itemID, epoch: machine.epoch) ?? 0 : nil
        return UploadItem(
            itemID: UInt64(clamping: item.itemID), kind: item.kind, state: machine.state,
            camera: item.camera.isEmpty ? nil : item.camera, archivePath: item.archivePath,
            sizeBytes: machine.sizeBytes.map { UInt64(clamping: $0) },
            sentBytes: done.map { UInt64(clamping: min($0, machine.sizeBytes ?? $0)) }, worker: machine.worker,
            attempts: UInt32(clamping: machine.attempts), error: machine.error.isEmpty ? nil : machine.error,
            archivedUs: machine.archivedUs, retryUs: !isActive && machine.readyUs > nowUs ? machine.readyUs : nil,
            priority: Int32(clamping: item.priority), dueUs: item.dueUs == Schema.neverDueUs ? nil : item.dueUs,
            requestIDs: try requestIDs(ofItem: item.itemID, limit: Self.mostRequests))
    }

    /// Items that were set aside at either work, from an item on.
    func setAside(afterID itemID: Int64, limit: Int) throws -> [Int64] {
        try rows("SELECT item_id FROM items WHERE state = 8 AND item_id > ? ORDER BY item_id LIMIT ?", [itemID, limit])
            .map { $0["item_id"] }
    }
}
