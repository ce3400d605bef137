// Tasks that decode on: pictures of exact frames, and a push that is coded anew. Each has a media-worker of its own, and none of them
// touches what is recorded.
import Fakes
import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized, .timeLimit(.minutes(5))) struct LiveCodingTests {
    /// Children of a process by name.
    private func children(of pid: Int32) async throws -> [Int32] {
        let result = try await runTool("pgrep", ["-P", "\(pid)", "media-worker"], within: .seconds(10))
        return result.output.split(separator: "\n").compactMap { Int32($0) }
    }

    private func mean(_ path: String, against other: String, frame: Int) async throws -> Double {
        let scale = "scale=flags=bicubic+accurate_rnd+full_chroma_int,format=rgb24"
        let result = try await runTool(
            "ffmpeg",
            [
                "-hide_banner", "-i", other, "-i", path, "-lavfi",
                "[0]select=eq(n\\,\(frame)),\(scale)[a];[1]format=rgb24[b];[a][b]psnr", "-f", "null", "-",
            ], within: .seconds(30))
        let text = result.error.components(separatedBy: "average:").last?.split(separator: " ").first ?? ""
        return text == "inf" ? .infinity : Double(text) ?? 0
    }

    @Test func aPictureIsThatOfTheFrameAtItsTick() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.startNeighbours()
        site.registry.configure(
            endpoints: [site.endpoint()],
            streams: [
                site.clips(seconds: 3),
                site.stream(
                    "exact",
                    TaskSettings(type: .snapshotToFs, format: "png", snapshotsPerSecond: 2.5, path: "", frame: .exact)),
            ])
        let controller = try site.startController()
        try await eventually("pictures of three segments", within: .seconds(40)) {
            site.segments.count >= 3 && site.told(.snapshot).count >= 20 ? true : nil
        }
        let status = try #require(try await site.task("exact"))
        #expect(status.state == .running && status.dropped == 0 && status.error == nil)
        try await controller.terminate()

        let made = site.told(.snapshot).sorted { ($0.startUs ?? 0) < ($1.startUs ?? 0) }
        // 15 frames a second, 2.5 pictures: each the first frame at or after its tick of 400 ms.
        for picture in made.dropFirst() { #expect((picture.startUs ?? 0) % 400_000 < 67_000) }
        let ticks = made.map { ($0.startUs ?? 0) / 400_000 }
        for (one, next) in zip(ticks, ticks.dropFirst()) { #expect(next == one + 1, "no tick is left out") }
        // Each is the picture that the footage shows at that time.
        var compared = 0
        for picture in made {
            let us = picture.startUs ?? 0
            guard let segment = site.segments.first(where: { ($0.startUs ?? 0) <= us && us < ($0.endUs ?? 0) - 50_000 })
            else { continue }
            let frame = Int((Double(us - (segment.startUs ?? 0)) * 15 / 1_000_000).rounded())
            let decibels = try await mean(
                site.volume + "/" + (picture.path ?? ""), against: site.volume + "/" + (segment.path ?? ""),
                frame: frame)
            #expect(decibels > 40, "\(decibels) dB")
            compared += 1
            if compared == 12 { break }
        }
        #expect(compared == 12)
        withExtendedLifetime(camera) {}
    }

    @Test func aKilledWorkerCostsPicturesUpToTheNextKeyframe() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.startNeighbours()
        site.registry.configure(
            endpoints: [site.endpoint()],
            streams: [
                site.clips(seconds: 3),
                site.stream(
                    "exact",
                    TaskSettings(type: .snapshotToFs, format: "jpeg", snapshotsPerSecond: 5, path: "", frame: .exact)),
            ])
        let controller = try site.startController()
        for round in 1...5 {
            try await eventually("pictures are made", within: .seconds(30)) {
                site.told(.snapshot).count >= 8 * round ? true : nil
            }
            for child in try await children(of: controller.processID) { kill(child, SIGKILL) }
        }
        let before = site.told(.snapshot).count
        try await eventually("pictures are made again", within: .seconds(20)) {
            site.told(.snapshot).count >= before + 10 ? true : nil
        }
        let status = try #require(try await site.task("exact"))
        #expect((status.dropped ?? 0) > 0, "what is missing is counted")
        try await controller.terminate()
        for (one, next) in zip(site.segments, site.segments.dropFirst()) { #expect(one.endUs == next.startUs) }
        withExtendedLifetime(camera) {}
    }

    @Test func aPushIsCodedAnewAndStopsWithItsServer() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        let port = try freePort()
        var server = try await site.startMediaServer(port: port)
        site.startNeighbours()
        site.registry.configure(
            endpoints: [site.endpoint()],
            streams: [
                site.clips(seconds: 3),
                site.stream(
                    "live",
                    TaskSettings(
                        type: .streamToRtsp, mediaServerURL: "rtsp://127.0.0.1:\(port)/line1",
                        mediaServerUsername: SecretReference(path: "line1/username"),
                        mediaServerPassword: SecretReference(path: "line1/password"),
                        transcode: Transcode(
                            codec: "h264", maxWidthPx: 320, framesPerSecond: 5, bitRateBps: 200_000))),
            ])
        let controller = try site.startController()
        func play() async throws -> String {
            try await eventually("the server gives the stream", within: .seconds(60)) {
                let played = try await runTool(
                    "ffprobe",
                    [
                        "-v", "error", "-rtsp_transport", "tcp", "-count_packets", "-read_intervals", "%+4",
                        "-show_entries", "stream=codec_name,width,height,nb_read_packets", "-of", "csv=p=0",
                        "rtsp://\(CameraSite.player)@127.0.0.1:\(port)/line1",
                    ], within: .seconds(40))
                return played.output.contains("h264,") ? played.output : nil
            }
        }
        let output = try await play()
        let video = try #require(output.split(separator: "\n").first { $0.hasPrefix("h264,") })
        let fields = video.split(separator: ",").map(String.init)
        #expect(fields.count == 4 && fields[1] == "320" && fields[2] == "180")
        // Four seconds, or a little more, of five pictures; the camera has fifteen.
        #expect((15...35).contains(Int(fields.last ?? "") ?? 0), "\(video)")
        #expect(output.contains("pcm_mulaw,"), "its sound goes along as it is")
        try await server.kill()
        server = try await site.startMediaServer(port: port)
        #expect(try await play().contains("h264,320,180"))
        try await controller.terminate()
        for (one, next) in zip(site.segments, site.segments.dropFirst()) { #expect(one.endUs == next.startUs) }
        withExtendedLifetime((camera, server)) {}
    }
}
