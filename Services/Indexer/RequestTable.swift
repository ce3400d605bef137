// Rows of requests, their cameras, events and gaps. RequestProgress.swift moves them on; RequestCalls.swift makes them;
// RequestView.swift shows them.

import GRDB
import RPC
import Wire

/// A row of `requests`.
struct RequestRow: Sendable {
    var requestID: String
    var machine: RequestMachine
    var window: Span
    var maximumEndUs: Int64
    var mode: ArchiveMode
    var kinds: WantedKinds
    var priority: Int64
    var requestedBy: String
    var why: String
    /// The mapping that its events come by; nil where people or schedules ask.
    var rule: String?
    /// When it should be where `delivery` wants it; nil: at no time.
    var dueUs: Int64?
    var cameraKey: String
    var acceptedUs: Int64
    var checkUs: Int64?
    var manifestPath: String?
    var cursor: Int64 = 0

    /// No event asks for it: of two of one priority it comes second. Footage that somebody wants to look at is still there
    /// tomorrow; an incident is what the site waits for.
    var isRoutine: Bool { rule == nil }
}

/// A camera of a request, checked or read from `request_cameras`.
struct WantedCamera: Sendable, Equatable {
    var camera: String
    var source: SourceID
    var footage: FootageState
    var footageReason: String
    var sourceID: Int64 = 0
    var isFixed = false

    /// Equal for equal sets of cameras, in whatever order.
    static func key(_ cameras: [WantedCamera]) -> String {
        cameras.map { "\($0.camera)\n\($0.source.text)" }.sorted().joined(separator: "\n\n")
    }
}

extension RequestRow {
    init(_ row: Row) {
        requestID = row["request_id"]
        machine = RequestMachine(
            state: RequestState(rawValue: row["state"]), reason: row["reason"],
            delivery: Delivery(rawValue: row["delivery"]), copyingUs: row["copying_us"],
            archivedUs: row["archived_us"], finishedUs: row["finished_us"])
        window = Span(row["start_us"], row["end_us"])
        maximumEndUs = row["maximum_end_us"]
        mode = ArchiveMode(rawValue: row["mode"])
        kinds = WantedKinds(rawValue: row["kinds"])
        priority = row["priority"]
        requestedBy = row["requested_by"]
        why = row["why"]
        rule = row["rule"]
        dueUs = row["due_us"]
        cameraKey = row["camera_key"]
        acceptedUs = row["accepted_us"]
        checkUs = row["check_us"]
        manifestPath = row["manifest_path"]
        cursor = row["cursor"]
    }
}

extension Database {
    func request(_ requestID: String) throws -> RequestRow? {
        try row("SELECT * FROM requests WHERE request_id = ?", [requestID]).map(RequestRow.init)
    }

    /// The request of an event's key.
    func request(ofEvent key: String) throws -> RequestRow? {
        try row(
            "SELECT requests.* FROM events JOIN requests USING (request_id) WHERE event_key = ?", [key]
        ).map(RequestRow.init)
    }

    /// Whether some request waits for footage.
    func isFootageAwaited() throws -> Bool {
        try number("SELECT 1 FROM request_cameras WHERE is_fixed = 0 LIMIT 1") != nil
    }

    /// In the order in which they were named.
    func cameras(of requestID: String) throws -> [WantedCamera] {
        try rows(
            """
            SELECT request_cameras.*, device, endpoint FROM request_cameras JOIN sources USING (source_id)
            WHERE request_id = ? ORDER BY position
            """, [requestID]
        ).map { row in
            WantedCamera(
                camera: row["camera"], source: SourceID(device: row["device"], endpoint: row["endpoint"]),
                footage: FootageState(rawValue: row["footage"]), footageReason: row["footage_reason"],
                sourceID: row["source_id"], isFixed: row["is_fixed"])
        }
    }

    /// What of a request's window is missing, for one of its cameras.
    func missing(_ requestID: String, position: Int) throws -> [KnownGap] {
        try rows(
            """
            SELECT * FROM request_gaps WHERE request_id = ? AND position = ? ORDER BY start_us, end_us, cause
            """, [requestID, position]
        ).map { row in
            KnownGap(
                span: Span(row["start_us"], row["end_us"]), cause: row["cause"], reason: row["reason"],
                framesLost: row["frames_lost"])
        }
    }

    /// Keys of the events that are in a request, in the order in which they came.
    func eventKeys(of requestID: String, limit: Int) throws -> [String] {
        try rows(
            "SELECT event_key FROM events WHERE request_id = ? ORDER BY received_us, event_key LIMIT ?",
            [requestID, limit]
        ).map { $0["event_key"] }
    }

    /// Open requests that wait for footage of a source.
    func requestsWaiting(for sourceID: Int64) throws -> [String] {
        try rows(
            "SELECT DISTINCT request_id FROM request_cameras WHERE source_id = ? AND is_fixed = 0", [sourceID]
        ).map { $0["request_id"] }
    }
}

extension Turn {
    /// Stores a request that was just accepted, with its cameras and their holds.
    func insertRequest(_ request: RequestRow, cameras: [WantedCamera]) throws {
        try run(
            """
            INSERT INTO requests (request_id, state, start_us, end_us, maximum_end_us, delivery, mode, kinds, priority,
              requested_by, why, rule, camera_key, accepted_us, due_us)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                request.requestID, request.machine.state.rawValue, request.window.startUs, request.window.endUs,
                request.maximumEndUs, request.machine.delivery.rawValue, request.mode.rawValue, request.kinds.rawValue,
                request.priority, request.requestedBy, request.why, request.rule, request.cameraKey,
                request.acceptedUs, request.dueUs,
            ])
        for (position, camera) in cameras.enumerated() {
            let source = try seen(camera.source)
            let sourceID = source.row.sourceID
            if !camera.camera.contains("/") { try name(source, asset: camera.camera) }
            try run(
                """
                INSERT INTO request_cameras (request_id, position, camera, source_id, footage, footage_reason)
                VALUES (?, ?, ?, ?, ?, ?)
                """,
                [
                    request.requestID, position, camera.camera, sourceID, camera.footage.rawValue,
                    camera.footageReason,
                ])
        }
        try holdFootage(of: request)
    }

    /// Keeps the footage of an open request, camera by camera.
    func holdFootage(of request: RequestRow) throws {
        for (position, camera) in try db.cameras(of: request.requestID).enumerated() {
            try run(
                """
                INSERT INTO holds (hold_id, kind, camera, source_id, start_us, end_us, placed_by, reason, placed_us,
                  request_id) VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
                """,
                [
                    "request:\(request.requestID):\(position)", camera.camera, camera.sourceID, request.window.startUs,
                    request.window.endUs, request.requestedBy, request.why, nowUs, request.requestID,
                ])
        }
    }

    /// Another event joins an open request.
    func extendRequest(_ requestID: String, to window: Span, like event: RequestRow) throws {
        try run(
            """
            UPDATE requests SET start_us = ?1, end_us = ?2, priority = MAX(priority, ?3),
              due_us = MIN(IFNULL(due_us, ?4), IFNULL(?4, due_us)), check_us = NULL
            WHERE request_id = ?5
            """, [window.startUs, window.endUs, event.priority, event.dueUs, requestID])
        try run(
            "UPDATE holds SET start_us = ?, end_us = ? WHERE request_id = ?",
            [window.startUs, window.endUs, requestID])
    }

    /// What a controller said of a camera's footage when another event came; an answer that knows nothing changes nothing.
    func updateFootage(_ requestID: String, _ cameras: [WantedCamera]) throws {
        for camera in cameras where camera.footage != .unspecified {
            try run(
                """
                UPDATE request_cameras SET footage = ?, footage_reason = ? WHERE request_id = ? AND camera = ?
                  AND source_id = (SELECT source_id FROM sources WHERE device = ? AND endpoint = ?)
                """,
                [
                    camera.footage.rawValue, camera.footageReason, requestID, camera.camera, camera.source.device,
                    camera.source.endpoint,
                ])
        }
    }

    func insertEvent(_ key: String, requestID: String, eventUs: Int64) throws {
        try run(
            "INSERT INTO events (event_key, request_id, event_us, received_us) VALUES (?, ?, ?, ?)",
            [key, requestID, eventUs, nowUs])
    }

    /// Open windows that an event of this rule and these cameras may join.
    func openWindows(_ like: RequestRow) throws -> [EventWindow.Open] {
        try rows(
            """
            SELECT request_id, start_us, end_us, maximum_end_us FROM requests
            WHERE rule = ? AND camera_key = ? AND state <= 2 AND delivery = ? AND mode = ? AND kinds = ?
            """,
            [
                like.rule, like.cameraKey, like.machine.delivery.rawValue, like.mode.rawValue, like.kinds.rawValue,
            ]
        ).map { row in
            EventWindow.Open(
                requestID: row["request_id"], span: Span(row["start_us"], row["end_us"]),
                maximumEndUs: row["maximum_end_us"])
        }
    }

    /// Stores what the machine of a request came to, as one change.
    func saveRequest(_ request: RequestRow) throws {
        let cursor = try change(.request, request.requestID)
        let machine = request.machine
        try run(
            """
            UPDATE requests SET state = ?, reason = ?, copying_us = ?, archived_us = ?, finished_us = ?,
              manifest_path = ?, cursor = ? WHERE request_id = ?
            """,
            [
                machine.state.rawValue, machine.reason, machine.copyingUs, machine.archivedUs, machine.finishedUs,
                request.manifestPath, cursor, request.requestID,
            ])
        effects.requests.insert(request.requestID)
    }
}
