// Items of kind clip: segments that lie on the volumes of two controllers, one mounted and one read over RPC, become one MP4 that
// plays and is the same whoever makes it; and what is told when a segment or a volume is not to be had.
import Crypto
import Fakes
import Foundation
import Harness
import RPC
import TestFootage
import Testing
import Volume
import Wire

@Suite(.serialized) struct ClipTests {
    private static let archived = "line1/2026/11/23/05/segment_clip_line1.mp4"
    /// The volume of the other controller.
    private static let awayID = "8d0f1a52-6d6c-4f3f-9a53-0f7f2c1f7f10"

    /// An archiver's site with three segments of a second each; of some the volume is mounted, of the others it is not.
    private struct Scene {
        let site: ArchiverTests.Site
        let segments: [[UInt8]]

        init(mounted: Set<Int>, _ cameras: [RecordedCamera] = Array(repeating: RecordedCamera(), count: 3)) throws {
            site = try ArchiverTests.Site()
            var made: [[UInt8]] = []
            var files: [MediaFile] = []
            var away: [String: [UInt8]] = [:]
            for (number, camera) in cameras.enumerated() {
                let frames = (25 * number)..<(25 * number + 25)
                let bytes = try camera.segment(frames)
                let path = "line1/clips/\(number).mp4"
                made.append(bytes)
                if mounted.contains(number) {
                    let target = URL(fileURLWithPath: site.recording).appendingPathComponent(path)
                    try FileManager.default.createDirectory(
                        at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
                    try Data(bytes).write(to: target)
                } else {
                    away[path] = bytes
                }
                files.append(
                    MediaFile(
                        kind: .segment, volumeID: mounted.contains(number) ? site.recordingID : ClipTests.awayID,
                        path: path, source: SourceName(device: "cam1", endpoint: "main"),
                        startUs: RecordedCamera.timeUs(frames.lowerBound),
                        endUs: RecordedCamera.timeUs(frames.upperBound), sizeBytes: UInt64(bytes.count)))
            }
            segments = made
            site.indexer.queryMedia.answer { [files] request in
                // A page at a time.
                let first = request.pageToken.flatMap { Int($0) } ?? 0
                return QueryMediaReply(
                    files: [files[first]], nextPageToken: first + 1 < files.count ? "\(first + 1)" : nil)
            }
            let address = "ipc://\(site.folder.path("run/capture-controller.rpc"))"
            site.indexer.listVolumes.answer { _ in
                ListVolumesReply(volumes: [
                    KnownVolume(
                        volume: VolumeStatus(volumeID: ClipTests.awayID, role: "recording"), owner: "cc-1",
                        ownerAddress: address)
                ])
            }
            site.controller.readSegment.answer { [away] request in
                guard request.volumeID == ClipTests.awayID, let bytes = away[request.path ?? ""] else {
                    throw RPCError.notFound("no file \(request.path ?? "")")
                }
                let from = Int(request.offset ?? 0)
                guard from <= bytes.count else { throw RPCError.outOfRange("beyond the end") }
                return ReadSegmentReply(
                    data: Array(bytes[from..<min(bytes.count, from + Int(request.length ?? 0))]),
                    sizeBytes: UInt64(bytes.count))
            }
            site.controller.server.start()
        }

        /// Asks for 2.2 seconds: pictures 10 to 64.
        func offer() {
            site.indexer.offer(
                [
                    ClaimedItem(
                        itemID: 1, epoch: 1, kind: .clip,
                        source: MediaFile(kind: .segment, source: SourceName(device: "cam1", endpoint: "main")),
                        archivePath: ClipTests.archived, sidecar: Array(#"{"camera_id":"line1"}"#.utf8),
                        camera: "line1",
                        window: Window(startUs: RecordedCamera.timeUs(10), endUs: RecordedCamera.timeUs(65)),
                        requestIDs: ["r1"])
                ], work: .archive)
        }

        func made() async throws -> [UInt8] {
            offer()
            let archiver = try site.start()
            let done = try await site.completed()
            let bytes = try #require(site.archived(ClipTests.archived))
            #expect(done[0].sizeBytes == UInt64(bytes.count) && done[0].sha256 == Array(SHA256.hash(data: bytes)))
            #expect(site.staged.isEmpty)
            #expect(try await archiver.terminate() == 0)
            return bytes
        }

        func refused() async throws -> FailItemRequest {
            offer()
            let archiver = try site.start()
            let failure = try await site.failed()
            #expect(site.archived(ClipTests.archived) == nil && site.staged.isEmpty)
            try await archiver.terminate()
            return failure
        }
    }

    @Test func aClipOfTwoControllersVolumesPlaysAndIsTheSameWhoeverMakesIt() async throws {
        let first = try Scene(mounted: [0, 2])
        let bytes = try await first.made()
        let asked = Set(first.site.controller.readSegment.requests.compactMap(\.path))
        #expect(asked == ["line1/clips/1.mp4"])
        let probe = try await runTool(
            "ffprobe",
            [
                "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries",
                "stream=nb_read_frames:format=duration", "-of", "csv=p=0", first.site.archive + "/" + Self.archived,
            ])
        #expect(probe.error == "")
        #expect(probe.output.split(separator: "\n").map(String.init) == ["55", "2.200000"])
        // Another archiver has the other volume mounted.
        let second = try Scene(mounted: [1])
        #expect(try await second.made() == bytes)
        #expect(Set(second.site.controller.readSegment.requests.compactMap(\.path)).count == 2)
    }

    @Test func aSegmentThatRetentionTookEndsTheItem() async throws {
        let scene = try Scene(mounted: [0, 2])
        scene.site.controller.readSegment.answer { request in throw RPCError.notFound("no file \(request.path ?? "")") }
        let failure = try await scene.refused()
        #expect(failure.retryable == false)
        #expect(
            failure.reason?.contains("line1/clips/1.mp4") == true && failure.reason?.contains("nothing is left") == true
        )
    }

    @Test func aVolumeThatNobodyAnswersForMakesTheItemWait() async throws {
        let scene = try Scene(mounted: [0, 2])
        scene.site.indexer.listVolumes.answer { _ in ListVolumesReply() }
        let failure = try await scene.refused()
        #expect(failure.retryable == true)
        #expect(failure.reason?.contains(Self.awayID) == true && failure.reason?.contains("mount it") == true)
    }

    @Test func anOwnerThatFailsHalfWayLeavesNothingAndTheItemWaits() async throws {
        let scene = try Scene(mounted: [0, 2])
        let bytes = scene.segments[1]
        scene.site.controller.readSegment.answer { request in
            // Boxes are read by a page at most; what is larger is for the clip.
            if (request.length ?? 0) > 4096 { throw RPCError(code: .internal, message: "the disk fails") }
            let from = Int(request.offset ?? 0)
            return ReadSegmentReply(
                data: Array(bytes[from..<min(bytes.count, from + Int(request.length ?? 0))]),
                sizeBytes: UInt64(bytes.count))
        }
        let failure = try await scene.refused()
        #expect(failure.retryable == true && failure.reason?.contains("the disk fails") == true)
    }

    @Test func aChangeOfCodecIsTold() async throws {
        let scene = try Scene(mounted: [0, 1, 2], [RecordedCamera(), RecordedCamera(.h264), RecordedCamera(.h264)])
        let failure = try await scene.refused()
        #expect(failure.retryable == false)
        #expect(failure.reason?.contains("codec changes at \(RecordedCamera.timeUs(25))") == true, "\(failure)")
    }
}
