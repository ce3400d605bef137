// A connector under Akri: what its mounts name is asked of Azure Device Registry, brought into the asset-registry, and its
// status goes back. All of it is looked at again when the broker is there again, and what failed is tried again; so nothing
// has to be stored here. Documents of other origin are left alone: AkriStore.swift looks before it writes.

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

    /// One file of the mounts. What was brought once is remembered until it is taken back.
    private struct Endpoint {
        let source: SourceName
        var device: JSONValue
        /// Its device has to be asked for, or brought, again.
        var isStale = true
        /// Those that were brought, by name, with their definitions.
        var assets: [String: JSONValue] = [:]
        /// Of those, the ones that have to be asked for again.
        var staleAssets: Set<String> = []
    }

    private enum UpdateKey: Hashable {
        case device(SourceName)
        case asset(SourceName, String)
    }

    private let folder: String
    private let calls: DeviceRegistryCalls
    private let store: AkriStore
    private let references: RegistryReferences
    private let clock: any WallClock
    private let logger: Logger
    private var endpoints: [String: Endpoint] = [:]
    private var wanted = AkriResources()
    private var health: HealthBoard
    private var waitUntil: [String: ContinuousClock.Instant] = [:]
    private var hasSwept = false
    private let wakes: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation
    /// The newest word of each: a turn may take minutes.
    private var updates: [UpdateKey: DefinitionUpdate] = [:]

    init(
        folder: String, calls: DeviceRegistryCalls, registry: RPCClient, references: RegistryReferences,
        healthInterval: Duration, clock: any WallClock, logger: Logger
    ) {
        self.folder = folder
        self.calls = calls
        store = AkriStore(registry: registry, origin: "akri:\(calls.clientID)", logger: logger)
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
        for (file, endpoint) in endpoints {
            endpoints[file]?.isStale = true
            endpoints[file]?.staleAssets = Set(endpoint.assets.keys)
        }
        waitUntil = [:]
        health.tellAgain()
        waker.yield()
    }

    /// Word of a change came.
    nonisolated func hear(_ update: DefinitionUpdate) {
        Task { await take(update) }
    }

    private func take(_ update: DefinitionUpdate) {
        switch update {
        case .device(let source, _): updates[.device(source)] = update
        case .asset(let source, let name, _): updates[.asset(source, name)] = update
        }
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
        self.wanted = wanted
        if !hasSwept { hasSwept = await sweep() }
        await remove()
        await takeUpdates()
        let files = wanted.assets.keys.sorted()
        // All devices are found before the first is brought: one that has several endpoints is one document.
        for file in files where !Task.isCancelled { await find(file) }
        for file in files where !Task.isCancelled && endpoints[file]?.isStale == true && mayTry(file) {
            if await bring(deviceOf: file) { endpoints[file]?.isStale = false } else { failed(file) }
        }
        for file in files { await follow(file, wanted.assets[file] ?? []) }
        tellHealth()
    }

    // MARK: Mounts

    private func mayTry(_ what: String) -> Bool { waitUntil[what].map { $0 <= .now } ?? true }
    private func failed(_ what: String) { waitUntil[what] = .now + Self.againAfter }

    /// Asks which device and endpoint a file means, and for the device.
    private func find(_ file: String) async {
        guard endpoints[file]?.isStale ?? true, mayTry(file) else { return }
        var reason = "the name has no underscore between device and endpoint"
        for (device, endpoint) in AkriResources.candidates(file) {
            let source = SourceName(device: device, endpoint: endpoint)
            do throws(CallFailure) {
                let definition = try await calls.device(source)
                if AkriDocuments.endpoints(definition).contains(endpoint) {
                    if endpoints[file] == nil { endpoints[file] = Endpoint(source: source, device: definition) }
                    endpoints[file]?.device = definition
                    return
                }
                reason = "the device \(device) has no inbound endpoint \(endpoint)"
            } catch { reason = error.description }
        }
        logger.warning("a device cannot be had", metadata: ["file": "\(file)", "reason": "\(reason)"])
        failed(file)
    }

    private func follow(_ file: String, _ names: [String]) async {
        guard let endpoint = endpoints[file], !endpoint.isStale else { return }
        for name in names where endpoint.assets[name] == nil || endpoint.staleAssets.contains(name) {
            let what = "\(file)/\(name)"
            guard !Task.isCancelled, mayTry(what) else { continue }
            do throws(CallFailure) {
                let definition = try await calls.asset(endpoint.source, name)
                if await !bring(asset: name, definition, of: file) { failed(what) }
            } catch {
                logger.warning("an asset cannot be had", metadata: ["asset": "\(name)", "reason": "\(error)"])
                failed(what)
            }
        }
    }

    /// Takes back what the mounts do not name any more.
    private func remove() async {
        for (file, endpoint) in endpoints where !Task.isCancelled {
            let names = wanted.assets[file] ?? []
            for (name, definition) in endpoint.assets where !names.contains(name) {
                await calls.forgetAsset(endpoint.source, name)
                // Another endpoint may have it now.
                if !wanted.assets.values.contains(where: { $0.contains(name) }) {
                    guard await store.delete(.asset, name) else { continue }
                    forgetHealth(of: name, AkriDocuments.streamNames(definition))
                }
                endpoints[file]?.assets[name] = nil
            }
            guard wanted.assets[file] == nil, endpoints[file]?.assets.isEmpty == true else { continue }
            await calls.forgetDevice(endpoint.source)
            endpoints[file] = nil
            let device = endpoint.source.device ?? ""
            let other = endpoints.first { $0.value.source.device == device }?.key
            let isGone: Bool
            if let other { isGone = await bring(deviceOf: other) } else { isGone = await store.delete(.device, device) }
            if isGone {
                health.forget(.endpoint(endpoint.source))
            } else {
                endpoints[file] = endpoint
                endpoints[file]?.assets = [:]
            }
        }
    }

    private func forgetHealth(of asset: String, _ streams: [String]) {
        for stream in streams { health.forget(.stream(StreamName(asset: asset, stream: stream))) }
    }

    /// Removes documents that an earlier life of this connector brought and the mounts do not name. False where it has to be
    /// tried again.
    private func sweep() async -> Bool {
        let assets = Set(wanted.assets.values.joined())
        let devices = Set(wanted.assets.keys.flatMap { AkriResources.candidates($0).map(\.device) })
        guard let known = await store.names() else { return false }
        for name in known.assets.subtracting(assets) { guard await store.delete(.asset, name) else { return false } }
        for name in known.devices.subtracting(devices) { guard await store.delete(.device, name) else { return false } }
        return true
    }

    // MARK: The asset-registry

    /// Brings the device of a file into the registry and tells its status. False where it has to be tried again.
    private func bring(deviceOf file: String) async -> Bool {
        guard let source = endpoints[file]?.source, let definition = endpoints[file]?.device, let name = source.device
        else { return false }
        var served = endpoints.values.filter { $0.source.device == name }.sorted { $0.source.text < $1.source.text }
            .map { (endpoint: $0.source.endpoint ?? "", definition: $0.device) }
        // An endpoint that a mount names and that could not be asked for yet stays as it is: its camera must not go dark.
        if let stored = await store.document(.device, name), AkriDocuments.isOfAkri(stored) {
            served += AkriDocuments.others(in: stored, beside: Set(served.map(\.endpoint))).filter {
                wanted.assets["\(name)_\($0.endpoint)"] != nil
            }
        }
        let version = AkriDocuments.version(definition)
        let document = AkriDocuments.device(name, served: served, origin: store.origin)
        guard let issues = await store.bring(.device, name, document) else { return false }
        references.device(name, definition)
        health.defined(.endpoint(source), version: version)
        let status = AkriDocuments.deviceStatus(
            version: version, endpoint: source.endpoint ?? "", issues: issues, atUs: clock.nowUs())
        do throws(CallFailure) { try await calls.updateDeviceStatus(source, status) } catch {
            logger.warning("a device's status is not taken", metadata: ["device": "\(name)", "reason": "\(error)"])
            return false
        }
        return true
    }

    /// Brings an asset and tells its status. False where it has to be tried again.
    private func bring(asset name: String, _ definition: JSONValue, of file: String) async -> Bool {
        guard let source = endpoints[file]?.source else { return false }
        let document = AkriDocuments.asset(name, definition, origin: store.origin)
        guard let issues = await store.bring(.asset, name, document), let streams = await store.streams(of: name) else {
            return false
        }
        let version = AkriDocuments.version(definition)
        let names = AkriDocuments.streamNames(definition)
        let before = endpoints[file]?.assets[name].map(AkriDocuments.streamNames) ?? []
        forgetHealth(of: name, before.filter { !names.contains($0) })
        // From here on it is there, and has to be taken back one day, whatever becomes of its status.
        endpoints[file]?.assets[name] = definition
        endpoints[file]?.staleAssets.insert(name)
        references.asset(name, definition)
        for stream in names { health.defined(.stream(StreamName(asset: name, stream: stream)), version: version) }
        let status = AkriDocuments.assetStatus(
            version: version, issues: issues, streams: streams, names: names, atUs: clock.nowUs())
        do throws(CallFailure) { try await calls.updateAssetStatus(source, name, status) } catch {
            logger.warning("an asset's status is not taken", metadata: ["asset": "\(name)", "reason": "\(error)"])
            return false
        }
        endpoints[file]?.staleAssets.remove(name)
        return true
    }

    // MARK: Changes

    private func takeUpdates() async {
        while !Task.isCancelled, let (key, update) = updates.first {
            updates[key] = nil
            switch update {
            case .device(let source, let definition):
                guard let file = endpoints.first(where: { $0.value.source == source })?.key,
                    isNewer(definition, endpoints[file]?.device)
                else { continue }
                endpoints[file]?.device = definition
                if await !bring(deviceOf: file) { endpoints[file]?.isStale = true }
            case .asset(let source, let name, let definition):
                guard let file = endpoints.first(where: { $0.value.source == source })?.key,
                    let known = endpoints[file]?.assets[name], isNewer(definition, known)
                else { continue }
                if await !bring(asset: name, definition, of: file) { endpoints[file]?.staleAssets.insert(name) }
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
