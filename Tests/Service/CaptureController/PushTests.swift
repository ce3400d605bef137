// A live stream at a real media server that is killed, paused and restarted, over rtsp and rtsps, while another task records (field
// lessons, case 35): players get the stream again, and the recording has every picture.
import Fakes
import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized, .timeLimit(.minutes(5))) struct PushTests {
    /// A server's certificate and key for this host, and the same certificate as a secret that the push trusts.
    private func makeCertificate(_ site: CameraSite) async throws {
        let made = try await runTool(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj",
                "/CN=relay", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", site.folder.path("relay.key"), "-out",
                site.folder.path("relay.pem"),
            ], within: .seconds(30))
        #expect(made.exitCode == 0, "\(made.error)")
        let pem = try String(contentsOfFile: site.folder.path("relay.pem"), encoding: .utf8)
        try site.folder.write(pem, to: "secrets/relay/ca.pem")
    }

    @Test(arguments: [false, true]) func aServerThatIsKilledPausedAndRestarted(isSecure: Bool) async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        let port = try freePort()
        try await makeCertificate(site)
        let tls = isSecure ? ["-c", site.folder.path("relay.pem"), "-k", site.folder.path("relay.key")] : []
        var relay = try await site.startMediaServer(port: port, tls)
        site.startNeighbours()
        let address = "rtsp\(isSecure ? "s" : "")://127.0.0.1:\(port)/live/line1"
        var settings = TaskSettings(
            type: isSecure ? .streamToRtsps : .streamToRtsp, mediaServerURL: address,
            mediaServerUsername: SecretReference(path: "line1/username"),
            mediaServerPassword: SecretReference(path: "line1/password"))
        if isSecure { settings.mediaServerCertificate = SecretReference(path: "relay/ca.pem") }
        site.registry.configure(
            endpoints: [site.endpoint()], streams: [site.clips(seconds: 2), site.stream("live", settings)])
        let controller = try site.startController()
        // ffmpeg plays from there.
        func plays() async throws {
            let login = address.replacingOccurrences(of: "://", with: "://\(CameraSite.player)@")
            try await eventually("ffmpeg plays the stream", within: .seconds(60)) {
                let played = try await runTool(
                    "ffmpeg",
                    [
                        "-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-i", login, "-map", "0:v", "-t", "1",
                        "-f",
                        "framemd5", "-",
                    ], within: .seconds(30))
                return played.output.split(separator: "\n").count { !$0.hasPrefix("#") } >= 10 ? true : nil
            }
        }
        try await plays()
        try await relay.kill()
        try await eventually("the push notices") { try await site.task("live")?.state == .waiting ? true : nil }
        relay = try await site.startMediaServer(port: port, tls)
        try await plays()
        kill(relay.processID, SIGSTOP)
        let paused = site.segments.count
        try await eventually("two files are sealed meanwhile", within: .seconds(30)) {
            site.segments.count >= paused + 2 ? true : nil
        }
        kill(relay.processID, SIGCONT)
        try await plays()
        try await controller.terminate()
        #expect(!controller.standardError.contains(CameraSite.password))

        let film = try await CameraSite.pictureHashes(Executables.repository.path + "/.build/media/dock.mkv")
        var stored: [Substring] = []
        for segment in site.segments {
            stored += try await CameraSite.pictureHashes(site.volume + "/" + (segment.path ?? ""))
        }
        let offset = try #require(stored.first.flatMap { film.firstIndex(of: $0) })
        #expect(stored.count > 60)
        #expect(stored.indices.allSatisfy { stored[$0] == film[(offset + $0) % film.count] }, "a picture is missing")
        #expect(Set(site.segments.map(\.runID)).count == 1)
        withExtendedLifetime(camera) {}
    }
}
