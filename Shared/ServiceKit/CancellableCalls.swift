// Blocking calls that a stop does not wait for. A sync on a dying disk takes minutes; a service has five seconds.
import Synchronization

extension BlockingLane {
    /// As `run`, but in a cancelled task it throws CancellationError at once. A body that has begun goes on to its end and
    /// its result is dropped; one that still waits is not begun.
    public func runUnlessCancelled<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        let answer = Answer<T>()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard answer.wait(with: continuation) else { return }
                Task {
                    do {
                        try await run {
                            guard !answer.isGiven else { return }
                            answer.give(Result { try body() })
                        }
                    } catch {
                        answer.give(.failure(error))
                    }
                }
            }
        } onCancel: {
            answer.give(.failure(CancellationError()))
        }
    }
}

/// Resumes its continuation once, whoever comes first.
private final class Answer<T: Sendable>: Sendable {
    private enum State {
        case empty
        case waiting(CheckedContinuation<T, any Error>)
        case given
    }
    private let state = Mutex(State.empty)

    var isGiven: Bool { state.withLock { if case .given = $0 { true } else { false } } }

    /// False where the task was cancelled before; the continuation is resumed then.
    func wait(with continuation: CheckedContinuation<T, any Error>) -> Bool {
        let isOpen = state.withLock { state in
            guard case .empty = state else { return false }
            state = .waiting(continuation)
            return true
        }
        if !isOpen { continuation.resume(throwing: CancellationError()) }
        return isOpen
    }

    func give(_ result: Result<T, any Error>) {
        let waiting: CheckedContinuation<T, any Error>? = state.withLock { state in
            defer { state = .given }
            guard case .waiting(let continuation) = state else { return nil }
            return continuation
        }
        waiting?.resume(with: result)
    }
}
