// RPCServer: listens, admits requests, runs handlers within their deadlines, stops gracefully. What it decides is in
// RequestTable and RequestCheck; how bytes come and go in ReplySlot.

import CNNG
import Foundation
import Logging
import Synchronization
import Wire

/// What became of one request, for metrics.
public struct RPCRequestOutcome: Sendable {
    /// "sightglass.v1.Indexer/RecordMedia"; "unknown" for anything that the server has no handler for.
    public let method: String
    /// `.ok` or the error's code.
    public let code: Code
    /// From arrival to reply.
    public let duration: Duration
}

/// Answers the methods that handlers are registered for. Make it, register, `run`.
public final class RPCServer: Sendable {
    /// A handler with the request that it shall answer.
    private typealias Call = @Sendable (RPCContext) async throws -> any WireMessage

    private struct Route {
        let maximumRequestBytes: Int
        /// Decodes the body of a request.
        let decode: @Sendable (UnsafeRawBufferPointer) throws(WireError) -> Call
    }

    /// What is needed to cancel or answer a request in hand.
    private struct Work {
        let slot: ReplySlot
        let ticket: Ticket
        let requestID: String
        let method: String
        var task: Task<Void, Never>?
    }

    private enum Phase {
        case new, opening
        case listening(Listening)
        case closed
    }

    /// How long cancelled handlers may take to end when the server stops. With 3 s of draining before, under 5 s.
    private static let cancelTime = Duration.milliseconds(500)
    /// How long nng may take to close its connections when the server stops; it takes milliseconds.
    private static let closeTime = Duration.milliseconds(1_000)
    /// Answered under any load: a probe that fails when a service is busy would take it away when it is needed most, and
    /// a cancellation makes room.
    private static let alwaysAdmitted = Set(HealthMethods.all + CallsMethods.all)

    private let addresses: [RPCAddress]
    private let limits: RPCServerLimits
    private let tls: RPCTLS?
    private let logger: Logger
    private let observe: (@Sendable (RPCRequestOutcome) -> Void)?
    private let routes = Mutex<[String: Route]>([:])
    private let phase = Mutex(Phase.new)
    private let table: Mutex<RequestTable<Work>>
    private let stopRequested = OneShot()
    private let drained = OneShot()
    private let timer = DeadlineTimer()
    /// Whether one of nng's threads is lent to a handler.
    private let isThreadLent = Atomic(false)

    /// Prepares a server; nothing is opened yet.
    ///
    /// - Parameters:
    ///   - addresses: all are listened on.
    ///   - tls: needed for tls+tcp:// addresses.
    ///   - observe: called after each request, from the request's task; must be quick.
    public init(
        addresses: [RPCAddress], limits: RPCServerLimits = .init(), tls: RPCTLS? = nil,
        logger: Logger = Logger(label: "sightglass.rpc"), observe: (@Sendable (RPCRequestOutcome) -> Void)? = nil
    ) {
        self.addresses = addresses
        self.limits = limits
        self.tls = tls
        self.logger = logger
        self.observe = observe
        table = Mutex(
            RequestTable(
                maximumRequests: limits.maximumConcurrentRequests, maximumBytes: limits.maximumBytesInFlight))
        handle(CallsMethods.cancel) { [weak self] request, context in
            guard let id = request.requestID, !id.isEmpty, id.utf8.count <= 64 else {
                throw RPCError.invalidArgument(
                    "request_id", "request_id is empty or longer than 64 bytes: name the call")
            }
            return CancelCallReply(found: self?.cancel(id, of: context.pipe) ?? false)
        }
    }

    deinit {
        guard case .listening(let listening) = phase.withLock({ $0 }) else { return }
        Thread.detachNewThread { listening.close() }
    }

    /// Registers the handler of a method; a second one for the same method takes its place. Before `start`.
    ///
    /// The handler throws `RPCError` to answer with a typed error. Anything else that it throws is logged, and answered
    /// INTERNAL without details. Its task is cancelled when the caller's deadline passes or its connection is gone.
    ///
    /// - Parameter maximumRequestBytes: largest encoded envelope; the contract's where absent.
    public func handle<Q: WireMessage, R: WireMessage>(
        _ method: RPCMethod<Q, R>, maximumRequestBytes: Int? = nil,
        _ handler: @escaping @Sendable (Q, RPCContext) async throws -> R
    ) {
        route(method, maximumRequestBytes: maximumRequestBytes, handler)
    }

    /// The same for a handler that gives the reply in its encoded form.
    public func handleEncoded<Q: WireMessage, R: WireMessage>(
        _ method: RPCMethod<Q, R>, _ handler: @escaping @Sendable (Q, RPCContext) async throws -> EncodedMessage
    ) {
        route(method, maximumRequestBytes: nil, handler)
    }

    private func route<Q: WireMessage, R: WireMessage, Answer: WireMessage>(
        _ method: RPCMethod<Q, R>, maximumRequestBytes: Int?,
        _ handler: @escaping @Sendable (Q, RPCContext) async throws -> Answer
    ) {
        let contract = RPCContractLimits.requestBytes(of: method.name)
        let bound = maximumRequestBytes ?? max(contract, limits.maximumMessageBytes)
        let route = Route(maximumRequestBytes: bound) { body throws(WireError) in
            let request = try Q(wire: body)
            return { context in try await handler(request, context) }
        }
        routes.withLock { $0[method.name] = route }
    }

    /// Opens the sockets. `run` does it too; call it first to know that listening works before anything else starts.
    ///
    /// - Throws: `RPCError` that names the address and what is wrong with it. Nothing stays open then.
    public func start() async throws(RPCError) {
        let mayOpen = phase.withLock { phase in
            guard case .new = phase else { return false }
            phase = .opening
            return true
        }
        guard mayOpen else { return }
        let result = await onOwnThread { [self] () -> Result<Listening, RPCError> in
            do throws(RPCError) { return .success(try open()) } catch { return .failure(error) }
        }
        switch result {
        case .failure(let error):
            phase.withLock { $0 = .closed }
            throw error
        case .success(let listening):
            timer.whenDue { [weak self] now in self?.expire(now) }
            phase.withLock { $0 = .listening(listening) }
            listening.slots.forEach { $0.start() }
        }
    }

    /// Where it listens, with the ports that were taken. Empty unless it listens.
    public var listeningAddresses: [RPCAddress] {
        guard case .listening(let listening) = phase.withLock({ $0 }) else { return [] }
        return listening.addresses
    }

    /// Serves until the task is cancelled or `stop` is called; then refuses what is new with UNAVAILABLE, finishes what
    /// is under way within `limits.drainTime`, cancels what is left, and returns with everything closed.
    public func run() async throws {
        try await start()
        await withTaskCancellationHandler {
            await stopRequested.wait()
        } onCancel: {
            stop()
        }
        await shutDown()
    }

    /// Asks `run` to end. Returns at once.
    public func stop() { stopRequested.fire() }

    // MARK: Opening and closing

    private func open() throws(RPCError) -> Listening {
        let watch = ConnectionWatch { [weak self] pipe, isAdded in
            if !isAdded { self?.connectionLost(pipe) }
        }
        let largest = routes.withLock { $0.values.map(\.maximumRequestBytes).max() } ?? limits.maximumMessageBytes
        return try Listening(
            on: addresses, limits: limits, tls: tls, largestRequestBytes: largest, watch: watch
        ) { [weak self] message, slot, ticket in
            self?.received(message, on: slot, ticket)
        }
    }

    private func shutDown() async {
        let isIdle = table.withLock { table in
            table.stop()
            return table.isEmpty
        }
        if !isIdle {
            // Tasks of their own, because this one may be cancelled and would not wait.
            let patience = Task { [drained, limits] in
                guard (try? await Task.sleep(for: limits.drainTime)) != nil else { return }
                self.cancelAll()
                try? await Task.sleep(for: Self.cancelTime)
                drained.fire()
            }
            await drained.wait()
            patience.cancel()
        }
        timer.cancel()
        let closing: Listening? = phase.withLock { phase in
            defer { phase = .closed }
            if case .listening(let listening) = phase { return listening } else { return nil }
        }
        guard let closing else { return }
        // nng can wait for ever for a connection that it closed while reading from it (Shared/CNNGRepair says why).
        let isClosed = OneShot()
        Thread.detachNewThread {
            closing.close()
            isClosed.fire()
        }
        let patience = Task {
            guard (try? await Task.sleep(for: Self.closeTime)) != nil else { return }
            self.logger.warning("stopping: nng has not closed its connections in \(Self.closeTime); left behind")
            isClosed.fire()
        }
        await isClosed.wait()
        patience.cancel()
    }

    private func cancelAll() {
        let left = table.withLock { $0.abandonAll() }
        if !left.isEmpty {
            logger.warning("stopping: cancelled \(left.count) requests that were not done in \(limits.drainTime)")
        }
        left.forEach { $0.task?.cancel() }
    }

    // MARK: Requests

    /// On nng's thread: refuses what may not run, at once, and gives the rest to a task.
    private func received(_ message: ReceivedMessage, on slot: ReplySlot, _ ticket: Ticket) {
        let arrival = ContinuousClock.now
        do throws(CheckedRequest.Refusal) {
            let request = try message.withBytes { bytes throws(CheckedRequest.Refusal) in
                try CheckedRequest(decoding: bytes) { String(UInt64.random(in: .min ... .max), radix: 16) }
            }
            let route = try route(of: request, sizeBytes: message.sizeBytes, since: arrival)
            let id = try enter(request, message, slot, ticket, arrival: arrival)
            timer.announce(arrival + request.remaining)
            run(id) { await self.answer(request, message, route, arrival: arrival, id: id, slot, ticket) }
        } catch {
            logger.debug("refused a request: \(error.error)")
            slot.send(Self.failure(error.error, requestID: error.requestID), for: ticket)
        }
    }

    private func route(
        of request: CheckedRequest, sizeBytes: Int, since arrival: ContinuousClock.Instant
    ) throws(CheckedRequest.Refusal) -> Route {
        guard let route = routes.withLock({ $0[request.method] }) else {
            throw refusal("unknown", request, Self.noSuchMethod(request.method), since: arrival)
        }
        guard sizeBytes <= route.maximumRequestBytes else {
            let most = route.maximumRequestBytes
            throw refusal(
                request.method, request,
                .invalidArgument("body", "the request has \(sizeBytes) bytes; \(request.method) takes at most \(most)"),
                since: arrival)
        }
        return route
    }

    private func enter(
        _ request: CheckedRequest, _ message: ReceivedMessage, _ slot: ReplySlot, _ ticket: Ticket,
        arrival: ContinuousClock.Instant
    ) throws(CheckedRequest.Refusal) -> UInt64 {
        let work = Work(slot: slot, ticket: ticket, requestID: request.requestID, method: request.method)
        let (id, error): (UInt64?, RPCError?) = table.withLock { table in
            let admission = table.admission(ofBytes: message.sizeBytes, pipe: message.pipe)
            switch admission {
            case .stopping: return (nil, .unavailable("the server is stopping: try again when it is back"))
            case .overloaded where !Self.alwaysAdmitted.contains(request.method): return (nil, busy)
            case .run, .overloaded:
                let id = table.enter(
                    work, sizeBytes: message.sizeBytes, pipe: message.pipe, countsAgainstLimits: admission == .run,
                    deadline: arrival + request.remaining)
                return (id, nil)
            }
        }
        if let id { return id }
        throw refusal(request.method, request, error ?? busy, since: arrival)
    }

    private var busy: RPCError {
        .resourceExhausted(
            "the server is busy (at most \(limits.maximumConcurrentRequests) requests and "
                + "\(limits.maximumBytesInFlight) bytes at once, three quarters of the requests by one caller): try again later"
        )
    }

    private func refusal(
        _ method: String, _ request: CheckedRequest, _ error: RPCError, since arrival: ContinuousClock.Instant
    ) -> CheckedRequest.Refusal {
        report(method, error.code, since: arrival)
        return CheckedRequest.Refusal(requestID: request.requestID, error: error)
    }

    /// Starts the task of a request. One at a time begins here, on nng's thread, and goes on elsewhere once it has to wait:
    /// that saves the wake-up of another thread, a third of a short call. nng has at least three threads left meanwhile, and
    /// whatever comes while one is lent begins in Swift's pool.
    private func run(_ id: UInt64, _ answer: @escaping @Sendable () async -> Void) {
        let task: Task<Void, Never>
        if isThreadLent.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged {
            task = Task.immediate(operation: answer)
            isThreadLent.store(false, ordering: .releasing)
        } else {
            task = Task(operation: answer)
        }
        let isAbandoned = table.withLock { table in table.update(id) { $0.task = task } }
        if isAbandoned { task.cancel() }
    }

    private func leave(_ id: UInt64) {
        let isDrained = table.withLock { table in
            table.leave(id)
            return table.isStopping && table.isEmpty
        }
        if isDrained { drained.fire() }
    }

    private func answer(
        _ request: CheckedRequest, _ message: ReceivedMessage, _ route: Route, arrival: ContinuousClock.Instant,
        id: UInt64, _ slot: ReplySlot, _ ticket: Ticket
    ) async {
        var code = Code.ok
        let reply: OutgoingMessage?
        do {
            let call: Call
            do throws(WireError) {
                call = try message.withBytes { bytes throws(WireError) in
                    try route.decode(UnsafeRawBufferPointer(rebasing: bytes[request.body]))
                }
            } catch {
                throw RPCError.invalidArgument("body", "the body of \(request.method) does not decode: \(error)")
            }
            message.free()
            let context = RPCContext(
                requestID: request.requestID, caller: request.caller, idempotencyKey: request.idempotencyKey,
                traceparent: request.traceparent, deadline: arrival + request.remaining, method: request.method,
                pipe: message.pipe)
            reply = try Self.success(try await call(context), to: request, maximumBytes: limits.maximumMessageBytes)
        } catch {
            let typed = typedError(error, of: request)
            code = typed.code
            reply = Self.failure(typed, requestID: request.requestID)
        }
        slot.send(reply, for: ticket)
        report(request.method, code, since: arrival)
        leave(id)
    }

    private static func success(
        _ body: any WireMessage, to request: CheckedRequest, maximumBytes: Int
    ) throws(RPCError) -> OutgoingMessage? {
        do throws(EnvelopeFrame.Oversize) {
            return try .envelope(
                head: ReplyHead.success(requestID: request.requestID), body: body,
                bodyField: EnvelopeFrame.replyBodyField, maximumBytes: maximumBytes)
        } catch {
            throw ReplyHead.tooLarge(error.sizeBytes, method: request.method, maximumBytes: maximumBytes)
        }
    }

    private static func failure(_ error: RPCError, requestID: String?) -> OutgoingMessage? {
        // It has no body, so that no bound is reached.
        try? .envelope(
            head: ReplyHead.failure(error, requestID: requestID), bodyField: EnvelopeFrame.replyBodyField)
    }

    private static func noSuchMethod(_ name: String) -> RPCError {
        .unimplemented("there is no method \"\(name.prefixed(128))\" here: check the address, or update the service")
    }

    private func typedError(_ error: any Error, of request: CheckedRequest) -> RPCError {
        if let typed = error as? RPCError { return typed }
        if error is CancellationError {
            if table.withLock({ $0.isStopping }) { return .unavailable("the server stopped before this was done") }
            return .cancelled("\(request.method) was cancelled before it was done")
        }
        logger.error(
            "\(request.method) failed with an error that it should have handled: \(error)",
            metadata: ["request": "\(request.requestID)", "caller": "\(request.caller)"])
        return .internal("\(request.method) failed unexpectedly; the service's log has request \(request.requestID)")
    }

    private func report(_ method: String, _ code: Code, since arrival: ContinuousClock.Instant) {
        observe?(RPCRequestOutcome(method: method, code: code, duration: .now - arrival))
    }

    // MARK: Requests that are given up

    private func expire(_ now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        let (late, next) = table.withLock { table in (table.expire(now: now), table.nextDeadline) }
        for work in late {
            giveUp(work, .deadlineExceeded("\(work.method) took longer than its caller waits"))
        }
        return next
    }

    /// On nng's thread, which must not wait for cancellation handlers.
    private func connectionLost(_ pipe: UInt32) {
        let orphans = table.withLock { $0.connectionLost(pipe) }
        guard !orphans.isEmpty else { return }
        Task { for work in orphans { self.giveUp(work, .cancelled("the caller is gone")) } }
    }

    private func cancel(_ requestID: String, of pipe: UInt32) -> Bool {
        let cancelled = table.withLock { table in
            table.cancelled(pipe) { $0.requestID == requestID && $0.method != CallsMethods.cancel.name }
        }
        for work in cancelled { giveUp(work, .cancelled("the caller does not wait any more")) }
        return !cancelled.isEmpty
    }

    /// Answers in place of the handler, which frees the context, and cancels the handler. It counts until it ends.
    private func giveUp(_ work: Work, _ error: RPCError) {
        work.slot.send(Self.failure(error, requestID: work.requestID), for: work.ticket)
        work.task?.cancel()
    }
}
