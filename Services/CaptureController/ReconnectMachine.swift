// When to try a camera (or a media server) again. Pure: failures, successes and times go in, a moment comes out.
// SourceSession and PushTask carry it out.
//
//   cause          first     factor  ceiling   why
//   refused        0.5 s     1         0.5 s   the host is up and answers at once; a camera that restarts is back soon
//   unreachable    1 s       2        15 s     each attempt costs seconds of waiting for nobody
//   unauthorized  30 s       2       900 s     cameras lock an account after a few wrong passwords
//   silent         0.5 s     2        15 s     it answered a moment ago
//   no_keyframe    2 s       2        30 s     it sends, but nothing that can be kept
//   busy           5 s       2        30 s     a session that its client lost lives on there for a minute at most
//   not_found     15 s       1        15 s     a path does not appear by asking often
//   protocol       2 s       2        30 s     it speaks, but not what we understand
//
// Each wait is spread by 20 % to both sides, so that two hundred cameras behind one switch do not come back at once.

/// Why a connection failed, in the words of `SourceStatus.cause`.
enum FailureCause: String, Sendable, CaseIterable {
    case unauthorized
    case refused
    case unreachable
    case silent
    case noKeyframe = "no_keyframe"
    case busy
    case notFound = "not_found"
    case protocolError = "protocol"
}

/// A failure, with the sentence that a person reads.
struct ConnectionFailure: Error, Sendable, Equatable {
    let cause: FailureCause
    let reason: String
}

/// The waits of one cause.
struct BackOffRule: Sendable, Equatable {
    let firstUs: Int64
    let factor: Double
    let ceilingUs: Int64

    static func of(_ cause: FailureCause) -> BackOffRule {
        switch cause {
        case .refused: BackOffRule(firstUs: 500_000, factor: 1, ceilingUs: 500_000)
        case .unreachable: BackOffRule(firstUs: 1_000_000, factor: 2, ceilingUs: 15_000_000)
        case .unauthorized: BackOffRule(firstUs: 30_000_000, factor: 2, ceilingUs: 900_000_000)
        case .silent: BackOffRule(firstUs: 500_000, factor: 2, ceilingUs: 15_000_000)
        case .noKeyframe: BackOffRule(firstUs: 2_000_000, factor: 2, ceilingUs: 30_000_000)
        case .busy: BackOffRule(firstUs: 5_000_000, factor: 2, ceilingUs: 30_000_000)
        case .notFound: BackOffRule(firstUs: 15_000_000, factor: 1, ceilingUs: 15_000_000)
        case .protocolError: BackOffRule(firstUs: 2_000_000, factor: 2, ceilingUs: 30_000_000)
        }
    }

    /// The wait after `failures` failures in a row of this cause (from 1). `jitter` from 0 to 1 spreads it by 20 %.
    func waitUs(failures: Int, jitter: Double) -> Int64 {
        var wait = Double(firstUs)
        for _ in 1..<max(2, min(failures, 64)) where failures > 1 { wait = min(wait * factor, Double(ceilingUs)) }
        return Int64(min(wait, Double(ceilingUs)) * (0.8 + 0.4 * min(max(jitter, 0), 1)))
    }
}

/// The connection of one source. All times are monotonic microseconds.
struct ReconnectMachine: Sendable, Equatable {
    enum State: Sendable, Equatable {
        /// Nothing asks for the source.
        case idle
        case connecting
        case streaming(sinceUs: Int64)
        case waiting(untilUs: Int64)
    }

    /// A session that lasted less than this does not count as recovered: a camera that flaps is not asked faster.
    static let recoveredUs: Int64 = 10_000_000

    private(set) var state: State = .idle
    /// The last failure. Kept until packets arrive.
    private(set) var failure: ConnectionFailure?
    /// Connections tried since the source was last streaming.
    private(set) var attempts: UInt32 = 0
    private var failuresInARow = 0
    private var lastCause: FailureCause?

    /// Something asks for the source, or nothing does any more.
    mutating func setWanted(_ wanted: Bool, nowUs: Int64) {
        switch (state, wanted) {
        case (.idle, true): state = .waiting(untilUs: nowUs)
        case (_, false):
            self = ReconnectMachine()
        default: break
        }
    }

    /// The settings of the connection changed (another address, another reference): what failed before says nothing now.
    mutating func settingsChanged(nowUs: Int64) {
        guard state != .idle else { return }
        self = ReconnectMachine()
        state = .waiting(untilUs: nowUs)
    }

    /// Whether it is time to connect.
    func isDue(nowUs: Int64) -> Bool {
        if case .waiting(let untilUs) = state { nowUs >= untilUs } else { false }
    }

    /// True once when it is time to connect; the caller does so and reports what came of it.
    mutating func takeAttempt(nowUs: Int64) -> Bool {
        guard isDue(nowUs: nowUs) else { return false }
        state = .connecting
        attempts += 1
        return true
    }

    /// The first packet of a session came.
    mutating func streaming(nowUs: Int64) {
        guard state == .connecting else { return }
        state = .streaming(sinceUs: nowUs)
        failure = nil
        attempts = 0
    }

    /// The attempt or the session failed. `jitter` is from 0 to 1.
    mutating func failed(_ failure: ConnectionFailure, nowUs: Int64, jitter: Double) {
        if case .idle = state { return }
        if case .streaming(let sinceUs) = state, nowUs - sinceUs >= Self.recoveredUs { failuresInARow = 0 }
        failuresInARow = lastCause == failure.cause ? failuresInARow + 1 : 1
        lastCause = failure.cause
        self.failure = failure
        let wait = BackOffRule.of(failure.cause).waitUs(failures: failuresInARow, jitter: jitter)
        state = .waiting(untilUs: nowUs + wait)
    }
}
