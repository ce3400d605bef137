// Files and catalogue agree, nothing is left, nothing overlaps, every gap has a name.

import Testing

@testable import FaultCampaign

@Suite struct VolumeCheckTests {
    private func row(_ path: String, _ span: Span, run: String = "run-1") -> MediaRow {
        MediaRow(
            path: path, camera: .line1, isSegment: true, span: span, fact: fact, frames: 1, isSalvaged: false,
            runID: run)
    }

    /// Two segments, both files there.
    private func snapshot() -> Snapshot {
        var snapshot = Snapshot()
        snapshot.rows = [row("a.mp4", span(0, 5)), row("b.mp4", span(5, 10))]
        snapshot.shown = snapshot.rows
        snapshot.recorded = ["a.mp4": fact, "b.mp4": fact]
        return snapshot
    }

    private func rules(
        atRest: Bool = true, history: FaultHistory = FaultHistory(), _ change: (inout Snapshot) -> Void
    ) -> [Violation.Rule] {
        var snapshot = snapshot()
        change(&snapshot)
        return VolumeCheck(history: history, snapshot: snapshot, isAtRest: atRest).judge().map(\.rule)
    }

    @Test func aVolumeThatAgreesIsRight() { #expect(rules { _ in } == []) }

    @Test func aRowWithoutAFileAndAFileWithoutARowAreFound() {
        #expect(rules { $0.recorded["b.mp4"] = nil } == [.catalogue])
        #expect(rules { $0.recorded["c.mp4"] = fact } == [.catalogue])
        #expect(rules { $0.recorded["b.mp4"] = FileFact(sizeBytes: 1, sha256: "ab") } == [.catalogue])
    }

    @Test func whatIsLeftInStagingIsFound() {
        #expect(rules { $0.archiveStaging = ["archiver-0.1.media-7"] } == [.leftover])
        #expect(rules { $0.recordingStaging = ["cc.1.run-0.3.mp4"] } == [.leftover])
    }

    @Test func aSegmentThatGrowsIsNoLeftoverUntilEverythingRests() {
        let growing: (inout Snapshot) -> Void = {
            $0.recordingStaging = ["cc.1.run-1.3.mp4"]
            $0.liveRuns = ["run-1"]
        }
        #expect(rules(atRest: false, growing) == [])
        #expect(rules(atRest: true, growing) == [.leftover])
    }

    @Test func workThatNobodyDoesIsFound() {
        #expect(rules { $0.waitingItems = 2 } == [.leftover])
        #expect(rules { $0.spooledRecords = 2 } == [.leftover])
    }

    @Test func aHoldThatOutlivesItsRequestIsFound() {
        #expect(rules { $0.holds = ["h"] } == [.leftover])
    }

    @Test func onlyOldFootageMayHaveMadeRoom() {
        let expired: (inout Snapshot) -> Void = {
            $0.missing = [NamedGap(camera: .line1, span: span(3, 4), cause: "expired", reason: "")]
        }
        var history = FaultHistory()
        history.recordingBegan(.line1, atUs: us(0))
        #expect(
            rules(history: history) {
                expired(&$0); $0.takenUs = us(20)
            } == [.gap])
        #expect(
            rules(history: history) {
                expired(&$0); $0.takenUs = us(60)
            } == [])
    }

    @Test func filesAndBlobsThatNoRequestNamesAreFound() {
        #expect(rules { $0.archive["x.mp4"] = fact } == [.leftover])
        #expect(rules { $0.blobs["x.mp4"] = fact } == [.leftover])
    }

    @Test func segmentsThatHoldTheSameMomentAreFound() {
        #expect(rules { $0.shown[0] = row("a.mp4", span(0, 6)) } == [.overlap])
    }

    @Test func aGapWithoutAReasonIsFound() {
        #expect(
            rules {
                $0.missing = [NamedGap(camera: .line1, span: span(3, 4), cause: "not_recorded", reason: "")]
            } == [.unexplained])
    }

    @Test func aGapWhileACameraIsRecordedNeedsAFault() {
        var history = FaultHistory()
        history.recordingBegan(.line1, atUs: us(0))
        let missing: (inout Snapshot) -> Void = {
            $0.missing = [NamedGap(camera: .line1, span: span(3, 4), cause: "dark", reason: "")]
        }
        #expect(rules(history: history, missing) == [.gap])
        history.fault(.cameraLine1, 3, 3.2)
        history.streams(.line1, "run-2", at: 4)
        #expect(rules(history: history, missing) == [])
    }

    @Test func aFileThatDoesNotPlayIsFound() {
        #expect(rules { $0.unplayable = ["a.mp4": "moov atom not found"] } == [.playback])
    }

    @Test func logsAreReadForCrashes() {
        #expect(LogScan.alarms(in: "info all well\nFatal error: Index out of range\n").count == 1)
        #expect(LogScan.alarms(in: "a line of a log\n").isEmpty)
    }
}
