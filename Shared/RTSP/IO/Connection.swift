// What SocketLoop and the owner of a connection say to each other. Everything here happens on the loop's thread.

import Glibc

/// The owner of one connection: decides what is sent and what is made of what comes. Called on the loop's thread only, and must
/// not wait for anything there: all cameras of the loop would wait with it.
protocol ConnectionOwner: AnyObject {
    /// The connection stands; `connection` may be written to.
    func connected(_ connection: Connection, nowNs: Int64)
    /// Bytes came. Gives how many of them are done with; the rest is shown again with what comes next. `bytes` is only good
    /// during the call.
    func received(_ bytes: UnsafeRawBufferPointer, nowNs: Int64) -> Int
    /// A datagram came to a port of `openDatagrams`, from the connection's host. `bytes` is only good during the call.
    func received(datagram bytes: UnsafeRawBufferPointer, channel: UInt8, nowNs: Int64)
    /// All that had come below the low-water mark was shown; more is shown within 100 ms.
    func drained(nowNs: Int64)
    /// About every 50 ms, from before the connection stands until it ended.
    func tick(nowNs: Int64)
    /// The connection is no more, or never was. The last call.
    func ended(_ end: ConnectionEnd, nowNs: Int64)
}

extension ConnectionOwner {
    func received(datagram bytes: UnsafeRawBufferPointer, channel: UInt8, nowNs: Int64) {}
    func drained(nowNs: Int64) {}
}

/// Why a connection is no more.
public enum ConnectionEnd: Sendable, Equatable {
    /// Its owner closed it.
    case closed
    /// The other side closed it.
    case closedByPeer
    /// The name in the address is not known, in the resolver's words.
    case unknownHost(String)
    /// All its addresses lie in networks that the site forbids.
    case forbidden
    /// The other side is not who it must be, or does not speak TLS; why, for a person.
    case distrusted(String)
    /// The host is there and refuses the port.
    case refused
    /// Nothing answers at the address; why, in the kernel's words.
    case unreachable(String)
    /// It stood, and broke; why, in the kernel's words.
    case broken(String)
    /// More bytes than a message may have, and the owner made nothing of them.
    case overflow(bytes: Int)
    /// The other side does not read: so many bytes wait to be sent.
    case notRead(bytes: Int)
}

/// A connection as its owner sees it.
final class Connection {
    /// Enough for every request of the protocol; a live push has more to send and may have more.
    static let defaultMaximumUnsentBytes = 256 << 10

    enum State {
        case resolving
        /// Tries one address after the other.
        case connecting(StreamSocket, left: ArraySlice<HostAddress>, untilNs: Int64)
        /// The TLS handshake is under way.
        case securing(StreamSocket)
        case standing(StreamSocket)
        case over
    }

    let id: ConnectionID
    /// Nil for a connection in plain text.
    let tls: TLSSession?
    var state = State.resolving
    var buffer: ReceiveBuffer
    var unsent: ArraySlice<UInt8> = []
    /// The kernel tells when it takes more of them.
    var isWatchedForWriting = false
    /// Set by the owner's calls; carried out when its owner returns.
    var wishesEnd: ConnectionEnd?
    var connectUntilNs: Int64
    /// Bytes below which the kernel need not wake the loop.
    private(set) var lowWaterBytes = 1
    /// The loop may let so much time pass between two of its rounds; 0: it must not. See `SocketLoop`.
    var paceNs: Int64 = 0
    /// The address that answered, or is being tried.
    var peer: HostAddress?
    /// Ports that datagrams come to.
    private(set) var datagrams: [DatagramSocket] = []
    /// How many of them the loop watches.
    var datagramsWatched = 0
    /// Bytes received so far.
    var bytesReceived: UInt64 = 0
    /// Bytes that went on the wire or wait for it, so far.
    private(set) var bytesQueued: UInt64 = 0
    /// How many bytes may wait for the other side to read.
    var maximumUnsentBytes = Connection.defaultMaximumUnsentBytes

    init(id: ConnectionID, maximumMessageBytes: Int, connectUntilNs: Int64, tls: TLSSession?) {
        self.id = id
        self.tls = tls
        self.connectUntilNs = connectUntilNs
        buffer = ReceiveBuffer(maximumBytes: maximumMessageBytes)
    }

    /// Sends bytes, in order, as fast as the other side reads.
    func send(_ bytes: [UInt8]) {
        guard case .standing = state, wishesEnd == nil else { return }
        guard let tls else { return queue(bytes) }
        do throws(TLSFailure) {
            try tls.send(bytes)
            queue(tls.takeOutgoing())
        } catch {
            wishesEnd = .broken(error.description)
        }
    }

    /// Puts bytes behind those that wait to go on the wire.
    func queue(_ bytes: [UInt8]) {
        bytesQueued += UInt64(bytes.count)
        if unsent.isEmpty { unsent = bytes[...] } else { unsent.append(contentsOf: bytes) }
        if unsent.count > maximumUnsentBytes { wishesEnd = .notRead(bytes: unsent.count) }
    }

    /// Ends the connection, when the kernel was given as much as it takes of what was sent so far.
    func close() {
        guard wishesEnd == nil else { return }
        if case .standing = state, let tls {
            tls.end()
            queue(tls.takeOutgoing())
        }
        wishesEnd = wishesEnd ?? .closed
    }

    /// Opens two ports for datagrams of the connection's host: `channel` for RTP, the next one for RTCP. Gives their numbers.
    func openDatagrams(channel: UInt8) throws(SocketError) -> (UInt16, UInt16) {
        let pair = try DatagramSocket.pair(family: peer?.family ?? AF_INET, channel: channel)
        datagrams += [pair.0, pair.1]
        return (pair.0.port, pair.1.port)
    }

    /// Sends a datagram from one of them to a port of the connection's host.
    func sendDatagram(_ bytes: [UInt8], channel: UInt8, to port: UInt16) {
        guard var address = peer, let socket = datagrams.first(where: { $0.channel == channel }) else { return }
        address.port = port
        socket.send(bytes, to: address)
    }

    /// The socket of a connection whose bytes can flow.
    var socket: StreamSocket? {
        switch state {
        case .securing(let socket), .standing(let socket): socket
        case .resolving, .connecting, .over: nil
        }
    }

    /// Whether bytes can still come.
    var isOpen: Bool { socket != nil }

    /// Lets the kernel gather so many bytes before it wakes the loop, which reads what stays below within 100 ms. 1: wake for
    /// every arrival, as a conversation or a live push needs it.
    func setLowWater(bytes: Int) {
        guard case .standing(let socket) = state, bytes != lowWaterBytes else { return }
        lowWaterBytes = bytes
        socket.setLowWater(bytes: bytes)
    }
}

/// Names a connection to other threads, after its end too.
struct ConnectionID: Sendable, Hashable {
    let number: UInt64
}
