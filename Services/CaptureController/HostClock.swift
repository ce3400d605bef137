// Whether the host's wall clock was set: wall minus monotonic time, watched. Pure.
//
// On Linux a clock that is slewed (NTP's ordinary way, a smeared leap second) takes the monotonic clock along, so the difference
// changes when the clock is set, at a leap second that is inserted, and when the host was suspended.

struct HostClock: Sendable, Equatable {
    /// A change by more is a step: the times of a run do not go on over it. A smaller one is followed by bending the run's
    /// clock, for at most 17 minutes (500 ms at 500 ppm). A leap second is a step; what NTP daemons correct without stepping
    /// (systemd-timesyncd up to 400 ms, ntpd up to 128 ms) is none.
    static let stepUs: Int64 = 500_000

    /// Wall minus monotonic time. Nil before the first look.
    private(set) var offsetUs: Int64?
    /// Seen once: a thread that was interrupted between reading the two clocks sees a step that is none.
    private var suspectUs: Int64?

    /// A look at both clocks. Gives the step, positive where the clock was set ahead, at the second look that sees it.
    mutating func look(wallUs: Int64, nowUs: Int64) -> Int64? {
        let offset = wallUs &- nowUs
        guard let known = offsetUs else {
            offsetUs = offset
            return nil
        }
        guard Self.isStep(known, offset) else {
            offsetUs = offset
            suspectUs = nil
            return nil
        }
        guard let suspect = suspectUs, !Self.isStep(suspect, offset) else {
            suspectUs = offset
            return nil
        }
        offsetUs = offset
        suspectUs = nil
        return offset &- known
    }

    private static func isStep(_ one: Int64, _ other: Int64) -> Bool { (other &- one).magnitude > UInt64(stepUs) }

    /// For the end of a run.
    static func reason(stepUs: Int64) -> String {
        let tenths = stepUs.magnitude / 100_000
        return "the host's clock was set \(stepUs < 0 ? "back" : "ahead") by \(tenths / 10).\(tenths % 10) s"
    }
}
