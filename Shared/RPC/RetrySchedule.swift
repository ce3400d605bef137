// RetrySchedule: whether and when a failed call is sent again. Pure: errors, times and random numbers come in.
//
// Sent again is what failed with UNAVAILABLE (not connected, connection lost, server starting or stopping), when sending
// twice does no harm and the caller still waits. The n-th pause is 20 ms * 2^(n-1), at most 500 ms, times a random factor
// between 0.5 and 1, so that the callers of a restarted service do not come all at once:
//
//     attempt   1     2      3      4      5      6       7 ...
//     after     0     10-20  20-40  40-80  80-160 160-320 250-500 ms

/// The attempts of one call.
struct RetrySchedule: Sendable {
    /// What to do about a failure.
    enum Action: Equatable, Sendable {
        case retry(after: Duration)
        case giveUp
    }

    static let firstPause = Duration.milliseconds(20)
    static let longestPause = Duration.milliseconds(500)

    let isSafe: Bool
    let deadline: ContinuousClock.Instant
    private(set) var failures = 0

    init(isSafe: Bool, deadline: ContinuousClock.Instant) {
        self.isSafe = isSafe
        self.deadline = deadline
    }

    /// - Parameter random: from 0 to 1.
    mutating func failed(with error: RPCError, now: ContinuousClock.Instant, random: Double) -> Action {
        guard isSafe, error.code == .unavailable else { return .giveUp }
        failures += 1
        let doubled = failures > 6 ? Self.longestPause : Self.firstPause * (1 << (failures - 1))
        let pause = min(doubled, Self.longestPause) * (0.5 + 0.5 * random)
        return now + pause < deadline ? .retry(after: pause) : .giveUp
    }
}
