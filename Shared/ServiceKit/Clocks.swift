// Clocks: code takes one, tests own it. Wall time dates things; durations are measured with the monotonic clock.
import Glibc
import Synchronization

/// Gives the time of day.
public protocol WallClock: Sendable {
    /// Microseconds since 1970-01-01T00:00:00Z, UTC.
    func nowUs() -> Int64
}

/// The host's clock.
public struct SystemWallClock: WallClock {
    /// The host's clock.
    public init() {}

    /// Microseconds since 1970, UTC.
    public func nowUs() -> Int64 { microseconds(CLOCK_REALTIME) }
}

/// A clock that stands still until a test moves it.
public final class ManualWallClock: WallClock {
    private let us: Mutex<Int64>

    /// Starts at 2026-11-23T05:06:12Z unless told otherwise.
    public init(us: Int64 = 1_795_410_372_000_000) { self.us = Mutex(us) }

    /// Microseconds since 1970, UTC.
    public func nowUs() -> Int64 { us.withLock { $0 } }

    /// Sets the time, backwards too.
    public func set(us: Int64) { self.us.withLock { $0 = us } }

    /// Moves the time, backwards for a negative number.
    public func advance(us: Int64) { self.us.withLock { $0 += us } }
}

/// The clock that only goes forward, from an arbitrary start; it counts no time in which the host is suspended.
public enum MonotonicTime {
    /// Microseconds since the arbitrary start.
    public static func nowUs() -> Int64 { microseconds(CLOCK_MONOTONIC) }
}

private func microseconds(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    // Fails only for a clock that does not exist; both used here always do.
    _ = clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
}
