// Carries mRPC requests out: the rules, the cache, the time, the answer. What a command does is its own affair
// (CommandIntake.swift, MediaSyncIntake.swift): it gives JSON, or says why not.

import JSON
import Logging
import Metrics
import RPC
import ServiceKit
import Synchronization

/// Where requests are taken and answers handed out.
final class CallDesk: Sendable {
    private let correspondence: Correspondence
    private let stamps: Stamps
    private let clock: any WallClock
    private let logger: Logger
    private let cache = Mutex(AnswerCache())

    init(correspondence: Correspondence, stamps: Stamps, clock: any WallClock, logger: Logger) {
        self.correspondence = correspondence
        self.stamps = stamps
        self.clock = clock
        self.logger = logger
    }

    /// Carries a command out unless its request is at fault, or has been answered before.
    ///
    /// - Parameters:
    ///   - limit: the longest time for `work`.
    ///   - work: gets the time that it has. Its answer is kept where the request is an mRPC one, and goes to who asked.
    ///   - plain: told of what came of a plain publish, after its answer.
    func run(
        _ message: InboundMessage, limit: Duration,
        work: (Duration) async -> CallAnswer, plain: (CallAnswer) async -> Void
    ) async -> Verdict {
        switch await admit(message) {
        case nil: break
        case .plain:
            let answer = await work(limit)
            await correspondence.answerBelow(message, answer)
            await plain(answer)
        case .call(let call):
            if let known = cache.withLock({ $0.answer(call.key, now: .now) }) {
                Counter(label: "sightglass_adapter_calls_repeated_total").increment()
                await correspondence.answer(call, known)
                return .acknowledge
            }
            let left = min(limit, call.deadline - .now)
            guard left > .zero else {
                logger.notice("a request came after its time", metadata: ["topic": "\(message.shortTopic)"])
                return .acknowledge
            }
            let answer = await work(left)
            // A run that was cut off comes again, and is no answer to anything.
            guard !Task.isCancelled else { return .withhold(reason: "it was cut off") }
            cache.withLock { $0.keep(answer, call.key, expiresAt: call.deadline, now: .now) }
            await correspondence.answer(call, answer)
        }
        return .acknowledge
    }

    /// A request that keeps the rules.
    enum Admission: Sendable, Equatable {
        case plain
        case call(CallRules.Call)
    }

    /// Looks at a request. Nil where it breaks the rules: then its sender was told so, where that is possible.
    func admit(_ message: InboundMessage) async -> Admission? {
        switch look(at: message) {
        case .plain: return .plain
        case .call(let call): return .call(call)
        case .silent(let reason):
            Counter(label: "sightglass_adapter_calls_unanswerable_total").increment()
            logger.warning(
                "a request is passed over", metadata: ["topic": "\(message.shortTopic)", "reason": "\(reason)"])
        case .refused(let call, let answer):
            logger.notice(
                "a request breaks the protocol",
                metadata: ["topic": "\(message.shortTopic)", "reason": "\((answer.message ?? "").prefixed(500))"])
            await correspondence.answer(call, answer)
        }
        return nil
    }

    /// What kind of request a message is.
    func look(at message: InboundMessage) -> CallRules.Outcome {
        CallRules.check(message, takenFilters: correspondence.takenFilters) { stamp throws(HybridClock.Refusal) in
            try stamps.follow(stamp, nowUs: clock.nowUs())
        }
    }
}
