// Recording, from the camera to the catalogue, and what a kill costs.
import Fakes
import Foundation
import Harness
import Testing
import Volume
import Wire

@Suite(.serialized, .timeLimit(.minutes(2))) struct RecordingTests {
    @Test func recordsWithoutNeighboursAndDeliversTheRecordsWhenTheyCome() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.registry.server.start()
        site.registry.configure(
            endpoints: [site.endpoint()],
            streams: [
                site.clips(),
                site.stream("pictures", TaskSettings(type: .snapshotToFs, format: "jpeg", snapshotsPerSecond: 1)),
            ])
        let controller = try site.startController()
        try await eventually("three segments are sealed", within: .seconds(20)) { site.files().count >= 3 ? true : nil }
        #expect(try await site.task("pictures")?.error == nil)
        // The registry goes as well: what is recorded goes on.
        await site.registry.server.stop()
        let before = site.files().count
        try await eventually("recording goes on without the registry") { site.files().count > before + 1 ? true : nil }
        #expect(site.records.isEmpty)
        site.indexer.server.start()
        try await eventually("the records arrive") { site.segments.count >= before ? true : nil }

        let records = site.records
        #expect(records.first?.run != nil, "a run comes before its segments")
        #expect(records.contains { $0.anchor != nil })
        #expect(records.compactMap(\.spoolID) == records.compactMap(\.spoolID).sorted())
        let segments = site.segments
        for (one, next) in zip(segments, segments.dropFirst()) {
            #expect(one.endUs == next.startUs, "adjoining segments share no frame and miss none")
            #expect(next.sequence == (one.sequence ?? 0) + 1)
        }
        let first = try #require(segments.first)
        #expect(first.path?.hasPrefix("press/clips/2") == true)
        #expect(first.source == CameraSite.source)
        #expect(first.videoCodec == "h264")
        #expect(first.widthPx == 640)
        let path = try #require(first.path)
        let probe = try await site.probe(path)
        #expect(probe.firstIsKey)
        #expect(probe.frames == Int(first.frames ?? 0))
        let bytes = try Data(contentsOf: URL(fileURLWithPath: site.volume + "/" + path))
        #expect(UInt64(bytes.count) == first.sizeBytes)
        let sum = try await runTool("sha256sum", [site.volume + "/" + path])
        #expect(sum.output.hasPrefix((first.sha256 ?? []).map { String(format: "%02x", $0) }.joined()))
        let picture = try #require(site.records.compactMap(\.file).first { $0.kind == .snapshot })
        #expect(picture.videoCodec == "jpeg")
        #expect(site.files(".jpg").contains(picture.path ?? ""))

        #expect(try await controller.terminate() == 0)
        #expect(!controller.standardError.contains(CameraSite.password))
        try await camera.kill()
    }

    @Test func aKillCostsLessThanASecondAndTheRestIsSalvaged() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.startNeighbours()
        site.registry.configure(endpoints: [site.endpoint()], streams: [site.clips(seconds: 60)])
        var controller = try site.startController()
        try await eventually("five seconds are being written") {
            let status = try await site.sourceStatus()
            return (status?.packets ?? 0) > 200 && status?.syncedToUs != nil ? true : nil
        }
        let killedUs = CameraSite.nowUs()
        try await controller.kill()
        #expect(site.files().isEmpty, "nothing has its final name before it is complete")
        controller = try site.startController()
        let file = try await eventually("the leftover is a finished file") { site.segments.first }
        #expect(file.salvaged == true)
        let lostUs = killedUs - (file.endUs ?? 0)
        #expect(lostUs < 1_000_000, "a kill costs less than a second, it cost \(lostUs) us")
        #expect(try await site.probe(file.path ?? "").frames == Int(file.frames ?? 0))
        let gap = try await eventually("the gap is recorded") { site.records.compactMap(\.gap).first }
        #expect(gap.cause == "killed")
        #expect(gap.window?.startUs == file.endUs)
        let run = site.records.compactMap(\.run).first { $0.runID == file.runID && $0.endedUs != nil }
        #expect(run?.endedUs == file.endUs)
        try await controller.terminate()
        try await camera.kill()
    }

    @Test func aStopSealsWhatIsOpenWithinFiveSeconds() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.startNeighbours()
        site.registry.configure(endpoints: [site.endpoint()], streams: [site.clips(seconds: 60)])
        let controller = try site.startController()
        try await eventually("it records") { try await site.sourceStatus()?.syncedToUs }
        let stoppedUs = CameraSite.nowUs()
        #expect(try await controller.terminate(within: .seconds(5)) == 0)
        let path = try #require(site.files().first)
        #expect(try await site.probe(path).frames > 0)
        let file = try #require(site.segments.first, "the record left before the stop")
        #expect(file.salvaged != true)
        #expect(stoppedUs - (file.endUs ?? 0) < 1_000_000)
        #expect(!site.registry.releaseLeases.requests.isEmpty)
        let again = try site.startController()
        let gap = try await eventually("the time of the stop is a gap") { site.records.compactMap(\.gap).first }
        #expect(gap.cause == "stopped")
        #expect(gap.window?.startUs == file.endUs)
        let journal = try await eventually("the gap is in the volume's journal") { () -> String? in
            let names = try FileManager.default.contentsOfDirectory(atPath: site.volume)
            return try names.first { $0.hasPrefix(".sightglass-gaps.") }.map {
                try String(contentsOfFile: site.volume + "/" + $0, encoding: .utf8)
            }
        }
        #expect(journal.contains("\"cause\":\"stopped\""))
        #expect(try await again.terminate(within: .seconds(5)) == 0)
        try await camera.kill()
    }

    @Test func twoStreamsOfOneCameraAreOneSessionAndAChangedStreamKeepsIt() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.startNeighbours()
        let second = site.stream("zz-copy", TaskSettings(type: .clipToFs, format: "mp4", durationS: 2))
        site.registry.configure(endpoints: [site.endpoint()], streams: [site.clips(), second])
        let controller = try site.startController()
        try await eventually("it records") { site.segments.first }
        let run = try #require(try await site.sourceStatus()?.runID)
        let copy = try #require(try await site.task("zz-copy"))
        #expect(copy.state == .running && copy.error?.contains("press/clips has the footage") == true)
        #expect(try await site.task("clips")?.error == nil)
        // Another length, another stream: the camera notices nothing.
        let pictures = site.stream("pictures", TaskSettings(type: .snapshotToMqtt, snapshotsPerSecond: 0))
        site.registry.configure(endpoints: [site.endpoint()], streams: [site.clips(seconds: 1), pictures])
        let published = try await eventually("pictures are published") { () -> PublishSnapshotRequest? in
            if let error = try await site.task("pictures")?.error { throw HarnessError(error) }
            return site.adapter.publishSnapshot.requests.first
        }
        #expect(published.contentType == "image/jpeg")
        #expect(published.picture?.starts(with: [0xFF, 0xD8]) == true)
        #expect(published.expiresInMs.map { $0 > 0 && $0 <= 10_000 } == true)
        #expect(try await site.sourceStatus()?.runID == run)
        try await controller.terminate()
        try await camera.kill()
    }

    @Test func aStreamsPathOutsideTheVolumeIsAnErrorOfThatStreamOnly() async throws {
        let site = try CameraSite()
        site.startNeighbours()
        site.registry.configure(endpoints: [site.endpoint()], streams: [site.clips(path: "/elsewhere/clips")])
        let controller = try site.startController()
        let task = try await eventually("the task failed") { () -> TaskStatus? in
            let task = try await site.task("clips")
            return task?.state == .failed ? task : nil
        }
        #expect(task.error?.contains("/elsewhere/clips") == true)
        #expect(task.error?.contains(site.volume) == true)
        try await controller.terminate()
    }
}
