// What the controller asks of the asset-registry: leases, renewed in time, and the configuration, at each hint, at each change of
// revision that a renewal shows, and on a slow timer.
import Logging
import RPC
import ServiceKit
import ServiceLifecycle
import Synchronization
import Wire

struct LeaseLoop: Service, CustomStringConvertible {
    var description: String { "leases" }
    let engine: CaptureEngine
    let registry: RPCClient
    let instance: String
    let address: @Sendable () -> String
    let capacity: Int
    let signals: RegistrySignals
    let drain: Drain
    let logger: Logger

    /// How long the first question may take; after it half a lease, so that one that is lost is asked once more before the lease is
    /// over.
    static let firstPatience = Duration.milliseconds(1500)
    /// While a source changes hands: how late the registry may learn that it is safe here, or we that it is safe there.
    static let handoverMs: UInt32 = 150

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var isAway = false
            var patience = Self.firstPatience
            while !Task.isCancelled {
                var waitMs: UInt32 = 1000
                let isDraining = drain.isUnderWay
                do {
                    let held = await engine.leasesHeld
                    let reply = try await registry.call(
                        AssetRegistryMethods.acquireLeases,
                        AcquireLeasesRequest(
                            holder: instance, holderAddress: address(), capacity: UInt32(clamping: capacity),
                            held: held,
                            takesOver: true, draining: isDraining),
                        timeout: patience)
                    await engine.leased(reply)
                    // An answer to a question of before the drain says nothing about it.
                    drain.answered(leaving: isDraining ? reply.leaving ?? 0 : 1)
                    let revision = await engine.revision
                    if reply.configurationRevision != revision { signals.askConfiguration() }
                    waitMs = min(max(reply.renewAfterMs ?? 5000, 100), 60_000)
                    // It asks for four renewals in a lease. A busy registry takes some 100 ms; one that takes 5 s is away.
                    patience = .milliseconds(min(max(2 * waitMs, 500), 5000))
                    if isDraining || reply.leases.contains(where: { $0.state == .taking }) {
                        waitMs = min(waitMs, Self.handoverMs)
                    }
                    if isAway { logger.notice("the asset-registry answers again") }
                    isAway = false
                } catch {
                    if !isAway {
                        logger.warning("the asset-registry is away, what is recorded goes on: \(error)")
                    }
                    isAway = true
                    drain.unanswered()
                    await engine.replan()
                }
                await signals.waitForLeases(atMost: .milliseconds(waitMs))
            }
        }
    }
}

/// The time between SIGTERM and the stop, in which other controllers take the cameras over while this one records on.
final class Drain: Sendable {
    private let isWanted = Atomic(false)
    private let isRegistryAway = Atomic(true)
    private let over = Wakeup()
    private let signals: RegistrySignals
    private let registry: RPCClient

    init(_ signals: RegistrySignals, registry: RPCClient) { (self.signals, self.registry) = (signals, registry) }

    var isUnderWay: Bool { isWanted.load(ordering: .relaxed) }

    /// Asks for successors and waits until all of them are ready, at most so long. At once where nobody takes anything over.
    func run(atMost limit: Duration) async {
        // One that went a moment ago is not waited for: what is left of the time to stop is for the files.
        guard registry.isConnected, !isRegistryAway.load(ordering: .relaxed) else { return }
        isWanted.store(true, ordering: .relaxed)
        signals.askLeases()
        await over.wait(atMost: limit)
    }

    /// What the registry says to one that drains.
    func answered(leaving: UInt32) {
        isRegistryAway.store(false, ordering: .relaxed)
        if leaving == 0, isUnderWay { over.signal() }
    }

    /// Nobody is there who could name a successor.
    func unanswered() {
        isRegistryAway.store(true, ordering: .relaxed)
        over.signal()
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
