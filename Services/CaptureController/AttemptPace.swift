// How fast cameras are connected to, all together: two hundred sessions that begin in the same instant would be a burst of
// keyframes on the network and of decisions here, and none of them would begin sooner.
import Synchronization

/// A bucket of attempts. Pure.
struct AttemptBucket: Sendable, Equatable {
    /// So many at once: a small site begins in one go.
    static let atOnce = 8
    /// Then one each: 64 cameras, a full controller, have begun within 1.4 s.
    static let everyUs: Int64 = 25_000

    private var fullAtUs: Int64 = .min

    /// True where an attempt may begin now; `nowUs` is monotonic.
    mutating func take(nowUs: Int64) -> Bool {
        let room = nowUs + Self.everyUs * Int64(Self.atOnce - 1)
        guard fullAtUs <= room else { return false }
        fullAtUs = max(fullAtUs, nowUs) + Self.everyUs
        return true
    }
}

/// The bucket that all sources share.
final class AttemptPace: Sendable {
    private let bucket = Mutex(AttemptBucket())

    func take(nowUs: Int64) -> Bool { bucket.withLock { $0.take(nowUs: nowUs) } }
}
