// Wakes one waiting loop. Rings while nobody waits are kept, as one.
import Synchronization

final class Doorbell: Sendable {
    private enum State {
        case quiet
        case rung
        case waiting(CheckedContinuation<Void, Never>)
    }
    private let state = Mutex<State>(.quiet)

    func ring() {
        let waiting: CheckedContinuation<Void, Never>? = state.withLock { state in
            guard case .waiting(let continuation) = state else {
                state = .rung
                return nil
            }
            state = .quiet
            return continuation
        }
        waiting?.resume()
    }

    /// Returns at the next ring, after `ms` milliseconds, or when the task is cancelled.
    func wait(atMostMs ms: UInt32) async {
        let timer = Task {
            try? await Task.sleep(for: .milliseconds(ms))
            guard !Task.isCancelled else { return }
            ring()
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isRung = state.withLock { state in
                    if case .rung = state {
                        state = .quiet
                        return true
                    }
                    state = .waiting(continuation)
                    return false
                }
                if isRung { continuation.resume() } else if Task.isCancelled { ring() }
            }
        } onCancel: {
            ring()
        }
        timer.cancel()
    }
}
