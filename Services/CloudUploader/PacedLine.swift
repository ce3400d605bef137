// The line to the storage within its means: LineState.swift decides, here those who wait are kept and woken. One for the process;
// `run` keeps its time.
import Logging
import ServiceKit
import Synchronization

final class PacedLine: Line {
    /// Told when the service has us wait for long, and when that is over.
    typealias Report = @Sendable (_ isReady: Bool, _ reason: String) -> Void

    private typealias Continuation = CheckedContinuation<Void, any Error>

    /// Somebody who asked and could not go on at once.
    private enum Waiter {
        /// Not suspended yet.
        case asking
        case suspended(Continuation)
        /// Ended before it was suspended.
        case released
        case cancelled
    }

    private struct State {
        var line: LineState
        var waiters: [UInt64: Waiter] = [:]
        var lastID: UInt64 = 0
        /// When `run` looks again.
        var looksAt: ContinuousClock.Instant
        var isHoldReported = false
        var countedHeldTime = Duration.zero
    }

    /// A wait of the service's that is shorter is no news.
    private static let longHold = Duration.seconds(5)
    /// How often the wall clock is looked at while hours matter: it may be set.
    private static let clockLook = Duration.seconds(10)
    private static let longestSleep = Duration.seconds(60)

    private let schedule: BandwidthSchedule
    private let clock: any WallClock
    private let report: Report
    private let state: Mutex<State>
    private let wakeup = Wakeup()
    private let metrics = LineMetrics()

    /// - Parameter maximum: requests on their way, at most.
    init(schedule: BandwidthSchedule, maximum: Int, clock: any WallClock, report: @escaping Report = { _, _ in }) {
        self.schedule = schedule
        self.clock = clock
        self.report = report
        let now = ContinuousClock.now
        let bandwidth = schedule.bandwidth(atUs: clock.nowUs())
        state = Mutex(State(line: LineState(maximum: maximum, bandwidth: bandwidth, now: now), looksAt: now))
        metrics.show(bandwidth)
    }

    /// Whether a request could begin soon: work that would only wait need not be claimed.
    var isOpen: Bool {
        state.withLock { state in
            state.line.bandwidth != .nothing && (state.line.heldUntil ?? .now) - .now <= Self.longHold
        }
    }

    // MARK: Line

    func begin() async throws -> LineTicket {
        let id = try await wait { line, id, now in line.askToBegin(id, now: now) }
        return LineTicket(number: id, beganAt: .now)
    }

    func pace(bytes: Int) async throws {
        // Nothing is counted on a line that never has a limit.
        guard schedule.steady != .unlimited || !schedule.windows.isEmpty else { return try Task.checkCancellation() }
        _ = try await wait { line, id, now in line.askToSend(id, bytes: bytes, now: now) }
    }

    func end(_ ticket: LineTicket, _ outcome: LineOutcome) {
        metrics.count(outcome)
        goOn { line, now in line.end(ticket.number, outcome, now: now) }
    }

    // MARK: Time

    /// Lets go who has waited long enough and follows the hours, until its task is cancelled.
    func run() async {
        while !Task.isCancelled {
            let wallUs = clock.nowUs()
            let bandwidth = schedule.bandwidth(atUs: wallUs)
            metrics.show(bandwidth)
            goOn { line, now in line.set(bandwidth, now: now) }
            reportHold()
            var limit = Self.longestSleep
            if let lookUs = schedule.nextLook(afterUs: wallUs) {
                limit = min(Self.clockLook, .microseconds(lookUs - wallUs))
            }
            let sleep = state.withLock { state in
                let now = ContinuousClock.now
                let next = [state.line.nextRelease(now: now), state.line.heldUntil].compactMap { $0 }.min()
                state.looksAt = min(next ?? now + limit, now + limit)
                return state.looksAt - now
            }
            await wakeup.wait(atMost: max(sleep, .zero))
        }
    }

    private func reportHold() {
        let (change, held) = state.withLock { state in
            let left = state.line.heldUntil.map { $0 - .now } ?? .zero
            let isLong = state.isHoldReported ? left > .zero : left > Self.longHold
            let change: Duration? = isLong == state.isHoldReported ? nil : left
            state.isHoldReported = isLong
            let held = state.line.heldTime - state.countedHeldTime
            state.countedHeldTime = state.line.heldTime
            return (change, held)
        }
        metrics.count(held: held)
        guard let change else { return }
        let seconds = Int((change / .seconds(1)).rounded(.up))
        report(
            change <= .zero,
            change <= .zero
                ? ""
                : "the storage asks for fewer requests: nothing is sent for \(seconds) s; check the account's limits and who "
                    + "else uses it")
    }

    // MARK: Waiting

    /// Changes the line, and lets go who may go on then.
    private func goOn(_ change: (inout LineState, ContinuousClock.Instant) -> Void) {
        let now = ContinuousClock.now
        let (free, isSooner) = state.withLock { state in
            change(&state.line, now)
            var free: [Continuation] = []
            for id in state.line.release(now: now) {
                if case .suspended(let continuation) = state.waiters[id] {
                    state.waiters[id] = nil
                    free.append(continuation)
                } else {
                    state.waiters[id] = .released
                }
            }
            metrics.show(state.line)
            return (free, Self.isSooner(state, now))
        }
        for continuation in free { continuation.resume() }
        if isSooner { wakeup.signal() }
    }

    /// Whether somebody can be let go, or a wait of the service's be reported, before `run` looks.
    private static func isSooner(_ state: State, _ now: ContinuousClock.Instant) -> Bool {
        if state.line.heldTime != state.countedHeldTime { return true }
        return state.line.nextRelease(now: now).map { $0 < state.looksAt } ?? false
    }

    private func wait(_ ask: (inout LineState, UInt64, ContinuousClock.Instant) -> Bool) async throws -> UInt64 {
        try Task.checkCancellation()
        let now = ContinuousClock.now
        let (id, isFree, isSooner) = state.withLock { state in
            state.lastID += 1
            let id = state.lastID
            let isFree = ask(&state.line, id, now)
            if !isFree { state.waiters[id] = .asking }
            metrics.show(state.line)
            return (id, isFree, !isFree && Self.isSooner(state, now))
        }
        if isFree { return id }
        if isSooner { wakeup.signal() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: Continuation) in
                let end: Result<Void, any Error>? = state.withLock { state in
                    switch state.waiters[id] {
                    case .released:
                        state.waiters[id] = nil
                        return .success(())
                    case .cancelled:
                        state.waiters[id] = nil
                        return .failure(CancellationError())
                    case .asking, .suspended, nil:
                        state.waiters[id] = .suspended(continuation)
                        return nil
                    }
                }
                if let end { continuation.resume(with: end) }
            }
        } onCancel: {
            cancel(id)
        }
        return id
    }

    /// Who was let go already goes on: it may hold a place, which only it gives back.
    private func cancel(_ id: UInt64) {
        let continuation: Continuation? = state.withLock { state in
            switch state.waiters[id] {
            case .suspended(let continuation):
                state.line.forget(id)
                state.waiters[id] = nil
                return continuation
            case .asking:
                state.line.forget(id)
                state.waiters[id] = .cancelled
                return nil
            case .released, .cancelled, nil: return nil
            }
        }
        continuation?.resume(throwing: CancellationError())
        // Whoever stood behind it may be first.
        goOn { _, _ in }
    }
}
