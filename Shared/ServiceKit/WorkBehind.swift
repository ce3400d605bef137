// Work that follows what is written, on a thread of its own: a sync, or reading back. In the end only what came last is waited for.
import Synchronization

/// Does a step whenever enough was appended, one at a time.
public final class WorkBehind: Sendable {
    private struct State {
        var waitingBytes = 0
        var isWorking = false
        var newest: Task<Void, Never>?
    }

    private let stepBytes: Int
    private let lane: BlockingLane
    private let step: @Sendable () throws -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - stepBytes: so many bytes are worth a step.
    ///   - lane: where the step is done; it blocks.
    ///   - step: whatever it throws must show again when the whole is finished, by another call.
    public init(every stepBytes: Int, on lane: BlockingLane, _ step: @escaping @Sendable () throws -> Void) {
        (self.stepBytes, self.lane, self.step) = (stepBytes, lane, step)
    }

    /// So many bytes came. Does not wait.
    public func appended(_ bytes: Int) {
        let isIdle = state.withLock { state in
            state.waitingBytes += bytes
            return !state.isWorking && begin(&state)
        }
        guard isIdle else { return }
        let work = Task {
            repeat { try? await lane.run { [step] in try step() } } while state.withLock { begin(&$0) }
        }
        state.withLock { $0.newest = work }
    }

    /// Whether there is enough for a step, which begins then.
    private func begin(_ state: inout State) -> Bool {
        state.isWorking = state.waitingBytes >= stepBytes
        if state.isWorking { state.waitingBytes = 0 }
        return state.isWorking
    }

    /// Waits for a step that is under way.
    public func end() async { await state.withLock { $0.newest }?.value }
}
