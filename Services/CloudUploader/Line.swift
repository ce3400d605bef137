// The line to the storage, as what is uploaded uses it: how many requests may be on their way, and how many bytes may be sent now.
// Whoever sends a request goes through `begin`, `pace` for each piece of the body, and `end`.

/// What a request on the line is: a place among those on their way.
struct LineTicket: Sendable, Hashable {
    let number: UInt64
    /// By the monotonic clock.
    let beganAt: ContinuousClock.Instant
}

/// How a request went, for who decides how many there may be.
enum LineOutcome: Sendable, Equatable {
    /// Answered; so many bytes of body went up.
    case answered(sentBytes: Int)
    /// The service wants less: 429, 503, or an answer with Retry-After.
    case throttled(retryAfter: Duration?)
    /// No answer: cut, or too slow.
    case broken
}

protocol Line: Sendable {
    /// Waits until one more request may be on its way. Throws CancellationError.
    func begin() async throws -> LineTicket
    /// Waits until so many bytes more may be sent. Throws CancellationError.
    func pace(bytes: Int) async throws
    /// The request has ended; its place is free.
    func end(_ ticket: LineTicket, _ outcome: LineOutcome)
}
