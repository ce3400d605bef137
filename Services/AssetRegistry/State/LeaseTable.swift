// Which controller may open which camera. Pure: time goes in as monotonic milliseconds, what must be made durable comes out.
// SharePlan.swift says how many sources each controller is to have, LeaseTable+Moves.swift moves them. The rules:
//   L1  A source has at most one holder. Only sources of `eligible` are given.
//   L2  An epoch only grows, per source; it grows each time a source is given to somebody anew, the same holder included.
//   L3  A holder keeps what it has: a renewal with the present epoch succeeds even after the time ran out, as long as nobody
//       else got the source in between. So a registry that was away for a minute moves no camera. Where nobody is heard of for half a
//       lease time it may be the registry that is cut off: nothing is freed, and who comes back first finds all as it was.
//   L4  A source is free when it has no holder or the holder's time ran out. Free ones go to who asks, in the order of their
//       names, up to its share among those that answer promptly: the others are asked for theirs by the hint of the change, and who
//       does not come soon is no longer among them.
//   L5  A holder that names an epoch which is not the present one does not hold that source.
//   L6  A source that moves has its holder and a successor, whose epoch is higher. The successor becomes the holder when it is
//       ready, or when the holder is gone; until then it holds nothing.

import Wire

struct LeaseTable: Sendable {
    /// A source's lease. Kept for ever once a source was given, because the epoch must not start again.
    struct Entry: Sendable, Equatable {
        var epoch: UInt64
        /// Nil: nobody.
        var holder: String?
        var holderAddress: String?
        /// Monotonic milliseconds; means nothing without a holder.
        var expiresAtMs: Int64
        /// Who takes the source over while the holder goes on; nil where it does not move.
        var move: Move?
        /// The highest epoch that anybody was ever given, also for a move that came to nothing.
        var issuedEpoch: UInt64 = 0
        /// The holder asks that the source does not move for the balance now.
        var isBusy = false
        /// Before then it does not move for the balance: an attempt came to nothing.
        var staysUntilMs: Int64 = .min

        /// What the next one is given.
        var nextEpoch: UInt64 { max(epoch, issuedEpoch) + 1 }
    }

    /// A planned move (L6).
    struct Move: Sendable, Equatable {
        let successor: String
        var address: String?
        let epoch: UInt64
        var beganAtMs: Int64
        /// The successor was told; from then on it must name the epoch.
        var isTold = false
    }

    /// Who asks.
    struct Asker: Sendable, Equatable {
        let name: String
        var address: String
        var capacity: Int
        /// It can take over while another one records.
        var takesOver = false
        var isDraining = false
    }

    /// A controller that asked within the lease time: as it asked last, and when.
    struct Member: Sendable, Equatable {
        var asker: Asker
        var heardAtMs: Int64
    }

    /// What a holder says of a source that it believes to hold.
    struct Belief: Sendable, Equatable {
        var epoch: UInt64
        var isReady = false
        var isBusy = false
    }

    /// What a question changed.
    struct Outcome: Sendable, Equatable {
        /// All that the asking holder holds or takes over, by name.
        var held: [Lease] = []
        /// Sources whose holder, address, epoch or successor changed: to be made durable before the answer leaves.
        var changed: Set<SourceName> = []
        /// Of the holder's, how many others take over.
        var leaving = 0
    }

    var entries: [SourceName: Entry]
    private(set) var members: [String: Member] = [:]
    /// When anybody asked last.
    private(set) var heardAtMs: Int64
    /// When a controller came, went, or changed its capacity last.
    private(set) var membersChangedAtMs: Int64
    let leaseMs: Int64
    /// Sources move for the balance once the controllers have been the same for so long.
    let rebalanceAfterMs: Int64
    /// So long a source stays where a move came to nothing (M4).
    let stayMs: Int64

    /// Ten minutes: what kept a successor out rarely lasts for less, and each attempt costs the camera a session.
    static let defaultStayMs: Int64 = 600_000

    /// - Parameter stored: what was durable. A stored holder gets a full lease time from `nowMs`: whether it renewed while
    ///   nobody listened cannot be known.
    init(
        leaseMs: Int64, rebalanceAfterMs: Int64 = 10_000, stayMs: Int64 = LeaseTable.defaultStayMs,
        stored: [SourceName: Entry] = [:], nowMs: Int64 = 0
    ) {
        self.leaseMs = leaseMs
        self.stayMs = stayMs
        self.rebalanceAfterMs = rebalanceAfterMs
        membersChangedAtMs = nowMs
        heardAtMs = nowMs
        entries = stored
        extend(nowMs: nowMs)
    }

    /// Gives everybody a full lease time: nobody listened for a while, and who renewed meanwhile is not known (L3).
    mutating func extend(nowMs: Int64) {
        for source in entries.keys {
            entries[source]?.expiresAtMs = nowMs + leaseMs
            entries[source]?.move?.beganAtMs = nowMs
        }
        for name in members.keys { members[name]?.heardAtMs = nowMs }
        membersChangedAtMs = nowMs
        heardAtMs = nowMs
    }

    /// Renews what the holder has, gives it its share of the free sources, and what it is to take over.
    mutating func acquire(
        _ asker: Asker, believed: [SourceName: Belief], eligible: [SourceName], nowMs: Int64
    ) -> Outcome {
        var outcome = Outcome()
        if isSilent(nowMs: nowMs) { extend(nowMs: nowMs) }
        hear(asker, nowMs: nowMs)
        let legal = Set(eligible)
        // L3: what it has comes first, so that a smaller capacity drops the last by name and moves nothing else.
        var kept: Set<SourceName> = []
        for source in entries.keys.sorted(by: SourceName.precedes) where entries[source]?.holder == asker.name {
            let mayHold = legal.contains(source) && kept.count < asker.capacity
            if renew(source, for: asker, believed[source], mayHold: mayHold, nowMs: nowMs) {
                outcome.changed.insert(source)
            }
            if entries[source]?.holder == asker.name { kept.insert(source) }
        }
        for source in entries.keys.sorted(by: SourceName.precedes) where entries[source]?.move?.successor == asker.name
        {
            let mayHold = legal.contains(source) && kept.count < asker.capacity && !asker.isDraining
            if takeOver(source, for: asker, believed[source], mayHold: mayHold, nowMs: nowMs) {
                outcome.changed.insert(source)
            }
            if entries[source]?.holder == asker.name || entries[source]?.move?.successor == asker.name {
                kept.insert(source)
            }
        }
        outcome.changed.formUnion(grantFree(to: asker, eligible: eligible, &kept, nowMs: nowMs))
        if asker.isDraining { outcome.changed.formUnion(beginMoves(nowMs: nowMs)) }
        for source in kept.sorted(by: SourceName.precedes) {
            guard let entry = entries[source] else { continue }
            if entry.holder == asker.name {
                outcome.held.append(lease(source, entry, nowMs: nowMs))
                if entry.move != nil { outcome.leaving += 1 }
            } else if let move = entry.move {
                outcome.held.append(
                    Lease(
                        source: source, holder: move.successor, epoch: move.epoch,
                        remainingMs: UInt32(clamping: leaseMs),
                        holderAddress: move.address, state: .taking))
            }
        }
        return outcome
    }

    /// Whether anything that is durable changed.
    private mutating func renew(
        _ source: SourceName, for asker: Asker, _ belief: Belief?, mayHold: Bool, nowMs: Int64
    ) -> Bool {
        guard let entry = entries[source] else { return false }
        guard mayHold, let belief, belief.epoch == entry.epoch else {
            // L5: it forgot the lease (a new process of the same name), or may not have it: free, given again below.
            vacate(source, nowMs: nowMs)
            return true
        }
        entries[source]?.holderAddress = asker.address
        entries[source]?.expiresAtMs = nowMs + leaseMs
        entries[source]?.isBusy = belief.isBusy
        return entry.holderAddress != asker.address
    }

    /// Whether anything that is durable changed.
    private mutating func takeOver(
        _ source: SourceName, for asker: Asker, _ belief: Belief?, mayHold: Bool, nowMs: Int64
    ) -> Bool {
        guard var move = entries[source]?.move else { return false }
        let isKnown = belief?.epoch == move.epoch
        guard mayHold, isKnown || !move.isTold else {
            entries[source]?.move = nil
            return true
        }
        if isKnown, belief?.isReady == true {
            promote(source, nowMs: nowMs)
            return true
        }
        let isSame = move.address == asker.address
        move.isTold = true
        move.address = asker.address
        entries[source]?.move = move
        return !isSame
    }

    private mutating func grantFree(
        to asker: Asker, eligible: [SourceName], _ kept: inout Set<SourceName>, nowMs: Int64
    ) -> [SourceName] {
        let free = eligible.filter { !kept.contains($0) && isFree($0, nowMs: nowMs) }.sorted(by: SourceName.precedes)
        guard !free.isEmpty, !asker.isDraining else { return [] }
        var plan = sharePlan(sources: eligible.count, nowMs: nowMs)
        var given: [SourceName] = []
        for source in free {
            guard let name = plan.grant() else { break }
            guard name == asker.name else { continue }
            let epoch = entries[source]?.nextEpoch ?? 1
            entries[source] = Entry(
                epoch: epoch, holder: asker.name, holderAddress: asker.address, expiresAtMs: nowMs + leaseMs,
                issuedEpoch: epoch)
            kept.insert(source)
            given.append(source)
        }
        return given
    }

    /// Gives sources up; those that the holder does not hold under that epoch are passed over. Gives what changed. Who has given up
    /// all is not counted among the controllers until it asks again.
    mutating func release(holder: String, sources: [SourceName: UInt64], nowMs: Int64) -> [SourceName] {
        let freed = clear(nowMs) { source, entry in entry.holder == holder && sources[source] == entry.epoch }
        if !entries.values.contains(where: { $0.holder == holder }), members.removeValue(forKey: holder) != nil {
            membersChangedAtMs = nowMs
        }
        return freed
    }

    /// Frees what ran out, and forgets who did not ask for a lease time. Gives what changed.
    mutating func expire(nowMs: Int64) -> [SourceName] {
        guard !isSilent(nowMs: nowMs) else { return [] }
        let gone = members.filter { $0.value.heardAtMs + leaseMs <= nowMs }.keys
        for name in gone { members[name] = nil }
        if !gone.isEmpty { membersChangedAtMs = nowMs }
        let dropped = entries.filter { $0.value.move.map { move in !isAwaited(move, nowMs: nowMs) } ?? false }.keys
        for source in dropped { entries[source]?.move = nil }
        let freed = clear(nowMs) { _, entry in entry.holder != nil && entry.expiresAtMs <= nowMs }
        return Set(freed).union(dropped).sorted(by: SourceName.precedes)
    }

    /// Frees sources that are not to be opened any more. Gives what changed.
    mutating func withdraw(exceptFor eligible: [SourceName], nowMs: Int64) -> [SourceName] {
        let legal = Set(eligible)
        for source in entries.keys where !legal.contains(source) { entries[source]?.move = nil }
        return clear(nowMs) { source, entry in entry.holder != nil && !legal.contains(source) }
    }

    /// All leases that are held, by name.
    func leases(nowMs: Int64) -> [Lease] {
        entries.sorted { SourceName.precedes($0.key, $1.key) }.compactMap { source, entry in
            isFree(source, nowMs: nowMs) ? nil : lease(source, entry, nowMs: nowMs)
        }
    }

    // MARK: Parts

    /// Nobody asks any more: all of them are gone, or we are cut off (L3).
    private func isSilent(nowMs: Int64) -> Bool { nowMs - heardAtMs > promptMs }

    private mutating func hear(_ asker: Asker, nowMs: Int64) {
        heardAtMs = nowMs
        var known = members[asker.name]?.asker
        // At another address it is the same controller still.
        known?.address = asker.address
        if known != asker { membersChangedAtMs = nowMs }
        members[asker.name] = Member(asker: asker, heardAtMs: nowMs)
    }

    func isFree(_ source: SourceName, nowMs: Int64) -> Bool {
        guard let entry = entries[source], entry.holder != nil else { return true }
        return entry.expiresAtMs <= nowMs
    }

    private func lease(_ source: SourceName, _ entry: Entry, nowMs: Int64) -> Lease {
        Lease(
            source: source, holder: entry.holder, epoch: entry.epoch,
            remainingMs: UInt32(clamping: entry.expiresAtMs - nowMs), holderAddress: entry.holderAddress,
            state: entry.move == nil ? nil : .leaving, successor: entry.move?.successor)
    }

    private mutating func clear(_ nowMs: Int64, where matches: (SourceName, Entry) -> Bool) -> [SourceName] {
        let freed = entries.filter { matches($0.key, $0.value) }.keys.sorted(by: SourceName.precedes)
        for source in freed { vacate(source, nowMs: nowMs) }
        return freed
    }

    /// The holder is gone: whoever is taking over has the source now (L6), else nobody.
    private mutating func vacate(_ source: SourceName, nowMs: Int64) {
        if promote(source, nowMs: nowMs) { return }
        entries[source]?.holder = nil
        entries[source]?.holderAddress = nil
        entries[source]?.isBusy = false
    }
}

extension SourceName {
    static func precedes(_ left: SourceName, _ right: SourceName) -> Bool {
        (left.device ?? "", left.endpoint ?? "") < (right.device ?? "", right.endpoint ?? "")
    }
}

extension StreamName {
    static func precedes(_ left: StreamName, _ right: StreamName) -> Bool {
        (left.asset ?? "", left.stream ?? "") < (right.asset ?? "", right.stream ?? "")
    }
}
