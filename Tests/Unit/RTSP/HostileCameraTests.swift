// What a broken or hostile camera must not do: stop the process, hold up the thread that carries all cameras, or fill the
// memory. Each test is a bug that was found by fuzzing (Tests/Fuzz) or on the way there.

import Media
import Testing

@testable import RTSP

@Suite struct HostileCameraTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    // MARK: The stream of a connection

    /// A blank alone looked like the first line of a message, and what followed was not read before 64 KiB had come.
    @Test(arguments: [" ", "/"])
    func aBlankOfATornStreamDoesNotHoldUpTheFrameBehindIt(_ text: String) {
        var parser = RTSPStreamParser()
        let stream = bytes(text) + [0x24, 0, 0, 0]
        #expect(stream.withUnsafeBytes { parser.next(in: $0) } == .skip(consumedBytes: 1, isNoise: true))
    }

    /// Behind noise a word is no message unless it is a response's, however the noise was cut.
    @Test func whatIsFoundBehindNoiseDoesNotDependOnThePieces() {
        var parser = RTSPStreamParser()
        #expect([UInt8(0xFF)].withUnsafeBytes { parser.next(in: $0) } == .skip(consumedBytes: 1, isNoise: true))
        let rest = bytes("AB ") + [0x24, 7, 0, 0]
        #expect(rest.withUnsafeBytes { parser.next(in: $0) } == .skip(consumedBytes: 3, isNoise: true))
        #expect(
            rest.dropFirst(3).withUnsafeBytes { parser.next(in: $0) }
                == .frame(channel: 7, payload: 4..<4, consumedBytes: 4))
    }

    /// Each place that looked like a message was searched for a whole header: 8,000 times 64 KiB in one buffer.
    @Test(arguments: ["RTSP/1. ", "RTSP/1.0 9 ", "GET x "])
    func whatIsNoFirstLineIsSkippedWithoutItsHeader(_ text: String) {
        var parser = RTSPStreamParser()
        let stream = bytes("\(text)\r\n") + [0x24, 0, 0, 0]
        guard case .skip(_, isNoise: true) = stream.withUnsafeBytes({ parser.next(in: $0) }) else {
            Issue.record("\(text) is waited for")
            return
        }
    }

    @Test func aFirstLineWithoutEndIsNone() {
        var parser = RTSPStreamParser()
        let line = bytes("RTSP/1.0 200 ") + [UInt8](repeating: 0x41, count: RTSPStreamParser.maximumFirstLineBytes)
        guard case .skip(_, isNoise: true) = line.withUnsafeBytes({ parser.next(in: $0) }) else {
            Issue.record("the line is waited for")
            return
        }
    }

    /// A body in pieces of a byte had its header read for each of them: a MiB of pieces, 64 KiB of header.
    @Test func aMessageInPiecesIsNotReadFromItsBeginningWithEach() {
        var parser = RTSPStreamParser()
        let whole = bytes("RTSP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        #expect(whole.dropLast().withUnsafeBytes { parser.next(in: $0) } == .needsMore)
        // Had it looked again, it would have found that this is no message.
        let other = [UInt8](repeating: 0xFF, count: whole.count - 1)
        #expect(other.withUnsafeBytes { parser.next(in: $0) } == .needsMore)
        guard case .response(let response, let consumed) = whole.withUnsafeBytes({ parser.next(in: $0) }) else {
            Issue.record("no response")
            return
        }
        #expect(consumed == whole.count && response.body == bytes("hello"))
        // What was remembered is forgotten with the message.
        #expect(([0x24, 0, 0, 0] as [UInt8]).withUnsafeBytes { parser.next(in: $0) } != .needsMore)
    }

    // MARK: Authentication

    /// "stale" with a new nonce in every answer: asked for ever, as fast as the network is.
    @Test func aServerThatIsNeverContentIsAskedAFewTimesOnly() {
        var authenticator = RTSPAuthenticator()
        let user = RTSPUser(name: "user", password: "pass")
        var asked = 0
        for nonce in 0..<100 {
            var headers = RTSPHeaders()
            headers.add("WWW-Authenticate", "Digest realm=\"r\", nonce=\"\(nonce)\", stale=true")
            guard authenticator.challenged(headers) == .answer else { break }
            _ = authenticator.header(method: "OPTIONS", uri: "*", user: user, clientNonce: "n")
            asked += 1
        }
        #expect(asked == 4)
        authenticator.accepted()
        var headers = RTSPHeaders()
        headers.add("WWW-Authenticate", "Digest realm=\"r\", nonce=\"new\", stale=true")
        #expect(authenticator.challenged(headers) == .answer)
    }

    @Test func whatAServerAsksForIsNotToldAtAnyLength() {
        var authenticator = RTSPAuthenticator()
        var headers = RTSPHeaders()
        headers.add("WWW-Authenticate", String(repeating: "abc ", count: 10_000))
        headers.add("WWW-Authenticate", String(repeating: "d", count: 10_000))
        guard case .notUnderstood(let words) = authenticator.challenged(headers) else {
            Issue.record("understood")
            return
        }
        #expect(words.count < 200)
    }

    // MARK: Packets

    /// With sizes of one bit a packet of 64 KiB named fifty thousand frames.
    @Test func aPacketOfThousandsOfSoundFramesIsMalformed() throws {
        let format = try #require(
            AACFormat(formatParameters: ["sizelength": "1", "indexlength": "0", "indexdeltalength": "0"]))
        var feed = Feed(AACDepacketizer(format: format))
        let headers = [UInt8](repeating: 0xFF, count: 17)
        feed.send([0, 136] + headers + [UInt8](repeating: 7, count: 136))
        #expect(feed.units.isEmpty)
        #expect(feed.format.counters.malformed == 1)
        feed.send([0, 128] + headers.dropLast() + [UInt8](repeating: 7, count: 128))
        #expect(feed.units.count == 128)
    }

    /// A picture's time in microseconds saturates; sound that came later was put behind it.
    @Test func soundBeginsBesideAPictureAtTheEndOfAllTimes() throws {
        let description = SessionDescription(bytes("m=audio 0 RTP/AVP 96\na=rtpmap:96 PCMU/8000\n"))
        let media = try #require(description.media.first)
        var reader = try #require(RTSPTrackReader(media, isInOrder: true, ssrc: 1))
        let isTaken = rtp([1, 2, 3]).withUnsafeBytes {
            reader.take(
                $0, arrivalNs: 5_000_000, video: RTSPVideoTime(newestUs: .max, newestArrivalNs: 0), deliver: { _ in })
        }
        #expect(isTaken)
    }
}
