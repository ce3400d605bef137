// RTSPSession: one camera on a SocketLoop. Joins the connection, the parser, the session's state machine and the track readers;
// decides nothing itself. Lives on the loop's thread.

import Media

/// What a session tells its consumer, on the loop's thread: it must not wait there.
public enum RTSPSessionEvent: Sendable {
    /// Packets come from now on.
    case playing([RTSPTrack])
    case packet(MediaPacket)
    /// The stream is elsewhere; this session ends.
    case redirected(RTSPURL)
    /// The last event; no failure where the session was ended here.
    case ended(RTSPFailure?, RTSPSessionCounters)
}

/// What a session passed over, since its beginning.
public struct RTSPSessionCounters: Sendable, Hashable {
    /// RTP packets that never came.
    public var packetsLost: UInt64 = 0
    /// Pictures and sounds dropped because a part of them did not come.
    public var unitsTorn: UInt64 = 0
    /// Packets on channels that no stream was set up for, of other payload types, or torn ones.
    public var framesSkipped: UInt64 = 0
    /// Bytes between messages that are nothing.
    public var noiseBytes: UInt64 = 0
}

/// One camera.
final class RTSPSession: ConnectionOwner {
    /// Bytes that the kernel gathers while packets come: at 4 Mbit/s a wake-up each 33 ms.
    static let lowWaterBytes = 16 << 10

    private let user: @Sendable () -> RTSPUser?
    private let wants: @Sendable (MediaDescription) -> Bool
    private let tell: @Sendable (RTSPSessionEvent) -> Void
    private let isLive: Bool
    private let parser = RTSPStreamParser()
    private var machine: RTSPClientMachine
    private var connection: Connection?
    private var failure: RTSPFailure?
    /// By the channel of their RTP packets.
    private var readers: [UInt8: RTSPTrackReader] = [:]
    private var newestVideoUs: Int64?
    private var passedOver = RTSPSessionCounters()

    /// - Parameters:
    ///   - isLive: each packet is wanted at once, which costs a wake-up each.
    ///   - user: asked for when the camera asks, so that a changed password works at the next attempt.
    ///   - wants: whether a stream is set up; those that cannot be read are not asked about.
    init(
        url: RTSPURL, isLive: Bool, clientNonce: @escaping @Sendable () -> String,
        user: @escaping @Sendable () -> RTSPUser?, wants: @escaping @Sendable (MediaDescription) -> Bool,
        tell: @escaping @Sendable (RTSPSessionEvent) -> Void
    ) {
        machine = RTSPClientMachine(url: url, clientNonce: clientNonce)
        self.isLive = isLive
        self.user = user
        self.wants = wants
        self.tell = tell
    }

    /// Ends the session as a camera likes it.
    func stop(nowNs: Int64) { carryOut(machine.stop(nowNs: nowNs), nowNs) }

    // MARK: The connection

    func connected(_ connection: Connection, nowNs: Int64) {
        self.connection = connection
        carryOut(machine.connected(nowNs: nowNs), nowNs)
    }

    func tick(nowNs: Int64) {
        guard connection != nil else { return }
        carryOut(machine.tick(nowNs: nowNs), nowNs)
    }

    func received(_ bytes: UnsafeRawBufferPointer, nowNs: Int64) -> Int {
        var consumed = 0
        while consumed < bytes.count {
            let left = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
            switch parser.next(in: left) {
            case .needsMore: return consumed
            case .frame(let channel, let payload, let count):
                take(UnsafeRawBufferPointer(rebasing: left[payload]), channel: channel, nowNs)
                consumed += count
            case .response(let response, let count):
                carryOut(machine.received(response, nowNs: nowNs), nowNs)
                consumed += count
            case .request(let request, let count):
                carryOut(machine.received(request, nowNs: nowNs), nowNs)
                consumed += count
            case .skip(let count, let isNoise):
                if isNoise { passedOver.noiseBytes += UInt64(count) }
                consumed += count
            case .failed(let error):
                failure = failure ?? RTSPFailure(.protocolError, error.description)
                connection?.close()
                return bytes.count
            }
        }
        return consumed
    }

    func ended(_ end: ConnectionEnd, nowNs: Int64) { tell(.ended(failure ?? Self.failure(end), counters)) }

    private static func failure(_ end: ConnectionEnd) -> RTSPFailure? {
        switch end {
        case .closed: nil
        case .closedByPeer: RTSPFailure(.silent, "the camera closed the connection")
        case .unknownHost(let words): RTSPFailure(.unreachable, "the camera's name is not known: \(words)")
        case .distrusted(let words): RTSPFailure(.protocolError, words)
        case .refused: RTSPFailure(.refused, "the camera's host refuses the connection")
        case .unreachable(let words): RTSPFailure(.unreachable, "the camera does not answer: \(words)")
        case .broken(let words): RTSPFailure(.silent, "the connection broke: \(words)")
        case .overflow(let bytes): RTSPFailure(.protocolError, "the camera sent \(bytes) bytes that are no message")
        case .notRead: RTSPFailure(.silent, "the camera reads nothing of what is sent to it")
        }
    }

    // MARK: The session

    private func carryOut(_ actions: [RTSPClientMachine.Action], _ nowNs: Int64) {
        for action in actions {
            switch action {
            case .send(let bytes): connection?.send(bytes)
            case .needsUser:
                guard let user = user() else {
                    failure = RTSPFailure(.unauthorized, "the camera asks for a user, and none is configured")
                    carryOut(machine.stop(nowNs: nowNs), nowNs)
                    continue
                }
                carryOut(machine.answer(as: user, nowNs: nowNs), nowNs)
            case .described(let description):
                let media = description.media.indices.filter {
                    RTSPTrackReader(description.media[$0], isInOrder: true) != nil && wants(description.media[$0])
                }
                carryOut(machine.setUp(media: media, nowNs: nowNs), nowNs)
            case .playing(let tracks):
                begin(tracks)
                tell(.playing(tracks))
                if !isLive { connection?.setLowWater(bytes: Self.lowWaterBytes) }
            case .redirected(let url): tell(.redirected(url))
            case .failed(let why): failure = failure ?? why
            case .close: connection?.close()
            }
        }
    }

    private func begin(_ tracks: [RTSPTrack]) {
        for track in tracks { readers[track.rtpChannel] = RTSPTrackReader(track.media, isInOrder: true) }
    }

    private func take(_ bytes: UnsafeRawBufferPointer, channel: UInt8, _ nowNs: Int64) {
        var packets: [MediaPacket] = []
        let isKnown = readers[channel]?.take(bytes, arrivalNs: nowNs, newestVideoUs: newestVideoUs) {
            packets.append($0)
        }
        if isKnown != true { passedOver.framesSkipped += 1 }
        for packet in packets {
            if packet.kind == .video { newestVideoUs = packet.ptsUs }
            tell(.packet(packet))
        }
    }

    /// What was passed over so far.
    private var counters: RTSPSessionCounters {
        var counters = passedOver
        for reader in readers.values {
            counters.packetsLost += reader.packetsLost
            counters.unitsTorn += reader.unitsTorn
        }
        return counters
    }
}
