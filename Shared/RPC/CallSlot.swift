// CallSlot: one REQ context of a client with its aios. It sends a request, waits for the reply, and resumes the caller; one
// exchange at a time. RPCClient keeps a pool of them.
//
//   connection ready     the caller's thread hands the request to nng, which writes it, and asks for the reply
//   none is, or busy     the request waits in nng; its callback asks for the reply once it was sent
//
// The first way costs no thread a wake-up before the reply is there. Its aio has no callback, and its send never waits: nng
// takes a timeout of zero for "now or not at all". The reply is asked for only when the request was sent: nng 1.5 aborts the
// process when a send ends in error while a receive waits on the same context.
//
// Ownership: the aios belong to the slot; the callback's argument is the slot, which RPCClient keeps until `free`. Whoever
// sets the stage to sending or receiving, under the slot's lock, has them to itself until the callback; nng runs callbacks on
// its own threads. A cancellation comes under the lock too, and while no call that begins an operation is inside nng: so it is
// either seen as a flag or ends the operation, and never hits the next exchange.

import CNNG
import Glibc
import Synchronization

/// How an exchange ended.
enum ExchangeOutcome: Sendable {
    case reply(ReceivedMessage)
    /// Not sent: no connection was ready in time.
    case notSent
    /// Sent, and no reply in time.
    case noReply
    /// Sent, and then the connection was lost.
    case connectionLost
    case cancelled
    case closed
    case failed(NNGError)
}

/// Makes one exchange at a time.
final class CallSlot: @unchecked Sendable {
    // Sound: the aios are written in `init`, before anybody else sees the slot, and in `free`, when no operation is under way.

    private enum Stage {
        case idle, sending, receiving, closed
    }

    private struct State {
        var stage = Stage.idle
        var exchange: UInt64 = 0
        var isCancelled = false
        var isRefusing = false
        /// Calls into nng that have not returned; the aio is neither cancelled nor freed meanwhile.
        var callsInside = 0
        var deadline = ContinuousClock.now
        /// When a request was last given up whose reply may still come.
        var abandonedAt: ContinuousClock.Instant?
        var caller: CheckedContinuation<ExchangeOutcome, Never>?
    }

    private let context: nng_ctx
    /// Has the callback: waits for the reply, and for a connection where none is ready.
    private var aio: OpaquePointer?
    /// Sends at once or not at all; has no callback.
    private var sender: OpaquePointer?
    private let state = Mutex(State())

    init(on socket: NNGSocket) throws(NNGError) {
        context = try socket.openContext()
        try nngCheck(nng_aio_alloc(&sender, nil, nil))
        nng_aio_set_timeout(sender, nng_duration(NNG_DURATION_ZERO))
        try nngCheck(nng_aio_alloc(&aio, callSlotCompleted, Unmanaged.passUnretained(self).toOpaque()))
    }

    /// Sends a request, which it owns from here on, and waits for its reply, until `deadline` or until the task is cancelled.
    func exchange(_ request: OutgoingMessage, deadline: ContinuousClock.Instant) async -> ExchangeOutcome {
        let exchange = state.withLock { state in
            state.exchange &+= 1
            state.isCancelled = false
            return state.exchange
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { caller in
                let refused = state.withLock { state in begin(&state, deadline, caller) }
                if let refused {
                    request.free()
                    return caller.resume(returning: refused)
                }
                // Outside of the lock: these write to the connection, and the callback may come before they return.
                if sendsAtOnce(request) {
                    if let outcome = state.withLock({ state in awaitReply(&state) }) {
                        finish { _ in outcome }
                    } else {
                        nng_ctx_recv(context, aio)
                    }
                } else {
                    nng_aio_set_msg(aio, request.pointer)
                    nng_ctx_send(context, aio)
                }
                state.withLock { state in
                    state.callsInside -= 1
                    endIfWished(&state)
                }
            }
        } onCancel: {
            cancel(exchange)
        }
    }

    private func begin(
        _ state: inout State, _ deadline: ContinuousClock.Instant, _ caller: CheckedContinuation<ExchangeOutcome, Never>
    ) -> ExchangeOutcome? {
        guard state.stage == .idle, !state.isRefusing else { return .closed }
        if state.isCancelled { return .cancelled }
        state.stage = .sending
        state.deadline = deadline
        state.caller = caller
        nng_aio_set_timeout(aio, Self.milliseconds(until: deadline))
        state.callsInside += 1
        return nil
    }

    /// Gives the request to nng if a connection takes it now; otherwise it is still the caller's.
    private func sendsAtOnce(_ request: OutgoingMessage) -> Bool {
        nng_aio_set_msg(sender, request.pointer)
        nng_ctx_send(context, sender)
        // It has ended already, one way or the other; this is how nng lets its result be read.
        nng_aio_wait(sender)
        defer { nng_aio_set_msg(sender, nil) }
        return nng_aio_result(sender) == 0
    }

    /// The request is sent; its reply can be asked for, unless the exchange has this outcome already.
    private func awaitReply(_ state: inout State) -> ExchangeOutcome? {
        if state.isRefusing { return .closed }
        if state.isCancelled { return .cancelled }
        state.stage = .receiving
        nng_aio_set_timeout(aio, Self.milliseconds(until: state.deadline))
        return nil
    }

    /// Ends the exchange that is under way where its caller or its client has had enough of it.
    private func endIfWished(_ state: inout State) {
        guard state.callsInside == 0, state.stage == .sending || state.stage == .receiving else { return }
        if state.isRefusing {
            nng_aio_abort(aio, Int32(NNG_ECLOSED.rawValue))
        } else if state.isCancelled {
            nng_aio_cancel(aio)
        }
    }

    private func cancel(_ exchange: UInt64) {
        state.withLock { state in
            guard state.exchange == exchange else { return }
            state.isCancelled = true
            endIfWished(&state)
        }
    }

    /// Ends the exchange that is under way, and makes no more. Tells since when a reply may still come that nobody waits
    /// for.
    func refuse() -> ContinuousClock.Instant? {
        state.withLock { state in
            state.isRefusing = true
            if state.stage == .sending || state.stage == .receiving { state.abandonedAt = .now }
            endIfWished(&state)
            return state.abandonedAt
        }
    }

    /// Ends what is under way. Blocks shortly; afterwards `free` may be called.
    func close() { nng_ctx_close(context) }

    /// Frees the aio, waiting for its callback. After `close`, not on nng's threads.
    func free() {
        // Waiting is outside of the lock, which the callback that is waited for takes.
        let last = state.withLock { _ in aio.map { UInt(bitPattern: $0) } }
        guard let last else { return }
        nng_aio_wait(OpaquePointer(bitPattern: last))
        let caller = state.withLock { state in
            defer { state.caller = nil }
            state.stage = .closed
            return state.caller
        }
        while state.withLock({ $0.callsInside > 0 }) { sched_yield() }
        let sender = state.withLock { _ in
            defer { (aio, self.sender) = (nil, nil) }
            return self.sender.map { UInt(bitPattern: $0) }
        }
        nng_aio_free(OpaquePointer(bitPattern: last))
        nng_aio_free(sender.flatMap { OpaquePointer(bitPattern: $0) })
        caller?.resume(returning: .closed)
    }

    /// The aio's callback.
    fileprivate func completed() {
        finish { state in aio.flatMap { advance(&state, $0) } }
    }

    /// Resumes the caller, unless there is no outcome yet.
    private func finish(_ decide: (inout State) -> ExchangeOutcome?) {
        let done: (CheckedContinuation<ExchangeOutcome, Never>, ExchangeOutcome)? = state.withLock { state in
            guard let caller = state.caller, let outcome = decide(&state) else { return nil }
            state.caller = nil
            if !outcome.isReply { state.abandonedAt = .now }
            state.stage = outcome.isClosed ? .closed : .idle
            return (caller, outcome)
        }
        if let (caller, outcome) = done { caller.resume(returning: outcome) }
    }

    /// The next step of the exchange, or its outcome.
    private func advance(_ state: inout State, _ aio: OpaquePointer) -> ExchangeOutcome? {
        let result = NNGError(nng_aio_result(aio))
        guard state.stage == .sending else {
            guard result.code == 0, let message = nng_aio_get_msg(aio) else { return outcome(of: result, state) }
            nng_aio_set_msg(aio, nil)
            return .reply(ReceivedMessage(owning: message))
        }
        guard result.code == 0 else {
            // What was not sent is ours again.
            if let message = nng_aio_get_msg(aio) { nng_msg_free(message) }
            nng_aio_set_msg(aio, nil)
            return result == .timedOut ? .notSent : outcome(of: result, state)
        }
        if let outcome = awaitReply(&state) { return outcome }
        nng_ctx_recv(context, aio)
        return nil
    }

    private func outcome(of result: NNGError, _ state: State) -> ExchangeOutcome {
        switch result {
        case .closed: .closed
        case .cancelled: .cancelled
        case .connectionReset: .connectionLost
        // nng 1.5 can end an operation with the expiry of the one before it on the same aio. It is then before its time,
        // and the request is lost as with a lost connection.
        case .timedOut: state.deadline - .now > .milliseconds(5) ? .connectionLost : .noReply
        default: .failed(result)
        }
    }

    /// Rounded up, so that an operation does not end before its time; nng takes 0 for "do not wait".
    private static func milliseconds(until deadline: ContinuousClock.Instant) -> nng_duration {
        let (seconds, attoseconds) = (deadline - .now).components
        let milliseconds = seconds * 1_000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
        return nng_duration(clamping: max(1, milliseconds))
    }
}

extension ExchangeOutcome {
    fileprivate var isClosed: Bool { if case .closed = self { true } else { false } }
    fileprivate var isReply: Bool { if case .reply = self { true } else { false } }
}

private func callSlotCompleted(_ argument: UnsafeMutableRawPointer?) {
    guard let argument else { return }
    // Sound: `CallSlot.init` passed the slot, which lives until its aio was freed.
    Unmanaged<CallSlot>.fromOpaque(argument).takeUnretainedValue().completed()
}
