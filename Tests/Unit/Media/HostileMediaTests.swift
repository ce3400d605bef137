// What broken or hostile streams and files must not do: stop the process, or cost more than their bytes are worth. Each test is a
// bug that was found by fuzzing (Tests/Fuzz) or on the way there.
import Testing

@testable import Media

@Suite struct HostileMediaTests {
    // MARK: Times

    @Test(arguments: [(Int64.max, Int64.min), (.min, .max), (.max, .max), (.min, .min), (1 << 62, -(1 << 62))])
    func soundWithTimesAtTheEndsOfTheirRangeIsDropped(first: Int64, second: Int64) throws {
        var timeline = AudioTimeline(configuration: try .pcm(.l16, sampleRateHz: 8_000, channels: 1))
        let sound = [UInt8](repeating: 0, count: 160)
        for pts in [first, second, first] {
            let packet = sound.withUnsafeBytes {
                timeline.packet($0, ptsTicks: pts, arrivalNs: 0, videoPtsUs: nil)
            }
            #expect(packet == nil)
        }
        #expect(timeline.dropped == 3)
    }

    @Test(arguments: [Int64.max, .min, .max - 1, 1 << 62])
    func aFrameWithATimeAtTheEndOfItsRangeFollowsTheOneBefore(pts: Int64) {
        var timeline = DecodeTimeline(timescale: 90_000, reorderDepth: 4, nominalFrameTicks: 3_600)
        #expect(timeline.next(ptsTicks: pts, arrivalNs: 0).ptsTicks == 0)
        #expect(timeline.next(ptsTicks: pts, arrivalNs: 0).ptsTicks == 3_600)
    }

    /// A clock of 1 Hz whose times jump ahead leaves 64 bits of microseconds after some thousand packets.
    @Test func aRingTakesFramesWhoseMicrosecondsDoNotFit() throws {
        var ring = PacketRing(maximumSeconds: 1, maximumBytes: 1 << 20)
        let configuration = try CodecConfiguration.mjpeg(widthPx: 8, heightPx: 8, timescale: 1)
        for pts in (0..<4).map({ (Int64(1) << 60) + $0 }) {
            ring.append(
                MediaPacket(
                    configuration: configuration, bytes: PacketBytes([1]), ptsTicks: pts, dtsTicks: pts,
                    durationTicks: 1, isKeyframe: true, arrivalNs: 0))
        }
        #expect(!ring.isEmpty)
    }

    @Test func aFileRefusesAFrameWhosePresentationIsFarFromItsDecoding() throws {
        let configuration = try CodecConfiguration.mjpeg(widthPx: 8, heightPx: 8)
        var writer = FragmentedMP4Writer(tracks: [configuration], createdUs: 0)
        for (dts, pts) in [(Int64(0), Int64(0)), (10, .min), (20, .max)] {
            try writer.append(
                MediaPacket(
                    configuration: configuration, bytes: PacketBytes([1]), ptsTicks: pts, dtsTicks: dts,
                    durationTicks: 1, isKeyframe: true, arrivalNs: 0))
        }
        #expect(writer.samplesRefused == 2)
    }

    @Test func theLargestTimescalesCanBeConverted() {
        #expect(rescale(-1, from: .max, to: .max - 1) == -1)
        #expect(rescale(Int64(UInt32.max) - 1, from: .max, to: .max - 1) == Int64(UInt32.max) - 2)
    }

    // MARK: Memory

    @Test func startCodesWithoutEndAreNotAllListed() {
        let bytes = (0..<20_000).flatMap { _ in [0, 0, 1, 9] as [UInt8] }
        #expect(bytes.withUnsafeBytes { AnnexB.units(in: $0).count } == AccessUnitBuffer.maximumUnits + 1)
        var assembler = VideoAssembler(codec: .h264, timescale: 90_000)
        _ = bytes.withUnsafeBytes { assembler.append($0, ptsTicks: 0, arrivalNs: 0) }
        #expect(assembler.flush() == nil)
        #expect(assembler.counters.broken == 1)
    }

    @Test func messagesWithoutPicturesAreNotGatheredForEver() throws {
        var assembler = VideoAssembler(
            codec: .h264, timescale: 90_000,
            parameterSets: [0, 0, 1] + HostileMedia.sps + [0, 0, 1] + HostileMedia.pps)
        let message: [UInt8] = [0, 0, 1, 0x06] + [UInt8](repeating: 0x55, count: 9_999)
        for time in 0..<200 {
            _ = message.withUnsafeBytes { assembler.append($0, ptsTicks: Int64(time), arrivalNs: 0) }
        }
        let picture: [UInt8] = [0, 0, 1, 0x65, 0x88, 0x80]
        _ = picture.withUnsafeBytes { assembler.append($0, ptsTicks: 1_000, arrivalNs: 0) }
        let flushed = assembler.flush()
        let packet = try #require(flushed)
        #expect(packet.sizeBytes <= VideoAssembler.maximumCarriedBytes + 10)
    }

    /// Each of 256 picture parameter sets may be as large as a packet, and each change makes a configuration of all of them.
    @Test func parameterSetsDoNotAddUpWithoutABound() throws {
        var sets = ParameterSets()
        sets.take(HostileMedia.sps, codec: .h264)
        for id in 0..<32 {
            // ue(v): the number plus 1 in as many bits as it has, behind as many zeros less one.
            let code = UInt32(id + 1)
            let width = 32 - code.leadingZeroBitCount
            let bits = UInt16(code) << UInt16(16 - 2 * width + 1)
            let filler = [UInt8](repeating: 0xAA, count: 10_000)
            sets.take([0x68, UInt8(bits >> 8), UInt8(bits & 0xFF)] + filler, codec: .h264)
            sets.take(HostileMedia.sps, codec: .h264)
            let made = try #require(sets.configuration(codec: .h264, timescale: 90_000))
            #expect(made.sizeBytes <= 2 * ParameterSets.maximumBytes + 1_000)
        }
        sets.take([0x68, 0xC0] + [UInt8](repeating: 0xAA, count: ParameterSets.maximumSetBytes), codec: .h264)
        let made = try #require(sets.configuration(codec: .h264, timescale: 90_000))
        #expect(made.pictureParameterSets.allSatisfy { $0.count <= ParameterSets.maximumSetBytes })
    }

    @Test func aRingOfTinyPacketsIsBoundedInTheirNumber() throws {
        var ring = PacketRing(maximumSeconds: 3_600, maximumBytes: 1 << 20)
        let configuration = try CodecConfiguration.mjpeg(widthPx: 8, heightPx: 8)
        for number in 0..<Int64(20_000) {
            ring.append(
                MediaPacket(
                    configuration: configuration, bytes: PacketBytes([1]), ptsTicks: number, dtsTicks: number,
                    durationTicks: 1, isKeyframe: number % 100 == 0, arrivalNs: 0))
            #expect(ring.count <= 4_096)
        }
        #expect(ring.count > 3_000)
    }

    @Test func aRingCountsConfigurationsThatChange() throws {
        var ring = PacketRing(maximumSeconds: 3_600, maximumBytes: 100_000)
        for number in 0..<Int64(50) {
            let set = HostileMedia.pps + [UInt8](repeating: UInt8(number), count: 10_000)
            ring.append(
                MediaPacket(
                    configuration: try .h264(sps: [HostileMedia.sps], pps: [set]), bytes: PacketBytes([1]),
                    ptsTicks: number, dtsTicks: number, durationTicks: 1, isKeyframe: true, arrivalNs: 0))
        }
        #expect(ring.count == 4)
    }

    // MARK: Files

    /// What followed the last box was cut off and a second last box written, which was too much again at the next start.
    @Test func aFileWithARestBehindItsLastBoxIsWholeOnceItWasSalvaged() throws {
        let configuration = try CodecConfiguration.mjpeg(widthPx: 8, heightPx: 8)
        let info = SegmentInfo(device: "d", endpoint: "e", runID: "r")
        var writer = FragmentedMP4Writer(tracks: [configuration], createdUs: 0)
        try writer.append(
            MediaPacket(
                configuration: configuration, bytes: PacketBytes([1]), ptsTicks: 0, dtsTicks: 0, durationTicks: 1,
                isKeyframe: true, arrivalNs: 0))
        let whole =
            writer.header(info: info) + (writer.takeFragment(newest: .write) ?? [])
            + FragmentedMP4Writer.trailer(info: info)
        #expect(try FragmentedMP4Reader(MemoryBytes(whole)).salvage().isComplete)
        let torn = try FragmentedMP4Reader(MemoryBytes(whole + [0])).salvage()
        #expect(!torn.isComplete)
        let mended = whole[..<Int(torn.validBytes)] + FragmentedMP4Writer.trailer(info: try #require(torn.finalInfo))
        #expect(Array(mended) == whole)
    }

    /// A table that gives all samples one size needs no bytes for each of them.
    @Test(arguments: [UInt32(0), 1, 100])
    func aFragmentWhoseSamplesAreMoreThanItsDataIsNotWhole(sampleBytes: UInt32) throws {
        let configuration = try CodecConfiguration.mjpeg(widthPx: 8, heightPx: 8)
        let header = FragmentedMP4Writer(tracks: [configuration], createdUs: 0).header(
            info: SegmentInfo(device: "d", endpoint: "e", runID: "r"))
        var fragment = BoxWriter()
        fragment.box("moof") { moof in
            moof.fullBox("mfhd") { $0.u32(1) }
            moof.box("traf") { traf in
                traf.fullBox("tfhd", flags: 0x02_0010) { box in
                    box.u32(1)
                    box.u32(sampleBytes)
                }
                // The second run lies where the first one does.
                for _ in 0..<2 {
                    traf.fullBox("trun", flags: 1) { box in
                        box.u32(sampleBytes == 100 ? 1 : 100_000)
                        box.u32(100)
                    }
                }
            }
        }
        let moofBytes = fragment.data.count
        #expect(moofBytes == 92)
        fragment.box("mdat") { $0.zeros(150) }
        let salvage = try FragmentedMP4Reader(MemoryBytes(header + fragment.data)).salvage()
        #expect(salvage.tracks.count == 1)
        #expect(salvage.fragments == 0)
        #expect(salvage.hasRest)
    }
}

/// Parameter sets of a picture of 320 x 240.
enum HostileMedia {
    static let sps: [UInt8] = [0x67, 0x42, 0x00, 0x1E, 0x95, 0xA0, 0x50, 0x7C, 0x40]
    static let pps: [UInt8] = [0x68, 0xCE, 0x3C, 0x80]
}
