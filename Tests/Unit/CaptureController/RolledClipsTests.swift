// Exact clips of runs: which footage they ask for and when each piece is cut.
import Testing
import Wire

@testable import CaptureController

struct RolledClipsTests {
    private let source = SourceKey(device: "line1", endpoint: "main")
    private let second: Int64 = 1_000_000

    private func roll(_ startS: Int64, _ endS: Int64?, run: String = "r", pieceS: Int64 = 60) -> RollPlan {
        RollPlan(
            stream: StreamKey(asset: "press", stream: "event"), taskRunID: run, startUs: startS * second,
            endUs: endS.map { $0 * second }, postRollUs: 2 * second, pieceUs: pieceS * second, wantsAudio: true,
            folder: "")
    }

    private func segment(_ startS: Int64, _ endS: Int64) -> RolledClips.Segment {
        RolledClips.Segment(
            path: "\(startS)", span: Span(startUs: startS * second, endUs: endS * second), sizeBytes: 1)
    }

    private func spans(_ due: (pieces: [RolledClips.Piece], windows: [FootageWindow])) -> [[Int64]] {
        due.pieces.map { [$0.span.startUs / second, $0.span.endUs / second] }
    }

    @Test func theWindowFollowsTheRun() {
        var clips = RolledClips()
        let open = clips.apply([roll(96, nil)], of: source, nowUs: 100 * second)
        #expect(open.map(\.key) == ["run/r"] && open[0].span.startUs == 96 * second)
        #expect(open[0].span.endUs > 1 << 50)
        #expect(clips.apply([roll(96, nil)], of: source, nowUs: 101 * second).isEmpty)
        let closed = clips.apply([roll(96, 107)], of: source, nowUs: 105 * second)
        #expect(closed.map(\.span) == [Span(startUs: 96 * second, endUs: 107 * second)])
        #expect(closed[0].key == "run/r" && closed[0].holdUntilUs > 600 * second)
    }

    @Test func aPieceIsCutWhenItsFootageIsSealed() {
        var clips = RolledClips()
        _ = clips.apply([roll(96, 107)], of: source, nowUs: 100 * second)
        clips.sealed(segment(94, 98))
        #expect(spans(clips.due(of: source, openFromUs: 98 * second, nowUs: 108 * second)).isEmpty)
        clips.sealed(segment(98, 108))
        let due = clips.due(of: source, openFromUs: 108 * second, nowUs: 108 * second)
        #expect(spans(due) == [[96, 107]] && due.pieces[0].files.map(\.path) == ["94", "98"])
        #expect(clips.isEmpty)
        // The same run is heard of until nobody remembers it.
        #expect(clips.apply([roll(96, 107)], of: source, nowUs: 109 * second).isEmpty && clips.isEmpty)
    }

    @Test func aLongRunIsCutInPiecesThatMeet() {
        var clips = RolledClips()
        _ = clips.apply([roll(10, nil, pieceS: 20)], of: source, nowUs: 14 * second)
        #expect(clips.endsUs() == [30 * second])
        for start in stride(from: Int64(8), to: 80, by: 6) { clips.sealed(segment(start, start + 6)) }
        let due = clips.due(of: source, openFromUs: nil, nowUs: 80 * second)
        #expect(spans(due) == [[10, 30], [30, 50], [50, 70]])
        // A run without an end protects no more of the footage than its next piece needs.
        #expect(due.windows.map(\.span.startUs) == [70 * second] && due.windows.map(\.key) == ["run/r"])
        #expect(clips.endsUs() == [90 * second])
        _ = clips.apply([roll(10, 75, pieceS: 20)], of: source, nowUs: 80 * second)
        #expect(spans(clips.due(of: source, openFromUs: nil, nowUs: 80 * second)) == [[70, 75]])
    }

    @Test func aDarkCamerasClipIsCutWithWhatThereIs() {
        var clips = RolledClips()
        _ = clips.apply([], of: source, nowUs: 0)
        _ = clips.apply([roll(96, 107)], of: source, nowUs: 100 * second)
        clips.sealed(segment(94, 103))
        #expect(spans(clips.due(of: source, openFromUs: nil, nowUs: 121 * second)).isEmpty)
        // Something is being written that may be of that time: a camera without keyframes for long.
        #expect(spans(clips.due(of: source, openFromUs: 103 * second, nowUs: 130 * second)).isEmpty)
        #expect(spans(clips.due(of: source, openFromUs: nil, nowUs: 122 * second)) == [[96, 107]])
    }

    @Test func aRunThatIsNotHeardOfAnyMoreEndedThen() {
        var clips = RolledClips()
        _ = clips.apply([roll(96, nil)], of: source, nowUs: 100 * second)
        let ended = clips.apply([], of: source, nowUs: 110 * second)
        #expect(ended.map(\.span) == [Span(startUs: 96 * second, endUs: 112 * second)])
        let next = clips.apply([roll(109, nil, run: "r2")], of: source, nowUs: 113 * second)
        #expect(next.map(\.key) == ["run/r2"])
        clips.sealed(segment(90, 114))
        #expect(spans(clips.due(of: source, openFromUs: nil, nowUs: 114 * second)) == [[96, 112]])
    }

    @Test func afterARestartTheLastRunWaitsForItsSegmentsToBeFound() {
        var clips = RolledClips()
        _ = clips.apply([roll(96, 107)], of: source, nowUs: 200 * second)
        #expect(spans(clips.due(of: source, openFromUs: nil, nowUs: 230 * second)).isEmpty)
        clips.sealed(segment(90, 110))
        #expect(spans(clips.due(of: source, openFromUs: nil, nowUs: 231 * second)) == [[96, 107]])
        var nothing = RolledClips()
        _ = nothing.apply([roll(96, 107)], of: source, nowUs: 200 * second)
        let due = nothing.due(of: source, openFromUs: nil, nowUs: 260 * second)
        #expect(spans(due) == [[96, 107]] && due.pieces[0].files.isEmpty)
    }

    /// Bug: a run without an end was cut again from its first day on, and all that footage protected meanwhile.
    @Test func ofARunThatBeganLongAgoOnlyTheNewestPiecesAreLookedAtAgain() {
        var clips = RolledClips()
        let window = clips.apply([roll(100, nil, pieceS: 60)], of: source, nowUs: 1_000_030 * second)
        // On the grid of the run's own pieces, an hour back.
        #expect(window.map(\.span.startUs) == [(100 + 60 * ((1_000_030 - 3600 - 100) / 60)) * second])
        #expect(spans(clips.due(of: source, openFromUs: nil, nowUs: 1_000_031 * second)).isEmpty)
        clips.sealed(segment(1_000_030, 1_000_060))
        #expect(spans(clips.due(of: source, openFromUs: nil, nowUs: 1_000_061 * second)).isEmpty, "still searching")
        #expect(spans(clips.due(of: source, openFromUs: nil, nowUs: 1_000_091 * second)).count == 61)
    }

    @Test func segmentsThatNoRunCanNeedAreForgotten() {
        var clips = RolledClips()
        _ = clips.apply([roll(4000, nil)], of: source, nowUs: 4010 * second)
        for start in stride(from: Int64(0), to: 4020, by: 10) { clips.sealed(segment(start, start + 10)) }
        _ = clips.apply([roll(4000, 4010)], of: source, nowUs: 4020 * second)
        #expect(clips.due(of: source, openFromUs: nil, nowUs: 4020 * second).pieces[0].files.map(\.path) == ["4000"])
        clips.sealed(segment(5600, 5610))
        _ = clips.apply([roll(3990, 3999, run: "r3")], of: source, nowUs: 5620 * second)
        #expect(clips.due(of: source, openFromUs: nil, nowUs: 5620 * second).pieces[0].files.isEmpty)
    }
}
