// OneShot: something that happens once and that tasks wait for. Unlike a sleep it has no time, unlike a stream no queue.

import Synchronization

/// Fires once. Waiting after that returns at once.
final class OneShot: Sendable {
    private struct State {
        var isFired = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    var isFired: Bool { state.withLock { $0.isFired } }

    /// Wakes all waiters. Harmless when repeated.
    func fire() {
        let waiters = state.withLock { state in
            defer { state.waiters = [] }
            state.isFired = true
            return state.waiters
        }
        waiters.forEach { $0.resume() }
    }

    /// Waits, whether the task is cancelled or not: whoever cancels fires.
    func wait() async {
        await withCheckedContinuation { continuation in
            let isFired = state.withLock { state in
                if !state.isFired { state.waiters.append(continuation) }
                return state.isFired
            }
            if isFired { continuation.resume() }
        }
    }
}
