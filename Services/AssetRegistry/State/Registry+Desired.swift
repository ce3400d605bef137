// SetDesiredState: starts and stops tasks.

import JSON
import RPC
import ServiceKit
import Wire

extension Registry {
    /// - Parameters:
    ///   - caller: who asks, where the request does not say it.
    ///   - idempotencyKey: the same key again gives the stored answer.
    func setDesiredState(
        _ request: SetDesiredStateRequest, caller: String, idempotencyKey: String?
    ) throws(RPCError) -> SetDesiredStateReply {
        if let idempotencyKey, let stored = try storedAnswer(idempotencyKey) { return stored }
        let (asset, stream) = try FieldCheck.stream(request.stream, "stream")
        let name = StreamName(asset: asset, stream: stream)
        guard let running = request.running else {
            throw FieldCheck.wrong("running", "is missing: true starts the task, false stops it")
        }
        let startedBy = try FieldCheck.text(request.startedBy ?? caller, "started_by", maximumBytes: 128)
        guard let definition = model.definition(of: name) else {
            throw .notFound("there is no stream \(name.text): see `sightglass get streams`")
        }
        let current = model.desired[name]?.state
        let state =
            running
            ? try start(definition, request, current: current, by: startedBy)
            : DesiredTransition.stop(current, by: startedBy, nowUs: nowUs)

        var next = model
        var write = RegistryWrite(model, nowUs: nowUs)
        if let state {
            next.revision += 1
            let stored = RegistryModel.StoredDesired(state: state, revision: next.revision)
            next.desired[name] = stored
            write.desired.append((name, stored))
            write.changes.append(RegistryWrite.Change(what: .desired, name: name.text))
        }
        write.takeRevisions(of: next)
        let reply = SetDesiredStateReply(stream: next.definition(of: name), changed: state != nil)
        if let idempotencyKey { write.answer = (idempotencyKey, reply.encoded()) }
        if state != nil || idempotencyKey != nil { try commit(write, model: next) }
        return reply
    }

    private func storedAnswer(_ key: String) throws(RPCError) -> SetDesiredStateReply? {
        do {
            return try store.answer(key: key, nowUs: nowUs).map { try SetDesiredStateReply(wire: $0) }
        } catch {
            throw .unavailable("registry.sqlite cannot be read: \(error)")
        }
    }

    private func start(
        _ definition: StreamDefinition, _ request: SetDesiredStateRequest, current: DesiredState?, by: String
    ) throws(RPCError) -> DesiredState? {
        let endsAfterMs = request.endsAfterMs
        if let endsAfterMs, !(1...DesiredTransition.maximumEndsAfterMs).contains(endsAfterMs) {
            throw FieldCheck.wrong(
                "ends_after_ms", "is \(endsAfterMs): 1 to \(DesiredTransition.maximumEndsAfterMs) are allowed")
        }
        let override = try checkedOverride(request.overrideJSON, of: definition)
        return DesiredTransition.start(
            current, overrideJSON: override, endsAtUs: endsAfterMs.map { nowUs + Int64($0) * 1000 }, by: by,
            nowUs: nowUs,
            runID: options.makeRunID())
    }

    /// The override as it is stored (sorted keys, so that the same override is the same text); nil where there is none.
    /// The stream with it must be one that can run.
    private func checkedOverride(
        _ json: String?, of definition: StreamDefinition
    ) throws(RPCError) -> String? {
        var layer: StreamLayer?
        var canonical: String?
        if let json, !json.isEmpty {
            guard json.utf8.count <= DesiredTransition.maximumOverrideBytes else {
                throw FieldCheck.wrong("override_json", "has \(json.utf8.count) bytes: at most 16 KiB are allowed")
            }
            guard !StreamURL.holdsUserInformation(json) else {
                throw FieldCheck.wrong(
                    "override_json",
                    "holds an address with a user name or password ('@'): use mediaServerUsernameRef and "
                        + "mediaServerPasswordRef, which name secrets")
            }
            do throws(LayerError) {
                layer = try StreamLayer(json: json, field: "override_json")
            } catch {
                throw .invalidArgument(error.field, error.message)
            }
            canonical = (try? JSONReader.read(json, .documents))?.text(sortedKeys: true)
            if canonical == "{}" { canonical = nil }
        }
        guard let name = definition.name, let (asset, _) = model.asset(name.asset ?? ""),
            let stream = asset.streams.first(where: { $0.name == name.stream })
        else { throw .notFound("there is no such stream") }
        if let error = stream.unreadable ?? asset.defaultsError {
            throw .failedPrecondition("\(name.text) cannot run: \(error.message)")
        }
        let result = asset.settings(of: stream, override: layer, namespace: options.namespace)
        if let issue = result.issues.issues.first(where: { $0.severity == .error }) {
            let field = issue.field ?? ""
            let message = issue.message ?? "the settings are wrong"
            if field.hasPrefix("override_json") { throw .invalidArgument(field, message) }
            throw .failedPrecondition("\(name.text) cannot run: \(message)")
        }
        guard asset.enabled else {
            throw .failedPrecondition(
                "\(name.text) cannot run: asset \(asset.name) is disabled; enable it and apply it")
        }
        // What is wrong with the source does not depend on the override.
        if let issue = definition.issues.first(where: { issue in
            issue.field?.hasPrefix("deviceRef") == true
        }) {
            throw .failedPrecondition("\(name.text) cannot run: \(issue.message ?? "its camera cannot be used")")
        }
        return canonical
    }
}
