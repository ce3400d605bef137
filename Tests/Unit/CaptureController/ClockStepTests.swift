// The host's clock is set while cameras are recorded: field lesson 22.
import Harness
import Media
import MediaWork
import Testing
import Volume
import Wire

@testable import CaptureController

struct ClockStepTests {
    private static let hourUs: Int64 = 3_600_000_000
    private static let baseUs = ClockScene.baseUs

    /// Half a minute, a step in the middle of a group of pictures, half a minute.
    private func stepped(byUs: Int64, standby: Standby = .record) throws -> ClockScene {
        var scene = try ClockScene(standby: standby)
        scene.play(seconds: 30.4)
        scene.setByUs += byUs
        scene.play(seconds: 30)
        return scene
    }

    @Test(arguments: [
        (-3_600_000_000, "back by 3600.0 s"), (3_600_000_000, "ahead by 3600.0 s"), (1_700_000, "ahead by 1.7 s"),
        // A leap second that is inserted.
        (Int64(-1_000_000), "back by 1.0 s"),
    ])
    func aStepEndsTheRunInFrontOfTheNextKeyframeAndNoPictureIsLost(_ byUs: Int64, _ words: String) throws {
        let scene = try stepped(byUs: byUs)
        let runs = scene.runs
        #expect(runs.count == 3, "begun, ended, begun")
        #expect(runs[1].endReason == "the host's clock was set \(words)")
        #expect(runs[1].endedUs == Self.baseUs + 31_000_000)
        #expect(runs[2].startedUs == Self.baseUs + 31_000_000 + byUs)
        #expect(scene.anchors.map(\.runID) == [runs[0].runID, runs[2].runID])
        #expect(scene.seals.first?.endUs == Self.baseUs + 31_000_000)
        #expect(scene.seals.first?.runEndReason == runs[1].endReason)
        #expect(scene.opens.map(\.startUs) == [Self.baseUs, Self.baseUs + 31_000_000 + byUs])
        #expect(scene.framesSent - scene.framesWritten < 10)
        #expect(scene.breaches == [])
    }

    @Test func whatAClockThatIsSetAheadSkipsIsAGap() throws {
        #expect(try stepped(byUs: Self.hourUs).gapTexts == ["clock_jump 31.0-3631.0"])
        #expect(try stepped(byUs: -Self.hourUs).gapTexts == [], "nothing was lost, and no wall time is missing")
    }

    @Test(arguments: [499_000, -499_000] as [Int64])
    func aSmallStepIsFollowedByBending(_ byUs: Int64) throws {
        var scene = try ClockScene()
        scene.play(seconds: 100)
        scene.setByUs += byUs
        scene.play(seconds: 1200)
        #expect(scene.runs.count == 1)
        scene.forgetWorst()
        scene.play(seconds: 600)
        #expect(scene.worstUs <= 20_000)
        #expect(scene.breaches == [])
    }

    /// NTP's servers smear a leap second over a day: 11.6 ppm, here of the wall clock alone.
    @Test func aSmearedLeapSecondIsFollowed() throws {
        var scene = try ClockScene()
        for _ in 0..<720 {
            scene.play(seconds: 10)
            scene.setByUs -= 116
        }
        #expect(scene.runs.count == 1)
        #expect(scene.worstUs <= 20_000)
        #expect(scene.breaches == [])
    }

    /// 2026-10-25T01:00:00Z: in Europe the clocks on the walls go back from three to two. UTC knows nothing of it.
    @Test func theEndOfSummerTimeIsNoStep() throws {
        var scene = try ClockScene()
        scene.setByUs = 1_792_889_990_000_000 - Self.baseUs
        scene.play(seconds: 60)
        #expect(scene.runs.count == 1 && scene.gaps.isEmpty)
        let path = try MediaFiles.segmentPath(try #require(scene.opens.first), folder: "")
        #expect(path.string.hasPrefix("line1/main/2026/10/25/00/20261025T005950.000000Z_"))
    }

    /// The box has no battery for its clock: it records in 1970 until NTP answers. Its last footage is of the day before.
    @Test func aBootInTheYear1970IsRecordedAndThenPutRight() throws {
        var scene = try ClockScene()
        scene.setByUs = 100_000_000 - Self.baseUs
        let yesterdayUs = Self.baseUs - 86_400_000_000
        scene.pipeline.takeFootageEnd(yesterdayUs, wallUs: scene.wallUs)
        scene.play(seconds: 20)
        #expect(scene.opens.first?.startUs == 100_000_000)
        scene.setByUs = 0
        scene.play(seconds: 20)
        let started = try #require(scene.opens.last?.startUs)
        #expect(scene.runs.compactMap(\.endReason).first?.hasPrefix("the host's clock was set ahead by 16999") == true)
        // Not from 1970 on: what was recorded until yesterday is there.
        let told = scene.gaps.filter { $0.cause == "clock_jump" }
        #expect(told.map(\.window) == [Window(startUs: yesterdayUs, endUs: started)])
    }

    /// For some seconds the clock was four years ahead, in an earlier life; its footage is on the volume.
    @Test func footageOfAClockThatWasAheadSwallowsNoGap() throws {
        var scene = try ClockScene()
        scene.pipeline.takeFootageEnd(Self.baseUs + 126_000_000_000_000, wallUs: scene.wallUs)
        scene.play(seconds: 20)
        let recording = scene.pipeline.plan
        scene.apply(
            SourcePlan(
                source: recording.source, leaseEpoch: 3, connection: recording.connection, standby: .off, ringSeconds: 1
            ))
        scene.play(seconds: 40)
        scene.apply(recording)
        scene.play(seconds: 5)
        #expect(scene.gapTexts == ["stopped 20.0-59.0"])
        scene.end()
        scene.pass(seconds: 5)
        _ = scene.ensure("event", Span(startUs: scene.wallUs, endUs: scene.wallUs + 3_000_000))
        scene.pass(seconds: 10)
        #expect(scene.gaps.map(\.cause) == ["stopped", "dark"], "who waits for the window is told")
    }

    /// Field lesson 23.
    @Test func sessionsThatEndEveryFifthOfASecondNeverShareATime() throws {
        var scene = try ClockScene(frameUs: 40_000, framesPerGroup: 1)
        for _ in 0..<100 {
            scene.play(seconds: 0.2)
            scene.end()
        }
        let spans = scene.seals.map { Span(startUs: $0.startUs, endUs: $0.endUs) }
        #expect(spans.count == 100 && Set(scene.opens.map(\.runID)).count == 100)
        #expect(zip(spans, spans.dropFirst()).allSatisfy { $0.endUs <= $1.startUs })
        #expect(scene.framesWritten == scene.framesSent)
    }

    @Test func noGapIsLongerThanTheCatalogueTakes() throws {
        var scene = try ClockScene()
        scene.setByUs = 100_000_000 - Self.baseUs
        scene.play(seconds: 20)
        scene.setByUs = 0
        scene.play(seconds: 20)
        let window = try #require(scene.gaps.last?.window)
        #expect((window.endUs ?? 0) - (window.startUs ?? 0) == SourcePipeline.longestGapUs)
    }

    /// The footage's end lay an hour ahead, so for an hour no gap was told, neither of a task that stopped nor of a dark camera.
    @Test func afterAStepBackGapsAreToldInTheTimeOfTheNewClock() throws {
        var scene = try stepped(byUs: -Self.hourUs)
        scene.play(seconds: 0.6)
        scene.end()
        scene.pass(seconds: 100)
        scene.play(seconds: 10)
        #expect(scene.gapTexts == ["dark -3539.0--3439.0"])
        let recording = scene.pipeline.plan
        scene.apply(
            SourcePlan(
                source: recording.source, leaseEpoch: 3, connection: recording.connection, standby: .ring,
                ringSeconds: 20))
        scene.play(seconds: 60)
        scene.apply(recording)
        scene.play(seconds: 5)
        let last = try #require(scene.gaps.last)
        #expect(last.cause == "stopped")
        let window = try #require(last.window)
        #expect((window.startUs ?? 0) < (window.endUs ?? 0) && (window.endUs ?? 0) < Self.baseUs - 3_000_000_000)
    }

    @Test(arguments: [-3_600_000_000, 3_600_000_000] as [Int64])
    func aGapThatIsOpenWhenTheClockIsSetIsToldWithItsLengthAtLeast(_ byUs: Int64) throws {
        var scene = try ClockScene()
        scene.play(seconds: 30)
        scene.end()
        scene.pass(seconds: 50)
        scene.setByUs += byUs
        scene.pass(seconds: 50)
        scene.play(seconds: 5)
        // Set back, it lies in the time of the new clock; set ahead, the time that was skipped is missing too.
        #expect(scene.gapTexts == [byUs < 0 ? "dark -3570.0--3470.0" : "dark 30.0-3730.0"])
    }

    @Test func lossesAreToldAfterAStepBack() throws {
        var scene = try stepped(byUs: -Self.hourUs)
        let before = scene.gaps.count
        let start = scene.pipeline.lastFrameEndUs
        #expect((start ?? 0) < Self.baseUs)
        var effects: [PipelineEffect] = []
        scene.pipeline.noteLoss(followsLoss: true, startUs: (start ?? 0) + 400_000, durationUs: 200_000, &effects)
        scene.pipeline.tellLoss(&effects)
        #expect(before == 0 && effects.count == 1)
    }

    /// A window that was open when the clock went back is over: what comes next is dated an hour before it. Neither the camera nor
    /// the window's hold is kept for that hour.
    @Test func aWindowThatIsOpenWhenTheClockIsSetBackEndsWithItAndIsExplained() throws {
        var scene = try ClockScene(standby: .ring)
        scene.play(seconds: 30)
        let window = Span(startUs: Self.baseUs + 25_000_000, endUs: Self.baseUs + 90_000_000)
        #expect(scene.ensure("event", window, holdS: 60).isRecording)
        scene.play(seconds: 5.4)
        scene.setByUs -= Self.hourUs
        scene.play(seconds: 2)
        #expect(!scene.pipeline.driver.isRecording)
        #expect(scene.gapTexts.first?.hasPrefix("clock_jump 35.") == true)
        #expect(scene.gapTexts.first?.hasSuffix("-90.0") == true)
        scene.play(seconds: 100)
        #expect(scene.pipeline.windows.windows.map(\.key) == ["event"], "held until a minute after its end")
        scene.play(seconds: 20)
        #expect(scene.pipeline.windows.windows.isEmpty)
        let files = scene.opens.count
        scene.play(seconds: 3600)
        #expect(scene.opens.count == files, "the same wall time comes again and is not taken for the event")
    }

    /// The run of the old clock still waits for its last keyframe, and its footage seems to lie ahead of the window.
    @Test(arguments: [0.2, 5.0])
    func aWindowOfTheNewClockIsRecordedFromTheStepOn(_ seconds: Double) throws {
        var scene = try ClockScene(standby: .ring)
        scene.play(seconds: 20)
        _ = scene.ensure("before", Span(startUs: scene.wallUs - 5_000_000, endUs: scene.wallUs))
        scene.play(seconds: 10.4)
        scene.setByUs -= Self.hourUs
        scene.play(seconds: seconds)
        let window = Span(startUs: scene.wallUs + 2_000_000, endUs: scene.wallUs + 6_000_000)
        #expect(scene.ensure("event", window).isRecording)
        scene.play(seconds: 10)
        // Since the other window's footage nothing was asked for; that is told with its own length, not with an hour.
        #expect(scene.gaps.map(\.cause) == ["stopped"])
        let told = scene.gaps.first?.window.map { ($0.endUs ?? 0) - ($0.startUs ?? 0) } ?? 0
        #expect((9_000_000...16_000_000).contains(told))
        let file = try #require(scene.opens.last)
        #expect(file.startUs <= window.startUs && (scene.seals.last?.endUs ?? 0) >= window.endUs)
        #expect(file.runID == scene.pipeline.run?.runID)
        #expect(!scene.pipeline.driver.isRecording)
    }

    @Test func aWindowThatHadNotBegunWaitsForItsTimeByTheNewClock() throws {
        var scene = try ClockScene(standby: .ring)
        scene.play(seconds: 10)
        let window = Span(startUs: Self.baseUs + 120_000_000, endUs: Self.baseUs + 130_000_000)
        _ = scene.ensure("later", window, holdS: 60)
        scene.setByUs -= 60_000_000
        scene.play(seconds: 150)
        #expect(scene.opens.isEmpty)
        scene.play(seconds: 60)
        let file = try #require(scene.opens.last)
        #expect(file.startUs <= window.startUs && (scene.seals.last?.endUs ?? 0) >= window.endUs)
    }

    /// A step ahead used to let go of the ring of the run before and of all holds at once.
    @Test(arguments: [-3_600_000_000, 3_600_000_000] as [Int64])
    func footageFromBeforeTheStepIsStillInTheRingAndHeldForItsTime(_ byUs: Int64) throws {
        var scene = try ClockScene(standby: .ring)
        scene.play(seconds: 30)
        let held = Span(startUs: Self.baseUs + 20_000_000, endUs: Self.baseUs + 22_000_000)
        _ = scene.ensure("held", held, holdS: 60)
        scene.setByUs += byUs
        scene.play(seconds: 10)
        #expect(scene.pipeline.windows.holds(held, nowUs: scene.wallUs))
        let before = scene.opens.count
        _ = scene.ensure("event", Span(startUs: Self.baseUs + 25_000_000, endUs: Self.baseUs + 27_000_000))
        #expect(scene.opens.dropFirst(before).map(\.startUs) == [Self.baseUs + 25_000_000])
        #expect(scene.gaps.allSatisfy { $0.cause == "clock_jump" }, "it tells nothing of the hour between")
        #expect((scene.pipeline.footageEndUs ?? 0) <= scene.wallUs)
        scene.play(seconds: 60)
        #expect(scene.pipeline.pastRings.count == 0)
        #expect(!scene.pipeline.windows.holds(held, nowUs: scene.wallUs))
    }

    @Test func aStepWithoutAKeyframeIsNotWaitedForLongerThanTenSeconds() throws {
        var scene = try ClockScene(framesPerGroup: 500)
        scene.play(seconds: 30)
        scene.setByUs -= Self.hourUs
        scene.play(seconds: 9)
        #expect(scene.runs.compactMap(\.endReason).isEmpty)
        scene.play(seconds: 2)
        #expect(scene.runs.compactMap(\.endReason).count == 1)
        scene.play(seconds: 80)
        #expect(scene.opens.last?.mediaStartUs == 100_000_000)
        // What was not recorded up to the keyframe, in the time of the new clock.
        #expect(scene.gaps.map(\.cause) == ["clock_jump"])
        #expect(scene.gaps.first?.window?.endUs == Self.baseUs + 100_000_000 - Self.hourUs)
    }

    @Test func picturesGoOnAfterAStepBack() throws {
        var scene = try ClockScene(standby: .ring)
        let plan = scene.pipeline.plan
        let snapshot = SnapshotPlan(
            stream: StreamKey(asset: "press", stream: "stills"), taskRunID: "r", style: PictureStyle(.jpeg),
            perSecond: 0.1,
            target: .files(folder: ""))
        scene.apply(
            SourcePlan(
                source: plan.source, leaseEpoch: 3, connection: plan.connection, standby: .ring, ringSeconds: 20,
                snapshots: [snapshot]))
        scene.play(seconds: 60)
        #expect(scene.snapshots.count == 6)
        scene.setByUs -= Self.hourUs
        scene.play(seconds: 60)
        #expect(scene.snapshots.count == 13)
    }

    @Test func wallTimeThatIsRecordedTwiceIsKeptTwiceInDifferentRuns() throws {
        var scene = try ClockScene(segmentS: 10)
        scene.play(seconds: 60)
        scene.setByUs -= 30_000_000
        scene.play(seconds: 60)
        let spans = scene.seals.map { Span(startUs: $0.startUs, endUs: $0.endUs) }
        let again = Span(startUs: Self.baseUs + 40_000_000, endUs: Self.baseUs + 50_000_000)
        #expect(spans.count { $0.overlaps(again) } == 3)
        #expect(Set(scene.opens.filter { $0.startUs < again.endUs }.map(\.runID)).count == 2)
        #expect(scene.framesSent - scene.framesWritten < 10)
        #expect(scene.breaches == [])
    }

    @Test(arguments: 1...6)
    func howeverOftenTheClockIsSetEachPictureIsKeptAndEachGapIsAStepAhead(_ seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed))
        var scene = try ClockScene(
            seed: UInt64(seed), segmentS: [2, 10, 60][random.below(3)], framesPerGroup: 1 + Int64(random.below(20)))
        scene.play(seconds: 20)
        var ahead: [Int64] = []
        for _ in 0..<20 {
            let sizes: [Int64] = [600_000, 3_000_000, 61_000_000, Self.hourUs, 86_400_000_000, 31_536_000_000_000]
            let stepUs = sizes[random.below(sizes.count)] * (random.chance(50) ? 1 : -1)
            scene.setByUs += stepUs
            if stepUs > 0 { ahead.append(stepUs) }
            scene.play(seconds: Double(15 + random.below(60)))
            #expect((scene.pipeline.footageEndUs ?? 0) <= scene.wallUs)
            scene.forgetWorst()
            scene.play(seconds: 1)
            #expect(scene.worstUs < 1_000)
        }
        #expect(scene.runs.compactMap(\.endReason).count == 20)
        #expect(scene.breaches == [])
        #expect(scene.framesSent - scene.framesWritten < 10)
        let told = scene.gaps.compactMap { gap in gap.window.map { ($0.endUs ?? 0) - ($0.startUs ?? 0) } }
        // Less where footage is there already, of the time before the clock was set back.
        #expect(zip(told, ahead).allSatisfy { 0 < $0 && $0 <= $1 + 1 } && told.count == ahead.count)
    }

    /// Set back by exactly the length of a file, the clock gives two files one name; nothing is written over, nothing refused.
    @Test func filesOfTheSameTimesGetNamesOfTheirOwn() throws {
        let disk = try RecordedScene.adoptedDisk()
        let volume = try VolumeRoot.open(at: RecordedScene.volume, role: .recording, calls: disk.calls)
        let video = try CodecConfiguration.mjpeg(widthPx: 64, heightPx: 48)
        let source = SourceKey(device: "line1", endpoint: "main")
        let want = RecordingWant(stream: nil, folder: "", segmentUs: 1_000_000, leaseEpoch: 1)
        var paths: [String] = []
        for number in 0..<4 {
            var info = SegmentInfo(device: "line1", endpoint: "main", runID: "run\(number)")
            info.controllerID = RecordedScene.instance
            info.leaseEpoch = 1
            info.startUs = Self.baseUs
            info.anchor = MediaAnchor(mediaUs: 0, wallUs: Self.baseUs)
            let ticket = SegmentTicket(
                id: UInt64(number), source: source, want: want, info: info, video: video, otherVideo: [],
                audio: nil)
            let writer = try SegmentWriter(
                ticket, name: try SegmentWriter.name(ticket), volume: volume, nowUs: 0)
            let packet = MediaPacket(
                configuration: video, bytes: PacketBytes([UInt8(number)]), ptsTicks: 0, dtsTicks: 0,
                durationTicks: 90_000, isKeyframe: true, arrivalNs: 0)
            var fragment: [UInt8] = []
            try writer.append([packet], endUs: Self.baseUs + 1_000_000, nowUs: 0, in: &fragment)
            // The last one is left to be salvaged.
            guard number < 3 else { continue }
            let end = SegmentEnd(id: ticket.id, startUs: Self.baseUs, endUs: Self.baseUs + 1_000_000)
            let file = try #require(try writer.seal(end))
            #expect(file.startUs == Self.baseUs && file.endUs == Self.baseUs + 1_000_000)
            paths.append(file.path ?? "")
        }
        let result = SceneCut.salvage(volume, busy: BusyNames())
        paths += result.records.compactMap { $0.file?.path }
        #expect(result.salvaged == 1 && result.failed == 0)
        #expect(Set(paths).count == 4)
        #expect(paths == paths.sorted(), "in the order of recording")
        var kept: [String] = []
        try volume.forEachFile { (entry) throws(VolumeError) in
            kept.append(entry.path.string)
            return true
        }
        #expect(Set(kept) == Set(paths))
    }
}
