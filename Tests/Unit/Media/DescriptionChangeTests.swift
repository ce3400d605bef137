// A camera whose parameter sets go to and fro (field lessons, case 15) in one file: several sample descriptions, each fragment
// names its own, every picture decodes.
import Foundation
import Media
import Testing

@Suite struct DescriptionChangeTests {
    private struct Written {
        var bytes: [UInt8]
        var ends: [Int]
        var packets: [MediaPacket]
        var configurations: [CodecConfiguration]
        /// Hash of each picture as it was sent.
        var hashes: [String]
    }

    /// Groups of ten pictures of the first and the second size in turns, in one file, a fragment every seven packets.
    private static func oscillating(_ codec: Codec, sound: CodecConfiguration? = nil) throws -> Written {
        let clips = try #require(Fixtures.changing[codec]).map { try $0.get() }
        var packets: [MediaPacket] = []
        var hashes: [String] = []
        for group in 0..<10 {
            let clip = clips[group % 2]
            let part = (group / 2 * 10)..<(group / 2 * 10 + 10)
            for var packet in clip.packets[part] {
                packet.dtsTicks = Int64(packets.count) * 3600
                packet.ptsTicks = packet.dtsTicks
                packets.append(packet)
            }
            hashes += clip.frameHashes[part]
        }
        let configurations = clips.compactMap(\.packets.first?.configuration)
        var writer = FragmentedMP4Writer(
            tracks: [configurations[0]] + [sound].compactMap { $0 }, otherVideo: configurations.reversed(), createdUs: 0
        )
        var written = Written(
            bytes: writer.header(info: Fixtures.info()), ends: [], packets: packets, configurations: configurations,
            hashes: hashes)
        for (number, packet) in packets.enumerated() {
            #expect(!writer.needsNewFile(for: packet))
            try writer.append(packet)
            if let sound {
                try writer.append(
                    MediaPacket(
                        configuration: sound, bytes: PacketBytes([UInt8](repeating: 0xD5, count: 320)),
                        ptsTicks: Int64(number) * 320, dtsTicks: Int64(number) * 320, durationTicks: 320,
                        isKeyframe: true, arrivalNs: 0))
            }
            if number % 7 == 6 || number == packets.count - 1, let fragment = writer.takeFragment(newest: .write) {
                written.bytes += fragment
                written.ends.append(written.bytes.count)
            }
        }
        #expect(writer.pendingBytes == 0)
        var info = Fixtures.info()
        info.frames = writer.videoFrames
        written.bytes += FragmentedMP4Writer.trailer(info: info)
        return written
    }

    @Test(arguments: [Codec.h264, .hevc])
    func aFileHoldsPicturesOfTwoSizes(codec: Codec) throws {
        let written = try Self.oscillating(codec)
        let reader = FragmentedMP4Reader(MemoryBytes(written.bytes))
        let salvage = try reader.salvage()
        #expect(salvage.isComplete && salvage.videoFrames == 100)
        let entry = codec == .h264 ? "avc3" : "hev1"
        #expect(salvage.tracks.first?.descriptions.map(\.sampleEntry) == [entry, entry])
        #expect(salvage.tracks.first?.descriptions.map(\.widthPx) == [320, 192])
        #expect(salvage.tracks.first?.descriptions.map(\.heightPx) == [240, 128])
        let fragments = try reader.fragments()
        // One for each call, and one more for each of the nine changes; one of them, at 70, is where a call ended anyway.
        #expect(fragments.count == 15 + 9 - 1)
        #expect(fragments.allSatisfy { Set($0.samples.map(\.description)).count == 1 })
        let samples = fragments.flatMap(\.samples)
        #expect(samples.map(\.description) == (0..<100).map { $0 / 10 % 2 })
        #expect(samples.map(\.ptsTicks) == (0..<100).map { $0 * 3600 })
        #expect(samples.map(\.isKeyframe) == (0..<100).map { $0 % 10 == 0 })
        for (sample, packet) in zip(samples, written.packets) {
            let payload = try reader.payload(of: sample)
            #expect(payload.suffix(packet.sizeBytes) == packet.bytes.array[...])
            // The parameter sets stand in front of keyframes and of nothing else.
            #expect((payload.count > packet.sizeBytes) == packet.isKeyframe)
        }
    }

    @Test(arguments: [Codec.h264, .hevc])
    func everyPictureDecodesWithoutAWarning(codec: Codec) throws {
        let written = try Self.oscillating(codec)
        let folder = try Folder()
        let path = try folder.write(written.bytes, "out.mp4")
        let played = try Tool.ffmpeg(["-i", path, "-f", "null", "-"])
        #expect(played.errors == "", "ffmpeg warns")
        let probe = try Tool.run(
            "ffprobe", ["-v", "warning", "-show_entries", "frame=width,height,pts", "-of", "csv=p=0", path])
        #expect(probe.errors == "", "ffprobe warns")
        let sizes = probe.text.split(separator: "\n").map { $0.split(separator: ",").map { Int($0) ?? -1 } }
        #expect(sizes.count == 100)
        #expect(
            sizes.map { Array($0.prefix(3)) }
                == (0..<100).map { [$0 * 3600] + ($0 / 10 % 2 == 0 ? [320, 240] : [192, 128]) })
        #expect(try Self.hashes(path) == written.hashes)
        // From within: a keyframe of the second size, though the header names the first.
        #expect(try Self.hashes(path, from: "1.2") == Array(written.hashes.dropFirst(30)))
    }

    @Test func soundGoesOnAcrossTheChanges() throws {
        let sound = try CodecConfiguration.pcm(.pcma, sampleRateHz: 8000, channels: 1)
        let written = try Self.oscillating(.h264, sound: sound)
        let reader = FragmentedMP4Reader(MemoryBytes(written.bytes))
        let heard = try reader.fragments().flatMap(\.samples).filter { $0.trackID == 2 }
        #expect(heard.map(\.dtsTicks) == (0..<100).map { $0 * 320 })
        #expect(heard.allSatisfy { $0.description == 0 })
        let folder = try Folder()
        let path = try folder.write(written.bytes, "out.mp4")
        #expect(try Tool.ffmpeg(["-i", path, "-f", "null", "-"]).errors == "")
        #expect(try Self.hashes(path) == written.hashes)
    }

    @Test func aTornFileKeepsItsWholeFragmentsOfEitherDescription() throws {
        let written = try Self.oscillating(.h264)
        let fragments = try FragmentedMP4Reader(MemoryBytes(written.bytes)).fragments()
        let folder = try Folder()
        for (number, fragment) in fragments.enumerated() {
            let torn = Array(written.bytes[..<Int(fragment.endOffset - 1)])
            let salvage = try FragmentedMP4Reader(MemoryBytes(torn)).salvage()
            #expect(salvage.validBytes == fragment.offset && salvage.fragments == number && !salvage.isComplete)
        }
        let kept = try FragmentedMP4Reader(MemoryBytes(Array(written.bytes.prefix(Int(fragments[8].endOffset) + 50))))
            .salvage()
        let info = try #require(kept.finalInfo)
        let frames = Int(try #require(info.frames))
        let mended = Array(written.bytes.prefix(Int(kept.validBytes))) + FragmentedMP4Writer.trailer(info: info)
        let path = try folder.write(mended, "mended.mp4")
        #expect(try Tool.ffmpeg(["-i", path, "-f", "null", "-"]).errors == "")
        #expect(try Self.hashes(path) == Array(written.hashes.prefix(frames)))
    }

    @Test func aDescriptionThatTheHeaderDoesNotHaveEndsWhatIsKept() throws {
        let written = try Self.oscillating(.h264)
        let reader = FragmentedMP4Reader(MemoryBytes(written.bytes))
        let second = try #require(try reader.fragments().dropFirst().first)
        var bytes = written.bytes
        // Behind moof, mfhd (16), traf, tfhd with flags and track.
        let place = Int(second.offset) + 8 + 16 + 8 + 8 + 4 + 4 + 3
        #expect(bytes[place] == 1)
        for wrong: UInt8 in [0, 3, 255] {
            bytes[place] = wrong
            let salvage = try FragmentedMP4Reader(MemoryBytes(bytes)).salvage()
            #expect(salvage.fragments == 1 && salvage.validBytes == second.offset)
        }
    }

    @Test func aFileOfOneDescriptionNamesNoneAndKeepsItsSamplesPlain() throws {
        let clip = try #require(Fixtures.changing[.h264]).map { try $0.get() }[0]
        let plain = try WriterTests.file(clip.packets)
        let reader = FragmentedMP4Reader(MemoryBytes(plain.bytes))
        #expect(try reader.salvage().tracks.first?.descriptions.map(\.sampleEntry) == ["avc1"])
        let payloads = try reader.fragments().flatMap(\.samples).map { try reader.payload(of: $0) }
        #expect(payloads == clip.packets.map(\.bytes.array))
    }

    @Test func whatCannotShareTheTrackOrIsTooMuchIsNotDeclared() throws {
        func sets(_ number: UInt8, timescale: UInt32 = 90_000) throws -> CodecConfiguration {
            try .h264(
                sps: [[0x67, 0x42, 0x00, 0x1E, 0x95, 0xA0, 0x50, 0x7C, 0x40]], pps: [[0x68, 0xCE, 0x3C, number]],
                timescale: timescale)
        }
        let first = try sets(0x80)
        let other = try #require(Fixtures.changing[.hevc]).map { try $0.get() }[0].packets[0].configuration
        let picture = try CodecConfiguration.mjpeg(widthPx: 64, heightPx: 48)
        let slow = try sets(0x81, timescale: 1000)
        #expect(FragmentedMP4Writer.declared(first, others: [other, first, picture, slow]) == [first])
        #expect(FragmentedMP4Writer.declared(picture, others: [try .mjpeg(widthPx: 32, heightPx: 32)]) == [picture])
        let many = try (0x81...0x8F).map { try sets($0) }
        #expect(FragmentedMP4Writer.declared(first, others: many) == [first] + many.prefix(7))
    }

    /// A change of the picture parameter set needs no keyframe: the camera sends the set in front of any picture.
    @Test func aChangeWithoutAKeyframeHasItsSetsInFront() throws {
        let sps: [UInt8] = [0x67, 0x42, 0x00, 0x1E, 0x95, 0xA0, 0x50, 0x7C, 0x40]
        let pair = try [0x80, 0x88].map { try CodecConfiguration.h264(sps: [sps], pps: [[0x68, 0xCE, 0x3C, $0]]) }
        var writer = FragmentedMP4Writer(tracks: [pair[0]], otherVideo: [pair[1]], createdUs: 0)
        var bytes = writer.header(info: Fixtures.info())
        for number in 0..<4 {
            let unit: [UInt8] = [0, 0, 0, 2, number == 0 ? 0x65 : 0x41, 0x80]
            try writer.append(
                MediaPacket(
                    configuration: pair[number / 2], bytes: PacketBytes(unit), ptsTicks: Int64(number) * 3600,
                    dtsTicks: Int64(number) * 3600, durationTicks: 3600, isKeyframe: number == 0, arrivalNs: 0))
        }
        bytes += writer.takeFragment(newest: .write) ?? []
        let samples = try FragmentedMP4Reader(MemoryBytes(bytes)).fragments().flatMap(\.samples)
        let sets = 4 + sps.count + 4 + 4
        #expect(samples.map(\.sizeBytes) == [sets + 6, 6, sets + 6, 6])
        #expect(samples.map(\.description) == [0, 0, 1, 1])
    }

    /// Hash of each decoded picture in its own size.
    private static func hashes(_ path: String, from start: String? = nil) throws -> [String] {
        let seek = start.map { ["-ss", $0] } ?? []
        let result = try Tool.ffmpeg(
            seek + ["-i", path, "-map", "0:v", "-autoscale", "0", "-fps_mode", "passthrough", "-f", "framemd5", "-"])
        return result.text.split(separator: "\n").filter { !$0.hasPrefix("#") }
            .compactMap { $0.split(separator: ",").last.map { $0.trimmingCharacters(in: .whitespaces) } }
    }
}
