// Ends a blocking call of libav from another thread, or when its time is over.
import CLibAV
import Synchronization

/// Stops the blocking calls of one source or push. Made first, kept by whoever wants to stop it.
public final class AVInterrupt: Sendable {
    private let stopped = Atomic<Bool>(false)
    private let deadlineNs = Atomic<Int64>(.max)

    /// Nothing is stopped yet.
    public init() {}

    /// From any thread: the call that blocks now, and every later one, ends with `interrupted` within 100 ms.
    public func stop() {
        stopped.store(true, ordering: .releasing)
    }

    /// `stop` was called.
    public var isStopped: Bool { stopped.load(ordering: .acquiring) }

    /// The present operation may take until then, on the monotonic clock.
    func setDeadline(ns: Int64) {
        deadlineNs.store(ns, ordering: .releasing)
    }

    var isOverdue: Bool { monotonicNs() >= deadlineNs.load(ordering: .acquiring) }

    /// What libav asks about every 100 ms while it waits.
    var shouldEnd: Bool { isStopped || isOverdue }
}

/// Nanoseconds of the host's monotonic clock, the one of `MediaPacket.arrivalNs`.
public func monotonicNs() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
