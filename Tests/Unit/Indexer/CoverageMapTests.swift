// What of a window is covered, why the rest is missing, and which of overlapping segments count.

import Testing

@testable import Indexer

@Suite struct CoverageMapTests {
    static let seamUs: Int64 = 250

    private func segment(_ id: Int64, _ start: Int64, _ end: Int64, primary: Bool = true) -> CoveringSegment {
        CoveringSegment(mediaID: id, span: Span(start, end), isPrimary: primary, sizeBytes: 10)
    }

    private func gap(_ start: Int64, _ end: Int64, _ cause: String, lost: Int64 = 0) -> KnownGap {
        KnownGap(span: Span(start, end), cause: cause, reason: "", framesLost: lost)
    }

    private func map(_ segments: [CoveringSegment], _ known: [KnownGap] = [], deletedTo: Int64 = 0) -> CoverageMap {
        CoverageMap(
            window: Span(1000, 11_000), segments: segments, known: known, seamUs: Self.seamUs, deletedToUs: deletedTo)
    }

    private func text(_ gaps: [KnownGap]) -> [String] {
        gaps.map { "\($0.span.startUs)-\($0.span.endUs) \($0.cause)" }
    }

    @Test func adjoiningSegmentsAreOneSpanClippedToTheWindow() {
        let map = map([segment(1, 0, 4000), segment(2, 4000, 8000), segment(3, 8000, 12_000)])
        #expect(map.covered == [Span(1000, 11_000)])
        #expect(map.gaps.isEmpty)
        #expect(map.chosen.map(\.mediaID) == [1, 2, 3])
    }

    @Test func aSegmentThatOnlyTouchesTheWindowIsOutside() {
        let map = map([segment(1, 0, 1000), segment(2, 1000, 11_000), segment(3, 11_000, 12_000)])
        #expect(map.chosen.map(\.mediaID) == [2])
    }

    @Test func aSeamThatNobodyReportedIsNoGap() {
        let map = map([segment(1, 0, 4000), segment(2, 4249, 12_000)])
        #expect(map.gaps.isEmpty)
        #expect(map.covered == [Span(1000, 11_000)])
    }

    @Test func aReportedSeamIsAGap() {
        let map = map([segment(1, 0, 4000), segment(2, 4100, 12_000)], [gap(4000, 4100, "dropped")])
        #expect(text(map.gaps) == ["4000-4100 dropped"])
        #expect(map.covered == [Span(1000, 4000), Span(4100, 11_000)])
    }

    @Test func theWindowSpansAGapAndARestart() {
        let map = map([segment(1, 0, 4000), segment(2, 7000, 12_000)], [gap(4000, 6000, "dark")])
        #expect(text(map.gaps) == ["4000-6000 dark", "6000-7000 not_recorded"])
    }

    @Test func nothingAtAllIsOneGap() {
        #expect(text(map([]).gaps) == ["1000-11000 not_recorded"])
        #expect(text(map([], deletedTo: 20_000).gaps) == ["1000-11000 expired"])
    }

    @Test func overlappingReportsExplainATimeOnce() {
        let map = map([], [gap(0, 9000, "dark"), gap(2000, 3000, "killed"), gap(8000, 12_000, "stopped")])
        #expect(text(map.gaps) == ["1000-9000 dark", "9000-11000 stopped"])
    }

    @Test func piecesOfOneOutageAreOneGap() {
        let map = map([], [gap(0, 5000, "dark"), gap(5000, 20_000, "dark")])
        #expect(text(map.gaps) == ["1000-11000 dark"])
    }

    @Test func aReportedGapThatFootageCoversIsNotShown() {
        let map = map([segment(1, 0, 12_000)], [gap(2000, 5000, "dark")])
        #expect(map.gaps.isEmpty)
    }

    @Test func lostFramesInsideASegmentAreShown() {
        let map = map([segment(1, 0, 12_000)], [gap(2000, 5000, "dropped", lost: 7)])
        #expect(text(map.gaps) == ["2000-5000 dropped"])
        #expect(map.covered == [Span(1000, 11_000)])
    }

    @Test func aDuplicateServesOnlyWhereNoPrimaryHasTheTime() {
        let map = map([
            segment(1, 0, 6000), segment(2, 3000, 5000, primary: false), segment(3, 5000, 12_000, primary: false),
        ])
        #expect(map.chosen.map(\.mediaID) == [1, 3])
        #expect(map.gaps.isEmpty)
    }
}

@Suite struct SegmentRankingTests {
    private func segment(_ id: Int64, _ start: Int64, _ end: Int64, epoch: Int64, run: String) -> RankedSegment {
        RankedSegment(mediaID: id, span: Span(start, end), leaseEpoch: epoch, runID: run, path: "p\(id)")
    }

    private func judge(_ segments: [RankedSegment]) -> [Int64: (isPrimary: Bool, endUs: Int64)] {
        Dictionary(
            uniqueKeysWithValues: SegmentRanking.judge(segments).map { ($0.mediaID, ($0.isPrimary, $0.endUs)) })
    }

    @Test func aHigherEpochBeatsALowerOne() {
        let verdict = judge([segment(1, 5, 15, epoch: 1, run: "a"), segment(2, 0, 10, epoch: 2, run: "b")])
        #expect(verdict[1]?.isPrimary == false)
        #expect(verdict[2]?.isPrimary == true)
    }

    @Test func whereAnotherControllerTookOverTheLastSegmentOfTheOneBeforeEnds() {
        let verdict = judge([
            segment(1, 0, 10, epoch: 1, run: "a"), segment(2, 7, 12, epoch: 2, run: "b"),
            segment(3, 12, 17, epoch: 2, run: "b"),
        ])
        #expect(verdict[1]?.isPrimary == true)
        #expect(verdict[1]?.endUs == 7)
        #expect(verdict[2]?.isPrimary == true)
        // One that went on for long, because it was cut off from the registry.
        let long = judge([
            segment(1, 0, 16, epoch: 1, run: "a"), segment(2, 7, 12, epoch: 2, run: "b"),
            segment(3, 12, 17, epoch: 2, run: "b"), segment(4, 16, 30, epoch: 1, run: "a"),
        ])
        #expect(long[1]?.endUs == 7)
        #expect(long[4]?.isPrimary == false)
    }

    @Test func aSegmentThatAloneHasSomeTimeKeepsIt() {
        let verdict = judge([segment(1, 0, 20, epoch: 1, run: "a"), segment(2, 7, 12, epoch: 2, run: "b")])
        #expect(verdict[1]?.isPrimary == false, "it serves as a duplicate from 12 to 20")
        #expect(verdict[1]?.endUs == 20)
        #expect(verdict[2]?.isPrimary == true)
    }

    @Test func ofOneEpochTheEarlierStartWins() {
        let verdict = judge([segment(1, 5, 15, epoch: 1, run: "b"), segment(2, 0, 10, epoch: 1, run: "a")])
        #expect(verdict[1]?.isPrimary == false)
        #expect(verdict[2]?.isPrimary == true)
    }

    @Test func aBeatenSegmentDoesNotBeatOthers() {
        let verdict = judge([
            segment(1, 2, 10, epoch: 1, run: "a"), segment(2, 0, 6, epoch: 2, run: "b"),
            segment(3, 6, 12, epoch: 1, run: "c"),
        ])
        #expect(verdict[1]?.isPrimary == false)
        #expect(verdict[3]?.isPrimary == true)
    }

    @Test func filesOfOneRunAreTrimmedInsteadOfBeaten() {
        let verdict = judge([segment(1, 0, 12, epoch: 1, run: "a"), segment(2, 10, 20, epoch: 1, run: "a")])
        #expect(verdict[1]?.isPrimary == true)
        #expect(verdict[1]?.endUs == 10)
        #expect(verdict[2]?.isPrimary == true)
        #expect(verdict[2]?.endUs == 20)
    }

    @Test func theOrderOfArrivalDoesNotMatter() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let segments = (1...8).map { id in
                let start = Int64.random(in: 0..<50, using: &random)
                return segment(
                    Int64(id), start, start + Int64.random(in: 1..<20, using: &random),
                    epoch: Int64.random(in: 1...3, using: &random), run: "r\(id % 3)")
            }
            let one = Set(SegmentRanking.judge(segments))
            let other = Set(SegmentRanking.judge(segments.shuffled(using: &random)))
            #expect(one == other)
            let primary = segments.compactMap { segment in
                one.first { $0.mediaID == segment.mediaID && $0.isPrimary }.map { Span(segment.span.startUs, $0.endUs) }
            }.sorted()
            for (left, right) in zip(primary, primary.dropFirst()) { #expect(!left.overlaps(right)) }
        }
    }
}
