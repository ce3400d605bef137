// The door to libav: pictures, and errors with their causes and without credentials.
import Foundation
import LibAV
import Media
import MediaWork
import Testing

@Suite struct PictureMakerTests {
    /// ffmpeg's decode of the same keyframe, as PNG.
    private func reference(_ clip: Clip, _ folder: Folder) throws -> String {
        let path = try folder.write(clip.original, "in.mp4")
        try Tool.ffmpeg([
            "-i", path, "-frames:v", "1", "-sws_flags", "bicubic+accurate_rnd+full_chroma_int",
            folder.path("reference.png"),
        ])
        return folder.path("reference.png")
    }

    /// Mean over all channels in dB; equal pictures are infinite.
    private func psnr(_ picture: String, _ reference: String) throws -> Double {
        let result = try Tool.run(
            "ffmpeg",
            [
                "-hide_banner", "-i", picture, "-i", reference, "-lavfi",
                "[0]format=rgb24[a];[1]format=rgb24[b];[a][b]psnr", "-f", "null", "-",
            ])
        let text = try #require(result.errors.components(separatedBy: "average:").last?.split(separator: " ").first)
        return text == "inf" ? .infinity : Double(text) ?? 0
    }

    @Test(arguments: 0..<4, PictureFormat.allCases)
    func looksLikeWhatFFmpegDecodes(index: Int, format: PictureFormat) throws {
        let clip = try Fixtures.all()[index].clip.get()
        let folder = try Folder()
        let picture = try PictureMaker.picture(for: PictureRequest(try #require(clip.packets.first), format: format))
        #expect(picture.widthPx == 320 && picture.heightPx == 240)
        let path = try folder.write(picture.bytes, "picture.\(format.fileExtension)")
        #expect(try Tool.ffmpeg(["-i", path, "-f", "null", "-"]).errors == "")
        let decibels = try psnr(path, try reference(clip, folder))
        #expect(decibels > (format == .jpeg ? 27 : 40), "\(decibels) dB")
    }

    @Test func qualityDecidesTheSize() throws {
        let keyframe = try #require(try Fixtures.h264.get().packets.first)
        let sizes = try [1, 50, 100].map {
            try PictureMaker.picture(for: PictureRequest(keyframe, format: .jpeg, quality: $0)).bytes.count
        }
        #expect(sizes[0] < sizes[1] && sizes[1] < sizes[2])
    }

    @Test func refusesWhatIsNoKeyframe() throws {
        let packet = try Fixtures.h264.get().packets[1]
        #expect(throws: PictureError.self) { try PictureRequest(packet, format: .png) }
    }

    @Test(arguments: 0..<4)
    func damagedKeyframesAreErrorsNotPictures(index: Int) throws {
        let clip = try Fixtures.all()[index].clip.get()
        var packet = try #require(clip.packets.first)
        let whole = packet.bytes.array
        var numbers = SeededNumbers(state: 3)
        for round in 0..<60 {
            var bytes = whole
            for _ in 0..<20 {
                bytes[Int.random(in: 0..<bytes.count, using: &numbers)] = .random(in: 0...255, using: &numbers)
            }
            var refused = false
            let isCut = round % 3 == 0
            if isCut { bytes = Array(bytes.prefix(Int.random(in: 0..<bytes.count * 9 / 10, using: &numbers))) }
            packet.bytes = PacketBytes(bytes)
            do {
                let picture = try PictureMaker.picture(for: PictureRequest(packet, format: .bmp))
                #expect(picture.bytes.count > 54)
            } catch {
                refused = true
                #expect([.corrupt, .limit].contains(error.cause), "\(error)")
            }
            #expect(refused || !isCut, "round \(round), \(bytes.count) of \(whole.count) bytes")
        }
        packet.bytes = PacketBytes([])
        #expect(throws: PictureError.self) { try PictureRequest(packet, format: .jpeg) }
    }
}

@Suite struct RTSPErrorTests {
    private static let secret = RTSPCredentials(userName: "operator", password: "pa:ss@w/ö")

    private func failure(_ settings: AVSourceSettings, _ interrupt: AVInterrupt = AVInterrupt()) -> LibAVError? {
        let source = AVSource(settings: settings, interrupt: interrupt)
        do {
            try source.open()
            return nil
        } catch {
            return error
        }
    }

    private func pushFailure(_ url: String, _ configuration: CodecConfiguration) -> LibAVError? {
        var settings = RTSPPushSettings(url: url, credentials: Self.secret)
        settings.operationTimeoutMs = 300
        let push = RTSPPush(settings: settings, interrupt: AVInterrupt())
        do {
            try push.open([configuration])
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        ("rtsps://127.0.0.1:1/x", LibAVError.Cause.unverifiable), ("file:///etc/passwd", .protocol),
        ("camera", .protocol),
        ("http://127.0.0.1/x", .protocol), ("rtsp://operator:hunter2@127.0.0.1/x", .protocol), ("rtsp:///x", .protocol),
        ("rtsp://127.0.0.1:1/x\r\nInjected: 1", .protocol),
    ])
    func refusesAddresses(url: String, cause: LibAVError.Cause) throws {
        let configuration = try CodecConfiguration.mjpeg(widthPx: 320, heightPx: 240)
        for error in [failure(AVSourceSettings(url: url, credentials: Self.secret)), pushFailure(url, configuration)] {
            #expect(error?.cause == cause, "\(String(describing: error))")
            #expect(error?.description.contains("hunter2") == false)
            #expect(error?.description.contains("operator") == false)
        }
    }

    @Test func nobodyListens() throws {
        let listener = try Listener()
        let url = "rtsp://127.0.0.1:\(listener.port)/live"
        listener.close()
        #expect(failure(AVSourceSettings(url: url))?.cause == .refused)
        #expect(pushFailure(url, try .mjpeg(widthPx: 320, heightPx: 240))?.cause == .refused)
    }

    @Test func nobodyAnswers() throws {
        let listener = try Listener()
        var settings = AVSourceSettings(
            url: "rtsp://127.0.0.1:\(listener.port)/live?token=abc", credentials: Self.secret)
        settings.openTimeoutMs = 300
        let error = failure(settings)
        #expect(error?.cause == .silent)
        #expect(error?.description.contains("token") == false)
        #expect(pushFailure(settings.url, try .mjpeg(widthPx: 320, heightPx: 240))?.cause == .silent)
    }

    @Test func stopEndsAnOpeningThatBlocks() async throws {
        let listener = try Listener()
        let url = "rtsp://127.0.0.1:\(listener.port)/live"
        let interrupt = AVInterrupt()
        let (ended, continuation) = AsyncStream.makeStream(of: LibAVError.Cause?.self)
        let thread = Thread {
            continuation.yield(failure(AVSourceSettings(url: url), interrupt)?.cause)
            continuation.finish()
        }
        thread.start()
        try listener.waitForConnection()
        interrupt.stop()
        for await cause in ended { #expect(cause == .interrupted) }
    }

    @Test(arguments: [
        ("RTSP/1.0 404 Not Found", LibAVError.Cause.notFound), ("RTSP/1.0 401 Unauthorized", .unauthorized),
        ("RTSP/1.0 403 Forbidden", .unauthorized), ("RTSP/1.0 500 No", .protocol),
    ])
    func serverSaysNo(status: String, cause: LibAVError.Cause) throws {
        let listener = try Listener()
        listener.answerAll(with: status)
        let url = "rtsp://127.0.0.1:\(listener.port)/live"
        var settings = AVSourceSettings(url: url, credentials: Self.secret)
        settings.openTimeoutMs = 3000
        #expect(failure(settings)?.cause == cause)
        #expect(pushFailure(url, try .mjpeg(widthPx: 320, heightPx: 240))?.cause == cause)
    }

    @Test func serverThatTakesNothingMoreEndsThePush() throws {
        let listener = try Listener()
        listener.takePublicationAndFallSilent()
        let clip = try Fixtures.h264.get()
        var settings = RTSPPushSettings(url: "rtsp://127.0.0.1:\(listener.port)/live")
        settings.operationTimeoutMs = 300
        let push = RTSPPush(settings: settings, interrupt: AVInterrupt())
        try push.open([clip.packets[0].configuration])
        try push.send(clip.packets[1])
        #expect(push.packetsSkipped == 1)
        var failure: LibAVError?
        // The clip again and again: more than the sockets between us can hold.
        for round in 0..<2000 where failure == nil {
            for packet in clip.packets where failure == nil {
                var later = packet
                later.ptsTicks += Int64(round) * 180_000
                later.dtsTicks += Int64(round) * 180_000
                do {
                    try push.send(later)
                } catch {
                    failure = error
                }
            }
        }
        #expect(failure?.cause == .silent)
        #expect(push.packetsSent > 0)
        #expect(throws: LibAVError.self) { try push.send(clip.packets[0]) }
        push.close()
    }

    @Test func credentialsPrintNothing() {
        #expect(String(describing: Self.secret) == "(credentials)")
        #expect(String(reflecting: Self.secret) == "(credentials)")
        #expect(!"\(AVSourceSettings(url: "rtsp://h/x", credentials: Self.secret))".contains("pa:ss"))
    }
}
