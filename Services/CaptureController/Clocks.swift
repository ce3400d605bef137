// The two clocks, in microseconds: durations are measured with the monotonic one, moments are named by the wall clock.
import Glibc

/// Microseconds of the host's monotonic clock, the one of `MediaPacket.arrivalNs`.
func monotonicUs() -> Int64 { read(CLOCK_MONOTONIC) }

/// Microseconds since 1970, UTC.
func wallClockUs() -> Int64 { read(CLOCK_REALTIME) }

private func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
}
