// media-worker by its parent's client: pictures, and errors that are answers.
import Foundation
import Harness
import Media
import Testing

@testable import MediaWork

@Suite struct PictureTests {
    @Test(arguments: [Codec.h264, .hevc, .mjpeg], PictureFormat.allCases)
    func aKeyframeBecomesAPicture(codec: Codec, format: PictureFormat) async throws {
        let client = try realClient()
        let picture = try await ask(client, try await Keyframes.request(codec, format: format)).get()
        #expect(picture.widthPx == 320 && picture.heightPx == 240 && picture.format == format)
        let folder = try TemporaryDirectory()
        let path = folder.path("picture.\(format.fileExtension)")
        try Data(picture.bytes).write(to: URL(fileURLWithPath: path))
        let probe = try await runTool(
            "ffprobe", ["-v", "error", "-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0", path])
        #expect(
            probe.output.trimmingCharacters(in: .newlines) == "\(format == .jpeg ? "mjpeg" : format.rawValue),320,240")
    }

    /// The picture that ffmpeg makes of the same test card: the right picture, not just any.
    @Test(arguments: [Codec.h264, .hevc]) func itIsThePictureOfTheKeyframe(codec: Codec) async throws {
        let picture = try await ask(try realClient(), try await Keyframes.request(codec, format: .png)).get()
        let folder = try TemporaryDirectory()
        try Data(picture.bytes).write(to: URL(fileURLWithPath: folder.path("picture.png")))
        let compared = try await runTool(
            "ffmpeg",
            [
                "-i", folder.path("picture.png"), "-f", "lavfi", "-i", "testsrc2=size=320x240", "-frames:v", "1",
                "-lavfi",
            ]
                + ["[0]format=rgb24[a];[1]format=rgb24[b];[a][b]psnr", "-f", "null", "-"])
        let average = try #require(compared.error.components(separatedBy: "average:").last?.split(separator: " ").first)
        #expect(try #require(Double(average)) > 25)
    }

    @Test func damagedDataIsAnErrorAndTheWorkerGoesOn() async throws {
        let client = try realClient()
        for codec in [Codec.h264, .hevc, .mjpeg] {
            var packet = try await Keyframes.make(codec)
            packet.bytes = PacketBytes(Array(packet.bytes.array.prefix(packet.sizeBytes / 2)))
            let result = await ask(client, try PictureRequest(packet, PictureStyle(.png)))
            #expect(result.error?.cause == .corrupt, "\(codec): \(result)")
        }
        _ = try await ask(client, try await Keyframes.request()).get()
        #expect(client.counters.started == 1 && client.counters.died == 0)
    }

    @Test(arguments: [(16384, 16384), (20000, 100), (100, 20000), (65500, 65500)])
    func oversizedPicturesAreALimit(widthPx: Int, heightPx: Int) async throws {
        let client = try realClient()
        let result = await ask(client, try await Keyframes.jpeg(widthPx: widthPx, heightPx: heightPx))
        #expect(result.error?.cause == .limit, "\(result)")
        #expect(result.error?.description.contains("\(widthPx) x \(heightPx)") == true)
        _ = try await ask(client, try await Keyframes.request()).get()
        #expect(client.counters.started == 1)
    }

    @Test func manyAtOnceShareTheWorkers() async throws {
        let client = try realClient(workers: 2)
        let request = try await Keyframes.request(.hevc)
        await withTaskGroup(of: Int?.self) { group in
            for _ in 0..<24 { group.addTask { (try? await ask(client, request).get())?.widthPx } }
            for await width in group { #expect(width == 320) }
        }
        #expect((1...2).contains(client.counters.started))
        #expect(client.counters.waiting == 0)
    }
}
