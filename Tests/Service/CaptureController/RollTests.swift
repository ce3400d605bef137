// clip-to-fs with a pre-roll and a post-roll: the clip begins before its run and ends after it, by exactly what was asked.
import Fakes
import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized, .timeLimit(.minutes(5))) struct RollTests {
    private static let settings = TaskSettings(
        type: .clipToFs, format: "mp4", durationS: 60, path: "", preRollS: 4, postRollS: 2)

    private func stream(
        _ site: CameraSite, running: Bool, startedUs: Int64?, changedUs: Int64?, runID: String = "run-1",
        _ settings: TaskSettings = Self.settings
    ) -> StreamDefinition {
        var stream = site.stream("event", settings, running: running)
        stream.desired = DesiredState(
            running: running, runID: startedUs == nil ? "" : runID, changedUs: changedUs, startedUs: startedUs)
        return stream
    }

    /// Hash of each picture that a player shows, and when it does, in seconds.
    private func pictures(_ site: CameraSite, _ path: String) async throws -> [(seconds: Double, hash: String)] {
        let result = try await runTool(
            "ffmpeg",
            [
                "-v", "warning", "-copyts", "-i", site.volume + "/" + path, "-map", "0:v", "-fps_mode", "passthrough",
                "-enc_time_base", "1:90000", "-f", "framemd5", "-",
            ], within: .seconds(60))
        #expect(result.exitCode == 0 && result.error.isEmpty, "\(path): \(result.error)")
        return result.output.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { line in
            let fields = line.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
            guard fields.count > 5, let pts = Double(fields[2]) else { return nil }
            return (pts / 90_000, fields[5])
        }
    }

    /// What the segments show from one moment of the wall clock to another.
    private func recorded(_ site: CameraSite, _ fromUs: Int64, _ toUs: Int64) async throws -> [String] {
        var frames: [(us: Int64, hash: String)] = []
        for segment in site.segments.sorted(by: { ($0.startUs ?? 0) < ($1.startUs ?? 0) }) {
            let shown = try await pictures(site, segment.path ?? "")
            let first = shown.first?.seconds ?? 0
            frames += shown.map { ((segment.startUs ?? 0) + Int64(($0.seconds - first) * 1_000_000), $0.hash) }
        }
        return frames.filter { fromUs <= $0.us && $0.us < toUs }.map(\.hash)
    }

    @Test func aClipBeginsBeforeItsRunAndEndsAfterItByExactlyThat() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.startNeighbours()
        site.registry.configure(
            endpoints: [site.endpoint()], streams: [stream(site, running: false, startedUs: nil, changedUs: nil)])
        let controller = try site.startController()
        try await eventually("the ring has what comes before", within: .seconds(30)) {
            let status = try await site.sourceStatus()
            return (status?.ringFromUs).map { CameraSite.nowUs() - $0 > 6_000_000 } ?? false ? true : nil
        }
        #expect(site.segments.isEmpty, "nothing is recorded before the run")
        let startedUs = CameraSite.nowUs()
        site.registry.configure(
            endpoints: [site.endpoint()],
            streams: [stream(site, running: true, startedUs: startedUs, changedUs: startedUs)])
        try await eventually("the run is under way", within: .seconds(10)) {
            try await site.task("event")?.state == .running && CameraSite.nowUs() - startedUs > 2_500_000 ? true : nil
        }
        let stoppedUs = CameraSite.nowUs()
        site.registry.configure(
            endpoints: [site.endpoint()],
            streams: [stream(site, running: false, startedUs: startedUs, changedUs: stoppedUs)])
        try await eventually("the post-roll is a run still", within: .seconds(2)) {
            try await site.task("event")?.state == .running ? true : nil
        }
        try await eventually("the clip is there", within: .seconds(30)) { site.told(.rendition).isEmpty ? nil : true }
        let clip = try #require(site.told(.rendition).first)
        #expect(try await site.task("event")?.state == .stopped)
        try await controller.terminate()

        let from = startedUs - 4_000_000
        let to = stoppedUs + 2_000_000
        #expect(clip.stream == StreamName(asset: "press", stream: "event") && clip.source == CameraSite.source)
        #expect(clip.path?.hasPrefix("press/event/") == true && clip.fileExtension == "mp4")
        let expected = try await recorded(site, from, to)
        let shown = try await pictures(site, clip.path ?? "")
        #expect(shown.map(\.hash) == expected)
        #expect(clip.frames == UInt32(expected.count) && expected.count > 100)
        // 15 pictures a second: within one of both ends.
        #expect(abs((clip.startUs ?? 0) - from) < 67_000 && abs((clip.endUs ?? 0) - to) < 67_000 + 67_000)
        // The footage lies below its source, as that of any window; the clip is no part of it.
        #expect(site.segments.allSatisfy { $0.path?.hasPrefix("line1/main/") == true })
        #expect(camera.standardOutput.split(separator: "\n").filter { $0 == "play" }.count == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: site.volume + "/.staging").isEmpty)
    }

    @Test func aRunIsCutInPiecesAndAKilledControllerMakesUpForItsLastOne() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.startNeighbours()
        var settings = Self.settings
        settings.durationS = 3
        settings.preRollS = 2
        site.registry.configure(
            endpoints: [site.endpoint()],
            streams: [stream(site, running: false, startedUs: nil, changedUs: nil, settings)])
        let first = try site.startController()
        try await eventually("the ring has what comes before", within: .seconds(30)) {
            let status = try await site.sourceStatus()
            return (status?.ringFromUs).map { CameraSite.nowUs() - $0 > 4_000_000 } ?? false ? true : nil
        }
        let startedUs = CameraSite.nowUs()
        site.registry.configure(
            endpoints: [site.endpoint()],
            streams: [stream(site, running: true, startedUs: startedUs, changedUs: startedUs, settings)])
        try await eventually("two pieces are there", within: .seconds(30)) {
            site.told(.rendition).count >= 2 ? true : nil
        }
        let pieces = site.told(.rendition).sorted { ($0.startUs ?? 0) < ($1.startUs ?? 0) }
        // One ends where the next begins: no picture is in both, none in neither.
        var shown: [String] = []
        for piece in pieces.prefix(2) { shown += try await pictures(site, piece.path ?? "").map(\.hash) }
        try await first.kill()
        let stoppedUs = CameraSite.nowUs() - 500_000
        site.registry.configure(
            endpoints: [site.endpoint()],
            streams: [stream(site, running: false, startedUs: startedUs, changedUs: stoppedUs, settings)])
        let second = try site.startController()
        let ends = stoppedUs + 2_000_000
        try await eventually("the run's last piece is made up for", within: .seconds(90)) {
            site.told(.rendition).contains {
                ($0.endUs ?? 0) > ends - 3_200_000 && ($0.startUs ?? 0) > startedUs + 3_900_000
            }
                ? true : nil
        }
        try await second.terminate()
        let from = startedUs - 2_000_000
        let seen = try await recorded(site, from, from + 6_000_000)
        #expect(shown == seen)
        withExtendedLifetime(camera) {}
    }
}
