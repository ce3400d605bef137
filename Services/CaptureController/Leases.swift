// The leases that this controller holds, and how old the registry's word is. Pure; LeaseLoop asks the registry.
//
//   L1  A source that is not in the registry's answer stops within a second.
//   L2  A registry that is away changes nothing: what is recorded goes on being recorded.
//   L3  A lease that could not be renewed in its time stops snapshots and live pushes, because a camera cannot check a
//       token and another controller may have the source by now. Recording goes on.
import Wire

struct HeldLease: Sendable, Equatable {
    let source: SourceKey
    let epoch: UInt64
    /// Monotonic moment at which it ends unless renewed.
    var expiresUs: Int64
}

struct LeaseTable: Sendable, Equatable {
    private(set) var held: [SourceKey: HeldLease] = [:]

    /// The registry's answer is the whole truth. Returns true where anything but the times changed.
    mutating func answered(_ leases: [Lease], nowUs: Int64) -> Bool {
        var next: [SourceKey: HeldLease] = [:]
        for lease in leases {
            guard let source = SourceKey(lease.source), let epoch = lease.epoch else { continue }
            // An epoch only grows; an older answer that was under way longer must not win.
            if let known = held[source], known.epoch > epoch {
                next[source] = known
                continue
            }
            let remaining = Int64(lease.remainingMs ?? 30_000) * 1000
            next[source] = HeldLease(source: source, epoch: epoch, expiresUs: nowUs + remaining)
        }
        let changed = Set(next.values.map { Pair($0) }) != Set(held.values.map { Pair($0) })
        held = next
        return changed
    }

    private struct Pair: Hashable {
        let source: SourceKey
        let epoch: UInt64
        init(_ lease: HeldLease) {
            source = lease.source
            epoch = lease.epoch
        }
    }

    func isFresh(_ source: SourceKey, nowUs: Int64) -> Bool { held[source].map { $0.expiresUs > nowUs } ?? false }

    /// As the next request says it.
    func wire(holder: String) -> [Lease] {
        held.values.sorted { $0.source < $1.source }.map {
            Lease(source: $0.source.wire, holder: holder, epoch: $0.epoch)
        }
    }
}
