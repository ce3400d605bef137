// Wakeup: a place where a loop waits until somebody calls or the time is over, whichever is first.
import RPC
import Synchronization

/// One task waits, any may signal. A signal that nobody waits for is kept for the next wait.
public final class Wakeup: Sendable {
    private struct State {
        var isSignalled = false
        var waiter: CheckedContinuation<Void, Never>?
        /// When the present wait is over.
        var until: ContinuousClock.Instant?
    }
    private let state = Mutex(State())
    /// One for all waits: most end by a signal, and a timer for each would cost more than what they wait for.
    private let timer = DeadlineTimer()

    /// Nothing is signalled yet.
    public init() { timer.whenDue { [weak self] now in self?.expire(now) } }

    /// Ends the present wait, or the next one at once.
    public func signal() {
        let waiter = state.withLock { state in
            let waiter = state.waiter
            state.waiter = nil
            state.isSignalled = waiter == nil
            return waiter
        }
        waiter?.resume()
    }

    /// Waits for a signal, at most so long. Returns at once in a cancelled task.
    public func wait(atMost limit: Duration) async {
        let until = ContinuousClock.now + limit
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.isSignalled || Task.isCancelled {
                        state.isSignalled = false
                        return true
                    }
                    (state.waiter, state.until) = (continuation, until)
                    return false
                }
                if isOver { continuation.resume() } else { timer.announce(until) }
            }
        } onCancel: {
            signal()
        }
    }

    /// Ends a wait whose time is over; gives the end of one that goes on.
    private func expire(_ now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        let (waiter, next) = state.withLock { state -> (CheckedContinuation<Void, Never>?, ContinuousClock.Instant?) in
            guard let waiter = state.waiter, let until = state.until else { return (nil, nil) }
            guard until <= now else { return (nil, until) }
            state.waiter = nil
            return (waiter, nil)
        }
        waiter?.resume()
        return next
    }
}
