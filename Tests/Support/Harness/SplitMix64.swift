// The generator of random numbers that fault campaigns and emulated disks are drawn from: SplitMix64 (Steele, Lea, Flood 2014),
// 64 bits of state. Written down here, and not taken from the standard library, so that a seed gives the same plan for ever.

/// A sequence of numbers that follows from its seed.
public struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// The sequence of a seed.
    public init(seed: UInt64) { state = seed }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number from 0 to `bound` - 1; 0 where the bound is not positive. The bias of the remainder is below 2^-50 for the
    /// bounds of a plan.
    public mutating func below(_ bound: Int) -> Int {
        bound > 0 ? Int(next() % UInt64(bound)) : 0
    }

    /// A number of the range, its ends included.
    public mutating func within(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + below(range.upperBound - range.lowerBound + 1)
    }

    /// True in so many of a hundred cases.
    public mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

    /// One of the values, each as often as its weight says. Nil where there is none.
    public mutating func choice<T>(_ weighted: [(value: T, weight: Int)]) -> T? {
        var rest = below(weighted.reduce(0) { $0 + $1.weight })
        for (value, weight) in weighted {
            if rest < weight { return value }
            rest -= weight
        }
        return nil
    }
}
