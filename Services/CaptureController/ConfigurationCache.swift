// The last configuration and leases seen, as files in the state directory, so that a controller that restarts while the
// registry is away records on. `configuration.cache` and `leases.cache` hold the messages as on the wire.
import Foundation
import Wire

struct ConfigurationCache: Sendable {
    let directory: String

    func save(_ configuration: Configuration) throws { try write(configuration.encoded(), "configuration.cache") }

    func save(_ leases: AcquireLeasesReply) throws { try write(leases.encoded(), "leases.cache") }

    /// Nil where there is none, or where it cannot be read: then the registry has to be there.
    func configuration() -> Configuration? { read("configuration.cache").flatMap { try? Configuration(wire: $0) } }

    /// The leases count as run out: what is recorded goes on, pictures and pushes wait for the registry.
    func leases() -> [Lease] {
        let reply = read("leases.cache").flatMap { try? AcquireLeasesReply(wire: $0) }
        return (reply?.leases ?? []).map { lease in
            var old = lease
            old.remainingMs = 0
            return old
        }
    }

    private func write(_ bytes: [UInt8], _ name: String) throws {
        try bytes.data.write(to: URL(fileURLWithPath: directory + "/" + name), options: .atomic)
    }

    private func read(_ name: String) -> [UInt8]? {
        FileManager.default.contents(atPath: directory + "/" + name).map { [UInt8]($0) }
    }
}
