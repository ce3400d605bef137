// The bodies of commands on a stream: start, stop, state, capture. Pure.

import JSON
import Wire

/// The body of a stream command: an object that overrides the stream's configuration for this run, and beside the
/// overriding keys `timeLimitSeconds`. No body means: as configured.
struct StreamCommandBody: Sendable, Equatable {
    /// Nil where nothing is overridden.
    var overrideJSON: String?
    /// Nil for a run without end.
    var endsAfterMs: UInt64?

    /// The registry takes so much.
    static let maximumBytes = 16 * 1_024

    init(_ message: InboundMessage, verb: Verb) throws(Rejection) {
        guard !message.payload.isEmpty else { return }
        guard message.payload.count <= Self.maximumBytes else {
            throw Rejection(
                reason:
                    "the body has \(message.payload.count) bytes; a stream configuration may have \(Self.maximumBytes)")
        }
        let members = try ArchiveCommand.object(message).members ?? []
        switch verb {
        case .start:
            if let limit = members.last(where: { $0.key == "timeLimitSeconds" })?.value {
                guard let seconds = limit.number, seconds >= 0.001, seconds <= 604_800 else {
                    throw Rejection(
                        field: "timeLimitSeconds", reason: "is not a number of seconds from 0.001 to 604800")
                }
                endsAfterMs = UInt64((seconds * 1_000).rounded())
            }
            let overriding = members.filter { $0.key != "timeLimitSeconds" }
            if !overriding.isEmpty {
                overrideJSON = JSONValue.object(overriding).text()
            }
        case .capture, .stop, .state: break
        }
    }

    /// The stream that a reading verb of the media connector means: {"datapoint": "clips"}; "stream" is taken too.
    static func datapoint(_ message: InboundMessage) throws(Rejection) -> String {
        let json = try ArchiveCommand.object(message)
        let value = json[given: "datapoint"] ?? json[given: "stream"]
        guard let name = value?.string, (1...128).contains(name.utf8.count) else {
            throw Rejection(
                field: "datapoint", reason: "is missing or no text of 1 to 128 bytes: name a stream of the asset")
        }
        return name
    }
}

/// The body of `capture`: {"kind": "snapshot", "format": "png", "quality": 75, "maxWidth": 640, "maxHeight": 480}, or
/// {"kind": "clip", "preSeconds": 10, "postSeconds": 20, "mode": "files", "delivery": "cloud", "requestId": "…",
/// "reason": "…"}.
struct CaptureBody: Sendable, Equatable {
    enum Kind: Sendable, Equatable {
        case snapshot
        case clip
    }

    var kind = Kind.snapshot
    var format: String?
    var quality: UInt32?
    var maxWidthPx: UInt32?
    var maxHeightPx: UInt32?
    /// Before and after now, in milliseconds. The defaults are those of events.
    var preMs = -EventRule.defaultStartOffsetMs
    var postMs = EventRule.defaultEndOffsetMs
    var delivery = Delivery.cloud
    /// The files that touch the window, or one exact clip.
    var mode = ArchiveMode.files
    var requestID: String?
    var reason: String?

    init(_ message: InboundMessage) throws(Rejection) {
        guard !message.payload.isEmpty else { return }
        let json = try ArchiveCommand.object(message)
        kind =
            try ArchiveCommand.choice(json[given: "kind"], "kind", ["snapshot": .snapshot, "clip": .clip]) ?? .snapshot
        if let format = json[given: "format"] {
            guard let text = format.string, !text.isEmpty else {
                throw Rejection(field: "format", reason: "is not a text like \"jpeg\" or \"png\"")
            }
            self.format = text
        }
        quality = try number(json, "quality", 1...100)
        maxWidthPx = try number(json, "maxWidth", 16...16_384)
        maxHeightPx = try number(json, "maxHeight", 16...16_384)
        preMs = try milliseconds(json, "preSeconds", 600) ?? preMs
        postMs = try milliseconds(json, "postSeconds", 3_600) ?? postMs
        guard kind == .snapshot || preMs + postMs > 0 else {
            throw Rejection(field: "postSeconds", reason: "is 0 like preSeconds: a clip needs a length")
        }
        delivery =
            try ArchiveCommand.choice(json[given: "delivery"], "delivery", ["cloud": .cloud, "archive": .archive])
            ?? .cloud
        mode = try ArchiveCommand.choice(json[given: "mode"], "mode", ["files": .files, "clip": .clip]) ?? .files
        requestID = try json[given: "requestId"].map { value throws(Rejection) in try ArchiveCommand.requestID(value) }
        reason = json[given: "reason"]?.string?.prefixed(1_024)
    }

    private func number(_ json: JSONValue, _ key: String, _ range: ClosedRange<Double>) throws(Rejection) -> UInt32? {
        guard let value = json[given: key] else { return nil }
        guard let number = value.number, range.contains(number), let whole = UInt32(exactly: number) else {
            throw Rejection(
                field: key, reason: "is not a whole number from \(Int(range.lowerBound)) to \(Int(range.upperBound))")
        }
        return whole
    }

    private func milliseconds(_ json: JSONValue, _ key: String, _ most: Double) throws(Rejection) -> Int64? {
        guard let value = json[given: key] else { return nil }
        guard let seconds = value.number, (0...most).contains(seconds) else {
            throw Rejection(field: key, reason: "is not a number of seconds from 0 to \(Int(most))")
        }
        return Int64((seconds * 1_000).rounded())
    }
}
