// How far a session comes, told to whoever follows it.

import FakeCamera
import Foundation
import Synchronization
import Testing

@testable import RTSP

@Suite(.timeLimit(.minutes(1))) struct SessionStepTests {
    private final class Followed: Sendable {
        let steps = Mutex<[SessionStep]>([])
    }

    /// Plays until the session has ended, and gives its steps.
    private func steps(of scenario: Scenario, user: RTSPUser? = nil) async throws -> [SessionStep] {
        let camera = try FakeCamera(scenario)
        let followed = Followed()
        var settings = RTSPSessionSettings.patient
        settings.follow = { step in followed.steps.withLock { $0.append(step) } }
        let viewer = try Viewer(camera.url, user: user, settings: settings)
        _ = await viewer.untilEnd()
        return followed.steps.withLock { $0 }
    }

    @Test func fromTheConnectionToItsEnd() async throws {
        let steps = try await steps(
            of: Scenario([.h264(frames: 20), .pcmu(frames: 20)]) {
                $0.authentication = Authentication([.digest(.md5, qop: true)])
            }, user: RTSPUser(name: "admin", password: "pass:word \"1\""))
        guard case .connected(let address)? = steps.first else { return #expect(Bool(false), "\(steps)") }
        #expect(address.hasPrefix("127.0.0.1:"))
        #expect(steps.dropFirst().first == .asksForUser)
        #expect(
            steps.contains { step in
                if case .described(let description) = step {
                    return description.media.map(\.encoding) == ["H264", "PCMU"]
                }
                return false
            })
        #expect(steps.count { $0 == .media } == 1)
        #expect(steps.last == .disconnected(.closedByPeer))
    }

    @Test func theCamerasClockIsToldAtItsPictures() async throws {
        // 2026-11-30T12:00:00Z.
        let wallS = 1_796_040_000.0
        let steps = try await steps(
            of: Scenario([.h264(frames: 30)]) {
                $0.interjections = [
                    Interjection(.senderReports(wallS: wallS + 2_208_988_800, aheadS: [:]), everyUnits: 5)
                ]
            })
        let times = steps.compactMap { step -> Int64? in
            if case .pictureTime(let wallUs) = step { return wallUs }
            return nil
        }
        #expect(times.count > 20)
        // Each picture has the time of the first one and 40 ms more for each that came before it.
        #expect(times.allSatisfy { (0..<1_200_000).contains($0 - Int64(wallS * 1e6)) }, "\(times)")
        #expect(times == times.sorted())
    }

    @Test func whatIsNoMessageIsShown() async throws {
        let steps = try await steps(
            of: Scenario([.h264(frames: 5)]) { $0.dialect.prelude = Array("SSH-2.0-x\r\n".utf8) })
        #expect(
            steps.contains { if case .noise(let bytes) = $0 { bytes.starts(with: Array("SSH-".utf8)) } else { false } })
    }
}
