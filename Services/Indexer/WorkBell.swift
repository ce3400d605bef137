// Wakes whoever waits for work inside this process: the long polls of workers, and the timer. A bell and not a queue: the
// work itself is in the catalogue, so that a lost ring costs at most a wait.

import Synchronization

final class WorkBell: Sendable {
    enum Topic: Int, Sendable, CaseIterable {
        case archive, upload
        /// The time of the next due request or claim may have changed.
        case timing
    }

    private struct State {
        var generations: [Topic: UInt64] = [:]
        var waiting: [UInt64: (topic: Topic, continuation: AsyncStream<Void>.Continuation)] = [:]
        var nextID: UInt64 = 0
        var isClosed = false
    }

    /// Long polls beyond this answer at once, so that they never take all of the server's handlers.
    private static let mostWaiting = 40

    private let state = Mutex(State())

    /// Take it before looking for work: `wait` returns at once when it has changed since.
    func generation(_ topic: Topic) -> UInt64 { state.withLock { $0.generations[topic] ?? 0 } }

    /// Rings for all that wait for a topic.
    func ring(_ topic: Topic) {
        let woken = state.withLock { state in
            state.generations[topic, default: 0] += 1
            let woken = state.waiting.filter { $0.value.topic == topic }
            for id in woken.keys { state.waiting[id] = nil }
            return woken.values.map(\.continuation)
        }
        woken.forEach { $0.finish() }
    }

    /// Wakes everybody for good: the service stops.
    func close() {
        let woken = state.withLock { state in
            state.isClosed = true
            defer { state.waiting = [:] }
            return state.waiting.values.map(\.continuation)
        }
        woken.forEach { $0.finish() }
    }

    /// Waits for a ring after `generation`, for the end of the time, or for the task's cancellation. False where there is
    /// no sense in waiting on: the bell is closed, or too many wait.
    func wait(for topic: Topic, after generation: UInt64, until end: ContinuousClock.Instant) async -> Bool {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        let id: UInt64? = state.withLock { state in
            let pollers = state.waiting.values.count { $0.topic != .timing }
            if state.isClosed || (topic != .timing && pollers >= Self.mostWaiting) { return nil }
            guard state.generations[topic] ?? 0 == generation else {
                continuation.finish()
                return 0
            }
            state.nextID += 1
            state.waiting[state.nextID] = (topic, continuation)
            return state.nextID
        }
        guard let id else { return false }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in stream {} }
            group.addTask { try? await Task.sleep(until: end, clock: .continuous) }
            await group.next()
            group.cancelAll()
        }
        return state.withLock { state in
            state.waiting[id] = nil
            return !state.isClosed && !Task.isCancelled
        }
    }
}
