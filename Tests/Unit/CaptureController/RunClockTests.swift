// The map from media to wall time and what it is made from, by themselves.
import Testing
import Wire

@testable import CaptureController
@testable import Media

struct RunClockTests {
    private static let wallUs: Int64 = 1_700_000_000_000_000

    /// Versions that begin at 0, 100 and 200 s with 0, 500 and -500 ppm.
    private func bent() throws -> RunClock {
        var clock = RunClock(MediaAnchor(mediaUs: 0, wallUs: Self.wallUs))
        clock.estimate = ClockEstimate(mediaUs: 0, wallUs: Self.wallUs, slowPpm: 1000)
        #expect(clock.bend(atMediaUs: 100_000_000, lengthUs: 60_000_000)?.ratePpm == 500)
        clock.estimate = ClockEstimate(mediaUs: 100_000_000, wallUs: Self.wallUs + 100_000_000, slowPpm: -1000)
        #expect(clock.bend(atMediaUs: 200_000_000, lengthUs: 60_000_000)?.ratePpm == -500)
        return clock
    }

    @Test func aVersionBeginsWhereTheOneBeforeHasArrived() throws {
        let clock = try bent()
        #expect(clock.anchor(ofMediaUs: 100_000_000).wallUs == Self.wallUs + 100_000_000)
        #expect(clock.anchor(ofMediaUs: 200_000_000).wallUs == Self.wallUs + 200_050_000)
        #expect(clock.anchor(ofMediaUs: 99_999_999).version == 1)
        #expect(clock.anchor(ofMediaUs: 199_999_999).version == 2)
        #expect(clock.anchor(ofMediaUs: .max).version == 3)
        #expect(clock.wallUs(ofMediaUs: 300_000_000) == Self.wallUs + 300_000_000)
        var last = Int64.min
        for media in stride(from: Int64(99_990_000), to: 200_010_000, by: 997) {
            let us = clock.wallUs(ofMediaUs: media)
            #expect(us > last)
            last = us
        }
    }

    @Test func wallTimeLeadsBackToTheFirstMediaTimeThatIsShownThen() throws {
        let clock = try bent()
        for media in stride(from: Int64(-5_000_000), to: 400_000_000, by: 333_667) {
            let us = clock.wallUs(ofMediaUs: media)
            let back = clock.mediaUs(ofWallUs: us)
            #expect(clock.wallUs(ofMediaUs: back) == us && back <= media)
        }
        #expect(clock.mediaUs(ofWallUs: .min) == .min)
        #expect(clock.mediaUs(ofWallUs: .max) == .max)
    }

    @Test func nothingIsBentWithoutAReasonOrTwiceWithinTenSeconds() {
        var clock = RunClock(MediaAnchor(mediaUs: 0, wallUs: 0))
        #expect(clock.bend(atMediaUs: 60_000_000, lengthUs: 60_000_000) == nil)
        clock.estimate = ClockEstimate(mediaUs: 0, wallUs: 9_000, slowPpm: 10)
        #expect(clock.bend(atMediaUs: 9_999_999, lengthUs: 0) == nil, "9.7 ms at the end of a minute")
        clock.estimate = ClockEstimate(mediaUs: 0, wallUs: 9_000, slowPpm: 100)
        #expect(clock.bend(atMediaUs: 9_999_999, lengthUs: 0) == nil)
        #expect(clock.bend(atMediaUs: 10_000_000, lengthUs: 0)?.version == 2)
        #expect(clock.bend(atMediaUs: 15_000_000, lengthUs: 0) == nil)
    }

    @Test func theVersionsThatAreKeptAreBounded() {
        var clock = RunClock(MediaAnchor(mediaUs: 0, wallUs: 0))
        for number in Int64(1)...300 {
            clock.estimate = ClockEstimate(
                mediaUs: 0, wallUs: number % 2 == 0 ? 900_000 : -900_000, slowPpm: 0)
            _ = clock.bend(atMediaUs: number * 20_000_000, lengthUs: 0)
        }
        #expect(clock.newest.version == 301)
        #expect(clock.anchor(ofMediaUs: 0).version == UInt32(301 - RunClock.mostVersions))
    }

    /// A file that a killed recorder left is dated by its own anchor alone; a bent one gives its end too.
    @Test func aSalvagedFileOfABentClockEndsWhereTheNextOneBegan() throws {
        let clock = try bent()
        var info = SegmentInfo(device: "d", endpoint: "e", runID: "r")
        info.anchor = clock.anchor(ofMediaUs: 100_000_000)
        info.mediaStartUs = 100_000_000
        var salvage = MP4Salvage()
        salvage.info = info
        salvage.videoFrames = 2500
        salvage.timescale = 1_000_000
        salvage.endTicks = 100_000_000
        #expect(salvage.finalInfo?.endUs == clock.anchor(ofMediaUs: 200_000_000).wallUs)
    }
}

struct ArrivalWatchTests {
    /// Ten pictures a second for `seconds`; `delayUs` by monotonic time.
    private func watch(
        _ seconds: Int64, fastPpm: Int64 = 0, hostUs: (Int64) -> Int64 = { _ in 0 }, delayUs: (Int64) -> Int64
    ) -> ArrivalWatch {
        var watch = ArrivalWatch()
        for us in stride(from: Int64(0), to: seconds * 1_000_000, by: 100_000) {
            watch.packet(
                mediaUs: us + us / 1_000_000 * fastPpm, arrivalUs: us + delayUs(us), hostOffsetUs: hostUs(us))
        }
        return watch
    }

    @Test func saysNothingBeforeThreeWindowsAreOver() {
        #expect(watch(30) { _ in 0 }.estimate == nil)
        #expect(watch(31) { _ in 0 }.estimate?.slowPpm == 0)
    }

    @Test func onlyTheLeastDelayedOfAWindowCounts() throws {
        let estimate = try #require(watch(200, fastPpm: 300) { $0 % 5_000_000 == 0 ? 2_000 : 80_000 }.estimate)
        #expect(abs(estimate.slowPpm + 300) < 1)
        #expect(abs(estimate.wallUs(ofMediaUs: 200_060_000) - 200_002_000) < 500)
    }

    @Test func windowsThatCameLateAsAWholeDoNotCount() throws {
        let estimate = try #require(watch(320) { (150_000_000..<280_000_000).contains($0) ? 900_000 : 0 }.estimate)
        #expect(abs(estimate.slowPpm) < 1)
        #expect(abs(estimate.wallUs(ofMediaUs: 320_000_000) - 320_000_000) < 500)
    }

    @Test func whatComesEarlierThanItMayCountsAtOnce() throws {
        let estimate = try #require(watch(320) { $0 < 300_000_000 ? 400_000 : 0 }.estimate)
        #expect(estimate.wallUs(ofMediaUs: 315_000_000) <= 315_000_000)
    }

    @Test func aCameraWhoseTimeStandsStillGivesNoEstimate() {
        var watch = ArrivalWatch()
        for second in Int64(0)..<100 { watch.packet(mediaUs: 7, arrivalUs: second * 1_000_000, hostOffsetUs: 0) }
        #expect(watch.estimate == nil)
    }

    @Test func anyTimesFit() {
        var watch = ArrivalWatch()
        for (number, media) in [Int64.max, .min, 0, .max, 1, .min].enumerated() {
            watch.packet(mediaUs: media, arrivalUs: Int64(number) * 20_000_000, hostOffsetUs: .max)
        }
        #expect(watch.estimate != nil)
    }
}

struct HostClockTests {
    @Test func aStepIsSeenAtTheSecondLook() {
        var host = HostClock()
        #expect(host.look(wallUs: 1_000_000_000, nowUs: 0) == nil)
        #expect(host.look(wallUs: 1_000_500_000, nowUs: 0) == nil, "what may be bent away is no step")
        #expect(host.look(wallUs: 1_004_500_000, nowUs: 1_000_000) == nil)
        #expect(host.look(wallUs: 1_004_525_000, nowUs: 1_025_000) == 3_000_000)
        #expect(host.look(wallUs: 1_004_550_000, nowUs: 1_050_000) == nil)
    }

    /// The thread was stopped between reading the one clock and the other.
    @Test func whoIsInterruptedBetweenTwoClocksSeesNoStep() {
        var host = HostClock()
        #expect(host.look(wallUs: 1_000_000_000, nowUs: 0) == nil)
        #expect(host.look(wallUs: 1_001_000_000, nowUs: 5_000_000) == nil)
        #expect(host.look(wallUs: 1_005_025_000, nowUs: 5_025_000) == nil)
        #expect(host.offsetUs == 1_000_000_000)
    }

    @Test func saysItForAPerson() {
        #expect(HostClock.reason(stepUs: -3_600_000_000) == "the host's clock was set back by 3600.0 s")
        #expect(HostClock.reason(stepUs: 1_049_999) == "the host's clock was set ahead by 1.0 s")
    }
}
