// All that the registry knows, as one value: documents, desired states, revisions. Pure; Registry.swift changes a copy, makes
// the change durable, and only then takes the copy. Revisions:
//   a document's        the configuration's revision when it last changed
//   an endpoint's       its device's, or that of the last change of any asset where its standby follows from them
//   a stream's          the latest of its asset's, its desired state's, and the last change of any device

import Wire

struct RegistryModel: Sendable {
    struct StoredDocument: Sendable {
        let document: RegistryDocument
        let revision: UInt64
    }

    struct StoredDesired: Sendable, Equatable {
        let state: DesiredState
        let revision: UInt64
    }

    /// Of the whole configuration; grows with each change.
    var revision: UInt64 = 0
    /// Revision of the last change or removal of any device, and of any asset.
    var devicesRevision: UInt64 = 0
    var assetsRevision: UInt64 = 0
    var documents: [DocumentKey: StoredDocument] = [:]
    var desired: [StreamName: StoredDesired] = [:]
    /// The MQTT namespace: default paths on a media server and default topics begin with it.
    let namespace: String

    init(namespace: String) { self.namespace = namespace }

    func device(_ name: String) -> (document: DeviceDocument, revision: UInt64)? {
        guard let stored = documents[DocumentKey(kind: .device, name: name)],
            case .device(let device) = stored.document.body
        else { return nil }
        return (device, stored.revision)
    }

    func asset(_ name: String) -> (document: AssetDocument, revision: UInt64)? {
        guard let stored = documents[DocumentKey(kind: .asset, name: name)],
            case .asset(let asset) = stored.document.body
        else { return nil }
        return (asset, stored.revision)
    }

    private func all(_ kind: DocumentKind) -> [StoredDocument] {
        documents.filter { $0.key.kind == kind }.sorted { $0.key < $1.key }.map(\.value)
    }

    // MARK: Configuration

    /// All endpoints and streams with the settings in force, by name.
    func configuration() -> Configuration {
        let streams = all(.asset).flatMap { stored -> [StreamDefinition] in
            guard case .asset(let asset) = stored.document.body else { return [] }
            return asset.streams.map { definition(of: $0, in: asset, revision: stored.revision) }
        }
        let inUse = Set(streams.filter { $0.enabled == true }.compactMap(\.source))
        let endpoints = all(.device).flatMap { stored -> [InboundEndpoint] in
            guard case .device(let device) = stored.document.body else { return [] }
            // An endpoint that cannot be used is left out: nobody shall try it. Its issue stands in the document's.
            return device.endpoints.filter { $0.error == nil }.map { endpoint in
                var result = endpoint.definition
                result.revision = stored.revision
                if result.standby == nil {
                    result.standby = result.source.map(inUse.contains) == true ? .ring : .off
                    result.revision = max(stored.revision, assetsRevision)
                }
                return result
            }
        }
        return Configuration(revision: revision, endpoints: endpoints, streams: streams)
    }

    /// The sources that a controller may open.
    func eligibleSources() -> [SourceName] {
        all(.device).flatMap { stored -> [SourceName] in
            guard case .device(let device) = stored.document.body, device.enabled else { return [] }
            return device.endpoints.filter { $0.error == nil }.compactMap(\.definition.source)
        }
    }

    /// One stream as it is in force; nil where there is none of that name.
    func definition(of name: StreamName) -> StreamDefinition? {
        guard let (asset, revision) = asset(name.asset ?? ""),
            let stream = asset.streams.first(where: { $0.name == name.stream })
        else { return nil }
        return definition(of: stream, in: asset, revision: revision)
    }

    private func definition(
        of stream: AssetDocument.Stream, in asset: AssetDocument, revision assetRevision: UInt64
    ) -> StreamDefinition {
        let name = StreamName(asset: asset.name, stream: stream.name)
        let desired = self.desired[name]
        var issues = IssueList()
        var settings: TaskSettings?
        if let error = stream.unreadable {
            issues.fail(error.code, error.field, error.message, stream: stream.name)
        } else if let error = asset.defaultsError {
            issues.fail(error.code, error.field, error.message, stream: stream.name)
        } else {
            // A stored override was checked when it came; what it says now follows the present documents.
            let override = desired?.state.overrideJSON.flatMap { try? StreamLayer(json: $0, field: "override_json") }
            let result = asset.settings(of: stream, override: override, namespace: namespace)
            settings = result.settings
            issues.add(contentsOf: result.issues.issues)
        }
        let sourceEnabled = checkSource(of: asset, stream: stream.name, &issues)
        return StreamDefinition(
            name: name, source: asset.source, enabled: asset.enabled && sourceEnabled && !issues.hasErrors,
            settings: settings, desired: desired?.state ?? DesiredState(running: false, runID: ""),
            issues: issues.issues, revision: max(assetRevision, desired?.revision ?? 0, devicesRevision))
    }

    /// Whether the source can be used, with the reason where not.
    private func checkSource(of asset: AssetDocument, stream: String, _ issues: inout IssueList) -> Bool {
        guard let source = asset.source, let deviceName = source.device else {
            issues.fail(
                .deviceNotFound, "deviceRef", "asset \(asset.name) names no camera: give deviceRef", stream: stream)
            return false
        }
        guard let (device, _) = device(deviceName) else {
            issues.fail(
                .deviceNotFound, "deviceRef.deviceName",
                "device \(deviceName.quotedForMessage) is not known: apply it, or correct deviceRef", stream: stream)
            return false
        }
        guard let endpoint = device.endpoints.first(where: { $0.name == source.endpoint }) else {
            let known = device.endpoints.prefix(8).map(\.name).joined(separator: ", ")
            issues.fail(
                .endpointNotFound, "deviceRef.endpointName",
                "device \(deviceName) has no endpoint \((source.endpoint ?? "").quotedForMessage); it has: \(known)",
                stream: stream)
            return false
        }
        if let error = endpoint.error {
            issues.fail(
                .endpointFaulty, "deviceRef", "device \(deviceName) cannot be used: \(error)", stream: stream)
            return false
        }
        if !device.enabled {
            issues.warn(.deviceDisabled, "deviceRef", "device \(deviceName) is disabled", stream: stream)
        }
        return device.enabled
    }

    /// What is wrong or unusual in a stored document, as things stand now.
    func issues(of document: RegistryDocument) -> [Issue] {
        switch document.body {
        case .device(let device): return device.issues
        case .asset(let asset):
            var list = IssueList()
            list.add(contentsOf: asset.issues)
            for stream in asset.streams {
                list.add(contentsOf: definition(of: stream, in: asset, revision: 0).issues)
            }
            return list.issues
        }
    }
}
