// The door to libav: pictures of keyframes.
import Foundation
import LibAV
import Media
import MediaWork
import Testing

@Suite struct PictureMakerTests {
    /// ffmpeg's decode of the same keyframe, as PNG.
    private func reference(_ clip: Clip, _ folder: Folder, size: String = "320x240") throws -> String {
        let path = try folder.write(clip.original, "in.mp4")
        try Tool.ffmpeg([
            "-i", path, "-frames:v", "1", "-sws_flags", "bicubic+accurate_rnd+full_chroma_int", "-s", size,
            folder.path("reference.png"),
        ])
        return folder.path("reference.png")
    }

    /// Mean over all channels in dB; equal pictures are infinite.
    private func psnr(_ picture: String, _ reference: String, in pixels: String = "rgb24") throws -> Double {
        let result = try Tool.run(
            "ffmpeg",
            [
                "-hide_banner", "-i", picture, "-i", reference, "-lavfi",
                "[0]format=\(pixels)[a];[1]format=\(pixels)[b];[a][b]psnr", "-f", "null", "-",
            ])
        let text = try #require(result.errors.components(separatedBy: "average:").last?.split(separator: " ").first)
        return text == "inf" ? .infinity : Double(text) ?? 0
    }

    @Test(arguments: 0..<4, PictureFormat.allCases)
    func looksLikeWhatFFmpegDecodes(index: Int, format: PictureFormat) throws {
        let clip = try Fixtures.all()[index].clip.get()
        let folder = try Folder()
        let picture = try PictureMaker.picture(
            for: PictureRequest(try #require(clip.packets.first), PictureStyle(format)))
        #expect(picture.widthPx == 320 && picture.heightPx == 240)
        let path = try folder.write(picture.bytes, "picture.\(format.fileExtension)")
        #expect(try Tool.ffmpeg(["-i", path, "-f", "null", "-"]).errors == "")
        let decibels = try psnr(path, try reference(clip, folder))
        #expect(decibels > (format == .jpeg ? 27 : 40), "\(decibels) dB")
    }

    /// Motion JPEG asked for as JPEG too, which is handed on as it is where its size may stay.
    @Test(arguments: 0..<4, [PictureFormat.jpeg, .png])
    func aSmallerPictureLooksLikeWhatFFmpegScales(index: Int, format: PictureFormat) throws {
        let clip = try Fixtures.all()[index].clip.get()
        let folder = try Folder()
        let style = PictureStyle(format, quality: 100, maximumWidthPx: 200, maximumHeightPx: 120)
        let picture = try PictureMaker.picture(for: PictureRequest(try #require(clip.packets.first), style))
        #expect(picture.widthPx == 160 && picture.heightPx == 120)
        let path = try folder.write(picture.bytes, "picture.\(format.fileExtension)")
        // JPEG has a quarter of the colours, and these pictures are noise: their brightness is compared.
        let decibels = try psnr(
            path, try reference(clip, folder, size: "160x120"), in: format == .jpeg ? "gray" : "rgb24")
        #expect(decibels > 30, "\(decibels) dB")
    }

    @Test func qualityDecidesTheSize() throws {
        let keyframe = try #require(try Fixtures.h264.get().packets.first)
        let sizes = try [1, 50, 100].map {
            try PictureMaker.picture(for: PictureRequest(keyframe, PictureStyle(.jpeg, quality: $0))).bytes.count
        }
        #expect(sizes[0] < sizes[1] && sizes[1] < sizes[2])
    }

    @Test func refusesWhatIsNoKeyframe() throws {
        let packet = try Fixtures.h264.get().packets[1]
        #expect(throws: PictureError.self) { try PictureRequest(packet, PictureStyle(.png)) }
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
                let picture = try PictureMaker.picture(for: PictureRequest(packet, PictureStyle(.bmp)))
                #expect(picture.bytes.count > 54)
            } catch {
                refused = true
                #expect([.corrupt, .limit].contains(error.cause), "\(error)")
            }
            #expect(refused || !isCut, "round \(round), \(bytes.count) of \(whole.count) bytes")
        }
        packet.bytes = PacketBytes([])
        #expect(throws: PictureError.self) { try PictureRequest(packet, PictureStyle(.jpeg)) }
    }
}
