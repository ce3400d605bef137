// Motion JPEG, AAC and PCM payloads.

import Media
import Testing

@testable import RTSP

@Suite struct JPEGDepacketizerTests {
    private func header(_ offset: UInt32, type: UInt8 = 1, quality: UInt8 = 50, width: UInt8 = 8, height: UInt8 = 4)
        -> [UInt8]
    {
        big(offset) + [type, quality, width, height]
    }

    @Test func aPictureIsJoinedAndItsHeaderPutBack() throws {
        var feed = Feed(JPEGDepacketizer())
        feed.send(header(0) + [1, 2, 3], at: 9)
        feed.send(header(3) + [4], at: 9, marker: true)
        let picture = try #require(feed.units.first?.nals.first)
        #expect(Array(picture.suffix(6)) == [1, 2, 3, 4, 0xFF, 0xD9])
        // Quality 50 is table K.1 itself.
        #expect(Array(picture[2..<10]) == [0xFF, 0xDB, 0, 67, 0, 16, 11, 12])
        picture.withUnsafeBytes { bytes in
            let read = JPEGHeader(bytes)
            #expect(read?.widthPx == 64 && read?.heightPx == 32 && read?.isHalvedHorizontallyOnly == false)
        }
    }

    @Test func theAssemblerTakesThePictureAsItIs() throws {
        var feed = Feed(JPEGDepacketizer())
        feed.send(header(0, type: 0) + [1], marker: true)
        let picture = PacketBytes(try #require(feed.units.first?.nals.first))
        var assembler = VideoAssembler(codec: .mjpeg, timescale: 90_000)
        let packet = assembler.take(picture: picture, ptsTicks: 3, arrivalNs: 1)
        #expect(packet?.bytes === picture && packet?.configuration.widthPx == 64 && packet?.isKeyframe == true)
    }

    @Test func restartMarkersAreAnnounced() throws {
        var feed = Feed(JPEGDepacketizer())
        feed.send(header(0, type: 65) + [0, 5, 0xFF, 0xFF] + [1], marker: true)
        let picture = try #require(feed.units.first?.nals.first)
        #expect(picture.indices.dropLast(5).contains { Array(picture[$0..<$0 + 6]) == [0xFF, 0xDD, 0, 4, 0, 5] })
    }

    @Test func tablesInTheStreamHoldUntilOthersComeForTheQuality() throws {
        var feed = Feed(JPEGDepacketizer())
        let first = [UInt8](repeating: 7, count: 128)
        let second = [UInt8](repeating: 9, count: 128)
        feed.send(header(0, quality: 200) + [0, 0, 0, 0, 1], at: 0, marker: true)
        feed.send(header(0, quality: 200) + [0, 0, 0, 128] + first + [1], at: 1, marker: true)
        feed.send(header(0, quality: 200) + [0, 0, 0, 0, 1], at: 2, marker: true)
        feed.send(header(0, quality: 255) + [0, 0, 0, 128] + second + [1], at: 3, marker: true)
        feed.send(header(0, quality: 255) + [0, 0, 0, 0, 1], at: 4, marker: true)
        #expect(feed.units.map(\.time) == [1, 2, 3])
        #expect(feed.units.map { $0.nals[0][7] } == [7, 7, 9])
        #expect(feed.format.counters.torn == 2)
    }

    @Test func wideTablesAreOfSixteenBits() throws {
        var feed = Feed(JPEGDepacketizer())
        let tables = [UInt8](repeating: 1, count: 192)
        feed.send(header(0, quality: 255) + [0, 1, 0, 192] + tables + [1], marker: true)
        #expect(feed.units.first.map { Array($0.nals[0][2..<7]) } == [0xFF, 0xDB, 0, 131, 0x10])
    }

    @Test func aPictureWithAHoleOrWithoutItsEndIsTorn() {
        var feed = Feed(JPEGDepacketizer())
        feed.send(header(0) + [1, 2], at: 1)
        feed.send(header(3) + [4], at: 1, marker: true)
        feed.send(header(0) + [1, 2], at: 2)
        feed.send(header(0) + [1, 2], at: 3, marker: true)
        #expect(feed.units.map(\.time) == [3] && feed.units[0].followsLoss)
        #expect(feed.format.counters.torn == 2)
    }

    @Test func picturesBeyondTheHeadersRangeHaveTheDescriptionsSize() {
        var feed = Feed(JPEGDepacketizer(widthPx: 2592, heightPx: 1944))
        feed.send(header(0, width: 0, height: 0) + [1], marker: true)
        feed.units.first?.nals[0].withUnsafeBytes { #expect(JPEGHeader($0)?.widthPx == 2592) }
        #expect(feed.units.count == 1)
    }

    @Test func anEndlessPictureIsDropped() {
        var feed = Feed(JPEGDepacketizer())
        let part = [UInt8](repeating: 1, count: 60_000)
        for index in 0..<270 { feed.send(header(UInt32(index * 60_000)) + part, at: 1) }
        // The offset has 24 bits: what follows begins at 0 again.
        feed.send(header(0) + part, at: 1, marker: true)
        feed.send(header(0) + [1], at: 2, marker: true)
        #expect(feed.units.map(\.time) == [2])
    }

    @Test func randomPayloadsNeverHarm() {
        var random = Seeded(5)
        var feed = Feed(JPEGDepacketizer())
        for step in 0..<5000 {
            var payload = random.bytes(upTo: 300)
            if payload.count > 16 {
                payload.replaceSubrange(0..<5, with: [0, 0, 0, 0, [0, 1, 64, 65].randomElement(using: &random) ?? 0])
                if step % 3 == 0 { payload.replaceSubrange(8..<12, with: [0, 0, 0, 128]) }
            }
            feed.send(payload, at: UInt32(step / 2), marker: Bool.random(using: &random))
        }
        #expect(feed.format.counters.torn > 100 && feed.format.counters.units > 100)
    }
}

@Suite struct AudioDepacketizerTests {
    private func high() throws -> AACFormat {
        try #require(
            AACFormat(formatParameters: [
                "mode": "AAC-hbr", "sizeLength": "13", "indexlength": "3", "IndexDeltaLength": "3", "config": "1210",
            ]))
    }

    @Test func formatParametersAreReadInAnyCase() throws {
        #expect(try high().audioSpecificConfig == [0x12, 0x10])
        #expect(try high().sizeLength == 13)
        #expect(AACFormat(formatParameters: ["mode": "AAC-lbr"])?.sizeLength == 6)
        #expect(AACFormat(formatParameters: [:])?.indexLength == 3)
    }

    @Test(arguments: [["mode": "CELP-vbr"], ["sizelength": "-1"], ["sizelength": "99"], ["config": "12x"]])
    func formatsThatCannotBeReadAreRefused(parameters: [String: String]) {
        #expect(AACFormat(formatParameters: parameters) == nil)
    }

    @Test func severalFramesOfOnePacketFollowEachOther() throws {
        var feed = Feed(AACDepacketizer(format: try high()))
        feed.send([0, 32, 0, 2 << 3, 0, 3 << 3, 1, 2, 3, 4, 5], at: 100, marker: true)
        #expect(feed.units == [Unit(nals: [[1, 2]], time: 100), Unit(nals: [[3, 4, 5]], time: 1124)])
    }

    @Test func lowRateHeadersHaveSixBits() throws {
        let format = try #require(AACFormat(formatParameters: ["mode": "AAC-lbr"]))
        var feed = Feed(AACDepacketizer(format: format))
        feed.send([0, 16, 1 << 2, 2 << 2, 9, 8, 7], at: 0, marker: true)
        #expect(feed.units.map(\.nals) == [[[9]], [[8, 7]]])
    }

    @Test func aFragmentedFrameIsJoined() throws {
        var feed = Feed(AACDepacketizer(format: try high()))
        feed.send([0, 16, 0, 3 << 3, 1, 2], at: 5)
        feed.send([0, 16, 0, 3 << 3, 3], at: 5, marker: true)
        #expect(feed.units == [Unit(nals: [[1, 2, 3]], time: 5)])
    }

    @Test func aFragmentedFrameWithAHoleIsTorn() throws {
        var feed = Feed(AACDepacketizer(format: try high()))
        feed.send([0, 16, 0, 3 << 3, 1, 2], at: 5)
        feed.format.lose()
        feed.send([0, 16, 0, 3 << 3, 3], at: 5, marker: true)
        feed.send([0, 16, 0, 1 << 3, 9], at: 6, marker: true)
        #expect(feed.units == [Unit(nals: [[9]], time: 6)])
        #expect(feed.format.counters.torn == 1)
    }

    @Test func samplesPassAndHalfOnesDoNot() {
        var feed = Feed(PCMDepacketizer(frameBytes: 4))
        feed.send([1, 2, 3, 4, 5], at: 3)
        feed.send([1])
        #expect(feed.units == [Unit(nals: [[1, 2, 3, 4]], time: 3)])
        #expect(feed.format.counters.malformed == 2)
    }

    @Test func randomPayloadsNeverHarm() throws {
        var random = Seeded(6)
        var aac = Feed(AACDepacketizer(format: try high()))
        var pcm = Feed(PCMDepacketizer(frameBytes: 2))
        for step in 0..<6000 {
            var payload = random.bytes(upTo: 60)
            if payload.count > 4, step % 8 != 0 { payload.replaceSubrange(0..<3, with: [0, 16, 0]) }
            aac.send(payload, at: UInt32(step / 2), marker: Bool.random(using: &random))
            pcm.send(payload, at: UInt32(step))
            if step % 40 == 0 { aac.format.lose() }
        }
        #expect(aac.format.counters.torn > 10 && aac.format.counters.units > 100 && pcm.format.counters.units > 100)
    }
}
