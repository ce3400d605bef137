// The session that publishes. It never waits for an inbound one, and nobody waits for it without a bound. What waits is in
// OutboundQueue.swift; here are the callers that want to know, and the connection. It takes messages as well where a call of
// ours is answered (subscriptions): those are handed on and acknowledged at once. Who is online: Presence.swift.

import Metrics
import Synchronization

/// The work of the outbound session, and the door to it for the rest of the service.
final class OutboundSession: SessionWork {
    typealias Dropped = OutboundQueue.Dropped

    private struct Waiter {
        let continuation: CheckedContinuation<Result<Void, Dropped>, Never>
        let deadline: ContinuousClock.Instant
    }

    private struct State {
        var queue = OutboundQueue()
        var waiters: [OutboundQueue.ID: Waiter] = [:]
        var idByMid: [Int32: OutboundQueue.ID] = [:]
        var isConnected = false
        var maximumPacketBytes: Int?
        var filters: Set<String> = []
        var subscribed: Set<String> = []
        var hear: (@Sendable (InboundMessage) -> Void)?
        /// Whether there was a connection before this one.
        var wasConnected = false
        /// When the greeting is published although nobody said who greeted last; nil where it is published.
        var greetingDue: ContinuousClock.Instant?
    }

    /// The broker's answer to a subscription comes within milliseconds.
    private static let presenceBound = Duration.seconds(1)

    private let state = Mutex(State())
    /// Wakes the session's thread when something is queued.
    let bell: Bell
    private let presence: Presence
    private let onConnected: @Sendable () -> Void
    private let onRefused: @Sendable (String) -> Void

    /// - Parameters:
    ///   - presence: published first on each connection ("online") and last before a planned end.
    ///   - onConnected: after the greeting; retained state may have to be published again.
    ///   - onRefused: the broker refuses a subscription; its reason.
    init(
        bell: Bell, presence: Presence, onConnected: @escaping @Sendable () -> Void,
        onRefused: @escaping @Sendable (String) -> Void
    ) {
        self.bell = bell
        self.presence = presence
        self.onConnected = onConnected
        self.onRefused = onRefused
    }

    /// Whether there is a broker.
    var isConnected: Bool { state.withLock(\.isConnected) }

    /// The broker's bound for a packet; nil while unknown.
    var maximumPacketBytes: Int? { state.withLock(\.maximumPacketBytes) }

    /// Queues a word and does not wait. Dropped only where the queue is full: then the result says so.
    @discardableResult
    func post(_ message: OutboundMessage) -> Result<Void, Dropped> {
        enqueue(message, lane: .word, deadline: nil, continuation: nil)
    }

    /// Queues a message and waits until the broker has it (QoS 1) or it is written (QoS 0), until `deadline` at most.
    func deliver(
        _ message: OutboundMessage, lane: OutboundQueue.Lane, deadline: ContinuousClock.Instant
    ) async throws(Dropped) {
        let result = await withCheckedContinuation { continuation in
            _ = enqueue(message, lane: lane, deadline: deadline, continuation: continuation)
        }
        try result.get()
    }

    private func enqueue(
        _ message: OutboundMessage, lane: OutboundQueue.Lane, deadline: ContinuousClock.Instant?,
        continuation: CheckedContinuation<Result<Void, Dropped>, Never>?
    ) -> Result<Void, Dropped> {
        let (result, settled) = state.withLock { state -> (Result<Void, Dropped>, [Settled]) in
            if lane == .picture, !state.isConnected {
                return (.failure(.disconnected), continuation.map { [Settled($0, .failure(.disconnected))] } ?? [])
            }
            do throws(Dropped) {
                let (id, dropped) = try state.queue.enqueue(message, lane: lane, expiresAt: deadline)
                if let continuation {
                    state.waiters[id] = Waiter(continuation: continuation, deadline: deadline ?? .now)
                }
                return (.success(()), Self.settle(dropped, &state))
            } catch {
                Counter(label: "sightglass_adapter_outbound_refused_total").increment()
                return (.failure(error), continuation.map { [Settled($0, .failure(error))] } ?? [])
            }
        }
        Settled.resume(settled)
        bell.ring()
        return result
    }

    /// Queues the farewell; `isDrained` turns true when the broker has it.
    func sayFarewell() {
        post(presence.offline)
    }

    var isDrained: Bool { state.withLock(\.queue.isEmpty) }

    func connected(
        _ connection: MosquittoConnection, sessionPresent: Bool, maximumPacketBytes: Int?
    ) throws(BrokerError) {
        let isAgain = state.withLock { state in
            state.subscribed = []
            state.maximumPacketBytes = maximumPacketBytes
            defer { state.wasConnected = true }
            return state.wasConnected
        }
        guard isAgain else { return try greet(connection) }
        // Not before it is known who greeted last: brokers that close a connection for another client with its id do not all
        // say so, and two that take it from each other would never end.
        _ = try connection.subscribe([presence.topic], withRetained: true)
        state.withLock { $0.greetingDue = .now + Self.presenceBound }
    }

    private func greet(_ connection: MosquittoConnection) throws(BrokerError) {
        _ = try connection.publish(presence.online)
        state.withLock { state in
            state.greetingDue = nil
            state.isConnected = true
        }
        onConnected()
    }

    /// Somebody's presence came.
    private func meet(_ message: InboundMessage, _ connection: MosquittoConnection) throws(BrokerError) {
        guard state.withLock({ $0.greetingDue != nil }) else { return }
        guard !presence.isSucceeded(by: message) else {
            throw BrokerError(
                description: "an adapter that started later has taken over the client id", isTakenOver: true)
        }
        try connection.unsubscribe([presence.topic])
        try greet(connection)
    }

    func take(_ event: BrokerEvent, _ connection: MosquittoConnection) throws(BrokerError) {
        if case .message(let message) = event {
            guard message.topic != presence.topic else { return try meet(message, connection) }
            state.withLock(\.hear)?(message)
        }
        if case .subscribed(_, let refusals) = event, let refusal = refusals.compactMap({ $0 }).first {
            onRefused(refusal)
        }
        guard case .published(let mid, let refusal) = event else { return }
        let settled = state.withLock { state -> [Settled] in
            guard let id = state.idByMid.removeValue(forKey: mid) else { return [] }
            state.queue.finish(id)
            guard let waiter = state.waiters.removeValue(forKey: id) else { return [] }
            return [Settled(waiter.continuation, refusal.map { .failure(.refused($0)) } ?? .success(()))]
        }
        Counter(
            label: refusal == nil ? "sightglass_adapter_published_total" : "sightglass_adapter_publish_refused_total"
        )
        .increment()
        Settled.resume(settled)
    }

    /// Takes what comes on these filters too, from now on. Nothing of it may wait: `hear` runs on the session's thread.
    func listen(to filters: Set<String>, hear: @escaping @Sendable (InboundMessage) -> Void) {
        state.withLock { ($0.filters, $0.hear) = (filters, hear) }
        bell.ring()
    }

    private func subscribe(_ connection: MosquittoConnection) throws(BrokerError) {
        let (added, removed) = state.withLock { state in
            defer { state.subscribed = state.filters }
            return (
                state.filters.subtracting(state.subscribed).sorted(),
                state.subscribed.subtracting(state.filters).sorted()
            )
        }
        if !removed.isEmpty { try connection.unsubscribe(removed) }
        if !added.isEmpty { _ = try connection.subscribe(added) }
    }

    var holdsWrites: Bool { false }
    var wantsRead: Bool { true }
    var isBetween: Bool { state.withLock(\.queue.inFlight.isEmpty) }

    func pump(_ connection: MosquittoConnection, isLeaving: Bool) throws(BrokerError) {
        expire()
        guard !isLeaving else { return }
        if let due = state.withLock(\.greetingDue) {
            guard due <= .now else { return }
            try greet(connection)
        }
        try subscribe(connection)
        while let entry = state.withLock({ $0.queue.next() }) {
            var message = entry.message
            if let expiresAt = entry.expiresAt, entry.lane == .picture {
                // What is left of a picture's time, in whole seconds and never more than its destination allows.
                let left = UInt32(clamping: max(1, (expiresAt - .now).wholeMilliseconds / 1_000))
                message.properties.expiryS = min(message.properties.expiryS ?? left, left)
            }
            if let maximum = state.withLock(\.maximumPacketBytes), message.maximumPacketBytes > maximum {
                finish(
                    entry.id,
                    .failure(.refused("\(message.maximumPacketBytes) bytes are more than the broker's \(maximum)")))
                continue
            }
            let mid: Int32
            do throws(BrokerError) { mid = try connection.publish(message) } catch {
                // libmosquitto refuses this one message (a topic, a size); the connection is not at fault.
                finish(entry.id, .failure(.refused(error.description)))
                continue
            }
            state.withLock { $0.idByMid[mid] = entry.id }
        }
    }

    private func finish(_ id: OutboundQueue.ID, _ result: Result<Void, Dropped>) {
        let settled = state.withLock { state -> [Settled] in
            state.queue.finish(id)
            return state.waiters.removeValue(forKey: id).map { [Settled($0.continuation, result)] } ?? []
        }
        Settled.resume(settled)
    }

    /// Fails the callers whose time is over, connected or not.
    func expire() {
        let now = ContinuousClock.now
        let settled = state.withLock { state -> [Settled] in
            let dropped = state.queue.expire(now: now)
            var settled = Self.settle(dropped, &state)
            for (id, waiter) in state.waiters where waiter.deadline <= now {
                state.waiters[id] = nil
                settled.append(Settled(waiter.continuation, .failure(.expired)))
            }
            return settled
        }
        Settled.resume(settled)
    }

    func lost() {
        let settled = state.withLock { state -> [Settled] in
            state.isConnected = false
            state.greetingDue = nil
            state.idByMid = [:]
            let dropped = state.queue.connectionLost()
            return Self.settle(dropped, &state)
        }
        Settled.resume(settled)
    }

    func exchanged() {
        state.withLock { state in
            state.idByMid = [:]
            state.queue.connectionExchanged()
        }
    }

    private static func settle(_ dropped: [(OutboundQueue.ID, Dropped)], _ state: inout State) -> [Settled] {
        dropped.compactMap { id, reason in
            switch reason {
            case .full: Counter(label: "sightglass_adapter_pictures_dropped_total").increment()
            case .expired: Counter(label: "sightglass_adapter_outbound_expired_total").increment()
            case .disconnected, .replaced, .refused: break
            }
            // A word that a newer one replaced is as good as published for who waits: the topic will say more.
            let result: Result<Void, Dropped> = reason == .replaced ? .success(()) : .failure(reason)
            return state.waiters.removeValue(forKey: id).map { Settled($0.continuation, result) }
        }
    }

    /// A caller and its result; resumed outside the lock.
    private struct Settled {
        let continuation: CheckedContinuation<Result<Void, Dropped>, Never>
        let result: Result<Void, Dropped>

        init(_ continuation: CheckedContinuation<Result<Void, Dropped>, Never>, _ result: Result<Void, Dropped>) {
            self.continuation = continuation
            self.result = result
        }

        static func resume(_ settled: [Settled]) { settled.forEach { $0.continuation.resume(returning: $0.result) } }
    }
}
