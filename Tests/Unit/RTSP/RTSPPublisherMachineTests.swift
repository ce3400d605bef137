// A publication, played through without a media server: what is said, in which order, and what comes of the answers.

import Media
import Testing

@testable import RTSP

private let second: Int64 = 1_000_000_000

/// A media server of the test: answers the machine's requests as each test says.
private struct ScriptedServer {
    var machine: RTSPPublisherMachine
    var nowNs: Int64 = 0
    /// What the machine sent, in order.
    var asked: [RTSPRequest] = []
    var others: [RTSPPublisherMachine.Action] = []

    var lines: [String] { asked.map { "\($0.method) \($0.uri)" } }

    init(_ url: String = "rtsp://server/live") throws {
        let pcm = try CodecConfiguration.pcm(.pcmu, sampleRateHz: 8_000, channels: 1)
        machine = RTSPPublisherMachine(
            url: try #require(RTSPURL(url)), announcement: RTSPAnnouncement([try Tracks.h264(), pcm], number: 7)
        ) { "nonce" }
        take(machine.connected(nowNs: 0))
    }

    mutating func take(_ actions: [RTSPPublisherMachine.Action]) {
        for action in actions {
            if case .send(let bytes) = action,
                case .request(let request, _) = bytes.withUnsafeBytes(front)
            {
                asked.append(request)
            } else {
                others.append(action)
            }
        }
    }

    mutating func answer(_ status: Int = 200, _ headers: [(String, String)] = []) {
        var all = RTSPHeaders()
        all.add("CSeq", asked.last?.headers["CSeq"] ?? "")
        for (name, value) in headers { all.add(name, value) }
        take(machine.received(RTSPResponse(status: status, reason: "words", headers: all), nowNs: nowNs))
    }

    mutating func tick(atNs nowNs: Int64) {
        self.nowNs = nowNs
        take(machine.tick(nowNs: nowNs))
    }

    /// Up to the packets.
    mutating func publish(session: String = "s1;timeout=10", methods: String = "ANNOUNCE, GET_PARAMETER") {
        answer(200, [("Public", methods)])
        answer()
        answer(200, [("Session", session), ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record")])
        answer(200, [("Session", session), ("Transport", "RTP/AVP/TCP;unicast;interleaved=2-3;mode=record")])
        answer()
    }

    var failure: RTSPFailure? {
        others.compactMap { if case .failed(let failure) = $0 { failure } else { nil } }.first
    }
}

@Suite struct RTSPPublisherMachineTests {
    @Test func aPublicationGoesItsWay() throws {
        var server = try ScriptedServer()
        server.publish()
        #expect(
            server.lines == [
                "OPTIONS rtsp://server/live", "ANNOUNCE rtsp://server/live", "SETUP rtsp://server/live/streamid=0",
                "SETUP rtsp://server/live/streamid=1", "RECORD rtsp://server/live",
            ])
        #expect(server.others == [.publishing([.init(rtp: 0, rtcp: 1), .init(rtp: 2, rtcp: 3)])])
        #expect(server.asked[1].headers["Content-Type"] == "application/sdp")
        #expect(server.asked[2].headers["Transport"] == "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record")
        #expect(server.asked[3].headers["Transport"] == "RTP/AVP/TCP;unicast;interleaved=2-3;mode=record")
        #expect(server.asked.map { $0.headers["Session"] } == [nil, nil, nil, "s1", "s1"])
        #expect(server.asked.allSatisfy { $0.headers["Authorization"] == nil })
        server.take(server.machine.stop())
        #expect(server.lines.last == "TEARDOWN rtsp://server/live" && server.asked.last?.headers["Session"] == "s1")
        #expect(server.others.last == .close)
        #expect(server.machine.stop() == [])
    }

    @Test func theServersChannelsCount() throws {
        var server = try ScriptedServer()
        server.answer()
        server.answer()
        server.answer(200, [("Session", "a"), ("Transport", "RTP/AVP/TCP;unicast;interleaved=8-9")])
        // One that names no transport took what was asked.
        server.answer()
        server.answer()
        #expect(server.others == [.publishing([.init(rtp: 8, rtcp: 9), .init(rtp: 2, rtcp: 3)])])
    }

    @Test func aServerThatWantsDatagramsIsRefused() throws {
        var server = try ScriptedServer()
        server.answer()
        server.answer()
        server.answer(200, [("Session", "a"), ("Transport", "RTP/AVP;unicast;client_port=5000-5001")])
        #expect(server.failure?.cause == .protocolError && server.others.last == .close)
        #expect(server.lines.last == "TEARDOWN rtsp://server/live")
    }

    @Test func theUserIsAskedForWhenTheServerAsksAndOnlyThen() throws {
        var server = try ScriptedServer()
        server.answer()
        server.answer(401, [("WWW-Authenticate", #"Digest realm="r", nonce="1""#)])
        #expect(server.others == [.needsUser])
        server.take(server.machine.answer(as: RTSPUser(name: "u", password: "p"), nowNs: 0))
        // The same request once more, with its description.
        #expect(server.lines.suffix(2) == ["ANNOUNCE rtsp://server/live", "ANNOUNCE rtsp://server/live"])
        #expect(server.asked[2].body == server.asked[1].body && !server.asked[2].body.isEmpty)
        #expect(server.asked[2].headers["Authorization"]?.hasPrefix("Digest username=\"u\"") == true)
        server.answer()
        #expect(server.asked.last?.method == "SETUP" && server.asked.last?.headers["Authorization"] != nil)
        // A nonce that ran out is renewed without asking again.
        server.answer(401, [("WWW-Authenticate", #"Digest realm="r", nonce="2", stale=true"#)])
        #expect(server.asked.last?.headers["Authorization"]?.contains("nonce=\"2\"") == true)
        #expect(server.others == [.needsUser])
    }

    @Test func aUserThatIsRefusedEndsIt() throws {
        var server = try ScriptedServer()
        server.answer()
        server.answer(401, [("WWW-Authenticate", #"Basic realm="r""#)])
        server.take(server.machine.answer(as: RTSPUser(name: "u", password: "p"), nowNs: 0))
        server.answer(401, [("WWW-Authenticate", #"Basic realm="r""#)])
        let reason = "the media server answers but refuses the user name or password (401 words)"
        #expect(server.failure == RTSPFailure(.unauthorized, reason))
    }

    @Test func keepalivesGoAtHalfTheTimeoutByWhatTheServerNames() throws {
        var server = try ScriptedServer()
        server.publish()
        server.tick(atNs: 5 * second - 1)
        #expect(server.asked.last?.method == "RECORD")
        server.tick(atNs: 5 * second)
        #expect(server.lines.last == "GET_PARAMETER rtsp://server/live")
        server.answer(501)
        #expect(server.asked.last?.method == "OPTIONS")
        server.answer()
        server.tick(atNs: 10 * second)
        #expect(server.asked.last?.method == "OPTIONS" && server.asked.count == 8)
        server.answer(454)
        #expect(server.failure == RTSPFailure(.protocolError, "the media server lost the session (454 words)"))
    }

    @Test func aServerThatNeverAnswersKeepalivesIsNotGivenUp() throws {
        var server = try ScriptedServer()
        server.publish()
        for tenths in 0..<600 { server.tick(atNs: Int64(tenths) * second / 10) }
        #expect(server.asked.filter { $0.method == "GET_PARAMETER" }.count >= 5)
        #expect(server.failure == nil)
    }

    @Test(arguments: 0..<5) func aServerThatDoesNotAnswerInTimeIsGivenUp(step: Int) throws {
        var server = try ScriptedServer()
        for _ in 0..<step { server.answer() }
        let asked = try #require(server.asked.last).method
        server.tick(atNs: RTSPPublisherMachine.answerNs - 1)
        #expect(server.others == [])
        server.tick(atNs: RTSPPublisherMachine.answerNs)
        #expect(
            server.others == [.failed(RTSPFailure(.silent, "the media server does not answer \(asked)")), .close])
    }

    @Test(arguments: [
        (403, RTSPFailure.Cause.unauthorized), (404, .notFound), (453, .busy), (461, .protocolError),
        (500, .protocolError), (503, .busy),
    ])
    func refusalsHaveACauseAndWords(status: Int, cause: RTSPFailure.Cause) throws {
        for step in 1..<5 {
            var server = try ScriptedServer()
            for _ in 0..<step { server.answer() }
            server.answer(status)
            let failure = try #require(server.failure)
            #expect(failure.cause == cause && failure.description.contains("\(status) words"))
            #expect(failure.description.hasPrefix("the media server") && server.others.last == .close)
        }
    }

    @Test func aServerThatRefusesOptionsIsAnnouncedToAllTheSame() throws {
        var server = try ScriptedServer()
        server.answer(405)
        #expect(server.asked.last?.method == "ANNOUNCE")
    }

    @Test func aRedirectIsSaidAndNotFollowed() throws {
        var server = try ScriptedServer()
        server.answer()
        server.answer(302, [("Location", "rtsp://u:p@other/x")])
        let failure = try #require(server.failure)
        #expect(failure.description.contains("rtsp://other/x") && !failure.description.contains("u:p"))
    }

    @Test func requestsOfTheServerAreAnsweredUntilTheEnd() throws {
        var server = try ScriptedServer()
        server.publish()
        var headers = RTSPHeaders()
        headers.add("CSeq", "9")
        for (method, status) in [("OPTIONS", 200), ("PLAY", 501)] {
            let request = RTSPRequest(method: method, uri: "*", headers: headers)
            guard case .send(let bytes) = server.machine.received(request).first,
                case .response(let response, _) = bytes.withUnsafeBytes(front)
            else {
                Issue.record("no answer to \(method)")
                continue
            }
            #expect(response.status == status && response.cseq == 9)
        }
        server.take(server.machine.fail(RTSPFailure(.protocolError, "why")))
        #expect(server.others.suffix(2) == [.failed(RTSPFailure(.protocolError, "why")), .close])
        #expect(server.machine.received(RTSPRequest(method: "OPTIONS", uri: "*")) == [])
        #expect(server.machine.fail(RTSPFailure(.protocolError, "why")) == [])
    }
}

@Suite struct RTSPAnnouncementTests {
    /// As a server reads it.
    private func read(_ configurations: [CodecConfiguration]) -> [MediaDescription] {
        SessionDescription(RTSPAnnouncement(configurations, number: 7).encoded).media
    }

    @Test func picturesAreDescribedAsTheirDecoderNeedsIt() throws {
        let h264 = try Tracks.h264()
        let hevc = try Tracks.hevc()
        let media = read([h264, hevc])
        #expect(media.map(\.kind) == ["video", "video"] && media.map(\.encoding) == ["H264", "H265"])
        #expect(media.map(\.payloadTypes) == [[96], [97]] && media.map(\.clockRateHz) == [90_000, 90_000])
        #expect(media[0].parameterSets == h264.sequenceParameterSets + h264.pictureParameterSets)
        #expect(media[0].parameter("profile-level-id") == "42C00D")
        #expect(media[0].parameter("packetization-mode") == "1")
        #expect(
            media[1].parameterSets
                == hevc.videoParameterSets + hevc.sequenceParameterSets + hevc.pictureParameterSets)
        #expect(media.map(\.control) == ["streamid=0", "streamid=1"])
    }

    @Test func soundIsDescribedWithItsClock() throws {
        let aac = try Tracks.aac()
        let media = read([
            aac, try .pcm(.pcmu, sampleRateHz: 8_000, channels: 1), try .pcm(.pcma, sampleRateHz: 8_000, channels: 1),
            try .pcm(.pcma, sampleRateHz: 16_000, channels: 1), try .pcm(.l16, sampleRateHz: 44_100, channels: 2),
        ])
        #expect(media.map(\.kind) == [String](repeating: "audio", count: 5))
        #expect(media.map(\.encoding) == ["MPEG4-GENERIC", "PCMU", "PCMA", "PCMA", "L16"])
        #expect(media.map(\.payloadTypes) == [[96], [0], [8], [99], [100]])
        #expect(media.map(\.clockRateHz) == [48_000, 8_000, 8_000, 16_000, 44_100])
        #expect(media.map(\.channels) == [1, 1, 1, 1, 2])
        #expect(AACFormat(formatParameters: media[0].formatParameters)?.audioSpecificConfig == aac.decoderConfiguration)
    }

    @Test func aLargeJPEGPictureHasItsSize() throws {
        for (width, isSaid) in [(2_040, false), (2_041, true)] {
            let configuration = try CodecConfiguration.mjpeg(widthPx: width, heightPx: 1_080)
            let text = String(decoding: RTSPAnnouncement([configuration], number: 7).encoded, as: UTF8.self)
            #expect(text.contains("a=x-dimensions:\(width),1080\r\n") == isSaid)
            #expect(text.contains("m=video 0 RTP/AVP 26\r\n"))
        }
    }
}
