// AIO's hybrid logical clock, `__ts` (ADR 0007 of its SDKs): one for the process. What is sent carries it, what is received
// moves it, so that an answer's stamp always lies behind its request's.

import Synchronization

/// A stamp: "<ms, 15 digits>:<counter, 5 digits>:<node>".
struct HybridStamp: Sendable, Equatable {
    var milliseconds: Int64
    var counter: Int
    var node: String

    init(milliseconds: Int64, counter: Int, node: String) {
        (self.milliseconds, self.counter, self.node) = (milliseconds, counter, node)
    }

    /// Nil where the text is no stamp.
    init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        func digits(_ part: Substring, _ most: Int) -> Int64? {
            guard (1...most).contains(part.utf8.count), part.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                return nil
            }
            return Int64(part)
        }
        guard parts.count == 3, let milliseconds = digits(parts[0], 15), let counter = digits(parts[1], 5),
            !parts[2].isEmpty
        else { return nil }
        self.init(milliseconds: milliseconds, counter: Int(counter), node: String(parts[2]))
    }

    /// As it goes on the wire.
    var text: String { "\(Self.padded(milliseconds, 15)):\(Self.padded(Int64(counter), 5)):\(node)" }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

/// The clock. Pure.
struct HybridClock: Sendable {
    /// Why a stamp cannot be followed.
    enum Refusal: Error, Sendable, Equatable {
        /// It lies further ahead of the wall clock than is allowed.
        case drift
        /// Too many stamps in one millisecond.
        case counter
    }

    /// AIO's default: a sender whose clock is a minute ahead would take ours with it.
    static let maximumDriftMs: Int64 = 60_000
    /// Five digits.
    static let maximumCounter = 99_999

    private var last: HybridStamp

    /// - Parameter node: names this process in the stamps; the client id.
    init(node: String) { last = HybridStamp(milliseconds: 0, counter: 0, node: node) }

    /// The next stamp. Where the counter is full the millisecond counts as over.
    mutating func next(nowUs: Int64) -> String {
        let now = nowUs / 1_000
        if now > last.milliseconds {
            (last.milliseconds, last.counter) = (now, 0)
        } else if last.counter < Self.maximumCounter {
            last.counter += 1
        } else {
            (last.milliseconds, last.counter) = (last.milliseconds + 1, 0)
        }
        return last.text
    }

    /// Moves behind a stamp that was received.
    mutating func follow(_ other: HybridStamp, nowUs: Int64) throws(Refusal) {
        let now = nowUs / 1_000
        guard other.milliseconds - now <= Self.maximumDriftMs else { throw .drift }
        let newest = max(now, last.milliseconds, other.milliseconds)
        var counter = -1
        if newest == last.milliseconds { counter = max(counter, last.counter) }
        if newest == other.milliseconds { counter = max(counter, other.counter) }
        guard counter < Self.maximumCounter else { throw .counter }
        (last.milliseconds, last.counter) = (newest, counter + 1)
    }
}

/// The clock of the process.
final class Stamps: Sendable {
    private let clock: Mutex<HybridClock>

    init(node: String) { clock = Mutex(HybridClock(node: node)) }

    func next(nowUs: Int64) -> String { clock.withLock { $0.next(nowUs: nowUs) } }

    /// Moves behind a received stamp.
    func follow(_ stamp: HybridStamp, nowUs: Int64) throws(HybridClock.Refusal) {
        let result = clock.withLock { clock -> Result<Void, HybridClock.Refusal> in
            do throws(HybridClock.Refusal) { return .success(try clock.follow(stamp, nowUs: nowUs)) } catch {
                return .failure(error)
            }
        }
        try result.get()
    }
}
