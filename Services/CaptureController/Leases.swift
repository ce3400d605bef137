// The leases that this controller holds, and how old the registry's word is. Pure; LeaseLoop asks the registry.
//
//   L1  A source that is not in the registry's answer stops within a second.
//   L2  A registry that is away changes nothing: what is recorded goes on being recorded.
//   L3  A lease that could not be renewed in its time stops snapshots and live pushes, because a camera cannot check a
//       token and another controller may have the source by now. Recording goes on.
//   L4  A source that is being taken over from another controller is recorded under its new epoch, without snapshots and live pushes.
//       The registry is told as soon as that footage is safe: then this controller is the holder.
import Wire

struct HeldLease: Sendable, Equatable {
    let source: SourceKey
    let epoch: UInt64
    /// Monotonic moment at which it ends unless renewed.
    var expiresUs: Int64
    /// Another controller is the holder still (L4).
    var isTaking = false
}

/// What a session says of itself, for the registry.
struct LeaseReadiness: Sendable, Equatable {
    /// What is to be recorded is safe on disk from a keyframe on, or the ring reaches back far enough.
    var isReady = false
    /// It records what only this controller was asked for, so the source had better stay.
    var isBusy = false
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
            next[source] = HeldLease(
                source: source, epoch: epoch, expiresUs: nowUs + remaining, isTaking: lease.state == .taking)
        }
        let changed = Set(next.values.map { Pair($0) }) != Set(held.values.map { Pair($0) })
        held = next
        return changed
    }

    private struct Pair: Hashable {
        let source: SourceKey
        let epoch: UInt64
        let isTaking: Bool
        init(_ lease: HeldLease) {
            source = lease.source
            epoch = lease.epoch
            isTaking = lease.isTaking
        }
    }

    func isFresh(_ source: SourceKey, nowUs: Int64) -> Bool {
        held[source].map { $0.expiresUs > nowUs && !$0.isTaking } ?? false
    }

    /// Sources of which this controller is the holder.
    var owned: [SourceKey: HeldLease] { held.filter { !$0.value.isTaking } }

    /// As the next request says it.
    func wire(holder: String, readiness: (SourceKey) -> LeaseReadiness = { _ in LeaseReadiness() }) -> [Lease] {
        held.values.sorted { $0.source < $1.source }.map { lease in
            let said = readiness(lease.source)
            return Lease(
                source: lease.source.wire, holder: holder, epoch: lease.epoch,
                state: lease.isTaking ? .taking : nil, ready: lease.isTaking && said.isReady ? true : nil,
                busy: said.isBusy ? true : nil)
        }
    }
}
