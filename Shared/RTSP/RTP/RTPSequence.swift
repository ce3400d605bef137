// Sequence numbers of one track beyond their wrap at 2^16, and what they say about loss (RFC 3550 A.1, A.3).
//
// Unlike A.1 there is no probation: the session was set up by us, so the first packet counts. A jump far ahead or back is
// believed only when a second packet continues it, so that one stray packet does not end the run.

/// Extends and counts sequence numbers of one source at a time.
public struct RTPSequence: Sendable {
    /// What a packet's number says.
    public enum Arrival: Sendable, Hashable {
        /// In order; `lost` packets before it are missing (0: none).
        case next(extended: Int64, lost: Int)
        /// Behind the newest one, not seen before: it fills a place that was counted as lost.
        case late(extended: Int64)
        /// Seen before, or too far back to tell.
        case duplicate
        /// Far from the others; to be dropped unless the next one continues it.
        case stray
        /// The numbering began anew here (another SSRC, or a confirmed jump); what was in progress is over.
        case restarted(extended: Int64)
    }

    /// A jump ahead by at least this many packets is no loss (RFC 3550 A.1: about a minute of video at low rate).
    public static let maximumDropout = 3000
    /// How far back a packet may come late (RFC 3550 A.1).
    public static let maximumMisorder = 100

    /// Packets that came, without duplicates and strays, of the current source.
    public private(set) var received: Int64 = 0
    /// Duplicates, ever.
    public private(set) var duplicates: UInt64 = 0
    /// Changes of SSRC and confirmed jumps, ever.
    public private(set) var restarts: UInt64 = 0
    /// The newest number, extended; nil before the first packet. Its low 32 bits are what a receiver report states.
    public private(set) var highest: Int64?
    /// The current source.
    public private(set) var ssrc: UInt32?

    private var base: Int64 = 0
    private var expectedAfterStray: UInt16?
    /// Which of the 128 newest numbers came; bit 0 is `highest`.
    private var seen: (low: UInt64, high: UInt64) = (0, 0)

    /// Nothing seen.
    public init() {}

    /// Packets that should have come from the current source.
    public var expected: Int64 { highest.map { $0 - base + 1 } ?? 0 }
    /// Packets missing from the current source.
    public var lost: Int64 { max(0, expected - received) }

    /// Takes the number of a packet.
    public mutating func take(_ number: UInt16, ssrc source: UInt32) -> Arrival {
        guard let highest, ssrc == source else {
            let isFirst = highest == nil
            ssrc = source
            return begin(number, isFirst: isFirst)
        }
        let step = Int(Int16(bitPattern: number &- UInt16(truncatingIfNeeded: highest)))
        if step > 0, step < Self.maximumDropout {
            let extended = highest + Int64(step)
            self.highest = extended
            shift(by: step)
            received += 1
            expectedAfterStray = nil
            return .next(extended: extended, lost: step - 1)
        }
        if step <= 0, step > -Self.maximumMisorder { return fill(-step, highest - Int64(-step)) }
        if expectedAfterStray == number { return begin(number, isFirst: false) }
        expectedAfterStray = number &+ 1
        return .stray
    }

    private mutating func begin(_ number: UInt16, isFirst: Bool) -> Arrival {
        // One cycle up, so that a packet late from before the first has a number too.
        let extended = 0x1_0000 + Int64(number)
        base = extended
        highest = extended
        received = 1
        seen = (1, 0)
        expectedAfterStray = nil
        if isFirst { return .next(extended: extended, lost: 0) }
        restarts += 1
        return .restarted(extended: extended)
    }

    private mutating func fill(_ behind: Int, _ extended: Int64) -> Arrival {
        let bit = UInt64(1) << UInt64(behind % 64)
        let wasSeen = (behind < 64 ? seen.low : seen.high) & bit != 0
        // What was sent before the first packet that came was never expected.
        guard !wasSeen, extended >= base else {
            duplicates += 1
            return .duplicate
        }
        if behind < 64 { seen.low |= bit } else { seen.high |= bit }
        received += 1
        return .late(extended: extended)
    }

    private mutating func shift(by step: Int) {
        if step >= 128 {
            seen = (0, 0)
        } else if step >= 64 {
            seen = (0, seen.low << UInt64(step - 64))
        } else {
            seen = (seen.low << UInt64(step), seen.high << UInt64(step) | seen.low >> UInt64(64 - step))
        }
        seen.low |= 1
    }
}
