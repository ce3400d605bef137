// Pictures that are decoded in another order than they are shown (field lessons, case 18), judged by ffmpeg and ffprobe: each is
// shown at its time, beside its sound, and a range of time holds exactly its pictures.
import Foundation
import Media
import Testing

@Suite struct ReorderedFileTests {
    /// Closed groups of 25 pictures, up to three of which are shown before one that is decoded before them.
    private static let clips: [(codec: Codec, clip: Result<Clip, any Error>)] = [
        (.h264, Fixtures.reordered),
        (
            .hevc,
            Result {
                try Fixtures.clip(
                    .hevc,
                    [
                        "-c:v", "libx265", "-x265-params",
                        "log-level=none:keyint=25:min-keyint=25:scenecut=0:open-gop=0:bframes=3:b-adapt=0:repeat-headers=1",
                        "-tag:v", "hvc1",
                    ])
            }
        ),
    ]

    /// Two frames of reordering: what passes in a file from the first decoding to the first showing.
    private static let leadTicks = 7200

    /// A file for each group, a fragment for each third picture.
    private static func segments(_ packets: [MediaPacket]) throws -> [[UInt8]] {
        let keys = packets.indices.filter { packets[$0].isKeyframe }
        return try zip(keys, keys.dropFirst() + [packets.count]).map {
            try WriterTests.file(Array(packets[$0..<$1]), every: 3).bytes
        }
    }

    /// The presentation times that ffprobe finds, in ticks and in the order of showing.
    private static func times(_ path: String, _ stream: String) throws -> [Int] {
        let result = try Tool.run(
            "ffprobe",
            ["-v", "warning", "-select_streams", stream, "-show_entries", "frame=pts", "-of", "csv=p=0", path])
        #expect(result.errors == "", "ffprobe warns")
        return result.text.split(separator: "\n").compactMap { Int($0.prefix { $0 != "," }) }
    }

    @Test(arguments: [0, 1]) func eachFileShowsItsPicturesAtTheirTimes(index: Int) throws {
        let clip = try Self.clips[index].clip.get()
        #expect(
            zip(clip.packets, clip.packets.dropFirst()).contains { $0.ptsTicks > $1.ptsTicks }, "nothing is reordered")
        let folder = try Folder()
        var hashes: [String] = []
        let segments = try Self.segments(clip.packets)
        #expect(segments.count == 2)
        for (number, bytes) in segments.enumerated() {
            let path = try folder.write(bytes, "\(number).mp4")
            #expect(try Tool.ffmpeg(["-i", path, "-f", "null", "-"]).errors == "")
            #expect(try Self.times(path, "v") == (0..<25).map { Self.leadTicks + $0 * 3600 })
            hashes += try Fixtures.frameHashes(path)
            let samples = try FragmentedMP4Reader(MemoryBytes(bytes)).fragments().flatMap(\.samples)
            #expect(samples.map(\.dtsTicks) == (0..<25).map { Int64($0) * 3600 })
            #expect(samples.allSatisfy { $0.ptsTicks >= $0.dtsTicks })
            // The file's own box says which moment of the run the first one shown is: no edit list is needed for it.
            let salvage = try FragmentedMP4Reader(MemoryBytes(bytes)).salvage()
            #expect(salvage.startTicks == Int64(Self.leadTicks) && salvage.durationUs == 1_000_000)
        }
        #expect(hashes == clip.frameHashes)
    }

    @Test(arguments: [0, 1]) func aRangeOfTimeHoldsExactlyItsPictures(index: Int) throws {
        let clip = try Self.clips[index].clip.get()
        let folder = try Folder()
        let path = try folder.write(try WriterTests.file(clip.packets, every: 3).bytes, "whole.mp4")
        var numbers = SeededNumbers(state: 18)
        for _ in 0..<6 {
            let first = Int.random(in: 0..<49, using: &numbers)
            let end = Int.random(in: (first + 1)...50, using: &numbers)
            let times = [first, end].map { Self.leadTicks + $0 * 3600 }
            // By the file's own times: ffmpeg counts from the first picture otherwise.
            let cut = try Tool.ffmpeg([
                "-copyts", "-i", path, "-vf", "trim=start_pts=\(times[0]):end_pts=\(times[1])", "-fps_mode",
                "passthrough", "-f",
                "framemd5", "-",
            ])
            let found = cut.text.split(separator: "\n").filter { !$0.hasPrefix("#") }
                .compactMap { $0.split(separator: ",").last.map { $0.trimmingCharacters(in: .whitespaces) } }
            #expect(found == Array(clip.frameHashes[first..<end]), "\(first)..<\(end)")
        }
    }

    /// Sound of the moment at which the first picture is shown stands there in the file too.
    @Test(arguments: [0, 1]) func soundStaysBesideThePictures(index: Int) throws {
        let clip = try Self.clips[index].clip.get()
        let sound = try CodecConfiguration.pcm(.pcma, sampleRateHz: 8000, channels: 1)
        let start = try #require(clip.packets.first).ptsTicks * 8 / 90
        let packets = (0..<50).map { number in
            MediaPacket(
                configuration: sound, bytes: PacketBytes([UInt8](repeating: 0xD5, count: 320)),
                ptsTicks: start + Int64(number) * 320, dtsTicks: start + Int64(number) * 320, durationTicks: 320,
                isKeyframe: true, arrivalNs: 0)
        }
        let merged = clip.packets[..<1] + (clip.packets[1...] + packets).sorted { $0.dtsUs < $1.dtsUs }
        let folder = try Folder()
        let path = try folder.write(try WriterTests.file(Array(merged), audio: sound, every: 6).bytes, "both.mp4")
        #expect(try Self.times(path, "v").first == Self.leadTicks)
        #expect(try Self.times(path, "a").first == Self.leadTicks * 8 / 90)
        #expect(try Tool.ffmpeg(["-i", path, "-f", "null", "-"]).errors == "")
    }
}
