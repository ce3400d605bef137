// clip-to-fs in other formats than the segments' own: made beside them, told to the catalogue, and no burden to the recording.
import Fakes
import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized, .timeLimit(.minutes(5))) struct RenditionTaskTests {
    private func clips(_ site: CameraSite, _ name: String, _ format: String, audio: Bool? = nil) -> StreamDefinition {
        site.stream(
            name, TaskSettings(type: .clipToFs, format: format, durationS: 2, path: "", audioEnabled: audio))
    }

    private func renditions(_ site: CameraSite, _ ending: String) -> [MediaFile] {
        site.records.compactMap(\.file).filter { $0.kind == .rendition && $0.fileExtension == ending }
    }

    private func streams(_ site: CameraSite, _ path: String) async throws -> [Substring] {
        let result = try await runTool(
            "ffprobe",
            [
                "-v", "error", "-count_packets", "-show_entries", "stream=codec_name,nb_read_packets", "-of", "csv=p=0",
                site.volume + "/" + path,
            ], within: .seconds(30))
        #expect(result.exitCode == 0 && result.error.isEmpty, "\(result.error)")
        return result.output.split(separator: "\n")
    }

    @Test func eachTaskOfACameraHasItsOwnFormat() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.startNeighbours()
        site.registry.configure(
            endpoints: [site.endpoint()],
            streams: [
                clips(site, "clips", "mkv"), clips(site, "others", "mpeg"), clips(site, "silent", "avi", audio: false),
            ])
        let controller = try site.startController()
        try await eventually("three segments have all their renditions", within: .seconds(60)) {
            ["mkv", "mpg", "avi"].allSatisfy { renditions(site, $0).count >= 3 } ? true : nil
        }
        let status = try #require(try await site.task("clips"))
        #expect(status.state == .running && status.error == nil && status.lastOutput?.hasSuffix(".mkv") == true)
        let others = try #require(try await site.task("others"))
        #expect(others.state == .running && others.error?.contains("without sound") == true)
        #expect(others.lastOutput?.hasPrefix("press/others/") == true)
        #expect(camera.standardOutput.split(separator: "\n").filter { $0 == "play" }.count == 1)
        try await controller.terminate()
        #expect(renditions(site, "mkv").contains { $0.audioCodec == "pcmu" })

        for (ending, stream, sound) in [("mkv", "clips", true), ("mpg", "others", false), ("avi", "silent", false)] {
            for rendition in renditions(site, ending) {
                let segment = try #require(
                    site.segments.first { $0.startUs == rendition.startUs && $0.endUs == rendition.endUs })
                #expect(rendition.stream?.stream == stream && rendition.source == segment.source)
                #expect(rendition.runID == segment.runID && rendition.frames == segment.frames)
                let found = try await streams(site, try #require(rendition.path))
                #expect(found.contains("h264,\(segment.frames ?? 0)"), "\(found)")
                #expect(rendition.audioCodec == (sound ? segment.audioCodec : nil))
                #expect(found.contains { $0.hasPrefix("pcm_mulaw,") } == (rendition.audioCodec == "pcmu"))
                let size = try FileManager.default.attributesOfItem(atPath: site.volume + "/" + (rendition.path ?? ""))
                #expect(size[.size] as? UInt64 == rendition.sizeBytes)
                if stream == "clips" {
                    #expect(rendition.path == segment.path?.replacingOccurrences(of: ".mp4", with: ".mkv"))
                }
            }
        }
        // The recording does not know of them.
        for (one, next) in zip(site.segments, site.segments.dropFirst()) { #expect(one.endUs == next.startUs) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: site.volume + "/.staging").isEmpty)
    }

    @Test func segmentsOfBeforeARestartGetTheirRendition() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.startNeighbours()
        site.registry.configure(endpoints: [site.endpoint()], streams: [clips(site, "clips", "mkv")])
        // A worker that is not there: the footage is recorded all the same, and the status says what is missing.
        let first = try site.startController(["--media-worker", site.folder.path("nothing")])
        try await eventually("two segments are sealed, and no rendition", within: .seconds(30)) { () -> Bool? in
            guard let task = try await site.task("clips"), (task.dropped ?? 0) >= 2 else { return nil }
            #expect(task.error?.contains("mkv was not made of") == true && task.error?.contains("as mp4") == true)
            return true
        }
        try await first.kill()
        let before = site.files()
        #expect(before.count >= 2 && renditions(site, "mkv").isEmpty)
        let second = try site.startController()
        try await eventually("they have it", within: .seconds(60)) {
            let made = Set(site.files(".mkv").map { $0.dropLast(4) })
            return before.allSatisfy { made.contains($0.dropLast(4)) } ? true : nil
        }
        try await second.terminate()
        try await camera.kill()
    }
}
