// A session over a real connection with a small camera of the test, which knows every picture that it sent.

import Foundation
import Media
import Testing

@testable import RTSP

/// Of an encoder: 320 by 240, baseline.
private let parameterSets = "Z0LADdkBQfsBEAAAAwAQAAADAyDxQqSA,aMuDyyA="

/// A camera with one H.264 stream: answers one connection's requests, then sends `pictures`.
private final class SmallCamera: Sendable {
    let listener: Listener
    let pictures: [[UInt8]]
    /// Asked for with the first DESCRIBE.
    let challenge: String?
    /// Packets that it leaves out, counted from 0.
    let leftOut: Set<Int>

    init(pictures: [[UInt8]], challenge: String? = nil, leftOut: Set<Int> = []) throws {
        listener = try Listener()
        self.pictures = pictures
        self.challenge = challenge
        self.leftOut = leftOut
        Thread.detachNewThread { self.serve() }
    }

    deinit { close(listener.descriptor) }

    private func serve() {
        let connection = listener.accepted()
        var waiting: [UInt8] = []
        var isKnown = challenge == nil
        while true {
            var room = [UInt8](repeating: 0, count: 4_096)
            let count = recv(connection, &room, room.count, 0)
            guard count > 0 else { break }
            waiting += room.prefix(count)
            while case .request(let request, let bytes) = waiting.withUnsafeBytes(front) {
                waiting.removeFirst(bytes)
                isKnown = isKnown || request.headers["Authorization"] != nil
                write(answer(request, isKnown: isKnown).encoded, to: connection)
                if request.method == "PLAY" { write(stream, to: connection) }
            }
        }
        close(connection)
    }

    private func answer(_ request: RTSPRequest, isKnown: Bool) -> RTSPResponse {
        var headers = RTSPHeaders()
        headers.add("CSeq", request.headers["CSeq"] ?? "")
        guard isKnown || request.method == "OPTIONS" else {
            headers.add("WWW-Authenticate", challenge ?? "")
            return RTSPResponse(status: 401, reason: "Unauthorized", headers: headers)
        }
        switch request.method {
        case "DESCRIBE":
            let sdp =
                "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 sprop-parameter-sets=\(parameterSets)\r\nm=application 0 RTP/AVP 107\r\n"
            return RTSPResponse(status: 200, reason: "OK", headers: headers, body: Array(sdp.utf8))
        case "SETUP":
            headers.add("Session", "1")
            headers.add("Transport", "RTP/AVP/TCP;unicast;interleaved=6-7")
        default: break
        }
        return RTSPResponse(status: 200, reason: "OK", headers: headers)
    }

    /// All pictures in fragments of two packets each, with frames of other channels and a line end between.
    private var stream: [UInt8] {
        var bytes: [UInt8] = []
        var number = 0
        for (index, picture) in pictures.enumerated() {
            let half = max(1, picture.count / 2)
            for (content, flags) in [(picture[1..<half], UInt8(0x80)), (picture[half...], UInt8(0x40))] {
                let timestamp = UInt32(truncatingIfNeeded: 0xFFFF_0000 + index * 3_600)
                var packet: [UInt8] = [
                    0x80, flags == 0x40 ? 0xE0 : 0x60, UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF),
                ]
                packet += (0..<4).map { UInt8(truncatingIfNeeded: timestamp >> (24 - 8 * UInt32($0))) } + [1, 2, 3, 4]
                packet += [0x7C, flags | picture[0] & 0x1F] + content
                if !leftOut.contains(number) {
                    bytes += [0x24, 6, UInt8(packet.count >> 8), UInt8(packet.count & 0xFF)] + packet
                }
                number += 1
            }
            bytes += [0x24, 7, 0, 2, 0, 0, 0x24, 44, 0, 1, 9, 13, 10]
        }
        return bytes
    }
}

@Suite(.timeLimit(.minutes(1))) struct RTSPSessionTests {
    /// Each picture carries its number, behind a slice header that says that it is the first.
    private let pictures = (0..<60).map { number in
        [UInt8(0x65), 0x80, UInt8(number)] + (0..<2_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ number) }
    }

    private func play(_ camera: SmallCamera, user: RTSPUser? = nil, until units: Int) async throws -> [SourceEvent] {
        let client = try RTSPClient(name: "test")
        defer { client.stop() }
        let (events, tell) = AsyncStream.makeStream(of: SourceEvent.self)
        let url = try #require(RTSPURL("rtsp://127.0.0.1:\(camera.listener.port)/main"))
        let playback = client.play(url, settings: .patient, user: { () throws(RTSPFailure) in user }) { event in
            tell.yield(event)
            if case .ended = event { tell.finish() }
        }
        var seen: [SourceEvent] = []
        for await event in events {
            seen.append(event)
            if seen.count == units { playback.stop() }
        }
        return seen
    }

    /// Without the lengths in front.
    private func pictures(of events: [SourceEvent]) -> [[UInt8]] {
        packets(events).map { Array($0.bytes.array.dropFirst(4)) }
    }

    private func packets(_ events: [SourceEvent]) -> [MediaPacket] {
        events.compactMap { if case .packet(let packet) = $0 { packet } else { nil } }
    }

    private func end(_ events: [SourceEvent]) -> (RTSPFailure?, SourceCounters)? {
        if case .ended(let failure, let counters) = events.last { (failure, counters) } else { nil }
    }

    /// A stop between a redirect and the session that follows it left that session open for ever.
    @Test func aPlaybackThatWasStoppedBeginsNoOtherSession() throws {
        let client = try RTSPClient(name: "test")
        defer { client.stop() }
        let url = try #require(RTSPURL("rtsp://127.0.0.1:1/main"))
        let playback = client.play(url, user: { () throws(RTSPFailure) in nil }, tell: { _ in })
        playback.stop()
        #expect(!playback.begin(url))
    }

    @Test func everyPictureThatWasSentComesOnceAndInOrder() async throws {
        let events = try await play(try SmallCamera(pictures: pictures), until: 1 + pictures.count)
        #expect(pictures(of: events) == pictures)
        let times = packets(events).map(\.ptsTicks)
        #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 == 3_600 })
        let last = try #require(end(events))
        #expect(last.0 == nil)
        #expect(last.1.packetsLost == 0 && last.1.unitsTorn == 0 && last.1.noiseBytes == 0)
        // Of each picture, one of a channel that was never set up.
        #expect(last.1.framesSkipped == UInt64(pictures.count))
        #expect(last.1.streamsSkipped == 1)
    }

    @Test func aPictureThatLostAPacketIsCountedAndNotDelivered() async throws {
        let events = try await play(try SmallCamera(pictures: pictures, leftOut: [11, 14]), until: pictures.count - 1)
        let numbers = pictures(of: events).map { Int($0[2]) }
        #expect(numbers == pictures.indices.filter { $0 != 5 && $0 != 7 })
        #expect(packets(events).filter(\.followsLoss).map { Int($0.bytes.array[6]) } == [6, 8])
        let counters = try #require(end(events)).1
        #expect(counters.packetsLost == 2 && counters.unitsTorn == 2)
    }

    @Test func theUserIsShownToACameraThatAsks() async throws {
        let camera = try SmallCamera(pictures: pictures, challenge: #"Digest realm="c", nonce="n", qop="auth""#)
        let events = try await play(camera, user: RTSPUser(name: "u", password: "p"), until: 1 + pictures.count)
        #expect(pictures(of: events) == pictures)
    }

    @Test func withoutAUserTheReasonIsSaid() async throws {
        let camera = try SmallCamera(pictures: pictures, challenge: #"Basic realm="c""#)
        let events = try await play(camera, until: .max)
        #expect(events.count == 1)
        #expect(end(events)?.0 == RTSPFailure(.unauthorized, "the camera asks for a user, and none is configured"))
    }
}
