// What the disk thread has in staging, for salvage: the names that it is writing, which salvage leaves alone, and what it gave up,
// so that salvage can tell what of it is missing after all.
import Synchronization

/// A segment that was given up: its footage up to `span.endUs` was written.
struct GivenUp: Sendable {
    let source: SourceKey
    let runID: String
    let span: Span
}

final class BusyNames: Sendable {
    private struct State {
        var writing: Set<String> = []
        var givenUp: [String: GivenUp] = [:]
        var hasLeftovers = false
    }
    private let state = Mutex(State())

    var all: Set<String> { state.withLock { $0.writing } }

    func insert(_ name: String) { _ = state.withLock { $0.writing.insert(name) } }
    func remove(_ name: String) { _ = state.withLock { $0.writing.remove(name) } }

    func giveUp(_ name: String, _ segment: GivenUp) {
        state.withLock { state in
            state.writing.remove(name)
            state.givenUp[name] = segment
            state.hasLeftovers = true
        }
    }

    /// What was given up under that name; known until it is asked for.
    func takeGivenUp(_ name: String) -> GivenUp? { state.withLock { $0.givenUp.removeValue(forKey: name) } }

    func noteLeftovers() { state.withLock { $0.hasLeftovers = true } }
    /// True once after a segment was given up.
    func takeLeftovers() -> Bool {
        state.withLock { state in
            defer { state.hasLeftovers = false }
            return state.hasLeftovers
        }
    }
}
