// How far the claims are that somebody works on: what uploaders say when they renew them, for whoever watches. Kept in memory
// alone: it is out of date after seconds, and a commit for each would wear the disk for nothing.

import Synchronization

final class ClaimProgress: Sendable {
    private struct Entry {
        let epoch: Int64
        let doneBytes: Int64
        let atUs: Int64
    }

    /// The longest lease that the contract allows, in microseconds: what was said longer ago is of no claim any more.
    private static let longestLeaseUs = 600 * Micro.second
    /// More claims than all uploaders of a site hold. What is said beyond that is not kept.
    private static let most = 4096

    private let entries = Mutex<[Int64: Entry]>([:])

    /// A claim was renewed with so many bytes done.
    func note(_ claim: HeldClaim, nowUs: Int64) {
        guard let doneBytes = claim.doneBytes else { return }
        entries.withLock { entries in
            if entries.count >= Self.most {
                entries = entries.filter { nowUs - $0.value.atUs < Self.longestLeaseUs }
            }
            guard entries.count < Self.most || entries[claim.itemID] != nil else { return }
            entries[claim.itemID] = Entry(epoch: claim.epoch, doneBytes: doneBytes, atUs: nowUs)
        }
    }

    /// A claim has ended.
    func forget(_ claim: HeldClaim) {
        entries.withLock { entries in
            if entries[claim.itemID]?.epoch == claim.epoch { entries[claim.itemID] = nil }
        }
    }

    /// What was said of the claim of this epoch; nil where nothing was.
    func doneBytes(_ itemID: Int64, epoch: Int64) -> Int64? {
        entries.withLock { entries in
            guard let entry = entries[itemID], entry.epoch == epoch else { return nil }
            return entry.doneBytes
        }
    }
}
