// The answers to commands as JSON: what an operator reads. Pure.

import JSON
import RPC
import Wire

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

    /// The picture is not there yet; the retained topic will say what came of it.
    static func capturing(_ stream: StreamName, _ topic: String) -> JSONValue {
        .fields([
            "accepted": .bool(true),
            "asset": .nonEmpty(stream.asset),
            "stream": .nonEmpty(stream.stream),
            "state": .string("capturing"),
            "outcomeTopic": .string(topic),
        ])
    }

    /// A clip is asked for; the retained topic follows it.
    static func clip(_ stream: StreamName, _ reply: SubmitReply, statusTopic: String) -> JSONValue {
        .fields([
            "accepted": .bool(true),
            "asset": .nonEmpty(stream.asset),
            "stream": .nonEmpty(stream.stream),
            "requestId": .string(optional: reply.request?.requestID),
            "state": reply.request?.state.map { .string($0.name) },
            "start": .time(reply.request?.window?.startUs),
            "end": .time(reply.request?.window?.endUs),
            "cameras": reply.request.map { .array($0.cameras.map(RequestJSON.camera)) },
            "outcomeTopic": .string(statusTopic),
        ])
    }

    /// The media connector's reading verbs. Their answers were never published; each has one field of its own name, beside
    /// the stream.
    static func read(_ verb: ReadVerb, _ stream: StreamName, _ task: TaskStatus?, state: JSONValue) -> JSONValue {
        let datapoint = JSONValue.nonEmpty(stream.stream)
        switch verb {
        case .taskState:
            return .fields([
                "datapoint": datapoint, "taskState": .string((task?.state ?? .unspecified).name),
                "runId": .nonEmpty(task?.runID),
            ])
        case .taskDebugInfo: return .fields(["datapoint": datapoint, "debugInfo": state])
        case .taskErrorString:
            return .fields(["datapoint": datapoint, "errorString": .string(task?.error ?? "")])
        case .taskOutputString:
            return .fields(["datapoint": datapoint, "outputString": .string(task?.lastOutput ?? "")])
        }
    }

    /// The retained word of the last command that was published plainly.
    static func last(_ verb: String, _ answer: JSONValue, origin: String, atUs: Int64) -> JSONValue {
        .fields([
            "verb": .string(verb), "accepted": answer["accepted"] ?? .bool(false), "state": answer["state"],
            "runId": answer["runId"], "requestId": answer["requestId"], "error": answer["error"],
            "from": .string(origin), "time": .time(atUs),
        ])
    }

    static func refused(_ stream: StreamName?, _ error: RPCError) -> JSONValue {
        .fields([
            "accepted": .bool(false),
            "asset": .nonEmpty(stream?.asset),
            "stream": .nonEmpty(stream?.stream),
            "error": ErrorJSON.of(error),
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
