// Media time to the sender's wall clock, by its sender reports (RFC 3550 6.4.1), checked against what our clocks show.
//
// A report may never come, come late, or lie by hours: a camera without NTP starts in 1970, others send zeros. So its wall
// clock is used only where it lies near our own, and where it goes on as the report before it did; else the caller dates
// by arrival, and can say why.

/// Keeps the newest believable report of one track.
public struct SenderClock: Sendable {
    /// What became of a report.
    public enum Verdict: Sendable, Hashable {
        /// It maps from now on.
        case used
        /// NTP time 0: the sender has no clock.
        case absent
        /// Off from our wall clock by this many nanoseconds (positive: ahead).
        case implausible(offNs: Int64)
        /// Does not go on as the one before: one of its clocks jumped. The mapping is void until the next report.
        case jumped
    }

    /// A camera that is off by more is not synchronised; footage is dated by arrival then. Ten seconds are what sloppy NTP
    /// clients drift between their polls.
    public static let maximumOffsetNs: Int64 = 10_000_000_000
    /// What wall and media clock may differ by between two reports: more than jitter and correction of a clock in use.
    public static let maximumStepNs: Int64 = 500_000_000

    /// Reports that were not used.
    public private(set) var refused: UInt64 = 0
    private let clockRate: Int64
    private var anchor: (wallNs: Int64, ticks: Int64)?

    /// For a track of `clockRate` ticks per second.
    public init(clockRate: Int) {
        self.clockRate = Int64(min(max(clockRate, 1), 10_000_000))
    }

    /// The sender's wall clock is known and believed.
    public var isKnown: Bool { anchor != nil }

    /// Takes a report. `ticks`: its media time, extended (`RTPClock.extend`); `wallNs`: our wall clock at its arrival, in
    /// nanoseconds since 1970.
    public mutating func take(ntp: UInt64, ticks: Int64, wallNs: Int64) -> Verdict {
        let verdict = judge(ntp: ntp, ticks: ticks, wallNs: wallNs)
        switch verdict {
        case .used: anchor = (Self.unixNs(ntp), ticks)
        case .absent: refused += 1
        case .implausible, .jumped:
            refused += 1
            anchor = nil
        }
        return verdict
    }

    /// Another source, or a new timeline: the mapping is void.
    public mutating func reset() {
        anchor = nil
    }

    /// When the sender captured this media time, in nanoseconds since 1970. nil: unknown.
    public func wallNs(ticks: Int64) -> Int64? {
        guard let anchor else { return nil }
        let (distance, overflow) = ticks.subtractingReportingOverflow(anchor.ticks)
        guard !overflow, let span = nanoseconds(distance) else { return nil }
        let sum = anchor.wallNs.addingReportingOverflow(span)
        return sum.overflow ? nil : sum.partialValue
    }

    private func judge(ntp: UInt64, ticks: Int64, wallNs: Int64) -> Verdict {
        guard ntp != 0 else { return .absent }
        let off = Self.unixNs(ntp).subtractingReportingOverflow(wallNs)
        guard !off.overflow, off.partialValue.magnitude <= UInt64(Self.maximumOffsetNs) else {
            return .implausible(offNs: off.overflow ? (wallNs < 0 ? .max : .min) : off.partialValue)
        }
        if isKnown {
            guard let expected = self.wallNs(ticks: ticks) else { return .jumped }
            let step = Self.unixNs(ntp).subtractingReportingOverflow(expected)
            if step.overflow || step.partialValue.magnitude > UInt64(Self.maximumStepNs) { return .jumped }
        }
        return .used
    }

    private func nanoseconds(_ ticks: Int64) -> Int64? {
        let (seconds, overflow) = (ticks / clockRate).multipliedReportingOverflow(by: 1_000_000_000)
        let sum = seconds.addingReportingOverflow(ticks % clockRate * 1_000_000_000 / clockRate)
        return overflow || sum.overflow ? nil : sum.partialValue
    }

    /// NTP's seconds count from 1900 and wrap in 2036; those of the upper half are before the wrap (RFC 4330 3).
    private static func unixNs(_ ntp: UInt64) -> Int64 {
        let stated = Int64(ntp >> 32)
        let seconds = stated >= 0x8000_0000 ? stated : stated + 0x1_0000_0000
        let fraction = Int64(((ntp & 0xFFFF_FFFF) * 1_000_000_000) >> 32)
        return (seconds - RTCPPacket.ntpEpochSeconds) * 1_000_000_000 + fraction
    }
}
