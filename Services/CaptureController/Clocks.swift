// The two clocks, in microseconds: durations are measured with the monotonic one, moments are named by the wall clock. Only
// the threads and loops call these; the state machines are handed the time.
import ServiceKit

/// Microseconds of the host's monotonic clock, the one of `MediaPacket.arrivalNs`.
func monotonicUs() -> Int64 { MonotonicTime.nowUs() }

/// Microseconds since 1970, UTC.
func wallClockUs() -> Int64 { SystemWallClock().nowUs() }
