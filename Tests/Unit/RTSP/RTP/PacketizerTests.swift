// Media packets to RTP and back: what the depacketizers make of it must be what went in, byte for byte.

import Media
import Testing

@testable import RTSP

private let limit = NALPacketizer.maximumPayloadBytes

/// Without zeros, so that no start code is in it. It repeats after a prime, so that no two fragments are alike.
private func content(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = Seeded(seed)
    let block = (0..<min(count, 65_521)).map { _ in UInt8.random(in: 1...255, using: &random) }
    return Array(repeatElement(block, count: count / 65_521 + 1).joined().prefix(count))
}

/// Of the written packets, through the depacketizer of the track.
private func units(_ written: [Written], _ format: some Depacketizer) -> [Unit] {
    var feed = Feed(format)
    for packet in written { feed.send(packet.payload, at: packet.timestamp, marker: packet.marker) }
    feed.end()
    #expect(feed.format.counters.malformed == 0 && feed.format.counters.torn == 0)
    return feed.units
}

@Suite struct NALPacketizerTests {
    /// Sizes of a NAL unit around each limit: a single packet, one and two fragments, and what no camera sends.
    static let sizes = [
        3, 100, limit - 1, limit, limit + 1, 2 * (limit - 2) + 1, 2 * (limit - 2) + 2, 2 * (limit - 3) + 2,
        2 * (limit - 3) + 3, 2_000_000,
    ]

    private func slice(_ size: Int, head: [UInt8]) -> [UInt8] {
        head + [0x80] + content(size - head.count - 1, seed: UInt64(size))
    }

    /// Only the first fragment begins the unit, and only the last one ends it (RFC 6184, section 5.8).
    private func areEndsMarked(_ written: [Written], headerAt place: Int) -> Bool {
        written.count == 1
            || written.indices.allSatisfy { index in
                let flags: UInt8 = (index == 0 ? 0x80 : 0) | (index == written.count - 1 ? 0x40 : 0)
                return written[index].payload[place] & 0xC0 == flags
            }
    }

    @Test(arguments: sizes) func aUnitOfH264ComesBack(size: Int) throws {
        let configuration = try Tracks.h264()
        var writer = writer(configuration)
        var out: [UInt8] = []
        let unit = slice(size, head: [0x41])
        try writer.write(.picture([unit], configuration, ptsTicks: 3_600), to: &out)
        let written = try Written.all(out)
        #expect(units(written, H264Depacketizer()) == [Unit(nals: [unit], time: 0xFFFF_FF00 &+ 3_600)])
        #expect(areEndsMarked(written, headerAt: 1))
        #expect(written.count == (size <= limit ? 1 : (size - 1 + limit - 3) / (limit - 2)))
        #expect(written.allSatisfy { $0.payload.count <= limit })
        #expect(written.map(\.marker) == written.indices.map { $0 == written.count - 1 })
    }

    @Test(arguments: sizes) func aUnitOfH265ComesBack(size: Int) throws {
        let configuration = try Tracks.hevc()
        var writer = writer(configuration)
        var out: [UInt8] = []
        // Type 1 of layer 32, temporal identity 3: every bit of the header is restated.
        let unit = slice(max(size, 4), head: [0x03, 0x03])
        try writer.write(.picture([unit], configuration), to: &out)
        let written = try Written.all(out)
        #expect(units(written, H265Depacketizer()) == [Unit(nals: [unit], time: 0xFFFF_FF00)])
        #expect(areEndsMarked(written, headerAt: 2))
        #expect(written.allSatisfy { $0.payload.count <= limit })
        #expect(written.map(\.marker) == written.indices.map { $0 == written.count - 1 })
    }

    @Test func unitsOfOneByteComeBackAndThoseThatRTPCannotNameDoNot() throws {
        let configuration = try Tracks.h264()
        var writer = writer(configuration)
        var out: [UInt8] = []
        let units = [[0x06], slice(50, head: [0x41]), [0x0C], [0x18, 1], [0x1F, 1], [0x00, 1]]
        try writer.write(.picture(units, configuration), to: &out)
        let written = try Written.all(out)
        #expect(written.map(\.payload) == Array(units[0...2]))
        #expect(written.map(\.marker) == [false, false, true])
        #expect(RTSPUnitTests.units(written, H264Depacketizer()).map(\.nals) == [Array(units[0...2])])
    }

    @Test func unitsOfH265ShorterThanTheirHeaderAreLeftOut() throws {
        let configuration = try Tracks.hevc()
        var writer = writer(configuration)
        var out: [UInt8] = []
        let units = [slice(50, head: [0x02, 1]), [0x4E, 1], [0x02], [0x60, 1, 0], [0x62, 1, 0x81]]
        try writer.write(.picture(units, configuration), to: &out)
        #expect(try Written.all(out).map(\.payload) == Array(units[0...1]))
    }

    @Test(arguments: [Codec.h264, .hevc]) func theParameterSetsGoBeforeEachKeyframe(codec: Codec) throws {
        let configuration = codec == .h264 ? try Tracks.h264() : try Tracks.hevc()
        let sets =
            configuration.videoParameterSets + configuration.sequenceParameterSets
            + configuration.pictureParameterSets
        #expect(sets.count == (codec == .h264 ? 2 : 3))
        var writer = writer(configuration)
        let key = slice(4_000, head: codec == .h264 ? [0x65] : [0x26, 1])
        let other = slice(20, head: codec == .h264 ? [0x41] : [0x02, 1])
        var out: [UInt8] = []
        for (index, unit) in [key, other, key].enumerated() {
            try writer.write(
                .picture([unit], configuration, ptsTicks: Int64(index), isKeyframe: unit == key), to: &out)
        }
        let written = try Written.all(out)
        let expected = [sets + [key], [other], sets + [key]]
        let found = codec == .h264 ? units(written, H264Depacketizer()) : units(written, H265Depacketizer())
        #expect(found.map(\.nals) == expected)
    }

    @Test func bytesThatAreNoUnitsAreRefusedAndNothingIsWritten() throws {
        let configuration = try Tracks.h264()
        var writer = writer(configuration)
        var out: [UInt8] = []
        #expect(throws: MediaError.self) { try writer.write(.of([0, 0, 0, 9, 1], configuration), to: &out) }
        try writer.write(.of([], configuration), to: &out)
        #expect(out.isEmpty)
    }

    @Test func manyUnitsOfAnySizeComeBackAsTheyWere() throws {
        let configuration = try Tracks.h264()
        var random = Seeded(11)
        var writer = writer(configuration)
        var out: [UInt8] = []
        var sent: [Unit] = []
        for number in 0..<60 {
            let later = (0..<Int.random(in: 0...3, using: &random)).map { _ in
                slice(Int.random(in: 2...9_000, using: &random), head: [0x41])
            }
            let units = [slice(Int.random(in: 2...9_000, using: &random), head: [0x41])] + later
            try writer.write(.picture(units, configuration, ptsTicks: Int64(number) * 3_003), to: &out)
            sent.append(Unit(nals: units, time: 0xFFFF_FF00 &+ UInt32(number) * 3_003))
        }
        let written = try Written.all(out)
        #expect(units(written, H264Depacketizer()) == sent)
        #expect(written.enumerated().allSatisfy { $1.number == 0xFFFE &+ UInt16($0) })
        #expect(Set(written.map(\.ssrc)) == [0xCAFE] && Set(written.map(\.type)) == [96])
    }
}

@Suite struct JPEGPacketizerTests {
    /// As a receiver makes it again.
    private func picture(
        type: UInt8 = 1, tables: [UInt8] = [UInt8](repeating: 7, count: 64) + [UInt8](repeating: 9, count: 64),
        precision: UInt8 = 0, restartInterval: Int = 0, scan: [UInt8], widthPx: Int = 64, heightPx: Int = 32
    ) -> [UInt8] {
        JPEGTables.header(
            type: type, widthPx: widthPx, heightPx: heightPx, tables: tables, precision: precision,
            restartInterval: restartInterval) + scan + [0xFF, 0xD9]
    }

    private func written(_ picture: [UInt8]) throws -> [Written] {
        let configuration = try CodecConfiguration.mjpeg(widthPx: 64, heightPx: 32)
        var writer = writer(configuration)
        var out: [UInt8] = []
        try writer.write(.of(picture, configuration), to: &out)
        return try Written.all(out)
    }

    /// Bytes of a scan, with what stands for 0xFF in it.
    private func scan(_ count: Int) -> [UInt8] {
        content(count, seed: 3).map { $0 == 0xFF ? 0xFE : $0 } + [0xFF, 0x00, 1]
    }

    @Test(arguments: [1, 1_259, 1_260, 1_261, 2_650, 2_651, 2_652, 2_653, 300_000])
    func aPictureComesBackByteForByte(size: Int) throws {
        let picture = picture(scan: scan(size))
        let written = try written(picture)
        #expect(units(written, JPEGDepacketizer()).map(\.nals) == [[picture]])
        #expect(written.allSatisfy { $0.payload.count <= limit && $0.type == 26 })
        #expect(written.map(\.marker) == written.indices.map { $0 == written.count - 1 })
        // The first of several packets is full, whatever stands before its data.
        #expect(written.count == 1 || written[0].payload.count == limit)
    }

    @Test func samplingRestartsAndWideTablesComeBack() throws {
        let restarts = scan(2_000) + [0xFF, 0xD0] + scan(2_000) + [0xFF, 0xD7, 5]
        let wide = [UInt8](repeating: 1, count: 128) + [UInt8](repeating: 2, count: 64)
        for picture in [
            picture(type: 0, scan: scan(10)), picture(restartInterval: 4, scan: restarts),
            picture(tables: wide, precision: 1, scan: scan(10)),
            picture(tables: [UInt8](repeating: 1, count: 256), precision: 3, scan: scan(4_000)),
        ] {
            #expect(units(try written(picture), JPEGDepacketizer()).map(\.nals) == [[picture]])
        }
    }

    @Test func aPictureBeyondTheHeadersRangeHasItsSizeInTheDescription() throws {
        let picture = picture(scan: scan(10), widthPx: 2_592, heightPx: 1_944)
        let written = try written(picture)
        #expect(units(written, JPEGDepacketizer(widthPx: 2_592, heightPx: 1_944)).map(\.nals) == [[picture]])
        let configuration = try CodecConfiguration.mjpeg(widthPx: 2_592, heightPx: 1_944)
        #expect(RTPFormat(configuration, dynamicType: 96).sizePx == [2_592, 1_944])
    }

    /// What of a picture is changed, to what, and why it is refused then.
    private static let refused: [(find: [UInt8], put: [UInt8], reason: String)] = [
        ([0xFF, 0xC0], [0xFF, 0xC2], "not coded as baseline"),
        ([0xFF, 0xC0, 0, 17, 8], [0xFF, 0xC0, 0, 17, 12], "12 bits"),
        ([1, 0x22, 0], [1, 0x11, 0], "neither 4:2:2 nor 4:2:0"),
        ([3, 0x11, 1], [3, 0x11, 0], "a quantisation table each"),
        ([0x7D, 1, 2], [0x7D, 2, 1], "Huffman tables are not the usual"), ([0xFF, 0xD9], [0, 0], "no end"),
        ([0xFF, 0xD8], [0xFF, 0xDB], "no JPEG"), ([0xFF, 0xD9], [0xFF, 0xDA], "one scan"),
        ([3, 0x11, 0, 63], [3, 0x11, 1, 63], "one scan"),
        ([0xFF, 0xDB, 0, 67, 1], [0xFF, 0xDB, 0, 67, 2], "table is missing"),
        ([0, 32, 0, 64], [0, 32, 0, 0], "0 x 32"),
    ]

    @Test(arguments: refused.indices) func aPictureThatAReceiverCouldNotMakeAgainIsRefused(index: Int) throws {
        let change = Self.refused[index]
        var bytes = picture(scan: scan(10))
        let place = try #require(bytes.indices.last { bytes[$0...].starts(with: change.find) })
        bytes.replaceSubrange(place..<place + change.find.count, with: change.put)
        let refusal = #expect(throws: MediaError.self) { try written(bytes) }
        #expect(refusal?.description.contains(change.reason) == true, "\(String(describing: refusal))")
    }

    @Test func cutAndRandomPicturesNeverHarm() throws {
        var random = Seeded(12)
        let whole = picture(restartInterval: 2, scan: scan(100))
        for count in whole.indices { #expect(throws: MediaError.self) { try written(Array(whole[..<count])) } }
        var refused = 0
        for _ in 0..<1_000 {
            var bytes = whole
            for _ in 0..<3 { bytes[Int.random(in: bytes.indices, using: &random)] = random.next() % 2 == 0 ? 0xFF : 0 }
            if (try? written(bytes)) == nil { refused += 1 }
        }
        #expect(refused > 300 && refused < 1_000)
    }
}

@Suite struct AudioPacketizerTests {
    @Test(arguments: [
        1, 371, limit - 4, limit - 3, 2 * (limit - 4), 2 * (limit - 4) + 1, AACPacketizer.maximumFrameBytes,
    ])
    func aFrameOfAACComesBack(size: Int) throws {
        let configuration = try Tracks.aac()
        var writer = writer(configuration)
        var out: [UInt8] = []
        let frame = content(size, seed: 5)
        try writer.write(.of(frame, configuration, ptsTicks: 1_024), to: &out)
        let written = try Written.all(out)
        let format = try #require(AACFormat(formatParameters: ["config": "1188"]))
        #expect(
            units(written, AACDepacketizer(format: format)) == [Unit(nals: [frame], time: 0xFFFF_FF00 &+ 1_024)])
        #expect(written.allSatisfy { $0.payload.count <= limit })
        #expect(written.map(\.marker) == written.indices.map { $0 == written.count - 1 })
    }

    @Test func aFrameLongerThanItsSizeFieldIsRefused() throws {
        let configuration = try Tracks.aac()
        var writer = writer(configuration)
        var out: [UInt8] = []
        #expect(throws: MediaError("an AAC frame has 8192 bytes; RTP carries at most 8191")) {
            try writer.write(.of([UInt8](repeating: 1, count: 8_192), configuration), to: &out)
        }
        #expect(out.isEmpty)
    }

    @Test(arguments: [
        (Codec.pcmu, 8_000, 1, UInt8(0)), (.pcma, 8_000, 1, 8), (.pcmu, 16_000, 1, 96), (.l16, 44_100, 2, 96),
        (.l16, 48_000, 3, 96),
    ])
    func samplesComeBackAndKnowTheirTime(codec: Codec, rateHz: Int, channels: Int, type: UInt8) throws {
        let configuration = try CodecConfiguration.pcm(codec, sampleRateHz: rateHz, channels: channels)
        let frameBytes = configuration.pcmFrameBytes
        for frames in [1, limit / frameBytes, limit / frameBytes + 1, 20_000] {
            var writer = writer(configuration)
            var out: [UInt8] = []
            let samples = content(frames * frameBytes, seed: 6)
            // Half a sample at the end is none.
            try writer.write(.of(samples + [UInt8](repeating: 1, count: frameBytes - 1), configuration), to: &out)
            let written = try Written.all(out)
            #expect(units(written, PCMDepacketizer(frameBytes: frameBytes)).flatMap(\.nals).flatMap(\.self) == samples)
            #expect(written.allSatisfy { $0.payload.count <= limit && !$0.marker && $0.type == type })
            var passed: UInt32 = 0xFFFF_FF00
            for packet in written {
                #expect(packet.timestamp == passed)
                passed &+= UInt32(packet.payload.count / frameBytes)
            }
        }
    }
}

@Suite struct RTPTrackWriterTests {
    @Test func timesAreInTheClockOfTheCodecAndGoOnBehindTheirWrap() throws {
        let sets = try Tracks.h264()
        let configuration = try CodecConfiguration.h264(
            sps: sets.sequenceParameterSets, pps: sets.pictureParameterSets, timescale: 1_000)
        var writer = writer(configuration)
        var out: [UInt8] = []
        for time: Int64 in [-1, 0, 40, 100_000_000] {
            try writer.write(.picture([[0x41, 0x80]], configuration, ptsTicks: time), to: &out)
        }
        let start: UInt32 = 0xFFFF_FF00
        #expect(
            try Written.all(out).map(\.timestamp) == [
                start &- 90, start, start &+ 3_600, start &+ UInt32(truncatingIfNeeded: 9_000_000_000 as Int64),
            ])
    }

    @Test func theReportSaysWhatWasSentAndWhen() throws {
        let configuration = try Tracks.h264()
        var writer = writer(configuration)
        writer.rtcpChannel = 9
        var out: [UInt8] = []
        let wallNs: Int64 = 1_800_000_000_250_000_000
        writer.writeReport(name: "x", wallNs: wallNs, mediaUs: 0, to: &out)
        #expect(out.isEmpty)
        for _ in 0..<3 { try writer.write(.picture([[0x41, 0x80, 1]], configuration, ptsTicks: 9_000), to: &out) }
        out = []
        writer.writeReport(name: "publisher", wallNs: wallNs, mediaUs: 1_100_000, to: &out)
        let frame = try #require(frames(out).first)
        #expect(frame.channel == 9)
        frame.content.withUnsafeBytes { bytes in
            let packet = RTCPPacket(bytes)
            #expect(!packet.isCut && packet.ignored == 1 && packet.unknown == 0)
            let report = packet.senderReports.first
            #expect(report?.ssrc == 0xCAFE && report?.packets == 3)
            #expect(report?.rtpTimestamp == 0xFFFF_FF00 &+ 99_000)
            // Payload bytes, behind the packets.
            #expect(bytes.big32(24) == 9)
            var clock = SenderClock(clockRate: 90_000)
            #expect(clock.take(ntp: report?.ntp ?? 0, ticks: 99_000, wallNs: wallNs) == .used)
            #expect(abs((clock.wallNs(ticks: 99_000) ?? 0) - wallNs) <= 1)
        }
    }

    @Test func tracksBeginAnywhere() {
        var random = Seeded(1)
        let starts = (0..<50).map { _ in RTPStart.random(using: &random) }
        #expect(Set(starts.map(\.ssrc)).count == 50 && Set(starts.map(\.timestamp)).count == 50)
        #expect(Set(starts.map(\.sequenceNumber)).count > 45)
    }
}
