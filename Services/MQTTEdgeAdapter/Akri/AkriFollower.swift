// A connector under Akri: what its mounts name is asked of Azure Device Registry, brought into the asset-registry, and its
// status goes back. All of it is looked at again when the broker is there again, and what failed is tried again; so nothing
// has to be stored here. Documents of other origin are left alone.

import Footage
import JSON
import Logging
import RPC
import ServiceKit
import Wire

/// Keeps devices and assets as the mounts and the registry have them.
actor AkriFollower {
    /// Between two looks at the mounts: two files and their lines.
    static let interval = Duration.seconds(1)
    /// An asset or device that failed is tried again after so long.
    private static let againAfter = Duration.seconds(10)
    private static let registryTimeout = Duration.seconds(10)

    /// One file of the mounts.
    private struct Endpoint {
        var source: SourceName
        var device: JSONValue
        /// By name, with their definitions; nil: not here yet.
        var assets: [String: JSONValue] = [:]
    }

    private let folder: String
    private let origin: String
    private let calls: DeviceRegistryCalls
    private let registry: RPCClient
    private let references: RegistryReferences
    private let clock: any WallClock
    private let logger: Logger
    private var endpoints: [String: Endpoint] = [:]
    private var health: HealthBoard
    private var waitUntil: [String: ContinuousClock.Instant] = [:]
    private var needsAll = true
    private var hasSwept = false
    private let wakes: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation
    private var updates: [DefinitionUpdate] = []

    init(
        folder: String, calls: DeviceRegistryCalls, registry: RPCClient, references: RegistryReferences,
        healthInterval: Duration, clock: any WallClock,
        logger: Logger
    ) {
        self.folder = folder
        origin = "akri:\(calls.clientID)"
        self.calls = calls
        self.registry = registry
        self.references = references
        self.clock = clock
        self.logger = logger
        health = HealthBoard(interval: healthInterval)
        (wakes, waker) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// Follows until cancelled.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [waker] in
                while true {
                    waker.yield()
                    try await Task.sleep(for: Self.interval)
                }
            }
            group.addTask { for await _ in self.wakes { await self.turn() } }
            try await group.waitForAll()
        }
    }

    /// The broker is there (again): word of changes may have been lost.
    nonisolated func brokerConnected() {
        Task { await lookAgain() }
    }

    private func lookAgain() {
        needsAll = true
        waitUntil = [:]
        health.tellAgain()
        waker.yield()
    }

    /// Word of a change came.
    nonisolated func hear(_ update: DefinitionUpdate) {
        Task { await take(update) }
    }

    private func take(_ update: DefinitionUpdate) {
        updates.append(update)
        waker.yield()
    }

    /// How cameras and streams are, as the controllers say it.
    func saw(sources: [SourceStatus], tasks: [TaskStatus]) {
        for status in sources { if let source = status.source { health.saw(.endpoint(source), RuntimeHealth(status)) } }
        for task in tasks { if let stream = task.stream { health.saw(.stream(stream), RuntimeHealth(task)) } }
        tellHealth()
    }

    private func turn() async {
        guard calls.outbound.isConnected, let wanted = AkriResources.read(folder) else { return }
        if !hasSwept { hasSwept = await sweep(wanted) }
        await remove(beside: wanted)
        let all = needsAll
        needsAll = false
        await takeUpdates()
        for (file, names) in wanted.assets.sorted(by: { $0.key < $1.key }) {
            await follow(file, names, all: all)
        }
        tellHealth()
    }

    // MARK: Mounts

    private func follow(_ file: String, _ names: [String], all: Bool) async {
        if endpoints[file] == nil || all {
            guard mayTry(file) else { return }
            guard let (source, device) = await find(file) else { return failed(file) }
            let known = endpoints[file]?.assets ?? [:]
            endpoints[file] = Endpoint(source: source, device: device, assets: all ? [:] : known)
            guard await apply(device: source) else {
                endpoints[file] = nil
                return failed(file)
            }
        }
        guard let source = endpoints[file]?.source else { return }
        for name in names where endpoints[file]?.assets[name] == nil {
            let what = "\(file)/\(name)"
            guard mayTry(what) else { continue }
            do throws(CallFailure) {
                let definition = try await calls.asset(source, name)
                if await apply(asset: name, definition, source) {
                    keep(file, name, definition)
                } else {
                    failed(what)
                }
            } catch {
                logger.warning("an asset cannot be had", metadata: ["asset": "\(name)", "reason": "\(error)"])
                failed(what)
            }
        }
    }

    /// An asset is in force. What is known of its streams is about an earlier definition, if any.
    private func keep(_ file: String, _ name: String, _ definition: JSONValue) {
        endpoints[file]?.assets[name] = definition
        references.asset(name, definition)
        for stream in AkriDocuments.streamNames(definition) {
            health.defined(
                .stream(StreamName(asset: name, stream: stream)), version: AkriDocuments.version(definition))
        }
    }

    private func mayTry(_ what: String) -> Bool { waitUntil[what].map { $0 <= .now } ?? true }
    private func failed(_ what: String) { waitUntil[what] = .now + Self.againAfter }

    /// Asks which device and endpoint a file means.
    private func find(_ file: String) async -> (SourceName, JSONValue)? {
        var reason = "the name has no underscore between device and endpoint"
        for (device, endpoint) in AkriResources.candidates(file) {
            let source = SourceName(device: device, endpoint: endpoint)
            do throws(CallFailure) {
                let definition = try await calls.device(source)
                if AkriDocuments.endpoints(definition).contains(endpoint) { return (source, definition) }
                reason = "the device \(device) has no inbound endpoint \(endpoint)"
            } catch { reason = error.description }
        }
        logger.warning("a device cannot be had", metadata: ["file": "\(file)", "reason": "\(reason)"])
        return nil
    }

    /// Takes back what the mounts do not name any more.
    private func remove(beside wanted: AkriResources) async {
        for (file, endpoint) in endpoints {
            let names = wanted.assets[file] ?? []
            for name in endpoint.assets.keys where !names.contains(name) {
                await calls.forgetAsset(endpoint.source, name)
                guard await delete(.asset, name) else { continue }
                for stream in AkriDocuments.streamNames(endpoint.assets[name] ?? .object([])) {
                    health.forget(.stream(StreamName(asset: name, stream: stream)))
                }
                endpoints[file]?.assets[name] = nil
            }
            guard wanted.assets[file] == nil, endpoints[file]?.assets.isEmpty == true else { continue }
            await calls.forgetDevice(endpoint.source)
            endpoints[file] = nil
            health.forget(.endpoint(endpoint.source))
            let device = endpoint.source.device ?? ""
            let isGone =
                if let other = endpoints.values.first(where: { $0.source.device == device }) {
                    await apply(device: other.source)
                } else {
                    await delete(.device, device)
                }
            if !isGone { endpoints[file] = endpoint }
        }
    }

    /// Removes documents that an earlier life of this connector brought and the mounts do not name. False where it has to be
    /// tried again.
    private func sweep(_ wanted: AkriResources) async -> Bool {
        let documents: [StoredDocument]
        do throws(RPCError) {
            documents = try await registry.call(
                AssetRegistryMethods.getDocuments, GetDocumentsRequest(), timeout: Self.registryTimeout
            ).documents
        } catch { return false }
        let assets = Set(wanted.assets.values.joined())
        let devices = Set(wanted.assets.keys.flatMap { AkriResources.candidates($0).map(\.device) })
        for document in documents {
            guard let kind = document.kind, let name = document.name, let text = document.json,
                let json = try? JSONReader.read(text, .registry), AkriDocuments.origin(of: json) == origin,
                !(kind == .asset ? assets : devices).contains(name)
            else { continue }
            guard await delete(kind, name) else { return false }
        }
        return true
    }

    // MARK: The asset-registry

    private func apply(device source: SourceName) async -> Bool {
        guard let definition = endpoints.values.first(where: { $0.source == source })?.device, let name = source.device
        else { return false }
        let served = endpoints.values.filter { $0.source.device == name }.sorted { $0.source.text < $1.source.text }
        let document = AkriDocuments.device(
            name, served: served.map { ($0.source.endpoint ?? "", $0.device) }, origin: origin)
        guard let issues = await apply(document) else { return false }
        references.device(name, definition)
        health.defined(.endpoint(source), version: AkriDocuments.version(definition))
        let status = AkriDocuments.deviceStatus(
            version: AkriDocuments.version(definition), endpoint: source.endpoint ?? "", issues: issues,
            atUs: clock.nowUs())
        do throws(CallFailure) { try await calls.updateDeviceStatus(source, status) } catch {
            logger.warning("a device's status is not taken", metadata: ["device": "\(name)", "reason": "\(error)"])
            return false
        }
        return true
    }

    private func apply(asset name: String, _ definition: JSONValue, _ source: SourceName) async -> Bool {
        guard let issues = await apply(AkriDocuments.asset(name, definition, origin: origin)) else { return false }
        let version = AkriDocuments.version(definition)
        let configuration: Configuration
        do throws(RPCError) {
            configuration = try await registry.call(
                AssetRegistryMethods.getConfiguration, GetConfigurationRequest(), timeout: Self.registryTimeout)
        } catch { return false }
        let streams = configuration.streams.filter { $0.name?.asset == name }
        let names = AkriDocuments.streamNames(definition)
        let status = AkriDocuments.assetStatus(
            version: version, issues: issues, streams: streams, names: names, atUs: clock.nowUs())
        do throws(CallFailure) { try await calls.updateAssetStatus(source, name, status) } catch {
            logger.warning("an asset's status is not taken", metadata: ["asset": "\(name)", "reason": "\(error)"])
            return false
        }
        return true
    }

    /// The issues of a document that was applied; nil where the registry did not answer. A document that it refuses as a whole
    /// has that as its issue.
    private func apply(_ document: JSONValue) async -> [Issue]? {
        do throws(RPCError) {
            let reply = try await registry.call(
                AssetRegistryMethods.apply, ApplyRequest(text: document.text(), origin: origin),
                timeout: Self.registryTimeout)
            return reply.documents.flatMap(\.issues)
        } catch {
            guard FailureKind(error.code) == .final else {
                logger.warning(
                    "the asset-registry takes no document at present", metadata: ["reason": "\(error.message)"])
                return nil
            }
            return [Issue(severity: .error, code: error.code.name, message: error.message, field: error.field)]
        }
    }

    private func delete(_ kind: DocumentKind, _ name: String) async -> Bool {
        do throws(RPCError) {
            _ = try await registry.call(
                AssetRegistryMethods.deleteDocument, DeleteDocumentRequest(kind: kind, name: name),
                timeout: Self.registryTimeout)
            logger.info("a document is removed", metadata: ["kind": "\(kind.name)", "name": "\(name)"])
            return true
        } catch { return FailureKind(error.code) == .final }
    }

    // MARK: Changes

    private func takeUpdates() async {
        while !updates.isEmpty {
            switch updates.removeFirst() {
            case .device(let source, let definition):
                guard let file = endpoints.first(where: { $0.value.source == source })?.key,
                    isNewer(definition, endpoints[file]?.device)
                else { continue }
                endpoints[file]?.device = definition
                if await !apply(device: source) { endpoints[file] = nil }
            case .asset(let source, let name, let definition):
                guard let file = endpoints.first(where: { $0.value.source == source })?.key,
                    let known = endpoints[file]?.assets[name], isNewer(definition, known)
                else { continue }
                if await apply(asset: name, definition, source) {
                    keep(file, name, definition)
                } else {
                    endpoints[file]?.assets[name] = nil
                }
            }
        }
    }

    /// An older definition that comes late must not undo a newer one.
    private func isNewer(_ definition: JSONValue, _ known: JSONValue?) -> Bool {
        known.map { AkriDocuments.version(definition) >= AkriDocuments.version($0) && definition != $0 } ?? true
    }

    private func tellHealth() {
        guard calls.outbound.isConnected else { return }
        var streams: [String: [(String, JSONValue)]] = [:]
        for (subject, version, health) in health.due(now: .now) {
            let json = health.json(version: version, atUs: clock.nowUs())
            switch subject {
            case .endpoint(let source): calls.tellHealth(source, json)
            case .stream(let stream): streams[stream.asset ?? "", default: []].append((stream.stream ?? "", json))
            }
        }
        for (asset, told) in streams {
            guard let source = endpoints.values.first(where: { $0.assets[asset] != nil })?.source else { continue }
            calls.tellHealth(source, asset: asset, told.sorted { $0.0 < $1.0 })
        }
    }
}
