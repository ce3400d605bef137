// When a token is used, renewed, waited for or given up. Values only: the time and what happened go in, the next step comes out; the
// one who carries it out is TokenCache. Times are microseconds of the monotonic clock, because a token's life is a duration.
//
//   A token is renewed when a fifth of its life is left, but not earlier than five minutes before its end, unless the service that
//   gave it names a time:
//
//     life          10 s     60 s     1 h          24 h
//     renewed at    8 s      48 s     55 min       23 h 55 min
//
//   One renewal is on its way at a time. Where it fails, the old token is used to its end, and the next renewal comes after a pause
//   of 1.25 s, doubled up to a minute, spread by a fifth, or what the service asks for. Without a token, those who ask hold on
//   through the first pauses; then they are told the reason, until a renewal succeeds.
import ServiceKit

/// A bearer token for the storage.
struct AccessToken: Sendable, Equatable {
    let text: Redacted<String>
    /// How long it is taken, from when it was given.
    let life: Duration
    /// When the service wants it to be renewed, where it says so.
    var renewAfter: Duration?

    var mark: CredentialMark { CredentialMark(text.revealed) }
}

/// Why there is no token.
struct TokenFailure: Error, Sendable, Equatable {
    /// For a person: names the thing, what was wrong, what to do. Free of credentials.
    let reason: String
    /// Whether it may pass by itself; else an operator has to do something.
    let isTransient: Bool
    /// The least pause that the service asks for.
    var retryAfter: Duration?

    /// A failure that an operator has to mend.
    static func lasting(_ reason: String) -> TokenFailure { TokenFailure(reason: reason, isTransient: false) }
}

struct TokenMachine: Sendable {
    enum Step: Equatable {
        case use(AccessToken)
        /// Use this one; whoever is told so also has the next one fetched.
        case useAndFetch(AccessToken)
        /// There is none: have one fetched, and ask again when that has ended.
        case fetch
        /// One is being fetched; ask again when that has ended.
        case wait
        /// Ask again after so long.
        case pause(Duration)
        case refuse(TokenFailure)
    }

    private struct Held {
        let token: AccessToken
        let renewAtUs: Int64
        let endsAtUs: Int64
    }

    /// The longest that a token is renewed before its end.
    private static let longestLead = Duration.seconds(300)
    /// Failures in a row through which those who need a token hold on.
    private static let patience = 3

    private var held: Held?
    private var isFetching = false
    private var failure: (failure: TokenFailure, retryAtUs: Int64)?
    private var backOff = BackOff(first: .milliseconds(1250), maximum: .seconds(60))
    /// What the storage refused last. The same token may come again from a service that keeps its tokens; it is then used, and
    /// not dropped a second time.
    private var refused: CredentialMark?

    /// What somebody who needs a token does.
    mutating func next(nowUs: Int64) -> Step {
        let mayFetch = !isFetching && nowUs >= failure?.retryAtUs ?? .min
        if let held, nowUs < held.endsAtUs {
            guard nowUs >= held.renewAtUs, mayFetch else { return .use(held.token) }
            isFetching = true
            return .useAndFetch(held.token)
        }
        if isFetching { return .wait }
        if let (failure, retryAtUs) = failure, nowUs < retryAtUs {
            guard failure.isTransient, backOff.failures < Self.patience else { return .refuse(failure) }
            return .pause(.microseconds(retryAtUs - nowUs))
        }
        isFetching = true
        return .fetch
    }

    /// A fetch brought a token.
    mutating func fetched(_ token: AccessToken, nowUs: Int64) {
        isFetching = false
        failure = nil
        backOff.reset()
        let lead = min(token.life / 5, Self.longestLead)
        let renewAfter = min(max(token.renewAfter ?? token.life - lead, .zero), token.life)
        held = Held(
            token: token, renewAtUs: nowUs + renewAfter.microseconds, endsAtUs: nowUs + token.life.microseconds)
    }

    /// A fetch failed. `chance` is in 0..<1.
    mutating func failed(_ failure: TokenFailure, nowUs: Int64, chance: Double) {
        isFetching = false
        let pause = max(backOff.next(chance: chance), failure.retryAfter ?? .zero)
        self.failure = (failure, nowUs + pause.microseconds)
    }

    /// The storage refused the token that `mark` stands for. True where it was dropped, or another one is there by now.
    mutating func refuse(_ mark: CredentialMark) -> Bool {
        guard let held, held.token.mark == mark else { return true }
        guard refused != mark else { return false }
        refused = mark
        self.held = nil
        return true
    }
}

extension Duration {
    /// Whole microseconds.
    fileprivate var microseconds: Int64 { Int64(self / .microseconds(1)) }
}
