// A session that takes messages. Persistent: what is published while we are away waits in the broker. One message at a
// time; its PUBACK leaves after its effect is durable, or not at all.

import Dispatch
import Logging
import Metrics
import Synchronization

/// What is to become of a message.
enum Verdict: Sendable, Equatable {
    /// Its effect is durable, or it was refused with a receipt: the broker may forget it.
    case acknowledge
    /// A neighbour is away: the broker shall deliver it again.
    case withhold(reason: String)
}

/// The work of an inbound session.
final class InboundSession: SessionWork {
    private struct State {
        var isStopping = false
        var current: VerdictSlot?
        var subscription: Int32?
    }

    /// How long a message that is being worked on when the service stops may still take.
    private static let stopGrace = Duration.milliseconds(1_500)

    private let filters: [String]
    private let patience: Duration
    private let keepsLate: Bool
    private let handle: @Sendable (InboundMessage) async -> Verdict
    private let logger: Logger
    private let state = Mutex(State())

    /// - Parameters:
    ///   - patience: how long a message may wait for its verdict before the connection is cut without acknowledging it.
    ///     Half the keepalive at most: nothing else is read or sent meanwhile.
    ///   - keepsLate: what a message without a verdict in that time becomes: true leaves it in the broker, false
    ///     acknowledges it, for what must not happen later.
    ///   - handle: decides; runs in a task of its own.
    init(
        filters: [String], patience: Duration, keepsLate: Bool, logger: Logger,
        handle: @escaping @Sendable (InboundMessage) async -> Verdict
    ) {
        self.filters = filters
        self.patience = patience
        self.keepsLate = keepsLate
        self.logger = logger
        self.handle = handle
    }

    /// Gives the message in hand a last while.
    func stop() {
        let current = state.withLock { state in
            state.isStopping = true
            return state.current
        }
        current?.nudge()
    }

    var isDrained: Bool { true }

    func connected(
        _ connection: MosquittoConnection, sessionPresent: Bool, maximumPacketBytes: Int?
    ) throws(BrokerError) {
        // Subscribing again changes nothing where the session is present and the filters are the same; and it is needed
        // where the event rules changed since.
        let mid = try connection.subscribe(filters)
        state.withLock { $0.subscription = mid }
    }

    func take(_ event: BrokerEvent, _ connection: MosquittoConnection) throws(BrokerError) {
        switch event {
        case .message(let message): try take(message, connection)
        case .subscribed(let mid, let refusal?) where mid == state.withLock(\.subscription):
            throw BrokerError(
                description: "the broker refuses the subscription to \(filters.joined(separator: ", ")): \(refusal); "
                    + "allow it to this user", isRefusal: true)
        case .subscribed, .published, .connected, .refused, .disconnected: break
        }
    }

    private func take(_ message: InboundMessage, _ connection: MosquittoConnection) throws(BrokerError) {
        let slot = VerdictSlot()
        state.withLock { $0.current = slot }
        let handle = self.handle
        let task = Task { slot.settle(await handle(message)) }
        let verdict = wait(for: slot)
        state.withLock { $0.current = nil }
        switch verdict {
        case .acknowledge: return
        case .withhold(let reason):
            task.cancel()
            if message.qos > 0 {
                Counter(label: "sightglass_adapter_messages_withheld_total").increment()
                connection.sever()
                throw BrokerError(
                    description: "a message on \(message.topic) waits in the broker: \(reason)", isOurDoing: true)
            }
            Counter(label: "sightglass_adapter_messages_lost_total").increment()
            logger.error(
                "a message that was published with QoS 0 is lost; publish with QoS 1",
                metadata: ["topic": "\(message.topic)", "reason": "\(reason)"])
        }
    }

    private func wait(for slot: VerdictSlot) -> Verdict {
        let deadline = ContinuousClock.now + patience
        var stopDeadline: ContinuousClock.Instant?
        while true {
            if let verdict = slot.verdict { return verdict }
            if state.withLock(\.isStopping), stopDeadline == nil { stopDeadline = .now + Self.stopGrace }
            let end = min(deadline, stopDeadline ?? deadline)
            let now = ContinuousClock.now
            if now >= end {
                if stopDeadline != nil { return .withhold(reason: "this service stops") }
                return keepsLate ? .withhold(reason: "it could not be stored in time") : .acknowledge
            }
            slot.wait(milliseconds: (end - now).wholeMilliseconds)
        }
    }

    func pump(_ connection: MosquittoConnection) {}

    func lost() {}
}

/// Where a task leaves its verdict and the session's thread finds it.
private final class VerdictSlot: Sendable {
    private let settled = Mutex<Verdict?>(nil)
    private let semaphore = DispatchSemaphore(value: 0)

    var verdict: Verdict? { settled.withLock { $0 } }

    func settle(_ verdict: Verdict) {
        settled.withLock { $0 = verdict }
        semaphore.signal()
    }

    /// Has the thread look around.
    func nudge() { semaphore.signal() }

    func wait(milliseconds: Int) { _ = semaphore.wait(timeout: .now() + .milliseconds(milliseconds)) }
}
