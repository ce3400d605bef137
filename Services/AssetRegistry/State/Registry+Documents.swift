// Apply, Get, Delete and Changes.

import RPC
import ServiceKit
import Wire

extension Registry {
    /// What GetConfiguration may weigh: the RPC limit of 1 MiB less the envelope.
    static let maximumConfigurationBytes = (1 << 20) - 16 * 1024

    /// Reads the text before it is the registry's turn, so that a large one keeps nobody else waiting.
    nonisolated func apply(_ request: ApplyRequest) async throws(RPCError) -> ApplyReply {
        guard let text = request.text else {
            throw FieldCheck.wrong("text", "is missing: it holds the documents to apply")
        }
        let origin = try FieldCheck.text(request.origin, "origin", maximumBytes: 256)
        return try await apply(
            DocumentReading.read(text), origin: origin, isDryRun: request.dryRun ?? false)
    }

    private func apply(
        _ documents: [RegistryDocument], origin: String, isDryRun: Bool
    ) throws(RPCError) -> ApplyReply {
        var next = model
        var write = RegistryWrite(model, nowUs: nowUs)
        var changedKeys = Set<DocumentKey>()
        for document in documents where model.documents[document.key]?.document.canonicalJSON != document.canonicalJSON
        {
            changedKeys.insert(document.key)
        }
        if !changedKeys.isEmpty { next.revision += 1 }
        for document in documents where changedKeys.contains(document.key) {
            next.documents[document.key] = RegistryModel.StoredDocument(document: document, revision: next.revision)
            write.documents.append((document, next.revision, origin))
            if document.key.kind == .device {
                next.devicesRevision = next.revision
                write.changes.append(RegistryWrite.Change(what: .device, name: document.key.name))
            } else {
                next.assetsRevision = next.revision
                write.changes.append(RegistryWrite.Change(what: .asset, name: document.key.name))
            }
            if case .asset(let asset) = document.body { followStreams(of: asset, &next, &write) }
        }
        write.takeRevisions(of: next)
        if !changedKeys.isEmpty { try checkSize(next) }
        let reply = ApplyReply(
            documents: documents.map { document in
                AppliedDocument(
                    kind: document.key.kind, name: document.key.name, revision: next.documents[document.key]?.revision,
                    changed: changedKeys.contains(document.key), issues: next.issues(of: document))
            })
        guard !isDryRun, !changedKeys.isEmpty else { return reply }
        let leases = withdrawLeases(for: next, &write)
        try commit(write, model: next, leases: leases)
        return reply
    }

    /// Desired states of an applied asset: new streams begin as autostart says, streams that are gone are forgotten.
    private func followStreams(of asset: AssetDocument, _ next: inout RegistryModel, _ write: inout RegistryWrite) {
        let names = Set(asset.streams.map(\.name))
        for name in model.desired.keys where name.asset == asset.name && !names.contains(name.stream ?? "") {
            next.desired[name] = nil
            write.deletedDesired.append(name)
        }
        for stream in asset.streams where stream.unreadable == nil && asset.defaultsError == nil {
            let name = StreamName(asset: asset.name, stream: stream.name)
            // A stream with an error is first seen when the error is gone.
            guard let settings = asset.settings(of: stream, override: nil, namespace: options.namespace).settings,
                let state = DesiredTransition.firstSight(
                    model.desired[name]?.state, autostart: settings.autostart ?? true, nowUs: nowUs,
                    runID: options.makeRunID())
            else { continue }
            let stored = RegistryModel.StoredDesired(state: state, revision: next.revision)
            next.desired[name] = stored
            write.desired.append((name, stored))
            write.changes.append(RegistryWrite.Change(what: .desired, name: name.text))
        }
    }

    private func checkSize(_ next: RegistryModel) throws(RPCError) {
        let size = next.configuration().encoded().count
        guard size <= Self.maximumConfigurationBytes else {
            throw .resourceExhausted(
                "the configuration would have \(size) bytes, one registry serves \(Self.maximumConfigurationBytes): "
                    + "remove devices or assets, or run a second site")
        }
    }

    func getConfiguration(_ request: GetConfigurationRequest) -> Configuration {
        if request.knownRevision == model.revision { return Configuration(revision: model.revision) }
        return currentConfiguration()
    }

    func getDocuments(_ request: GetDocumentsRequest) throws(RPCError) -> GetDocumentsReply {
        let kind = request.kind ?? .unspecified
        if case .unrecognized = kind { throw FieldCheck.wrong("kind", "is not known: use DEVICE or ASSET") }
        let name = try FieldCheck.nameIfAny(request.name, "name")
        let chosen = model.documents
            .filter { kind == .unspecified || $0.key.kind == kind }
            .filter { name == nil || $0.key.name == name }
            .sorted { $0.key < $1.key }
        if let name, chosen.isEmpty {
            throw .notFound("there is no \(kind == .unspecified ? "document" : kind.name) \(name.quotedForMessage)")
        }
        let size = chosen.reduce(0) { $0 + $1.value.document.json.utf8.count }
        guard size <= Self.maximumConfigurationBytes else {
            throw .resourceExhausted("the documents have \(size) bytes, an answer 1 MiB: ask by kind or name")
        }
        return GetDocumentsReply(
            documents: chosen.map { key, stored in
                StoredDocument(
                    kind: key.kind, name: key.name, revision: stored.revision, json: stored.document.json,
                    issues: model.issues(of: stored.document))
            })
    }

    func deleteDocument(_ request: DeleteDocumentRequest) throws(RPCError) -> DeleteDocumentReply {
        guard let kind = request.kind, kind == .device || kind == .asset else {
            throw FieldCheck.wrong("kind", "is missing or unknown: use DEVICE or ASSET")
        }
        let name = try FieldCheck.name(request.name, "name")
        let key = DocumentKey(kind: kind, name: name)
        guard model.documents[key] != nil else { return DeleteDocumentReply(existed: false) }
        var next = model
        var write = RegistryWrite(model, nowUs: nowUs)
        next.revision += 1
        next.documents[key] = nil
        write.deletedDocuments.append(key)
        if kind == .device {
            next.devicesRevision = next.revision
            write.changes.append(RegistryWrite.Change(what: .device, name: name))
        } else {
            next.assetsRevision = next.revision
            write.changes.append(RegistryWrite.Change(what: .asset, name: name))
            for stream in model.desired.keys where stream.asset == name {
                next.desired[stream] = nil
                write.deletedDesired.append(stream)
            }
        }
        write.takeRevisions(of: next)
        let leases = withdrawLeases(for: next, &write)
        try commit(write, model: next, leases: leases)
        return DeleteDocumentReply(existed: true)
    }

    func changes(_ request: ChangesRequest) throws(RPCError) -> RegistryChangesReply {
        let limit = try FieldCheck.bounded(request.limit, "limit", default: 100, 1...1000)
        let result: (changes: [RegistryChange], newest: UInt64)?
        do {
            result = try store.changes(after: request.after ?? 0, limit: limit)
        } catch {
            throw .unavailable("registry.sqlite cannot be read: \(error)")
        }
        guard let result else {
            throw .outOfRange("the changes after \(request.after ?? 0) are not kept: get the whole configuration")
        }
        return RegistryChangesReply(changes: result.changes, newest: result.newest)
    }
}
