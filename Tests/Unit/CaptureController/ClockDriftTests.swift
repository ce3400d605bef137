// A camera's clock that is not the host's: the map from media to wall time follows it.
import Harness
import Media
import Testing
import Wire

@testable import CaptureController

struct ClockDriftTests {
    private static let dayS = 86_400.0

    @Test(arguments: [(500.0, Int64(0), Int64(1_000_000)), (-500, 0, 1_000_000), (0, 200_000, 500_000)])
    func overADayACameraIsNeverOffByMoreThanFiftyMillisecondsAfterTheFirstMinutes(
        _ fastPpm: Double, _ jitterUs: Int64, _ frameUs: Int64
    ) throws {
        var scene = try ClockScene(fastPpm: fastPpm, frameUs: frameUs)
        if jitterUs > 0 { scene.delayUs = { _, random in Int64(random.below(Int(jitterUs))) } }
        scene.play(seconds: 300)
        scene.forgetWorst()
        scene.play(seconds: Self.dayS)
        #expect(scene.worstUs <= 50_000)
        #expect(scene.breaches == [])
        #expect(scene.runs.count == 1)
        #expect(scene.framesSent - scene.framesWritten < 10, "what is not flushed yet")
    }

    /// A segment's anchor is frozen; were it never cut, one of an hour would be off by 1.8 s at its end.
    @Test(arguments: [500.0, -500, 120])
    func longSegmentsAreCutOnceForAClockThatIsOffAndThenLeftAlone(_ fastPpm: Double) throws {
        var scene = try ClockScene(fastPpm: fastPpm, segmentS: 3600)
        scene.play(seconds: 3 * 3600)
        #expect(scene.worstUs <= 50_000)
        #expect(scene.breaches == [])
        #expect((3...6).contains(scene.seals.count), "\(scene.seals.count) files in three hours")
    }

    @Test func aGoodClockNeedsFewVersions() throws {
        var scene = try ClockScene(fastPpm: 20, frameUs: 400_000)
        scene.delayUs = { _, random in Int64(random.below(5_000)) }
        scene.play(seconds: Self.dayS / 4)
        #expect((1...20).contains(scene.anchors.count), "\(scene.anchors.count) versions in six hours")
        #expect(scene.anchors.map(\.version) == (1...scene.anchors.count).map { UInt32($0) })
    }

    /// Case 13: the first moments were slow, so the first file is dated late. It stays as it is; what comes after it goes back to the truth
    /// without a picture that is dated before another.
    @Test func aFirstAnchorThatWasLateIsRefinedWithoutMovingTimeBackward() throws {
        var scene = try ClockScene()
        scene.delayUs = { takenUs, _ in takenUs < 5_000_000 ? 180_000 : 0 }
        scene.play(seconds: 20)
        let first = try #require(scene.opens.first)
        #expect(first.startUs == ClockScene.baseUs + 180_000)
        scene.play(seconds: 900)
        #expect(scene.breaches == [])
        scene.forgetWorst()
        scene.play(seconds: 600)
        #expect(scene.worstUs <= RunClock.cutUs + 5_000)
        #expect(scene.runs.count == 1)
    }

    @Test func aDelayOfTwoMinutesIsNotTakenForTheClock() throws {
        var scene = try ClockScene()
        scene.play(seconds: 400)
        scene.forgetWorst()
        scene.delayUs = { takenUs, _ in takenUs < 520_000_000 ? 1_500_000 : 0 }
        scene.play(seconds: 600)
        #expect(scene.worstUs <= RunClock.toleranceUs)
        #expect(scene.anchors.count == 1)
    }

    /// After its first moments a session is read each 100 ms and a little, so each picture is late by something else up to that.
    @Test(arguments: [500.0, 0])
    func readingCamerasTogetherDoesNotMoveTheirClocks(_ fastPpm: Double) throws {
        var scene = try ClockScene(fastPpm: fastPpm, frameUs: 100_000)
        var readUs: Int64 = 2_000_000
        scene.delayUs = { takenUs, random in
            guard takenUs > 2_000_000 else { return 0 }
            while readUs < takenUs { readUs += 100_100 + Int64(random.below(800)) }
            return readUs - takenUs
        }
        scene.play(seconds: 3600)
        #expect(scene.worstUs <= 50_000)
        #expect(scene.breaches == [] && scene.runs.count == 1)
    }

    @Test(arguments: [2000.0, -2000])
    func aClockThatCannotBeFollowedEndsTheRunAndLosesNoPicture(_ fastPpm: Double) throws {
        var scene = try ClockScene(fastPpm: fastPpm)
        scene.play(seconds: 3600)
        let ended = scene.runs.filter { $0.endedUs != nil }
        // 1500 ppm are left: two seconds after 22 minutes.
        #expect(ended.count == 2)
        let word = fastPpm > 0 ? "fast" : "slow"
        #expect(ended.first?.endReason?.hasPrefix("the camera's clock runs more than 1000 ppm \(word);") == true)
        #expect(scene.worstUs < RunClock.mostErrorUs + 500_000)
        #expect(scene.breaches == [])
        #expect(scene.framesSent - scene.framesWritten < 10)
        // Slow: the new anchor is later, and the time between is no footage. Fast: it is earlier, and nothing is missing.
        #expect(scene.gaps.map(\.cause) == (fastPpm > 0 ? [] : ["clock_jump", "clock_jump"]))
    }

    /// The new anchor of a fast camera dates its pictures before the last ones of the run before.
    @Test func aRunThatBeginsBeforeTheEndOfTheOneBeforeEndsByItsOwnPictures() throws {
        var scene = try ClockScene(fastPpm: 2000)
        while scene.runs.count < 3, scene.nowUs < 3_600_000_000 { scene.play(seconds: 0.2) }
        scene.play(seconds: 0.4)
        scene.end()
        let endedUs = try #require(scene.runs.last?.endedUs)
        #expect(scene.runs.count == 4 && abs(endedUs - ClockScene.baseUs - scene.nowUs - 200_000) < 10_000)
    }

    @Test func aPictureFromTheFutureEndsTheRunAtOnce() throws {
        var scene = try ClockScene()
        scene.play(seconds: 30.4)
        // Too little for the RTSP client to call it another timeline.
        scene.jumpedUs += 8_000_000
        scene.play(seconds: 30)
        #expect(scene.runs.compactMap(\.endReason) == ["the camera's clock jumped ahead by 8 s"])
        #expect(scene.runs.count == 3, "begun, ended, begun")
        scene.forgetWorst()
        scene.play(seconds: 5)
        #expect(scene.worstUs < 1_000)
        // From the last picture of before to the next keyframe.
        #expect(scene.gapTexts == ["clock_jump 30.4-31.0"])
    }

    /// A server that gives what it had kept at twice the pace: each picture comes earlier than the one before.
    @Test func aBacklogThatIsMadeUpForIsDatedRightWithoutLosingAPicture() throws {
        var scene = try ClockScene()
        scene.delayUs = { takenUs, _ in max(0, 5_000_000 - takenUs / 2) }
        scene.play(seconds: 30)
        let reason = "the camera's pictures come 2.4 s before their time"
        #expect(scene.runs.compactMap(\.endReason) == [reason, reason])
        scene.forgetWorst()
        scene.play(seconds: 10)
        #expect(scene.worstUs <= 250_000)
        #expect(scene.framesSent - scene.framesWritten < 10)
    }

    @Test func inStandbyTheClockIsBentAtKeyframesAndFilesFromTheRingHaveOneVersionEach() throws {
        var scene = try ClockScene(fastPpm: 400, standby: .ring)
        var checked = 0
        for second in 1...200 {
            scene.play(seconds: 1)
            guard scene.anchors.count > checked + 1, let version = scene.anchors.last?.wallUs else { continue }
            // Five seconds on both sides of the moment at which the version begins.
            scene.play(seconds: 6)
            checked += 1
            let before = (scene.opens.count, scene.seals.count)
            _ = scene.ensure("w\(second)", Span(startUs: version - 4_500_000, endUs: version + 3_500_000))
            let files = scene.opens[before.0...]
            #expect(files.count == 2)
            #expect(files.last?.startUs == version)
            #expect(files.compactMap(\.anchor?.version).map(Int.init) == [checked, checked + 1])
            #expect(scene.seals[before.1...].first?.endUs == version)
        }
        #expect(checked >= 1)
        #expect(scene.breaches == [])
        #expect(scene.anchors.allSatisfy { ($0.mediaUs ?? 1) % 1_000_000 == 0 || $0.version == 1 }, "keyframes")
    }

    @Test(arguments: 1...8)
    func whateverTheCameraAndTheNetworkDoFilesAdjoinAndTheDriftIsBounded(_ seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed))
        let fastPpm = Double(random.below(1001)) - 500
        let segmentS = [1, 2, 10, 60, 300, 900, 3600][random.below(7)]
        let jitterUs = 1_000 + random.below(60_000)
        // Now and then the network stands for up to half a minute; what it held back then comes at once.
        var burst = (fromUs: Int64(20_000_000), toUs: Int64(0), delayUs: Int64(0))
        var scene = try ClockScene(
            seed: UInt64(seed), fastPpm: fastPpm, segmentS: Int64(segmentS), framesPerGroup: 1 + Int64(random.below(40))
        )
        scene.delayUs = { takenUs, random in
            if takenUs >= burst.toUs, takenUs >= burst.fromUs {
                burst.toUs = takenUs + Int64(random.below(30_000_000))
                burst.fromUs = burst.toUs + Int64(random.below(90_000_000))
                burst.delayUs = Int64(random.below(3_000_000))
            }
            return Int64(random.below(jitterUs)) + (takenUs < burst.toUs ? burst.delayUs : 0)
        }
        scene.play(seconds: 1)
        let firstUs = scene.worstUs
        var worst: [Int64] = []
        for _ in 0..<6 {
            scene.forgetWorst()
            scene.play(seconds: 600)
            worst.append(scene.worstUs)
        }
        #expect(scene.breaches == [])
        #expect(scene.runs.count == 1)
        #expect(scene.framesSent - scene.framesWritten < 10)
        // Bending has 500 ppm less what the camera takes of them to mend the first anchor's error; until the first estimate
        // the error may grow for half a minute.
        let mendsPpm = 500 - abs(fastPpm)
        for (index, us) in worst.enumerated() {
            let left = max(0, Double(firstUs) - mendsPpm * Double(max(0, index * 600 - 120)))
            let what = "ten minutes no. \(index); \(fastPpm) ppm, \(segmentS) s, first \(firstUs)"
            #expect(Double(us) <= left + 50_000, "\(what)")
        }
    }
}
