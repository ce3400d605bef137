// Listening: the open socket of a server, and the contexts on it.

import CNNG

/// The open socket and everything on it.
struct Listening: Sendable {
    /// Contexts beyond the handlers' number: they take what is over the bound and refuse it at once. 16: a burst of more
    /// waits in its connections until these have answered, microseconds later.
    private static let spareContexts = 16
    /// Transports cut a connection whose message is larger than the bound by more than this. Up to there the sender gets
    /// an answer that says what is wrong.
    private static let oversizeAnsweredBytes = 1 << 20

    let slots: [ReplySlot]
    /// Where it listens, with the ports that were taken.
    let addresses: [RPCAddress]
    private let socket: NNGSocket

    /// Opens all of it, or nothing. May block on resolving a host's name.
    ///
    /// - Parameter received: takes over a request; runs on nng's thread and must not block.
    init(
        on addresses: [RPCAddress], limits: RPCServerLimits, tls: RPCTLS?, largestRequestBytes: Int,
        watch: ConnectionWatch, received: @escaping @Sendable (ReceivedMessage, ReplySlot, Ticket) -> Void
    ) throws(RPCError) {
        let material: TLSMaterial?
        if let tls { material = try TLSMaterial(reading: tls) } else { material = nil }
        let socket: NNGSocket
        do throws(NNGError) {
            socket = try NNGSocket(nng_rep0_open, watch: watch)
        } catch {
            throw .internal("nng cannot open a socket: \(error)")
        }
        var slots: [ReplySlot] = []
        do {
            try socket.set(NNG_OPT_RECVMAXSZ, bytes: largestRequestBytes + Self.oversizeAnsweredBytes)
            for _ in 0..<(limits.maximumConcurrentRequests + Self.spareContexts) {
                slots.append(try ReplySlot(on: socket, received: received))
            }
            self.addresses = try addresses.map { try socket.listen($0, tls: material, socketMode: limits.socketMode) }
        } catch {
            Self.close(socket, slots)
            throw error as? RPCError ?? .internal("nng refuses an option or a context: \(error)")
        }
        self.slots = slots
        self.socket = socket
    }

    /// Blocks until nng is done with all of it.
    func close() { Self.close(socket, slots) }

    private static func close(_ socket: NNGSocket, _ slots: [ReplySlot]) {
        slots.forEach { $0.close() }
        socket.close()
        slots.forEach { $0.free() }
    }
}
