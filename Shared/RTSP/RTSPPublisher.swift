// RTSPPublisher: a live stream at a media server, as its consumer sees it; RTSPPublication does it on the client's thread.

import Glibc
import Media

/// How a stream is published.
public struct RTSPPublisherSettings: Sendable {
    /// For rtsps.
    public var trust = TLSTrust()
    /// How long the way to the server may take; each answer after that has 5 s of its own.
    public var connectNs: Int64 = 10_000_000_000
    /// How many bytes may wait for the server to read; while more do, groups of pictures are dropped. 8 MiB are 16 s of 4 Mbit/s:
    /// a live view that is later is of no use.
    public var maximumUnsentBytes = 8 << 20

    /// The defaults.
    public init() {}
}

extension RTSPClient {
    /// Publishes a live stream.
    ///
    /// - Parameters:
    ///   - tracks: of pictures and sound, at most one of each; packets of others are left out. Pictures of another configuration end
    ///     the publication, because its receivers could not decode them.
    ///   - user: asked for when the server asks, on the loop's thread.
    ///   - tell: is called on the loop's thread, the last time with `ended`.
    public func publish(
        _ url: RTSPURL, tracks: [CodecConfiguration], settings: RTSPPublisherSettings = RTSPPublisherSettings(),
        user: @escaping @Sendable () throws(RTSPFailure) -> RTSPUser?,
        tell: @escaping @Sendable (RTSPPublicationEvent) -> Void
    ) -> RTSPPublisher {
        let publication = RTSPPublicationSettings(
            tracks: tracks, maximumUnsentBytes: settings.maximumUnsentBytes, canonicalName: RTSPClient.canonicalName)
        let id = loop.connect(
            host: url.host, port: url.port, tls: url.isSecure ? settings.trust : nil, connectNs: settings.connectNs,
            maximumMessageBytes: RTSPStreamParser.maximumMessageBytes
        ) {
            RTSPPublication(
                url: url, settings: publication, clientNonce: { RTSPClient.randomName() }, user: user,
                wallClockNs: RTSPPublisher.wallClockNs, tell: tell)
        }
        return RTSPPublisher(loop: loop, connection: id)
    }
}

/// A stream that is published.
public final class RTSPPublisher: Sendable {
    private let loop: SocketLoop
    private let connection: ConnectionID

    init(loop: SocketLoop, connection: ConnectionID) {
        self.loop = loop
        self.connection = connection
    }

    /// Sends packets in their order, or leaves them out and counts them; never waits. Before `publishing` all are left out.
    public func send(_ packets: [MediaPacket]) {
        loop.with(connection) { _, owner in
            guard let publication = owner as? RTSPPublication else { return }
            for packet in packets { publication.take(packet, nowNs: packet.arrivalNs) }
        }
    }

    /// Ends the publication as a server likes it (TEARDOWN). Its consumer hears `ended` without a failure.
    public func stop() {
        loop.with(connection) { connection, owner in
            (owner as? RTSPPublication)?.stop()
            // Also one that does not stand yet.
            connection.close()
        }
    }

    @Sendable static func wallClockNs() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
