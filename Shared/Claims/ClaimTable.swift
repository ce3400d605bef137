// Claims: what the workers (archiver, cloud-uploader) do the same way. This file: which claims a worker holds, when they
// must be renewed, and which the indexer says are lost. Values only; the time comes in. The loop around it: ClaimWorker.swift.
import Wire

/// The claims that a worker holds.
public struct ClaimTable: Sendable, Equatable {
    private struct Entry: Equatable {
        let epoch: UInt64
        var renewedAt: ContinuousClock.Instant
    }
    private var entries: [UInt64: Entry] = [:]
    /// Time after which an unrenewed claim falls back to the indexer.
    public let lease: Duration

    /// An empty table.
    public init(lease: Duration) {
        self.lease = lease
    }

    /// How many claims are held.
    public var count: Int { entries.count }

    /// Whether the claim is held under its epoch.
    public func holds(_ claim: ItemClaim) -> Bool {
        entries[claim.itemID ?? 0].map { $0.epoch == claim.epoch } ?? false
    }

    /// Notes a claim. `sentAt` is when it was asked for: the lease cannot have begun later in the indexer's eyes.
    public mutating func add(_ claim: ItemClaim, sentAt: ContinuousClock.Instant) {
        entries[claim.itemID ?? 0] = Entry(epoch: claim.epoch ?? 0, renewedAt: sentAt)
    }

    /// Forgets a claim whose work has ended.
    public mutating func remove(_ claim: ItemClaim) {
        guard entries[claim.itemID ?? 0]?.epoch == claim.epoch else { return }
        entries[claim.itemID ?? 0] = nil
    }

    /// Claims that are due: a third of the lease has passed, so that two renewals may fail before the claim falls back.
    public func due(at now: ContinuousClock.Instant) -> [ItemClaim] {
        entries.filter { now - $0.value.renewedAt >= lease / 3 }
            .map { ItemClaim(itemID: $0.key, epoch: $0.value.epoch) }
            .sorted { ($0.itemID ?? 0) < ($1.itemID ?? 0) }
    }

    /// When the next renewal is due; nil while nothing is held.
    public var nextDue: ContinuousClock.Instant? {
        entries.values.map { $0.renewedAt + lease / 3 }.min()
    }

    /// Takes in the answer to a renewal and gives the claims that are lost. Their work must stop; a claim of a higher
    /// epoch that was taken meanwhile is not touched.
    public mutating func renewed(
        _ asked: [ItemClaim], lost: [ItemClaim], sentAt: ContinuousClock.Instant
    ) -> [ItemClaim] {
        var stopped: [ItemClaim] = []
        for claim in asked {
            guard let id = claim.itemID, entries[id]?.epoch == claim.epoch else { continue }
            if lost.contains(where: { $0.itemID == id && ($0.epoch == nil || $0.epoch == claim.epoch) }) {
                entries[id] = nil
                stopped.append(claim)
            } else {
                entries[id]?.renewedAt = sentAt
            }
        }
        return stopped
    }
}
