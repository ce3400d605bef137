// EnsureFootage and ReadSegment, against a real camera.
import Fakes
import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized, .timeLimit(.minutes(2))) struct FootageTests {
    @Test func anEventKeepsWhatTheRingHasFromBeforeIt() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.startNeighbours()
        let stopped = site.stream("clips", TaskSettings(type: .clipToFs, durationS: 60), running: false)
        site.registry.configure(endpoints: [site.endpoint()], streams: [stopped])
        let controller = try site.startController()
        try await eventually("the ring holds six seconds", within: .seconds(20)) { () -> Bool? in
            let status = try await site.sourceStatus()
            guard let from = status?.ringFromUs, let to = status?.lastPacketUs else { return nil }
            return to - from > 6_000_000 ? true : nil
        }
        #expect(site.files().isEmpty, "a ring writes nothing")
        let nowUs = CameraSite.nowUs()
        let window = Window(startUs: nowUs - 4_000_000, endUs: nowUs + 2_000_000)
        let request = EnsureFootageRequest(key: "event-1", sources: [CameraSite.source], window: window)
        let began = ContinuousClock.now
        let reply = try await site.client.call(CaptureControllerMethods.ensureFootage, request)
        #expect(began.duration(to: .now) < .seconds(1), "it answers before the window ended")
        let answer = try #require(reply.sources.first)
        #expect(answer.state == .recording)
        #expect(answer.availableFromUs == window.startUs)

        let file = try await eventually("the footage is sealed") { site.segments.first }
        #expect((file.startUs ?? .max) <= nowUs - 4_000_000, "the part before the event is there")
        #expect((file.endUs ?? 0) >= nowUs + 2_000_000)
        #expect((file.endUs ?? 0) < nowUs + 4_000_000, "sealed at the first keyframe behind the window")
        #expect(file.stream == nil)
        #expect(file.path?.hasPrefix("line1/main/") == true)
        let probe = try await site.probe(try #require(file.path))
        #expect(probe.firstIsKey && probe.frames == Int(file.frames ?? 0))
        #expect(abs(probe.seconds - Double((file.endUs ?? 0) - (file.startUs ?? 0)) / 1e6) < 0.1)

        let again = try await eventually("the answer says sealed") { () -> EnsuredSource? in
            let reply = try await site.client.call(CaptureControllerMethods.ensureFootage, request)
            return reply.sources.first?.state == .sealed ? reply.sources.first : nil
        }
        #expect(again.availableFromUs == window.startUs)
        #expect(site.files().count == 1, "the same again makes no second file")
        try await readsTheSegmentInPieces(site, file)
        try await controller.terminate()
        try await camera.kill()
    }

    private func readsTheSegmentInPieces(_ site: CameraSite, _ file: MediaFile) async throws {
        var bytes: [UInt8] = []
        while true {
            let reply = try await site.client.call(
                CaptureControllerMethods.readSegment,
                ReadSegmentRequest(
                    volumeID: site.volumeID, path: file.path, offset: UInt64(bytes.count), length: 100_000))
            bytes += reply.data ?? []
            if bytes.count >= Int(reply.sizeBytes ?? 0) { break }
        }
        #expect(bytes == [UInt8](try Data(contentsOf: URL(fileURLWithPath: site.volume + "/" + (file.path ?? "")))))
    }

    @Test func whatNothingKeptIsNotRecordedAndWhatIsNotHeldSaysSo() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.startNeighbours()
        site.registry.configure(endpoints: [site.endpoint()], streams: [])
        let controller = try site.startController()
        try await eventually("the camera streams") { try await site.sourceStatus()?.runID }
        let window = Window(startUs: CameraSite.nowUs() - 600_000_000, endUs: CameraSite.nowUs() - 500_000_000)
        let other = SourceName(device: "line9", endpoint: "main")
        let reply = try await site.client.call(
            CaptureControllerMethods.ensureFootage,
            EnsureFootageRequest(key: "old", sources: [CameraSite.source, other], window: window))
        #expect(reply.sources.map(\.state) == [.notRecorded, .notHeld])
        #expect(reply.sources.allSatisfy { $0.availableFromUs == nil && $0.reason != nil })
        try await controller.terminate()
        try await camera.kill()
    }

    @Test func aSoftHoldKeepsAFileThatIsGrantedForDeletion() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.startNeighbours()
        site.registry.configure(endpoints: [site.endpoint()], streams: [site.clips(seconds: 1)])
        let controller = try site.startController(["--deletion-seconds", "1"])
        let files = try await eventually("four segments") { site.segments.count >= 4 ? site.segments : nil }
        let held = files[1]
        _ = try await site.client.call(
            CaptureControllerMethods.ensureFootage,
            EnsureFootageRequest(
                key: "hold", sources: [CameraSite.source], window: Window(startUs: held.startUs, endUs: held.endUs)))
        let grants = files.prefix(3).map { DeletionGrant(path: $0.path, cause: "age", now: true) }
        site.indexer.getDeletionGrants.answer { _ in GetDeletionGrantsReply(grants: grants) }
        let reported = try await eventually("the deletion is reported") { site.indexer.reportDeleted.requests.first }
        #expect(reported.paths == [files[0].path, files[2].path].compactMap { $0 })
        #expect(site.files().contains(held.path ?? ""))
        #expect(!site.files().contains(files[0].path ?? ""))
        try await controller.terminate()
        try await camera.kill()
    }
}
