// Connections that begin badly and end badly (cases 1, 2, 3, 6, 9, 23).

import FakeCamera
import Testing

@testable import RTSP

@Suite(.timeLimit(.minutes(1))) struct SessionCases {
    /// Case 1 (frigate#1713, lightNVR#59).
    @Test func cameraThatRebootsInsideAGroupOfPicturesAndComesBackWithNumbersFromZero() async throws {
        let before = Scenario([.h264(frames: 200)]) { $0.faults = [.resetsAfter(units: 31)] }
        let after = Scenario([
            .h264(frames: 40) {
                $0.rtp.ssrc = 0x77
                $0.rtp.firstSequence = 0
                $0.rtp.firstTimestamp = 0
            }
        ])
        let camera = try FakeCamera(before, after)
        let first = try await play(camera)
        check(first, camera)
        #expect(first.packets.count == 31)
        #expect(first.failure?.cause == .silent && first.words.hasPrefix("the connection to the camera broke"))
        camera.listen(false)
        await camera.until { !$0.isListening }
        let meanwhile = try await play(camera)
        #expect(meanwhile.failure?.cause == .refused && meanwhile.packets.isEmpty)
        camera.listen(true)
        await camera.until { $0.isListening }
        let second = try await play(camera)
        check(second, camera, session: 1)
        #expect(second.packets.count == 40)
    }

    /// Case 2 (crumbvms#71): the connection stays, and nothing comes.
    @Test func cameraThatDiesSilentlyIsNoticedByTheAgeOfItsLastPacket() async throws {
        let camera = try FakeCamera(Scenario([.h264(frames: 200)]) { $0.faults = [.fallsSilentAfter(units: 20)] })
        let viewer = try Viewer(camera.url, settings: RTSPSessionSettings())
        await viewer.until(packets: 20)
        check(viewer.played, camera)
        viewer.tick(secondsFromNow: 6)
        let played = await viewer.untilEnd()
        #expect(played.failure == RTSPFailure(.silent, "no picture came for 5000 ms"))
    }

    @Test(arguments: ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"])
    func cameraThatNeverAnswersIsGivenUp(method: String) async throws {
        let camera = try FakeCamera(Scenario([.h264()]) { $0.faults = [.neverAnswers(method)] })
        let viewer = try Viewer(camera.url)
        await camera.until { $0.requests.last?.method == method }
        viewer.tick(secondsFromNow: 11)
        let played = await viewer.untilEnd()
        #expect(played.failure == RTSPFailure(.silent, "the camera does not answer \(method)"))
        // With a session, the camera is told that it is over.
        let record = await camera.until { $0.ended == 1 }
        #expect((record.methods().last == "TEARDOWN") == (method == "PLAY"))
    }

    @Test(arguments: ["DESCRIBE", "SETUP", "PLAY"])
    func cameraThatBreaksOffInsideAnAnswerIsSaidToHaveClosed(method: String) async throws {
        let camera = try FakeCamera(Scenario([.h264()]) { $0.faults = [.answersHalf(method)] })
        let played = try await play(camera)
        #expect(played.failure == RTSPFailure(.silent, "the camera ended the connection") && played.packets.isEmpty)
    }

    /// Case 3 (go2rtc#257).
    @Test func cameraThatIsAwayAtFirstAndAppearsLater() async throws {
        let camera = try FakeCamera(Scenario([.h264(frames: 30)]))
        camera.listen(false)
        await camera.until { !$0.isListening }
        for _ in 0..<3 {
            let played = try await play(camera)
            #expect(
                played.failure
                    == RTSPFailure(.refused, "connection refused at 127.0.0.1:\(RTSPURL(camera.url)?.port ?? 0)"))
        }
        camera.listen(true)
        await camera.until { $0.isListening }
        check(try await play(camera), camera)
    }

    /// Case 3 (mediamtx#4210): nobody starves on one thread.
    @Test func twoHundredCamerasThatStartTogether() async throws {
        let camera = try FakeCamera(Scenario([.h264(frames: 5) { $0.frameBytes = { _ in 300 } }]))
        let loop = try SocketLoop(name: "many")
        defer { loop.stop() }
        let viewers = try (0..<200).map { _ in try Viewer(camera.url, loop: loop) }
        for viewer in viewers {
            let played = await viewer.untilEnd()
            #expect(played.packets.count == 5 && played.words == "the camera ended the connection")
        }
        #expect(camera.record.units.count == 1_000)
    }

    /// Case 6 (unifi-cam-proxy#340): a full camera is left alone until its old session is over; then it serves.
    @Test(arguments: [("SETUP", 453), ("SETUP", 503), ("PLAY", 453), ("DESCRIBE", 503)])
    func cameraWithoutRoomForASessionIsSaidToBeBusy(method: String, status: Int) async throws {
        let full = Scenario([.h264(frames: 20)]) { $0.dialect.refuses = [method: status] }
        let camera = try FakeCamera(full, Scenario([.h264(frames: 20)]))
        let played = try await play(camera)
        #expect(played.failure?.cause == .busy && played.words.contains("\(status)"))
        check(try await play(camera), camera, session: 1)
    }

    /// Case 6: cameras with a few sessions only keep an abandoned one for a minute.
    @Test func sessionThatIsEndedHereIsTornDown() async throws {
        let camera = try FakeCamera(
            Scenario([.h264(frames: 100), .pcmu(frames: 100)]) {
                $0.pace = .allowed
                $0.dialect.sessions = ["A", "B"]
            })
        let viewer = try Viewer(camera.url)
        camera.allow(units: 10)
        await viewer.until(packets: 5)
        viewer.stop()
        let played = await viewer.untilEnd()
        #expect(played.failure == nil)
        let record = await camera.until { $0.ended == 1 }
        let last = try #require(record.requests.last)
        #expect(last.method == "TEARDOWN" && last.status == 200 && last.headers["session"] == "B")
    }

    /// Case 9: the way is told, and the user with it works there too.
    @Test(arguments: [301, 302, 303])
    func redirectIsFollowedWithTheSameUser(status: Int) async throws {
        let there = try FakeCamera(Scenario([.h264(frames: 20)]) { $0.authentication = Authentication([.basic]) })
        let here = try FakeCamera(Scenario([.h264()]) { $0.dialect.redirect = (status, there.url) })
        let user = RTSPUser(name: "admin", password: "pass:word \"1\"")
        let first = try await play(here, user: user)
        #expect(first.failure == nil && first.packets.isEmpty)
        let target = try #require(first.redirected)
        #expect(target.text == there.url)
        check(try await Viewer(target.text, user: user).untilEnd(), there)
    }

    /// Case 9: not from TLS to plain text; the credentials would be seen.
    @Test func redirectOutOfTLSIsRefused() throws {
        let url = try #require(RTSPURL("rtsps://camera/main"))
        #expect(url.redirected(to: "rtsp://camera/main") == nil)
        #expect(url.redirected(to: "rtsps://other/main")?.host == "other")
        #expect(RTSPURL("rtsp://camera/main")?.redirected(to: "rtsps://camera/main")?.isSecure == true)
    }

    /// Case 23 (lightNVR#315), as far as it concerns the camera: each session is whole and none is left behind.
    @Test func restartStormLeavesNoSessionBehind() async throws {
        let camera = try FakeCamera(Scenario([.h264(frames: 1_000)]) { $0.pace = .allowed })
        camera.allow(units: 13)
        for session in 0..<20 {
            let viewer = try Viewer(camera.url)
            await viewer.until(packets: 13)
            viewer.stop()
            check(await viewer.untilEnd(), camera, session: session)
        }
        let record = await camera.until { $0.ended == 20 }
        #expect(record.requests.filter { $0.method == "TEARDOWN" && $0.status == 200 }.count == 20)
    }
}
