// Timestamps of one track beyond their wrap at 2^32.

/// Extends the 32 bits of a packet's timestamp to a time that does not wrap.
public struct RTPClock: Sendable {
    private var origin: UInt32?
    private var last: Int64?

    /// Nothing seen. With an `origin`, that timestamp is time 0; without, the first time is the first timestamp.
    public init(origin: UInt32? = nil) {
        self.origin = origin
    }

    /// The time in ticks: the one nearest to the packet before (less than half a wrap, 6.6 hours at 90 kHz, to either side).
    public mutating func take(_ timestamp: UInt32) -> Int64 {
        let extended = extend(timestamp)
        last = extended
        return extended
    }

    /// The time that `take` would give, for a timestamp that is not a packet's (RTCP).
    public func extend(_ timestamp: UInt32) -> Int64 {
        let shown = timestamp &- (origin ?? 0)
        guard let last else { return origin == nil ? Int64(shown) : Int64(Int32(bitPattern: shown)) }
        return last &+ Int64(Int32(bitPattern: shown &- UInt32(truncatingIfNeeded: last)))
    }

    /// The numbering began anew: `timestamp` is that time.
    public mutating func restart(_ timestamp: UInt32, at ticks: Int64) {
        origin = timestamp &- UInt32(truncatingIfNeeded: ticks)
        last = ticks
    }
}
