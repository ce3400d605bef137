// Management actions: the verbs of a stream as an asset declares them, on topics of its own choice. An action means a verb of a
// stream where its `targetUri` is "{stream}/{verb}", or its group is named like a stream and itself like a verb. Without a
// topic it is N/asset-operations/{asset}/{group}/{action}, as of all AIO connectors.

import JSON
import RPC
import ServiceKit
import Synchronization
import Wire

/// One action that can be called.
struct ManagementAction: Sendable, Equatable {
    let verb: Verb
    let stream: StreamName
    /// The asset's own bound; nil: the adapter's.
    let timeout: Duration?
}

/// The actions of all assets by topic. Pure.
struct ActionTable: Sendable, Equatable {
    private(set) var actions: [String: ManagementAction] = [:]

    /// Adds those of one asset's document. What is no verb of ours is passed over: other connectors share an asset's actions.
    ///
    /// - Parameter forbidden: where commands cannot come: what we publish, and what events and archive requests come on.
    mutating func add(asset: String, document: JSONValue, topics: Topics, forbidden: [TopicFilter] = []) {
        let properties = document[given: "properties"] ?? document[given: "spec"] ?? document
        let streams = Set((properties[given: "streams"]?.elements ?? []).compactMap { $0[given: "name"]?.string })
        for group in properties[given: "managementGroups"]?.elements ?? [] {
            guard let groupName = group[given: "name"]?.string else { continue }
            let fallback = group[given: "defaultTimeoutInSeconds"] ?? group[given: "defaultTimeOutInSeconds"]
            for action in group[given: "actions"]?.elements ?? [] {
                guard let name = action[given: "name"]?.string,
                    let (stream, verb) = Self.meaning(
                        group: groupName, name, action[given: "targetUri"]?.string, streams)
                else { continue }
                let topic =
                    action[given: "topic"]?.string
                    ?? topics.action(asset: asset, group: groupName, action: name)
                guard TopicName.isPublishable(topic), !forbidden.contains(where: { $0.matches(topic) }) else {
                    continue
                }
                let seconds = (action[given: "timeoutInSeconds"] ?? action[given: "timeOutInSeconds"] ?? fallback)?
                    .number
                actions[topic] = ManagementAction(
                    verb: verb, stream: StreamName(asset: asset, stream: stream),
                    timeout: seconds.flatMap { (0.001...86_400).contains($0) ? .milliseconds(Int64($0 * 1_000)) : nil })
            }
        }
    }

    private static func meaning(
        group: String, _ name: String, _ target: String?, _ streams: Set<String>
    ) -> (String, Verb)? {
        let parts = (target ?? "").split(separator: "/").map(String.init)
        if parts.count == 2, streams.contains(parts[0]), let verb = Verb(rawValue: parts[1]) { return (parts[0], verb) }
        guard streams.contains(group), let verb = Verb(rawValue: name) else { return nil }
        return (group, verb)
    }

    /// The topics that have to be subscribed to beside those that are anyway.
    func filters(beside taken: [TopicFilter]) -> [String] {
        actions.keys.filter { topic in !taken.contains { $0.matches(topic) } }.sorted()
    }
}

/// The table that is in force, kept current with the registry.
final class ActionBoard: Sendable {
    private struct State {
        var table = ActionTable()
        /// The documents by asset, with the revision of the newest stream: what has not changed is not fetched again.
        var documents: [String: (revision: UInt64, json: JSONValue)] = [:]
        var revision: UInt64?
    }

    /// Answers have at most 1 MiB, an asset's document far less.
    private static let timeout = Duration.seconds(5)

    private let registry: RPCClient
    private let topics: Topics
    private let forbidden: [TopicFilter]
    private let onChange: @Sendable ([String]) -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - eventFilters: of the event rules.
    ///   - onChange: gets the further filters.
    init(
        registry: RPCClient, topics: Topics, eventFilters: [TopicFilter],
        onChange: @escaping @Sendable ([String]) -> Void
    ) {
        (self.registry, self.topics, self.onChange) = (registry, topics, onChange)
        forbidden =
            topics.publishedFilters + eventFilters + [topics.archive, topics.cancel].compactMap { TopicFilter($0) }
    }

    /// Whether the assets have been looked at since the start: before that no topic of an action is known.
    var isLoaded: Bool { state.withLock { $0.revision != nil } }

    /// The action that a topic belongs to.
    func action(on topic: String) -> ManagementAction? { state.withLock { $0.table.actions[topic] } }

    /// Looks for what changed in the assets.
    func follow(_ configuration: Configuration) async {
        guard state.withLock({ $0.revision != configuration.revision }) else { return }
        var newest: [String: UInt64] = [:]
        for stream in configuration.streams {
            guard let asset = stream.name?.asset else { continue }
            newest[asset] = max(newest[asset] ?? 0, stream.revision ?? 0)
        }
        let known = state.withLock { $0.documents.mapValues(\.revision) }
        var fetched: [String: JSONValue] = [:]
        for (asset, revision) in newest where known[asset] != revision {
            let reply = try? await registry.call(
                AssetRegistryMethods.getDocuments, GetDocumentsRequest(kind: .asset, name: asset), timeout: Self.timeout
            )
            // Tried again with the next look at the configuration.
            guard let text = reply?.documents.first?.json, let json = try? JSONReader.read(text, .registry) else {
                return
            }
            fetched[asset] = json
        }
        let filters = state.withLock { state -> [String]? in
            state.documents = state.documents.filter { newest[$0.key] != nil }
            for (asset, json) in fetched { state.documents[asset] = (newest[asset] ?? 0, json) }
            state.revision = configuration.revision
            var table = ActionTable()
            for (asset, document) in state.documents.sorted(by: { $0.key < $1.key }) {
                table.add(asset: asset, document: document.json, topics: topics, forbidden: forbidden)
            }
            guard table != state.table else { return nil }
            state.table = table
            return table.filters(beside: topics.takenFilters)
        }
        if let filters { onChange(filters) }
    }
}
