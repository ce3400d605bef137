// Exact clips, judged by ffmpeg and ffprobe: which pictures are shown, when, and that no sample was changed.
import Foundation
import Media
import Testing

/// A recording in files of a second, as a controller writes them.
private struct Recording {
    let clip: Clip
    let files: [[UInt8]]

    static let startUs: Int64 = 1_764_000_000_000_000
    static let frameUs: Int64 = 40_000

    /// A file for each `every` pictures. Sound has a packet each 40 ms.
    init(_ clip: Clip, sound: CodecConfiguration? = nil, ratePpm: Int32 = 0, every: Int = 25) throws {
        self.clip = clip
        let first = try #require(clip.packets.map(\.ptsUs).min())
        let anchor = MediaAnchor(mediaUs: first, wallUs: Self.startUs, ratePpm: ratePpm)
        let keys = clip.packets.indices.filter { clip.packets[$0].isKeyframe && $0 % every == 0 }
        files = try zip(keys, keys.dropFirst() + [clip.packets.count]).map { from, to in
            var packets = Array(clip.packets[from..<to])
            if let sound {
                let voice = (from..<to).map { Self.sound(sound, first, $0) }
                packets = packets[..<1] + (packets[1...] + voice).sorted { $0.dtsUs < $1.dtsUs }
            }
            return try Self.file(packets, sound, anchor)
        }
    }

    private static func sound(_ sound: CodecConfiguration, _ firstUs: Int64, _ number: Int) -> MediaPacket {
        let ticks = rescale(firstUs, from: 1_000_000, to: 8000) + Int64(number) * 320
        return MediaPacket(
            configuration: sound, bytes: PacketBytes([UInt8](repeating: UInt8(number), count: 320)), ptsTicks: ticks,
            dtsTicks: ticks, durationTicks: 320, isKeyframe: true, arrivalNs: 0)
    }

    private static func file(_ packets: [MediaPacket], _ sound: CodecConfiguration?, _ anchor: MediaAnchor) throws
        -> [UInt8]
    {
        var writer = FragmentedMP4Writer(
            tracks: [packets[0].configuration] + [sound].compactMap { $0 }, createdUs: startUs)
        var info = SegmentInfo(device: "gate", endpoint: "main", runID: Fixtures.runID)
        info.anchor = anchor
        info.mediaStartUs = packets[0].ptsUs
        info.startUs = anchor.wallUs(ofMediaUs: info.mediaStartUs)
        var bytes = writer.header(info: info)
        for (number, packet) in packets.enumerated() {
            try writer.append(packet)
            if number % 7 == 6, let fragment = writer.takeFragment(newest: .hold) { bytes += fragment }
        }
        bytes += writer.takeFragment(newest: .write) ?? []
        info.frames = writer.videoFrames
        info.endUs = anchor.wallUs(ofMediaUs: info.mediaStartUs + writer.videoEndUs - writer.videoStartUs)
        return bytes + FragmentedMP4Writer.trailer(info: info)
    }

    /// The clip of a time since the first picture, as bytes.
    func cut(_ fromUs: Int64, _ toUs: Int64, of numbers: [Int]? = nil, wantsAudio: Bool = true) throws -> (
        clip: ExactClip, bytes: [UInt8]
    ) {
        let used = (numbers ?? Array(files.indices)).map { files[$0] }
        let clip = try ExactClip(
            of: used.map { try ClipFile(MemoryBytes($0)) }, fromUs: Self.startUs + fromUs,
            toUs: Self.startUs + toUs, wantsAudio: wantsAudio, createdUs: Self.startUs)
        let bytes = clip.pieces.reduce(into: clip.head) { bytes, piece in
            bytes += used[piece.file][Int(piece.offset)..<Int(piece.offset + piece.sizeBytes)]
        }
        #expect(Int64(bytes.count) == clip.sizeBytes)
        return (clip, bytes)
    }
}

@Suite struct ExactClipTests {
    private static let clips: [Result<Clip, any Error>] = [
        Fixtures.h264,
        Result {
            try Fixtures.clip(
                .h264,
                [
                    "-c:v", "libx264", "-x264-params",
                    "keyint=25:min-keyint=25:scenecut=0:open-gop=0:bframes=3:b-adapt=0:b-pyramid=normal:repeat-headers=1",
                ])
        },
        Result {
            try Fixtures.clip(
                .hevc,
                [
                    "-c:v", "libx265", "-x265-params",
                    "log-level=none:keyint=25:min-keyint=25:scenecut=0:open-gop=0:bframes=3:b-adapt=0:repeat-headers=1",
                    "-tag:v", "hvc1",
                ])
        },
        Fixtures.mjpeg,
    ]

    private static func ffprobe(_ path: String, _ entries: String, _ stream: String = "v") throws -> [String] {
        let result = try Tool.run(
            "ffprobe",
            ["-v", "warning", "-select_streams", stream, "-show_entries", entries, "-of", "csv=p=0", path])
        #expect(result.errors == "", "ffprobe warns")
        return result.text.split(separator: "\n").map(String.init)
    }

    @Test(arguments: 0..<4) func aClipShowsExactlyThePicturesOfItsTime(index: Int) throws {
        let clip = try Self.clips[index].get()
        let recording = try Recording(clip)
        let folder = try Folder()
        var numbers = SeededNumbers(state: UInt64(40 + index))
        for _ in 0..<8 {
            let from = Int64.random(in: 0..<1_900_000, using: &numbers)
            let to = Int64.random(in: min(from + Recording.frameUs, 2_000_000)...2_000_000, using: &numbers)
            // What begins at or after the start, and before the end.
            let (first, end) = (from + Recording.frameUs - 1, to + Recording.frameUs - 1)
            let shown = Int(first / Recording.frameUs)..<Int(end / Recording.frameUs)
            let (made, bytes) = try recording.cut(from, to)
            let path = try folder.write(bytes, "clip.mp4")
            #expect(try Fixtures.frameHashes(path) == Array(clip.frameHashes[shown]), "\(from) to \(to)")
            #expect(made.frames == UInt32(shown.count) && made.missingUs == 0)
            #expect(made.startUs == Recording.startUs + Int64(shown.lowerBound) * Recording.frameUs)
            #expect(abs(made.endUs - Recording.startUs - to) < 25)
            let length = try #require(try Self.ffprobe(path, "format=duration").first.flatMap { Double($0) })
            #expect(abs(length - Double(to - from) / 1_000_000) < 0.002)
            #expect(try Tool.ffmpeg(["-i", path, "-f", "null", "-"]).errors == "")
        }
    }

    @Test func noSampleIsCodedAnew() throws {
        let recording = try Recording(try Fixtures.h264.get())
        let (made, bytes) = try recording.cut(410_000, 1_500_000)
        let folder = try Folder()
        let path = try folder.write(bytes, "clip.mp4")
        // The demuxer's packets, those that only lead up to the first picture included.
        let result = try Tool.ffmpeg([
            "-ignore_editlist", "1", "-i", path, "-map", "0:v", "-c", "copy", "-f", "data", folder.path("samples"),
        ])
        #expect(result.errors == "")
        let sent = recording.clip.packets[0..<38].flatMap { $0.bytes.array }
        #expect(try folder.read("samples") == sent)
        #expect(made.pieces.allSatisfy { $0.sizeBytes > 0 })
    }

    @Test func missingFootageIsEmptyTimeAndTheClipIsAsLongAsWhatIsWanted() throws {
        let long = try Fixtures.clip(
            .h264,
            [
                "-vf", "tpad=stop=25:stop_mode=clone", "-c:v", "libx264", "-x264-params",
                "keyint=25:min-keyint=25:scenecut=0:open-gop=0:bframes=0:repeat-headers=1",
            ])
        #expect(long.packets.count == 75)
        let recording = try Recording(long)
        let (made, bytes) = try recording.cut(-300_000, 2_700_000, of: [0, 2])
        #expect(made.missingUs == 1_300_000)
        let folder = try Folder()
        let path = try folder.write(bytes, "clip.mp4")
        #expect(try Fixtures.frameHashes(path) == Array(long.frameHashes[0..<25] + long.frameHashes[50..<68]))
        let times = try Self.ffprobe(path, "frame=pts_time").compactMap { Double($0.prefix { $0 != "," }) }
        let expected: [Double] = (Array(0..<25) + Array(50..<68)).map { (number: Int) -> Double in
            0.3 + Double(number) * 0.04
        }
        #expect(times.count == expected.count)
        for (time, wanted) in zip(times, expected) { #expect(abs(time - wanted) < 0.001) }
    }

    @Test(arguments: 0..<2) func soundIsCutWithThePictures(index: Int) throws {
        let clip = try Self.clips[index].get()
        let sound = try CodecConfiguration.pcm(.pcma, sampleRateHz: 8000, channels: 1)
        let recording = try Recording(clip, sound: sound)
        let (_, bytes) = try recording.cut(520_000, 1_480_000)
        let folder = try Folder()
        let path = try folder.write(bytes, "clip.mp4")
        #expect(try Fixtures.frameHashes(path) == Array(clip.frameHashes[13..<37]))
        let raw = folder.path("sound")
        try Tool.ffmpeg(["-i", path, "-map", "0:a", "-c", "copy", "-f", "alaw", raw])
        let heard = try folder.read("sound")
        // ffmpeg cuts sound by whole packets where it copies: the one that the start lies in may be there as well.
        #expect(heard.contains(13) && heard.contains(36) && !heard.contains(11) && !heard.contains(38))
        #expect(try Tool.ffmpeg(["-i", path, "-f", "null", "-"]).errors == "")
        let (_, silent) = try recording.cut(520_000, 1_480_000, wantsAudio: false)
        #expect(try Self.ffprobe(try folder.write(silent, "silent.mp4"), "stream=codec_name", "a") == [])
    }

    @Test func aCameraThatChangesItsPictureIsOneClipOfTwoDescriptions() throws {
        let both = try (Fixtures.changing[.h264] ?? []).map { try $0.get() }
        let recordings = try both.map { try Recording($0, every: 10) }
        let first = try ClipFile(MemoryBytes(recordings[0].files[0]))
        #expect(first.tracks[0].descriptions[0].widthPx == 320)
        // The second camera picture follows as another run a second later.
        let later = try ClipFile(MemoryBytes(recordings[1].files[3]))
        let clip = try ExactClip(
            of: [first, later], fromUs: Recording.startUs, toUs: Recording.startUs + 2_000_000, createdUs: 0)
        let files = [recordings[0].files[0], recordings[1].files[3]]
        let bytes = clip.pieces.reduce(into: clip.head) { bytes, piece in
            bytes += files[piece.file][Int(piece.offset)..<Int(piece.offset + piece.sizeBytes)]
        }
        let folder = try Folder()
        let path = try folder.write(bytes, "clip.mp4")
        let hashes = try Tool.ffmpeg([
            "-i", path, "-map", "0:v", "-autoscale", "0", "-fps_mode", "passthrough", "-f", "framemd5", "-",
        ]).text.split(separator: "\n").filter { !$0.hasPrefix("#") }
            .compactMap { $0.split(separator: ",").last.map { $0.trimmingCharacters(in: .whitespaces) } }
        #expect(hashes == Array(both[0].frameHashes[0..<10] + both[1].frameHashes[30..<40]))
    }

    @Test func anotherCodecNeedsAnotherClip() throws {
        let one = try Recording(try Fixtures.h264.get())
        let other = try Recording(try Fixtures.mjpeg.get())
        let files = try [one.files[0], other.files[1]].map { try ClipFile(MemoryBytes($0)) }
        let clip = try ExactClip(
            of: files, fromUs: Recording.startUs, toUs: Recording.startUs + 2_000_000, createdUs: 0)
        #expect(clip.frames == 25 && clip.endUs == Recording.startUs + 1_000_000 && clip.filesTaken == 1)
    }

    /// A power cut leaves zeros where samples were.
    @Test func ofATornFileOnlyWholeFragmentsAreTaken() throws {
        let bytes = try Recording(try Fixtures.h264.get()).files[0]
        let whole = try ClipFile(MemoryBytes(bytes))
        let last = try #require(try FragmentedMP4Reader(MemoryBytes(bytes)).fragments().last)
        let from = Int(try #require(last.samples.first).offset)
        let torn = bytes[..<from] + [UInt8](repeating: 0, count: Int(last.endOffset) - from)
        let file = try ClipFile(MemoryBytes(Array(torn)))
        #expect(whole.fragments.count > 2 && file.fragments == Array(whole.fragments.dropLast()))
        #expect(file.info.isFinal && file.info.frames == UInt32(file.fragments.joined().count))
    }

    @Test func aTimeWithoutPicturesIsAnError() throws {
        let recording = try Recording(try Fixtures.h264.get())
        #expect(throws: MediaError.self) { try recording.cut(5_000_000, 6_000_000) }
        #expect(throws: MediaError.self) { try recording.cut(-2_000_000, -1) }
    }

    /// The camera's clock is slow: a second of media is more than a second of the wall.
    @Test func aClipOfABentClockIsAsLongAsItsPictures() throws {
        let clip = try Fixtures.h264.get()
        let recording = try Recording(clip, ratePpm: 500)
        let (made, bytes) = try recording.cut(0, 2_001_000)
        #expect(made.frames == 50 && made.missingUs == 0)
        let path = try Folder()
        let file = try path.write(bytes, "clip.mp4")
        #expect(try Fixtures.frameHashes(file) == clip.frameHashes)
    }
}
