// The settings of asset-registry beside those that every service has.

import ServiceKit

enum RegistryKeys {
    static let stateDirectory = Setting<String>(
        "state-directory", default: "/var/lib/sightglass/asset-registry",
        help: "Folder of registry.sqlite; made where it is missing. One registry per folder.",
        reason: "State that must survive belongs below /var/lib.")
    static let leaseMs = Setting<Int>(
        "lease-ms", default: 3000, unit: "ms", range: 500...600_000,
        help: "Time after which a camera falls back from a controller that does not renew; it renews four times in it.",
        reason:
            "A failed controller's cameras must be recorded by another within 5 s: this leaves 2 s to be told, to "
            + "connect and to log in, and three renewals may be lost.")
    static let rebalanceAfterMs = Setting<Int>(
        "rebalance-after-ms", default: 10_000, unit: "ms", range: 0...3_600_000,
        help: "Cameras move to controllers that have too few once the controllers have been the same for so long.",
        reason: "One that starts again and again must not move cameras each time; nobody waits for balance.")
    static let namespace = Setting<String>(
        "namespace", default: "azure-iot-operations",
        help: "MQTT namespace: default topics and default paths on a media server begin with it.",
        reason: "What Azure IoT Operations uses, so that its clients find everything where they expect it.")

    static let all: [any AnySetting] = [stateDirectory, leaseMs, rebalanceAfterMs, namespace]
}
