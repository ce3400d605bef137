// Owns the sessions: from configuration, leases and time to plans, from plans to sessions that start, change and stop. The loops
// that ask the registry are in RegistryLoops.swift, the calls of others in Calls.swift.
import Foundation
import Logging
import ServiceKit
import Synchronization
import Wire

actor CaptureEngine {
    private let planner: Planner
    private let equipment: Equipment
    private let inventory: Inventory
    private let cache: ConfigurationCache
    private let logger: Logger
    private let joining = BlockingLane("stopping sources")
    /// The sessions for the ticker thread and the status, which do not wait for the actor.
    nonisolated let sessions = SessionTable()

    private(set) var configuration = Configuration()
    private(set) var leases = LeaseTable()
    /// Windows of sources that have no session yet.
    private var windows: [SourceKey: [FootageWindow]] = [:]
    /// Where salvaged footage ends, for the gap up to the next frame.
    private var killedAtUs: [SourceKey: Int64] = [:]
    /// Where the footage of each source ends, for the gap up to the next one.
    private var footageEndUs: [SourceKey: Int64] = [:]
    private var stopping = false
    /// False until leftovers were salvaged: a session that begins before would not know where its gap begins.
    private var isReleased = false

    init(planner: Planner, equipment: Equipment, inventory: Inventory, cache: ConfigurationCache) {
        self.planner = planner
        self.equipment = equipment
        self.inventory = inventory
        self.cache = cache
        logger = equipment.logger
    }

    /// Takes what an earlier life knew.
    func restore(windows restored: [FootageWindow]) {
        for window in restored { windows[window.source, default: []].append(window) }
        if let known = cache.configuration() {
            configuration = known
            _ = leases.answered(cache.leases(), nowUs: monotonicUs())
            logger.info(
                "configuration of the last run loaded",
                metadata: ["revision": "\(known.revision ?? 0)", "sources": "\(leases.held.count)"])
        }
    }

    /// Sources may start now. `killedAtUs` says where salvaged footage ends, `footageEndUs` where all footage does.
    func release(killedAtUs: [SourceKey: Int64], footageEndUs: [SourceKey: Int64]) {
        self.footageEndUs = footageEndUs.merging(killedAtUs) { max($0, $1) }
        // Leftovers of a volume that was full may be older than the newest footage; then nothing was killed behind them.
        self.killedAtUs = killedAtUs.filter { source, endUs in endUs >= footageEndUs[source] ?? .min }
        isReleased = true
        replan()
    }

    /// All leases as the next request to the registry says them.
    var leasesHeld: [Lease] {
        let (wallUs, sessions) = (wallClockUs(), sessions.all)
        return leases.wire(holder: equipment.instance) { source in
            sessions[source]?.view { $0.pipeline.readiness(wallUs: wallUs) } ?? LeaseReadiness()
        }
    }
    var heldLeases: [SourceKey: HeldLease] { leases.owned }
    var revision: UInt64? { configuration.revision }

    /// A new configuration of the registry.
    func configured(_ next: Configuration) {
        guard next.revision != configuration.revision || !next.endpoints.isEmpty || !next.streams.isEmpty else {
            return
        }
        guard next != configuration else { return }
        configuration = next
        save { try $0.save(next) }
        logger.info(
            "configuration",
            metadata: [
                "revision": "\(next.revision ?? 0)", "endpoints": "\(next.endpoints.count)",
                "streams": "\(next.streams.count)",
            ])
        replan()
    }

    /// The registry's answer to AcquireLeases.
    func leased(_ reply: AcquireLeasesReply) {
        let changed = leases.answered(reply.leases, nowUs: monotonicUs())
        if changed {
            var owned = reply
            owned.leases.removeAll { $0.state == .taking }
            save { try $0.save(owned) }
            logger.info(
                "leases",
                metadata: ["held": "\(leases.owned.count)", "taking_over": "\(leases.held.count - leases.owned.count)"])
        }
        replan()
    }

    private func save(_ body: (ConfigurationCache) throws -> Void) {
        do { try body(cache) } catch {
            logger.error("the last configuration seen could not be kept: \(error.localizedDescription)")
        }
    }

    /// Makes the plans of this moment and applies what differs. Called at each change and once a second.
    func replan() {
        guard isReleased, !stopping else { return }
        let nowUs = monotonicUs()
        let leases = leases
        let plans = planner.plans(
            configuration, leases: leases.held, nowUs: wallClockUs(),
            isFresh: { leases.isFresh($0, nowUs: nowUs) })
        for (source, session) in sessions.all where plans[source] == nil {
            sessions.remove(source)
            session.stop(reason: "this controller no longer holds the camera")
            // The lease may come back: promises and the end of the footage are not forgotten.
            let left = session.remains
            windows[source] = left.windows
            footageEndUs[source] = left.footageEndUs
            let joining = joining
            Task { try? await joining.run { session.join(waitingAtMost: 5) } }
            equipment.statusChanged()
        }
        for (source, plan) in plans {
            if let session = sessions[source] {
                session.apply(plan)
                session.expire()
                continue
            }
            let session = SourceSession(plan: plan, equipment: equipment)
            let gap = killedAtUs.removeValue(forKey: source).map {
                SourcePipeline.OpenGap(fromUs: $0, cause: "killed", reason: "the recorder was killed")
            }
            session.start(
                windows: windows.removeValue(forKey: source) ?? [], gap: gap, footageEndUs: footageEndUs[source])
            sessions.insert(session)
            equipment.statusChanged()
        }
    }

    /// The source of a stream.
    func source(of stream: StreamKey) -> SourceKey? {
        configuration.streams.first { StreamKey($0.name) == stream }.flatMap { SourceKey($0.source) }
    }

    /// Folder below the volume's root that a stream's footage belongs to.
    func folders() -> [StreamKey: String] {
        var folders: [StreamKey: String] = [:]
        for definition in configuration.streams {
            guard let stream = StreamKey(definition.name) else { continue }
            folders[stream] = planner.folderName(definition.settings?.path)
        }
        return folders
    }

    /// Seals and ends everything. Gives back the sessions, which the caller joins.
    func stop() -> [SourceSession] {
        stopping = true
        let all = Array(sessions.all.values)
        for session in all { session.stop(reason: "the controller stopped") }
        return all
    }
}

/// The sessions by source, for threads that do not wait for the actor.
final class SessionTable: Sendable {
    private let table = Mutex<[SourceKey: SourceSession]>([:])

    var all: [SourceKey: SourceSession] { table.withLock { $0 } }
    subscript(source: SourceKey) -> SourceSession? { table.withLock { $0[source] } }
    func insert(_ session: SourceSession) { table.withLock { $0[session.source] = session } }
    func remove(_ source: SourceKey) { table.withLock { $0[source] = nil } }
}

/// Drives the clock of all sources from an own thread, so that a busy pool does not delay a fragment.
final class Ticker: Sendable {
    private let closing = Mailbox<Bool>(maximumBytes: 0)

    /// Every 25 ms: with 120 ms of waiting a fragment is at most 145 ms old. Every 100 ms while no session needs more.
    init(_ sessions: SessionTable) {
        startThread("ticker") { [closing] in
            var round = 0
            var isFine = true
            while let end = closing.take(waitingAtMost: isFine ? 0.025 : 0.1), end.isEmpty {
                round = isFine ? (round + 1) % 4 : 0
                isFine = false
                for session in sessions.all.values where session.tick(isCoarse: round == 0) { isFine = true }
            }
        }
    }

    func stop() { closing.close() }
}
