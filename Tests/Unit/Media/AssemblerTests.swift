// From pieces of a stream to packets: parameter sets, access units, times.
import Foundation
import Media
import Testing

@Suite struct AssemblerTests {
    private static let start: [UInt8] = [0, 0, 0, 1]

    /// The clip as a byte stream per access unit, with parameter sets as RTP carries them.
    private func pieces(_ clip: Clip) throws -> [(bytes: [UInt8], pts: Int64, key: Bool)] {
        try clip.packets.map { packet in
            let body = try #require(packet.bytes.withUnsafeBytes { AnnexB.fromLengthPrefixed($0) })
            return (body, packet.ptsTicks, packet.isKeyframe)
        }
    }

    private func sets(_ clip: Clip) throws -> [UInt8] {
        let configuration = try #require(clip.packets.first).configuration
        return (configuration.sequenceParameterSets + configuration.pictureParameterSets).flatMap { Self.start + $0 }
    }

    private func feed(_ assembler: inout VideoAssembler, _ bytes: [UInt8], _ pts: Int64?, _ arrivalNs: Int64 = 0)
        -> MediaPacket?
    {
        bytes.withUnsafeBytes { assembler.append($0, ptsTicks: pts, arrivalNs: arrivalNs) }
    }

    @Test func readsSizesOfParameterSets() throws {
        let configuration = try #require(try Fixtures.h264.get().packets.first).configuration
        #expect(configuration.widthPx == 320 && configuration.heightPx == 240)
        #expect(configuration.decoderConfiguration.first == 1)
        #expect(configuration.nominalFrameTicks == 3600)
        let hevc = try #require(try Fixtures.hevc.get().packets.first).configuration
        #expect(hevc.widthPx == 320 && hevc.heightPx == 240)
        #expect((hevc.reorderDepth ?? 0) > 0)
        #expect(try Fixtures.reordered.get().packets.first?.configuration.reorderDepth == 2)
    }

    @Test(arguments: [("libx264", Codec.h264), ("libx265", .hevc)])
    func readsACroppedSize(encoder: String, codec: Codec) throws {
        let folder = try Folder()
        // 1080 lines are 67.5 macroblocks: the set says 1088 and crops.
        try Tool.ffmpeg(
            ["-f", "lavfi", "-i", "color=size=1918x1080:rate=5:duration=0.2", "-pix_fmt", "yuv420p", "-c:v", encoder]
                + (codec == .hevc ? ["-x265-params", "log-level=none"] : []) + ["-f", codec.rawValue, folder.path("s")])
        let assembler = VideoAssembler(codec: codec, timescale: 90_000, parameterSets: try folder.read("s"))
        #expect(assembler.configuration?.widthPx == 1918)
        #expect(assembler.configuration?.heightPx == 1080)
    }

    @Test func joinsPiecesOfOneTimeAndSetsWithATimeOfTheirOwn() throws {
        let clip = try Fixtures.h264.get()
        var assembler = VideoAssembler(codec: .h264, timescale: 90_000)
        var packets: [MediaPacket] = []
        for (bytes, pts, key) in try pieces(clip) {
            if key { packets += [feed(&assembler, try sets(clip), pts - 1)].compactMap { $0 } }
            let middle = bytes.count / 2
            packets += [feed(&assembler, Array(bytes[..<middle]), pts)].compactMap { $0 }
            packets += [feed(&assembler, Array(bytes[middle...]), nil)].compactMap { $0 }
        }
        packets += [assembler.flush()].compactMap { $0 }
        #expect(packets.map(\.bytes.array) == clip.packets.map(\.bytes.array))
        #expect(packets.map(\.ptsTicks) == clip.packets.map(\.ptsTicks))
        #expect(packets.map(\.isKeyframe) == clip.packets.map(\.isKeyframe))
        #expect(packets.allSatisfy { $0.configuration === packets[0].configuration })
        #expect(assembler.counters.withoutConfiguration == 0 && assembler.counters.broken == 0)
    }

    @Test func picturesBeforeParameterSetsAreCounted() throws {
        let clip = try Fixtures.h264.get()
        var assembler = VideoAssembler(codec: .h264, timescale: 90_000)
        let all = try pieces(clip)
        for piece in all[1..<6] { #expect(feed(&assembler, piece.bytes, piece.pts) == nil) }
        #expect(assembler.configuration == nil)
        #expect(assembler.flush() == nil)
        #expect(assembler.counters.withoutConfiguration == 5)
        _ = feed(&assembler, try sets(clip) + all[25].bytes, all[25].pts)
        #expect(assembler.flush()?.isKeyframe == true)
    }

    @Test func changedSetsMakeANewConfiguration() throws {
        let clip = try Fixtures.h264.get()
        let other = try Fixtures.tiny.get()
        var assembler = VideoAssembler(codec: .h264, timescale: 90_000, parameterSets: try sets(clip))
        let first = assembler.configuration
        _ = feed(&assembler, try sets(clip) + pieces(clip)[0].bytes, 0)
        #expect(assembler.flush()?.configuration === first)
        _ = feed(&assembler, try sets(other) + pieces(other)[0].bytes, 3600)
        let flushed = assembler.flush()
        let changed = try #require(flushed).configuration
        #expect(changed != first)
        #expect(changed.widthPx == 64)
    }

    @Test(arguments: [Codec.h264, .hevc, .mjpeg])
    func garbageNeverHarms(codec: Codec) {
        var numbers = SeededNumbers(state: 7)
        // First bytes of the units that are parsed, in both codecs.
        let types: [UInt8] = [0x67, 0x68, 0x65, 0x06, 0x40, 0x42, 0x44, 0x26, 0xFF]
        var assembler = VideoAssembler(codec: codec, timescale: 90_000)
        for number in 0..<3000 {
            var bytes: [UInt8] = Bool.random(using: &numbers) ? [0, 0, 1] : []
            bytes.append(types.randomElement(using: &numbers) ?? 0)
            bytes += (0..<Int.random(in: 0...80, using: &numbers)).map { _ in UInt8.random(in: 0...255, using: &numbers)
            }
            _ = feed(&assembler, bytes, Int64(number) * 3600, Int64(number) * 40_000_000)
        }
        let packet = assembler.flush()
        #expect(packet == nil || packet?.sizeBytes ?? 0 > 0)
    }

    @Test func tooLargeAUnitIsDroppedAndTheNextOneComes() throws {
        let clip = try Fixtures.h264.get()
        var assembler = VideoAssembler(codec: .h264, timescale: 90_000, parameterSets: try sets(clip))
        let block = [UInt8](repeating: 0x55, count: 8 << 20)
        for _ in 0..<6 { #expect(feed(&assembler, block, 0) == nil) }
        #expect(feed(&assembler, try pieces(clip)[0].bytes, 3600) == nil)
        #expect(assembler.flush()?.isKeyframe == true)
        #expect(assembler.counters.broken == 1)
    }

    @Test func annexBSplitsAtShortAndLongStartCodes() {
        let bytes: [UInt8] = [9, 0, 0, 1, 0x65, 1, 2, 0, 0, 0, 1, 0x41, 0, 0, 3, 1, 0, 0, 0, 0, 0, 1]
        let units = bytes.withUnsafeBytes { raw in AnnexB.units(in: raw).map { Array(raw[$0]) } }
        #expect(units == [[0x65, 1, 2], [0x41, 0, 0, 3, 1]])
        #expect([UInt8]().withUnsafeBytes { AnnexB.units(in: $0) }.isEmpty)
        #expect([0, 0, 0, 2, 1].withUnsafeBytes { AnnexB.lengthPrefixedUnits(in: $0) } == nil)
    }
}

@Suite struct DecodeTimelineTests {
    private func run(_ timeline: inout DecodeTimeline, _ pts: [Int64]) -> [DecodeTimeline.Times] {
        pts.map { timeline.next(ptsTicks: $0, arrivalNs: 0) }
    }

    @Test func statedReorderingGivesTheClassicTimes() {
        var timeline = DecodeTimeline(timescale: 90_000, reorderDepth: 2, nominalFrameTicks: 100)
        let times = run(&timeline, [0, 400, 200, 100, 300, 800, 600, 500, 700])
        #expect(times.map(\.dtsTicks) == [-200, -100, 0, 100, 200, 300, 400, 500, 600])
        #expect(times.allSatisfy { $0.dtsTicks <= $0.ptsTicks && $0.durationTicks == 100 && !$0.startsNewTimeline })
    }

    @Test func unstatedReorderingStillGrows() {
        var timeline = DecodeTimeline(timescale: 90_000, reorderDepth: nil, nominalFrameTicks: 100)
        let times = run(&timeline, [0, 400, 200, 100, 300, 800, 600, 500, 700, 1200, 1000])
        #expect(zip(times, times.dropFirst()).allSatisfy { $0.dtsTicks < $1.dtsTicks })
        #expect(times.map(\.ptsTicks) == [0, 400, 200, 100, 300, 800, 600, 500, 700, 1200, 1000])
    }

    @Test func framesWithoutOrWithEqualTimesFollow() {
        var timeline = DecodeTimeline(timescale: 90_000, reorderDepth: 0, nominalFrameTicks: 3000)
        #expect(timeline.next(ptsTicks: nil, arrivalNs: 0).ptsTicks == 0)
        #expect(timeline.next(ptsTicks: nil, arrivalNs: 0).ptsTicks == 3000)
        #expect(timeline.next(ptsTicks: 3000, arrivalNs: 0).dtsTicks == 3001)
    }

    @Test(
        arguments: [
            (-900_000, true), (-45_000, false), (810_000, false), (324_000_000, true), (Int64.min / 4, true),
        ] as [(Int64, Bool)])
    func jumpsOfTheCameraClockStartANewTimeline(step: Int64, isJump: Bool) {
        var timeline = DecodeTimeline(timescale: 90_000, reorderDepth: 0, nominalFrameTicks: 3600)
        _ = run(&timeline, [900_000, 903_600])
        let times = timeline.next(ptsTicks: 903_600 + step, arrivalNs: 40_000_000)
        #expect(times.startsNewTimeline == isJump)
        #expect(isJump == false || times.dtsTicks == times.ptsTicks)
        #expect(timeline.next(ptsTicks: 903_600 + step + 3600, arrivalNs: 80_000_000).startsNewTimeline == false)
    }

    @Test func silenceOfTheHostClockIsNoJump() {
        var timeline = DecodeTimeline(timescale: 90_000, reorderDepth: 0, nominalFrameTicks: 3600)
        _ = timeline.next(ptsTicks: 0, arrivalNs: 0)
        #expect(!timeline.next(ptsTicks: 90_000 * 60, arrivalNs: 60_000_000_000).startsNewTimeline)
    }
}

@Suite struct AudioTimelineTests {
    @Test func framesWithoutTimeFollowAndForeignTimesAreDropped() throws {
        var timeline = AudioTimeline(configuration: try .pcm(.pcmu, sampleRateHz: 8000, channels: 1))
        let frame = [UInt8](repeating: 1, count: 160)
        func take(_ pts: Int64?, video: Int64? = nil) -> Int64? {
            frame.withUnsafeBytes { timeline.packet($0, ptsTicks: pts, arrivalNs: 0, videoPtsUs: video)?.ptsTicks }
        }
        #expect(take(nil) == nil)
        #expect(take(8000) == 8000)
        #expect(take(nil) == 8160)
        #expect(take(8330) == 8320)
        #expect(take(8160) == nil)
        #expect(take(8800) == 8800)
        #expect(take(800_000, video: 1_000_000) == nil)
        #expect(timeline.dropped == 3)
    }

    @Test func readsAudioSpecificConfig() throws {
        let mono = try CodecConfiguration.aac(audioSpecificConfig: [0x11, 0x88])
        #expect(mono.sampleRateHz == 48_000 && mono.channels == 1 && mono.nominalFrameTicks == 1024)
        #expect(try CodecConfiguration.aac(audioSpecificConfig: [0x12, 0x10]).sampleRateHz == 44_100)
        #expect(throws: MediaError.self) { try CodecConfiguration.aac(audioSpecificConfig: []) }
        #expect(throws: MediaError.self) { try CodecConfiguration.aac(audioSpecificConfig: [0x16, 0x88]) }
    }
}
