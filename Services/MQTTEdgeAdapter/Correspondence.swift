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

    let outbound: OutboundSession
    let topics: Topics
    let clientID: String
    /// What the adapter takes; an answer never goes there.
    let takenFilters: [TopicFilter]
    let clock: any WallClock
    let stamps: Stamps
    let logger: Logger

    /// Publishes a retained receipt and, where one is asked for, the answer. True when the broker has the receipt.
    func receipt(_ json: JSONValue, key: String, for message: InboundMessage, code: Code, text: String?) async -> Bool {
        var receipt = OutboundMessage(topic: topics.receipt(key), payload: json.encoded(), retain: true)
        receipt.properties = .json
        receipt.properties.expiryS = retainedExpiryS
        do throws(OutboundQueue.Dropped) {
            try await outbound.deliver(receipt, lane: .word, deadline: .now + Self.bound)
        } catch {
            logger.warning("a receipt could not be published", metadata: ["key": "\(key)", "reason": "\(error)"])
            return false
        }
        if message.responseTopic != nil { await answer(json, to: message, code: code, text: text) }
        return true
    }

    /// Publishes an answer on the response topic of a request, or below the request's own topic. An answer that nobody can
    /// get is logged, and never holds anything up.
    func answer(_ json: JSONValue, to message: InboundMessage, code: Code, text: String?) async {
        let topic = message.responseTopic ?? "\(message.topic)/response"
        guard TopicName.isPublishable(topic), !takenFilters.contains(where: { $0.matches(topic) }) else {
            logger.warning(
                "no answer is sent: the response topic cannot be used",
                metadata: ["topic": "\(message.topic)", "response-topic": "\(topic.prefix(200))"])
            return
        }
        var answer = OutboundMessage(topic: topic, payload: json.encoded())
        answer.properties = AnswerStatus.properties(
            code, message: text, correlationData: message.correlationData, clientID: clientID,
            timestamp: stamps.next(nowUs: clock.nowUs()))
        // Who asked has gone by then.
        answer.properties.expiryS = 60
        do throws(OutboundQueue.Dropped) {
            try await outbound.deliver(answer, lane: .word, deadline: .now + Self.bound)
        } catch {
            logger.warning("an answer could not be published", metadata: ["topic": "\(topic)", "reason": "\(error)"])
        }
    }
}

/// One hybrid clock for the process, as AIO asks.
final class Stamps: Sendable {
    private let clock: Mutex<HybridClock>

    init(node: String) { clock = Mutex(HybridClock(node: node)) }

    func next(nowUs: Int64) -> String { clock.withLock { $0.next(nowUs: nowUs) } }
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
