// A media server of the tests, on a thread of its own: answers one publisher's requests as a script says, and tells what it heard.

import Foundation
import Media
import Testing

@testable import RTSP

/// What a media server heard, in order.
enum Heard: Sendable {
    case request(RTSPRequest)
    case frame(channel: UInt8, content: [UInt8])
    case closed
}

/// Serves one connection.
final class SmallMediaServer: Sendable {
    /// What it does other than to agree.
    struct Script: Sendable {
        /// Asked for with the first ANNOUNCE.
        var challenge: String?
        /// Instead of 200, by method.
        var refuses: [String: Int] = [:]
        /// It reads nothing behind RECORD until `goOn`.
        var pauses = false
        /// It leaves when RECORD was answered.
        var leaves = false
    }

    /// The channels of the first track's packets and reports; those of the second follow.
    static let firstChannel: UInt8 = 6

    let listener: Listener
    let heard: AsyncStream<Heard>
    private let tell: AsyncStream<Heard>.Continuation
    private let script: Script
    private let paused = DispatchSemaphore(value: 0)

    init(_ script: Script = Script()) throws {
        listener = try Listener()
        self.script = script
        (heard, tell) = AsyncStream.makeStream(of: Heard.self)
        // Little room, so that a publisher soon feels that nobody reads.
        var bytes: Int32 = 64 << 10
        setsockopt(listener.descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
        Thread.detachNewThread { self.serve() }
    }

    deinit { close(listener.descriptor) }

    var url: String { "rtsp://127.0.0.1:\(listener.port)/live" }

    /// Ends the pause.
    func goOn() { paused.signal() }

    private func serve() {
        let connection = listener.accepted()
        var waiting: [UInt8] = []
        var isKnown = script.challenge == nil
        var setUps: UInt8 = 0
        var isLeaving = false
        var parser = RTSPStreamParser()
        while !isLeaving {
            var room = [UInt8](repeating: 0, count: 64 << 10)
            let count = recv(connection, &room, room.count, 0)
            guard count > 0 else { break }
            waiting += room.prefix(count)
            let consumed = waiting.withUnsafeBytes { bytes in
                parser.all(in: bytes) { step, bytes in
                    switch step {
                    case .request(let request, _):
                        tell.yield(.request(request))
                        isKnown = isKnown || request.headers["Authorization"] != nil
                        write(answer(request, isKnown: isKnown, setUps: setUps).encoded, to: connection)
                        if request.method == "SETUP" { setUps += 1 }
                        if request.method == "RECORD", script.pauses { paused.wait() }
                        if request.method == "RECORD", script.leaves { isLeaving = true }
                    case .frame(let channel, let payload, _):
                        tell.yield(.frame(channel: channel, content: Array(bytes[payload])))
                    default: break
                    }
                }
            }
            waiting.removeFirst(consumed)
        }
        close(connection)
        tell.yield(.closed)
        tell.finish()
    }

    private func answer(_ request: RTSPRequest, isKnown: Bool, setUps: UInt8) -> RTSPResponse {
        var headers = RTSPHeaders()
        headers.add("CSeq", request.headers["CSeq"] ?? "")
        if let status = script.refuses[request.method] {
            return RTSPResponse(status: status, reason: "No", headers: headers)
        }
        guard isKnown || request.method == "OPTIONS" else {
            headers.add("WWW-Authenticate", script.challenge ?? "")
            return RTSPResponse(status: 401, reason: "Unauthorized", headers: headers)
        }
        if request.method == "SETUP" {
            let channel = Self.firstChannel + 2 * setUps
            headers.add("Session", "1")
            headers.add("Transport", "RTP/AVP/TCP;unicast;interleaved=\(channel)-\(channel + 1);mode=record")
        }
        return RTSPResponse(status: 200, reason: "OK", headers: headers)
    }
}

/// A publication of the tests on a loop of its own, and what it told.
struct RunningPublication {
    let loop: SocketLoop
    let id: ConnectionID
    let events: AsyncStream<RTSPPublicationEvent>

    init(
        at url: String, tls: TLSTrust? = nil, tracks: [CodecConfiguration], maximumUnsentBytes: Int = 1 << 20,
        user: RTSPUser? = nil
    ) throws {
        let url = try #require(RTSPURL(url))
        let (events, tell) = AsyncStream.makeStream(of: RTSPPublicationEvent.self)
        self.events = events
        loop = try SocketLoop(name: "publication")
        id = loop.connect(
            host: url.host, port: url.port, tls: tls, connectNs: 5_000_000_000,
            maximumMessageBytes: RTSPStreamParser.maximumMessageBytes
        ) {
            RTSPPublication(
                url: url,
                settings: RTSPPublicationSettings(
                    tracks: tracks, maximumUnsentBytes: maximumUnsentBytes, canonicalName: "test"),
                clientNonce: { "nonce" }, user: { () throws(RTSPFailure) in user },
                wallClockNs: { 1_800_000_000_000_000_000 },
                tell: { event in
                    tell.yield(event)
                    if case .ended = event { tell.finish() }
                })
        }
    }

    /// Runs `body` on the loop's thread.
    func with(_ body: @escaping @Sendable (RTSPPublication) -> Void) {
        loop.with(id) { _, owner in if let publication = owner as? RTSPPublication { body(publication) } }
    }

    func take(_ packets: [MediaPacket]) { with { one in for packet in packets { one.take(packet, nowNs: 0) } } }

    func stop() { with { $0.stop() } }

    func counters() async -> RTSPPublicationCounters {
        await withCheckedContinuation { done in with { done.resume(returning: $0.counters) } }
    }

    /// Waits until packets are taken; nil: why it ended instead.
    func published() async -> RTSPFailure? {
        for await event in events {
            switch event {
            case .publishing: return nil
            case .ended(let failure, _): return failure
            case .counters: continue
            }
        }
        return RTSPFailure(.silent, "nothing was told")
    }

    /// Waits for the end.
    func end() async -> (RTSPFailure?, RTSPPublicationCounters)? {
        for await event in events { if case .ended(let failure, let counters) = event { return (failure, counters) } }
        return nil
    }
}
