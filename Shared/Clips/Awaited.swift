// Waiting for an asynchronous call on a thread that may block: a lane's own, which is none of Swift's cooperative pool, so that the
// call always finds a thread to go on with.
import Dispatch
import Synchronization

/// What a call gave, for a thread that waits for it.
final class Awaited<T: Sendable>: Sendable {
    private let value = Mutex<T?>(nil)
    private let arrived = DispatchSemaphore(value: 0)

    private init() {}

    /// Runs `body` in a task of its own and waits for it. Only on a thread of a BlockingLane. `body` must end by itself: a call
    /// with a timeout does.
    static func onThisThread(_ body: @escaping @Sendable () async -> T) -> T {
        let answer = Awaited()
        Task.detached { answer.give(await body()) }
        return answer.wait()
    }

    private func give(_ given: T) {
        value.withLock { $0 = given }
        arrived.signal()
    }

    private func wait() -> T {
        while true {
            arrived.wait()
            if let given = value.withLock({ $0 }) { return given }
        }
    }
}
