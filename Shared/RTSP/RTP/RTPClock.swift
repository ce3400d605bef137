// Timestamps of one track beyond their wrap at 2^32.

/// Extends the 32 bits of a packet's timestamp to a time that does not wrap.
public struct RTPClock: Sendable {
    private var last: Int64?

    /// Nothing seen.
    public init() {}

    /// The time in ticks: the one nearest to the packet before (less than half a wrap, 6.6 hours at 90 kHz, to either side).
    public mutating func take(_ timestamp: UInt32) -> Int64 {
        let extended = extend(timestamp)
        last = extended
        return extended
    }

    /// The time that `take` would give, for a timestamp that is not a packet's (RTCP).
    public func extend(_ timestamp: UInt32) -> Int64 {
        guard let last else { return Int64(timestamp) }
        return last + Int64(Int32(bitPattern: timestamp &- UInt32(truncatingIfNeeded: last)))
    }
}
