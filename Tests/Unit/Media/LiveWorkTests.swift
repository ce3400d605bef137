// Streams that are decoded on: the right picture for each frame that is wanted, and streams that are coded anew.
import Foundation
import LibAV
import Media
import MediaWork
import Testing

@Suite struct LiveWorkTests {
    private static let clips: [Result<Clip, any Error>] = [
        Fixtures.h264, Fixtures.reordered, Fixtures.hevc, Fixtures.mjpeg,
    ]

    /// What comes of packets; those at `wanted` are wanted. Numbers are places.
    private func follow(
        _ order: LiveOrder, _ packets: [MediaPacket], wanted: Set<Int> = [], anew: Set<Int> = [0]
    ) throws -> [(number: UInt32, message: WorkMessage)] {
        let work = LiveWork(order)
        var found: [(UInt32, WorkMessage)] = []
        for (index, packet) in packets.enumerated() {
            let live = try #require(
                LivePacket(packet, startsAnew: anew.contains(index), isWanted: wanted.contains(index)))
            try work.take(live, number: UInt32(index)) { found.append(($0, $1)) }
        }
        return found
    }

    private func pictures(_ found: [(number: UInt32, message: WorkMessage)]) -> [UInt32: Picture] {
        found.reduce(into: [:]) { pictures, one in
            if case .picture(let picture) = one.message { pictures[one.number] = picture }
        }
    }

    @Test(arguments: 0..<4) func aPictureIsThatOfItsFrame(index: Int) throws {
        let clip = try Self.clips[index].get()
        let wanted: Set<Int> = [0, 1, 7, 23, 24, 25, 31, 40]
        let made = pictures(try follow(.pictures(PictureStyle(.png)), clip.packets, wanted: wanted))
        #expect(Set(made.keys) == Set(wanted.map(UInt32.init)))
        let folder = try Folder()
        let path = try folder.write(clip.original, "in.mp4")
        // Place of each packet's frame in the order of showing.
        let order = clip.packets.indices.sorted { clip.packets[$0].ptsTicks < clip.packets[$1].ptsTicks }
        for (number, picture) in made {
            let shown = try #require(order.firstIndex(of: Int(number)))
            let png = try folder.write(picture.bytes, "picture.png")
            let result = try Tool.run(
                "ffmpeg",
                [
                    "-hide_banner", "-i", path, "-i", png, "-lavfi",
                    "[0]select=eq(n\\,\(shown)),scale=flags=bicubic+accurate_rnd+full_chroma_int,format=rgb24[a];[1]format=rgb24[b];[a][b]psnr",
                    "-f", "null", "-",
                ])
            let text = result.errors.components(separatedBy: "average:").last?.split(separator: " ").first ?? ""
            let decibels = text == "inf" ? .infinity : Double(text) ?? 0
            #expect(decibels > 40, "picture \(number), shown as \(shown): \(decibels) dB")
        }
    }

    /// The second group is decoded without the first: it begins anew, and what was awaited of the first comes out before.
    @Test(arguments: 0..<2) func aGroupThatBeginsAnew(index: Int) throws {
        let clip = try Self.clips[index].get()
        let packets = Array(clip.packets[0..<8]) + clip.packets[25..<40]
        let made = pictures(
            try follow(.pictures(PictureStyle(.png)), packets, wanted: [7, 8, 14], anew: [0, 8]))
        #expect(made[7] != nil && made[8] != nil && made[14] != nil)
        // A group alone gives the same picture.
        let alone = pictures(try follow(.pictures(PictureStyle(.png)), Array(clip.packets[25..<40]), wanted: [6]))
        #expect(made[14] == alone[6])
    }

    @Test func whatCannotBeDecodedIsAFailureOfItsOwn() throws {
        var packets = try Fixtures.h264.get().packets
        packets[3].bytes = PacketBytes([0, 0, 0, 2, 0x65, 0xFF])
        let found = try follow(.pictures(PictureStyle(.png)), packets, wanted: [2, 3, 25, 26])
        let made = pictures(found)
        #expect(made[2] != nil && made[25] != nil && made[26] != nil && made[3] == nil)
    }

    @Test(arguments: [Codec.h264, .hevc], 0..<4) func aStreamIsCodedAnew(codec: Codec, index: Int) throws {
        let clip = try Self.clips[index].get()
        let coding = try #require(StreamCoding(codec, maximumWidthPx: 160, bitRateBps: 400_000))
        var assembler = VideoAssembler(codec: codec, timescale: LivePacket.timescale)
        var packets: [MediaPacket] = []
        for (_, message) in try follow(.stream(coding), clip.packets) {
            guard case .sample(let sample) = message else { continue }
            let before = sample.bytes.withUnsafeBytes {
                assembler.append($0, ptsTicks: sample.ptsTicks, arrivalNs: 0)
            }
            if let packet = before ?? assembler.flush() { packets.append(packet) }
        }
        // Frames that the decoder holds back come with what follows.
        #expect(packets.count >= 46 && packets[0].isKeyframe)
        #expect(packets[0].configuration.widthPx == 160 && packets[0].configuration.heightPx == 120)
        let times = clip.packets.map(\.ptsTicks).sorted()
        #expect(packets.map(\.ptsTicks) == Array(times.prefix(packets.count)))
        let folder = try Folder()
        let path = try folder.write(try WriterTests.file(packets).bytes, "coded.mp4")
        let original = try folder.write(clip.original, "in.mp4")
        let result = try Tool.run(
            "ffmpeg",
            [
                "-hide_banner", "-i", path, "-i", original, "-lavfi",
                "[0]setpts=N[a];[1]scale=160:120,format=yuv420p,setpts=N[b];[a][b]psnr=shortest=1", "-f", "null", "-",
            ])
        let text = result.errors.components(separatedBy: "y:").last?.split(separator: " ").first ?? ""
        #expect((Double(text) ?? 0) > 25, "\(text) dB")
    }

    @Test func aSlowerStreamKeepsItsPace() throws {
        let clip = try Fixtures.h264.get()
        let coding = try #require(StreamCoding(.h264, maximumMillihertz: 10_000))
        let samples = try follow(.stream(coding), clip.packets).compactMap { one -> Int64? in
            if case .sample(let sample) = one.message { return sample.ptsTicks }
            return nil
        }
        #expect(samples.count == 20)
        for (one, next) in zip(samples, samples.dropFirst()) { #expect([7200, 10_800].contains(next - one)) }
    }
}
