// HTTPPlayback: one camera over HTTP on a SocketLoop. Carries what HTTPCameraMachine decides, and makes packets of the pictures.
// Its consumer hears the same events as of an RTSP session.

import Media
import Synchronization

/// Times of pictures that have none of the camera: those of their arrival. Pictures that come at once, as after a stall, follow
/// each other by a tick: equal times would be taken for a camera's frozen clock, and spread by the length of the stall.
struct ArrivalTimes {
    let timescale: UInt32
    private var firstNs: Int64?
    private var lastTicks: Int64 = -1

    init(timescale: UInt32) { self.timescale = timescale }

    /// The time of the next picture, in ticks since the first; larger than that of the one before.
    mutating func next(arrivalNs: Int64) -> Int64 {
        let firstNs = firstNs ?? arrivalNs
        self.firstNs = firstNs
        lastTicks = max(lastTicks + 1, rescale(arrivalNs - firstNs, from: 1_000_000_000, to: timescale))
        return lastTicks
    }
}

/// A camera whose pictures are fetched.
public final class HTTPPlayback: SourcePlayback {
    private struct State {
        var machine: HTTPCameraMachine
        var times = ArrivalTimes(timescale: 90_000)
        var pictures = VideoAssembler(codec: .mjpeg, timescale: 90_000)
        var connection: ConnectionID?
        /// Counts the connections; what one before says counts no more.
        var connectionNumber = 0
        var told = SourceCounters()
        var nextCountNs: Int64 = 0
    }

    private let loop: SocketLoop
    private let settings: RTSPSessionSettings
    private let user: @Sendable () throws(RTSPFailure) -> RTSPUser?
    private let tell: @Sendable (SourceEvent) -> Void
    private let state: Mutex<State>

    init(
        loop: SocketLoop, url: HTTPURL, pollNs: Int64, settings: RTSPSessionSettings,
        user: @escaping @Sendable () throws(RTSPFailure) -> RTSPUser?,
        tell: @escaping @Sendable (SourceEvent) -> Void
    ) {
        self.loop = loop
        self.settings = settings
        self.user = user
        self.tell = tell
        state = Mutex(
            State(
                machine: HTTPCameraMachine(
                    url: url, pollNs: pollNs, silenceNs: settings.silenceNs, clientNonce: settings.clientNonce)))
    }

    /// Ends the session. Its consumer hears `ended` without a failure.
    public func stop() { loop.at(0) { self.advance($0) { machine, _ in machine.stop() } } }

    /// Pictures come as they are; there is nothing to gather.
    public func setLive(_ isLive: Bool) {}

    /// Still pictures are asked for so often from the next one on.
    public func setPoll(ns: Int64) { state.withLock { $0.machine.setPoll(ns: ns) } }

    func begin() { loop.at(0) { self.advance($0) { machine, nowNs in machine.begin(nowNs: nowNs) } } }

    // MARK: On the loop's thread

    /// Lets the machine decide, and carries it out.
    private func advance(
        _ nowNs: Int64, on connection: Connection? = nil,
        _ body: (inout HTTPCameraMachine, Int64) -> [HTTPCameraMachine.Action]
    ) {
        // Outside of the lock: the consumer may ask for something in return.
        carryOut(state.withLock { body(&$0.machine, nowNs) }, nowNs, connection)
    }

    private func carryOut(_ actions: [HTTPCameraMachine.Action], _ nowNs: Int64, _ connection: Connection?) {
        for action in actions {
            switch action {
            case .connect(let url): connect(url)
            case .send(let bytes): send(bytes, connection)
            case .needsUser: identify(nowNs, connection)
            case .picture(let bytes, let beganNs): deliver(bytes, beganNs)
            case .pollAt(let ns):
                loop.at(ns) { self.advance($0) { machine, nowNs in machine.poll(nowNs: nowNs) } }
            case .over(let failure):
                leave()
                tell(.ended(failure, counters))
            }
        }
    }

    private func send(_ bytes: [UInt8], _ connection: Connection?) {
        if let connection { return connection.send(bytes) }
        guard let id = state.withLock({ $0.connection }) else { return }
        loop.with(id) { connection, _ in connection.send(bytes) }
    }

    private func connect(_ url: HTTPURL) {
        leave()
        let number = state.withLock { state in
            state.connectionNumber += 1
            return state.connectionNumber
        }
        let id = loop.connect(
            host: url.host, port: url.port, tls: url.isSecure ? settings.trust : nil, connectNs: settings.connectNs,
            maximumMessageBytes: HTTPResponseReader.maximumHeadBytes
        ) { HTTPLink(self, number: number) }
        state.withLock { $0.connection = id }
    }

    /// Closes the connection there is; nothing that it says counts any more.
    private func leave() {
        let left = state.withLock { state in
            defer { state.connection = nil }
            state.connectionNumber += 1
            return state.connection
        }
        if let left { loop.with(left) { connection, _ in connection.close() } }
    }

    private func identify(_ nowNs: Int64, _ connection: Connection?) {
        settings.follow?(.asksForUser)
        do throws(RTSPFailure) {
            guard let user = try user() else {
                throw RTSPFailure(.unauthorized, "the camera asks for a user, and none is configured")
            }
            advance(nowNs, on: connection) { machine, nowNs in machine.answer(as: user, nowNs: nowNs) }
        } catch {
            advance(nowNs, on: connection) { machine, _ in machine.failed(error) }
        }
    }

    private func deliver(_ bytes: PacketBytes, _ beganNs: Int64) {
        let packet = state.withLock { state in
            let ticks = state.times.next(arrivalNs: beganNs)
            return state.pictures.take(picture: bytes, ptsTicks: ticks, arrivalNs: beganNs)
        }
        if let packet { tell(.packet(packet)) }
    }

    private var counters: SourceCounters {
        state.withLock { state in
            var counters = SourceCounters()
            counters.unitsTorn = state.machine.torn + state.pictures.counters.broken
            return counters
        }
    }

    // MARK: From a connection

    fileprivate func isCurrent(_ number: Int) -> Bool { state.withLock { $0.connectionNumber == number } }

    fileprivate func connected(_ connection: Connection, _ nowNs: Int64) {
        settings.follow?(.connected(connection.peer?.text ?? ""))
        advance(nowNs, on: connection) { machine, nowNs in machine.connected(nowNs: nowNs) }
    }

    fileprivate func received(_ bytes: UnsafeRawBufferPointer, _ connection: Connection?, _ nowNs: Int64) -> Int {
        let (consumed, actions) = state.withLock { $0.machine.received(bytes, nowNs: nowNs) }
        carryOut(actions, nowNs, connection)
        return consumed
    }

    fileprivate func tick(_ connection: Connection?, _ nowNs: Int64) {
        advance(nowNs, on: connection) { machine, nowNs in machine.tick(nowNs: nowNs) }
        let now = counters
        let grew = state.withLock { state in
            guard nowNs >= state.nextCountNs, now != state.told else { return false }
            (state.told, state.nextCountNs) = (now, nowNs + RTSPSession.reportNs)
            return true
        }
        if grew { tell(.counted(now)) }
    }

    fileprivate func ended(_ end: ConnectionEnd, _ nowNs: Int64) {
        settings.follow?(.disconnected(end))
        state.withLock { $0.connection = nil }
        advance(nowNs) { machine, nowNs in machine.disconnected(end, nowNs: nowNs) }
    }
}

/// One of a session's connections.
private final class HTTPLink: ConnectionOwner {
    private let playback: HTTPPlayback
    private let number: Int
    private var connection: Connection?

    init(_ playback: HTTPPlayback, number: Int) {
        self.playback = playback
        self.number = number
    }

    func connected(_ connection: Connection, nowNs: Int64) {
        self.connection = connection
        if playback.isCurrent(number) { playback.connected(connection, nowNs) }
    }

    func received(_ bytes: UnsafeRawBufferPointer, nowNs: Int64) -> Int {
        playback.isCurrent(number) ? playback.received(bytes, connection, nowNs) : bytes.count
    }

    func tick(nowNs: Int64) { if playback.isCurrent(number) { playback.tick(connection, nowNs) } }

    func ended(_ end: ConnectionEnd, nowNs: Int64) {
        if playback.isCurrent(number) { playback.ended(end, nowNs) }
    }
}
