// Pushes, single pictures, restarts without the registry, and reconciliation, with the real executable.
import Fakes
import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized, .timeLimit(.minutes(2))) struct TaskTests {
    private func push(_ site: CameraSite, port: UInt16) -> StreamDefinition {
        site.stream(
            "live",
            TaskSettings(
                type: .streamToRtsp, mediaServerURL: "rtsp://127.0.0.1:\(port)/live/line1",
                mediaServerUsername: SecretReference(path: "line1/username"),
                mediaServerPassword: SecretReference(path: "line1/password")))
    }

    @Test func aPushIsBackTwoSecondsAfterItsServerAndRecordingDoesNotNotice() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        let port = try freePort()
        site.startNeighbours()
        site.registry.configure(
            endpoints: [site.endpoint()], streams: [site.clips(seconds: 1), push(site, port: port)])
        let controller = try site.startController()
        let away = try await eventually("the push says that its server is away") { () -> TaskStatus? in
            let task = try await site.task("live")
            return task?.error == nil ? nil : task
        }
        #expect(away.state == .waiting)
        #expect(away.error == "media server 127.0.0.1:\(port): connection refused")
        var relay = try await site.startMediaServer(port: port)
        func pushes() async throws -> TaskStatus? {
            let task = try await site.task("live")
            return task?.state == .running && (task?.produced ?? 0) > 10 ? task : nil
        }
        let running = try await eventually("the push runs") { try await pushes() }
        #expect(running.error == nil)
        #expect(running.lastOutput == "rtsp://127.0.0.1:\(port)/live/line1")
        let seen = try await runTool(
            "ffprobe",
            [
                "-v", "error", "-rtsp_transport", "tcp", "-show_entries", "stream=codec_name", "-of", "csv=p=0",
                "rtsp://\(CameraSite.player)@127.0.0.1:\(port)/live/line1",
            ], within: .seconds(20))
        #expect(seen.output.contains("h264"))
        try await relay.kill()
        try await eventually("the push notices") { try await site.task("live")?.state == .waiting ? true : nil }
        relay = try await site.startMediaServer(port: port)
        let back = ContinuousClock.now
        try await eventually("the push is back") { try await site.task("live")?.state == .running ? true : nil }
        // 2 s for the push itself; a keyframe a second and the poll of this test come on top.
        #expect(back.duration(to: .now) < .seconds(4))
        let segments = site.segments
        #expect(segments.count > 2)
        for (one, next) in zip(segments, segments.dropFirst()) { #expect(one.endUs == next.startUs) }
        #expect(Set(segments.map(\.runID)).count == 1)
        #expect(!controller.standardError.contains(CameraSite.password))
        try await controller.terminate()
        try await relay.kill()
        try await camera.kill()
    }

    @Test func aSinglePictureComesFromTheNewestKeyframeAndIsRecorded() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.startNeighbours()
        site.registry.configure(endpoints: [site.endpoint()], streams: [])
        let controller = try site.startController()
        let reply = try await eventually("a picture comes") {
            try await site.client.call(
                CaptureControllerMethods.takeSnapshot, TakeSnapshotRequest(source: CameraSite.source, format: "png"))
        }
        #expect(reply.picture?.starts(with: [0x89, 0x50, 0x4E, 0x47]) == true)
        #expect(reply.widthPx == 640 && reply.heightPx == 360)
        let path = try #require(reply.file?.path)
        #expect(site.files(".png") == [path])
        let stored = try Data(contentsOf: URL(fileURLWithPath: site.volume + "/" + path))
        #expect([UInt8](stored) == reply.picture)
        try await eventually("the catalogue is told") { site.records.compactMap(\.file).first { $0.path == path } }
        let small = try await site.client.call(
            CaptureControllerMethods.takeSnapshot,
            TakeSnapshotRequest(source: CameraSite.source, jpegQuality: 1, maxWidthPx: 160))
        #expect(small.widthPx == 160 && small.heightPx == 90)
        #expect(small.picture?.starts(with: [0xFF, 0xD8, 0xFF]) == true)
        try await controller.terminate()
        try await camera.kill()
    }

    @Test func aRestartWithoutTheRegistryRecordsOnAndTheVolumeRebuildsTheCatalogue() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.startNeighbours()
        site.registry.configure(endpoints: [site.endpoint()], streams: [site.clips(seconds: 1)])
        var controller = try site.startController()
        try await eventually("two segments") { site.segments.count >= 2 ? true : nil }
        try await controller.terminate()
        let before = site.segments
        await site.registry.server.stop()
        // The catalogue was lost, and the controller's memory of what it sent as well.
        let told = site.records.count
        try FileManager.default.removeItem(atPath: site.folder.path("state") + "/controller.sqlite")
        controller = try site.startController()
        try await eventually("all that was there is recorded again") { () -> Bool? in
            let again = Set(site.records.dropFirst(told).compactMap(\.file?.path))
            return again.isSuperset(of: before.compactMap(\.path)) ? true : nil
        }
        let again = site.records.dropFirst(told)
        for file in before {
            let rebuilt = again.compactMap(\.file).first { $0.path == file.path }
            #expect(rebuilt == file, "a file tells all that the catalogue knew of it")
        }
        #expect(again.contains { $0.run?.runID == before.first?.runID })
        #expect(again.contains { $0.anchor?.runID == before.first?.runID })
        try await eventually("new footage is recorded without the registry") { () -> Bool? in
            site.segments.contains { $0.runID != before.first?.runID } ? true : nil
        }
        try await controller.terminate()
        try await camera.kill()
    }
}
