// BackOff: how long to wait before the next attempt. Pure; chance is passed in. `retry` waits by it.

/// Waiting times that grow by `factor` up to `maximum`, each spread by `jitter` so that many clients do not come back at
/// the same moment.
///
/// With the default (500 ms, factor 2, at most 30 s, jitter 0.2), waits in seconds, attempt by attempt:
///
///     failure    1          2          3          4          5          6            7 and on
///     base       0.5        1          2          4          8          16           30
///     waits      0.4…0.6    0.8…1.2    1.6…2.4    3.2…4.8    6.4…9.6    12.8…19.2    24…30
public struct BackOff: Sendable, Hashable {
    /// The first wait, before jitter.
    public let first: Duration
    /// The longest wait, jitter included.
    public let maximum: Duration
    /// What each wait is multiplied by, at least 1.
    public let factor: Double
    /// 0 to 1: a wait lies between (1 - jitter) and (1 + jitter) times its base.
    public let jitter: Double
    /// Failures since the last reset.
    public private(set) var failures = 0

    /// The defaults bother a neighbour that restarts for seconds, not milliseconds, and find it again within half a minute
    /// after a long absence.
    public init(
        first: Duration = .milliseconds(500), maximum: Duration = .seconds(30), factor: Double = 2, jitter: Double = 0.2
    ) {
        self.first = max(first, .milliseconds(1))
        self.maximum = max(maximum, self.first)
        self.factor = max(1, factor)
        self.jitter = min(max(0, jitter), 1)
    }

    /// Counts a failure and gives the wait before the next attempt. `chance` is in 0..<1.
    public mutating func next(chance: Double = .random(in: 0..<1)) -> Duration {
        failures = failures == .max ? failures : failures + 1
        return wait(after: failures, chance: chance)
    }

    /// The wait after so many failures, for who counts them. `chance` is in 0..<1.
    public func wait(after failures: Int, chance: Double) -> Duration {
        // Beyond 64 doublings every base is above every maximum; without the bound the power would be infinite.
        var scale = 1.0
        for _ in 1..<max(2, min(failures, 64)) where failures > 1 && first * scale < maximum { scale *= factor }
        let base = min(first * scale, maximum)
        return min(base * (1 - jitter + 2 * jitter * chance), maximum)
    }

    /// Call it after a success.
    public mutating func reset() { failures = 0 }
}

/// Runs `body` until it succeeds, waiting by `backOff` after each failure. `onFailure` is told of each one with the wait that
/// follows, and says whether another attempt makes sense; where it does not, the error is thrown. Cancellation ends it
/// with CancellationError, also during a wait.
public func retry<Result: Sendable>(
    backOff: BackOff = BackOff(), clock: some Clock<Duration> = ContinuousClock(),
    onFailure: (any Error, Duration) -> Bool = { _, _ in true }, isolation: isolated (any Actor)? = #isolation,
    _ body: () async throws -> Result
) async throws -> Result {
    var backOff = backOff
    while true {
        try Task.checkCancellation()
        do {
            return try await body()
        } catch {
            if error is CancellationError { throw error }
            let wait = backOff.next()
            guard onFailure(error, wait) else { throw error }
            try await clock.sleep(for: wait)
        }
    }
}
