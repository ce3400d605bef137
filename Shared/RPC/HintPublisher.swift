// HintPublisher: tells whoever listens that something changed. Hints may be lost; their numbers let subscribers notice.

import CNNG
import Foundation
import Synchronization
import Wire

/// Publishes hints on its sockets. Publishing never waits for a subscriber: to one that is slow or away the hint is lost.
public final class HintPublisher: Sendable {
    /// Hints that wait for one slow subscriber; more are lost for it. 1024: a burst of a second.
    private static let queuedHints: Int32 = 1_024

    /// Where it listens, with the ports that were taken.
    public let listeningAddresses: [RPCAddress]
    /// Differs for each publisher: microseconds since 1970 when it was made.
    public let epoch: UInt64

    private let socket: NNGSocket
    /// The last sequence number. Held while a hint is handed to nng, so that hints leave in the order of their numbers.
    private let sequence = Mutex<UInt64>(0)

    /// Listens.
    ///
    /// - Parameters:
    ///   - tls: needed for tls+tcp:// addresses.
    ///   - socketMode: of ipc socket files; 0660: the service's user and group.
    /// - Throws: what is wrong with an address or a certificate.
    public init(addresses: [RPCAddress], tls: RPCTLS? = nil, socketMode: Int = 0o660) throws(RPCError) {
        let material: TLSMaterial?
        if let tls { material = try TLSMaterial(reading: tls) } else { material = nil }
        let socket: NNGSocket
        do throws(NNGError) {
            socket = try NNGSocket(nng_pub0_open, watch: ConnectionWatch())
        } catch {
            throw .internal("nng cannot open a socket: \(error)")
        }
        self.socket = socket
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        epoch = UInt64(clamping: now.tv_sec) * 1_000_000 + UInt64(clamping: now.tv_nsec / 1_000)
        do {
            try socket.set(NNG_OPT_SENDBUF, count: Self.queuedHints)
            listeningAddresses = try addresses.map { try socket.listen($0, tls: material, socketMode: socketMode) }
        } catch {
            socket.close()
            throw error as? RPCError ?? .internal("nng refuses an option: \(error)")
        }
    }

    deinit {
        let socket = socket
        // nng waits for its threads when it closes.
        Thread.detachNewThread { socket.close() }
    }

    /// Says that something changed.
    ///
    /// - Parameters:
    ///   - topic: "requests/", "media/": what subscribers choose by.
    ///   - name: what changed, "cam1/clips" or a request id.
    ///   - cursor: the newest of the service's Changes method.
    public func publish(topic: String, name: String = "", cursor: UInt64 = 0) {
        sequence.withLock { sequence in
            sequence &+= 1
            let hint = Hint(topic: topic, epoch: epoch, sequence: sequence, cursor: cursor, name: name)
            // Without memory the hint is lost as any hint may be; its number tells.
            let made = HintFrame.withRoom(for: hint) { size, fill in try? makeMessage(ofBytes: size, fill) }
            guard let message = made else { return }
            if nng_sendmsg(socket.id, message, Int32(NNG_FLAG_NONBLOCK)) != 0 { nng_msg_free(message) }
        }
    }

    /// How many subscribers are connected.
    public var subscribers: Int { socket.connections }
}
