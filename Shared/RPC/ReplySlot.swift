// ReplySlot: one REP context of a server with its aio. It receives a request, hands it over with a ticket, sends the reply
// that comes with the same ticket, and receives again. A reply with another ticket is too late and dropped.
//
// Ownership: the aio belongs to the slot; its callback argument is the slot, which RPCServer keeps until `free`. Whoever
// sets the stage to receiving or sending, under the slot's lock, has the aio to itself until the callback; nng runs
// callbacks on its own threads.

import CNNG
import Glibc
import Synchronization

/// Names one request of one slot.
typealias Ticket = UInt64

/// Receives requests and sends their replies, one at a time.
final class ReplySlot: @unchecked Sendable {
    // Sound: `aio` is written in `init`, before anybody else sees the slot, and in `free`, and read under `state`'s lock.

    private enum Stage {
        case idle, receiving, working, sending, closed
    }

    private struct State {
        var stage = Stage.idle
        var ticket: Ticket = 0
        /// Calls into nng that have not returned; the aio is not freed meanwhile.
        var callsInside = 0
    }

    /// A peer that does not read its replies holds a context for this long; then the reply is dropped.
    private static let sendPatienceMs: nng_duration = 5_000

    private let context: nng_ctx
    private var aio: OpaquePointer?
    private let state = Mutex(State())
    /// Takes over a request; runs on nng's thread and must not block.
    private let received: @Sendable (ReceivedMessage, ReplySlot, Ticket) -> Void

    init(
        on socket: NNGSocket, received: @escaping @Sendable (ReceivedMessage, ReplySlot, Ticket) -> Void
    ) throws(NNGError) {
        self.received = received
        context = try socket.openContext()
        try nngCheck(nng_aio_alloc(&aio, replySlotCompleted, Unmanaged.passUnretained(self).toOpaque()))
    }

    /// Begins to receive.
    func start() {
        state.withLock { state in
            guard case .idle = state.stage else { return }
            receive(&state)
        }
    }

    /// Sends the reply of the request with this ticket, and owns it from here on; nil where there was no memory for one. False
    /// if the request was answered already or the slot is closed.
    @discardableResult
    func send(_ reply: OutgoingMessage?, for ticket: Ticket) -> Bool {
        let begun: UInt? = state.withLock { state in
            guard case .working = state.stage, state.ticket == ticket, let aio else { return nil }
            guard let reply else {
                // The caller times out; the context goes on.
                receive(&state)
                return nil
            }
            state.stage = .sending
            state.callsInside += 1
            nng_aio_set_msg(aio, reply.pointer)
            nng_aio_set_timeout(aio, Self.sendPatienceMs)
            return UInt(bitPattern: aio)
        }
        guard let begun else {
            reply?.free()
            return false
        }
        // Outside of the lock, because it writes to the connection.
        nng_ctx_send(context, OpaquePointer(bitPattern: begun))
        state.withLock { $0.callsInside -= 1 }
        return true
    }

    /// Ends what is under way. Blocks shortly; afterwards `free` may be called.
    func close() { nng_ctx_close(context) }

    /// Frees the aio, waiting for its callback. After `close`, not on nng's threads.
    func free() {
        // Waiting is outside of the lock, which the callback that is waited for takes.
        let last = state.withLock { _ in aio.map { UInt(bitPattern: $0) } }
        guard let last else { return }
        nng_aio_wait(OpaquePointer(bitPattern: last))
        state.withLock { state in
            state.stage = .closed
            aio = nil
        }
        while state.withLock({ $0.callsInside > 0 }) { sched_yield() }
        nng_aio_free(OpaquePointer(bitPattern: last))
    }

    private func receive(_ state: inout State) {
        state.stage = .receiving
        nng_aio_set_timeout(aio, NNG_DURATION_INFINITE)
        nng_ctx_recv(context, aio)
    }

    /// The aio's callback.
    fileprivate func completed() {
        let arrived: (ReceivedMessage, Ticket)? = state.withLock { state in
            guard let aio else { return nil }
            let result = NNGError(nng_aio_result(aio))
            switch state.stage {
            case .receiving where result.code == 0:
                guard let message = nng_aio_get_msg(aio) else { break }
                nng_aio_set_msg(aio, nil)
                state.ticket &+= 1
                state.stage = .working
                return (ReceivedMessage(owning: message), state.ticket)
            case .sending where result.code != 0:
                // What was not sent is ours again.
                if let message = nng_aio_get_msg(aio) { nng_msg_free(message) }
                nng_aio_set_msg(aio, nil)
            default: break
            }
            if result == .closed {
                state.stage = .closed
            } else if state.stage == .receiving || state.stage == .sending {
                receive(&state)
            }
            return nil
        }
        if let (message, ticket) = arrived { received(message, self, ticket) }
    }
}

private func replySlotCompleted(_ argument: UnsafeMutableRawPointer?) {
    guard let argument else { return }
    // Sound: `ReplySlot.init` passed the slot, which lives until its aio was freed.
    Unmanaged<ReplySlot>.fromOpaque(argument).takeUnretainedValue().completed()
}
