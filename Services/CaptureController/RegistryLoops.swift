// What the controller asks of the asset-registry: leases, renewed in time, and the configuration, at each hint, at each change of
// revision that a renewal shows, and on a slow timer.
import Logging
import RPC
import ServiceKit
import ServiceLifecycle
import Wire

struct LeaseLoop: Service, CustomStringConvertible {
    var description: String { "leases" }
    let engine: CaptureEngine
    let registry: RPCClient
    let instance: String
    let address: @Sendable () -> String
    let capacity: Int
    let signals: RegistrySignals
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var isAway = false
            while !Task.isCancelled {
                var waitMs: UInt32 = 1000
                do {
                    let held = await engine.leasesHeld
                    let reply = try await registry.call(
                        AssetRegistryMethods.acquireLeases,
                        AcquireLeasesRequest(
                            holder: instance, holderAddress: address(), capacity: UInt32(clamping: capacity), held: held
                        ),
                        timeout: .seconds(5))
                    await engine.leased(reply)
                    let revision = await engine.revision
                    if reply.configurationRevision != revision { signals.askConfiguration() }
                    waitMs = min(max(reply.renewAfterMs ?? 5000, 100), 60_000)
                    if isAway { logger.notice("the asset-registry answers again") }
                    isAway = false
                } catch {
                    if !isAway {
                        logger.warning("the asset-registry is away, what is recorded goes on: \(error)")
                    }
                    isAway = true
                    await engine.replan()
                }
                await signals.waitForLeases(atMost: .milliseconds(waitMs))
            }
        }
    }
}

struct ConfigurationLoop: Service, CustomStringConvertible {
    var description: String { "configuration" }
    let engine: CaptureEngine
    let registry: RPCClient
    let signals: RegistrySignals
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            // A registry that began anew may count from the same revision; so the first question asks for the whole.
            var known: UInt64?
            while !Task.isCancelled {
                do {
                    let reply = try await registry.call(
                        AssetRegistryMethods.getConfiguration, GetConfigurationRequest(knownRevision: known),
                        timeout: .seconds(5))
                    if known == nil || reply.revision != known {
                        await engine.configured(reply)
                        known = reply.revision
                        // New endpoints need leases, and those that are gone give theirs back.
                        signals.askLeases()
                    }
                    await signals.waitForConfiguration(atMost: .seconds(15))
                } catch {
                    logger.debug("no configuration: \(error)")
                    await signals.waitForConfiguration(atMost: .seconds(1))
                }
            }
        }
    }
}

/// Wakes the two loops.
final class RegistrySignals: Sendable {
    private let leases = Wakeup()
    private let configuration = Wakeup()

    func askLeases() { leases.signal() }
    func askConfiguration() { configuration.signal() }
    func waitForLeases(atMost limit: Duration) async { await leases.wait(atMost: limit) }
    func waitForConfiguration(atMost limit: Duration) async { await configuration.wait(atMost: limit) }
}

/// Turns hints into questions.
struct HintLoop: Service, CustomStringConvertible {
    var description: String { "hints" }
    let subscriber: HintSubscriber
    let signals: RegistrySignals

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for await event in subscriber.hints {
                switch event {
                case .hint(let hint) where hint.topic?.hasPrefix("leases/") ?? false: signals.askLeases()
                case .hint: signals.askConfiguration()
                case .lost:
                    signals.askConfiguration()
                    signals.askLeases()
                }
            }
        }
    }
}

/// Applies what only time changes: tasks that end, leases that run out, windows that expire.
struct SecondLoop: Service, CustomStringConvertible {
    var description: String { "clock" }
    let engine: CaptureEngine

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(1))
                await engine.replan()
            }
        }
    }
}
