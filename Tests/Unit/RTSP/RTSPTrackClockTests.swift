// The common timeline of two tracks.

import Testing

@testable import RTSP

struct RTSPTrackClockTests {
    /// A sender's report: wall time in seconds and a timestamp.
    private func report(_ seconds: UInt64, _ timestamp: UInt32) -> RTCPPacket.SenderReport {
        RTCPPacket.SenderReport(ssrc: 1, ntp: seconds << 32, rtpTimestamp: timestamp, packets: 0)
    }

    private func sound() -> RTSPTrackClock { RTSPTrackClock(rateHz: 8_000) }

    @Test func theFirstPictureIsTimeZeroWhereverItsTimestampsBegin() {
        var clock = RTSPTrackClock(rateHz: 90_000)
        clock.start(origin: 0xFFFF_FF00)
        #expect(clock.take(0xFFFF_FF00) == 0)
        #expect(clock.take(0x0000_0D10) == 3_600)
    }

    @Test func soundIsWhereTheSendersReportsSay() {
        var picture = RTSPTrackClock(rateHz: 90_000)
        picture.start(origin: 1_000)
        // Second 100 is 2 s after the first picture, and timestamp 50,000 of the sound.
        picture.note(report(100, 181_000))
        #expect(picture.zeroWallUs == 98_000_000)
        var clock = sound()
        clock.note(report(100, 50_000))
        clock.start(58_000, timeUs: 3_200_000, videoZeroWallUs: picture.zeroWallUs)
        #expect(clock.take(58_000) == 3 * 8_000)
    }

    @Test func theFractionOfASecondInAReportCounts() {
        var picture = RTSPTrackClock(rateHz: 90_000)
        picture.start(origin: 0)
        // A quarter of a second.
        picture.note(RTCPPacket.SenderReport(ssrc: 1, ntp: 100 << 32 | 0x4000_0000, rtpTimestamp: 90_000, packets: 0))
        #expect(picture.zeroWallUs == 99_250_000)
    }

    @Test func soundWithoutReportsIsWhereItArrives() {
        var clock = sound()
        clock.start(4_000_000_000, timeUs: 500_000, videoZeroWallUs: nil)
        #expect(clock.take(4_000_000_000) == 4_000)
        #expect(clock.take(4_000_000_160) == 4_160)
    }

    @Test(arguments: [UInt64(7), 1_000_000])
    func reportsThatLieByHoursAreNotBelieved(seconds: UInt64) {
        var clock = sound()
        clock.note(report(seconds, 50_000))
        clock.start(58_000, timeUs: 3_200_000, videoZeroWallUs: 98_000_000)
        #expect(clock.take(58_000) == 25_600)
    }

    @Test func aSenderWithoutAClockIsNotAsked() {
        var clock = RTSPTrackClock(rateHz: 90_000)
        clock.start(origin: 0)
        clock.note(report(0, 90_000))
        #expect(clock.zeroWallUs == nil)
    }

    @Test func aNumberingThatBeginsAnewJumps() {
        var clock = RTSPTrackClock(rateHz: 90_000)
        clock.start(origin: 5)
        _ = clock.take(90_005)
        clock.jump()
        #expect(clock.take(77) == 90_000 + 3_600 * 90_000)
        #expect(clock.take(77 + 3_600) == 93_600 + 3_600 * 90_000)
    }
}
