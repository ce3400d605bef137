// Holds, volumes, and what may be deleted. RetentionPlanner.swift decides; here it is asked and its grants are stored.
// Each answer is the whole list of what may go now: a grant that is not repeated is withdrawn.

import Foundation
import GRDB
import RPC
import Wire

extension Database {
    func hold(_ holdID: String) throws -> Hold? {
        try row(
            "SELECT holds.*, device, endpoint FROM holds JOIN sources USING (source_id) WHERE hold_id = ?", [holdID]
        )
        .map(Self.hold)
    }

    /// All holds, the oldest first, as many as fit into one message.
    func holds() throws -> [Hold] {
        var room = MessageRoom()
        return try rows(
            "SELECT holds.*, device, endpoint FROM holds JOIN sources USING (source_id) ORDER BY placed_us, hold_id"
        ).map(Self.hold).prefix { room.take($0.encoded().count) }
    }

    private static func hold(_ row: Row) -> Hold {
        Hold(
            holdID: row["hold_id"], kind: HoldKind(rawValue: row["kind"]), camera: row["camera"],
            source: SourceName(device: row["device"], endpoint: row["endpoint"]),
            window: Window(startUs: row["start_us"], endUs: row["end_us"]), placedBy: row["placed_by"],
            reason: row["reason"], placedUs: row["placed_us"], requestID: row["request_id"])
    }

    func plannedHolds() throws -> [PlannedHold] {
        try rows("SELECT source_id, start_us, end_us, kind FROM holds").map { row in
            PlannedHold(
                sourceID: row["source_id"], span: Span(row["start_us"], row["end_us"]),
                isLegal: row["kind"] as Int32 == HoldKind.legal.rawValue)
        }
    }
}

extension DeletionCandidate {
    fileprivate init(_ row: Row) {
        self.init(
            mediaID: row["media_id"], path: row["path"], sourceID: row["source_id"],
            span: Span(row["start_us"], row["end_us"]), sizeBytes: row["size_bytes"])
    }
}

extension Turn {
    /// Places a hold. An id that is taken by another hold is ALREADY_EXISTS.
    func placeHold(_ hold: Hold, id: String, source: SourceID, window: Span) throws -> Hold {
        if let known = try db.hold(id) {
            guard known.source == hold.source, known.window == hold.window, known.kind == .legal else {
                throw RPCError.alreadyExists("hold \(id) exists with another source or window: choose another id")
            }
            return known
        }
        let sourceID = try seen(source).row.sourceID
        try run(
            """
            INSERT INTO holds (hold_id, kind, camera, source_id, start_us, end_us, placed_by, reason, placed_us)
            VALUES (?, 2, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                id, hold.camera ?? source.text, sourceID, window.startUs, window.endUs, hold.placedBy ?? "",
                hold.reason ?? "", nowUs,
            ])
        try change(.hold, id)
        try audit(.held, by: hold.placedBy ?? "", subject: id, detail: "\(source.text): \(hold.reason ?? "")")
        guard let placed = try db.hold(id) else { throw RPCError.internal("a hold was stored and is not there") }
        return placed
    }

    /// Ends a legal hold; false where there was none. A request's hold ends with the request.
    func releaseHold(_ id: String, by who: String) throws -> Bool {
        guard let hold = try db.hold(id) else { return false }
        guard hold.kind == .legal else {
            throw RPCError.failedPrecondition(
                "hold \(id) is of request \(hold.requestID ?? ""): it ends with the request; cancel that")
        }
        try run("DELETE FROM holds WHERE hold_id = ?", [id])
        try change(.hold, id)
        try audit(
            .released, by: who, subject: id, detail: hold.source?.text ?? "")
        return true
    }

    func storeVolume(_ volume: VolumeStatus, id: String, role: String, owner: String, address: String) throws {
        try run(
            """
            INSERT INTO volumes (volume_id, role, owner, owner_address, status, total_bytes, free_bytes, reported_us)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (volume_id) DO UPDATE SET role = excluded.role,
              owner = excluded.owner, owner_address = excluded.owner_address, status = excluded.status,
              total_bytes = excluded.total_bytes, free_bytes = excluded.free_bytes, reported_us = excluded.reported_us
            """,
            [
                id, role, owner, address, Data(volume.encoded()), Int64(clamping: volume.totalBytes ?? 0),
                Int64(clamping: volume.freeBytes ?? 0), nowUs,
            ])
    }

    // MARK: - Grants

    /// What the owner of a volume may delete. After so many held files in a row the walk looks for the next one that is not
    /// held; fewer cost less than the look, which asks for each source.
    func grants(volumeID: String, limit: Int, leapAfter: Int = 256) throws -> [DeletionGrant] {
        let role = try row("SELECT role FROM volumes WHERE volume_id = ?", [volumeID])?["role"] as String?
        if role == "archive" { return try archiveGrants(volumeID: volumeID, limit: limit) }
        let room = try room(of: volumeID)
        try evictHolders(of: volumeID, totalBytes: room.totalBytes)
        var planner = RetentionPlanner(
            policy: policy, room: room, holds: try db.plannedHolds(), sourceBytes: try sourcesBeyondQuota(),
            limit: limit, nowUs: nowUs)
        for sourceID in planner.sourcesBeyondQuota {
            try considerFiles(of: sourceID, on: volumeID, &planner)
        }
        try considerFiles(on: volumeID, leapAfter: leapAfter, &planner)
        return try store(planner.grants)
    }

    /// One answer looks at so many files at most.
    private static let mostSeen = 50_000

    /// Looks at a volume's files, the oldest first. What is held is passed over, a long row of it by a leap: months that a
    /// court wants to be kept must not hide the footage behind them.
    private func considerFiles(on volumeID: String, leapAfter: Int, _ planner: inout RetentionPlanner) throws {
        var fromUs = Int64.min
        var seen = 0
        walk: while true {
            let cursor = try SQLRequest<Row>(
                sql: """
                    SELECT media_id, path, source_id, start_us, end_us, size_bytes FROM media
                    WHERE volume_id = ? AND start_us >= ? ORDER BY start_us, media_id
                    """, arguments: [volumeID, fromUs], cached: false
            ).fetchCursor(db)
            var heldInARow = 0
            var patience = leapAfter
            while let row = try cursor.next(), planner.wantsMore(nextStartUs: row["start_us"]), seen < Self.mostSeen {
                seen += 1
                let candidate = DeletionCandidate(row)
                heldInARow = planner.consider(candidate) == .held ? heldInARow + 1 : 0
                guard heldInARow >= patience else { continue }
                // Where other volumes have free files of this time there is nothing to leap over, for a while.
                patience *= 2
                guard let next = try firstFree(fromUs: candidate.span.startUs, planner) else { return }
                if next > candidate.span.startUs {
                    fromUs = next
                    continue walk
                }
            }
            return
        }
    }

    /// Looks at the files of a source that has more than its quota. The volume with the oldest of them goes first, so that two
    /// volumes never both give what one of them must.
    private func considerFiles(
        of sourceID: Int64, on volumeID: String, _ planner: inout RetentionPlanner
    ) throws {
        var fromUs = Int64.min
        while planner.wantsMore(ofSource: sourceID), let startUs = try firstFree(of: sourceID, fromUs: fromUs, planner)
        {
            fromUs = startUs + 1
            let free = try rows(
                """
                SELECT media_id, path, source_id, start_us, end_us, size_bytes, volume_id FROM media
                WHERE source_id = ? AND kind IN (1, 2, 3) AND start_us = ?
                """, [sourceID, startUs]
            ).filter { !planner.isHeld(DeletionCandidate($0)) }
            guard free.allSatisfy({ $0["volume_id"] == volumeID }) else { return }
            for row in free where planner.wantsMore(ofSource: sourceID) { planner.consider(DeletionCandidate(row)) }
        }
    }

    /// Sources with more than their quota, and what they have.
    private func sourcesBeyondQuota() throws -> [Int64: Int64] {
        guard policy.sourceQuotaBytes > 0 else { return [:] }
        let found = try rows("SELECT source_id, bytes FROM sources WHERE bytes > ?", [policy.sourceQuotaBytes])
        return Dictionary(uniqueKeysWithValues: found.map { ($0["source_id"], $0["bytes"]) })
    }

    /// No file of any source that begins from a moment on and before this one can be granted; nil: none at all.
    private func firstFree(fromUs: Int64, _ planner: RetentionPlanner) throws -> Int64? {
        var first: Int64?
        for row in try rows("SELECT source_id FROM sources") {
            guard let start = try firstFree(of: row["source_id"], fromUs: fromUs, planner) else { continue }
            first = min(first ?? start, start)
        }
        return first
    }

    /// Start of the first file of a source from a moment on that begins in no hold: one look at the index for each kind and
    /// each hold on the way, however many files these hold.
    private func firstFree(of sourceID: Int64, fromUs: Int64, _ planner: RetentionPlanner) throws -> Int64? {
        var fromUs = fromUs
        while true {
            let start = try number(
                """
                SELECT MIN(start) FROM (
                  SELECT (SELECT MIN(start_us) FROM media WHERE source_id = ?1 AND kind = 1 AND start_us >= ?2) AS start
                  UNION ALL SELECT (SELECT MIN(start_us) FROM media WHERE source_id = ?1 AND kind = 2 AND start_us >= ?2)
                  UNION ALL SELECT (SELECT MIN(start_us) FROM media WHERE source_id = ?1 AND kind = 3 AND start_us >= ?2))
                """, [sourceID, fromUs])
            guard let start else { return nil }
            guard let endUs = planner.heldUntil(start, of: sourceID) else { return start }
            fromUs = endUs
        }
    }

    private func store(_ grants: [PlannedGrant]) throws -> [DeletionGrant] {
        var room = MessageRoom()
        var result: [DeletionGrant] = []
        for grant in grants {
            let wire = DeletionGrant(
                path: grant.candidate.path, sizeBytes: UInt64(clamping: grant.candidate.sizeBytes), cause: grant.cause,
                now: grant.isNow)
            guard room.take(wire.encoded().count) else { break }
            try run(
                "UPDATE media SET granted_us = ? WHERE media_id = ? AND granted_us IS NULL",
                [nowUs, grant.candidate.mediaID])
            result.append(wire)
        }
        return result
    }

    private func room(of volumeID: String) throws -> VolumeRoom {
        var room = VolumeRoom()
        room.usedBytes = try number("SELECT bytes FROM volume_usage WHERE volume_id = ?", [volumeID]) ?? 0
        let windowUs = 6 * Micro.hour
        room.aheadBytes =
            try number(
                "SELECT SUM(size_bytes) FROM media WHERE volume_id = ? AND start_us > ?", [volumeID, nowUs - windowUs])
            ?? 0
        if let row = try row("SELECT total_bytes, free_bytes FROM volumes WHERE volume_id = ?", [volumeID]) {
            room.totalBytes = row["total_bytes"]
            room.freeBytes = row["free_bytes"]
            room.isKnown = room.totalBytes > 0
        }
        return room
    }

    /// Uploaded files that no open request needs: with their sidecars, and only when the volume needs room or they are old.
    private func archiveGrants(volumeID: String, limit: Int) throws -> [DeletionGrant] {
        let room = try room(of: volumeID)
        var needed = room.isKnown ? RetentionPlanner.floorBytes(policy, room) - room.freeBytes : 0
        var messageRoom = MessageRoom()
        var result: [DeletionGrant] = []
        let cursor = try SQLRequest<Row>(
            sql: """
                SELECT archive_path, archive_stem, size_bytes, uploaded_us, kind FROM items
                WHERE state = 6 AND archive_volume = ? AND NOT EXISTS (
                  SELECT 1 FROM request_items JOIN requests USING (request_id)
                  WHERE request_items.item_id = items.item_id AND requests.state <= 4)
                ORDER BY uploaded_us
                """, arguments: [volumeID], cached: false
        ).fetchCursor(db)
        while let row = try cursor.next(), result.count + 2 <= limit {
            let size = row["size_bytes"] as Int64? ?? 0
            let uploadedUs: Int64 = row["uploaded_us"]
            let isOld = policy.archiveRetentionUs > 0 && uploadedUs < nowUs - policy.archiveRetentionUs
            let isNow = isOld || needed > 0
            needed -= size
            let file = DeletionGrant(
                path: row["archive_path"], sizeBytes: UInt64(clamping: size), cause: "uploaded", now: isNow)
            guard messageRoom.take(file.encoded().count * 2) else { break }
            result.append(file)
            guard row["kind"] as Int32 != ItemKind.manifest.rawValue else { continue }
            let sidecar = (row["archive_stem"] as String) + ".json"
            result.append(DeletionGrant(path: sidecar, sizeBytes: 0, cause: "uploaded", now: isNow))
        }
        return result
    }

    // MARK: - Deleted

    /// The owner has deleted files: their rows go. A path that is not known was deleted before.
    func deleted(volumeID: String, owner: String, paths: [String]) throws {
        var files = 0
        var bytes: Int64 = 0
        var ungranted: [String] = []
        for path in paths {
            let granted = try number(
                "SELECT granted_us FROM media WHERE volume_id = ? AND path = ?", [volumeID, path])
            if let media = try deleteMedia(volumeID, path) {
                (files, bytes) = (files + 1, bytes + media.sizeBytes)
                if granted == nil { ungranted.append(path) }
            } else if let row = try row(
                "SELECT * FROM items WHERE archive_volume = ? AND archive_path = ?", [volumeID, path])
            {
                var item = try ItemRow(row)
                guard item.machine.evict() else { continue }
                (files, bytes) = (files + 1, bytes + (item.machine.sizeBytes ?? 0))
                try saveItem(item)
                try change(.item, String(item.itemID))
            }
        }
        guard files > 0 else { return }
        var detail = "\(files) files, \(bytes) bytes"
        if let first = ungranted.first {
            detail += "; \(ungranted.count) of them without a grant, the first is \(first)"
        }
        try audit(.deleted, by: owner, subject: volumeID, detail: detail)
    }

    // MARK: - Holds that take too much

    /// Ends requests whose holds leave too little of a volume for what is being recorded.
    private func evictHolders(of volumeID: String, totalBytes: Int64) throws {
        guard totalBytes > 0 else { return }
        let bound = HoldShare.bound(totalBytes)
        let used = try number("SELECT bytes FROM volume_usage WHERE volume_id = ?", [volumeID]) ?? 0
        // Holds cannot take more than there is: the sum below is worked out only on a full volume.
        guard used > bound else { return }
        let holders = try rows(
            """
            SELECT request_id, priority, accepted_us, (
              SELECT COALESCE(SUM(size_bytes), 0) FROM holds JOIN sources USING (source_id)
                JOIN media ON media.source_id = holds.source_id AND media.kind = 1
                  AND media.start_us > holds.start_us - sources.max_segment_us - 1 AND media.start_us < holds.end_us
                  AND media.end_us > holds.start_us AND media.volume_id = ?1
              WHERE holds.request_id = requests.request_id) AS held
            FROM requests WHERE state <= 4
            """, [volumeID]
        ).map { row in
            HoldShare.Holder(
                requestID: row["request_id"], priority: row["priority"], acceptedUs: row["accepted_us"],
                heldBytes: row["held"])
        }
        for requestID in HoldShare.evicted(holders, totalBytes: totalBytes) {
            guard var request = try db.request(requestID) else { continue }
            let why = "what open requests hold takes more than \(HoldShare.percent) % of volume \(volumeID)"
            guard request.machine.evict(nowUs: nowUs, because: why, facts: try factsForEviction(request)) else {
                continue
            }
            try endEarly(request, action: .failed, by: "indexer")
        }
    }
}
