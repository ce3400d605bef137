// Numbers and times of RTP that wrap, jump, freeze and drift (cases 10 over TCP, 11, 12, 14).

import FakeCamera
import Media
import Testing

@testable import RTSP

@Suite(.timeLimit(.minutes(1))) struct TimeCases {
    /// Case 11.
    @Test func sequenceAndTimestampWrapInOneGroupOfPictures() async throws {
        let (played, _) = try await playAndCheck(
            Scenario([
                .h264(frames: 60) {
                    $0.rtp.firstSequence = 65_500
                    $0.rtp.firstTimestamp = 0xFFFF_0000
                }
            ]))
        #expect(played.counters.packetsLost == 0)
        #expect(!played.packets.contains { $0.startsNewTimeline })
    }

    @Test func sourceThatChangesInTheMiddleAndGoesOnCounting() async throws {
        try await playAndCheck(Scenario([.h264(frames: 60) { $0.rtp.ssrcChanges = [24: 0xBEEF] }]))
    }

    /// An encoder that restarts: another source, another numbering, another time. Its numbering is believed with its second
    /// packet, so a picture is lost where it begins, and is counted.
    @Test(arguments: [20_000, -20_000])
    func sourceThatRestarts(jump: Int) async throws {
        let camera = try FakeCamera(
            Scenario([
                .h264(frames: 60) {
                    $0.parameterSets = [.description]
                    $0.rtp.ssrcChanges = [24: 0xBEEF]
                    $0.rtp.sequenceJumps = [24: jump]
                    $0.rtp.timestampJumps = [24: 1_000_000_000]
                }
            ]))
        let played = try await play(camera)
        check(played, camera, areTimesExact: false)
        // No other picture is lost.
        let came = Set(played.packets.map { contentHash(kept($0)) })
        #expect(camera.record.expected().filter { !came.contains($0.hash) }.map(\.number).allSatisfy { $0 == 24 })
        #expect(played.packets.filter(\.startsNewTimeline).count == 1)
    }

    /// Case 12 (Savant#182, frigate#6499).
    @Test(arguments: [Int64(3_600), -10, -3_600, 40_000])
    func timestampsThatJumpBeginANewTimelineAndLoseNothing(seconds: Int64) async throws {
        let (played, _) = try await playAndCheck(
            Scenario([.h264(frames: 60) { $0.rtp.timestampJumps = [24: seconds * 90_000] }]), areTimesExact: false)
        let breaks = played.packets.indices.filter { played.packets[$0].startsNewTimeline }
        #expect(breaks == [24])
        #expect(shortest(played) == 3_600)
    }

    /// Case 12: the camera's clock is set while it runs, by less than a new timeline needs.
    @Test(arguments: [Int64(5), -1]) func timestampsThatStepALittleLoseNothing(tenths: Int64) async throws {
        try await playAndCheck(
            Scenario([.h264(frames: 60) { $0.rtp.timestampJumps = [24: tenths * 9_000] }]), areTimesExact: false)
    }

    /// Case 12: times go to 0 with the same source and the same numbering.
    @Test func timestampsThatBeginAgainAtZero() async throws {
        let (played, _) = try await playAndCheck(
            Scenario([
                .h264(frames: 60) {
                    $0.rtp.firstTimestamp = 3_000_000_000
                    $0.rtp.timestampJumps = [30: -(3_000_000_000 + 30 * 3_600)]
                }
            ]), areTimesExact: false)
        #expect(played.packets.filter(\.startsNewTimeline).count == 1)
        #expect(shortest(played) == 3_600)
    }

    /// Case 12: ten pictures with one time. The marker tells them apart.
    @Test func timestampsThatFreeze() async throws {
        let (played, _) = try await playAndCheck(
            Scenario([.h264(frames: 60) { $0.rtp.frozenUnits = 20..<30 }]), areTimesExact: false)
        #expect(shortest(played) >= 900)
    }

    /// The shortest distance between decoding times of one timeline, in ticks.
    private func shortest(_ played: Played) -> Int64 {
        zip(played.packets, played.packets.dropFirst()).filter { !$1.startsNewTimeline }
            .map { $1.dtsTicks - $0.dtsTicks }.min() ?? 0
    }

    /// Case 14 (moonfire#350), RTP's part: a day of a clock that is 500 ppm fast, through two wraps, is kept to the tick. What the
    /// host's clock makes of it is not decided here.
    @Test func dayOfAFastClockIsKeptToTheTick() throws {
        var reader = try #require(RTSPTrackReader(MediaDescriptionFixture.h264, isInOrder: true, ssrc: 1))
        let slice = [UInt8(0x65), 0x88] + [UInt8](repeating: 0x30, count: 30)
        var last: Int64?
        var first: Int64?
        var count = 0
        // A picture each ten seconds.
        for number in 0..<8_640 {
            let second = number * 10
            let exact = (Double(second) * 90_000 * 1.0005).rounded()
            let packet = rtp(
                slice, sequence: UInt16(truncatingIfNeeded: number),
                timestamp: UInt32(truncatingIfNeeded: Int64(exact)),
                marker: true)
            packet.withUnsafeBytes { bytes in
                _ = reader.take(bytes, arrivalNs: Int64(second) * 1_000_000_000, video: nil) { made in
                    if last.map({ made.ptsTicks > $0 }) ?? true { count += 1 }
                    first = first ?? made.ptsTicks
                    last = made.ptsTicks
                }
            }
        }
        #expect(count == 8_640)
        let spanTicks = try #require(last) - (try #require(first))
        #expect(spanTicks == Int64((86_390.0 * 90_000 * 1.0005).rounded()))
    }

    // MARK: Loss (case 10, with the packets in a connection)

    /// No picture that lost a packet is passed off as whole, and no other is lost.
    @Test(arguments: 1...6) func picturesThatLostPacketsAreLeftOutAndNoOthers(seed: Int) async throws {
        let camera = try FakeCamera(
            Scenario([
                .h264(frames: 200) {
                    $0.parameterSets = [.description]
                    $0.rtp.firstSequence = 65_000
                    $0.rtp.leavesOut = { ($0 &* 2_654_435_761 &+ seed &* 97) >> 7 % 53 == 0 }
                }
            ]))
        let played = try await play(camera)
        check(played, camera)
        let lost = camera.record.units.filter(\.isLost).count
        #expect(lost > 5 && played.counters.unitsTorn >= 1 && played.counters.packetsLost >= 1)
    }

    @Test func burstsOfLossTakeWholeGroupsOfPictures() async throws {
        let camera = try FakeCamera(
            Scenario([
                .h265(frames: 200) {
                    $0.parameterSets = [.description]
                    $0.rtp.leavesOut = { (100..<190).contains($0) || (300..<303).contains($0) }
                }
            ]))
        let played = try await play(camera)
        check(played, camera)
        #expect(played.counters.packetsLost == 93)
    }

    @Test func packetsThatComeTwice() async throws {
        let (played, _) = try await playAndCheck(
            Scenario([
                .h264(frames: 60) { $0.rtp.repeats = { $0 % 3 == 0 } },
                .pcmu(frames: 60) { $0.rtp.repeats = { _ in true } },
            ]))
        #expect(played.counters.packetsLost == 0 && played.packets(.audio).count <= 60)
    }
}

/// Descriptions for readers without a session.
enum MediaDescriptionFixture {
    static var h264: MediaDescription {
        let text =
            "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
            + "a=fmtp:96 sprop-parameter-sets=Z0LADdkBQfsBEAAAAwAQAAADAyDxQqSA,aMuDyyA=\r\n"
        return SessionDescription(Array(text.utf8)).media[0]
    }
}
