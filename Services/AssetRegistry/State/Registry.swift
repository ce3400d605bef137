// The one writer. Each call changes a copy of the state, makes the change durable, takes the copy, then tells others: an
// answer that left is on disk. The calls stand in Registry+Documents.swift, Registry+Desired.swift, Registry+Leases.swift.

import Dispatch
import Logging
import Metrics
import RPC
import ServiceKit
import Wire

/// Runs the registry's jobs one after the other on a queue of its own, because SQLite blocks.
final class RegistryExecutor: SerialExecutor {
    private let queue = DispatchQueue(label: "sightglass.registry")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}

/// Documents, desired states and leases.
actor Registry {
    /// What others are told after a change.
    struct Announcement: Sendable, Equatable {
        let topic: String
        let name: String
        let cursor: UInt64
    }

    /// What a registry is made with.
    struct Options: Sendable {
        let namespace: String
        let leaseMs: Int
        let rebalanceAfterMs: Int
        let clock: any WallClock
        /// Monotonic milliseconds, for leases.
        let nowMs: @Sendable () -> Int64
        let makeRunID: @Sendable () -> String
        let announce: @Sendable (Announcement) -> Void
        /// Nil while the database can be written, else why not.
        let reportStorage: @Sendable (String?) -> Void
    }

    private let executor = RegistryExecutor()
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    let options: Options
    let logger: Logger
    let store: RegistryStore
    private(set) var model: RegistryModel
    private(set) var leaseTable: LeaseTable
    private var cachedConfiguration: Configuration?
    /// When leases were looked at last (monotonic).
    private var lookedAtMs: Int64

    /// Opens the database and reads everything.
    init(store: RegistryStore, options: Options, logger: Logger) throws {
        self.options = options
        self.logger = logger
        self.store = store
        var model = RegistryModel(namespace: options.namespace)
        try store.load(into: &model)
        self.model = model
        lookedAtMs = options.nowMs()
        leaseTable = LeaseTable(
            leaseMs: Int64(options.leaseMs), rebalanceAfterMs: Int64(options.rebalanceAfterMs),
            stored: try store.loadLeases(), nowMs: lookedAtMs)
    }

    var nowUs: Int64 { options.clock.nowUs() }

    /// The configuration, made once for each revision.
    func currentConfiguration() -> Configuration {
        if let cachedConfiguration, cachedConfiguration.revision == model.revision { return cachedConfiguration }
        let made = model.configuration()
        cachedConfiguration = made
        return made
    }

    // MARK: Committing

    /// Makes a change durable, takes it over, and announces it. Where the disk refuses, nothing changed.
    func commit(_ write: RegistryWrite, model next: RegistryModel? = nil, leases: LeaseTable? = nil) throws(RPCError) {
        let cursor: UInt64
        do {
            cursor = try store.commit(write)
        } catch {
            let reason = "registry.sqlite cannot be written (\(error)): free the disk or correct its permissions"
            logger.error("nothing was changed", metadata: ["reason": "\(reason)"])
            options.reportStorage(reason)
            throw .unavailable(reason)
        }
        options.reportStorage(nil)
        if let next { model = next }
        if let leases { leaseTable = leases }
        for change in write.changes {
            Counter(label: "sightglass_registry_changes_total", dimensions: [("what", change.what.rawValue)])
                .increment()
            let topic = change.what == .lease ? "leases/" : "configuration/"
            options.announce(Announcement(topic: topic, name: change.name, cursor: cursor))
        }
    }

    /// Adds what follows from changed documents to a transaction: leases of sources that may not be opened any more end.
    func withdrawLeases(for next: RegistryModel, _ write: inout RegistryWrite) -> LeaseTable {
        var leases = leaseTable
        record(leases.withdraw(exceptFor: next.eligibleSources(), nowMs: options.nowMs()), of: leases, &write)
        return leases
    }

    /// Adds changed leases to a transaction.
    func record(_ sources: some Collection<SourceName>, of leases: LeaseTable, _ write: inout RegistryWrite) {
        for source in sources.sorted(by: SourceName.precedes) {
            guard let entry = leases.entries[source] else { continue }
            write.leases.append((source, entry))
            write.changes.append(RegistryWrite.Change(what: .lease, name: source.text))
        }
    }

    /// Takes over renewals, which are not durable: after a start every holder gets a full lease time anyway.
    func renew(_ leases: LeaseTable) { leaseTable = leases }

    // MARK: Time

    /// Looked at later than this, we stood still (a paused process, a disk that took seconds): the renewals of that time
    /// still wait, so nobody's lease ran out (L3).
    private static let standstillMs: Int64 = 1000

    /// The leases as they are now.
    func presentLeases() -> LeaseTable {
        var leases = leaseTable
        let nowMs = options.nowMs()
        if nowMs - lookedAtMs > Self.standstillMs {
            logger.notice(
                "the registry stood still: every lease gets its full time anew",
                metadata: ["milliseconds": "\(nowMs - lookedAtMs)"])
            leases.extend(nowMs: nowMs)
            leaseTable = leases
        }
        lookedAtMs = nowMs
        return leases
    }

    /// Ends the runs and the leases whose time has come.
    func tick() {
        var next = model
        var write = RegistryWrite(model, nowUs: nowUs)
        for (name, stored) in model.desired {
            guard let ended = DesiredTransition.end(stored.state, nowUs: nowUs) else { continue }
            if next.revision == model.revision { next.revision += 1 }
            let changed = RegistryModel.StoredDesired(state: ended, revision: next.revision)
            next.desired[name] = changed
            write.desired.append((name, changed))
            write.changes.append(RegistryWrite.Change(what: .desired, name: name.text))
            logger.info("the run's end has come", metadata: ["stream": "\(name.text)"])
        }
        write.takeRevisions(of: next)
        var leases = presentLeases()
        let nowMs = options.nowMs()
        let expired = leases.expire(nowMs: nowMs)
        for source in expired {
            guard let holder = leaseTable.entries[source]?.holder, leases.entries[source]?.holder != holder else {
                continue
            }
            logger.warning(
                "lease ran out: the controller did not renew it",
                metadata: [
                    "source": "\(source.text)", "holder": "\(holder)",
                ])
        }
        record(Set(expired).union(leases.beginMoves(nowMs: nowMs)), of: leases, &write)
        guard !write.changes.isEmpty else { return renew(leases) }
        // A disk that refuses was logged and reported by commit; the next tick tries again.
        try? commit(write, model: next, leases: leases)
    }
}
