// How far the work on an item is. The work adds bytes as they go; the loop in ClaimWorker.swift tells the indexer with the next
// renewal, which progress makes due sooner: `ClaimTable.newsInterval`.
import Synchronization

/// Bytes of one item that are done. Adding is cheap enough for every piece that is sent.
public final class ClaimProgress: Sendable {
    private let bytes = Atomic<Int64>(0)
    private let isNews = Atomic(false)
    private let changed: @Sendable () -> Void

    /// Nothing is done. `changed` is called once for all that is added until the next `news`.
    public init(changed: @escaping @Sendable () -> Void = {}) {
        self.changed = changed
    }

    /// Bytes that are done, on their way ones included.
    public var doneBytes: Int64 { bytes.load(ordering: .relaxed) }

    /// So many bytes more are done; fewer for a negative number, where what was on its way was lost.
    public func add(_ count: Int64) {
        guard count != 0 else { return }
        bytes.wrappingAdd(count, ordering: .relaxed)
        if !isNews.exchange(true, ordering: .acquiringAndReleasing) { changed() }
    }

    /// What is done, where something was added since this was asked last.
    func news() -> Int64? {
        isNews.exchange(false, ordering: .acquiringAndReleasing) ? doneBytes : nil
    }
}
