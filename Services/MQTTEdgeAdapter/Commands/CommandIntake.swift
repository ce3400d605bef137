// Commands on streams (scenarios 1 and 2.1): start, stop, state, capture; the reading verbs of the media connector; the list
// of requests. Each is answered, and acknowledged after the answer. A command is never kept for later: who sent it is told
// 503 when a neighbour is away, because a start that happens an hour late is not what anybody asked for.

import Footage
import JSON
import Logging
import Metrics
import RPC
import ServiceKit
import Wire

/// Takes what comes on the command session.
struct CommandIntake: Sendable {
    /// The registry answers in milliseconds; five seconds covers its restart.
    private static let registryTimeout = Duration.seconds(5)
    private static let statusTimeout = Duration.seconds(2)
    private static let indexerTimeout = Duration.seconds(5)

    let topics: Topics
    let actions: ActionBoard
    let registry: RPCClient
    let indexer: RPCClient
    let footage: FootageRequester
    let captures: CaptureDesk
    let desk: CallDesk
    let correspondence: Correspondence
    /// Longest time for the work of one command; the calls have lower bounds of their own.
    let patience: Duration
    let clock: any WallClock
    let logger: Logger

    /// What a message on the command session asks for.
    private enum Command {
        case verb(Verb, StreamName)
        case read(ReadVerb, asset: String)
        case list

        var name: String {
            switch self {
            case .verb(let verb, _): verb.rawValue
            case .read(let verb, _): verb.rawValue
            case .list: "list"
            }
        }

        var stream: StreamName? { if case .verb(_, let stream) = self { stream } else { nil } }
    }

    /// Messages of one stream are worked on in their order.
    func lane(_ message: InboundMessage) -> String {
        switch command(message) {
        case .verb(_, let stream): stream.text
        case .read, .list, nil: message.topic
        }
    }

    private func command(_ message: InboundMessage) -> Command? {
        // First: a group of actions may have the name that a stream could have.
        if let action = actions.action(on: message.topic) { return .verb(action.verb, action.stream) }
        return switch topics.route(message.topic) {
        case .command(let verb, let stream): .verb(verb, stream)
        case .read(let verb, let asset): .read(verb, asset: asset)
        case .list: .list
        case .archive, .cancel, nil: nil
        }
    }

    /// Carries a command out and answers it.
    func handle(_ message: InboundMessage) async -> Verdict {
        guard let command = command(message) else { return await refuseUnknown(message) }
        let limit = min(patience, actions.action(on: message.topic)?.timeout ?? patience)
        return await desk.run(message, limit: limit) { limit in
            await answer(command, message, limit)
        } plain: { answer in
            guard let stream = command.stream else { return }
            // Beside the answer, so that `mosquitto_sub` alone shows what became of the last command.
            await correspondence.retain(
                CommandJSON.last(command.name, answer.json, origin: message.origin, atUs: clock.nowUs()),
                on: topics.lastCommand(stream), what: "the state of a command")
        }
    }

    /// A topic that some asset had given to an action when the broker kept the message.
    private func refuseUnknown(_ message: InboundMessage) async -> Verdict {
        let error: RPCError =
            actions.isLoaded
            ? .notFound("no asset has an action on this topic any more")
            : .unavailable("the actions of the assets are not known yet; ask again")
        logger.warning(
            "a command is refused", metadata: ["topic": "\(message.shortTopic)", "reason": "\(error.message)"])
        return await desk.run(message, limit: patience) { _ in
            .failed(error, CommandJSON.refused(nil, error))
        } plain: { _ in
        }
    }

    private func answer(_ command: Command, _ message: InboundMessage, _ limit: Duration) async -> CallAnswer {
        do throws(RPCError) {
            let json = try await carryOut(command, message, limit)
            logger.info(
                "a command is carried out",
                metadata: ["verb": "\(command.name)", "stream": "\((command.stream?.text ?? "").prefixed(300))"])
            count(command, .ok)
            return .done(json)
        } catch {
            logger.notice(
                "a command is refused",
                metadata: [
                    "verb": "\(command.name)", "stream": "\((command.stream?.text ?? "").prefixed(300))",
                    "reason": "\(error.description.prefixed(500))",
                ])
            count(command, error.code)
            return .failed(error, CommandJSON.refused(command.stream, error), limit: limit)
        }
    }

    private func count(_ command: Command, _ code: Code) {
        Counter(
            label: "sightglass_adapter_commands_total", dimensions: [("verb", command.name), ("code", code.name)]
        ).increment()
    }

    private func carryOut(
        _ command: Command, _ message: InboundMessage, _ limit: Duration
    ) async throws(RPCError) -> JSONValue {
        switch command {
        case .list: return try await list(try read { () throws(Rejection) in try ListCommand(message) }, limit)
        case .read(let verb, let asset):
            let name = try read { () throws(Rejection) in try StreamCommandBody.datapoint(message) }
            return try await answer(verb, StreamName(asset: asset, stream: name), limit)
        case .verb(.capture, let stream):
            let body = try read { () throws(Rejection) in try CaptureBody(message) }
            let definition = try await definition(stream)
            switch body.kind {
            case .snapshot: return try await captures.snapshot(definition, body, limit)
            case .clip: return try await captures.clip(definition, body, message, limit)
            }
        case .verb(let verb, let stream):
            let body = try read { () throws(Rejection) in try StreamCommandBody(message, verb: verb) }
            guard verb == .state else { return try await set(stream, running: verb == .start, body, message, limit) }
            let seen = try await look(at: stream, limit)
            return CommandJSON.state(seen.definition, seen.task, seen.source, problem: seen.problem)
        }
    }

    /// What is wrong with a payload as an error of the command.
    private func read<T>(_ body: () throws(Rejection) -> T) throws(RPCError) -> T {
        do throws(Rejection) { return try body() } catch { throw .invalidArgument(error.field ?? "", error.reason) }
    }

    private func set(
        _ stream: StreamName, running: Bool, _ body: StreamCommandBody, _ message: InboundMessage, _ limit: Duration
    ) async throws(RPCError) -> JSONValue {
        let request = SetDesiredStateRequest(
            stream: stream, running: running, overrideJSON: body.overrideJSON, endsAfterMs: body.endsAfterMs,
            startedBy: message.origin)
        // Correlation data makes a request one request however often it is delivered. Without any, a message that is
        // published twice on purpose has to act twice, and the registry sees that nothing changes.
        let key = message.correlationData.map { _ in "mqtt-\(message.requestDigest)" }
        let reply = try await registry.call(
            AssetRegistryMethods.setDesiredState, request, timeout: min(Self.registryTimeout, limit),
            idempotencyKey: key)
        return CommandJSON.desired(stream, reply)
    }

    /// A stream as registry and controller see it.
    private struct Seen {
        let definition: StreamDefinition
        var task: TaskStatus?
        var source: SourceStatus?
        var problem: String?
    }

    private func look(at stream: StreamName, _ limit: Duration) async throws(RPCError) -> Seen {
        var seen = Seen(definition: try await definition(stream))
        do throws(RPCError) {
            let reply = try await captures.holder(of: seen.definition).call(
                CaptureControllerMethods.listStatus, ListStatusRequest(asset: stream.asset, stream: stream.stream),
                timeout: min(Self.statusTimeout, limit))
            seen.task = reply.tasks.first { $0.stream == stream }
            seen.source = reply.sources.first { $0.source == seen.definition.source }
        } catch { seen.problem = error.message }
        return seen
    }

    private func answer(_ verb: ReadVerb, _ stream: StreamName, _ limit: Duration) async throws(RPCError) -> JSONValue {
        let seen = try await look(at: stream, limit)
        return CommandJSON.read(
            verb, stream, seen.task,
            state: CommandJSON.state(seen.definition, seen.task, seen.source, problem: seen.problem))
    }

    private func list(_ command: ListCommand, _ limit: Duration) async throws(RPCError) -> JSONValue {
        let reply = try await indexer.call(
            IndexerMethods.listRequests, ListRequestsRequest(openOnly: command.openOnly, limit: command.limit),
            timeout: min(Self.indexerTimeout, limit))
        return .fields(["accepted": .bool(true), "requests": .array(reply.requests.map(RequestJSON.summary))])
    }

    private func definition(_ stream: StreamName) async throws(RPCError) -> StreamDefinition {
        let configuration: Configuration
        do throws(FootageError) { configuration = try await footage.currentConfiguration() } catch {
            throw .unavailable(error.description)
        }
        guard let definition = configuration.streams.first(where: { $0.name == stream }) else {
            throw .notFound("no stream \(stream.text.prefix(300)); apply an asset that has it")
        }
        return definition
    }
}
