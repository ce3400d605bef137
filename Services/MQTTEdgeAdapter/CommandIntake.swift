// Commands on streams (scenarios 1 and 2.1): start, stop, state, capture. Each is answered, and acknowledged after the
// answer. A command is never kept for later: who sent it is told 503 when a neighbour is away, because a start that
// happens an hour late is not what anybody asked for.

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
    /// A controller may have to wait for a decoder.
    private static let captureTimeout = Duration.seconds(10)
    private static let statusTimeout = Duration.seconds(2)

    let topics: Topics
    let registry: RPCClient
    let controllers: ControllerClients
    let footage: FootageRequester
    let correspondence: Correspondence
    /// Longest time for one call; the calls have lower bounds of their own.
    let patience: Duration
    let logger: Logger

    /// Carries a command out and answers it.
    func handle(_ message: InboundMessage) async -> Verdict {
        guard case .command(let verb, let stream) = topics.route(message.topic) else { return .acknowledge }
        do throws(RPCError) {
            let body: StreamCommandBody
            do throws(Rejection) { body = try StreamCommandBody(message, verb: verb) } catch {
                throw .invalidArgument(error.field ?? "", error.reason)
            }
            let json =
                switch verb {
                case .start: try await set(stream, running: true, body, message)
                case .stop: try await set(stream, running: false, body, message)
                case .state: try await state(stream)
                case .capture: try await capture(stream, body)
                }
            logger.info("a command is carried out", metadata: ["verb": "\(verb)", "stream": "\(stream.text)"])
            count(verb, .ok)
            await correspondence.answer(json, to: message, code: .ok, text: nil)
        } catch {
            logger.notice(
                "a command is refused",
                metadata: ["verb": "\(verb)", "stream": "\(stream.text)", "reason": "\(error.description)"])
            count(verb, error.code)
            await correspondence.answer(
                CommandJSON.refused(stream, error), to: message, code: error.code, text: error.message)
        }
        return .acknowledge
    }

    private func count(_ verb: Verb, _ code: Code) {
        Counter(
            label: "sightglass_adapter_commands_total", dimensions: [("verb", verb.rawValue), ("code", code.name)]
        ).increment()
    }

    private func set(
        _ stream: StreamName, running: Bool, _ body: StreamCommandBody, _ message: InboundMessage
    ) async throws(RPCError) -> JSONValue {
        let request = SetDesiredStateRequest(
            stream: stream, running: running, overrideJSON: body.overrideJSON, endsAfterMs: body.endsAfterMs,
            startedBy: message.origin)
        // Correlation data makes a request one request however often it is delivered. Without any, a message that is
        // published twice on purpose has to act twice, and the registry sees that nothing changes.
        let key = message.correlationData.map { _ in "mqtt-\(message.requestDigest)" }
        let reply = try await registry.call(
            AssetRegistryMethods.setDesiredState, request, timeout: min(Self.registryTimeout, patience),
            idempotencyKey: key)
        return CommandJSON.desired(stream, reply)
    }

    private func state(_ stream: StreamName) async throws(RPCError) -> JSONValue {
        let definition = try await definition(stream)
        var task: TaskStatus?
        var source: SourceStatus?
        var problem: String?
        do throws(RPCError) {
            let reply = try await holder(of: definition).call(
                CaptureControllerMethods.listStatus, ListStatusRequest(asset: stream.asset, stream: stream.stream),
                timeout: min(Self.statusTimeout, patience))
            task = reply.tasks.first { $0.stream == stream }
            source = reply.sources.first { $0.source == definition.source }
        } catch { problem = error.message }
        return CommandJSON.state(definition, task, source, problem: problem)
    }

    private func capture(_ stream: StreamName, _ body: StreamCommandBody) async throws(RPCError) -> JSONValue {
        let definition = try await definition(stream)
        let reply = try await holder(of: definition).call(
            CaptureControllerMethods.takeSnapshot, TakeSnapshotRequest(stream: stream, format: body.format),
            timeout: min(Self.captureTimeout, patience))
        return CommandJSON.captured(stream, reply)
    }

    private func definition(_ stream: StreamName) async throws(RPCError) -> StreamDefinition {
        let configuration: Configuration
        do throws(FootageError) { configuration = try await footage.currentConfiguration() } catch {
            throw .unavailable(error.description)
        }
        guard let definition = configuration.streams.first(where: { $0.name == stream }) else {
            throw .notFound("no stream \(stream.text); apply an asset that has it")
        }
        return definition
    }

    private func holder(of definition: StreamDefinition) async throws(RPCError) -> RPCClient {
        guard let source = definition.source, let address = await footage.controllerAddress(of: source) else {
            throw .unavailable("no capture controller holds the camera at present; it is tried again by itself")
        }
        return try await controllers.client(at: address)
    }
}

/// The answers to commands. Pure.
enum CommandJSON {
    /// The registry has stored it; the retained status of the stream tells what comes of it.
    static func desired(_ stream: StreamName, _ reply: SetDesiredStateReply) -> JSONValue {
        let desired = reply.stream?.desired
        let isRunning = desired?.running ?? false
        return .fields([
            "accepted": .bool(true),
            "asset": .string(optional: stream.asset),
            "stream": .string(optional: stream.stream),
            "desired": .string(isRunning ? "running" : "stopped"),
            "state": .string(isRunning ? "starting" : "stopping"),
            "runId": .nonEmpty(desired?.runID),
            "changed": .bool(optional: reply.changed),
            "enabled": .bool(optional: reply.stream?.enabled),
            "endsAt": .time(desired?.endsAtUs),
            "issues": issues(reply.stream?.issues ?? []),
        ])
    }

    static func state(
        _ definition: StreamDefinition, _ task: TaskStatus?, _ source: SourceStatus?, problem: String?
    ) -> JSONValue {
        .fields([
            "accepted": .bool(true),
            "asset": .nonEmpty(definition.name?.asset),
            "stream": .nonEmpty(definition.name?.stream),
            "desired": .string(definition.desired?.running == true ? "running" : "stopped"),
            "state": .string((task?.state ?? .unspecified).name),
            "runId": .nonEmpty(task?.runID ?? definition.desired?.runID),
            "startedBy": .nonEmpty(definition.desired?.startedBy),
            "endsAt": .time(definition.desired?.endsAtUs),
            "type": definition.settings?.type.map { .string(StatusJSON.typeName($0)) },
            "enabled": .bool(optional: definition.enabled),
            "issues": issues(definition.issues),
            "taskError": .nonEmpty(task?.error),
            "produced": .integer(optional: task?.produced),
            "dropped": .integer(optional: task?.dropped),
            "lastOutput": .nonEmpty(task?.lastOutput),
            "lastOutputAt": .time(task?.lastOutputUs),
            "sourceState": source?.state.map { .string($0.name) },
            "sourceReason": .nonEmpty(source?.reason),
            "controllerProblem": .nonEmpty(problem),
        ])
    }

    static func captured(_ stream: StreamName, _ reply: TakeSnapshotReply) -> JSONValue {
        .fields([
            "accepted": .bool(true),
            "asset": .nonEmpty(stream.asset),
            "stream": .nonEmpty(stream.stream),
            "capturedAt": .time(reply.capturedUs),
            "width": .integer(optional: reply.widthPx),
            "height": .integer(optional: reply.heightPx),
            "volumeId": .nonEmpty(reply.file?.volumeID),
            "path": .nonEmpty(reply.file?.path),
            "sizeBytes": .integer(optional: reply.file?.sizeBytes),
        ])
    }

    static func refused(_ stream: StreamName, _ error: RPCError) -> JSONValue {
        .fields([
            "accepted": .bool(false),
            "asset": .nonEmpty(stream.asset),
            "stream": .nonEmpty(stream.stream),
            "error": .fields([
                "code": .string(error.code.name),
                "message": .string(error.message),
                "field": .nonEmpty(error.field),
            ]),
        ])
    }

    private static func issues(_ issues: [Issue]) -> JSONValue? {
        guard !issues.isEmpty else { return nil }
        return .array(
            issues.map { issue in
                .fields([
                    "severity": issue.severity.map { .string($0.name) },
                    "code": .nonEmpty(issue.code),
                    "message": .nonEmpty(issue.message),
                    "field": .nonEmpty(issue.field),
                ])
            })
    }
}
