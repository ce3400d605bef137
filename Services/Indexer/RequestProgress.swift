// Moves open requests on: fixes the footage of each camera when it is complete, makes items, asks RequestMachine what comes
// next and does it. All inside the caller's transaction, so that a kill at any point leaves either the step before or the
// step after. Called for a new record (its source), a worker's result (its item), and by the timer.

import GRDB
import RPC
import Wire

extension Turn {
    /// Moves a request on as far as it goes now.
    func advance(_ requestID: String) throws {
        guard var request = try db.request(requestID), request.machine.isOpen else { return }
        let before = request.machine
        let manifestBefore = request.manifestPath
        let checkUs = try fixCameras(of: request)
        // Each round either ends or has made something that the next one sees; a machine asks for a manifest once.
        for _ in 0..<4 {
            let actions = request.machine.advance(try facts(of: request), nowUs: nowUs)
            for action in actions {
                switch action {
                case .makeManifest: try makeManifest(&request)
                case .uploadManifest: try releaseManifest(of: request)
                case .finish: try finish(request)
                }
            }
            guard actions.contains(.makeManifest) else { break }
        }
        if request.machine != before || request.manifestPath != manifestBefore { try saveRequest(request) }
        try schedule(requestID, atUs: request.machine.isOpen ? checkUs : nil)
    }

    /// Moves on whoever waits for footage of a source.
    func advanceWaiting(for sourceID: Int64) throws {
        for requestID in try db.requestsWaiting(for: sourceID) { try advance(requestID) }
    }

    /// Moves on whoever an item belongs to, and notes that the item changed.
    func advanceRequests(ofItem itemID: Int64) throws {
        try change(.item, String(itemID))
        for requestID in try db.requestIDs(ofItem: itemID, openOnly: true) { try advance(requestID) }
    }

    /// Requests that the clock alone may have changed, and the time of the next one.
    func advanceDue() throws {
        let due = try rows(
            "SELECT request_id FROM requests WHERE state <= 4 AND check_us <= ? ORDER BY check_us LIMIT 500", [nowUs])
        for row in due { try advance(row["request_id"]) }
    }

    // MARK: - Footage

    /// Fixes each camera whose footage is complete. Gives when the clock alone may complete another one.
    private func fixCameras(of request: RequestRow) throws -> Int64? {
        var next: Int64?
        var made = 0
        for (position, camera) in try db.cameras(of: request.requestID).enumerated() where !camera.isFixed {
            // A day of many cameras is fixed in several transactions, so that records and events do not wait for it.
            if made >= Self.mostItemsAtOnce { return nowUs }
            let source = try db.source(id: camera.sourceID)
            var check = FootageCheck(
                window: request.window, acceptedUs: request.acceptedUs, reportedToUs: source.reportedToUs,
                heardUs: source.heardUs, startedUs: startedUs, footage: camera.footage,
                hasFootage: camera.footage == .notRecorded ? try hasFootage(source, in: request.window) : true)
            if check.reportedToUs >= request.window.endUs {
                let coverage = try db.coverage(source, in: request.window, seamUs: policy.seamUs)
                check.holeEndUs = coverage.gaps.last { $0.cause == CoverageMap.unexplainedCause }?.span.endUs
                check.stoppedEndUs = coverage.gaps.last { $0.cause == CoverageMap.stoppedCause }?.span.endUs
            }
            switch check.verdict(nowUs: nowUs, waitUs: policy.footageWaitUs, catchUpUs: policy.catchUpUs) {
            case .waiting(let untilUs): next = min(next ?? untilUs, untilUs)
            case .complete: made += try fix(camera, at: position, of: request, source)
            }
        }
        return next
    }

    private static let mostItemsAtOnce = 5000

    private func hasFootage(_ source: SourceRow, in window: Span) throws -> Bool {
        try !db.segments(source, in: window).isEmpty || !db.snapshots(source, in: window).isEmpty
    }

    /// Makes the items of a camera and notes what is missing. Gives how many items there are.
    private func fix(
        _ camera: WantedCamera, at position: Int, of request: RequestRow, _ source: SourceRow
    ) throws -> Int {
        let coverage = try db.coverage(source, in: request.window, seamUs: policy.seamUs)
        let pictures = request.kinds.contains(.snapshots) ? try db.snapshots(source, in: request.window) : []
        let segments = request.kinds.contains(.segments) ? coverage.chosen.map(\.mediaID) : []
        var missing = request.kinds.contains(.segments) ? coverage.gaps : []
        if request.kinds == .snapshots && pictures.isEmpty {
            missing = [
                KnownGap(span: request.window, cause: "no_snapshot", reason: "no picture was taken in this time")
            ]
        }
        if coverage.chosen.isEmpty, camera.footage == .notRecorded, !camera.footageReason.isEmpty {
            // The controller does not know what retention deleted.
            missing = missing.map { gap in
                var gap = gap
                if gap.cause != CoverageMap.expiredCause { gap.reason = camera.footageReason }
                return gap
            }
        }
        if request.mode == .clip {
            if !segments.isEmpty { try makeClip(camera, source, request) }
        } else {
            for mediaID in segments + pictures {
                let (row, file) = try db.media(id: mediaID)
                let item = try ensureItem(row, file, camera: camera.camera, priority: request.priority)
                try wantItem(item, for: request)
            }
        }
        for gap in missing {
            try run(
                """
                INSERT INTO request_gaps (request_id, position, start_us, end_us, cause, reason, frames_lost)
                VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
                """,
                [
                    request.requestID, position, gap.span.startUs, gap.span.endUs, gap.cause, gap.reason,
                    gap.framesLost,
                ])
        }
        try run(
            "UPDATE request_cameras SET is_fixed = 1 WHERE request_id = ? AND position = ?",
            [request.requestID, position])
        return segments.count + pictures.count
    }

    private func makeClip(_ camera: WantedCamera, _ source: SourceRow, _ request: RequestRow) throws {
        if let known = try sameClip(camera, source, request.window) { return try wantItem(known, for: request) }
        let name = try ArchiveNaming.media(
            kind: .clip, camera: camera.camera, startUs: request.window.startUs, fileExtension: "mp4",
            isTaken: { try db.isStemTaken($0) })
        let item = try insertItem(
            NewItem(
                kind: .clip, camera: camera.camera, span: request.window, name: name, sourceID: source.sourceID,
                media: MediaFile(
                    kind: .segment, source: source.source.name, startUs: request.window.startUs,
                    endUs: request.window.endUs, fileExtension: "mp4")),
            priority: request.priority)
        try wantItem(item, for: request)
    }

    /// The clip that another request had made of the same window, where nothing was recorded of it since.
    private func sameClip(_ camera: WantedCamera, _ source: SourceRow, _ window: Span) throws -> ItemRow? {
        let found = try row(
            """
            SELECT * FROM items WHERE kind = 3 AND source_id = ? AND start_us = ? AND end_us = ? AND camera = ?
            ORDER BY item_id DESC LIMIT 1
            """, [source.sourceID, window.startUs, window.endUs, camera.camera])
        guard let found else { return nil }
        let newestUs = try number(
            """
            SELECT MAX(recorded_us) FROM media
            WHERE source_id = ? AND kind = 1 AND start_us > ? AND start_us < ? AND end_us > ?
            """, [source.sourceID, window.startUs - source.maximumSegmentUs - 1, window.endUs, window.startUs])
        return (newestUs ?? 0) <= found["created_us"] ? try ItemRow(found) : nil
    }

    // MARK: - Facts and actions

    private func facts(of request: RequestRow) throws -> RequestFacts {
        let id = request.requestID
        let cameras = try db.cameras(of: id)
        var facts = RequestFacts(cameras: cameras.count, fixedCameras: cameras.count { $0.isFixed })
        // Nothing is made before a camera is fixed: most asks of a waiting request end here.
        if facts.fixedCameras == 0 { return facts }
        for progress in ItemProgress.allCases {
            let found = try count(id, isManifest: false, progress)
            if found > 0 { facts.items[progress] = found }
        }
        facts.manifest = try manifestProgress(of: request)
        facts.hasGaps = try number("SELECT 1 FROM request_gaps WHERE request_id = ? LIMIT 1", [id]) != nil
        if facts.fixedCameras == facts.cameras { facts.shortfalls = try shortfalls(of: request, cameras) }
        return facts
    }

    /// What the machine asks of a number is whether it is zero, so 0 or 1 will do; the index answers it at once.
    private func count(_ requestID: String, isManifest: Bool, _ progress: ItemProgress) throws -> Int {
        let found = try number(
            "SELECT 1 FROM request_items WHERE request_id = ? AND is_manifest = ? AND progress = ? LIMIT 1",
            [requestID, isManifest, progress.rawValue])
        return found == nil ? 0 : 1
    }

    private func manifestProgress(of request: RequestRow) throws -> ManifestProgress {
        let present = try ItemProgress.allCases.filter { try count(request.requestID, isManifest: true, $0) > 0 }
        if present.isEmpty { return .none }
        if present.contains(.open) { return .open }
        // One part that is lost does not keep the others out of the cloud.
        if present.contains(.archived), request.machine.delivery == .cloud { return .archived }
        if present.contains(.poisoned) || present.contains(.poisonedUpload) { return .poisoned }
        return present.contains(.archived) ? .archived : .delivered
    }

    /// Why something is missing, one sentence each.
    private func shortfalls(of request: RequestRow, _ cameras: [WantedCamera]) throws -> [String] {
        var result: [String] = []
        let lost = try rows(
            """
            SELECT COUNT(*) AS files, MAX(items.error) AS error, progress FROM request_items JOIN items USING (item_id)
            WHERE request_id = ? AND progress >= 3 GROUP BY progress
            """, [request.requestID])
        for row in lost {
            let files: Int64 = row["files"]
            let error: String = row["error"]
            let isArchived = row["progress"] as Int == ItemProgress.poisonedUpload.rawValue
            if isArchived && request.machine.delivery == .archive { continue }
            let what = isArchived ? "uploaded" : "archived"
            result.append("\(files == 1 ? "1 file" : "\(files) files") could not be \(what): \(error)")
        }
        for (position, camera) in cameras.enumerated() {
            let missing = try db.missing(request.requestID, position: position)
            guard let longest = missing.max(by: { $0.span.durationUs < $1.span.durationUs }) else { continue }
            let lostUs = CoverageMap.joined(missing.map(\.span)).reduce(0) { $0 + $1.durationUs }
            let isAll = lostUs >= request.window.durationUs
            let cause = longest.cause == CoverageMap.unexplainedCause ? "not recorded" : longest.cause
            let amount = isAll ? cause : "\(Self.seconds(lostUs)) s are missing (\(cause))"
            result.append("\(camera.camera): \(amount)" + (longest.reason.isEmpty ? "" : ", \(longest.reason)"))
        }
        return result
    }

    private static func seconds(_ us: Int64) -> String { "\(us / Micro.second).\(us % Micro.second / 100_000)" }

    private func makeManifest(_ request: inout RequestRow) throws {
        for part in try manifest(of: request).split() {
            let content = try documentBytes(part)
            let name = try ArchiveNaming.manifest(
                requestID: request.requestID, startUs: request.window.startUs, part: part.part,
                isTaken: { try db.isStemTaken($0) })
            let item = try insertItem(
                NewItem(
                    kind: .manifest, camera: "", span: request.window, name: name, content: content,
                    sizeBytes: Int64(content.count), sha256: sha256(content)),
                priority: request.priority)
            try wantItem(item, for: request)
            if part.part == 1 { request.manifestPath = name.path }
        }
    }

    /// The media is in the cloud: now the manifest may follow, so that whoever finds it there finds all that it names.
    private func releaseManifest(of request: RequestRow) throws {
        for item in try db.items(of: request.requestID) where item.kind == .manifest {
            var item = item
            if item.machine.progress == .archived, item.machine.want(inCloud: true) { try saveItem(item) }
        }
    }

    private func finish(_ request: RequestRow) throws {
        try run("DELETE FROM holds WHERE request_id = ?", [request.requestID])
        try change(.hold, request.requestID)
        let machine = request.machine
        try audit(
            machine.state == .failed ? .failed : .delivered, by: request.requestedBy, subject: request.requestID,
            detail: try outcome(of: request))
    }

    /// For the audit, which outlives the request: what was delivered, of which time, by which way, and why not more.
    private func outcome(of request: RequestRow) throws -> String {
        let machine = request.machine
        let delivered = try row(
            """
            SELECT COUNT(*) AS files, COALESCE(SUM(size_bytes), 0) AS bytes FROM request_items JOIN items USING (item_id)
            WHERE request_id = ? AND is_manifest = 0 AND progress IN (\(machine.delivery == .archive ? "1, 2, 4" : "2"))
            """, [request.requestID])
        return AuditText.outcome(
            machine.state, files: delivered?["files"] ?? 0, bytes: delivered?["bytes"] ?? 0, window: request.window,
            delivery: machine.delivery, mode: request.mode, reason: machine.reason)
    }

    private func schedule(_ requestID: String, atUs checkUs: Int64?) throws {
        try run("UPDATE requests SET check_us = ? WHERE request_id = ?", [checkUs, requestID])
        if checkUs != nil { effects.timing = true }
    }

    // MARK: - Ending from outside

    /// Ends a request on somebody's word or to make room: lets go of its holds and of the work that nobody else wants.
    func endEarly(_ request: RequestRow, action: AuditAction, by who: String) throws {
        try run("DELETE FROM holds WHERE request_id = ?", [request.requestID])
        try saveRequest(request)
        try schedule(request.requestID, atUs: nil)
        for item in try db.items(of: request.requestID) where item.machine.work != .unspecified {
            let others = try db.requestIDs(ofItem: item.itemID, openOnly: true).filter { $0 != request.requestID }
            let wanted = try others.compactMap { try db.request($0) }
            let isWanted = wanted.contains { item.machine.work == .archive || $0.machine.delivery == .cloud }
            if isWanted { continue }
            var item = item
            item.machine.drop()
            try saveItem(item)
            try change(.item, String(item.itemID))
        }
        // Its cameras wait for nothing any more.
        try run("UPDATE request_cameras SET is_fixed = 1 WHERE request_id = ?", [request.requestID])
        try audit(action, by: who, subject: request.requestID, detail: try outcome(of: request))
    }

    /// Facts for ending a request to make room.
    func factsForEviction(_ request: RequestRow) throws -> RequestFacts { try facts(of: request) }
}
