// asset-registry: devices, inbound endpoints, assets, streams, the desired state of each task, leases on sources.
// Wiring only. Documents/ reads what is applied, State/ decides, Store/ keeps it.

import Foundation
import RPC
import ServiceKit
import ServiceLifecycle
import Wire

await ServiceProgram(
    role: "asset-registry", callers: AssetRegistryMethods.callerRoles,
    summary:
        "Knows the cameras and what shall be done with them: devices, assets, tasks and who may open which camera.",
    settings: RegistryKeys.all
).run { runtime in
    let hints = try runtime.makePublisher()
    let health = runtime.health
    let options = Registry.Options(
        namespace: runtime.settings[RegistryKeys.namespace], leaseMs: runtime.settings[RegistryKeys.leaseMs],
        rebalanceAfterMs: runtime.settings[RegistryKeys.rebalanceAfterMs], clock: runtime.clock,
        nowMs: { MonotonicTime.nowUs() / 1000 },
        makeRunID: { UUID().uuidString.lowercased() },
        announce: { hints.publish(topic: $0.topic, name: $0.name, cursor: $0.cursor) },
        reportStorage: { problem in health.set("database", ready: problem == nil, reason: problem ?? "") })
    let state = try StateDirectory(
        runtime.settings[RegistryKeys.stateDirectory], database: "registry.sqlite", lockFile: "registry.sqlite.lock",
        role: runtime.role)
    let store = try RegistryStore(path: state.databasePath, holding: state)
    let registry = try Registry(store: store, options: options, logger: runtime.logger)
    let server = try runtime.makeServer()
    RegistryHandlers.register(registry, on: server)
    return [server, DeadlineLoop(registry: registry)]
}
