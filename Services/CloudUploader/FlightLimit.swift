// How many requests may be on their way: as many as the link and the service take well. Values only; the time comes in.
//
// It begins at 4 (or the maximum, if that is less) and moves by what becomes of the requests:
//
//   answered within 5 s        counts towards one more, where the limit was what held others back; a body of less than 256 KiB
//                              counts in part, one without bytes not at all. Once as many as the limit have counted: one more.
//   answered after 5 to 10 s   nothing: there are as many on their way as the link carries in that time.
//   answered after 10 s        so many less that it would have taken 10 s, at most half. More would not make it faster, only lose
//                              more when the link is cut.
//   throttled, or broken       half. Where requests were answered since the last time, it was the number that was too much: one
//                              less than that number is the ceiling for 30 s. If the first step above it goes wrong again, it
//                              holds twice as long as before, up to 10 minutes.
//   throttled at a limit of 1  the service wants less than one after the other: the interval between two beginnings becomes half
//                              as long again (at first the time that the request took), up to 30 s. Each answer shortens it by a
//                              twentieth; the limit stays at 1 until it is gone.
//
// What began before the last step down says nothing about the number after it: it can neither raise nor lower it. So a cut that
// breaks all requests on their way is one step.

struct FlightLimit: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// How a request went.
    enum Result: Sendable, Equatable {
        case answered(bytes: Int)
        case throttled
        case broken
    }

    /// A request that was on its way.
    struct Flight: Sendable, Equatable {
        let beganAt: Instant
        /// Whether it was the last that the limit let go.
        let filledLimit: Bool
    }

    static let firstLimit = 4
    static let quick = Duration.seconds(5)
    static let slow = Duration.seconds(10)
    /// A body that counts in full.
    static let fullBytes = 256 << 10
    static let firstCeilingTime = Duration.seconds(30)
    static let longestCeilingTime = Duration.seconds(600)
    static let longestInterval = Duration.seconds(30)
    /// An interval that is as good as none.
    static let leastInterval = Duration.milliseconds(50)

    let maximum: Int
    private(set) var limit: Int
    /// Between two beginnings; zero for none.
    private(set) var interval = Duration.zero

    private var credit = 0.0
    private var steppedDownAt: Instant?
    private var isAnsweredSince = false
    /// The most that is tried until a time; remembered afterwards, to know the first step above it.
    private var ceiling: (limit: Int, until: Instant, time: Duration)?

    init(maximum: Int) {
        self.maximum = max(1, maximum)
        limit = min(self.maximum, Self.firstLimit)
    }

    /// A request has ended. `inFlight` counts those on their way, itself included.
    mutating func ended(_ flight: Flight, _ result: Result, inFlight: Int, now: Instant) {
        let isOld = steppedDownAt.map { flight.beganAt < $0 } ?? false
        let took = now - flight.beganAt
        switch result {
        case .answered(let bytes):
            guard !isOld else { return }
            isAnsweredSince = true
            shortenInterval()
            guard bytes > 0 else { return }
            if took > Self.slow {
                let fitting = Int(Double(limit) * (Self.slow / took))
                stepDown(to: max(fitting, limit / 2), now: now)
            } else if took <= Self.quick, flight.filledLimit {
                count(min(1, Double(bytes) / Double(Self.fullBytes)), now: now)
            }
        case .throttled, .broken:
            guard !isOld else { return }
            if result == .throttled, limit == 1 {
                let longer = interval == .zero ? max(took, Self.leastInterval) : interval * 1.5
                interval = min(longer, Self.longestInterval)
            }
            if isAnsweredSince { setCeiling(below: min(limit, inFlight), now: now) }
            stepDown(to: limit / 2, now: now)
        }
    }

    private mutating func count(_ share: Double, now: Instant) {
        guard interval == .zero else { return }
        credit += share
        guard credit >= Double(limit), limit < highest(now) else {
            credit = min(credit, Double(limit))
            return
        }
        credit = 0
        limit += 1
    }

    private func highest(_ now: Instant) -> Int {
        guard let ceiling, now < ceiling.until else { return maximum }
        return min(maximum, ceiling.limit)
    }

    private mutating func setCeiling(below level: Int, now: Instant) {
        let isFirstStepAbove = ceiling.map { now >= $0.until && level == $0.limit + 1 } ?? false
        let time =
            isFirstStepAbove
            ? min((ceiling?.time ?? .zero) * 2, Self.longestCeilingTime) : Self.firstCeilingTime
        ceiling = (max(1, level - 1), now + time, time)
    }

    private mutating func stepDown(to lower: Int, now: Instant) {
        limit = max(1, lower)
        credit = 0
        steppedDownAt = now
        isAnsweredSince = false
    }

    private mutating func shortenInterval() {
        guard interval > .zero else { return }
        interval = interval * 0.95
        if interval < Self.leastInterval { interval = .zero }
    }
}
