// A session with a camera, played through without a camera: what is said, in which order, and what comes of the answers.

import Testing

@testable import RTSP

/// A camera of the test: answers the machine's requests as a table says.
private struct ScriptedCamera {
    var machine: RTSPClientMachine
    var nowNs: Int64 = 0
    /// What the machine sent: "METHOD uri".
    var asked: [String] = []
    var lastRequest: RTSPRequest?
    var others: [RTSPClientMachine.Action] = []

    init(_ url: String = "rtsp://camera/main") throws {
        machine = RTSPClientMachine(url: try #require(RTSPURL(url))) { "nonce" }
    }

    mutating func take(_ actions: [RTSPClientMachine.Action]) {
        for action in actions {
            if case .send(let bytes) = action,
                case .request(let request, _) = bytes.withUnsafeBytes(front)
            {
                asked.append("\(request.method) \(request.uri)")
                lastRequest = request
            } else {
                others.append(action)
            }
        }
    }

    mutating func connect() { take(machine.connected(nowNs: nowNs)) }

    mutating func answer(_ status: Int, _ headers: [(String, String)] = [], body: String = "", cseq: String? = nil) {
        var all = RTSPHeaders()
        all.add("CSeq", cseq ?? lastRequest?.headers["CSeq"] ?? "")
        for (name, value) in headers { all.add(name, value) }
        let response = RTSPResponse(status: status, reason: "words", headers: all, body: Array(body.utf8))
        take(machine.received(response, nowNs: nowNs))
    }

    /// Up to the packets.
    mutating func play(session: String = "s1;timeout=10", publicMethods: String = "OPTIONS, GET_PARAMETER") {
        connect()
        answer(200, [("Public", publicMethods)])
        answer(200, [("Content-Base", "rtsp://camera/main/")], body: twoStreams)
        take(machine.setUp(media: [0, 1], nowNs: nowNs))
        answer(200, [("Session", session), ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")])
        answer(200, [("Session", session), ("Transport", "RTP/AVP/TCP;unicast;interleaved=2-3")])
        answer(200)
    }
}

private let twoStreams =
    "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:t1\r\nm=audio 0 RTP/AVP 0\r\na=control:t2\r\n"

private let second: Int64 = 1_000_000_000

@Suite struct RTSPClientMachineTests {
    @Test func aSessionGoesItsWay() throws {
        var camera = try ScriptedCamera()
        camera.play()
        #expect(
            camera.asked == [
                "OPTIONS rtsp://camera/main", "DESCRIBE rtsp://camera/main", "SETUP rtsp://camera/main/t1",
                "SETUP rtsp://camera/main/t2", "PLAY rtsp://camera/main/",
            ])
        #expect(camera.lastRequest?.headers["Session"] == "s1")
        guard case .playing(let tracks) = camera.others.last else {
            Issue.record("not playing: \(camera.others)")
            return
        }
        #expect(tracks.map(\.rtpChannel) == [0, 2] && tracks.map(\.rtcpChannel) == [1, 3])
        camera.take(camera.machine.stop())
        #expect(camera.asked.last == "TEARDOWN rtsp://camera/main/" && camera.others.last == .close)
        #expect(camera.machine.stop() == [])
    }

    @Test func theServersChannelsCount() throws {
        var camera = try ScriptedCamera()
        camera.connect()
        camera.answer(200)
        camera.answer(200, body: twoStreams)
        camera.take(camera.machine.setUp(media: [0], nowNs: 0))
        camera.answer(200, [("Session", "a"), ("Transport", "RTP/AVP/TCP;interleaved=8-9")])
        camera.answer(200)
        guard case .playing(let tracks) = camera.others.last else {
            Issue.record("not playing: \(camera.others)")
            return
        }
        #expect(tracks.first?.rtpChannel == 8 && tracks.first?.rtcpChannel == 9)
    }

    @Test func theUserIsAskedForWhenTheCameraAsksAndOnlyThen() throws {
        var camera = try ScriptedCamera()
        camera.connect()
        camera.answer(200)
        #expect(camera.lastRequest?.headers["Authorization"] == nil)
        camera.answer(401, [("WWW-Authenticate", #"Digest realm="r", nonce="1""#)])
        #expect(camera.others == [.needsUser])
        camera.take(camera.machine.answer(as: RTSPUser(name: "u", password: "p"), nowNs: 0))
        #expect(camera.asked.last == "DESCRIBE rtsp://camera/main")
        #expect(camera.lastRequest?.headers["Authorization"]?.hasPrefix("Digest username=\"u\"") == true)
        camera.answer(401, [("WWW-Authenticate", #"Digest realm="r", nonce="2""#)])
        guard case .failed(let failure) = camera.others.dropLast().last else {
            Issue.record("not failed: \(camera.others)")
            return
        }
        #expect(failure.cause == .unauthorized && camera.others.last == .close)
    }

    @Test func aNonceThatRanOutDuringSetUpIsRenewed() throws {
        var camera = try ScriptedCamera()
        camera.connect()
        camera.answer(401, [("WWW-Authenticate", #"Digest realm="r", nonce="1""#)])
        camera.take(camera.machine.answer(as: RTSPUser(name: "u", password: "p"), nowNs: 0))
        camera.answer(200)
        camera.answer(200, body: twoStreams)
        camera.take(camera.machine.setUp(media: [0], nowNs: 0))
        camera.answer(401, [("WWW-Authenticate", #"Digest realm="r", nonce="2", stale=true"#)])
        #expect(camera.asked.last == "SETUP rtsp://camera/main/t1")
        #expect(camera.lastRequest?.headers["Authorization"]?.contains("nonce=\"2\"") == true)
        camera.answer(200, [("Session", "a")])
        #expect(camera.asked.last == "PLAY rtsp://camera/main")
    }

    @Test func keepalivesGoAtHalfTheTimeoutByWhatTheServerNames() throws {
        var camera = try ScriptedCamera()
        camera.play()
        camera.take(camera.machine.tick(nowNs: 4 * second))
        #expect(camera.asked.last?.hasPrefix("PLAY") == true)
        camera.take(camera.machine.tick(nowNs: 5 * second))
        #expect(camera.asked.last == "GET_PARAMETER rtsp://camera/main/")
        camera.nowNs = 5 * second
        camera.answer(501)
        #expect(camera.asked.last == "OPTIONS rtsp://camera/main/")
        camera.answer(200)
        camera.take(camera.machine.tick(nowNs: 10 * second))
        #expect(camera.asked.last == "OPTIONS rtsp://camera/main/" && camera.asked.count == 8)
    }

    /// Servers state the time-out in the answer to SETUP and name the session without it in all others.
    @Test func aTimeoutHoldsUntilAnotherIsStated() throws {
        var camera = try ScriptedCamera()
        camera.connect()
        camera.answer(200)
        camera.answer(200, body: twoStreams)
        camera.take(camera.machine.setUp(media: [0], nowNs: 0))
        camera.answer(200, [("Session", "s1;timeout=10")])
        camera.answer(200, [("Session", "s1")])
        camera.take(camera.machine.tick(nowNs: 5 * second))
        #expect(camera.asked.last?.hasPrefix("OPTIONS") == true)
        camera.nowNs = 5 * second
        camera.answer(200, [("Session", "s1")])
        camera.take(camera.machine.tick(nowNs: 10 * second))
        #expect(camera.asked.filter { $0.hasPrefix("OPTIONS") }.count == 3)
    }

    @Test func aCameraThatNeverAnswersKeepalivesIsNotGivenUp() throws {
        var camera = try ScriptedCamera()
        camera.play()
        for tenths in 0..<600 { camera.take(camera.machine.tick(nowNs: Int64(tenths) * second / 10)) }
        #expect(camera.asked.filter { $0.hasPrefix("GET_PARAMETER") }.count >= 4)
        #expect(!camera.others.contains { if case .failed = $0 { true } else { false } })
    }

    @Test func aLostSessionIsSaid() throws {
        var camera = try ScriptedCamera()
        camera.play()
        camera.take(camera.machine.tick(nowNs: 5 * second))
        camera.answer(454)
        #expect(camera.others.last == .close)
    }

    @Test func aRedirectEndsTheSessionAndIsNotFollowedOutOfTLS() throws {
        var camera = try ScriptedCamera()
        camera.connect()
        camera.answer(200)
        camera.answer(302, [("Location", "rtsp://other:8554/x")])
        #expect(camera.others == [.redirected(try #require(RTSPURL("rtsp://other:8554/x"))), .close])
        var secure = try ScriptedCamera("rtsps://camera/main")
        secure.connect()
        secure.answer(302, [("Location", "rtsp://other/x")])
        guard case .failed(let failure) = secure.others.first else {
            Issue.record("followed: \(secure.others)")
            return
        }
        #expect(failure.cause == .protocolError)
    }

    @Test(arguments: [
        (404, RTSPFailure.Cause.notFound), (453, .busy), (503, .busy), (403, .unauthorized), (500, .protocolError),
    ])
    func refusalsHaveACause(status: Int, cause: RTSPFailure.Cause) throws {
        var camera = try ScriptedCamera()
        camera.connect()
        camera.answer(200)
        camera.answer(status)
        guard case .failed(let failure) = camera.others.first else {
            Issue.record("not failed: \(camera.others)")
            return
        }
        #expect(failure.cause == cause && failure.description.contains("\(status) words"))
    }

    @Test func aFullCameraIsToldThatWeGo() throws {
        var camera = try ScriptedCamera()
        camera.connect()
        camera.answer(200)
        camera.answer(200, body: twoStreams)
        camera.take(camera.machine.setUp(media: [0, 1], nowNs: 0))
        camera.answer(200, [("Session", "a")])
        camera.answer(453)
        #expect(camera.asked.last?.hasPrefix("TEARDOWN") == true)
    }

    @Test func silenceDuringSetUpEndsIt() throws {
        var camera = try ScriptedCamera()
        camera.connect()
        camera.take(camera.machine.tick(nowNs: RTSPClientMachine.answerNs - 1))
        #expect(camera.others.isEmpty)
        camera.take(camera.machine.tick(nowNs: RTSPClientMachine.answerNs))
        #expect(camera.others == [.failed(RTSPFailure(.silent, "the camera does not answer OPTIONS")), .close])
    }

    @Test func answersToWhatWasNotAskedAreNone() throws {
        var camera = try ScriptedCamera()
        camera.connect()
        camera.answer(200, cseq: "77")
        #expect(camera.asked.count == 1)
        camera.answer(100)
        #expect(camera.asked.count == 1)
        camera.answer(200)
        #expect(camera.asked.count == 2)
    }

    @Test func aCameraThatRefusesOptionsIsDescribedAllTheSame() throws {
        var camera = try ScriptedCamera()
        camera.connect()
        camera.answer(405)
        #expect(camera.asked.last == "DESCRIBE rtsp://camera/main")
    }

    @Test func theSessionMayChangeBetweenSetUps() throws {
        var camera = try ScriptedCamera()
        camera.connect()
        camera.answer(200)
        camera.answer(200, body: twoStreams)
        camera.take(camera.machine.setUp(media: [0, 1], nowNs: 0))
        camera.answer(200, [("Session", "a")])
        #expect(camera.lastRequest?.headers["Session"] == "a")
        camera.answer(200, [("Session", "b")])
        #expect(camera.lastRequest?.headers["Session"] == "b")
    }

    @Test func requestsOfTheCameraAreAnswered() throws {
        var camera = try ScriptedCamera()
        camera.play()
        var headers = RTSPHeaders()
        headers.add("CSeq", "9")
        for (method, status) in [("OPTIONS", 200), ("ANNOUNCE", 501)] {
            let request = RTSPRequest(method: method, uri: "*", headers: headers)
            guard case .send(let bytes) = camera.machine.received(request).first,
                case .response(let response, _) = bytes.withUnsafeBytes(front)
            else {
                Issue.record("no answer to \(method)")
                continue
            }
            #expect(response.status == status && response.cseq == 9)
        }
    }
}
