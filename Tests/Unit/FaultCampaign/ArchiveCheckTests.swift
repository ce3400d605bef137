// The archive volume as its readers see it: each file once, documents that are true, clips that show their window.

import Testing

@testable import FaultCampaign

@Suite struct ArchiveCheckTests {
    private static let other = FileFact(sizeBytes: 7, sha256: "cd")

    private func item(
        _ path: String, _ id: UInt64, source: String? = nil, fact: FileFact = fact, state: String = "archived",
        isClip: Bool = false
    ) -> DeliveredItem {
        DeliveredItem(
            path: path, isManifest: false, isSegment: !isClip, camera: .line1, state: state, span: span(10, 20),
            fact: fact, sourcePath: source, blobURL: nil, error: nil, itemID: id, isClip: isClip)
    }

    /// One request for line1 from 10 s to 20 s with these files, each with a true sidecar, and a true manifest.
    private func snapshot(_ files: [DeliveredItem], gaps: [NamedGap] = []) -> Snapshot {
        var snapshot = Snapshot()
        snapshot.requests = [
            RequestFact(
                id: "r", state: "done", reason: "", window: span(10, 20), cameras: [.line1], eventKeys: [],
                acceptedUs: us(16), finishedUs: us(22), files: files, gaps: gaps, manifestPath: "m.json")
        ]
        for file in files {
            let sidecar = RequestCheck.sidecar(of: file.path)
            snapshot.archive[file.path] = file.fact
            snapshot.archive[sidecar] = Self.other
            snapshot.sidecars[sidecar] = self.sidecar(file)
        }
        snapshot.manifests["m.json"] = ManifestFact(
            requestID: "r", window: span(10, 20),
            files: Set(files.map { ManifestFact.File(path: $0.path, fact: $0.fact) }), gaps: [], isWhole: true)
        return snapshot
    }

    private func sidecar(
        _ file: DeliveredItem, fileName: String? = nil, camera: String = "line1", fact: FileFact? = nil,
        requestIDs: Set<String> = ["r"]
    ) -> SidecarFact {
        SidecarFact(
            fileName: fileName ?? file.path.split(separator: "/").last.map(String.init) ?? "", camera: camera,
            span: file.span, fact: fact ?? file.fact, requestIDs: requestIDs)
    }

    private func rules(
        _ files: [DeliveredItem], gaps: [NamedGap] = [], history: FaultHistory = FaultHistory(),
        _ change: (inout Snapshot) -> Void = { _ in }
    ) -> [Violation.Rule] {
        var snapshot = snapshot(files, gaps: gaps)
        change(&snapshot)
        return ArchiveCheck(history: history, snapshot: snapshot).judge().map(\.rule)
    }

    // MARK: Once

    @Test func anArchiveThatIsTrueIsRight() {
        #expect(rules([item("a/f.mp4", 1, source: "s"), item("a/g.mp4", 2, source: "t", fact: Self.other)]) == [])
    }

    @Test func theFileThatTwoRequestsShareIsOne() {
        #expect(
            rules([item("a/f.mp4", 1, source: "s")]) { snapshot in
                snapshot.requests += snapshot.requests
            } == [])
    }

    @Test func onePathOfTwoItemsOrOfTwoRecordingsIsFound() {
        #expect(rules([item("a/f.mp4", 1), item("a/f.mp4", 2)]) == [.delivery])
        #expect(rules([item("a/f.mp4", 1, source: "s"), item("a/f.mp4", 1, source: "t")]) == [.delivery])
    }

    @Test func aRecordingThatIsArchivedUnderTwoNamesIsFound() {
        let two = [item("a/f.mp4", 1, source: "s"), item("a/g.mp4", 2, source: "s", fact: Self.other)]
        #expect(rules(two) == [.delivery])
        // The same bytes, whatever the catalogue thinks of where they came from.
        #expect(rules([item("a/f.mp4", 1, source: "s"), item("a/g.mp4", 2, source: "t")]) == [.delivery])
        #expect(rules([item("a/f.mp4", 1, isClip: true), item("a/g.mp4", 2, isClip: true)]) == [.delivery])
    }

    // MARK: Documents

    @Test func aManifestThatIsNotTrueIsFound() {
        let files = [item("a/f.mp4", 1)]
        #expect(rules(files) { $0.archive["a/f.mp4"] = Self.other } == [.manifest])
        #expect(rules(files) { $0.archive["a/f.mp4"] = nil } == [.manifest])
        #expect(
            rules(files) {
                $0.manifests["m.json"] = ManifestFact(
                    requestID: "r", window: span(10, 20), files: [ManifestFact.File(path: "a/f.mp4", fact: nil)],
                    gaps: [], isWhole: true)
            } == [.manifest])
    }

    @Test func whatWasEvictedMayBeAbsent() {
        #expect(rules([item("a/f.mp4", 1, state: "evicted")]) { $0.archive["a/f.mp4"] = nil } == [])
    }

    @Test func aSidecarThatIsNotTrueIsFound() {
        let file = item("a/f.mp4", 1)
        func with(_ sidecar: SidecarFact?) -> [Violation.Rule] {
            rules([file]) { $0.sidecars["a/f.json"] = sidecar }
        }
        #expect(with(nil) == [.sidecar])
        #expect(with(sidecar(file, fileName: "g.mp4")) == [.sidecar])
        #expect(with(sidecar(file, camera: "line2")) == [.sidecar])
        #expect(with(sidecar(file, fact: Self.other)) == [.sidecar])
        #expect(with(sidecar(file, requestIDs: ["another"])) == [.sidecar])
        #expect(with(sidecar(file, requestIDs: [])) == [])
    }

    // MARK: Clips

    private func clip(
        _ pictures: ClipFact, gaps: [NamedGap] = [], history: FaultHistory = FaultHistory()
    ) -> [Violation.Rule] {
        rules([item("a/c.mp4", 1, isClip: true)], gaps: gaps, history: history) { $0.clips["a/c.mp4"] = pictures }
    }

    @Test func aClipHasThePicturesOfItsWindow() {
        // Ten seconds of 25 pictures; one is cut at either end.
        #expect([249, 250, 251, 252].allSatisfy { clip(.pictures($0)) == [] })
        #expect([0, 240, 248, 253, 275].allSatisfy { clip(.pictures($0)) == [.clip] })
    }

    @Test func whatAGapOrAnAbsentRecorderTookIsNotInIt() {
        let gaps = [NamedGap(camera: .line1, span: span(14, 18), cause: "killed", reason: "")]
        #expect(clip(.pictures(150), gaps: gaps) == [])
        #expect(clip(.pictures(250), gaps: gaps) == [.clip])
        #expect(clip(.pictures(244)) == [.clip])
        var history = FaultHistory()
        history.streams(.line1, "run-1", at: 0)
        history.fault(.captureController, 14, 14.2)
        history.streams(.line1, "run-2", at: 14.5)
        // A seam that is no gap.
        #expect(clip(.pictures(244), history: history) == [])
        #expect(clip(.pictures(230), history: history) == [.clip])
    }

    @Test func aClipThatDoesNotPlayIsFound() {
        #expect(clip(.broken("moov atom not found")) == [.playback])
    }
}
