// Segments in other formats, made by the real media-worker and read by ffmpeg: what is copied is the same sample by sample, what is
// coded anew shows the same pictures, what a format cannot hold is said.
import Foundation
import Harness
import MediaWork
import Testing

/// A file in memory, and what the worker wrote of it.
private final class MemoryFiles: RenditionExchange {
    let file: [UInt8]
    private(set) var written: [UInt8] = []
    private(set) var reads = 0

    init(_ file: [UInt8]) { self.file = file }

    func read(at offset: Int64, count: Int) -> [UInt8] {
        reads += 1
        guard offset < file.count else { return [] }
        return Array(file[Int(offset)..<min(Int(offset) + count, file.count)])
    }

    func write(_ bytes: [UInt8], at offset: Int64) {
        let end = Int(offset) + bytes.count
        if written.count < end { written += [UInt8](repeating: 0, count: end - written.count) }
        written.replaceSubrange(Int(offset)..<end, with: bytes)
    }
}

@Suite(.serialized, .timeLimit(.minutes(5))) struct RenditionTests {
    private let folder: TemporaryDirectory
    private let maker: RenditionMaker

    init() throws {
        folder = try TemporaryDirectory()
        maker = RenditionMaker(executable: try Executables.path(of: "media-worker").path)
    }

    /// A fragmented MP4 of a film of 120 pictures.
    private func segment(_ film: String) async throws -> [UInt8] {
        let media = Executables.repository.path
        let made = try await runTool("bash", [media + "/Tests/Support/cameras/make-media"], within: .seconds(180))
        guard made.exitCode == 0 else { throw HarnessError(made.error) }
        let path = folder.path(film + ".mp4")
        if !FileManager.default.fileExists(atPath: path) {
            _ = try await ffmpeg([
                "-i", media + "/.build/media/\(film).mkv", "-c", "copy", "-movflags",
                "frag_keyframe+empty_moov+default_base_moof", path,
            ])
        }
        return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    @discardableResult private func ffmpeg(_ arguments: [String]) async throws -> String {
        let result = try await runTool(
            "ffmpeg", ["-nostdin", "-v", "error", "-y"] + arguments, within: .seconds(60))
        guard result.exitCode == 0 else { throw HarnessError("ffmpeg \(arguments): \(result.error)") }
        return result.output
    }

    private func make(
        _ film: String, _ format: RenditionFormat, audio: Bool = true
    ) async throws -> (rendition: Rendition, path: String) {
        let files = MemoryFiles(try await segment(film))
        let request = try #require(
            RenditionRequest(format, wantsAudio: audio, sizeBytes: Int64(files.file.count)))
        let rendition = try maker.make(request, files, within: .seconds(60))
        let path = folder.path("\(film).\(format.fileExtension)")
        try Data(files.written).write(to: URL(fileURLWithPath: path))
        return (rendition, path)
    }

    /// Size and hash of each coded picture, as one stream of NAL units without what containers add or keep apart: parameter sets
    /// and delimiters.
    private func samples(_ path: String, _ codec: String) async throws -> [Substring] {
        let filters = [
            "h264": "h264_mp4toannexb,filter_units=remove_types=7-9",
            "hevc": "hevc_mp4toannexb,filter_units=remove_types=32-35", "mjpeg": "null",
        ]
        let list = try await ffmpeg([
            "-i", path, "-map", "0:v:0", "-c", "copy", "-bsf:v", filters[codec] ?? "null", "-f", "framemd5", "-",
        ])
        return list.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            line.split(separator: ",")[4...5].joined(separator: ",")[...]
        }
    }

    private func sound(_ path: String) async throws -> [Substring] {
        let list = try await ffmpeg([
            "-i", path, "-map", "0:a:0", "-c", "copy", "-bsf:a", path.hasSuffix(".mts") ? "aac_adtstoasc" : "null",
            "-f",
            "framemd5", "-",
        ])
        return list.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { $0.split(separator: ",")[5] }
    }

    private static let copies: [(String, RenditionFormat)] = [
        ("small-h264-aac", .mkv), ("small-h264-aac", .avi), ("small-h264-aac", .mts), ("small-h264", .mpg),
        ("small-h264-aac", .flv), ("small-h264b-aac", .mkv), ("small-h264b-aac", .mts), ("small-h264b-aac", .flv),
        ("small-h264b", .mpg), ("small-hevc-aac", .mkv), ("small-hevc-aac", .mts), ("small-mjpeg", .mkv),
        ("small-mjpeg", .avi), ("small-mjpeg", .mjpeg),
    ]

    @Test(arguments: copies) func aCopyIsTheSameSampleBySample(film: String, format: RenditionFormat) async throws {
        let (rendition, path) = try await make(film, format)
        let codec = String(film.split(separator: "-")[1].prefix { $0 != "b" })
        #expect(rendition.videoCodec == codec && rendition.frames == 120 && rendition.note.isEmpty)
        let expected = try await samples(folder.path(film + ".mp4"), codec)
        #expect(expected.count == 120)
        let found = try await samples(path, codec)
        #expect(found == expected)
        guard film.hasSuffix("aac") else { return }
        #expect(rendition.audioCodec == "aac")
        let voice = try await sound(path)
        #expect(try await sound(folder.path(film + ".mp4")) == voice && !voice.isEmpty)
    }

    @Test(arguments: copies + [("small-h264", .mjpeg), ("small-hevc", .webm), ("small-h264b-aac", .webm)])
    func aRenditionPlaysFromBeginningToEnd(film: String, format: RenditionFormat) async throws {
        let (rendition, path) = try await make(film, format)
        let result = try await runTool(
            "ffprobe",
            [
                "-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries",
                "stream=codec_name,width,height,nb_read_frames", "-of", "csv=p=0", path,
            ], within: .seconds(60))
        #expect(result.exitCode == 0 && result.error.isEmpty, "\(result.error)")
        let line = result.output.split(separator: "\n").first ?? ""
        #expect(line == "\(rendition.videoCodec),320,240,120")
    }

    /// Coded anew, the pictures are those of the segment: 30 dB is a loss that one has to look for.
    @Test(arguments: [("small-h264", RenditionFormat.mjpeg), ("small-h264b", .webm), ("small-hevc", .mjpeg)])
    func aPictureThatIsCodedAnewIsTheSamePicture(film: String, format: RenditionFormat) async throws {
        let (_, path) = try await make(film, format)
        let result = try await runTool(
            "ffmpeg",
            [
                "-nostdin", "-v", "info", "-i", path, "-i", folder.path(film + ".mp4"), "-lavfi",
                "[0:v]settb=1/25,setpts=N[a];[1:v]settb=1/25,setpts=N[b];[a][b]psnr", "-f", "null", "-",
            ], within: .seconds(60))
        let average = result.error.split(separator: " ").last { $0.hasPrefix("average:") }
        let decibels = try #require(average.flatMap { Double($0.dropFirst(8)) })
        #expect(decibels > 27, "\(decibels) dB")
    }

    @Test(arguments: [
        ("small-hevc", RenditionFormat.flv), ("small-hevc", .avi), ("small-hevc", .mpg), ("small-mjpeg", .mts),
        ("small-mjpeg", .flv),
    ])
    func whatAFormatDoesNotTakeIsSaid(film: String, format: RenditionFormat) async throws {
        let error = await #expect(throws: PictureError.self) { try await make(film, format) }
        #expect(error?.cause == .limit && error?.description.contains("choose mkv") == true)
    }

    @Test(arguments: [RenditionFormat.mpg, .mjpeg, .webm]) func missingSoundIsSaid(format: RenditionFormat) async throws
    {
        let (rendition, _) = try await make("small-h264-aac", format)
        #expect(rendition.audioCodec.isEmpty && rendition.note.contains("without sound"))
        let (silent, path) = try await make("small-h264-aac", .mkv, audio: false)
        #expect(silent.audioCodec.isEmpty && silent.note.isEmpty)
        let streams = try await runTool(
            "ffprobe", ["-v", "error", "-show_entries", "stream=codec_type", "-of", "csv=p=0", path])
        #expect(streams.output.split(separator: "\n") == ["video"])
    }

    /// Whatever the file holds: an end, and none of the parent's.
    @Test func damagedSegmentsEndInAnAnswer() async throws {
        let whole = try await segment("small-h264-aac")
        var random = SplitMix64(seed: 7)
        for round in 0..<40 {
            var damaged = whole
            if round % 4 == 0 { damaged.removeLast(Int(random.next() % UInt64(whole.count - 1))) }
            for _ in 0..<(1 << (round % 10)) {
                let bit = Int(random.next() % UInt64(damaged.count * 8))
                damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            }
            let request = try #require(
                RenditionRequest(
                    RenditionFormat.allCases[round % 7], wantsAudio: true, sizeBytes: Int64(damaged.count)))
            do {
                _ = try maker.make(request, MemoryFiles(damaged), within: .seconds(20))
            } catch let error as PictureError {
                #expect(error.cause != .overdue, "round \(round): \(error)")
            }
        }
    }

    @Test func whoeverAsksCanEndIt() async throws {
        let files = MemoryFiles(try await segment("small-h264"))
        let request = try #require(RenditionRequest(.webm, wantsAudio: false, sizeBytes: Int64(files.file.count)))
        let late = #expect(throws: PictureError.self) { try maker.make(request, files, within: .milliseconds(1)) }
        #expect(late?.cause == .overdue)
        var asked = 0
        let unwanted = #expect(throws: PictureError.self) {
            try maker.make(request, files, within: .seconds(60)) {
                asked += 1
                return asked < 3
            }
        }
        #expect(unwanted?.cause == .unavailable)
    }
}
