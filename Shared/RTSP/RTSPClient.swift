// RTSPClient: the front door of this library. One thread carries the sessions of many cameras, over RTSP or over HTTP (HTTP/), or
// of many media servers (RTSPPublisher.swift); each lasts until it ends or is stopped, and tells its consumer on that thread.

import Glibc
import Media
import Synchronization

/// How one session is held.
public struct RTSPSessionSettings: Sendable {
    /// Each packet is wanted at once, which costs a wake-up each: a live view is made of it.
    public var isLive = false
    /// Packets come as UDP datagrams rather than inside the connection: less delay on a line that loses none. Where none get
    /// through, or the camera refuses, the connection is used after all; never over TLS.
    public var prefersDatagrams = false
    /// Sound is recorded too, where the camera sends any that can be.
    public var wantsAudio = true
    /// How long the way to PLAY's answer may take up to TLS; each answer after that has 10 s of its own. Cameras that wake up
    /// their network take up to 3 s.
    public var connectNs: Int64 = 10_000_000_000
    /// Longest time without a picture. Cameras with one picture per second and long shutter times stay well below.
    public var silenceNs: Int64 = 5_000_000_000
    /// For rtsps.
    public var trust = TLSTrust()
    /// Hears how far the session is, on the loop's thread; nil: nobody asks.
    public var follow: (@Sendable (SessionStep) -> Void)?
    /// Gives new random letters with each call.
    var clientNonce: @Sendable () -> String = { RTSPClient.randomName() }
    /// Ours in what the camera is told about its packets.
    var ssrc = UInt32.random(in: .min ... .max)

    /// The defaults.
    public init() {}
}

/// Carries sessions with cameras.
public final class RTSPClient: Sendable {
    /// A camera that leads on more often than this leads in a circle.
    static let maximumRedirects = 5

    /// What reports call us: it says nothing about the host (RFC 7022 allows any name).
    static let canonicalName = "sightglass"

    let loop: SocketLoop

    /// Starts the thread.
    ///
    /// - Parameters:
    ///   - name: the thread's, for whoever looks at the process.
    ///   - forbidden: networks that no address leads to, however it is named.
    /// - Throws: what the kernel says where it has no descriptor or no memory for it.
    public init(name: String, forbidden: [NetworkRange] = []) throws {
        loop = try SocketLoop(name: name, forbidden: forbidden)
    }

    /// Ends all sessions and the thread; each consumer is told.
    public func stop() { loop.stop() }

    /// Opens a camera's stream.
    ///
    /// - Parameters:
    ///   - user: asked for when the camera asks, at each attempt, on the loop's thread. What it throws ends the session.
    ///   - tell: is called on the loop's thread, the last time with `ended`; redirects are followed without telling.
    public func play(
        _ url: RTSPURL, settings: RTSPSessionSettings = RTSPSessionSettings(),
        user: @escaping @Sendable () throws(RTSPFailure) -> RTSPUser?,
        tell: @escaping @Sendable (SourceEvent) -> Void
    ) -> RTSPPlayback {
        let playback = RTSPPlayback(loop: loop, settings: settings, user: user, tell: tell)
        playback.begin(url)
        return playback
    }

    /// Fetches a camera's pictures over HTTP: still ones again and again, or a stream of them, as the camera answers.
    ///
    /// - Parameters:
    ///   - pollNs: time between two requests of a still picture, at least a sixtieth of a second and less than
    ///     `settings.silenceNs`.
    ///   - user: asked for when the camera asks, on the loop's thread. What it throws ends the session.
    ///   - tell: is called on the loop's thread, the last time with `ended`.
    public func fetch(
        _ url: HTTPURL, pollNs: Int64, settings: RTSPSessionSettings = RTSPSessionSettings(),
        user: @escaping @Sendable () throws(RTSPFailure) -> RTSPUser?,
        tell: @escaping @Sendable (SourceEvent) -> Void
    ) -> HTTPPlayback {
        let playback = HTTPPlayback(
            loop: loop, url: url, pollNs: pollNs, settings: settings, user: user, tell: tell)
        playback.begin()
        return playback
    }

    static func randomName() -> String { String(UInt64.random(in: .min ... .max), radix: 16) }
}

/// A camera that is played.
public final class RTSPPlayback: SourcePlayback {
    private struct State {
        var settings: RTSPSessionSettings
        var connection: ConnectionID?
        var url: RTSPURL?
        /// Where to go when this session ended.
        var target: RTSPURL?
        var redirects = 0
        var isStopped = false
    }

    private let loop: SocketLoop
    private let user: @Sendable () throws(RTSPFailure) -> RTSPUser?
    private let tell: @Sendable (SourceEvent) -> Void
    private let state: Mutex<State>

    init(
        loop: SocketLoop, settings: RTSPSessionSettings,
        user: @escaping @Sendable () throws(RTSPFailure) -> RTSPUser?,
        tell: @escaping @Sendable (SourceEvent) -> Void
    ) {
        self.loop = loop
        self.user = user
        self.tell = tell
        state = Mutex(State(settings: settings))
    }

    /// Ends the session as a camera likes it (TEARDOWN). Its consumer hears `ended` without a failure, and packets until then.
    public func stop() {
        let connection = state.withLock { state in
            state.isStopped = true
            return state.connection
        }
        guard let connection else { return }
        loop.with(connection) { connection, owner in
            (owner as? RTSPSession)?.stop()
            // Also one that does not stand yet.
            connection.close()
        }
    }

    /// Each packet is wanted at once from now on, or not any more.
    public func setLive(_ isLive: Bool) {
        let connection = state.withLock { state -> ConnectionID? in
            guard state.settings.isLive != isLive else { return nil }
            state.settings.isLive = isLive
            return state.connection
        }
        guard let connection else { return }
        loop.with(connection) { _, owner in (owner as? RTSPSession)?.setLive(isLive) }
    }

    /// False where the playback was stopped between two sessions; then there is nothing to end.
    @discardableResult func begin(_ url: RTSPURL) -> Bool {
        state.withLock { state in
            guard !state.isStopped else { return false }
            state.url = url
            let settings = state.settings
            let user = user
            // The loop holds the session, and the session this.
            state.connection = loop.connect(
                host: url.host, port: url.port, tls: url.isSecure ? settings.trust : nil,
                connectNs: settings.connectNs, maximumMessageBytes: RTSPStreamParser.maximumMessageBytes
            ) { RTSPSession(url: url, settings: settings, user: user) { self.take($0) } }
            return true
        }
    }

    private func take(_ event: SourceEvent) {
        switch event {
        case .redirected(let url): state.withLock { $0.target = url }
        case .blocked:
            state.withLock { state in
                state.settings.prefersDatagrams = false
                state.target = state.url
            }
        case .ended(nil, let counters):
            let next: Result<RTSPURL, RTSPFailure>? = state.withLock { state in
                guard !state.isStopped, let target = state.target else { return nil }
                state.target = nil
                state.redirects += 1
                guard state.redirects <= RTSPClient.maximumRedirects else {
                    return .failure(RTSPFailure(.protocolError, "the camera leads from address to address in a circle"))
                }
                return .success(target)
            }
            switch next {
            case .success(let url): if !begin(url) { tell(.ended(nil, counters)) }
            case .failure(let failure): tell(.ended(failure, counters))
            case nil: tell(.ended(nil, counters))
            }
        default: tell(event)
        }
    }
}
