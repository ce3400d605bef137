// A camera that has only HTTP: recorded, photographed and asked at the pace of its tasks; networks that a site forbids.
import FakeCamera
import Fakes
import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized, .timeLimit(.minutes(5))) struct HTTPCameraTests {
    /// Pictures of a real film, as a camera would code them.
    private func film(_ site: CameraSite) async throws -> [[UInt8]] {
        let media = try await runTool(
            "bash", [Executables.repository.path + "/Tests/Support/cameras/make-media"], within: .seconds(180))
        #expect(media.exitCode == 0)
        let folder = try site.folder.makeFolder("film")
        let made = try await runTool(
            "ffmpeg",
            [
                "-v", "error", "-i", Executables.repository.path + "/.build/media/dock.mkv", "-frames:v", "40", "-q:v",
                "4", folder + "/%03d.jpg",
            ], within: .seconds(60))
        guard made.exitCode == 0 else { throw HarnessError(made.error) }
        return try FileManager.default.contentsOfDirectory(atPath: folder).sorted().map {
            [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder + "/" + $0)))
        }
    }

    private func endpoint(_ site: CameraSite, _ port: UInt16, _ path: String = "/pic") -> InboundEndpoint {
        var endpoint = site.endpoint()
        endpoint.address = "http://127.0.0.1:\(port)\(path)"
        return endpoint
    }

    /// The pictures of a file, in order, as they came from the camera.
    private func stored(_ site: CameraSite, _ path: String) async throws -> [[UInt8]] {
        let folder = try site.folder.makeFolder("stored-\(UUID().uuidString)")
        let result = try await runTool(
            "ffmpeg",
            ["-v", "error", "-i", site.volume + "/" + path, "-map", "0:v:0", "-c", "copy", folder + "/%04d.jpg"])
        guard result.exitCode == 0 else { throw HarnessError(result.error) }
        return try FileManager.default.contentsOfDirectory(atPath: folder).sorted().map {
            [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder + "/" + $0)))
        }
    }

    @Test func everyPictureOfAStreamIsInTheFiles() async throws {
        let site = try CameraSite()
        let film = try await film(site)
        var scenario = HTTPScenario(film, places: ["/pic": .stream(perSecond: 25, ofAnswer: nil)])
        scenario.authentication = Authentication([.digest(.md5, qop: true)]) {
            $0.user = "cam"
            $0.password = CameraSite.password
        }
        let camera = try FakeHTTPCamera(scenario)
        defer { camera.stop() }
        site.startNeighbours()
        site.registry.configure(endpoints: [endpoint(site, camera.port)], streams: [site.clips(seconds: 1)])
        let controller = try site.startController()
        try await eventually("three files are sealed", within: .seconds(30)) { site.segments.count >= 3 ? true : nil }
        try await controller.terminate()
        var pictures: [[UInt8]] = []
        let segments = site.segments
        for segment in segments { pictures += try await stored(site, try #require(segment.path)) }
        for (one, next) in zip(segments, segments.dropFirst()) { #expect(one.endUs == next.startUs) }
        // Without a gap from the first that is stored: what is stored is what was sent.
        let beginning = try #require(pictures.first)
        let first = try #require(film.firstIndex(of: beginning))
        #expect(first < 20)
        #expect(pictures.indices.allSatisfy { pictures[$0] == film[(first + $0) % film.count] })
        #expect(pictures.count == Int(segments.reduce(0) { $0 + ($1.frames ?? 0) }))
        #expect(segments.allSatisfy { $0.videoCodec == "mjpeg" })
        #expect(!controller.standardError.contains(CameraSite.password))
    }

    @Test func aChangedRateChangesThePaceAndNotTheConnection() async throws {
        let site = try CameraSite()
        let film = try await film(site)
        let camera = try FakeHTTPCamera(HTTPScenario(film, places: ["/pic": .still]))
        defer { camera.stop() }
        site.startNeighbours()
        func stills(_ perSecond: Double) -> StreamDefinition {
            site.stream(
                "stills", TaskSettings(type: .snapshotToFs, format: "jpeg", snapshotsPerSecond: perSecond, path: ""))
        }
        site.registry.configure(endpoints: [endpoint(site, camera.port)], streams: [stills(0.2)])
        let controller = try site.startController()
        try await eventually("a picture is stored", within: .seconds(20)) { site.files(".jpg").first }
        // A JPEG that is asked for as it is, is handed on as it is.
        let picture = try #require(site.files(".jpg").first)
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: site.volume + "/" + picture)))
        #expect(film.contains(bytes))
        let before = camera.record.requests.count
        site.registry.configure(endpoints: [endpoint(site, camera.port)], streams: [stills(20)])
        try await eventually("the camera is asked faster", within: .seconds(20)) {
            camera.record.requests.count >= before + 60 ? true : nil
        }
        #expect(camera.record.connections == 1)
        try await eventually("the pictures follow", within: .seconds(20)) {
            site.files(".jpg").count >= 20 ? true : nil
        }
        try await controller.terminate()
    }

    @Test func aForbiddenNetworkIsSaidInTheStatus() async throws {
        let site = try CameraSite()
        let camera = try FakeHTTPCamera(HTTPScenario([[0xFF, 0xD8]], places: ["/pic": .still]))
        defer { camera.stop() }
        site.startNeighbours()
        site.registry.configure(endpoints: [endpoint(site, camera.port)], streams: [site.clips(seconds: 1)])
        let controller = try site.startController(["--forbidden-networks", "127.0.0.0/8"])
        let status = try await eventually("the source says why", within: .seconds(20)) { () -> SourceStatus? in
            guard let status = try await site.sourceStatus(), status.reason?.isEmpty == false else { return nil }
            return status
        }
        #expect(status.reason?.contains("a network that this site does not allow") == true)
        #expect(camera.record.connections == 0)
        try await controller.terminate()
        let wrong = try site.startController(["--forbidden-networks", "everything"])
        let code = try await wrong.exitCode(within: .seconds(10))
        #expect(code != 0 && wrong.standardError.contains("is no network"))
    }
}
