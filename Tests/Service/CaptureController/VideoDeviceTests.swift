// A camera of the host: Video4Linux2 as a driver answers it (Tests/Support/cameras/fakevideo.c), read by the real controller.
import Fakes
import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized, .timeLimit(.minutes(3))) struct VideoDeviceTests {
    private static let device = "/dev/video42"

    private func prepare() async throws -> CameraSite {
        let site = try CameraSite()
        let scripts = Executables.repository.path + "/Tests/Support/cameras/"
        let built = try await runTool("bash", [scripts + "build", "video"], within: .seconds(60))
        let made = try await runTool("bash", [scripts + "make-media"], within: .seconds(180))
        guard built.exitCode == 0, made.exitCode == 0 else { throw HarnessError(built.error + made.error) }
        let film = try await runTool(
            "ffmpeg",
            [
                "-v", "error", "-i", Executables.repository.path + "/.build/media/small-mjpeg.mkv", "-c", "copy", "-f",
                "mjpeg", site.folder.path("film.mjpeg"),
            ])
        #expect(film.exitCode == 0)
        site.startNeighbours()
        var endpoint = site.endpoint()
        endpoint.address = "file://host" + Self.device
        endpoint.authentication = .anonymous
        (endpoint.username, endpoint.password) = (nil, nil)
        site.registry.configure(endpoints: [endpoint], streams: [site.clips(seconds: 2)])
        return site
    }

    private func start(_ site: CameraSite, allowed: String = device) throws -> ServiceProcess {
        try ServiceProcess(
            "capture-controller",
            [
                "--run-directory", site.folder.path("run"), "--secrets-directory", site.folder.path("secrets"),
                "--recording-volume", site.volume, "--state-directory", site.folder.path("state"), "--video-devices",
                allowed,
            ],
            environment: [
                "LD_PRELOAD": Executables.repository.path + "/.build/cameras/fakevideo.so",
                "FAKE_VIDEO_PATH": Self.device, "FAKE_VIDEO_FILM": site.folder.path("film.mjpeg"),
                "FAKE_VIDEO_TROUBLE": site.folder.path("trouble"),
            ], logs: site.folder)
    }

    @Test func itsPicturesAreRecordedAndDamagedOnesCounted() async throws {
        let site = try await prepare()
        let controller = try start(site)
        try await eventually("three files are sealed", within: .seconds(30)) { site.segments.count >= 3 ? true : nil }
        let status = try #require(try await site.sourceStatus())
        #expect(status.state == .streaming && status.videoCodec == "mjpeg")
        #expect(status.widthPx == 320 && status.heightPx == 240, "the largest size, not the one it was set to")
        try await controller.terminate()
        let sent = try await CameraSite.pictureHashes(site.folder.path("film.mjpeg"))
        let whole = sent.indices.filter { $0 % 7 != 6 }.map { sent[$0] }
        var stored: [Substring] = []
        for segment in site.segments {
            stored += try await CameraSite.pictureHashes(site.volume + "/" + (segment.path ?? ""))
        }
        #expect(stored.count > 100)
        #expect(
            stored.indices.allSatisfy { stored[$0] == whole[$0 % whole.count] },
            "stored is sent without what was damaged")
        for (one, next) in zip(site.segments, site.segments.dropFirst()) { #expect(one.endUs == next.startUs) }
    }

    @Test func aCameraThatIsUnpluggedIsRecordedAgainWhenItIsBack() async throws {
        let site = try await prepare()
        let controller = try start(site)
        try await eventually("a file is sealed", within: .seconds(30)) { site.segments.isEmpty ? nil : true }
        try site.folder.write("", to: "trouble")
        try await eventually("its loss is told", within: .seconds(20)) {
            let status = try await site.sourceStatus()
            return status?.state == .backingOff && status?.reason?.contains("plugged in") == true ? true : nil
        }
        try FileManager.default.removeItem(atPath: site.folder.path("trouble"))
        try await eventually("it streams again", within: .seconds(40)) {
            try await site.sourceStatus()?.state == .streaming ? true : nil
        }
        try await eventually("the gap is told", within: .seconds(20)) {
            let gaps = site.records.compactMap(\.gap).filter { $0.cause == "dark" }
            return gaps.contains { $0.reason?.contains("unplugged") == true } ? true : nil
        }
        try await controller.terminate()
    }

    @Test(arguments: [
        ("/dev/video41", "", "none of this controller's video-devices"),
        (device, "raw", "only raw pictures"),
    ])
    func whatCannotBeUsedIsSaid(allowed: String, trouble: String, reason: String) async throws {
        let site = try await prepare()
        if !trouble.isEmpty { try site.folder.write(trouble, to: "trouble") }
        let controller = try start(site, allowed: allowed)
        try await eventually("the reason is told", within: .seconds(20)) {
            try await site.sourceStatus()?.reason?.contains(reason) == true ? true : nil
        }
        try await controller.terminate()
        #expect(site.segments.isEmpty)
    }
}
