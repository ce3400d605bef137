// Which controller may open which camera. Pure: time goes in as monotonic milliseconds, what must be made durable comes out.
// The rules:
//   L1  A source has at most one holder. Only sources of `eligible` are given.
//   L2  An epoch only grows, per source; it grows each time a source is given to somebody anew, the same holder included.
//   L3  A holder keeps what it has: a renewal with the present epoch succeeds even after the time ran out, as long as nobody
//       else got the source in between. So a registry that was away for a minute moves no camera.
//   L4  A source is free when it has no holder or the holder's time ran out. Free ones go to who asks, in the order of their
//       names, up to the capacity.
//   L5  A holder that names an epoch which is not the present one does not hold that source.

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
    }

    /// What a question changed.
    struct Outcome: Sendable, Equatable {
        /// All that the asking holder holds, by name.
        var held: [Lease] = []
        /// Sources whose holder, address or epoch changed: to be made durable before the answer leaves.
        var changed: [SourceName] = []
    }

    private(set) var entries: [SourceName: Entry]
    private let leaseMs: Int64

    /// - Parameter stored: what was durable. A stored holder gets a full lease time from `nowMs`: whether it renewed while
    ///   nobody listened cannot be known.
    init(leaseMs: Int64, stored: [SourceName: Entry] = [:], nowMs: Int64 = 0) {
        self.leaseMs = leaseMs
        entries = stored.mapValues { entry in
            var entry = entry
            entry.expiresAtMs = nowMs + leaseMs
            return entry
        }
    }

    /// Renews what the holder has and gives it free sources.
    mutating func acquire(
        holder: String, address: String, capacity: Int, believed: [SourceName: UInt64], eligible: [SourceName],
        nowMs: Int64
    ) -> Outcome {
        var outcome = Outcome()
        let wanted = eligible.sorted(by: SourceName.precedes)
        let legal = Set(wanted)
        // L3: what it has comes first, so that a smaller capacity drops the last by name and moves nothing else.
        var kept: [SourceName] = []
        for source in entries.keys.sorted(by: SourceName.precedes) {
            guard var entry = entries[source], entry.holder == holder else { continue }
            if legal.contains(source), believed[source] == entry.epoch, kept.count < capacity {
                if entry.holderAddress != address { outcome.changed.append(source) }
                entry.holderAddress = address
                entry.expiresAtMs = nowMs + leaseMs
                kept.append(source)
            } else {
                // L5: it forgot the lease (a new process of the same name), or may not have it: free, given again below.
                entry.holder = nil
                entry.holderAddress = nil
                outcome.changed.append(source)
            }
            entries[source] = entry
        }
        for source in wanted where kept.count < capacity && !kept.contains(source) {
            guard isFree(source, nowMs: nowMs) else { continue }
            let epoch = (entries[source]?.epoch ?? 0) + 1
            entries[source] = Entry(epoch: epoch, holder: holder, holderAddress: address, expiresAtMs: nowMs + leaseMs)
            kept.append(source)
            if !outcome.changed.contains(source) { outcome.changed.append(source) }
        }
        outcome.held = kept.sorted(by: SourceName.precedes).compactMap { lease($0, nowMs: nowMs) }
        return outcome
    }

    /// Gives sources up; those that the holder does not hold under that epoch are passed over. Gives what changed.
    mutating func release(holder: String, sources: [SourceName: UInt64]) -> [SourceName] {
        clear { source, entry in entry.holder == holder && sources[source] == entry.epoch }
    }

    /// Frees what ran out. Gives what changed.
    mutating func expire(nowMs: Int64) -> [SourceName] {
        clear { _, entry in entry.holder != nil && entry.expiresAtMs <= nowMs }
    }

    /// Frees sources that are not to be opened any more. Gives what changed.
    mutating func withdraw(exceptFor eligible: [SourceName]) -> [SourceName] {
        let legal = Set(eligible)
        return clear { source, entry in entry.holder != nil && !legal.contains(source) }
    }

    /// All leases that are held, by name.
    func leases(nowMs: Int64) -> [Lease] {
        entries.keys.sorted(by: SourceName.precedes).compactMap {
            isFree($0, nowMs: nowMs) ? nil : lease($0, nowMs: nowMs)
        }
    }

    private func isFree(_ source: SourceName, nowMs: Int64) -> Bool {
        guard let entry = entries[source], entry.holder != nil else { return true }
        return entry.expiresAtMs <= nowMs
    }

    private func lease(_ source: SourceName, nowMs: Int64) -> Lease? {
        guard let entry = entries[source], let holder = entry.holder else { return nil }
        return Lease(
            source: source, holder: holder, epoch: entry.epoch,
            remainingMs: UInt32(clamping: entry.expiresAtMs - nowMs), holderAddress: entry.holderAddress)
    }

    private mutating func clear(where matches: (SourceName, Entry) -> Bool) -> [SourceName] {
        let freed = entries.filter { matches($0.key, $0.value) }.keys.sorted(by: SourceName.precedes)
        for source in freed {
            entries[source]?.holder = nil
            entries[source]?.holderAddress = nil
        }
        return freed
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
