// A session that takes messages. Persistent: what is published while we are away waits in the broker.
//
// Messages are worked on side by side, those of one lane (a stream, a topic) in their order. libmosquitto has an
// acknowledgement ready as soon as a message was read and sends all of them with the next write; so nothing is written while a
// message has no verdict. The broker sends few messages ahead of their acknowledgement (`receiveMaximum`), so that a moment
// comes at which all have one; where that takes long, nothing more is read. Where one is to be delivered again the connection
// is cut. Those beside it come again as well: what of them was settled is remembered, and only acknowledged then, so that each
// connection gets further than the one before.

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
    private struct Pending {
        let message: InboundMessage
        let deadline: ContinuousClock.Instant
        var task: Task<Void, Never>?
        var verdict: Verdict?
    }

    private struct State {
        var stopDeadline: ContinuousClock.Instant?
        var pending: [UInt64: Pending] = [:]
        var lastID: UInt64 = 0
        var lanes: [String: Task<Void, Never>] = [:]
        /// Settled and not acknowledged when a connection was cut, by digest: how many copies will come again.
        var settled: [String: Int] = [:]
        /// When all copies have come: what is published later is no copy, whatever it says.
        var settledUntil = ContinuousClock.now
        var filters: [String]
        var subscribed: Set<String> = []
        var subscriptions: [Int32: [String]] = [:]
    }

    /// How long messages that are being worked on when the service stops may still take.
    private static let stopGrace = Duration.milliseconds(1_500)
    /// A broker delivers again right after the connection.
    private static let copiesWithin = Duration.seconds(10)
    /// Settled messages that are remembered over a cut: as many as a connection has unacknowledged.
    private static let maximumSettled = 256
    /// Messages in work at a time. Those of QoS 0 have no other bound: beyond it nothing is read.
    private static let maximumPending = 128

    private let patience: Duration
    private let keepsLate: Bool
    private let sharedGroup: String?
    /// Those without which the session is of no use; others come from assets.
    private let needed: Set<String>
    private let lane: @Sendable (InboundMessage) -> String
    private let handle: @Sendable (InboundMessage) async -> Verdict
    private let bell: Bell
    private let logger: Logger
    private let state: Mutex<State>

    /// - Parameters:
    ///   - filters: what is subscribed to.
    ///   - sharedGroup: the group of a shared subscription; nil: each adapter gets every message.
    ///   - patience: how long a message may wait for its verdict before the connection is cut without acknowledging it.
    ///     Half the keepalive at most: nothing is sent meanwhile.
    ///   - keepsLate: what a message without a verdict in that time becomes: true leaves it in the broker, false
    ///     acknowledges it, for what must not happen later.
    ///   - lane: messages of one lane are worked on one after the other.
    ///   - handle: decides; runs in a task of its own.
    ///   - bell: wakes the session's thread.
    init(
        filters: [String], sharedGroup: String? = nil, patience: Duration, keepsLate: Bool, bell: Bell, logger: Logger,
        lane: @escaping @Sendable (InboundMessage) -> String,
        handle: @escaping @Sendable (InboundMessage) async -> Verdict
    ) {
        state = Mutex(State(filters: filters))
        needed = Set(filters)
        self.sharedGroup = sharedGroup
        self.patience = patience
        self.keepsLate = keepsLate
        self.bell = bell
        self.logger = logger
        self.lane = lane
        self.handle = handle
    }

    /// Gives the messages in hand a last while.
    func stop() {
        state.withLock { $0.stopDeadline = .now + Self.stopGrace }
        bell.ring()
    }

    /// Takes other filters from now on.
    func change(filters: [String]) {
        let isNews = state.withLock { state -> Bool in
            defer { state.filters = filters }
            return state.filters != filters
        }
        if isNews { bell.ring() }
    }

    /// What came with QoS 0 is never acknowledged, and holds nothing.
    var holdsWrites: Bool { state.withLock { $0.pending.values.contains { $0.message.qos > 0 } } }

    var wantsRead: Bool {
        state.withLock { state in
            guard state.stopDeadline == nil, state.pending.count < Self.maximumPending else { return false }
            // Whoever waits long is not to wait for those behind it too: the broker must hear of us within its keepalive.
            let eldest = state.pending.values.lazy.filter { $0.message.qos > 0 }.map(\.deadline).min()
            return eldest.map { $0 - .now > patience / 2 } ?? true
        }
    }

    var isDrained: Bool { state.withLock(\.pending.isEmpty) }
    var isBetween: Bool { !holdsWrites }

    func connected(
        _ connection: MosquittoConnection, sessionPresent: Bool, maximumPacketBytes: Int?
    ) throws(BrokerError) {
        // Subscribing again changes nothing where the session is present and the filters are the same; and it is needed
        // where the event rules changed since.
        state.withLock { state in
            state.subscribed = []
            // A broker that forgot the session delivers nothing again.
            if !sessionPresent { state.settled = [:] }
            state.settledUntil = .now + Self.copiesWithin
        }
        try pump(connection, isLeaving: false)
    }

    func take(_ event: BrokerEvent, _ connection: MosquittoConnection) throws(BrokerError) {
        switch event {
        case .message(let message): take(message)
        case .subscribed(let mid, let refusals):
            guard let filters = state.withLock({ $0.subscriptions.removeValue(forKey: mid) }) else { return }
            let refused = zip(filters, refusals).filter { $1 != nil }
            guard !refused.isEmpty else { return }
            let words = refused.map { "\($0) (\($1 ?? ""))" }.joined(separator: ", ")
            guard !refused.contains(where: { needed.contains($0.0) }) else {
                throw BrokerError(
                    description: "the broker refuses the subscription to \(words); allow it to this user",
                    isRefusal: true)
            }
            logger.error(
                "the broker refuses the topic of a management action; allow it to this user, or name another one",
                metadata: ["topics": "\(words.prefixed(500))"])
        case .published, .connected, .refused, .disconnected: break
        }
    }

    private func take(_ message: InboundMessage) {
        guard !wasSettled(message) else { return }
        let lane = lane(message)
        let (id, before) = state.withLock { state -> (UInt64, Task<Void, Never>?) in
            state.lastID += 1
            state.pending[state.lastID] = Pending(message: message, deadline: .now + patience)
            return (state.lastID, state.lanes[lane])
        }
        let handle = self.handle
        let task = Task { [weak self] in
            await before?.value
            let verdict =
                Task.isCancelled ? .withhold(reason: "its time was over before its turn") : await handle(message)
            self?.settle(id, verdict)
        }
        state.withLock { state in
            state.pending[id]?.task = task
            state.lanes[lane] = task
        }
    }

    /// Whether it is the second copy of one that is settled: its acknowledgement leaves with the next write.
    private func wasSettled(_ message: InboundMessage) -> Bool {
        guard message.qos > 0 else { return false }
        return state.withLock { state in
            guard !state.settled.isEmpty else { return false }
            guard ContinuousClock.now < state.settledUntil else {
                state.settled = [:]
                return false
            }
            let digest = message.requestDigest
            guard let copies = state.settled[digest] else { return false }
            state.settled[digest] = copies > 1 ? copies - 1 : nil
            return true
        }
    }

    private func settle(_ id: UInt64, _ verdict: Verdict) {
        state.withLock { state in
            // One whose time was over has its verdict already.
            if state.pending[id]?.verdict == nil { state.pending[id]?.verdict = verdict }
        }
        bell.ring()
    }

    func pump(_ connection: MosquittoConnection, isLeaving: Bool) throws(BrokerError) {
        if !isLeaving { try subscribe(connection) }
        let now = ContinuousClock.now
        typealias Unsettled = (message: InboundMessage, reason: String)
        let (withheld, lost) = state.withLock { state -> (Unsettled?, [Unsettled]) in
            var withheld: Unsettled?
            var lost: [Unsettled] = []
            var isOpen = false
            for (id, entry) in state.pending.sorted(by: { $0.key < $1.key }) {
                guard let verdict = entry.verdict ?? late(entry, now, state.stopDeadline) else {
                    isOpen = isOpen || entry.message.qos > 0
                    continue
                }
                if entry.verdict == nil { entry.task?.cancel() }
                state.pending[id]?.verdict = verdict
                if entry.message.qos == 0 { state.pending[id] = nil }
                guard case .withhold(let reason) = verdict else { continue }
                if entry.message.qos == 0 {
                    lost.append((entry.message, reason))
                } else {
                    withheld = withheld ?? (entry.message, reason)
                }
            }
            if withheld == nil, !isOpen { state.pending = state.pending.filter { $0.value.message.qos == 0 } }
            if state.pending.isEmpty { state.lanes = [:] }
            return (withheld, lost)
        }
        for (message, reason) in lost {
            Counter(label: "sightglass_adapter_messages_lost_total").increment()
            logger.error(
                "a message that was published with QoS 0 is lost; publish with QoS 1",
                metadata: ["topic": "\(message.shortTopic)", "reason": "\(reason.prefixed(500))"])
        }
        guard let withheld else { return }
        Counter(label: "sightglass_adapter_messages_withheld_total").increment()
        connection.sever()
        throw BrokerError(
            description: "a message on \(withheld.message.shortTopic) waits in the broker: \(withheld.reason)",
            isOurDoing: true)
    }

    /// The verdict of a message whose time is over; nil while it is not.
    private func late(
        _ entry: Pending, _ now: ContinuousClock.Instant, _ stop: ContinuousClock.Instant?
    ) -> Verdict? {
        if let stop, now >= stop { return .withhold(reason: "this service stops") }
        guard now >= entry.deadline else { return nil }
        return keepsLate ? .withhold(reason: "it could not be stored in time") : .acknowledge
    }

    private func subscribe(_ connection: MosquittoConnection) throws(BrokerError) {
        let (added, removed) = state.withLock { state in
            let wanted = Set(state.filters)
            let changes = (wanted.subtracting(state.subscribed).sorted(), state.subscribed.subtracting(wanted).sorted())
            state.subscribed = wanted
            return changes
        }
        if !removed.isEmpty { try connection.unsubscribe(removed.map(onTheWire)) }
        guard !added.isEmpty else { return }
        let mid = try connection.subscribe(added.map(onTheWire))
        state.withLock { $0.subscriptions[mid] = added }
    }

    private func onTheWire(_ filter: String) -> String { sharedGroup.map { "$share/\($0)/\(filter)" } ?? filter }

    func exchanged() { lost() }

    func lost() {
        // What came with QoS 1 comes again; what of it is not finished is given up, so that it does not run beside its copy.
        let tasks = state.withLock { state in
            for entry in state.pending.values where entry.message.qos > 0 && entry.verdict == .acknowledge {
                guard state.settled.count < Self.maximumSettled else { break }
                state.settled[entry.message.requestDigest, default: 0] += 1
            }
            defer {
                state.pending = state.pending.filter { $0.value.message.qos == 0 }
                state.subscriptions = [:]
            }
            return state.pending.values.filter { $0.verdict == nil && $0.message.qos > 0 }.compactMap(\.task)
        }
        tasks.forEach { $0.cancel() }
    }
}
