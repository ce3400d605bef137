// Whether attempts get on: each has a watch that its body and its answer tell of progress, and one timer looks after all.
import Claims
import RPC
import Synchronization

/// Whether an attempt still gets on. It has time for each piece and time for the answer, and none runs out while it waits for its share
/// of the line.
final class AttemptWatch: Sendable {
    /// Nothing moved for too long.
    struct Stalled: Error, CustomStringConvertible {
        let seconds: Int
        var description: String { "nothing moved for \(seconds) s" }
    }

    private struct State {
        var since = ContinuousClock.now
        var allowed = Patience.always
        var isHeld = false
        var sentBytes = 0
        var bodyError: (any Error)?
        var stalled: Stalled?
    }

    /// What systems hold of a body that is written and not sent yet.
    private static let underwayBytes = 4 << 20

    let patience: Patience
    private let progress: ClaimProgress?
    private let state = Mutex(State())

    init(_ patience: Patience = Patience(), progress: ClaimProgress? = nil) {
        (self.patience, self.progress) = (patience, progress)
    }

    /// Bytes of the body that were handed over.
    var sentBytes: Int { state.withLock { $0.sentBytes } }
    /// Why the body could not be read.
    var bodyError: (any Error)? { state.withLock { $0.bodyError } }

    func hold() { state.withLock { $0.isHeld = true } }

    func bodyFailed(_ error: any Error) { state.withLock { $0.bodyError = error } }

    /// So many bytes were handed over; the line has to take them.
    func expectProgress(bytes: Int) {
        state.withLock {
            $0.sentBytes += bytes
            ($0.since, $0.allowed, $0.isHeld) = (.now, patience.time(for: bytes), false)
        }
        progress?.add(Int64(bytes))
    }

    /// The attempt has failed: what was handed over has to go again.
    func takeBack() { progress?.add(-Int64(sentBytes)) }

    /// All was handed over; what is missing is the answer.
    func awaitAnswer() {
        state.withLock {
            ($0.since, $0.allowed, $0.isHeld) = (
                .now, patience.time(for: Swift.min($0.sentBytes, Self.underwayBytes)), false
            )
        }
    }

    /// Set once it was given up.
    var stalled: Stalled? { state.withLock { $0.stalled } }

    /// Gives it up where its time is over. Gives when to look again otherwise.
    fileprivate func look(_ now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        state.withLock { state in
            guard !state.isHeld else { return now + Patience.always }
            guard state.since + state.allowed <= now else { return state.since + state.allowed }
            state.stalled = Stalled(seconds: Int(state.allowed / .seconds(1)))
            return nil
        }
    }
}

/// Ends attempts that get nowhere. One timer for all of them: an attempt takes a millisecond, and almost none stalls.
final class AttemptWatches: Sendable {
    private struct Attempt {
        let watch: AttemptWatch
        let cancel: @Sendable () -> Void
    }

    private let attempts = Mutex<[ObjectIdentifier: Attempt]>([:])
    private let timer = DeadlineTimer()

    init() { timer.whenDue { [weak self] now in self?.look(now) } }

    /// Does the work as long as its watch sees progress. Throws Stalled, CancellationError, and what the work throws.
    func perform<Result: Sendable>(
        _ watch: AttemptWatch, _ work: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let task = Task { try await work() }
        attempts.withLock { $0[ObjectIdentifier(watch)] = Attempt(watch: watch, cancel: { task.cancel() }) }
        defer { attempts.withLock { $0[ObjectIdentifier(watch)] = nil } }
        timer.announce(watch.look(.now) ?? .now)
        do {
            return try await withTaskCancellationHandler {
                try await task.value
            } onCancel: {
                task.cancel()
            }
        } catch {
            throw watch.stalled ?? error
        }
    }

    /// Ends what has stalled; gives when to look again.
    private func look(_ now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        var next: ContinuousClock.Instant?
        for attempt in attempts.withLock({ Array($0.values) }) {
            if let end = attempt.watch.look(now) { next = min(next ?? end, end) } else { attempt.cancel() }
        }
        return next
    }
}
