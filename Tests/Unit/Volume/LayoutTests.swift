// RecordingLayout and ArchiveLayout: the paths that the catalogue and other programs rely on.
import Testing

@testable import Volume

private let start: Int64 = 1_795_410_372_123_456

@Suite("Layouts")
struct LayoutTests {
    @Test func segmentsAndSnapshotsOfTheRecordingVolume() throws {
        let segment = try RecordingLayout.segment(
            owner: "cam1", part: "clips", startUs: start, endUs: start + 4_000_000, fileExtension: "mp4")
        #expect(
            segment.string
                == "cam1/clips/2026/11/23/05/20261123T050612.123456Z_20261123T050616.123456Z.mp4")
        let snapshot = try RecordingLayout.snapshot(owner: "a/b", part: ".x", timeUs: start, fileExtension: "jpg")
        #expect(snapshot.string == "a%2Fb/%2Ex/2026/11/23/05/20261123T050612.123456Z.jpg")
    }

    @Test func recordingPathsReadBack() throws {
        let segment = try RecordingLayout.segment(
            owner: "a/b", part: "Süd", startUs: start, endUs: start + 1, fileExtension: "mp4")
        #expect(
            RecordingLayout.parse(segment)
                == .init(owner: "a/b", part: "Süd", startUs: start, endUs: start + 1, fileExtension: "mp4"))
        let snapshot = try RecordingLayout.snapshot(owner: "c", part: "d", timeUs: start, fileExtension: "png")
        #expect(RecordingLayout.parse(snapshot)?.endUs == nil)
        #expect(RecordingLayout.parse(snapshot)?.startUs == start)
    }

    @Test(arguments: [
        "a/b/2026/11/23/05/x.mp4", "a/b/2026/11/23/06/20261123T050612.123456Z.mp4", "20261123T050612.123456Z.mp4",
        "a/b/2026/11/23/05/20261123T050612.123456Z", "a/b/2026/11/23/05/20261123T050612.123456Z.",
        "a/b/2026/11/23/05/20261123T050612.123456Z_20261123T050612.123456Z.mp4",
        "a/b/2026/11/23/05/20261123T050612.123456Z_.mp4", "a/b/c/2026/11/23/05/20261123T050612.123456Z.mp4",
    ])
    func foreignFilesAreNotRead(path: String) throws {
        #expect(RecordingLayout.parse(try RelativePath(path)) == nil)
    }

    @Test func impossibleSegmentsAreRefused() {
        func segment(_ start: Int64, _ end: Int64, _ fileExtension: String = "mp4") -> VolumeError.Kind? {
            failure {
                _ = try RecordingLayout.segment(
                    owner: "a", part: "b", startUs: start, endUs: end, fileExtension: fileExtension)
            }
        }
        #expect(segment(start, start) == .invalidName)
        #expect(segment(-1, start) == .invalidName)
        #expect(segment(start, .max) == .invalidName)
        #expect(segment(start, start + 1, "m/4") == .invalidName)
        #expect(segment(start, start + 1, "") == .invalidName)
        #expect(segment(start, start + 1) == nil)
    }

    @Test func archivePathsAreThoseOfTheQueryTools() throws {
        let segment = try ArchiveLayout.segment(asset: "cam-1", startUs: start, fileExtension: "mp4")
        #expect(segment.string == "cam-1/2026/11/23/05/segment_2026-11-23T05:06:12Z_cam-1.mp4")
        #expect(
            try ArchiveLayout.sidecar(of: segment).string
                == "cam-1/2026/11/23/05/segment_2026-11-23T05:06:12Z_cam-1.json")
        let second = try ArchiveLayout.segment(asset: "cam-1", startUs: start, fileExtension: "mp4", number: 2)
        #expect(second.string == "cam-1/2026/11/23/05/segment_2026-11-23T05:06:12Z_cam-1_2.mp4")
        #expect(try ArchiveLayout.sidecar(of: second).string.hasSuffix("_cam-1_2.json"))
        let snapshot = try ArchiveLayout.snapshot(asset: "cam-1", timeUs: start, fileExtension: "jpg")
        #expect(snapshot.string == "cam-1/2026/11/23/05/snapshot_2026-11-23T05:06:12Z_cam-1.jpg")
        let manifest = try ArchiveLayout.manifest(requestID: "req-1.a", startUs: start)
        #expect(manifest.string == "sightglass.requests/2026/11/23/req-1.a.json")
    }

    @Test func cameraNamesAreEscapedOnlyWhereTheyMustBe() throws {
        #expect(try ArchiveLayout.camera(forAsset: "Cam_1-x") == "Cam_1-x")
        let longest = String(repeating: "a", count: 128)
        #expect(try ArchiveLayout.camera(forAsset: longest) == longest)
        let odd = try ["Tor Süd", "Tor/Süd", "Tor.Süd", longest + "a", longest + "b", "..", "\u{1F4F7}"].map { name in
            try ArchiveLayout.camera(forAsset: name)
        }
        #expect(Set(odd).count == odd.count)
        for camera in odd {
            #expect((1...128).contains(camera.utf8.count))
            #expect(camera.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") })
        }
        #expect(odd[0].hasPrefix("Tor_S__d-"))
        #expect(try ArchiveLayout.camera(forAsset: "Tor Süd") == odd[0])
        #expect(failure { _ = try ArchiveLayout.camera(forAsset: "") } == .invalidName)
    }

    @Test func oddArchiveRequestsAreRefused() throws {
        #expect(
            failure { _ = try ArchiveLayout.segment(asset: "a", startUs: start, fileExtension: "json") } == .invalidName
        )
        #expect(
            failure { _ = try ArchiveLayout.segment(asset: "a", startUs: start, fileExtension: "mp4", number: 0) }
                == .invalidName)
        for id in ["", "../x", "a/b", ".x", String(repeating: "a", count: 129)] {
            #expect(failure { _ = try ArchiveLayout.manifest(requestID: id, startUs: start) } == .invalidName)
        }
        #expect(failure { _ = try ArchiveLayout.sidecar(of: RelativePath("a/b.json")) } == .invalidName)
        #expect(failure { _ = try ArchiveLayout.sidecar(of: RelativePath("a/b")) } == .invalidName)
    }
}
