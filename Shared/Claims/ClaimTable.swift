// Claims: what the workers (archiver, cloud-uploader) do the same way. This file: which claims a worker holds, when they
// must be renewed, and which the indexer says are lost. Values only; the time comes in. The loop around it: ClaimWorker.swift.
import Wire

/// The claims that a worker holds.
public struct ClaimTable: Sendable, Equatable {
    private struct Entry: Equatable {
        let epoch: UInt64
        var renewedAt: ContinuousClock.Instant
        /// Of the item's bytes; nil until its work says something.
        var doneBytes: Int64?
        /// What the indexer knows of them.
        var toldBytes: Int64?

        var hasNews: Bool { doneBytes != toldBytes }
    }

    /// Progress that is not told yet makes a renewal due after so long: who watches sees it at most that old, and an uploader
    /// asks the indexer for no more than one write in that time, however many files are on their way.
    static let newsInterval = Duration.seconds(2)
    /// Of the contract's `done_bytes`.
    private static let mostBytes: Int64 = 1 << 40

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

    /// Notes how many bytes of a claim's item are done; of a claim that is not held, nothing.
    public mutating func note(_ claim: ItemClaim, doneBytes: Int64) {
        guard holds(claim) else { return }
        entries[claim.itemID ?? 0]?.doneBytes = min(max(doneBytes, 0), Self.mostBytes)
    }

    /// Claims that are due, with their progress: a third of the lease has passed, so that two renewals may fail before the claim
    /// falls back, or there is progress to tell. Once one is due, the others' progress goes along.
    public func due(at now: ContinuousClock.Instant) -> [ItemClaim] {
        guard let next = nextDue, next <= now else { return [] }
        return entries.filter { $0.value.hasNews || now - $0.value.renewedAt >= lease / 3 }
            .map { ItemClaim(itemID: $0.key, epoch: $0.value.epoch, doneBytes: $0.value.doneBytes.map(UInt64.init)) }
            .sorted { ($0.itemID ?? 0) < ($1.itemID ?? 0) }
    }

    /// When the next renewal is due; nil while nothing is held.
    public var nextDue: ContinuousClock.Instant? {
        entries.values.map { $0.renewedAt + ($0.hasNews ? min(Self.newsInterval, lease / 3) : lease / 3) }.min()
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
                entries[id]?.toldBytes = claim.doneBytes.map { Int64(clamping: $0) }
            }
        }
        return stopped
    }
}
