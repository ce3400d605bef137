// The camera of the cases itself: what it says about what it sent must be right, or the verdicts mean nothing.

import FakeCamera
import Media
import Testing

@testable import RTSP

@Suite(.timeLimit(.minutes(1))) struct FakeCameraTests {
    /// What each of its scenarios does at its beginning, or instead of one.
    @Test(arguments: Scenario.names.map(\.name)) func namedScenarioDoesWhatItPromises(name: String) async throws {
        var scenario = try #require(Scenario.named(name, user: ("u", "p:q")))
        #expect(scenario.pace == .realTime && scenario.atEnd == .stays)
        scenario.pace = .allowed
        let camera = try FakeCamera(scenario)
        camera.allow(units: 200)
        let viewer = try Viewer(camera.url, user: RTSPUser(name: "u", password: "p:q"))
        if name == "mute" {
            await camera.until { $0.methods().last == "SETUP" }
            viewer.tick(secondsFromNow: 11)
        } else {
            await viewer.until(packets: 50)
            viewer.stop()
        }
        let played = await viewer.untilEnd()
        switch name {
        case "busy": #expect(played.failure?.cause == .busy)
        case "mute": #expect(played.failure?.cause == .silent)
        default:
            #expect(played.failure == nil && played.packets.count >= 50)
            let sent = Set(camera.record.expected().map(\.hash))
            #expect(played.packets(.video).allSatisfy { sent.contains(contentHash(kept($0))) })
        }
    }

    @Test func nameThatNobodyKnowsIsNone() { #expect(Scenario.named("perfect") == nil) }

    /// At the pace of a camera: five pictures take 160 ms, whatever the machine does.
    @Test func cameraAtItsOwnPaceLeavesNothingOut() async throws {
        try await playAndCheck(Scenario([.h264(frames: 5), .pcmu(frames: 8)]) { $0.pace = .realTime })
    }

    @Test func unitThatLostAPacketIsDeclaredLost() async throws {
        let camera = try FakeCamera(
            Scenario([
                .h264(frames: 5) {
                    $0.parameterSets = [.description]
                    $0.frameBytes = { _ in 3_000 }
                    $0.rtp.leavesOut = { $0 == 4 }
                }
            ]))
        _ = try await play(camera)
        #expect(camera.record.units.map(\.isLost) == [false, true, false, false, false])
    }

    @Test func stampTellsATornUnit() throws {
        var content = [UInt8](repeating: 0x41, count: 9)
        #expect(FrameStamp.number(in: content) == nil)
        content = [UInt8](repeating: 0x41, count: 100)
        #expect(FrameStamp.number(in: content) == nil)
    }

    /// The verdict itself: another byte, another order, a unit more or less, another time and another kind are seen.
    @Test func verdictSeesWhatIsWrong() async throws {
        let camera = try FakeCamera(Scenario([.h264(frames: 10)]))
        let packets = try await play(camera).packets
        let sent = camera.record.expected()
        func complaint(_ change: (inout [MediaPacket]) -> Void) -> String {
            var changed = packets
            change(&changed)
            return complaints(changed, sent, areTimesExact: true).joined()
        }
        #expect(complaint { _ in } == "")
        var bytes = packets[4].bytes.array
        bytes[100] ^= 1
        #expect(complaint { $0[4].bytes = PacketBytes(bytes) } == "1 missing: [4]; not as sent, by place: [4]")
        #expect(complaint { $0.swapAt(3, 4) }.hasPrefix("out of order"))
        #expect(complaint { $0.append($0[9]) }.hasPrefix("out of order, or twice"))
        #expect(complaint { $0.remove(at: 7) }.hasPrefix("1 missing: [7]"))
        #expect(complaint { $0[6].ptsTicks += 1 } == "times are not those that were sent: [6]")
        #expect(complaint { $0[6].dtsTicks = 0 }.hasPrefix("decoding times do not grow"))
        #expect(complaint { $0[6].isKeyframe = true }.hasPrefix("keyframes"))
        #expect(complaints(packets, [], areTimesExact: true) == ["nothing was sent"])
    }
}
