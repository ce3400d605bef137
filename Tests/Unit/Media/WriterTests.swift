// What the writer makes, judged by ffprobe and ffmpeg: same pictures, right times, no warning.
import Foundation
import Media
import Testing

@Suite struct WriterTests {
    /// Writes packets as a recorder does: a fragment every `every` packets, and what is left at the end.
    static func file(
        _ packets: [MediaPacket], audio: CodecConfiguration? = nil, every: Int = 7, newest: NewestSample = .write
    ) throws -> (bytes: [UInt8], boundaries: [Int], writer: FragmentedMP4Writer) {
        let video = try #require(packets.first { $0.kind == .video }).configuration
        var writer = FragmentedMP4Writer(tracks: [video] + [audio].compactMap { $0 }, createdUs: 1_764_000_000_000_000)
        var bytes = writer.header(info: Fixtures.info())
        var boundaries = [bytes.count]
        for (number, packet) in packets.enumerated() {
            try writer.append(packet)
            if number % every == every - 1, let fragment = writer.takeFragment(newest: newest) {
                bytes += fragment
                boundaries.append(bytes.count)
            }
        }
        if let fragment = writer.takeFragment(newest: .write) {
            bytes += fragment
            boundaries.append(bytes.count)
        }
        var info = Fixtures.info()
        info.frames = writer.videoFrames
        info.endUs = info.startUs + writer.videoEndUs
        bytes += FragmentedMP4Writer.trailer(info: info)
        return (bytes, boundaries, writer)
    }

    private struct Probe: Decodable {
        struct Stream: Decodable {
            let codecName: String
            let width: Int?
            let height: Int?
            let startTime: String
            let nbReadFrames: String
            let sampleRate: String?
        }
        struct Format: Decodable { let duration: String? }
        struct Packet: Decodable {
            let streamIndex: Int
            let pts: Int64
            let dts: Int64
            let duration: Int64?
            let flags: String
        }
        let streams: [Stream]
        let format: Format
        let packets: [Packet]
    }

    private static func probe(_ path: String) throws -> Probe {
        let result = try Tool.run(
            "ffprobe",
            ["-v", "warning", "-count_frames", "-show_streams", "-show_format", "-show_packets", "-of", "json", path])
        #expect(result.errors == "", "ffprobe warns")
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Probe.self, from: result.output)
    }

    @Test(arguments: 0..<4, [NewestSample.write, .hold])
    func picturesAndTimesSurvive(index: Int, newest: NewestSample) throws {
        let (name, result) = Fixtures.all()[index]
        let clip = try result.get()
        #expect(clip.packets.count == 50, "\(name)")
        #expect(clip.packets.filter(\.isKeyframe).count == (name == "mjpeg" ? 50 : 2))
        let written = try Self.file(clip.packets, newest: newest)
        let folder = try Folder()
        let path = try folder.write(written.bytes, "out.mp4")
        let decoded = try Tool.ffmpeg(["-i", path, "-f", "null", "-"])
        #expect(decoded.errors == "", "ffmpeg warns about \(name)")
        #expect(try Fixtures.frameHashes(path) == clip.frameHashes)
        let probe = try Self.probe(path)
        #expect(probe.streams.first?.nbReadFrames == "50")
        #expect(probe.streams.first?.width == 320)
        #expect(probe.streams.first?.height == 240)
        // One every 40 ms from the first on, in whatever order they are stored. Two frames of reordering come before it.
        let first: Int64 = name.contains("reordered") || name == "hevc" ? 7200 : 0
        let expected = (0..<50).map { first + Int64($0 * 3600) }
        #expect(written.writer.videoStartUs == first * 100 / 9)
        #expect(written.writer.mediaStartUs == clip.packets.first?.ptsUs)
        #expect(probe.packets.map(\.pts).sorted() == expected)
        // Of JPEG, ffprobe keeps the lengths of the packets to itself that it looked at to find the rate.
        #expect(Set(probe.packets.compactMap(\.duration)) == [3600])
        #expect(zip(probe.packets, probe.packets.dropFirst()).allSatisfy { $0.dts < $1.dts })
        #expect(probe.packets.filter { $0.flags.hasPrefix("K") }.count == clip.packets.filter(\.isKeyframe).count)
        #expect(written.writer.videoEndUs == 2_000_000 + first * 100 / 9)
        #expect(
            Double(probe.format.duration ?? "").map { abs($0 - 2) < 0.09 } == true,
            "\(String(describing: probe.format.duration))")
    }

    @Test func storesNoParameterSetsInSamples() throws {
        for clip in [try Fixtures.h264.get(), try Fixtures.hevc.get()] {
            let codec = try #require(clip.packets.first).configuration.codec
            for packet in clip.packets {
                let bytes = packet.bytes.array
                let types = bytes.withUnsafeBytes { raw in
                    (AnnexB.lengthPrefixedUnits(in: raw) ?? []).map {
                        codec == .h264 ? raw[$0.lowerBound] & 31 : raw[$0.lowerBound] >> 1 & 63
                    }
                }
                #expect(!types.isEmpty)
                #expect(types.allSatisfy { codec == .h264 ? ![7, 8, 9].contains($0) : !(32...35).contains($0) })
            }
        }
    }

    @Test(arguments: [Codec.aac, .pcmu, .pcma, .l16])
    func audioPlaysBesideVideo(codec: Codec) throws {
        let folder = try Folder()
        let clip = try Fixtures.h264.get()
        let rate = codec == .aac ? 48_000 : 8000
        let configuration: CodecConfiguration
        var audio: [MediaPacket] = []
        if codec == .aac {
            configuration = try .aac(audioSpecificConfig: [0x11, 0x88])
            // ADTS in, raw frames out.
            try Tool.ffmpeg([
                "-f", "lavfi", "-i", "sine=duration=2:sample_rate=48000", "-ac", "1", "-c:a", "aac", "-f", "adts",
                folder.path("a"),
            ])
        } else {
            configuration = try .pcm(codec, sampleRateHz: 8000, channels: 1)
            let format = codec == .pcmu ? "mulaw" : codec == .pcma ? "alaw" : "s16be"
            try Tool.ffmpeg([
                "-f", "lavfi", "-i", "sine=duration=2:sample_rate=8000", "-ac", "1", "-f", format, folder.path("a"),
            ])
        }
        let raw = try folder.read("a")
        var timeline = AudioTimeline(configuration: configuration)
        let zero = Int64(rate) * 500_000 / 90_000
        var offset = 0
        while offset + 7 < raw.count {
            let header = codec == .aac ? 7 : 0
            let size =
                codec == .aac
                ? Int(raw[offset + 3] & 3) << 11 | Int(raw[offset + 4]) << 3 | Int(raw[offset + 5]) >> 5 : 320
            let frame = Array(raw[(offset + header)..<min(offset + size, raw.count)])
            // As RTP does: the time of the first frame only.
            let packet = frame.withUnsafeBytes {
                timeline.packet($0, ptsTicks: offset == 0 ? zero : nil, arrivalNs: 0, videoPtsUs: nil)
            }
            if let packet { audio.append(packet) }
            offset += size
        }
        let merged = (clip.packets + audio).sorted { $0.dtsUs < $1.dtsUs }
        let start = try #require(merged.firstIndex { $0.kind == .video })
        let written = try Self.file(Array(merged[start...]), audio: configuration, every: 11)
        let path = try folder.write(written.bytes, "out.mp4")
        let played = try Tool.ffmpeg(["-i", path, "-f", "null", "-"])
        #expect(played.errors == "")
        let probe = try Self.probe(path)
        #expect(
            probe.streams.last?.codecName
                == ["aac": "aac", "pcmu": "pcm_mulaw", "pcma": "pcm_alaw", "l16": "pcm_s16be"][codec.rawValue])
        #expect(probe.streams.last?.sampleRate == String(rate))
        let times = probe.packets.filter { $0.streamIndex == 1 }
        #expect(times.count >= audio.count - 2)
        let end = Double(try #require(times.last).pts) / Double(rate)
        #expect(abs(end - 2) < 0.08)
        #expect(try Fixtures.frameHashes(path) == clip.frameHashes)
    }

    @Test func newParametersNeedANewFile() throws {
        let first = try Fixtures.h264.get().packets
        let other = try #require(try Fixtures.tiny.get().packets.first)
        var writer = FragmentedMP4Writer(tracks: [first[0].configuration], createdUs: 0)
        #expect(!writer.needsNewFile(for: first[1]))
        #expect(writer.needsNewFile(for: other))
        #expect(throws: MediaError.self) { try writer.append(other) }
        #expect(throws: MediaError.self) { try writer.append(first[1]) }
        #expect(writer.takeFragment(newest: .write) == nil)
        try writer.append(first[0])
        #expect(writer.takeFragment(newest: .hold) == nil)
        #expect(writer.takeFragment(newest: .write) != nil)
        // The same packet again does not grow in time.
        try writer.append(first[0])
        #expect(writer.samplesRefused == 1)
        #expect(writer.videoFrames == 1)
    }
}
