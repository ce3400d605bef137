// Numbers for segments, unique in this process. They name a segment between the pipelines and the disk thread.
import Synchronization

enum TicketCounter {
    private static let last = Atomic<UInt64>(0)

    static func next() -> UInt64 { last.add(1, ordering: .relaxed).newValue }
}
