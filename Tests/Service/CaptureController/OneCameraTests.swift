// One camera and all that is done with it: its tasks share one session, what its pictures do to a media-worker stays there.
import Fakes
import Foundation
import Glibc
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized, .timeLimit(.minutes(10))) struct OneCameraTests {
    private func stills(_ name: String, format: String, perSecond: Double = 0) -> (CameraSite) -> StreamDefinition {
        { site in
            site.stream(
                name, TaskSettings(type: .snapshotToFs, format: format, snapshotsPerSecond: perSecond, path: ""))
        }
    }

    /// The tasks' status by stream, once each has produced so much.
    private func running(_ site: CameraSite, _ streams: [StreamDefinition], produced: UInt64) async throws {
        for stream in streams {
            let name = stream.name?.stream ?? ""
            try await eventually("\(name) runs", within: .seconds(30)) { () -> Bool? in
                guard let task = try await site.task(name), task.state == .running else { return nil }
                return (task.produced ?? 0) >= produced ? true : nil
            }
        }
    }

    /// One run, its segments one behind the other, and each frame that was counted in its file.
    private func checkRecording(_ site: CameraSite) async throws {
        let segments = site.segments
        for (one, next) in zip(segments, segments.dropFirst()) { #expect(one.endUs == next.startUs) }
        #expect(Set(segments.map(\.runID)).count == 1)
        let gaps = site.records.compactMap(\.gap).filter { $0.cause != "not_recorded" }
        #expect(gaps.isEmpty, "\(gaps)")
        for segment in segments {
            let found = try await site.probe(try #require(segment.path))
            #expect(found.frames == Int(segment.frames ?? 0))
        }
    }

    @Test func sixTasksAreOneSessionAtTheCamera() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        let port = try freePort()
        let relay = try await site.startMediaServer(port: port)
        site.startNeighbours()
        let snapshots = [
            stills("stills-png", format: "png")(site), stills("stills-tiff", format: "tiff", perSecond: 0.5)(site),
            site.stream(
                "pictures",
                TaskSettings(
                    type: .snapshotToMqtt, format: "jpeg", snapshotsPerSecond: 1,
                    mqtt: MqttDestination(topic: "line1/pictures", qos: 1, retain: false, ttlS: 10))),
        ]
        let pushes = ["live-a", "live-b"].map { name in
            site.stream(
                name,
                TaskSettings(
                    type: .streamToRtsp, mediaServerURL: "rtsp://127.0.0.1:\(port)/\(name)",
                    mediaServerUsername: SecretReference(path: "line1/username"),
                    mediaServerPassword: SecretReference(path: "line1/password")))
        }
        var streams = [site.clips(seconds: 1)] + snapshots + pushes
        site.registry.configure(endpoints: [site.endpoint()], streams: streams)
        let controller = try site.startController()
        try await running(site, streams, produced: 2)
        // One stream's rate is changed: the camera does not notice.
        streams[2].settings?.snapshotsPerSecond = 1
        streams[2].desired?.runID = "another run"
        site.registry.configure(endpoints: [site.endpoint()], streams: streams)
        try await eventually("the changed stream has its new run") {
            try await site.task("stills-tiff")?.runID == "another run" ? true : nil
        }
        try await running(site, streams, produced: 2)
        let sessions = camera.standardOutput.split(separator: "\n").filter { $0 == "play" }
        #expect(sessions.count == 1)
        try await checkRecording(site)
        try await controller.terminate()
        try await relay.kill()
        try await camera.kill()
    }

    /// The processes that a process started.
    private func children(of parent: Int32) -> [Int32] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return all.compactMap { Int32($0) }.filter { id in
            // "pid (name) state parent ...", and a name may hold anything.
            guard let text = try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8),
                let rest = text.lastIndex(of: ")").map({ text[$0...].split(separator: " ") }), rest.count > 2
            else { return false }
            return Int32(rest[2]) == parent
        }
    }

    /// SIGHTGLASS_WORKER_KILLS=200 is the long form.
    @Test func aMediaWorkerThatIsKilledAgainAndAgainCostsNoFootageAndNoPictureForLong() async throws {
        let kills = ProcessInfo.processInfo.environment["SIGHTGLASS_WORKER_KILLS"].flatMap(Int.init) ?? 20
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.startNeighbours()
        let streams =
            [site.clips(seconds: 2)]
            + ["png", "bmp", "tiff", "jpeg"].map { stills("stills-\($0)", format: $0)(site) }
        site.registry.configure(endpoints: [site.endpoint()], streams: streams)
        let controller = try site.startController()
        try await running(site, streams, produced: 1)
        var numbers = SplitMix64(seed: 5)
        var slowest = Duration.zero
        for _ in 0..<kills {
            try await Task.sleep(for: .milliseconds(Int(numbers.next() % 300)))
            let workers = children(of: controller.processID)
            #expect(!workers.isEmpty)
            if let worker = workers.isEmpty ? nil : workers[Int(numbers.next() % UInt64(workers.count))] {
                kill(worker, SIGKILL)
            }
            let killed = ContinuousClock.now
            let picture = try await site.client.call(
                CaptureControllerMethods.takeSnapshot, TakeSnapshotRequest(source: CameraSite.source))
            #expect((picture.picture?.count ?? 0) > 0)
            slowest = max(slowest, killed.duration(to: .now))
        }
        #expect(slowest < .seconds(1))
        #expect(controller.isRunning)
        for stream in streams {
            let before = try await site.task(stream.name?.stream ?? "")?.produced ?? 0
            try await running(site, [stream], produced: before + 1)
        }
        try await checkRecording(site)
        try await controller.terminate()
        try await camera.kill()
    }

    /// Bits that are wrong in real pictures: they cost pictures, never a process, and never the footage, which is kept as it came.
    /// H.265 has nothing in it that its decoder would notice them by.
    @Test(arguments: [("dock.mkv", true), ("small-hevc.mkv", false)])
    func wrongBitsCostPicturesAndNothingElse(film: String, areNoticed: Bool) async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera(film: film, damage: 10_000)
        site.startNeighbours()
        let streams = [
            site.clips(seconds: 1), stills("stills-png", format: "png")(site),
            stills("stills-jpeg", format: "jpeg")(site),
        ]
        site.registry.configure(endpoints: [site.endpoint()], streams: streams)
        let controller = try site.startController()
        for name in ["stills-png", "stills-jpeg"] {
            try await eventually("\(name) was tried", within: .seconds(40)) { () -> Bool? in
                guard let task = try await site.task(name) else { return nil }
                return (task.produced ?? 0) + (task.dropped ?? 0) >= 8 ? true : nil
            }
        }
        try await eventually("it is recorded") { site.segments.count >= 4 ? true : nil }
        #expect(controller.isRunning && camera.isRunning)
        if areNoticed { #expect(try await site.task("stills-png")?.dropped ?? 0 > 0) }
        // The film begins again after five keyframes, but its wrong bits are others each time.
        let pictures = site.files(".png").map { FileManager.default.contents(atPath: site.volume + "/" + $0) }
        #expect(areNoticed || pictures.count > 5)
        #expect(Set(pictures).count == pictures.count)
        let segments = site.segments
        for (one, next) in zip(segments, segments.dropFirst()) where one.runID == next.runID {
            #expect(one.endUs == next.startUs)
        }
        try await controller.terminate()
        try await camera.kill()
    }
}
