// DeadlineTimer: calls back when the earliest of many deadlines has come. Deadlines almost never fire, so that announcing
// one that is not the earliest costs a comparison.

import Synchronization

/// One pending wake-up at the earliest announced time; none any more when the timer is gone.
public final class DeadlineTimer: Sendable {
    private struct State {
        var wake: ContinuousClock.Instant?
        var task: Task<Void, Never>?
        var isCancelled = false
        /// Handles what is due and gives the next deadline.
        var fired: (@Sendable (ContinuousClock.Instant) -> ContinuousClock.Instant?)?
    }

    private let state = Mutex(State())

    /// Nothing is announced yet.
    public init() {}

    deinit { state.withLock { $0.task?.cancel() } }

    /// Says what to call, before anything is announced: on any thread, and it must not wait. It may find that nothing is due any more,
    /// and gives the next deadline where there is one. Apart from `init`, because it speaks of whoever owns the timer.
    public func whenDue(_ fired: @escaping @Sendable (ContinuousClock.Instant) -> ContinuousClock.Instant?) {
        state.withLock { $0.fired = fired }
    }

    /// Makes sure that the timer fires at `deadline` or before.
    public func announce(_ deadline: ContinuousClock.Instant) {
        state.withLock { state in
            if state.isCancelled { return }
            if let wake = state.wake, wake <= deadline { return }
            state.task?.cancel()
            state.wake = deadline
            state.task = Task { [weak self] in
                guard (try? await Task.sleep(until: deadline, clock: .continuous)) != nil else { return }
                self?.fire(armedFor: deadline)
            }
        }
    }

    /// Fires no more.
    public func cancel() {
        state.withLock { state in
            state.isCancelled = true
            state.task?.cancel()
            state.task = nil
        }
    }

    private func fire(armedFor deadline: ContinuousClock.Instant) {
        let fired = state.withLock { state -> (@Sendable (ContinuousClock.Instant) -> ContinuousClock.Instant?)? in
            guard !state.isCancelled, state.wake == deadline else { return nil }
            state.wake = nil
            state.task = nil
            return state.fired
        }
        if let next = fired?(.now) { announce(next) }
    }
}
