// A source's pipeline as a whole: packets, windows and plans in, effects out.
import Media
import Testing
import Wire

@testable import CaptureController

/// A camera without a camera: 25 frames per second, a keyframe each second, wall time 1 s ahead of media time 0 at `baseUs`.
struct Film {
    static let baseUs: Int64 = 1_700_000_000_000_000
    let configuration: CodecConfiguration
    var pipeline: SourcePipeline
    var effects: [PipelineEffect] = []

    init(standby: Standby = .ring, clip: ClipPlan? = nil) throws {
        configuration = try CodecConfiguration.mjpeg(widthPx: 64, heightPx: 48)
        let plan = SourcePlan(
            source: SourceKey(device: "line1", endpoint: "main"), leaseEpoch: 3,
            connection: CameraConnection(
                address: "rtsp://192.0.2.1/", usernameReference: nil, passwordReference: nil, trustList: nil),
            standby: standby, ringSeconds: 20, clip: clip)
        pipeline = SourcePipeline(
            plan: plan, controllerID: "cc-0", ringBytes: 1 << 20, standbySegmentUs: 60_000_000)
    }

    /// Media from `from` to `to` seconds; each packet arrives when it is presented.
    /// Frames at `lost` (in microseconds) do not come.
    mutating func play(from: Int64, to: Int64, lost: Set<Int64> = []) {
        for us in stride(from: from * 1_000_000, to: to * 1_000_000, by: 40_000) where !lost.contains(us) {
            let packet = MediaPacket(
                configuration: configuration, bytes: PacketBytes([1, 2, 3]), ptsTicks: us * 9 / 100,
                dtsTicks: us * 9 / 100, durationTicks: 3600, isKeyframe: us % 1_000_000 == 0,
                arrivalNs: us * 1000, followsLoss: lost.contains(us - 40_000))
            effects += pipeline.packet(packet, wallUs: Self.baseUs + us, nowUs: us)
            effects += pipeline.tick(wallUs: Self.baseUs + us, nowUs: us)
        }
    }

    mutating func ensure(_ key: String, _ from: Int64, _ to: Int64, atSecond now: Int64)
        -> SourcePipeline.EnsureResult
    {
        let window = FootageWindow(
            key: key, source: pipeline.plan.source,
            span: Span(startUs: Self.baseUs + from * 1_000_000, endUs: Self.baseUs + to * 1_000_000),
            holdUntilUs: .max)
        let (result, made) = pipeline.ensure(
            window, wallUs: Self.baseUs + now * 1_000_000, nowUs: now * 1_000_000)
        effects += made
        return result
    }

    /// Sealed spans in seconds.
    var seals: [[Double]] {
        effects.compactMap { effect in
            guard case .seal(let end) = effect else { return nil }
            return [end.startUs, end.endUs].map { Double($0 - Self.baseUs) / 1_000_000 }
        }
    }

    var written: Int {
        effects.reduce(0) { sum, effect in
            if case .fragment(_, let packets, _, _, _) = effect { return sum + packets.count }
            return sum
        }
    }

    var records: [MediaRecord] {
        effects.compactMap { if case .record(let record) = $0 { record } else { nil } }
    }
}

struct SourcePipelineTests {
    @Test func theRingAloneWritesNothing() throws {
        var film = try Film()
        film.play(from: 0, to: 10)
        #expect(film.written == 0)
        #expect(film.records.compactMap(\.run).count == 1)
        #expect(film.records.compactMap(\.anchor).first?.wallUs == Film.baseUs)
    }

    @Test func aWindowOfThePastComesOutOfTheRingFromTheKeyframeBefore() throws {
        var film = try Film()
        film.play(from: 0, to: 15)
        let result = film.ensure("event", 5, 8, atSecond: 15)
        #expect(film.seals == [[5, 8]])
        #expect(film.written == 75)
        #expect(result.isReached && !result.isRecording)
        #expect(result.availableFromUs == Film.baseUs + 5_000_000)
        _ = film.ensure("event", 5, 8, atSecond: 15)
        #expect(film.seals.count == 1, "the same again changes nothing")
    }

    @Test func aWindowAcrossNowHasThePreEventPartAndEndsAtTheKeyframeBehindIt() throws {
        var film = try Film()
        film.play(from: 0, to: 12)
        let window = FootageWindow(
            key: "event", source: film.pipeline.plan.source,
            span: Span(startUs: Film.baseUs + 7_300_000, endUs: Film.baseUs + 14_500_000), holdUntilUs: .max)
        let (result, made) = film.pipeline.ensure(window, wallUs: Film.baseUs + 12_000_000, nowUs: 12_000_000)
        film.effects += made
        #expect(result.isRecording && result.isStreaming)
        #expect(result.availableFromUs == Film.baseUs + 7_300_000)
        film.play(from: 12, to: 20)
        #expect(film.seals == [[7, 15]])
        #expect(film.written == 200)
        #expect(!film.pipeline.driver.isRecording)
    }

    @Test func overlappingWindowsNeverShowAMomentTwice() throws {
        var film = try Film()
        film.play(from: 0, to: 15)
        _ = film.ensure("one", 6, 9, atSecond: 15)
        _ = film.ensure("two", 4, 12, atSecond: 15)
        #expect(film.seals == [[6, 9], [4, 6], [9, 12]])
        #expect(film.written == 200)
    }

    @Test func aRunningRecordingIsSealedBehindTheWindowAndGoesOn() throws {
        let clip = ClipPlan(
            stream: StreamKey(asset: "press", stream: "clips"), taskRunID: "r", segmentUs: 60_000_000, folder: "")
        var film = try Film(clip: clip)
        film.play(from: 0, to: 5)
        let result = film.ensure("event", 1, 7, atSecond: 5)
        #expect(result.isRecording)
        film.play(from: 5, to: 10)
        #expect(film.seals == [[0, 7]])
        #expect(film.pipeline.driver.openSpan?.startUs == Film.baseUs + 7_000_000)
    }

    @Test func aTaskThatStartsBeginsWithTheGroupOfPicturesInProgress() throws {
        var film = try Film()
        film.play(from: 0, to: 5)
        var plan = film.pipeline.plan
        plan.clip = ClipPlan(
            stream: StreamKey(asset: "press", stream: "clips"), taskRunID: "r", segmentUs: 2_000_000, folder: "")
        film.effects += film.pipeline.apply(plan, wallUs: Film.baseUs + 4_990_000, nowUs: 4_990_000)
        #expect(film.pipeline.driver.openSpan?.startUs == Film.baseUs + 4_000_000)
        film.play(from: 5, to: 9)
        #expect(film.seals == [[4, 6], [6, 8]])
    }

    @Test func theEndOfASessionSealsEndsTheRunAndOpensAGap() throws {
        var film = try Film(standby: .record)
        film.play(from: 0, to: 5)
        film.effects += film.pipeline.sessionEnded(
            cause: "dark", reason: "no picture came", wallUs: Film.baseUs + 9_000_000)
        #expect(film.seals == [[0, 5]])
        let ended = try #require(film.records.compactMap(\.run).last)
        #expect(ended.endedUs == Film.baseUs + 5_000_000)
        #expect(ended.endReason == "no picture came")
        film.play(from: 20, to: 22)
        let gap = try #require(film.records.compactMap(\.gap).first)
        #expect(gap.cause == "dark")
        #expect(gap.window == Window(startUs: Film.baseUs + 5_000_000, endUs: Film.baseUs + 20_000_000))
        guard case .open(let ticket)? = film.effects.last(where: { if case .open = $0 { true } else { false } }) else {
            Issue.record("no segment")
            return
        }
        #expect(ticket.info.gaps.map(\.cause) == ["dark"], "the file carries the gap before it")
        #expect(ticket.info.sequence == 0)
    }

    @Test func footageFromBeforeABreakIsStillInThePastRing() throws {
        var film = try Film()
        film.play(from: 0, to: 10)
        film.effects += film.pipeline.sessionEnded(cause: "dark", reason: "", wallUs: Film.baseUs + 10_000_000)
        let result = film.ensure("event", 4, 9, atSecond: 12)
        #expect(film.seals == [[4, 9]])
        #expect(!result.isStreaming)
    }

    /// A rolling restart left gaps of some tenths of a second: the successor was asked to go on with its first picture on disk, which
    /// it dated later than the one before it did.
    @Test func aSuccessorIsReadyOnceASecondIsSafe() throws {
        let clip = ClipPlan(
            stream: StreamKey(asset: "press", stream: "clips"), taskRunID: "r", segmentUs: 60_000_000, folder: "")
        var film = try Film(clip: clip)
        #expect(!film.pipeline.readiness(wallUs: Film.baseUs).isReady)
        film.play(from: 0, to: 3)
        #expect(!film.pipeline.readiness(wallUs: Film.baseUs + 3_000_000).isReady, "nothing is safe yet")
        let id = try #require(film.pipeline.driver.openTicketID)
        film.effects += film.pipeline.segmentSynced(id: id, toUs: Film.baseUs + 900_000)
        #expect(!film.pipeline.readiness(wallUs: Film.baseUs + 3_000_000).isReady)
        film.effects += film.pipeline.segmentSynced(id: id, toUs: Film.baseUs + 1_000_000)
        #expect(film.pipeline.readiness(wallUs: Film.baseUs + 3_000_000).isReady)
    }

    @Test func aWindowThatNothingKeptIsNotRecorded() throws {
        var film = try Film(standby: .off)
        film.play(from: 0, to: 30)
        let result = film.ensure("event", 4, 9, atSecond: 30)
        #expect(film.seals.isEmpty)
        let window = FootageWindow(
            key: "event", source: film.pipeline.plan.source, span: Span(startUs: 4, endUs: 9), holdUntilUs: .max)
        #expect(FootageCalls.answer(window, result, covered: [], nowUs: 30).state == .notRecorded)
        #expect(
            FootageCalls.answer(window, result, covered: [Span(startUs: 3, endUs: 12)], nowUs: 30)
                == EnsuredSource(source: window.source.wire, state: .sealed, availableFromUs: 4))
        #expect(FootageCalls.answer(window, nil, covered: [], nowUs: 30).state == .notHeld)
    }
}
