// The state of streams, sources and volumes as JSON, and what in it is worth a message at once. Pure.

import JSON
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
            "asset": .nonEmpty(stream.asset),
            "stream": .nonEmpty(stream.stream),
            "device": .nonEmpty(task.source?.device),
            "endpoint": .nonEmpty(task.source?.endpoint),
            "type": task.type.map { .string(typeName($0)) },
            "state": .string((task.state ?? .unspecified).name),
            "runId": .nonEmpty(task.runID),
            "error": .nonEmpty(task.error),
            "controller": .nonEmpty(controllerID),
        ]
        let counters: KeyValuePairs<String, JSONValue?> = [
            "produced": .integer(optional: task.produced),
            "dropped": .integer(optional: task.dropped),
            "lastOutputAt": .time(task.lastOutputUs),
            "lastOutput": .nonEmpty(task.lastOutput),
        ]
        return rendered(topics.assetStatus(stream), urgent, counters)
    }

    static func source(_ status: SourceStatus, controllerID: String?, topics: Topics) -> RenderedStatus? {
        guard let source = status.source, source.device?.isEmpty == false, source.endpoint?.isEmpty == false else {
            return nil
        }
        let urgent: KeyValuePairs<String, JSONValue?> = [
            "device": .nonEmpty(source.device),
            "endpoint": .nonEmpty(source.endpoint),
            "state": .string((status.state ?? .unspecified).name),
            "cause": .nonEmpty(status.cause),
            "reason": .nonEmpty(status.reason),
            "runId": .nonEmpty(status.runID),
            "videoCodec": .nonEmpty(status.videoCodec),
            "width": .integer(optional: status.widthPx),
            "height": .integer(optional: status.heightPx),
            "controller": .nonEmpty(controllerID),
        ]
        let counters: KeyValuePairs<String, JSONValue?> = [
            "packets": .integer(optional: status.packets),
            "bytes": .integer(optional: status.bytes),
            "lastPacketAt": .time(status.lastPacketUs),
            "syncedTo": .time(status.syncedToUs),
            "ringFrom": .time(status.ringFromUs),
            "attempts": .integer(optional: status.attempts),
        ]
        return rendered(topics.sourceStatus(source), urgent, counters)
    }

    static func volume(_ volume: VolumeStatus, controllerID: String?, topics: Topics) -> RenderedStatus? {
        guard let id = volume.volumeID, !id.isEmpty else { return nil }
        let urgent: KeyValuePairs<String, JSONValue?> = [
            "volumeId": .string(id),
            "role": .nonEmpty(volume.role),
            "writable": .bool(optional: volume.writable),
            "error": .nonEmpty(volume.error),
            "controller": .nonEmpty(controllerID),
        ]
        let counters: KeyValuePairs<String, JSONValue?> = [
            "totalBytes": .integer(optional: volume.totalBytes),
            "freeBytes": .integer(optional: volume.freeBytes),
            "spooledRecords": .integer(optional: volume.spooledRecords),
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
        let all = (first.members ?? []) + (JSONValue.fields(counters).members ?? [])
        return RenderedStatus(topic: topic, json: .object(all), urgent: first)
    }
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
