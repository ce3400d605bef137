// RPCClient: calls to one neighbour, which may be away, come back, or answer at several addresses. What is sent again is
// decided in RetrySchedule; one exchange on the wire is CallSlot.

import CNNG
import Foundation
import Synchronization
import Wire

/// Calls a service. Connections are made and made again in the background; making a client never fails for an absent
/// neighbour. With several addresses, calls go to those that are connected, in turn.
public final class RPCClient: Sendable {
    private struct State {
        var idle: [CallSlot] = []
        var all: [CallSlot] = []
        var callsMade: UInt32 = 0
        /// Slots in use, by what for.
        var callsUnderWay = 0
        var cancellationsUnderWay = 0
        var isClosed = false

        /// Counts one more in use, unless its bound is reached.
        mutating func take(for method: String, of limits: RPCClientLimits) -> Bool {
            if method == CallsMethods.cancel.name {
                guard cancellationsUnderWay < spareContexts else { return false }
                cancellationsUnderWay += 1
            } else {
                guard callsUnderWay < limits.maximumConcurrentCalls else { return false }
                callsUnderWay += 1
            }
            return true
        }

        mutating func release(_ method: String) {
            if method == CallsMethods.cancel.name { cancellationsUnderWay -= 1 } else { callsUnderWay -= 1 }
        }
    }

    /// Reconnecting: first after at most 50 ms, so that a restarted neighbour is found at once; then up to every second,
    /// so that an absent one costs nothing.
    private static let reconnectFirstMs: Int32 = 50
    private static let reconnectLongestMs: Int32 = 1_000

    /// Contexts beyond the calls' number, to tell the server of calls that were given up. Where these are in use as well, it
    /// finds out by their time.
    private static let spareContexts = 16

    /// From a call that was given up to the end of its connection, at least. A second: a handler's cancelled work is over.
    private static let quietTime = Duration.seconds(1)

    /// Role of the neighbour, "indexer"; for messages.
    public let role: String
    /// Where it is looked for.
    public let addresses: [RPCAddress]
    /// Why this client cannot work at all (a certificate file that is missing, say); its calls fail with this. Check it
    /// at start-up.
    public let setupError: RPCError?

    private let caller: String
    private let limits: RPCClientLimits
    private let socket: NNGSocket?
    private let watch: ConnectionWatch
    private let state = Mutex(State())
    /// Begins the ids of this client's requests, so that they differ from those of others.
    private let requestPrefix = String(UInt32.random(in: .min ... .max), radix: 16)

    /// Begins to connect, in the background.
    ///
    /// - Parameters:
    ///   - role: what the neighbour is, "indexer".
    ///   - addresses: of equal neighbours; at least one.
    ///   - caller: role and instance of this process, "archiver/archiver-0".
    ///   - tls: needed for tls+tcp:// addresses.
    public init(
        role: String, addresses: [RPCAddress], caller: String, limits: RPCClientLimits = .init(), tls: RPCTLS? = nil
    ) {
        self.role = role
        self.addresses = addresses
        self.caller = caller.prefixed(128)
        self.limits = limits
        watch = ConnectionWatch()
        var opened: NNGSocket?
        do {
            socket = try Self.open(role, addresses, limits, tls, watch, &opened)
            setupError = nil
        } catch {
            if let opened { Thread.detachNewThread { opened.close() } }
            socket = nil
            setupError = error
        }
    }

    deinit { close() }

    private static func open(
        _ role: String, _ addresses: [RPCAddress], _ limits: RPCClientLimits, _ tls: RPCTLS?, _ watch: ConnectionWatch,
        _ opened: inout NNGSocket?
    ) throws(RPCError) -> NNGSocket {
        guard !addresses.isEmpty else { throw .invalidArgument(role, "no address is set for \(role)") }
        let material: TLSMaterial?
        if let tls { material = try TLSMaterial(reading: tls) } else { material = nil }
        let socket: NNGSocket
        do throws(NNGError) {
            socket = try NNGSocket(nng_req0_open, watch: watch)
            opened = socket
            // Resending is ours to decide; and without nng's, a lost connection is reported at once.
            try socket.set(NNG_OPT_REQ_RESENDTIME, milliseconds: NNG_DURATION_INFINITE)
            try socket.set(NNG_OPT_RECONNMINT, milliseconds: reconnectFirstMs)
            try socket.set(NNG_OPT_RECONNMAXT, milliseconds: reconnectLongestMs)
            // Room for a server that counts the bound a little differently.
            try socket.set(NNG_OPT_RECVMAXSZ, bytes: limits.maximumMessageBytes + 65_536)
        } catch {
            throw .internal("nng cannot open a socket: \(error)")
        }
        for address in addresses { try socket.dial(address, tls: material) }
        return socket
    }

    /// Whether at least one address is connected.
    public var isConnected: Bool { watch.connections > 0 }

    /// Why no address is connected, for a person; nil when one is.
    public var unreachableReason: String? {
        if let setupError { return setupError.message }
        return isConnected ? nil : notConnected.message
    }

    /// Calls a method.
    ///
    /// An absent neighbour is waited for until the timeout. A method that is safe to repeat (or any with an idempotency
    /// key) is sent again, within the timeout, when the connection was lost or the server was not ready.
    ///
    /// - Parameters:
    ///   - timeout: 1 ms to 10 minutes; the server cancels the work when it has passed.
    ///   - idempotencyKey: for methods that store one; at most 128 bytes.
    ///   - traceparent: W3C Trace Context to pass on.
    /// - Throws: what the server answered; `.unavailable` when it was not reached or the connection was lost;
    ///   `.deadlineExceeded` when it did not answer in time; `.cancelled` when the task was cancelled.
    public func call<Q: WireMessage, R: WireMessage>(
        _ method: RPCMethod<Q, R>, _ request: Q, timeout: Duration = .seconds(10), idempotencyKey: String? = nil,
        traceparent: String? = nil
    ) async throws(RPCError) -> R {
        let wait = min(max(timeout, .milliseconds(1)), RPCContractLimits.longestRemaining)
        let deadline = ContinuousClock.now + wait
        var schedule = RetrySchedule(isSafe: method.isSafeToRetry || idempotencyKey != nil, deadline: deadline)
        var envelope = RequestEnvelope(
            method: method.name, version: WireVersion.current, requestID: nextRequestID(),
            idempotencyKey: idempotencyKey, caller: caller, traceparent: traceparent)
        while true {
            do throws(RPCError) {
                return try await attempt(&envelope, request, deadline: deadline, timeout: wait)
            } catch {
                let action = schedule.failed(with: error, now: .now, random: .random(in: 0...1))
                guard case .retry(let pause) = action else { throw error }
                do { try await Task.sleep(for: pause) } catch {
                    throw .cancelled("the call of \(method.name) was cancelled")
                }
            }
        }
    }

    /// Ends all calls with `.unavailable` and all connections. Returns at once.
    public func close() {
        let slots: [CallSlot]? = state.withLock { state in
            guard !state.isClosed else { return nil }
            state.isClosed = true
            defer { (state.all, state.idle) = ([], []) }
            return state.all
        }
        guard let slots, let socket else { return }
        let abandoned = slots.compactMap { $0.refuse() }.max()
        Thread.detachNewThread {
            // Replies that nobody waits for may still come. nng 1.5 must not close a connection that reads a message
            // (Shared/CNNGRepair says why), and nothing tells when the last one has come.
            if let abandoned, case let quiet = abandoned + Self.quietTime - .now, quiet > .zero {
                Thread.sleep(forTimeInterval: quiet / .seconds(1))
            }
            slots.forEach { $0.close() }
            socket.close()
            slots.forEach { $0.free() }
        }
    }

    // MARK: One attempt

    private func attempt<R: WireMessage>(
        _ envelope: inout RequestEnvelope, _ request: some WireMessage, deadline: ContinuousClock.Instant,
        timeout: Duration
    ) async throws(RPCError) -> R {
        let method = envelope.method ?? ""
        envelope.remainingMs = Self.remainingMs(until: deadline)
        let slot = try takeSlot(for: method)
        let outcome: ExchangeOutcome
        do throws(RPCError) {
            let message = try message(envelope, request)
            outcome = await slot.exchange(message, deadline: deadline)
        } catch {
            giveBack(slot, of: method)
            throw error
        }
        giveBack(slot, of: method)
        switch outcome {
        case .reply(let message): return try Self.reply(in: message, from: role, method)
        case .notSent where isConnected:
            throw .deadlineExceeded(
                "\(role) did not take \(method) within \(timeout): it is connected but does not read")
        case .notSent: throw notConnected
        case .noReply: throw .deadlineExceeded("\(role) did not answer \(method) within \(timeout)")
        case .connectionLost:
            throw .unavailable("the connection to \(role) was lost while it worked on \(method)")
        case .cancelled:
            cancelAtServer(envelope.requestID)
            throw .cancelled("the call of \(method) was cancelled")
        case .closed: throw closed
        case .failed(let error): throw .internal("\(method) of \(role) failed in nng: \(error)")
        }
    }

    /// Lets the server end the work that nobody waits for. Nobody waits for this either: where it does not arrive, the work
    /// ends with the time that the call had.
    private func cancelAtServer(_ requestID: String?) {
        Task { try? await call(CallsMethods.cancel, CancelCallRequest(requestID: requestID), timeout: Self.quietTime) }
    }

    private func message(
        _ envelope: RequestEnvelope, _ request: some WireMessage
    ) throws(RPCError) -> OutgoingMessage {
        let method = envelope.method ?? ""
        let most = max(RPCContractLimits.requestBytes(of: method), limits.maximumMessageBytes)
        let message: OutgoingMessage?
        do throws(EnvelopeFrame.Oversize) {
            message = try .envelope(
                head: envelope, body: request, bodyField: EnvelopeFrame.requestBodyField, maximumBytes: most)
        } catch {
            throw .invalidArgument(
                "body", "the request of \(method) has \(error.sizeBytes) bytes; at most \(most) are allowed")
        }
        guard let message else { throw .internal("there is no memory for the request of \(method)") }
        return message
    }

    private static func reply<R: WireMessage>(
        in message: ReceivedMessage, from role: String, _ method: String
    ) throws(RPCError) -> R {
        try message.withBytes { bytes throws(RPCError) in
            guard let frame = EnvelopeFrame(reading: bytes, bodyField: EnvelopeFrame.replyBodyField),
                let head = try? ReplyEnvelope(wire: frame.head)
            else {
                throw .internal(
                    "\(role) answered \(method) with something that is not a reply: \(bytes.count) bytes do not decode")
            }
            let code = head.code ?? .ok
            guard code == .ok else { throw RPCError(code: code, message: head.message ?? "", field: head.field) }
            do throws(WireError) {
                return try R(wire: UnsafeRawBufferPointer(rebasing: bytes[frame.body ?? 0..<0]))
            } catch {
                throw .internal("the reply of \(role) to \(method) does not decode: \(error)")
            }
        }
    }

    private var notConnected: RPCError {
        let list = addresses.map(\.description).joined(separator: ", ")
        let certificates =
            addresses.contains(where: \.needsTLS) ? " and do both sides trust each other's certificate" : ""
        return .unavailable("\(role) does not answer at \(list): is it running\(certificates)?")
    }

    private var closed: RPCError { .unavailable("the client of \(role) is closed") }

    private func takeSlot(for method: String) throws(RPCError) -> CallSlot {
        if let setupError { throw setupError }
        guard let socket else { throw closed }
        enum Taken {
            case slot(CallSlot)
            case refused(RPCError)
        }
        let taken: Taken = state.withLock { state in
            if state.isClosed { return .refused(closed) }
            guard state.take(for: method, of: limits) else {
                return .refused(
                    .resourceExhausted("\(limits.maximumConcurrentCalls) calls to \(role) are under way: wait for some")
                )
            }
            if let slot = state.idle.popLast() { return .slot(slot) }
            do throws(NNGError) {
                let slot = try CallSlot(on: socket)
                state.all.append(slot)
                return .slot(slot)
            } catch {
                state.release(method)
                return .refused(.internal("nng cannot open a context: \(error)"))
            }
        }
        switch taken {
        case .slot(let slot): return slot
        case .refused(let error): throw error
        }
    }

    private func giveBack(_ slot: CallSlot, of method: String) {
        state.withLock { state in
            state.release(method)
            if !state.isClosed { state.idle.append(slot) }
        }
    }

    private func nextRequestID() -> String {
        let number = state.withLock { state in
            state.callsMade &+= 1
            return state.callsMade
        }
        return "\(requestPrefix)-\(number)"
    }

    private static func remainingMs(until deadline: ContinuousClock.Instant) -> UInt32 {
        let (seconds, attoseconds) = (deadline - .now).components
        return UInt32(clamping: max(1, seconds * 1_000 + attoseconds / 1_000_000_000_000_000))
    }
}
