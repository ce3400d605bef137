// Payloads of N/media-sync/archive, N/media-sync/cancel and N/media-sync/list (scenario 2.3). Pure.

import JSON
import ServiceKit
import Wire

/// An archive request as an operator writes it:
/// {"cameras": ["line1"], "start": "2025-11-23T04:05:06Z", "durationSeconds": 30, "requestId": "…", "kinds": ["segment"],
///  "delivery": "cloud", "mode": "files", "reason": "…", "due": "2025-11-23T05:00:00Z"}; `assets`, `camera` and `asset` for
/// `cameras`, `end` for the duration.
struct ArchiveCommand: Sendable, Equatable {
    /// The operator's, or made from the message: the same message again is the same request.
    let requestID: String
    let window: Window
    let cameraNames: [String]
    let kinds: [MediaKind]
    let delivery: Delivery
    let mode: ArchiveMode
    let reason: String?
    /// When it should be delivered; it goes before others of its priority.
    let dueUs: Int64?

    /// Reads the payload. The rejection's key is the request id wherever that could be read.
    init(_ message: InboundMessage) throws(Rejection) {
        let json = try Self.object(message)
        let id = try json[given: "requestId"].map { value throws(Rejection) in try Self.requestID(value) }
        requestID = id ?? Self.generatedID(message)
        do throws(Rejection) {
            window = try Self.window(json)
            cameraNames = try Self.cameras(json)
            kinds = try Self.kinds(json[given: "kinds"])
            delivery =
                try Self.choice(json[given: "delivery"], "delivery", ["cloud": .cloud, "archive": .archive]) ?? .cloud
            mode = try Self.choice(json[given: "mode"], "mode", ["files": .files, "clip": .clip]) ?? .files
            reason = json[given: "reason"]?.string
            dueUs = try json[given: "due"].map { value throws(Rejection) in try Self.time(value, "due") }
        } catch {
            throw Rejection(field: error.field, reason: error.reason, key: requestID)
        }
    }

    /// The request id of a cancel message: {"requestId": "…"}.
    static func cancelledID(_ message: InboundMessage) throws(Rejection) -> String {
        guard let id = try object(message)[given: "requestId"] else {
            throw Rejection(field: "requestId", reason: "is missing: name the request to cancel")
        }
        return try requestID(id)
    }

    private static func generatedID(_ message: InboundMessage) -> String {
        // 128 bits of the digest: short enough to read out, long enough never to meet another.
        "mqtt-\(message.requestDigest.prefix(32))"
    }

    static func object(_ message: InboundMessage) throws(Rejection) -> JSONValue {
        guard message.payload.count <= EventMapping.maximumBytes else {
            throw Rejection(
                reason: "the message has \(message.payload.count) bytes; at most \(EventMapping.maximumBytes) are taken"
            )
        }
        let json: JSONValue
        do throws(JSONError) { json = try JSONReader.read(message.payload, .messages) } catch {
            throw Rejection(reason: "not valid JSON: \(error)")
        }
        guard json.members != nil else {
            throw Rejection(reason: "the message is \(json.kindName); expected a JSON object")
        }
        return json
    }

    static func requestID(_ value: JSONValue) throws(Rejection) -> String {
        let allowed = value.string.map { text in
            (1...64).contains(text.utf8.count)
                && text.utf8.allSatisfy { byte in
                    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                        || [0x2D, 0x2E, 0x5F].contains(byte)
                }
        }
        guard let text = value.string, allowed == true else {
            throw Rejection(field: "requestId", reason: "is not a string of 1 to 64 of A-Z a-z 0-9 . _ -")
        }
        return text
    }

    private static func window(_ json: JSONValue) throws(Rejection) -> Window {
        guard let start = json[given: "start"] else {
            throw Rejection(field: "start", reason: "is missing: give RFC 3339 text or milliseconds since 1970")
        }
        let startUs = try time(start, "start")
        let endUs: Int64
        switch (json[given: "durationSeconds"], json[given: "end"]) {
        case (let duration?, nil):
            guard let seconds = duration.number, seconds >= 0.001, seconds <= 86_400 else {
                throw Rejection(field: "durationSeconds", reason: "is not a number of seconds from 0.001 to 86400")
            }
            endUs = startUs + Int64((seconds * 1_000_000).rounded())
        case (nil, let end?): endUs = try time(end, "end")
        case (nil, nil): throw Rejection(field: "durationSeconds", reason: "is missing (or give `end`)")
        case (_?, _?): throw Rejection(field: "end", reason: "is given besides durationSeconds: give one of them")
        }
        guard endUs > startUs, endUs - startUs <= FieldCheck.longestWindowUs, FieldCheck.timesUs.contains(endUs) else {
            throw Rejection(field: "end", reason: "has to lie after the start, at most 24 h later, before 2100")
        }
        return Window(startUs: startUs, endUs: endUs)
    }

    private static func time(_ value: JSONValue, _ field: String) throws(Rejection) -> Int64 {
        do throws(Problem) { return try TimeText.parse(value, .auto) } catch {
            throw Rejection(field: field, reason: error.description)
        }
    }

    private static func cameras(_ json: JSONValue) throws(Rejection) -> [String] {
        let given = ["cameras", "assets", "camera", "asset"].filter { json[given: $0] != nil }
        guard let field = given.first, let value = json[given: field] else {
            throw Rejection(field: "cameras", reason: "is missing: name an asset, or device/endpoint")
        }
        guard given.count == 1 else {
            throw Rejection(field: given[1], reason: "is given besides \(field): give one of them")
        }
        return try EventMapping.names(value, field)
    }

    private static func kinds(_ value: JSONValue?) throws(Rejection) -> [MediaKind] {
        guard let value else { return [] }
        guard let elements = value.elements else {
            throw Rejection(
                field: "kinds", reason: "is \(value.kindName); expected an array of \"segment\" and \"snapshot\"")
        }
        var kinds: [MediaKind] = []
        for element in elements {
            guard
                let kind = try choice(
                    element, "kinds", ["segment": .segment, "snapshot": .snapshot] as [String: MediaKind])
            else { continue }
            if !kinds.contains(kind) { kinds.append(kind) }
        }
        return kinds
    }

    static func choice<T>(
        _ value: JSONValue?, _ field: String, _ choices: [String: T]
    ) throws(Rejection) -> T? {
        guard let value else { return nil }
        guard let text = value.string, let choice = choices[text] else {
            throw Rejection(field: field, reason: "is not one of \(choices.keys.sorted().joined(separator: ", "))")
        }
        return choice
    }
}

/// The payload of N/media-sync/list: {"open": true, "limit": 50}; nothing means all, newest first.
struct ListCommand: Sendable, Equatable {
    var openOnly = false
    var limit: UInt32 = 50

    init(_ message: InboundMessage) throws(Rejection) {
        guard !message.payload.isEmpty else { return }
        let json = try ArchiveCommand.object(message)
        if let open = json[given: "open"] {
            guard case .bool(let value) = open.content else {
                throw Rejection(field: "open", reason: "is \(open.kindName); expected true or false")
            }
            openOnly = value
        }
        if let limit = json[given: "limit"] {
            guard let number = limit.number, (1...200).contains(number), let value = UInt32(exactly: number) else {
                throw Rejection(field: "limit", reason: "is not a whole number from 1 to 200")
            }
            self.limit = value
        }
    }
}
