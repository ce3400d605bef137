// The common timeline of two tracks.

import Media
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

    @Test func soundWithoutReportsIsWherePlaysAnswerSays() {
        var clock = sound()
        // It arrives with a picture of second 0.86: both had been gathered.
        clock.start(4_000_000_000, timeUs: 860_000, videoZeroWallUs: nil, stated: (3_999_999_200, -100_000))
        #expect(clock.take(4_000_000_000) == 0)
    }

    @Test func reportsAreBelievedBeforePlaysAnswer() {
        var clock = sound()
        clock.note(report(100, 50_000))
        clock.start(58_000, timeUs: 3_200_000, videoZeroWallUs: 98_000_000, stated: (58_000, 3_100_000))
        #expect(clock.take(58_000) == 3 * 8_000)
    }

    @Test func anAnswerFarFromTheArrivalsIsNotBelieved() {
        var clock = sound()
        clock.start(4_000_000_000, timeUs: 500_000, videoZeroWallUs: nil, stated: (3_999_900_000, 0))
        #expect(clock.take(4_000_000_000) == 4_000)
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

    /// With the decoding times -2, -1, 0, ... come the pictures 0, 4, 2, 1, 3, 8: the second cannot have been sent before time 4,
    /// and the others have been sent one picture's time apart from it.
    @Test func reorderedPicturesCameLaterThanTheSoundOfTheirTime() throws {
        let configuration = try Tracks.h264()
        var time: RTSPVideoTime?
        let order: [Int64] = [0, 4, 2, 1, 3, 8]
        let newest = order.enumerated().map { number, shown in
            var picture = MediaPacket.of([0], configuration, ptsTicks: shown * 90_000)
            picture.dtsTicks = Int64(number - 2) * 90_000
            let next = RTSPVideoTime(picture, after: time, zeroWallUs: nil, statedZeroUs: nil)
            time = next
            return next.newestUs / 1_000_000
        }
        #expect(newest == [0, 4, 5, 6, 7, 8])
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
