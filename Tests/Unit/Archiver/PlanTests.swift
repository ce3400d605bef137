// What the archiver decides before and after a copy: is the item one it can do, are the bytes those that were recorded,
// what is said when not, and what the sidecar holds.
import RPC
import Testing
import Volume
import Wire

@testable import Archiver

@Suite struct PlanTests {
    private let sha = [UInt8](repeating: 7, count: 32)

    private func item(_ change: (inout ClaimedItem) -> Void = { _ in }) -> ClaimedItem {
        var item = ClaimedItem(
            itemID: 1, epoch: 1, kind: .segment,
            source: MediaFile(kind: .segment, volumeID: "v1", path: "cam1/clips/a.mp4", sizeBytes: 10, sha256: sha),
            archivePath: "cam1/2026/11/23/05/segment_2026-11-23T05:00:00Z_cam1.mp4", sidecar: Array("{}".utf8))
        change(&item)
        return item
    }

    @Test func plansASegmentWithItsSidecarBesideIt() throws {
        let plan = try ArchivePlan(item())
        #expect(plan.sidecarPath?.string == "cam1/2026/11/23/05/segment_2026-11-23T05:00:00Z_cam1.json")
        #expect(plan.origin == .recorded(volumeID: "v1", path: try RelativePath("cam1/clips/a.mp4"), address: nil))
        #expect(plan.knowsContent)
    }

    @Test func plansAManifestFromItsContent() throws {
        let plan = try ArchivePlan(
            ClaimedItem(kind: .manifest, archivePath: "sightglass.requests/2026/11/23/r1.json", content: [1]))
        #expect(plan.origin == .content([1]))
        #expect(plan.sidecar == nil && plan.sidecarPath == nil && !plan.knowsContent)
    }

    @Test(arguments: [
        ("../escape.mp4", "cam1/a.mp4"), ("/absolute.mp4", "cam1/a.mp4"), ("", "cam1/a.mp4"),
        (".staging/x.mp4", "a.mp4"),
        ("cam1/a.mp4", "../../etc/passwd"), ("cam1/a.mp4", ""),
    ])
    func refusesPathsThatLeaveTheVolume(_ archivePath: String, _ sourcePath: String) {
        let problem = #expect(throws: ArchiveProblem.self) {
            try ArchivePlan(
                item {
                    $0.archivePath = archivePath
                    $0.source?.path = sourcePath
                })
        }
        #expect(problem?.isRetryable == false)
    }

    @Test func refusesWhatItCannotDo() {
        for kind in [ItemKind.unspecified] {
            #expect(throws: ArchiveProblem.self) { try ArchivePlan(item { $0.kind = kind }) }
        }
        #expect(throws: ArchiveProblem.self) { try ArchivePlan(item { $0.source = nil }) }
        #expect(throws: ArchiveProblem.self) { try ArchivePlan(ClaimedItem(kind: .manifest, archivePath: "a.json")) }
    }

    @Test func takesOnlyTheBytesThatWereRecorded() throws {
        let plan = try ArchivePlan(item())
        try plan.check(Digest(sha256: sha, sizeBytes: 10))
        #expect(throws: ArchiveProblem.self) { try plan.check(Digest(sha256: sha, sizeBytes: 9)) }
        #expect(throws: ArchiveProblem.self) { try plan.check(Digest(sha256: [1], sizeBytes: 10)) }
        // What the item says counts as well as what the source says.
        let other = try ArchivePlan(item { $0.sizeBytes = 11 })
        #expect(throws: ArchiveProblem.self) { try other.check(Digest(sha256: sha, sizeBytes: 10)) }
    }

    @Test func readsADamagedSourceOnceMoreAndThenGivesUp() throws {
        for (attempts, isRetryable) in [(nil, true), (0, true), (1, false), (7, false)] as [(UInt32?, Bool)] {
            let plan = try ArchivePlan(item { $0.attempts = attempts })
            let problem = #expect(throws: ArchiveProblem.self) { try plan.check(Digest(sha256: [1], sizeBytes: 10)) }
            #expect(problem?.isRetryable == isRetryable)
            #expect(problem?.reason.contains("cam1/clips/a.mp4 on volume v1") == true)
        }
    }

    @Test(arguments: VolumeError.Kind.allCases)
    func triesAgainWhateverMayPass(_ kind: VolumeError.Kind) throws {
        let error = VolumeError(kind, path: "/archive/a", "said the disk")
        let onArchive = ArchiveProblem.onArchive(error)
        #expect(onArchive.isRetryable == ![.exists, .invalidName].contains(kind))
        #expect(onArchive.reason.contains("/archive/a: said the disk"))
        let onSource = ArchiveProblem.onSource(error, "a.mp4 on volume v1")
        #expect(onSource.isRetryable == (kind != .missing))
    }

    @Test func aClipIsOfACameraAndAWindow() throws {
        var clip = item()
        clip.kind = .clip
        clip.source = MediaFile(kind: .segment, source: SourceName(device: "d", endpoint: "e"))
        clip.window = Window(startUs: 5, endUs: 9)
        #expect(
            try ArchivePlan(clip).origin
                == .window(source: SourceName(device: "d", endpoint: "e"), window: Window(startUs: 5, endUs: 9)))
        clip.window = nil
        #expect(throws: ArchiveProblem.self) { try ArchivePlan(clip) }
    }

    @Test func aFileThatItsOwnerLostIsNotAskedForAgain() throws {
        let plan = try ArchivePlan(item())
        #expect(!ArchiveProblem.onSource(RPCError.notFound("gone"), plan, address: "ipc:///c").isRetryable)
        #expect(ArchiveProblem.onSource(RPCError.unavailable("away"), plan, address: "ipc:///c").isRetryable)
        #expect(ArchiveProblem.onSource(RPCError.deadlineExceeded("slow"), plan, address: "ipc:///c").isRetryable)
    }
}

@Suite struct SidecarTests {
    private let digest = Digest(sha256: [UInt8](repeating: 0xAB, count: 32), sizeBytes: 1234)

    @Test func fillsInSizeAndHashAndKeepsTheRest() throws {
        let json = #"{"camera_id":"cam1","duration_seconds":10.04,"list":[1,null,true],"size_bytes":null,"url":"a/b"}"#
        let text = String(decoding: try SidecarDocument.filled(Array(json.utf8), with: digest), as: UTF8.self)
        let expected = """
            {
              "camera_id": "cam1",
              "duration_seconds": 10.04,
              "list": [
                1,
                null,
                true
              ],
              "sha256": "\(String(repeating: "ab", count: 32))",
              "size_bytes": 1234,
              "url": "a/b"
            }

            """
        #expect(text == expected)
        #expect(SidecarDocument.describes(Array(text.utf8), digest))
    }

    @Test func aSidecarOfOtherBytesIsTold() throws {
        let other = Digest(sha256: [UInt8](repeating: 1, count: 32), sizeBytes: 1)
        #expect(!SidecarDocument.describes(try SidecarDocument.filled(Array("{}".utf8), with: other), digest))
        #expect(!SidecarDocument.describes(Array("not json".utf8), digest))
        #expect(throws: ArchiveProblem.self) { try SidecarDocument.filled(Array("[1]".utf8), with: digest) }
    }
}
