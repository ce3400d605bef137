// The names in staging that the disk thread is writing, for salvage, which leaves them alone, and whether anything was left
// there to be salvaged.
import Synchronization

final class BusyNames: Sendable {
    private let names = Mutex<Set<String>>([])
    private let leftovers = Atomic<Bool>(false)

    var all: Set<String> { names.withLock { $0 } }

    func insert(_ name: String) { _ = names.withLock { $0.insert(name) } }
    func remove(_ name: String) { _ = names.withLock { $0.remove(name) } }

    func noteLeftovers() { leftovers.store(true, ordering: .releasing) }
    /// True once after a segment was lost.
    func takeLeftovers() -> Bool { leftovers.exchange(false, ordering: .acquiringAndReleasing) }
}
