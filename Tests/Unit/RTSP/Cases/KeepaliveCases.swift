// Telling the camera that we are still there, by what each of them understands (case 5; html5_rtsp_player#73, mediamtx#842,
// go2rtc PR#2409), and its own requests.

import FakeCamera
import Testing

@testable import RTSP

@Suite(.timeLimit(.minutes(1))) struct KeepaliveCases {
    struct Camera: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let change: @Sendable (inout Scenario) -> Void
        /// The requests after PLAY, once the first keepalive is due.
        let keepalives: [String]
        var dueS: Int64 = 31

        init(
            _ name: String, keepalives: [String], dueS: Int64 = 31,
            _ change: @escaping @Sendable (inout Scenario) -> Void
        ) {
            (testDescription, self.keepalives, self.dueS, self.change) = (name, keepalives, dueS, change)
        }
    }

    static let cameras = [
        Camera("understands only GET_PARAMETER", keepalives: ["GET_PARAMETER"]) {
            $0.dialect.publicMethods = "DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"
        },
        Camera("understands only OPTIONS", keepalives: ["OPTIONS"]) {
            $0.dialect.publicMethods = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"
        },
        Camera("understands only SET_PARAMETER", keepalives: ["GET_PARAMETER", "OPTIONS", "SET_PARAMETER"]) {
            $0.dialect.publicMethods = "OPTIONS, SETUP, GET_PARAMETER, SET_PARAMETER"
            $0.dialect.refuses = ["GET_PARAMETER": 405]
            $0.dialect.refusesLater = ["OPTIONS": 501]
        },
        Camera("names GET_PARAMETER and refuses it with 405", keepalives: ["GET_PARAMETER", "OPTIONS"]) {
            $0.dialect.refuses = ["GET_PARAMETER": 405]
        },
        Camera("names GET_PARAMETER and refuses it with 501", keepalives: ["GET_PARAMETER", "OPTIONS"]) {
            $0.dialect.refuses = ["GET_PARAMETER": 501]
        },
        Camera("closes on what it does not name", keepalives: ["OPTIONS"]) {
            $0.dialect.publicMethods = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"
            $0.faults = [.closesOn("GET_PARAMETER"), .closesOn("SET_PARAMETER")]
        },
        Camera("names no methods", keepalives: ["OPTIONS"]) { $0.dialect.publicMethods = nil },
        Camera("session of forty seconds", keepalives: ["GET_PARAMETER"], dueS: 21) {
            $0.dialect.sessionTail = ";timeout=40"
        },
        Camera("says nothing of a time-out", keepalives: ["GET_PARAMETER"]) { $0.dialect.sessionTail = "" },
        Camera("time-out behind spaces", keepalives: ["GET_PARAMETER"], dueS: 21) {
            $0.dialect.sessionTail = " ; Timeout = 40"
        },
    ]

    /// SET_PARAMETER is the last resort; the order of the others is the server's naming.
    @Test(arguments: cameras) func sessionIsKeptAliveByWhatTheCameraUnderstands(camera kind: Camera) async throws {
        let camera = try FakeCamera(
            Scenario([.h264(frames: 60)]) {
                $0.pace = .allowed
                kind.change(&$0)
            })
        camera.allow(units: 20)
        let viewer = try Viewer(camera.url)
        await viewer.until(packets: 20)
        viewer.tick(secondsFromNow: kind.dueS / 2)
        viewer.tick(secondsFromNow: kind.dueS)
        let asked = kind.keepalives.count
        let record = await camera.until { $0.methods().drop { $0 != "PLAY" }.count == 1 + asked }
        #expect(Array(record.methods().drop { $0 != "PLAY" }.dropFirst()) == kind.keepalives)
        #expect(record.requests.suffix(asked).allSatisfy { $0.headers["session"] == "5EED1234" })
        camera.allow(units: 40)
        check(await viewer.untilEnd(), camera)
    }

    /// The answer lies among the packets of pictures.
    @Test func answerInsideABurstOfPackets() async throws {
        let camera = try FakeCamera(Scenario([.h264(frames: 400)]) { $0.pace = .allowed })
        camera.allow(units: 1)
        let viewer = try Viewer(camera.url)
        await viewer.until(packets: 1)
        for number in 1...8 {
            camera.allow(units: 49)
            viewer.tick(secondsFromNow: Int64(number) * 31)
            await camera.until { $0.methods().filter { $0 == "GET_PARAMETER" }.count == number }
        }
        camera.allow(units: 49)
        let played = await viewer.untilEnd()
        check(played, camera)
        #expect(played.counters.noiseBytes == 0)
    }

    @Test func cameraThatNeverAnswersKeepalivesIsKept() async throws {
        let camera = try FakeCamera(
            Scenario([.h264(frames: 60)]) {
                $0.pace = .allowed
                $0.faults = [.neverAnswers("GET_PARAMETER")]
            })
        camera.allow(units: 20)
        let viewer = try Viewer(camera.url)
        await viewer.until(packets: 20)
        for seconds in stride(from: Int64(31), through: 200, by: 11) { viewer.tick(secondsFromNow: seconds) }
        await camera.until { $0.methods().filter { $0 == "GET_PARAMETER" }.count >= 3 }
        camera.allow(units: 40)
        check(await viewer.untilEnd(), camera)
    }

    @Test func sessionThatTheCameraLostIsSaid() async throws {
        let camera = try FakeCamera(
            Scenario([.h264(frames: 60)]) {
                $0.pace = .allowed
                $0.dialect.refuses = ["GET_PARAMETER": 454]
            })
        camera.allow(units: 20)
        let viewer = try Viewer(camera.url)
        await viewer.until(packets: 20)
        viewer.tick(secondsFromNow: 31)
        let played = await viewer.untilEnd()
        #expect(played.failure?.cause == .protocolError && played.words.hasPrefix("the camera lost the session"))
    }

    /// Requests of the camera, some with a body, between pictures.
    @Test(arguments: [("OPTIONS", "", 200), ("SET_PARAMETER", "position: 5\r\n", 200), ("ANNOUNCE", "v=0\r\n", 501)])
    func requestsOfTheCameraAreAnswered(method: String, body: String, status: Int) async throws {
        let camera = try FakeCamera(
            Scenario([.h264(frames: 60)]) {
                $0.interjections = [Interjection(.request(method, body: body), everyUnits: 20)]
            })
        let viewer = try Viewer(camera.url)
        await viewer.until(packets: 60)
        check(viewer.played, camera)
        // After the camera's end it reads no more; what was answered by then is right and in order.
        let answers = camera.record.answers
        #expect(answers.allSatisfy { $0.status == status })
        #expect(answers.map(\.cseq) == (1...3).prefix(answers.count).map(String.init))
    }
}
