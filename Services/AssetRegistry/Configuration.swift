// The settings of asset-registry beside those that every service has.

import ServiceKit

enum RegistryKeys {
    static let stateDirectory = Setting<String>(
        "state-directory", default: "/var/lib/sightglass/asset-registry",
        help: "Folder of registry.sqlite; made where it is missing. One registry per folder.",
        reason: "State that must survive belongs below /var/lib.")
    static let leaseMs = Setting<Int>(
        "lease-ms", default: 5000, unit: "ms", range: 500...600_000,
        help: "Time after which a camera falls back from a controller that does not renew.",
        reason: "A failed controller's cameras must be taken over within 5 s; four renewals fit into it.")
    static let namespace = Setting<String>(
        "namespace", default: "azure-iot-operations",
        help: "MQTT namespace: default topics and default paths on a media server begin with it.",
        reason: "What Azure IoT Operations uses, so that its clients find everything where they expect it.")

    static let all: [any AnySetting] = [stateDirectory, leaseMs, namespace]
}
