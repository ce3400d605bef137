// RTCP inside the connection: what the camera says of its clock (case 13), and what it is told of its packets.

import FakeCamera
import Media
import Testing

@testable import RTSP

@Suite(.timeLimit(.minutes(1))) struct ReportCases {
    /// 2024-01-01, in seconds since 1900.
    private let wallS = 3_913_056_000.0

    private func camera(_ interjections: [Interjection]) throws -> FakeCamera {
        try FakeCamera(
            Scenario([
                .h264(frames: 50) { $0.rtp.firstTimestamp = 3_456_789_012 },
                .pcmu(frames: 100) { $0.rtp.firstTimestamp = 4_294_900_000 },
            ]) { $0.interjections = interjections })
    }

    /// Each stream's times begin anywhere; the wall clock says that sound was taken half a second after the pictures.
    @Test(arguments: [0, 0.5, -0.02, 3.25]) func soundIsPlacedByWhatTheSenderSays(aheadS: Double) async throws {
        let camera = try camera([Interjection(.senderReports(wallS: wallS, aheadS: [1: aheadS]), everyUnits: 50)])
        let played = try await play(camera)
        check(played, camera)
        check(played, camera, .audio, stream: 1)
        let first = try #require(played.packets(.audio).first)
        // One sample of 8 kHz is 125 µs.
        #expect(abs(first.ptsUs - Int64(aheadS * 1_000_000)) <= 125)
    }

    /// A wall clock without a clock behind it, or one that is off by hours for one stream, moves nothing.
    @Test(arguments: [7_200, -86_400, 10.0]) func clockThatLiesIsNotBelieved(aheadS: Double) async throws {
        let camera = try camera([Interjection(.senderReports(wallS: wallS, aheadS: [1: aheadS]), everyUnits: 50)])
        let played = try await play(camera)
        check(played, camera)
        check(played, camera, .audio, stream: 1)
        // Farther from the pictures than any network delays it would be the lie.
        #expect(abs(try #require(played.packets(.audio).first).ptsUs) < RTSPTrackClock.maximumDelayUs)
    }

    /// What comes when sound has begun moves nothing that was told.
    @Test func reportThatComesLateMovesNoTimes() async throws {
        let camera = try camera([
            Interjection(.senderReports(wallS: wallS, aheadS: [1: 0.4]), everyUnits: 50, firstUnit: 30)
        ])
        let played = try await play(camera)
        check(played, camera)
        check(played, camera, .audio, stream: 1)
    }

    @Test func cameraThatSaysGoodbyeHasEnded() async throws {
        let camera = try FakeCamera(
            Scenario([.h264(frames: 50)]) {
                $0.pace = .allowed
                $0.interjections = [Interjection(.goodbye, everyUnits: 1_000, firstUnit: 20)]
            })
        camera.allow(units: 21)
        let played = try await play(camera)
        #expect(played.failure?.cause == .silent && played.words.contains("BYE"))
        #expect(played.packets.map { contentHash(kept($0)) } == camera.record.expected().prefix(20).map(\.hash))
        #expect(await camera.until { $0.ended == 1 }.methods().last == "TEARDOWN")
    }

    /// RFC 3550, 6.4.2: how many packets are missing, and the newest number with its rounds, of this source.
    @Test func cameraIsToldWhatWasLost() async throws {
        let lost = [3, 10, 11, 50]
        let camera = try FakeCamera(
            Scenario([
                // One packet each.
                .h264(frames: 200) {
                    $0.frameBytes = { _ in 200 }
                    $0.parameterSets = [.description]
                    $0.rtp.firstSequence = 65_500
                    $0.rtp.ssrc = 0xC0FF_EE00
                    $0.rtp.leavesOut = { lost.contains($0) }
                    $0.rtp.repeats = { $0 % 7 == 0 }
                }
            ]) { $0.pace = .allowed })
        camera.allow(units: 100)
        let viewer = try Viewer(camera.url)
        await viewer.until(packets: 96)
        viewer.tick(secondsFromNow: 6)
        let report = try #require(await camera.until { !$0.reports.isEmpty }.reports.last)
        let bytes = report.bytes
        #expect(report.channel == 1 && bytes.count >= 32)
        guard bytes.count >= 32 else { return }
        func number(_ place: Range<Int>) -> Int { bytes[place].reduce(0) { $0 << 8 | Int($1) } }
        #expect(bytes[0] == 0x81 && bytes[1] == 201)
        #expect(number(8..<12) == 0xC0FF_EE00)
        #expect(number(13..<16) == lost.count)
        #expect(number(16..<20) == 65_500 + 99)
    }
}
