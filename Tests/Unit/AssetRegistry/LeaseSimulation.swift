// A site of controllers on a LeaseTable, in simulated time: they ask as the contract says, die, stand still, come back and drain, and
// believe what they were answered. After each step the rules are looked at.

import Testing
import Wire

@testable import AssetRegistry

struct LeaseSimulation {
    static let leaseMs: Int64 = 3000
    static let askMs: Int64 = 750
    static let stepMs: Int64 = 250
    static let stayMs: Int64 = 40_000

    struct Controller {
        let name: String
        var capacity: Int
        var believed: [SourceName: Lease] = [:]
        /// Since when it takes a source over, for how long that takes.
        var takingSince: [SourceName: Int64] = [:]
        var isAlive = true
        var isStill = false
        var isDraining = false
        var asksAtMs: Int64 = 0
    }

    let sources: [SourceName]
    var table: LeaseTable
    var controllers: [Controller]
    var nowMs: Int64 = 0
    /// Complete moves and grants, counted by changes of the holder.
    var handovers = 0
    /// Sources that a successor never gets ready for.
    var unreachable: Set<SourceName> = []
    private var lastEpoch: [SourceName: UInt64] = [:]
    private var lastHolder: [SourceName: String] = [:]
    /// Since when nobody held a source.
    private(set) var freeSince: [SourceName: Int64] = [:]
    private(set) var longestFreeMs: Int64 = 0
    var complaints: [String] = []

    init(sources count: Int, capacities: [Int], rebalanceAfterMs: Int64 = 5000) {
        sources = (0..<count).map { SourceName(device: "cam\($0 < 10 ? "0" : "")\($0)", endpoint: "main") }
        table = LeaseTable(leaseMs: Self.leaseMs, rebalanceAfterMs: rebalanceAfterMs, stayMs: Self.stayMs)
        controllers = capacities.enumerated().map { Controller(name: "cc-\($0)", capacity: $1) }
    }

    /// How many sources each one holds by the table.
    var counts: [String: Int] {
        table.leases(nowMs: nowMs).reduce(into: [:]) { $0[$1.holder ?? "", default: 0] += 1 }
    }

    mutating func run(ms: Int64) {
        let endMs = nowMs + ms
        while nowMs < endMs {
            nowMs += Self.stepMs
            // As the registry's tick: what changed is a hint, and who is awake asks at once.
            let expired = table.expire(nowMs: nowMs)
            let moved = table.beginMoves(nowMs: nowMs)
            let isHinted = !expired.isEmpty || !moved.isEmpty
            for index in controllers.indices {
                let isReady = controllers[index].takingSince.contains { source, since in
                    nowMs - since >= 1000 && !unreachable.contains(source)
                }
                if controllers[index].asksAtMs <= nowMs || isHinted || isReady { ask(index) }
            }
            check()
        }
    }

    mutating func ask(_ index: Int) {
        guard controllers[index].isAlive, !controllers[index].isStill else { return }
        var believed: [SourceName: LeaseTable.Belief] = [:]
        for (source, lease) in controllers[index].believed {
            let isReady = controllers[index].takingSince[source].map { nowMs - $0 >= 1000 } ?? false
            believed[source] = LeaseTable.Belief(
                epoch: lease.epoch ?? 0, isReady: isReady && !unreachable.contains(source))
        }
        let controller = controllers[index]
        let outcome = table.acquire(
            LeaseTable.Asker(
                name: controller.name, address: "ipc:///run/\(controller.name)", capacity: controller.capacity,
                takesOver: true, isDraining: controller.isDraining),
            believed: believed, eligible: sources, nowMs: nowMs)
        controllers[index].believed = [:]
        var taking: [SourceName: Int64] = [:]
        for lease in outcome.held {
            guard let source = lease.source else { continue }
            controllers[index].believed[source] = lease
            if lease.state == .taking { taking[source] = controller.takingSince[source] ?? nowMs }
        }
        controllers[index].takingSince = taking
        controllers[index].asksAtMs = nowMs + Self.askMs
        if outcome.held.count > controller.capacity {
            complaints.append("\(controller.name) has more than it can take")
        }
    }

    /// Ends a process without a word.
    mutating func kill(_ index: Int) {
        controllers[index].isAlive = false
        controllers[index].believed = [:]
        controllers[index].takingSince = [:]
    }

    mutating func start(_ index: Int) {
        controllers[index].isAlive = true
        controllers[index].isStill = false
        controllers[index].isDraining = false
        controllers[index].asksAtMs = nowMs
    }

    /// What a process does that was drained: it gives up what is left and ends.
    mutating func leave(_ index: Int) {
        let left = controllers[index].believed.mapValues { $0.epoch ?? 0 }
        _ = table.release(holder: controllers[index].name, sources: left, nowMs: nowMs)
        kill(index)
    }

    private mutating func check() {
        let held = table.leases(nowMs: nowMs)
        if Set(held.compactMap(\.source)).count != held.count { complaints.append("L1 at \(nowMs)") }
        for source in sources {
            let entry = table.entries[source]
            let epoch = max(entry?.epoch ?? 0, entry?.issuedEpoch ?? 0)
            if epoch < lastEpoch[source] ?? 0 { complaints.append("L2: \(source) at \(nowMs)") }
            let holder = table.isFree(source, nowMs: nowMs) ? nil : entry?.holder
            if let holder, holder != lastHolder[source] {
                handovers += 1
                if lastHolder[source] != nil, epoch <= lastEpoch[source] ?? 0, entry?.move == nil,
                    entry?.epoch != lastEpoch[source]
                {
                    complaints.append("L2: another holder of \(source) under the same epoch")
                }
                lastHolder[source] = holder
            }
            lastEpoch[source] = epoch
            if holder != nil {
                longestFreeMs = max(longestFreeMs, nowMs - (freeSince.removeValue(forKey: source) ?? nowMs))
            } else if freeSince[source] == nil {
                freeSince[source] = nowMs
            }
        }
    }

    /// Of a source two processes that both believe to be its holder under the same epoch.
    var fights: [SourceName] {
        sources.filter { source in
            let epochs = controllers.compactMap { $0.believed[source]?.epoch }
            return Set(epochs).count != epochs.count
        }
    }

    func forgetHandovers() -> LeaseSimulation {
        var copy = self
        copy.handovers = 0
        return copy
    }
}
