// What the adapter says about messages: receipts, answers, requests, status. The builders are pure (RequestJSON.swift,
// StatusJSON.swift, MessageProperties.swift); this puts them on their topics.

import JSON
import Logging
import RPC
import ServiceKit
import Synchronization
import Wire

/// Publishes receipts and answers.
struct Correspondence: Sendable {
    /// How long a receipt or an answer may take to reach the broker, before the message is treated as unanswered.
    static let bound = Duration.seconds(5)
    /// The same for an answer that is waited for.
    private static let answerBound = Duration.seconds(15)

    let outbound: OutboundSession
    let topics: Topics
    let clientID: String
    /// What the adapter takes; an answer never goes there.
    let takenFilters: [TopicFilter]
    let clock: any WallClock
    let stamps: Stamps
    let logger: Logger

    /// Publishes a retained receipt. True when the broker has it.
    func receipt(_ json: JSONValue, key: String) async -> Bool {
        await retain(json, on: topics.receipt(key), what: "a receipt")
    }

    /// Publishes something that is to be seen for a week. True when the broker has it.
    @discardableResult
    func retain(_ json: JSONValue, on topic: String, what: String) async -> Bool {
        var message = OutboundMessage(topic: topic, payload: json.encoded(), retain: true)
        message.properties = .json
        message.properties.expiryS = retainedExpiryS
        return await deliver(message, within: Self.bound, what: what)
    }

    /// Answers an mRPC request, unless its time is over: then nobody waits, and who waits for another request must not be
    /// given this answer.
    func answer(_ call: CallRules.Call, _ answer: CallAnswer) async {
        let left = call.deadline - .now
        guard left > .zero else {
            logger.notice(
                "an answer came too late and is not sent", metadata: ["topic": "\(call.responseTopic.prefixed(300))"])
            return
        }
        var message = stamped(answer, topic: call.responseTopic)
        message.properties.correlationData = call.correlation.isEmpty ? nil : call.correlation
        message.properties.expiryS = UInt32(clamping: (left.wholeMilliseconds + 999) / 1_000)
        // As long as somebody waits, within what a message may take: a broker that restarts is back by then.
        await deliver(message, within: min(left, Self.answerBound), what: "an answer")
    }

    /// Answers a plain publish, below its own topic or where it asks for it. An answer that nobody can get is logged, and never
    /// holds anything up.
    func answerBelow(_ message: InboundMessage, _ answer: CallAnswer) async {
        let topic = message.responseTopic ?? "\(message.topic)/response"
        guard TopicName.isPublishable(topic), !takenFilters.contains(where: { $0.matches(topic) }) else {
            logger.warning(
                "no answer is sent: the response topic cannot be used",
                metadata: ["topic": "\(message.shortTopic)", "response-topic": "\(topic.prefix(200))"])
            return
        }
        var reply = stamped(answer, topic: topic)
        reply.properties.correlationData = message.correlationData
        // Who asked has gone by then.
        reply.properties.expiryS = 60
        await deliver(reply, within: Self.bound, what: "an answer")
    }

    private func stamped(_ answer: CallAnswer, topic: String) -> OutboundMessage {
        var message = OutboundMessage(topic: topic, payload: answer.json.encoded())
        message.properties = .json
        message.properties.userProperties = answer.properties + sender()
        return message
    }

    /// What every message of ours to a program of AIO's carries.
    func sender() -> [UserProperty] {
        [
            UserProperty(name: "__protVer", value: "1.0"),
            UserProperty(name: "__srcId", value: clientID),
            UserProperty(name: "__ts", value: stamps.next(nowUs: clock.nowUs())),
        ]
    }

    /// Moves the process's clock behind a stamp that came with an answer. One that is far off is passed over.
    func follow(_ stamp: HybridStamp) { try? stamps.follow(stamp, nowUs: clock.nowUs()) }

    /// True when the broker has it, and where it refuses it for good: to try again would only hold up what comes behind.
    @discardableResult
    private func deliver(_ message: OutboundMessage, within limit: Duration, what: String) async -> Bool {
        do throws(OutboundQueue.Dropped) {
            try await outbound.deliver(message, lane: .word, deadline: .now + limit)
            return true
        } catch {
            if case .refused(let reason) = error {
                logger.error(
                    "\(what) is refused by the broker; allow the adapter's user to publish there",
                    metadata: ["topic": "\(message.topic.prefixed(300))", "reason": "\(reason)"])
                return true
            }
            logger.warning(
                "\(what) could not be published",
                metadata: ["topic": "\(message.topic.prefixed(300))", "reason": "\(error)"])
            return false
        }
    }
}

/// Retained status: only changes are published, and all of it again when the broker may have forgotten it.
final class RetainedStatus: Sendable {
    private struct State {
        var board = StatusBoard()
        var newest: [String: OutboundMessage] = [:]
        var revision: UInt64?
    }

    private let state = Mutex(State())
    private let outbound: OutboundSession

    init(outbound: OutboundSession) { self.outbound = outbound }

    /// Publishes what changed.
    func show(_ statuses: [RenderedStatus]) {
        for status in statuses {
            let message = state.withLock { state -> OutboundMessage? in
                guard state.board.shouldPublish(status, now: .now) else { return nil }
                var message = OutboundMessage(topic: status.topic, payload: status.json.encoded(), retain: true)
                message.properties = .json
                state.newest[status.topic] = message
                return message
            }
            guard let message else { continue }
            if case .failure = outbound.post(message) { state.withLock { $0.board.forget(status.topic) } }
        }
    }

    /// Publishes everything that was shown: a broker that restarted without persistence has none of it.
    func showAgain() {
        for message in state.withLock({ Array($0.newest.values) }) {
            if case .failure = outbound.post(message) { state.withLock { $0.board.forget(message.topic) } }
        }
    }

    /// Takes back the status of streams and sources that the configuration does not have any more. Once for a revision: an
    /// old configuration, seen again while the registry is away, says nothing of what a controller has learned since.
    func retain(_ configuration: Configuration, topics: Topics) {
        let present = Set(
            configuration.streams.compactMap(\.name).map(topics.assetStatus)
                + configuration.endpoints.compactMap(\.source).map(topics.sourceStatus)
                + configuration.streams.compactMap(\.source).map(topics.sourceStatus))
        let gone = state.withLock { state -> [String] in
            guard state.revision != configuration.revision else { return [] }
            state.revision = configuration.revision
            let gone = state.newest.keys.filter { topics.isOfConfiguration($0) && !present.contains($0) }
            for topic in gone {
                state.newest[topic] = nil
                state.board.forget(topic)
            }
            return gone
        }
        // An empty retained message removes what the broker keeps.
        for topic in gone { outbound.post(OutboundMessage(topic: topic, payload: [], retain: true)) }
    }
}
