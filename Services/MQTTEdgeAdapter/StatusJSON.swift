// The state of streams, sources and volumes as JSON, and what in it is worth a message at once. Pure.

import Wire

/// A status as it is published, and the part of it whose change cannot wait: the rest are counters.
struct RenderedStatus: Sendable, Equatable {
    let topic: String
    let json: JSONValue
    let urgent: JSONValue
}

/// Renders what controllers report.
enum StatusJSON {
    static func task(_ task: TaskStatus, controllerID: String?, topics: Topics) -> RenderedStatus? {
        guard let stream = task.stream, stream.asset?.isEmpty == false, stream.stream?.isEmpty == false else {
            return nil
        }
        let urgent: KeyValuePairs<String, JSONValue?> = [
            "asset": text(stream.asset),
            "stream": text(stream.stream),
            "device": text(task.source?.device),
            "endpoint": text(task.source?.endpoint),
            "type": task.type.map { .string(typeName($0)) },
            "state": .string((task.state ?? .unspecified).name),
            "runId": text(task.runID),
            "error": text(task.error),
            "controller": text(controllerID),
        ]
        let counters: KeyValuePairs<String, JSONValue?> = [
            "produced": task.produced.map { .integer($0) },
            "dropped": task.dropped.map { .integer($0) },
            "lastOutputAt": time(task.lastOutputUs),
            "lastOutput": text(task.lastOutput),
        ]
        return rendered(topics.assetStatus(stream), urgent, counters)
    }

    static func source(_ status: SourceStatus, controllerID: String?, topics: Topics) -> RenderedStatus? {
        guard let source = status.source, source.device?.isEmpty == false, source.endpoint?.isEmpty == false else {
            return nil
        }
        let urgent: KeyValuePairs<String, JSONValue?> = [
            "device": text(source.device),
            "endpoint": text(source.endpoint),
            "state": .string((status.state ?? .unspecified).name),
            "cause": text(status.cause),
            "reason": text(status.reason),
            "runId": text(status.runID),
            "videoCodec": text(status.videoCodec),
            "width": status.widthPx.map { .integer($0) },
            "height": status.heightPx.map { .integer($0) },
            "controller": text(controllerID),
        ]
        let counters: KeyValuePairs<String, JSONValue?> = [
            "packets": status.packets.map { .integer($0) },
            "bytes": status.bytes.map { .integer($0) },
            "lastPacketAt": time(status.lastPacketUs),
            "syncedTo": time(status.syncedToUs),
            "ringFrom": time(status.ringFromUs),
            "attempts": status.attempts.map { .integer($0) },
        ]
        return rendered(topics.sourceStatus(source), urgent, counters)
    }

    static func volume(_ volume: VolumeStatus, controllerID: String?, topics: Topics) -> RenderedStatus? {
        guard let id = volume.volumeID, !id.isEmpty else { return nil }
        let urgent: KeyValuePairs<String, JSONValue?> = [
            "volumeId": .string(id),
            "role": text(volume.role),
            "writable": volume.writable.map(JSONValue.bool),
            "error": text(volume.error),
            "controller": text(controllerID),
        ]
        let counters: KeyValuePairs<String, JSONValue?> = [
            "totalBytes": volume.totalBytes.map { .integer($0) },
            "freeBytes": volume.freeBytes.map { .integer($0) },
            "spooledRecords": volume.spooledRecords.map { .integer($0) },
        ]
        return rendered(topics.volumeStatus(id), urgent, counters)
    }

    /// As AIO writes it in configurations: "clip-to-fs".
    static func typeName(_ type: TaskType) -> String {
        type.name.split(separator: "_").joined(separator: "-")
    }

    private static func rendered(
        _ topic: String, _ urgent: KeyValuePairs<String, JSONValue?>, _ counters: KeyValuePairs<String, JSONValue?>
    ) -> RenderedStatus {
        let first = JSONValue.fields(urgent)
        guard case .object(let a) = first, case .object(let b) = JSONValue.fields(counters) else {
            return RenderedStatus(topic: topic, json: first, urgent: first)
        }
        return RenderedStatus(topic: topic, json: .object(a + b), urgent: first)
    }

    private static func text(_ value: String?) -> JSONValue? {
        value.flatMap { $0.isEmpty ? nil : .string($0) }
    }

    private static func time(_ us: Int64?) -> JSONValue? { us.map { .string(TimeText.rfc3339($0)) } }
}

/// What is published as retained status, so that only changes are. Whatever the controllers repeat costs nothing.
struct StatusBoard: Sendable {
    /// Counters alone are worth a message only so often.
    static let counterInterval = Duration.seconds(10)
    /// Topics beyond this are not remembered: they would be names that no site has.
    static let maximumTopics = 20_000

    private struct Shown {
        let status: RenderedStatus
        let at: ContinuousClock.Instant
    }

    private var shown: [String: Shown] = [:]

    /// True where this status is to be published now. It counts as published then.
    mutating func shouldPublish(_ status: RenderedStatus, now: ContinuousClock.Instant) -> Bool {
        if let last = shown[status.topic] {
            guard last.status != status else { return false }
            if last.status.urgent == status.urgent, now - last.at < Self.counterInterval { return false }
        } else if shown.count >= Self.maximumTopics {
            return false
        }
        shown[status.topic] = Shown(status: status, at: now)
        return true
    }

    /// Forgets one, so that the next report of it is published: it could not be.
    mutating func forget(_ topic: String) { shown[topic] = nil }
}
