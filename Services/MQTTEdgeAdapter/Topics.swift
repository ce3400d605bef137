// Every topic of the adapter, in one place: what it takes (commands, archive requests, events) and what it publishes.
// All lie below the namespace N, by default azure-iot-operations:
//
//   takes      N/asset-operations/{asset}/{stream}/start|stop|state|capture
//              N/asset-operations/{asset}/get-task-state|get-task-debug-info|get-task-error-string|get-task-output-string
//              N/media-sync/archive, N/media-sync/cancel, N/media-sync/list
//              the filters of the event rules, and topics that assets give to management actions (ActionTable.swift)
//   publishes  N/media-sync/receipts/{key}    retained: accepted, duplicate, extended, rejected
//              N/media-sync/requests/{id}     retained: state and files of a request
//              N/asset-status/{asset}/{stream}, N/source-status/{device}/{endpoint}, N/volume-status/{volume}   retained
//              N/asset-status/{asset}/{stream}/last-command, .../last-capture                                   retained
//              N/source-gaps/{device}/{endpoint}                                  a gap in the footage, as it is recorded
//              N/sightglass/adapter           retained: online, offline (the last will)
//              N/data/{asset}/{stream}        pictures, unless their destination names another topic

import Wire

/// What an operator can do with a stream.
enum Verb: String, Sendable, CaseIterable {
    case start
    case stop
    case state
    case capture
}

/// The verbs that the media connector's preview had: they only read. The payload names the stream, as "datapoint".
enum ReadVerb: String, Sendable, CaseIterable {
    case taskState = "get-task-state"
    case taskDebugInfo = "get-task-debug-info"
    case taskErrorString = "get-task-error-string"
    case taskOutputString = "get-task-output-string"
}

/// What a message on a topic is.
enum Route: Sendable, Equatable {
    case command(Verb, StreamName)
    case read(ReadVerb, asset: String)
    case archive
    case cancel
    case list
}

/// How the topic of a picture follows from its destination; the three behaviours that AIO has had.
enum SnapshotTopicMode: String, Sendable, CaseIterable {
    /// The destination's topic as it is; without one N/data/{asset}/{stream}.
    case exact
    /// Always N/data/{asset}/{stream}, as the connector does since 2026.
    case fixed
    /// The destination's topic below N/data/{asset}/.
    case nested
}

/// The topics below one namespace.
struct Topics: Sendable {
    let namespace: String

    /// Nil where the namespace cannot begin a topic.
    init?(namespace: String) {
        let levels = TopicName.levels(namespace)
        guard TopicName.isPublishable(namespace), levels.first != "", levels.last != "" else {
            return nil
        }
        self.namespace = namespace
    }

    var archive: String { "\(namespace)/media-sync/archive" }
    var cancel: String { "\(namespace)/media-sync/cancel" }
    var list: String { "\(namespace)/media-sync/list" }
    var events: String { "\(namespace)/media-sync/events" }
    var adapter: String { "\(namespace)/sightglass/adapter" }

    /// One filter for each verb rather than a wildcard: other connectors answer other actions in the same family.
    var commandFilters: [String] {
        Verb.allCases.map { "\(namespace)/asset-operations/+/+/\($0.rawValue)" }
            + ReadVerb.allCases.map { "\(namespace)/asset-operations/+/\($0.rawValue)" } + [list]
    }

    /// What an event filter must not reach, or the adapter would take its own words for events.
    var publishedFilters: [TopicFilter] {
        [
            "media-sync/receipts/+", "media-sync/requests/+", "asset-status/#", "source-status/#", "volume-status/#",
            "sightglass/#", "source-gaps/#",
        ].compactMap { TopicFilter("\(namespace)/\($0)") }
    }

    /// What the adapter takes besides events.
    var takenFilters: [TopicFilter] { (commandFilters + [archive, cancel]).compactMap { TopicFilter($0) } }

    /// The topic of a management action that names none.
    func action(asset: String, group: String, action: String) -> String {
        "\(namespace)/asset-operations/\(TopicName.level(asset))/\(TopicName.level(group))/\(TopicName.level(action))"
    }

    func receipt(_ key: String) -> String { "\(namespace)/media-sync/receipts/\(TopicName.level(key))" }
    func request(_ id: String) -> String { "\(namespace)/media-sync/requests/\(TopicName.level(id))" }
    func volumeStatus(_ id: String) -> String { "\(namespace)/volume-status/\(TopicName.level(id))" }

    func assetStatus(_ stream: StreamName) -> String {
        "\(namespace)/asset-status/\(TopicName.level(stream.asset ?? ""))/\(TopicName.level(stream.stream ?? ""))"
    }

    func lastCommand(_ stream: StreamName) -> String { assetStatus(stream) + "/last-command" }
    func lastCapture(_ stream: StreamName) -> String { assetStatus(stream) + "/last-capture" }

    func gaps(_ source: SourceName) -> String {
        "\(namespace)/source-gaps/\(TopicName.level(source.device ?? ""))/\(TopicName.level(source.endpoint ?? ""))"
    }

    func sourceStatus(_ source: SourceName) -> String {
        "\(namespace)/source-status/\(TopicName.level(source.device ?? ""))/\(TopicName.level(source.endpoint ?? ""))"
    }

    /// Whether the topic is the status of something that the configuration names.
    func isOfConfiguration(_ topic: String) -> Bool {
        topic.hasPrefix("\(namespace)/asset-status/") || topic.hasPrefix("\(namespace)/source-status/")
    }

    /// Where a picture goes. Throws where the destination's topic cannot be published to.
    func picture(
        _ stream: StreamName, destination: MqttDestination?, mode: SnapshotTopicMode
    ) throws(Problem) -> String {
        let base = "\(namespace)/data/\(TopicName.level(stream.asset ?? ""))"
        let fallback = "\(base)/\(TopicName.level(stream.stream ?? ""))"
        guard let topic = destination?.topic, !topic.isEmpty else { return fallback }
        let chosen: String
        switch mode {
        case .fixed: return fallback
        case .exact: chosen = topic
        case .nested: chosen = topic.utf8.first == UInt8(ascii: "/") ? base + topic : "\(base)/\(topic)"
        }
        guard TopicName.isPublishable(chosen) else {
            throw Problem(
                "\"\(chosen.prefix(200))\" is no topic to publish to: no '+', '#', leading '$' or control "
                    + "characters, 1 to \(TopicName.maximumBytes) bytes")
        }
        guard !takenFilters.contains(where: { $0.matches(chosen) }) else {
            throw Problem("\"\(chosen)\" is a topic that the adapter takes commands from; choose another")
        }
        return chosen
    }

    /// What a topic means; nil where it is none of ours.
    func route(_ topic: String) -> Route? {
        if topic == archive { return .archive }
        if topic == cancel { return .cancel }
        if topic == list { return .list }
        let prefix = "\(namespace)/asset-operations/"
        guard topic.utf8.starts(with: prefix.utf8) else { return nil }
        let parts = TopicName.levels(String(decoding: topic.utf8.dropFirst(prefix.utf8.count), as: UTF8.self))
        if parts.count == 2, !parts[0].isEmpty, let verb = ReadVerb(rawValue: parts[1]) {
            return .read(verb, asset: TopicName.name(ofLevel: parts[0]))
        }
        guard parts.count == 3, !parts[0].isEmpty, !parts[1].isEmpty, let verb = Verb(rawValue: parts[2]) else {
            return nil
        }
        let stream = StreamName(asset: TopicName.name(ofLevel: parts[0]), stream: TopicName.name(ofLevel: parts[1]))
        return .command(verb, stream)
    }
}
