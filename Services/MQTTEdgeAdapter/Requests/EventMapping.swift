// From a message to an event: pure. Each mapping is a small function; what they share (cameras, window, key) is below.

import JSON
import ServiceKit
import Wire

/// Applies event rules to messages.
enum EventMapping {
    /// Larger messages are refused. An event is a few hundred bytes; what is larger carries pictures or is a mistake.
    static let maximumBytes = 256 * 1_024
    /// More cameras than this in one event is a mistake in the mapping.
    static let maximumCameras = 64

    /// What came of a message.
    enum Outcome: Sendable, Equatable {
        case event(MappedEvent)
        /// No rule takes it: its conditions are not met.
        case passedOver
    }

    /// The rules whose filter the topic matches, in their order.
    static func rules(_ rules: [EventRule], for topic: String) -> [EventRule] {
        rules.filter { $0.filter.matches(topic) }
    }

    /// The event that the first rule with a fulfilled condition makes of the message.
    static func map(_ message: InboundMessage, by rules: [EventRule]) throws(Rejection) -> Outcome {
        guard message.payload.count <= maximumBytes else {
            throw Rejection(reason: "the message has \(message.payload.count) bytes; an event may have \(maximumBytes)")
        }
        guard !message.payload.isEmpty else { throw Rejection(reason: "the message is empty; expected a JSON object") }
        let json: JSONValue
        do throws(JSONError) { json = try JSONReader.read(message.payload, .messages) } catch {
            throw Rejection(reason: "not valid JSON: \(error)")
        }
        guard json.members != nil else {
            throw Rejection(reason: "the message is \(json.kindName); expected a JSON object")
        }
        for rule in rules where rule.condition.map({ isFulfilled($0, json) }) ?? true {
            return .event(try event(rule, json, message))
        }
        return .passedOver
    }

    private static func isFulfilled(_ condition: EventRule.Condition, _ json: JSONValue) -> Bool {
        guard let value = condition.path.value(in: json) else { return false }
        switch condition.test {
        case .equals(let expected):
            if let expected = expected.number, let value = value.number { return expected == value }
            return value == expected
        case .atLeast(let bound): return value.number.map { $0 >= bound } ?? false
        }
    }

    /// What a mapping finds in the payload.
    private struct Found {
        var timeUs: Int64
        var eventID: String?
        var reason: String?
        var startOffsetMs: Int64?
        var endOffsetMs: Int64?
        var cameraNames: [String]?
        var dueUs: Int64?
    }

    private static func event(
        _ rule: EventRule, _ json: JSONValue, _ message: InboundMessage
    ) throws(Rejection) -> MappedEvent {
        let id = try identifier(rule, json)
        do throws(Rejection) {
            var found: Found
            switch rule.mapping {
            case .manual: found = try manual(json)
            case .alertDLQC: found = try alertDLQC(json)
            case .analyticsDisabled: found = try analyticsDisabled(json)
            case .manualTrigger: found = try manualTrigger(json)
            case .fields(let fields): found = try byFields(fields, json)
            }
            found.eventID = found.eventID ?? id
            return try completed(found, rule, json, message)
        } catch {
            throw Rejection(field: error.field, reason: error.reason, key: error.key ?? id.map(key(ofID:)))
        }
    }

    /// The id alone, so that the receipt of a rejection goes by it too.
    private static func identifier(_ rule: EventRule, _ json: JSONValue) throws(Rejection) -> String? {
        let (value, name): (JSONValue?, String) =
            switch rule.mapping {
            case .manual: (json[given: "eventId"], "eventId")
            case .fields(let fields): (fields.eventID?.value(in: json), fields.eventID?.text ?? "")
            case .manualTrigger: (json[given: "event_id"], "event_id")
            case .alertDLQC, .analyticsDisabled: (nil, "")
            }
        return try value.map { value throws(Rejection) in try idText(value, name) }
    }

    private static func completed(
        _ found: Found, _ rule: EventRule, _ json: JSONValue, _ message: InboundMessage
    ) throws(Rejection) -> MappedEvent {
        let start = (found.startOffsetMs ?? rule.startOffsetMs) - rule.feedDelayMs
        let end = found.endOffsetMs ?? rule.endOffsetMs
        let range = EventRule.offsetRangeMs
        guard range.contains(start), range.contains(end), start < end, end - start <= range.upperBound else {
            throw Rejection(
                reason: "the window from \(start) ms to \(end) ms around the event is not one of 1 ms to 24 h")
        }
        let cameraNames: [String]
        if let names = found.cameraNames { cameraNames = names } else { cameraNames = try cameras(rule, json, message) }
        let event = MappedEvent(
            key: found.eventID.map(key(ofID:)) ?? message.digest, rule: rule.name, eventUs: found.timeUs,
            startOffsetMs: start, endOffsetMs: end, maximumMs: max(rule.maximumMs, UInt64(end - start)),
            cameraNames: cameraNames, reason: found.reason,
            delivery: rule.delivery, mode: rule.mode, kinds: rule.kinds, priority: rule.priority,
            dueUs: found.dueUs ?? rule.dueAfterMs.map { min(found.timeUs + $0 * 1_000, FieldCheck.timesUs.upperBound) })
        guard FieldCheck.timesUs.contains(event.eventUs + end * 1_000) else {
            throw Rejection(reason: "the window ends outside 1970 to 2100")
        }
        return event
    }

    // MARK: The mappings

    private static func manual(_ json: JSONValue) throws(Rejection) -> Found {
        var found = Found(timeUs: try time(json[given: "timestamp"], "timestamp", .auto))
        found.reason = json[given: "reason"]?.string
        found.startOffsetMs = try seconds(json[given: "preSeconds"], "preSeconds").map { -$0 }
        found.endOffsetMs = try seconds(json[given: "postSeconds"], "postSeconds")
        found.dueUs = try json[given: "due"].map { value throws(Rejection) in try time(value, "due", .auto) }
        if let cameras = json[given: "cameras"] {
            found.cameraNames = try names(cameras, "cameras")
        } else if let camera = json[given: "camera"] {
            found.cameraNames = try names(camera, "camera")
        }
        return found
    }

    /// `device_data` is one entry or an array of entries; the first with the type counts. The value of the alert is not
    /// looked at, as in edge-ai: the message is the event.
    private static func alertDLQC(_ json: JSONValue) throws(Rejection) -> Found {
        guard let devices = json[given: "attributes"]?[given: "devices"]?.elements else {
            throw Rejection(field: "attributes.devices", reason: "is missing or no array")
        }
        let entries = devices.flatMap { device -> [JSONValue] in
            guard let data = device[given: "device_data"] else { return [] }
            return data.elements ?? [data]
        }
        guard let entry = entries.first(where: { $0[given: "type"]?.string == "ALERT_DLQC" }) else {
            throw Rejection(
                field: "attributes.devices[].device_data", reason: "has no entry of the type ALERT_DLQC")
        }
        let id = try (entry[given: "event_id"] ?? json[given: "event_id"]).map { value throws(Rejection) in
            try idText(value, "event_id")
        }
        do throws(Rejection) {
            let stamp = entry[given: "timestamp"] ?? json[given: "timestamp"]
            return Found(timeUs: try time(stamp, "timestamp", .milliseconds), eventID: id, reason: "ALERT_DLQC")
        } catch {
            throw Rejection(field: error.field, reason: error.reason, key: id.map(key(ofID:)))
        }
    }

    private static func analyticsDisabled(_ json: JSONValue) throws(Rejection) -> Found {
        let stamp = json[given: "timestamp"]
        let timeUs = try time(stamp, "timestamp", .milliseconds)
        let type =
            (json[given: "analytics_type"] ?? json[given: "analyticsType"] ?? json[given: "type"])?.string ?? "unknown"
        return Found(
            timeUs: timeUs, eventID: "analytics_disabled-\(type)-\(timeUs / 1_000)",
            reason: "analytics disabled: \(type)")
    }

    /// The window is the payload's own: from its start for its duration.
    private static func manualTrigger(_ json: JSONValue) throws(Rejection) -> Found {
        var found = Found(timeUs: try time(json[given: "start_time"], "start_time", .auto))
        guard let durationMs = try seconds(json[given: "duration"], "duration"), durationMs > 0 else {
            throw Rejection(field: "duration", reason: "is missing or 0: give the seconds of footage that are wanted")
        }
        (found.startOffsetMs, found.endOffsetMs) = (0, durationMs)
        found.reason = json[given: "event_initiated_by"]?.string.map { "manual trigger by \($0)" } ?? "manual trigger"
        return found
    }

    private static func byFields(_ fields: EventRule.Fields, _ json: JSONValue) throws(Rejection) -> Found {
        Found(
            timeUs: try time(fields.time.value(in: json), fields.time.text, fields.timeFormat),
            reason: fields.reason?.value(in: json)?.string)
    }

    // MARK: What the mappings share

    private static func time(
        _ value: JSONValue?, _ name: String, _ format: TimeFormat
    ) throws(Rejection) -> Int64 {
        guard let value else {
            throw Rejection(field: name, reason: "is missing: an event without a time names no footage")
        }
        do throws(Problem) { return try TimeText.parse(value, format) } catch {
            throw Rejection(field: name, reason: error.description)
        }
    }

    private static func seconds(_ value: JSONValue?, _ name: String) throws(Rejection) -> Int64? {
        guard let value else { return nil }
        guard let seconds = value.number, (0...86_400).contains(seconds) else {
            throw Rejection(field: name, reason: "is not a number of seconds from 0 to 86400")
        }
        return Int64((seconds * 1_000).rounded())
    }

    private static func idText(_ value: JSONValue, _ name: String) throws(Rejection) -> String {
        switch value.content {
        case .string(let text) where !text.isEmpty: return text
        case .number(let literal): return literal
        default:
            throw Rejection(
                field: name, reason: "is \(value.kindName); expected a string of 1 byte or more, or a number")
        }
    }

    /// Keys have at most 128 bytes: a longer id goes by its SHA-256.
    static func key(ofID id: String) -> String {
        id.utf8.count <= 128 ? id : InboundMessage(topic: "", payload: Array(id.utf8)).digest
    }

    private static func cameras(
        _ rule: EventRule, _ json: JSONValue, _ message: InboundMessage
    ) throws(Rejection) -> [String] {
        switch rule.cameras {
        case .names(let names): return names
        case .path(let path):
            guard let value = path.value(in: json) else {
                throw Rejection(field: path.text, reason: "is missing: it should name the cameras")
            }
            return try names(value, path.text)
        case .topicPart(let index):
            let parts = TopicName.levels(message.topic)
            guard index < parts.count, !parts[index].isEmpty else {
                throw Rejection(reason: "the topic has no part \(index), which should name the camera")
            }
            return [TopicName.name(ofLevel: parts[index])]
        case nil: throw Rejection(field: "cameras", reason: "is missing: name an asset, or device/endpoint")
        }
    }

    static func names(_ value: JSONValue, _ field: String) throws(Rejection) -> [String] {
        let names: [String]
        switch value.content {
        case .string(let name): names = [name]
        case .array(let elements):
            names = elements.compactMap(\.string)
            guard names.count == elements.count else {
                throw Rejection(field: field, reason: "holds something that is no string")
            }
        default: throw Rejection(field: field, reason: "is \(value.kindName); expected a name or an array of names")
        }
        guard !names.isEmpty, !names.contains("") else {
            throw Rejection(field: field, reason: "names no camera: give an asset, or device/endpoint")
        }
        guard names.count <= maximumCameras else {
            throw Rejection(field: field, reason: "names \(names.count) cameras; at most \(maximumCameras) are taken")
        }
        return names
    }
}
