// DeadlineTimer: calls back when the earliest of many deadlines has come. Deadlines almost never fire, so that announcing
// one that is not the earliest costs a comparison.

import Synchronization

/// One pending wake-up at the earliest announced time.
final class DeadlineTimer: Sendable {
    private struct State {
        var wake: ContinuousClock.Instant?
        var task: Task<Void, Never>?
        var isCancelled = false
    }

    private let state = Mutex(State())
    /// Handles what is due and gives the next deadline.
    private let fired: @Sendable (ContinuousClock.Instant) -> ContinuousClock.Instant?

    init(fired: @escaping @Sendable (ContinuousClock.Instant) -> ContinuousClock.Instant?) { self.fired = fired }

    /// Makes sure that the timer fires at `deadline` or before.
    func announce(_ deadline: ContinuousClock.Instant) {
        state.withLock { state in
            if state.isCancelled { return }
            if let wake = state.wake, wake <= deadline { return }
            state.task?.cancel()
            state.wake = deadline
            state.task = Task { [self] in
                guard (try? await Task.sleep(until: deadline, clock: .continuous)) != nil else { return }
                self.fire(armedFor: deadline)
            }
        }
    }

    /// Fires no more.
    func cancel() {
        state.withLock { state in
            state.isCancelled = true
            state.task?.cancel()
            state.task = nil
        }
    }

    private func fire(armedFor deadline: ContinuousClock.Instant) {
        let isMine = state.withLock { state in
            guard !state.isCancelled, state.wake == deadline else { return false }
            state.wake = nil
            state.task = nil
            return true
        }
        guard isMine else { return }
        if let next = fired(.now) { announce(next) }
    }
}
