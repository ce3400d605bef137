// What the tests of the model build their cases of. Times are seconds of a campaign that began at 1000 s.

@testable import FaultCampaign

func us(_ seconds: Double) -> Int64 { Int64((1000 + seconds) * 1e6) }
func span(_ start: Double, _ end: Double) -> Span { Span(us(start), us(end)) }

let fact = FileFact(sizeBytes: 100, sha256: "ab")

extension FaultHistory {
    mutating func fault(_ process: ProcessName, _ from: Double, _ to: Double?) {
        fault(process, .kill, from, to)
    }

    mutating func fault(_ process: ProcessName, _ kind: FaultRecord.Kind, _ from: Double, _ to: Double?) {
        let index = began(FaultRecord(process: process, kind: kind, fromUs: us(from), toUs: nil))
        if let to { ended(index, atUs: us(to)) }
    }

    mutating func streams(_ camera: Camera, _ run: String?, at seconds: Double, recording: Bool = true) {
        saw(Sighting(atUs: us(seconds), camera: camera, runID: run, isRecording: recording))
    }
}

/// A request for line1 from 10 s to 20 s, asked for as "a", with one delivered file.
struct OneRequest {
    var history = FaultHistory()
    var ledger = Ledger()
    var snapshot = Snapshot()
    var state = "done"
    var reason = ""
    var gaps: [NamedGap] = []
    var covered = span(9, 21)
    var manifestGaps: Set<Span>?
    var fileState = "uploaded"
    var manner = Manner()

    init() {
        history.streams(.line1, "run-1", at: 0)
        history.recordingBegan(.line1, atUs: us(1))
        ledger.asked(Ask(key: "a", isEvent: true, cameras: [.line1], window: span(10, 20)))
        ledger.sent("a", atUs: us(15))
        ledger.received(Receipt(atUs: us(16), stamp: "16", word: "accepted", requestID: "r", message: nil), under: "a")
        snapshot.retainedStates = ["r": "done"]
        for path in ["f.mp4", "f.json", "m.json"] {
            snapshot.archive[path] = fact
            snapshot.blobs[path] = fact
        }
    }

    var files: [DeliveredItem] {
        [
            DeliveredItem(
                path: "f.mp4", isManifest: false, isSegment: !manner.isClip, camera: .line1, state: fileState,
                span: covered, fact: fact, sourcePath: "s.mp4", blobURL: "http://b/f.mp4", error: nil,
                isClip: manner.isClip),
            DeliveredItem(
                path: "m.json", isManifest: true, isSegment: false, camera: nil, state: fileState, span: span(10, 20),
                fact: fact, sourcePath: nil, blobURL: "http://b/m.json", error: nil),
        ]
    }

    var request: RequestFact {
        RequestFact(
            id: "r", state: state, reason: reason, window: span(10, 20), cameras: [.line1], eventKeys: ["a"],
            acceptedUs: us(16), finishedUs: us(22), files: files, gaps: gaps, manifestPath: "m.json",
            manner: manner)
    }

    func violations(_ change: (inout Snapshot) -> Void = { _ in }) -> Set<Violation.Rule> {
        var snapshot = snapshot
        snapshot.requests = [request]
        if snapshot.retainedStates["r"] != nil { snapshot.retainedStates["r"] = state }
        snapshot.manifests["m.json"] = ManifestFact(
            requestID: "r", window: span(10, 20), files: [ManifestFact.File(path: "f.mp4", fact: fact)],
            gaps: manifestGaps ?? Set(gaps.map(\.span)), isWhole: true)
        change(&snapshot)
        return Set(RequestCheck(ledger: ledger, history: history, snapshot: snapshot).judge().map(\.rule))
    }
}
