// SubmitEvent, SubmitArchive, GetRequest, ListRequests, CancelRequest: what people and machines ask to be archived.
// EventWindow.swift makes windows of events; RequestProgress.swift does the rest.

import Foundation
import GRDB
import RPC
import ServiceKit
import Wire

struct RequestCalls: Sendable {
    let catalogue: Catalogue
    let counters: IndexerCounters

    static let mostCameras = 64

    func register(on server: RPCServer) {
        server.handle(IndexerMethods.submitEvent) { request, _ in try await submitEvent(request) }
        server.handle(IndexerMethods.submitArchive) { request, _ in try await submitArchive(request) }
        server.handle(IndexerMethods.getRequest) { request, _ in try await getRequest(request) }
        server.handle(IndexerMethods.listRequests) { request, _ in try await listRequests(request) }
        server.handle(IndexerMethods.cancelRequest) { request, context in
            try await cancelRequest(request, caller: context.caller)
        }
    }

    func submitEvent(_ request: SubmitEventRequest) async throws -> SubmitReply {
        let key = try FieldCheck.someText(request.eventKey, "event_key")
        guard request.eventUs != nil else {
            throw FieldCheck.wrong(
                "event_us",
                "is missing: an event without a time has no window; give the moment in microseconds since 1970, UTC, or "
                    + "map the payload's time to it")
        }
        let event = EventWindow(
            eventUs: try FieldCheck.time(request.eventUs, "event_us"),
            startOffsetMs: try Self.offset(request.startOffsetMs, "start_offset_ms"),
            endOffsetMs: try Self.offset(request.endOffsetMs, "end_offset_ms"),
            maximumMs: try Self.maximum(request.maximumMs))
        let rule = try FieldCheck.text(request.rule, "rule", maximumBytes: 128)
        let cameras = try Self.cameras(request.cameras)
        var draft = try Self.draft(
            cameras: cameras, requestedBy: request.requestedBy, why: request.reason, delivery: request.delivery,
            mode: request.mode, priority: request.priority, kinds: request.kinds, dueUs: request.dueUs)
        draft.rule = rule
        let template = draft
        let reply = try await catalogue.write { turn in
            try turn.submit(event, key: key, like: template, cameras: cameras)
        }
        counters.submitted(reply.receipt ?? .unspecified)
        return reply
    }

    func submitArchive(_ request: SubmitArchiveRequest) async throws -> SubmitReply {
        let window = try FieldCheck.span(request.window, "window")
        let cameras = try Self.cameras(request.cameras)
        var draft = try Self.draft(
            cameras: cameras, requestedBy: request.requestedBy, why: request.reason, delivery: request.delivery,
            mode: request.mode, priority: request.priority, kinds: request.kinds, dueUs: request.dueUs)
        if let given = request.requestID { draft.requestID = try FieldCheck.identifier(given, "request_id") }
        (draft.window, draft.maximumEndUs) = (window, window.endUs)
        let wanted = draft
        let reply = try await catalogue.write { turn in try turn.submit(wanted, cameras: cameras) }
        counters.submitted(reply.receipt ?? .unspecified)
        return reply
    }

    func getRequest(_ request: GetRequestRequest) async throws -> ArchiveRequest {
        let requestID = try FieldCheck.identifier(request.requestID, "request_id")
        return try await catalogue.read { db in
            guard let found = try db.request(requestID) else { throw Self.unknown(requestID) }
            return try db.view(found, inFull: true)
        }
    }

    func listRequests(_ request: ListRequestsRequest) async throws -> ListRequestsReply {
        if case .unrecognized = request.state {
            throw FieldCheck.wrong("state", "is unknown: give one of the contract's states")
        }
        let state = request.state == .unspecified ? nil : request.state
        let limit = try FieldCheck.bounded(request.limit, "limit", default: 50, 1...200)
        let beforeUs = try FieldCheck.timeIfAny(request.beforeUs, "before_us") ?? Int64.max
        return try await catalogue.read { db in
            ListRequestsReply(
                requests: try db.list(
                    state: state, openOnly: request.openOnly ?? false, limit: limit, beforeUs: beforeUs))
        }
    }

    func cancelRequest(_ request: CancelRequestRequest, caller: String) async throws -> ArchiveRequest {
        let requestID = try FieldCheck.identifier(request.requestID, "request_id")
        let named = try FieldCheck.text(request.requestedBy, "requested_by", maximumBytes: 128)
        let who = named.isEmpty ? caller : named
        return try await catalogue.write { turn in
            guard var found = try turn.db.request(requestID) else { throw Self.unknown(requestID) }
            if found.machine.cancel(by: who, nowUs: turn.nowUs) {
                try turn.endEarly(found, action: .cancelled, by: who)
            } else if found.machine.state != .cancelled {
                throw RPCError.failedPrecondition(
                    "request \(requestID) is \(found.machine.state.name) already: there is nothing to cancel")
            }
            return try turn.view(requestID)
        }
    }

    // MARK: - Checks

    private static func unknown(_ requestID: String) -> RPCError {
        .notFound("there is no request \(requestID): list the requests to see those that there are")
    }

    static func cameras(_ values: [RequestedCamera]) throws(RPCError) -> [WantedCamera] {
        try FieldCheck.entries(values, "cameras", 1...mostCameras)
        var result: [WantedCamera] = []
        for (index, value) in values.enumerated() {
            let place = "cameras[\(index)]"
            let source = try FieldCheck.sourceID(value.source, "\(place).source")
            let camera = try FieldCheck.camera(value.camera, of: source, "\(place).camera")
            // Two assets of one source are one camera: its footage is delivered once, under the first name.
            if result.contains(where: { $0.source == source }) { continue }
            result.append(
                WantedCamera(
                    camera: camera, source: source, footage: value.footage ?? .unspecified,
                    footageReason: try FieldCheck.text(value.footageReason, "\(place).footage_reason")))
        }
        return result
    }

    private static func draft(
        cameras: [WantedCamera], requestedBy: String?, why: String?, delivery: Delivery?, mode: ArchiveMode?,
        priority: Int32?, kinds: [MediaKind], dueUs: Int64?
    ) throws(RPCError) -> RequestRow {
        RequestRow(
            requestID: UUID().uuidString.lowercased(),
            machine: RequestMachine(delivery: try FieldCheck.delivery(delivery)), window: Span(0, 0), maximumEndUs: 0,
            mode: try FieldCheck.mode(mode), kinds: try FieldCheck.kinds(kinds, "kinds"),
            priority: Int64(priority ?? 0),
            requestedBy: try FieldCheck.text(requestedBy, "requested_by", maximumBytes: 256),
            why: try FieldCheck.text(why, "reason"), dueUs: try Self.due(dueUs), cameraKey: WantedCamera.key(cameras),
            acceptedUs: 0)
    }

    /// 0 means the same as nothing: at no time.
    private static func due(_ value: Int64?) throws(RPCError) -> Int64? {
        value == 0 ? nil : try FieldCheck.timeIfAny(value, "due_us")
    }

    private static func offset(_ value: Int64?, _ field: String) throws(RPCError) -> Int64 {
        Int64(try FieldCheck.bounded(value, field, default: 0, -86_400_000...86_400_000))
    }

    private static func maximum(_ value: UInt64?) throws(RPCError) -> Int64 {
        // Ten minutes: longer than an incident's usual chain of alarms, short enough to be delivered the same hour.
        Int64(try FieldCheck.bounded(value, "maximum_ms", default: 600_000, 1...86_400_000))
    }
}

extension Turn {
    func view(_ requestID: String) throws -> ArchiveRequest {
        guard let request = try db.request(requestID) else { throw RPCError.internal("request \(requestID) is gone") }
        return try db.view(request, inFull: true)
    }

    /// An event: a duplicate, an extension, or a new request.
    func submit(
        _ event: EventWindow, key: String, like template: RequestRow, cameras: [WantedCamera]
    ) throws -> SubmitReply {
        if let known = try db.request(ofEvent: key) {
            try audit(.duplicate, by: template.requestedBy, subject: known.requestID, detail: "event \(key)")
            return SubmitReply(receipt: .duplicate, request: try view(known.requestID))
        }
        let windows = try openWindows(template)
        let decision: EventWindow.Decision
        do throws(EventWindow.Refusal) {
            decision = try event.decide(nowUs: nowUs, futureBoundUs: policy.futureBoundUs, open: windows)
        } catch {
            throw error.asRPCError(policy)
        }
        switch decision {
        case .extend(let requestID, let window):
            try extendRequest(requestID, to: window, like: template)
            try updateFootage(requestID, cameras)
            try insertEvent(key, requestID: requestID, eventUs: event.eventUs)
            try audit(.extended, by: template.requestedBy, subject: requestID, detail: "event \(key)")
            if let request = try db.request(requestID) { try saveRequest(request) }
            try advance(requestID)
            return SubmitReply(receipt: .extended, request: try view(requestID))
        case .open(let window, let maximumEndUs):
            var request = template
            (request.window, request.maximumEndUs, request.acceptedUs) = (window, maximumEndUs, nowUs)
            let why = template.why.isEmpty ? "" : ", \(template.why)"
            try accept(request, cameras: cameras, detail: "event \(key)\(why)") {
                try insertEvent(key, requestID: request.requestID, eventUs: event.eventUs)
            }
            return SubmitReply(receipt: .accepted, request: try view(request.requestID))
        }
    }

    /// An operator's request: new, or the same again.
    func submit(_ wanted: RequestRow, cameras: [WantedCamera]) throws -> SubmitReply {
        if let known = try db.request(wanted.requestID) {
            guard known.window == wanted.window, known.cameraKey == wanted.cameraKey else {
                throw RPCError.alreadyExists(
                    "request \(wanted.requestID) exists with another window or other cameras: choose another id")
            }
            try audit(.duplicate, by: wanted.requestedBy, subject: wanted.requestID)
            return SubmitReply(receipt: .duplicate, request: try view(wanted.requestID))
        }
        guard wanted.window.startUs <= nowUs + policy.futureBoundUs else {
            throw FieldCheck.wrong(
                "window.start_us",
                "lies more than \(policy.futureBoundUs / Micro.second) s in the future: ask again later")
        }
        var request = wanted
        request.acceptedUs = nowUs
        try accept(request, cameras: cameras, detail: wanted.why) {}
        return SubmitReply(receipt: .accepted, request: try view(request.requestID))
    }

    private func accept(
        _ request: RequestRow, cameras: [WantedCamera], detail: String, _ alsoStore: () throws -> Void
    ) throws {
        try insertRequest(request, cameras: cameras)
        try alsoStore()
        let text = AuditText.wanted(
            cameras: cameras.map(\.camera), window: request.window, delivery: request.machine.delivery,
            mode: request.mode, why: detail)
        try audit(.requested, by: request.requestedBy, subject: request.requestID, detail: text)
        try saveRequest(request)
        try advance(request.requestID)
    }
}

extension EventWindow.Refusal {
    /// As the sender of the event reads it.
    func asRPCError(_ policy: Policy) -> RPCError {
        switch self {
        case .tooFarAhead(let byUs):
            FieldCheck.wrong(
                "event_us",
                "lies \((byUs + policy.futureBoundUs) / Micro.second) s in the future: at most "
                    + "\(policy.futureBoundUs / Micro.second) s are allowed; check the sender's clock")
        case .emptyWindow:
            FieldCheck.wrong("end_offset_ms", "must be greater than start_offset_ms: the window would be empty")
        case .outOfTime:
            FieldCheck.wrong("start_offset_ms", "makes a window that begins before 1970 or ends after 2100")
        }
    }
}
