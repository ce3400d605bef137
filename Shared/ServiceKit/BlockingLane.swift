// BlockingLane: threads for calls that block (files, SQLite, C libraries), so that they never hold a thread of Swift's
// cooperative pool. Bounded: what waits beyond the bound is refused, not piled up.
import Foundation
import Synchronization

/// The lane has as much waiting as it takes, or was closed.
public enum BlockingLaneError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Too many calls wait.
    case full(lane: String, waiting: Int)
    /// The lane was closed.
    case closed(lane: String)

    /// One line.
    public var description: String {
        switch self {
        case .full(let lane, let waiting): "\(lane): \(waiting) calls wait already; try again later"
        case .closed(let lane): "\(lane): closed, the service is stopping"
        }
    }
}

/// Runs blocking calls on threads of its own, in order of arrival.
public final class BlockingLane: Sendable {
    private struct State {
        var waiting: [@Sendable () -> Void] = []
        var isClosed = false
    }

    // NSCondition is safe to share by its purpose; it guards `state`, which nothing touches without it.
    private final class Shared: @unchecked Sendable {
        let condition = NSCondition()
        var state = State()
    }

    private static let leastPriority: Int32 = 19

    private let name: String
    private let maximumWaiting: Int
    private let shared = Shared()

    /// - Parameters:
    ///   - name: of the threads, for debuggers and errors.
    ///   - threads: how many calls run at once. One keeps them in order.
    ///   - isUrgent: false for threads that run only when no other wants the processor.
    ///   - maximumWaiting: calls that may wait. 1024: far more than any service has on its way, far less than memory.
    public init(_ name: String, threads: Int = 1, isUrgent: Bool = true, maximumWaiting: Int = 1024) {
        self.name = name
        self.maximumWaiting = maximumWaiting
        for number in 0..<max(1, threads) {
            let thread = Thread { [shared] in
                // On Linux this is of the calling thread alone.
                if !isUrgent { _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.leastPriority) }
                Self.work(shared)
            }
            thread.name = "\(name)-\(number)"
            thread.start()
        }
    }

    deinit { close() }

    /// Runs `body` on one of the lane's threads. Errors: those of `body`, and BlockingLaneError. Cancellation does not stop
    /// a call that has started; one that still waits is run as well, so that what was handed over is done.
    public func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            let refusal = add { continuation.resume(with: Swift.Result { try body() }) }
            if let refusal { continuation.resume(throwing: refusal) }
        }
    }

    /// Ends the threads once what waits is done. Later calls are refused.
    public func close() {
        shared.condition.lock()
        shared.state.isClosed = true
        shared.condition.broadcast()
        shared.condition.unlock()
    }

    private func add(_ job: @escaping @Sendable () -> Void) -> BlockingLaneError? {
        shared.condition.lock()
        defer { shared.condition.unlock() }
        if shared.state.isClosed { return .closed(lane: name) }
        if shared.state.waiting.count >= maximumWaiting { return .full(lane: name, waiting: maximumWaiting) }
        shared.state.waiting.append(job)
        shared.condition.signal()
        return nil
    }

    private static func work(_ shared: Shared) {
        while true {
            shared.condition.lock()
            while shared.state.waiting.isEmpty, !shared.state.isClosed { shared.condition.wait() }
            let job = shared.state.waiting.isEmpty ? nil : shared.state.waiting.removeFirst()
            shared.condition.unlock()
            guard let job else { return }
            job()
        }
    }
}
