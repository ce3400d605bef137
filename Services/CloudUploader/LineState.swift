// The line to the storage as a state machine: who may begin a request and who may send bytes. Values only; times and chance come in,
// ids of who may go on come out. PacedLine.swift carries it out.
//
// A request begins when all of this holds, in the order of asking: something may be sent at all (Bandwidth.swift), the service did
// not ask to wait (Retry-After), fewer requests are on their way than FlightLimit.swift allows, and its interval has passed. A
// piece of a body goes when PaceQueue.swift lets it. While the bandwidth is 0 nothing goes, bodies that have begun included.

struct LineState: Sendable {
    typealias Instant = ContinuousClock.Instant

    private struct Ticket {
        let flight: FlightLimit.Flight
        /// The bandwidth was 0 meanwhile: its time says nothing of the link, and whoever cut it was bored.
        var wasPaused = false
    }

    /// However long a service asks to wait, it is asked again after this.
    static let longestHold = Duration.seconds(600)

    private(set) var flights: FlightLimit
    private var pace: PaceQueue
    private var tickets: [UInt64: Ticket] = [:]
    private var beginners: [UInt64] = []
    private var lastBeganAt: Instant?
    /// Nobody begins before.
    private(set) var heldUntil: Instant?
    /// Time for which the service has had us wait, in all.
    private(set) var heldTime = Duration.zero

    init(maximum: Int, bandwidth: Bandwidth, now: Instant) {
        flights = FlightLimit(maximum: maximum)
        pace = PaceQueue(bandwidth, now: now)
    }

    var bandwidth: Bandwidth { pace.bandwidth }
    /// Requests on their way.
    var inFlight: Int { tickets.count }

    mutating func set(_ bandwidth: Bandwidth, now: Instant) {
        guard bandwidth != pace.bandwidth else { return }
        pace.set(bandwidth, now: now)
        guard bandwidth == .nothing else { return }
        for id in tickets.keys { tickets[id]?.wasPaused = true }
    }

    // MARK: Asking

    /// True where the request may begin at once; else `release` names the id when it may.
    mutating func askToBegin(_ id: UInt64, now: Instant) -> Bool {
        guard beginners.isEmpty, mayBegin(now) else {
            beginners.append(id)
            return false
        }
        begin(id, now)
        return true
    }

    /// The same for bytes of a request that has begun.
    mutating func askToSend(_ id: UInt64, bytes: Int, now: Instant) -> Bool {
        pace.ask(id, bytes: bytes, now: now)
    }

    /// Whoever asked under this id does not wait any more.
    mutating func forget(_ id: UInt64) {
        beginners.removeAll { $0 == id }
        pace.forget(id)
    }

    /// A request has ended.
    mutating func end(_ id: UInt64, _ outcome: LineOutcome, now: Instant) {
        guard let ticket = tickets[id] else { return }
        defer { tickets[id] = nil }
        let result: FlightLimit.Result
        switch outcome {
        case .answered(let bytes): result = .answered(bytes: ticket.wasPaused ? 0 : bytes)
        case .throttled(let retryAfter):
            result = .throttled
            hold(retryAfter ?? .zero, now)
        case .broken:
            guard !ticket.wasPaused else { return }
            result = .broken
        }
        flights.ended(ticket.flight, result, inFlight: tickets.count, now: now)
    }

    // MARK: Going on

    /// Who may go on now, in the order in which they asked.
    mutating func release(now: Instant) -> [UInt64] {
        var released = pace.release(now: now)
        while let first = beginners.first, mayBegin(now) {
            beginners.removeFirst()
            begin(first, now)
            released.append(first)
        }
        if let until = heldUntil, until <= now { heldUntil = nil }
        return released
    }

    /// When `release` will give somebody, if nothing ends before.
    func nextRelease(now: Instant) -> Instant? {
        var next = pace.nextRelease
        if !beginners.isEmpty, bandwidth != .nothing, tickets.count < flights.limit {
            let begin = max(heldUntil ?? now, nextInterval ?? now)
            next = min(next ?? begin, begin)
        }
        return next
    }

    private var nextInterval: Instant? { lastBeganAt.map { $0 + flights.interval } }

    private func mayBegin(_ now: Instant) -> Bool {
        bandwidth != .nothing && tickets.count < flights.limit && (heldUntil ?? now) <= now
            && (nextInterval ?? now) <= now
    }

    private mutating func begin(_ id: UInt64, _ now: Instant) {
        lastBeganAt = now
        tickets[id] = Ticket(flight: .init(beganAt: now, filledLimit: tickets.count + 1 >= flights.limit))
    }

    private mutating func hold(_ time: Duration, _ now: Instant) {
        let from = max(heldUntil ?? now, now)
        let until = now + min(time, Self.longestHold)
        guard until > from else { return }
        heldTime += until - from
        heldUntil = until
    }
}
