// ItemReports: what a worker tells a faked indexer of the items that it was given.

import Fakes
import Foundation
import Synchronization
import Wire

final class ItemReports: Sendable {
    private struct State {
        var completed: [CompleteItemRequest] = []
        var last: ContinuousClock.Instant?
        var failure: String?
    }
    private let worker: String
    private let state = Mutex(State())
    private let bell = DispatchSemaphore(value: 0)

    /// - Parameter worker: its name, for errors.
    init(_ worker: String) { self.worker = worker }

    /// Takes what this indexer is told from now on.
    func listen(to indexer: FakeIndexer) {
        indexer.completeItem.answer { [self] request in
            state.withLock {
                $0.completed.append(request)
                $0.last = .now
            }
            bell.signal()
            return CompleteItemReply(state: request.work == .upload ? .uploaded : .archived)
        }
        indexer.failItem.answer { [self] request in
            state.withLock { $0.failure = request.reason ?? "an item failed without a reason" }
            bell.signal()
            return FailItemReply(state: .pending)
        }
    }

    /// Waits until so many are completed, and gives when the last one was.
    func wait(_ wanted: Int, seconds: Double) throws -> (ContinuousClock.Instant, [CompleteItemRequest]) {
        let end = DispatchTime.now() + seconds
        while true {
            let (isDone, count) = state.withLock {
                ($0.completed.count >= wanted || $0.failure != nil, $0.completed.count)
            }
            guard !isDone else { break }
            guard bell.wait(timeout: end) == .success else {
                throw BenchError("the \(worker) did \(count) of \(wanted) files within \(seconds) s")
            }
        }
        let found = state.withLock { $0 }
        if let failure = found.failure { throw BenchError("the \(worker) gave an item up: \(failure)") }
        return (found.last ?? .now, found.completed)
    }

    func forget() { state.withLock { $0 = State() } }
}
