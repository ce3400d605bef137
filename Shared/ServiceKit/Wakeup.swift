// Wakeup: a place where a loop waits until somebody calls or the time is over, whichever is first.
import Synchronization

/// One task waits, any may signal. A signal that nobody waits for is kept for the next wait.
public final class Wakeup: Sendable {
    private struct State {
        var isSignalled = false
        var waiter: CheckedContinuation<Void, Never>?
    }
    private let state = Mutex(State())

    /// Nothing is signalled yet.
    public init() {}

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
        let timer = Task { [self] in
            do {
                try await Task.sleep(for: limit)
                signal()
            } catch {}
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.isSignalled || Task.isCancelled {
                        state.isSignalled = false
                        return true
                    }
                    state.waiter = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            signal()
        }
        timer.cancel()
    }
}
