// Packets of UDP in the order in which they were sent, and the places where some are missing.
//
// A packet that continues the one before is handed on as it lies in the receive buffer; only packets that came too early
// are copied, until the gap before them closes, is too old, or too many wait. With depth 0 (TCP) nothing ever waits, so
// nothing is copied and each gap is told at once.

/// Orders packets of one track by sequence number.
public struct RTPReorderBuffer: Sendable {
    /// What comes out, in order.
    public enum Output {
        /// The next packet, borrowed for the duration of the call, and when it arrived.
        case packet(UnsafeRawBufferPointer, arrivalNs: Int64)
        /// This many packets before the next one did not come (in time).
        case lost(Int)
        /// The numbering began anew; what was in progress is over.
        case restarted
    }

    /// Counters since the beginning.
    public struct Counters: Sendable, Hashable {
        /// Packets that waited for an earlier one.
        public var reordered: UInt64 = 0
        /// Packets that came after their place was given up, or twice.
        public var late: UInt64 = 0
        /// Packets given up.
        public var lost: UInt64 = 0
        /// Packets far outside the numbering, dropped.
        public var stray: UInt64 = 0
    }

    private struct Held {
        var bytes: [UInt8]
        var arrivalNs: Int64
    }

    /// Packets that may wait; reordering beyond 5 was not seen, 64 are 3 ms of an 8 Mbit/s burst at line rate.
    public static let defaultDepth = 64
    /// How long a packet may wait, in nanoseconds: two frames at 25 Hz hide most Wi-Fi retries.
    public static let defaultWaitNs: Int64 = 80_000_000

    /// What happened so far.
    public private(set) var counters = Counters()
    private let depth: Int
    private let waitNs: Int64
    private var held: [Int64: Held] = [:]
    private var next: Int64?
    private var expectedAfterStray: UInt16?

    /// Holds at most `depth` packets (0 to 1024), each for at most `waitNs`. Depth 0 passes everything through.
    public init(depth: Int = RTPReorderBuffer.defaultDepth, waitNs: Int64 = RTPReorderBuffer.defaultWaitNs) {
        self.depth = min(max(depth, 0), 1024)
        self.waitNs = max(waitNs, 0)
    }

    /// When `expire` has something to do, in nanoseconds of the monotonic clock; nil: nothing waits.
    public var deadlineNs: Int64? { held.values.map(\.arrivalNs).min().map { $0 &+ waitNs } }

    /// Takes a packet (its bytes and its sequence number) and hands on what is in order now.
    public mutating func take(
        _ bytes: UnsafeRawBufferPointer, sequenceNumber: UInt16, arrivalNs: Int64, deliver: (Output) -> Void
    ) {
        guard let next else {
            self.next = 0x1_0000 + Int64(sequenceNumber) + 1
            return deliver(.packet(bytes, arrivalNs: arrivalNs))
        }
        let step = Int(Int16(bitPattern: sequenceNumber &- UInt16(truncatingIfNeeded: next)))
        if step < -RTPSequence.maximumMisorder || step >= RTPSequence.maximumDropout {
            return stray(bytes, sequenceNumber, arrivalNs, deliver)
        }
        expectedAfterStray = nil
        if step < 0 {
            counters.late += 1
        } else if step == 0 {
            deliver(.packet(bytes, arrivalNs: arrivalNs))
            self.next = next + 1
            handOn(deliver)
        } else if depth == 0 {
            giveUp(to: next + Int64(step), deliver)
            deliver(.packet(bytes, arrivalNs: arrivalNs))
            self.next = next + Int64(step) + 1
        } else if held[next + Int64(step)] == nil {
            counters.reordered += 1
            held[next + Int64(step)] = Held(bytes: Array(bytes), arrivalNs: arrivalNs)
            if held.count > depth { skipToFirstHeld(deliver) }
        } else {
            counters.late += 1
        }
        expire(nowNs: arrivalNs, deliver: deliver)
    }

    /// Gives up gaps whose followers have waited long enough.
    public mutating func expire(nowNs: Int64, deliver: (Output) -> Void) {
        while let deadlineNs, deadlineNs <= nowNs { skipToFirstHeld(deliver) }
    }

    /// Hands on everything that waits: the stream is over, or another source begins. The next packet begins a numbering.
    public mutating func drain(deliver: (Output) -> Void) {
        while !held.isEmpty { skipToFirstHeld(deliver) }
        next = nil
        expectedAfterStray = nil
    }

    private mutating func stray(
        _ bytes: UnsafeRawBufferPointer, _ number: UInt16, _ arrivalNs: Int64, _ deliver: (Output) -> Void
    ) {
        guard expectedAfterStray == number else {
            counters.stray += 1
            expectedAfterStray = number &+ 1
            return
        }
        drain(deliver: deliver)
        deliver(.restarted)
        next = 0x1_0000 + Int64(number) + 1
        deliver(.packet(bytes, arrivalNs: arrivalNs))
    }

    private mutating func skipToFirstHeld(_ deliver: (Output) -> Void) {
        guard let first = held.keys.min() else { return }
        giveUp(to: first, deliver)
        handOn(deliver)
    }

    private mutating func giveUp(to first: Int64, _ deliver: (Output) -> Void) {
        guard let next, first > next else { return }
        counters.lost += UInt64(first - next)
        deliver(.lost(Int(first - next)))
        self.next = first
    }

    private mutating func handOn(_ deliver: (Output) -> Void) {
        while let place = next, let packet = held.removeValue(forKey: place) {
            packet.bytes.withUnsafeBytes { deliver(.packet($0, arrivalNs: packet.arrivalNs)) }
            next = place + 1
        }
    }
}
