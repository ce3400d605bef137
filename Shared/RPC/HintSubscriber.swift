// HintSubscriber: receives hints and says when some were lost. Numbers count over all topics, so that it takes in every
// hint of its publishers and passes on those of the wanted topics; HintSequence follows the numbers.
//
// Ownership: the aio belongs to HintReceiver; its callback argument is the receiver, which the subscriber (or the thread
// that closes it) keeps until `close` has returned.

import CNNG
import Foundation
import Synchronization
import Wire

/// What a subscriber learns.
public enum HintEvent: Sendable, Equatable {
    /// Something changed.
    case hint(Hint)
    /// Connected, connected again, another publisher, a jump in the numbers, or hints dropped because nobody took them:
    /// something may have changed that no hint will tell. Ask Changes.
    case lost
}

/// Listens to the hints of one role.
public final class HintSubscriber: Sendable {
    /// The events, for one reader. Ends when the subscriber is closed.
    public let hints: AsyncStream<HintEvent>
    /// Why this subscriber cannot work at all; nothing but the end comes from `hints` then. Check it at start-up.
    public let setupError: RPCError?

    private let receiver: HintReceiver

    /// Begins to connect, in the background.
    ///
    /// - Parameters:
    ///   - addresses: of all publishers of the role.
    ///   - topics: beginnings of the wanted topics; empty for all.
    ///   - tls: needed for tls+tcp:// addresses.
    ///   - bufferedEvents: kept for a slow reader; then it gets `.lost` in place of the rest.
    public init(addresses: [RPCAddress], topics: [String], tls: RPCTLS? = nil, bufferedEvents: Int = 1_024) {
        let (stream, continuation) = AsyncStream.makeStream(
            of: HintEvent.self, bufferingPolicy: .bufferingOldest(max(4, bufferedEvents)))
        hints = stream
        receiver = HintReceiver(topics: topics, continuation)
        do {
            try receiver.open(addresses, tls)
            setupError = nil
        } catch {
            setupError = error
            receiver.closeInBackground()
        }
    }

    deinit { receiver.closeInBackground() }

    /// Whether at least one publisher is connected.
    public var isConnected: Bool { receiver.connections > 0 }

    /// Ends the stream and the connections. Returns at once.
    public func close() { receiver.closeInBackground() }
}

/// Receives on nng's threads and yields to the stream, which never blocks.
final class HintReceiver: @unchecked Sendable {
    // Sound: `aio` and `socket` are used under `state`'s lock only.

    private struct State {
        /// By connection: each has one publisher.
        var sequences: [UInt32: HintSequence] = [:]
        var isClosed = false
        var hintsReceived: UInt64 = 0
    }

    /// Hints that nng keeps while we take them in; at full speed that is a hundredth of a second.
    private static let queuedHints: Int32 = 8_192
    /// A hint is a topic, a name and numbers.
    private static let longestHintBytes = 65_536
    /// Connections that end leave nothing behind but what their last queued hints make; this bounds that.
    private static let followedConnections = 256

    private let topics: [String]
    private let continuation: AsyncStream<HintEvent>.Continuation
    private let state = Mutex(State())
    private var socket: NNGSocket?
    private var aio: OpaquePointer?

    init(topics: [String], _ continuation: AsyncStream<HintEvent>.Continuation) {
        self.topics = topics
        self.continuation = continuation
    }

    var connections: Int { state.withLock { _ in socket?.connections ?? 0 } }

    func open(_ addresses: [RPCAddress], _ tls: RPCTLS?) throws(RPCError) {
        guard !addresses.isEmpty else { throw .invalidArgument("hints", "no address is set for hints") }
        let material: TLSMaterial?
        if let tls { material = try TLSMaterial(reading: tls) } else { material = nil }
        let watch = ConnectionWatch { [weak self] pipe, isAdded in self?.connectionChanged(pipe, isAdded) }
        let opened: NNGSocket
        do throws(NNGError) {
            opened = try NNGSocket(nng_sub0_open, watch: watch)
            state.withLock { _ in socket = opened }
            try opened.set(NNG_OPT_RECVBUF, count: Self.queuedHints)
            try opened.set(NNG_OPT_RECVMAXSZ, bytes: Self.longestHintBytes)
            try opened.set(NNG_OPT_RECONNMINT, milliseconds: 50)
            try opened.set(NNG_OPT_RECONNMAXT, milliseconds: 1_000)
            // The oldest are kept, so that what arrives has one gap, at its end.
            try nngCheck(nng_socket_set_bool(opened.id, NNG_OPT_SUB_PREFNEW, false))
            try nngCheck(nng_socket_set(opened.id, NNG_OPT_SUB_SUBSCRIBE, "", 0))
            var made: OpaquePointer?
            try nngCheck(nng_aio_alloc(&made, hintReceived, Unmanaged.passUnretained(self).toOpaque()))
            let address = UInt(bitPattern: made)
            state.withLock { _ in
                aio = OpaquePointer(bitPattern: address)
                nng_recv_aio(opened.id, aio)
            }
        } catch {
            throw .internal("nng cannot open a socket for hints: \(error)")
        }
        for address in addresses { try opened.dial(address, tls: material) }
    }

    func closeInBackground() {
        let open: NNGSocket?? = state.withLock { state in
            guard !state.isClosed else { return nil }
            state.isClosed = true
            return .some(socket)
        }
        guard let open else { return }
        continuation.finish()
        // nng waits for its threads when it closes. The thread keeps the receiver until then.
        guard let open else { return }
        Thread.detachNewThread {
            self.waitForQuiet()
            self.close(open)
        }
    }

    /// nng 1.5 must not close a connection that reads a message (Shared/CNNGRepair says why).
    private func waitForQuiet() {
        for _ in 0..<20 {
            let before = state.withLock { $0.hintsReceived }
            Thread.sleep(forTimeInterval: 0.05)
            if state.withLock({ $0.hintsReceived }) == before { return }
        }
    }

    private func close(_ open: NNGSocket) {
        open.close()
        let last = state.withLock { _ in
            defer { aio = nil }
            return aio.map { UInt(bitPattern: $0) }
        }
        // Outside of the lock, which the callback that is waited for takes.
        if let last { nng_aio_free(OpaquePointer(bitPattern: last)) }
    }

    private func connectionChanged(_ pipe: UInt32, _ isAdded: Bool) {
        state.withLock { state in
            if isAdded { yield(.lost) } else { state.sequences[pipe] = nil }
        }
    }

    /// The aio's callback.
    fileprivate func received() {
        state.withLock { state in
            guard let aio, let socket else { return }
            let result = NNGError(nng_aio_result(aio))
            if result.code == 0, let message = nng_aio_get_msg(aio) {
                nng_aio_set_msg(aio, nil)
                let owned = ReceivedMessage(owning: message)
                state.hintsReceived &+= 1
                if !state.isClosed { take(owned, &state) }
            }
            if result != .closed { nng_recv_aio(socket.id, aio) }
        }
    }

    private func take(_ message: ReceivedMessage, _ state: inout State) {
        guard let hint = message.withBytes({ HintFrame.decode($0) }) else { return }
        let pipe = message.pipe
        if state.sequences.count >= Self.followedConnections, state.sequences[pipe] == nil {
            state.sequences = [:]
            yield(.lost)
        }
        switch state.sequences[pipe, default: HintSequence()].observe(
            epoch: hint.epoch ?? 0, sequence: hint.sequence ?? 0)
        {
        case .old: return
        case .lostBefore: yield(.lost)
        case .inOrder: break
        }
        let topic = hint.topic ?? ""
        if topics.isEmpty || topics.contains(where: topic.hasPrefix) { yield(.hint(hint)) }
    }

    /// Under the lock, so that events keep their order. The last place of the stream's buffer is always taken by `.lost`:
    /// whoever reads on after hints were dropped comes to it.
    private func yield(_ event: HintEvent) {
        if case .enqueued(let remaining) = continuation.yield(event), remaining == 1 {
            continuation.yield(.lost)
        }
    }
}

private func hintReceived(_ argument: UnsafeMutableRawPointer?) {
    guard let argument else { return }
    // Sound: `HintReceiver.open` passed the receiver, which lives until its aio was freed.
    Unmanaged<HintReceiver>.fromOpaque(argument).takeUnretainedValue().received()
}
