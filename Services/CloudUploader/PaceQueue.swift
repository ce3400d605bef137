// A bucket of bytes with those who wait for it, in order. Values only; the time comes in.
//
// The bucket fills with the bandwidth, up to a tenth of a second of it. Who is first goes as soon as it is not empty, and takes all
// that he wants at once, so that it may be owed: whatever the pieces' sizes, the bytes of any time are the bandwidth times that time,
// plus the bucket and one piece.

struct PaceQueue: Sendable {
    typealias Instant = ContinuousClock.Instant

    private struct Waiter {
        let id: UInt64
        let bytes: Int
    }

    /// How much unused time may be made up for.
    static let burst = 0.1

    private(set) var bandwidth: Bandwidth
    /// Bytes that may go now; owed below 0.
    private var level = 0.0
    private var filledAt: Instant
    private var waiting: [Waiter] = []

    init(_ bandwidth: Bandwidth, now: Instant) {
        self.bandwidth = bandwidth
        filledAt = now
    }

    var isWaiting: Bool { !waiting.isEmpty }

    /// Another bandwidth holds from now on, also for who waits. What is owed stays owed.
    mutating func set(_ new: Bandwidth, now: Instant) {
        fill(now)
        bandwidth = new
        // Without a limit nothing is counted, so nothing may be made up for after it.
        level = new == .unlimited ? 0 : min(level, Double(new.bytesPerSecond ?? 0) * Self.burst)
    }

    /// True where the bytes may go at once; else `release` names the id when they may.
    mutating func ask(_ id: UInt64, bytes: Int, now: Instant) -> Bool {
        fill(now)
        guard waiting.isEmpty, take(bytes) else {
            waiting.append(Waiter(id: id, bytes: bytes))
            return false
        }
        return true
    }

    /// It does not wait any more.
    mutating func forget(_ id: UInt64) { waiting.removeAll { $0.id == id } }

    /// Who may go now, in the order in which they asked.
    mutating func release(now: Instant) -> [UInt64] {
        fill(now)
        var released: [UInt64] = []
        while let first = waiting.first, take(first.bytes) {
            released.append(first.id)
            waiting.removeFirst()
        }
        return released
    }

    /// When the next may go; nil where nobody waits or nothing may be sent.
    var nextRelease: Instant? {
        guard isWaiting else { return nil }
        guard let rate = bandwidth.bytesPerSecond else { return filledAt }
        return rate == 0 ? nil : filledAt + .seconds(max(0, -level) / Double(rate))
    }

    private mutating func take(_ bytes: Int) -> Bool {
        guard let rate = bandwidth.bytesPerSecond else { return true }
        // Half a byte is what arithmetic loses.
        guard rate > 0, level >= -0.5 else { return false }
        level -= Double(bytes)
        return true
    }

    private mutating func fill(_ now: Instant) {
        let rate = Double(bandwidth.bytesPerSecond ?? 0)
        level = min(level + rate * max(0, (now - filledAt) / .seconds(1)), max(level, rate * Self.burst))
        filledAt = max(filledAt, now)
    }
}
