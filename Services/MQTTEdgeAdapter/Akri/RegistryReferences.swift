// The ids that devices and assets have in Azure Device Registry: pictures carry them as CloudEvents' `aiodeviceref` and
// `aioassetref`.

import JSON
import Synchronization

/// Ids by name. Empty where Akri is not there.
final class RegistryReferences: Sendable {
    /// Those of one picture.
    struct Pair: Sendable, Equatable {
        var device: String?
        var asset: String?
    }

    private let ids = Mutex((devices: [String: String](), assets: [String: String]()))

    /// A definition came.
    func device(_ name: String, _ definition: JSONValue) {
        ids.withLock { $0.devices[name] = Self.id(definition) }
    }

    /// A definition came.
    func asset(_ name: String, _ definition: JSONValue) {
        ids.withLock { $0.assets[name] = Self.id(definition) }
    }

    func pair(device: String?, asset: String?) -> Pair {
        ids.withLock { ids in Pair(device: device.flatMap { ids.devices[$0] }, asset: asset.flatMap { ids.assets[$0] })
        }
    }

    private static func id(_ definition: JSONValue) -> String? {
        definition[given: "uuid"]?.string.flatMap { $0.utf8.count <= 64 ? $0 : nil }
    }
}
