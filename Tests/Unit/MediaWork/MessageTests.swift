// What controller and media-worker say to each other: golden bytes, bounds, hostile bytes.
import Media
import Testing

@testable import MediaWork

/// Header and fields, then the blob, as they go over the socket.
private func bytes(_ message: WorkMessage, number: UInt32) -> [UInt8] {
    message.head(number: number) + message.withBlob { Array($0) }
}

/// The message in the bytes of one frame.
private func message(_ frame: [UInt8]) throws -> (number: UInt32, message: WorkMessage) {
    let header = try WorkHeader(Array(frame.prefix(WorkHeader.byteCount)))
    let rest = frame.dropFirst(WorkHeader.byteCount)
    return (
        header.number,
        try WorkMessage(
            header, fields: Array(rest.prefix(header.fieldBytes)), blob: Array(rest.dropFirst(header.fieldBytes)))
    )
}

private func request(
    _ codec: Codec = .hevc, configuration: [UInt8] = [1, 2, 3], widthPx: Int = 1920, heightPx: Int = 1080,
    packet: [UInt8] = [0xAA, 0xBB], style: PictureStyle = PictureStyle(.png)
) throws -> PictureRequest {
    try PictureRequest(
        codec: codec, decoderConfiguration: configuration, widthPx: widthPx, heightPx: heightPx,
        packet: PacketBytes(packet), style: style)
}

@Suite struct GoldenFrameTests {
    static let requestFrame: [UInt8] =
        [4, 1, 0x01, 0x02, 0x03, 0x04, 0, 0, 0, 14, 0, 0, 0, 2] + [2, 2, 90, 0x07, 0x80, 0x04, 0x38]
        + [0x01, 0x40, 0x40, 0x00] + [1, 2, 3] + [0xAA, 0xBB]
    static let style = PictureStyle(.png, quality: 90, maximumWidthPx: 320, maximumHeightPx: 16384)
    static let pictureFrame: [UInt8] =
        [4, 2, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 5, 0, 0, 0, 3] + [3, 0x40, 0x00, 0x00, 0x01] + [7, 8, 9]
    static let failureFrame: [UInt8] =
        [4, 3, 0, 0, 0, 7, 0, 0, 0, 6, 0, 0, 0, 0] + [2] + Array("large".utf8)

    static let renditionFrame: [UInt8] =
        [4, 4, 0, 0, 0, 1, 0, 0, 0, 10, 0, 0, 0, 0] + [5, 1] + [0, 0, 0, 1, 0, 0, 0, 2]
    static let readFrame: [UInt8] =
        [4, 5, 0, 0, 0, 1, 0, 0, 0, 12, 0, 0, 0, 0] + [0, 0, 0, 2, 0, 0, 0, 3] + [0, 0x10, 0, 0]
    static let pieceFrame: [UInt8] = [4, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 7, 8]
    static let writeFrame: [UInt8] =
        [4, 7, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 1] + [0, 0, 0, 3, 0, 0, 0, 4] + [9]
    static let madeFrame: [UInt8] =
        [4, 8, 0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0, 0] + [0, 0, 0, 120] + [0, 4] + Array("h264".utf8) + [0, 3]
        + Array("aac".utf8) + [0, 3] + Array("mum".utf8)
    static let filmFrame: [UInt8] = [4, 9, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0] + [0, 0, 0, 0, 0, 0, 1, 0]
    static let trackFrame: [UInt8] =
        [4, 10, 0, 0, 0, 1, 0, 0, 0, 10, 0, 0, 0, 2] + [4] + [0, 0, 0xBB, 0x80] + [0, 0, 0xBB, 0x80] + [2] + [
            0x11, 0x90,
        ]
    static let sampleFrame: [UInt8] =
        [4, 11, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1] + [1] + [UInt8](repeating: 255, count: 8) + [5]
    static let picturesFrame: [UInt8] =
        [4, 12, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0] + [1, 2, 90] + [0x01, 0x40, 0x40, 0x00]
    static let streamFrame: [UInt8] =
        [4, 12, 0, 0, 0, 1, 0, 0, 0, 14, 0, 0, 0, 0] + [2, 2, 0x05, 0x00, 0x02, 0xD0] + [0, 0, 0x27, 0x10]
        + [0, 0x0F, 0x42, 0x40]
    static let packetFrame: [UInt8] =
        [4, 13, 0, 0, 0, 9, 0, 0, 0, 16, 0, 0, 0, 2] + [1, 3] + [UInt8](repeating: 255, count: 7) + [0xFE]
        + [0x07, 0x80, 0x04, 0x38] + [1, 2] + [0xAA, 0xBB]
    static let takenFrame: [UInt8] = [4, 14, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0]
    static let all = [
        requestFrame, pictureFrame, failureFrame, renditionFrame, readFrame, pieceFrame, writeFrame, madeFrame,
        filmFrame, trackFrame, sampleFrame, picturesFrame, streamFrame, packetFrame, takenFrame,
    ]

    @Test func aStreamThatIsFollowed() throws {
        #expect(bytes(.follow(.pictures(Self.style)), number: 1) == Self.picturesFrame)
        guard case (1, .follow(.pictures(Self.style))) = try message(Self.picturesFrame) else {
            Issue.record("not the pictures")
            return
        }
        let coding = try #require(
            StreamCoding(
                .hevc, maximumWidthPx: 1280, maximumHeightPx: 720, maximumMillihertz: 10_000, bitRateBps: 1_000_000))
        #expect(bytes(.follow(.stream(coding)), number: 1) == Self.streamFrame)
        guard case (1, .follow(.stream(coding))) = try message(Self.streamFrame) else {
            Issue.record("not the stream")
            return
        }
        let packet = try #require(
            LivePacket(
                codec: .h264, decoderConfiguration: [1, 2], widthPx: 1920, heightPx: 1080,
                packet: PacketBytes([0xAA, 0xBB]), ptsTicks: -2, startsAnew: true, isWanted: true))
        #expect(bytes(.packet(packet), number: 9) == Self.packetFrame)
        guard case (9, .packet(let found)) = try message(Self.packetFrame) else {
            Issue.record("not the packet")
            return
        }
        #expect(found.codec == .h264 && found.decoderConfiguration == [1, 2] && found.packet.array == [0xAA, 0xBB])
        #expect(found.widthPx == 1920 && found.heightPx == 1080 && found.ptsTicks == -2)
        #expect(found.startsAnew && found.isWanted)
        #expect(bytes(.taken, number: 9) == Self.takenFrame)
        guard case (9, .taken) = try message(Self.takenFrame) else {
            Issue.record("not its end")
            return
        }
    }

    @Test func whatAStreamCannotBeCodedTo() throws {
        #expect(StreamCoding(.mjpeg) == nil && StreamCoding(.aac) == nil)
        let coding = try #require(
            StreamCoding(.h264, maximumWidthPx: 641, maximumHeightPx: 99_999, maximumMillihertz: .max))
        #expect(coding.maximumHeightPx == Picture.maximumSidePx && coding.maximumMillihertz == 60_000)
        // In proportion, and even.
        #expect(coding.size(ofWidthPx: 1920, heightPx: 1080) == (640, 360))
        #expect(coding.size(ofWidthPx: 321, heightPx: 241) == (320, 240))
    }

    @Test func aFilm() throws {
        #expect(bytes(.film(sizeBytes: 256), number: 1) == Self.filmFrame)
        guard case (_, .film(256)) = try message(Self.filmFrame) else {
            Issue.record("not the film")
            return
        }
        let track = FilmTrack(
            codec: .aac, timescale: 48_000, sampleRateHz: 48_000, channels: 2, decoderConfiguration: [0x11, 0x90])
        #expect(bytes(.track(track), number: 1) == Self.trackFrame)
        guard case (_, .track(track)) = try message(Self.trackFrame) else {
            Issue.record("not the track")
            return
        }
        let sample = FilmSample(codec: .h264, ptsTicks: -1, bytes: [5])
        #expect(bytes(.sample(sample), number: 1) == Self.sampleFrame)
        guard case (_, .sample(sample)) = try message(Self.sampleFrame) else {
            Issue.record("not the sample")
            return
        }
    }

    @Test func aRenditionAndItsPieces() throws {
        let request = try #require(RenditionRequest(.flv, wantsAudio: true, sizeBytes: 1 << 32 + 2))
        #expect(bytes(.rendition(request), number: 1) == Self.renditionFrame)
        guard case (_, .rendition(request)) = try message(Self.renditionFrame) else {
            Issue.record("not the request")
            return
        }
        #expect(bytes(.read(offset: 2 << 32 + 3, count: 1 << 20), number: 1) == Self.readFrame)
        guard case (_, .read(let from, let count)) = try message(Self.readFrame) else {
            Issue.record("not what is read")
            return
        }
        #expect(from == 2 << 32 + 3 && count == 1 << 20)
        #expect(bytes(.piece([7, 8]), number: 1) == Self.pieceFrame)
        guard case (_, .piece([7, 8])) = try message(Self.pieceFrame) else {
            Issue.record("not the piece")
            return
        }
        #expect(bytes(.write(offset: 3 << 32 + 4, [9]), number: 1) == Self.writeFrame)
        guard case (_, .write(let to, [9])) = try message(Self.writeFrame) else {
            Issue.record("not what is written")
            return
        }
        #expect(to == 3 << 32 + 4)
        let made = Rendition(frames: 120, videoCodec: "h264", audioCodec: "aac", note: "mum")
        #expect(bytes(.made(made), number: 1) == Self.madeFrame)
        guard case (_, .made(made)) = try message(Self.madeFrame) else {
            Issue.record("not what was made")
            return
        }
    }

    @Test(
        arguments: [
            ("mkv", .mkv), ("MPEG", .mpg), ("mpg", .mpg), ("mts", .mts), ("webm", .webm), ("mp4", nil), ("ts", nil),
            ("", nil),
        ] as [(String, RenditionFormat?)])
    func renditionsByTheirNames(name: String, format: RenditionFormat?) {
        #expect(RenditionFormat(named: name) == format)
    }

    @Test func aRequest() throws {
        #expect(bytes(.request(try request(style: Self.style)), number: 0x0102_0304) == Self.requestFrame)
        let (number, read) = try message(Self.requestFrame)
        guard case .request(let found) = read else {
            Issue.record("\(read)")
            return
        }
        #expect(number == 0x0102_0304)
        #expect(found.codec == .hevc && found.style == Self.style)
        #expect(found.widthPx == 1920 && found.heightPx == 1080)
        #expect(found.decoderConfiguration == [1, 2, 3] && found.packet.array == [0xAA, 0xBB])
    }

    @Test func aPicture() throws {
        let picture = Picture(bytes: [7, 8, 9], widthPx: 16384, heightPx: 1, format: .bmp)
        #expect(bytes(.picture(picture), number: .max) == Self.pictureFrame)
        let (number, read) = try message(Self.pictureFrame)
        guard case .picture(let found) = read else {
            Issue.record("\(read)")
            return
        }
        #expect(number == .max && found == picture)
    }

    @Test func aFailure() throws {
        #expect(bytes(.failure(PictureError(.limit, "large")), number: 7) == Self.failureFrame)
        let (number, read) = try message(Self.failureFrame)
        guard case .failure(let found) = read else {
            Issue.record("\(read)")
            return
        }
        #expect(number == 7 && found == PictureError(.limit, "large"))
    }

    /// A value of each enumeration keeps its number.
    @Test func numbersOfValues() throws {
        for (index, codec) in [Codec.h264, .hevc, .mjpeg].enumerated() {
            #expect(bytes(.request(try request(codec)), number: 1)[14] == UInt8(index + 1))
        }
        for (index, format) in [PictureFormat.jpeg, .png, .bmp, .tiff].enumerated() {
            #expect(bytes(.request(try request(style: PictureStyle(format))), number: 1)[15] == UInt8(index + 1))
        }
        let causes: [(PictureError.Cause, UInt8)] = [
            (.corrupt, 1), (.limit, 2), (.internal, 3), (.unavailable, 3), (.overdue, 3),
        ]
        for (cause, number) in causes {
            #expect(bytes(.failure(PictureError(cause, "x")), number: 1)[14] == number)
        }
    }

    @Test func longSentencesAreCut() throws {
        let frame = bytes(.failure(PictureError(.corrupt, "x" + String(repeating: "ö", count: 300))), number: 1)
        guard case .failure(let found) = try message(frame).message else {
            Issue.record("no failure")
            return
        }
        // 500 bytes hold 249 of two bytes beside the first.
        #expect(found.description == "x" + String(repeating: "ö", count: 249))
    }
}

@Suite struct RequestBoundsTests {
    private func cause(_ make: () throws -> PictureRequest) -> PictureError.Cause? {
        do {
            _ = try make()
            return nil
        } catch {
            return (error as? PictureError)?.cause
        }
    }

    @Test func whatIsNoPictureIsCorrupt() {
        #expect(cause { try request(.aac) } == .corrupt)
        #expect(cause { try request(packet: []) } == .corrupt)
    }

    @Test func whatIsTooLargeIsALimit() {
        let packet = PictureRequest.maximumPacketBytes
        #expect(cause { try request(packet: [UInt8](repeating: 0, count: packet + 1)) } == .limit)
        #expect(cause { try request(packet: [UInt8](repeating: 0, count: packet)) } == nil)
        let configuration = PictureRequest.maximumConfigurationBytes
        #expect(cause { try request(configuration: [UInt8](repeating: 0, count: configuration + 1)) } == .limit)
        #expect(cause { try request(configuration: [UInt8](repeating: 0, count: configuration)) } == nil)
    }

    @Test(arguments: [(16385, 1), (1, 16385), (16384, 4097), (-1, 10), (0, 10), (.max, .max)])
    func impossibleSizesAreALimit(widthPx: Int, heightPx: Int) {
        #expect(cause { try request(widthPx: widthPx, heightPx: heightPx) } == .limit)
    }

    @Test(arguments: [(0, 0), (16384, 4096), (1, 16384)])
    func possibleSizes(widthPx: Int, heightPx: Int) {
        #expect(cause { try request(widthPx: widthPx, heightPx: heightPx) } == nil)
    }

    @Test(arguments: [(-5, 1), (0, 1), (1, 1), (100, 100), (101, 100)])
    func qualityIsBroughtIntoItsRange(asked: Int, taken: Int) {
        #expect(PictureStyle(.jpeg, quality: asked).quality == taken)
    }

    @Test(arguments: [(-1, 0), (0, 0), (1, 1), (16384, 16384), (16385, 16384)])
    func largestSizesAreBroughtIntoTheirRange(asked: Int, taken: Int) {
        let style = PictureStyle(.jpeg, maximumWidthPx: asked, maximumHeightPx: asked)
        #expect(style.maximumWidthPx == taken && style.maximumHeightPx == taken)
    }

    /// Width and height as they come, the largest ones, and what becomes of it.
    @Test(arguments: [
        ([1920, 1080], [0, 0], [1920, 1080]), ([1920, 1080], [1920, 1080], [1920, 1080]),
        ([1920, 1080], [640, 0], [640, 360]), ([1920, 1080], [0, 360], [640, 360]),
        ([1920, 1080], [640, 100], [178, 100]), ([640, 480], [1000, 479], [639, 479]),
        ([640, 480], [1280, 960], [640, 480]), ([16384, 2], [16, 0], [16, 1]),
    ])
    func sizesInProportionAndNeverLarger(came: [Int], largest: [Int], made: [Int]) {
        let style = PictureStyle(.jpeg, maximumWidthPx: largest[0], maximumHeightPx: largest[1])
        let size = style.size(ofWidthPx: came[0], heightPx: came[1])
        #expect([size.widthPx, size.heightPx] == made)
    }

    @Test(
        arguments: [
            ("jpeg", PictureFormat.jpeg), ("JPG", .jpeg), ("png", .png), ("bmp", .bmp), ("tif", .tiff), ("tiff", .tiff),
            ("gif", nil), ("", nil),
        ] as [(String, PictureFormat?)])
    func formatsByTheirNames(name: String, format: PictureFormat?) { #expect(PictureFormat(named: name) == format) }

    @Test func onlyKeyframesMakePictures() throws {
        var packet = MediaPacket(
            configuration: try .mjpeg(widthPx: 16, heightPx: 8), bytes: PacketBytes([1]), ptsTicks: 0, dtsTicks: 0,
            durationTicks: 0, isKeyframe: true, arrivalNs: 0)
        let made = try PictureRequest(packet, PictureStyle(.tiff))
        #expect(made.codec == .mjpeg && made.widthPx == 16 && made.heightPx == 8 && made.packet.array == [1])
        packet.isKeyframe = false
        #expect(cause { try PictureRequest(packet, PictureStyle(.tiff)) } == .corrupt)
    }
}

@Suite struct HostileFrameTests {
    private static func with(_ frame: [UInt8], _ index: Int, _ values: [UInt8]) -> [UInt8] {
        var changed = frame
        changed.replaceSubrange(index..<index + values.count, with: values)
        return changed
    }

    /// Lengths are refused by the header alone, before anything of that length is read.
    @Test(arguments: [
        with(GoldenFrameTests.requestFrame, 0, [1]), with(GoldenFrameTests.requestFrame, 0, [3]),
        with(GoldenFrameTests.requestFrame, 1, [0]), with(GoldenFrameTests.requestFrame, 1, [4]),
        with(GoldenFrameTests.requestFrame, 1, [255]),
        // Fields of 10 bytes, of 1 MiB and 12 bytes, of 4 GiB.
        with(GoldenFrameTests.requestFrame, 6, [0, 0, 0, 10]),
        with(GoldenFrameTests.requestFrame, 6, [0, 0x10, 0, 12]),
        with(GoldenFrameTests.requestFrame, 6, [255, 255, 255, 255]),
        // No blob, 32 MiB and 1 byte, 4 GiB.
        with(GoldenFrameTests.requestFrame, 10, [0, 0, 0, 0]), with(GoldenFrameTests.requestFrame, 10, [2, 0, 0, 1]),
        with(GoldenFrameTests.requestFrame, 10, [255, 255, 255, 255]),
        with(GoldenFrameTests.pictureFrame, 6, [0, 0, 0, 4]), with(GoldenFrameTests.pictureFrame, 6, [0, 0, 0, 6]),
        with(GoldenFrameTests.pictureFrame, 10, [0, 0, 0, 0]),
        with(GoldenFrameTests.pictureFrame, 10, [0x0C, 0x80, 0, 1]),
        with(GoldenFrameTests.failureFrame, 6, [0, 0, 0, 0]), with(GoldenFrameTests.failureFrame, 6, [0, 0, 1, 0xF6]),
        with(GoldenFrameTests.failureFrame, 10, [0, 0, 0, 1]),
    ])
    func headersThatAreRefused(frame: [UInt8]) {
        #expect(throws: WorkProtocolError.self) { try WorkHeader(Array(frame.prefix(WorkHeader.byteCount))) }
    }

    @Test func boundsThemselvesAreTaken() throws {
        let request = try WorkHeader([4, 1, 0, 0, 0, 0, 0, 0x10, 0, 11, 2, 0, 0, 0])
        #expect(request.fieldBytes == 11 + 1 << 20 && request.blobBytes == 32 << 20)
        #expect(try WorkHeader([4, 2, 0, 0, 0, 0, 0, 0, 0, 5, 0x0C, 0x80, 0, 0]).blobBytes == 200 << 20)
    }

    @Test(arguments: 0..<WorkHeader.byteCount)
    func headersThatAreCut(length: Int) {
        #expect(throws: WorkProtocolError.self) { try WorkHeader(Array(GoldenFrameTests.requestFrame.prefix(length))) }
    }

    @Test(arguments: [
        // Codec, format, quality, width 0 beside a height, width 16385, largest width and height 16385.
        with(GoldenFrameTests.requestFrame, 14, [0]), with(GoldenFrameTests.requestFrame, 14, [4]),
        with(GoldenFrameTests.requestFrame, 15, [0]), with(GoldenFrameTests.requestFrame, 15, [5]),
        with(GoldenFrameTests.requestFrame, 16, [0]), with(GoldenFrameTests.requestFrame, 16, [101]),
        with(GoldenFrameTests.requestFrame, 17, [0, 0]), with(GoldenFrameTests.requestFrame, 17, [0x40, 1]),
        with(GoldenFrameTests.requestFrame, 21, [0x40, 1]), with(GoldenFrameTests.requestFrame, 23, [0x40, 1]),
        with(GoldenFrameTests.pictureFrame, 14, [0]), with(GoldenFrameTests.pictureFrame, 14, [5]),
        with(GoldenFrameTests.pictureFrame, 15, [0, 0]), with(GoldenFrameTests.pictureFrame, 17, [0x40, 0]),
        with(GoldenFrameTests.failureFrame, 14, [0]), with(GoldenFrameTests.failureFrame, 14, [4]),
        // Format, sound, size 0 and more than 1 TiB; a piece from beyond 1 TiB, of 0 bytes, of more than 1 MiB.
        with(GoldenFrameTests.renditionFrame, 14, [0]), with(GoldenFrameTests.renditionFrame, 14, [8]),
        with(GoldenFrameTests.renditionFrame, 15, [2]),
        with(GoldenFrameTests.renditionFrame, 16, [0, 0, 0, 0, 0, 0, 0, 0]),
        with(GoldenFrameTests.renditionFrame, 16, [0, 0, 1, 0, 0, 0, 0, 1]),
        with(GoldenFrameTests.renditionFrame, 16, [255]), with(GoldenFrameTests.readFrame, 14, [255]),
        with(GoldenFrameTests.readFrame, 16, [1, 0, 0, 0, 0, 1]), with(GoldenFrameTests.readFrame, 22, [0, 0, 0, 0]),
        with(GoldenFrameTests.readFrame, 22, [0, 0x10, 0, 1]),
        with(GoldenFrameTests.writeFrame, 16, [1, 0, 0, 0, 0, 1]),
        // An order of no kind, format, quality; of no codec, Motion JPEG, too wide, too fast; a packet of no codec, with a flag too many.
        with(GoldenFrameTests.picturesFrame, 14, [0]), with(GoldenFrameTests.picturesFrame, 14, [2]),
        with(GoldenFrameTests.picturesFrame, 15, [0]), with(GoldenFrameTests.picturesFrame, 16, [0]),
        with(GoldenFrameTests.streamFrame, 14, [1]), with(GoldenFrameTests.streamFrame, 15, [0]),
        with(GoldenFrameTests.streamFrame, 15, [3]), with(GoldenFrameTests.streamFrame, 16, [0x40, 1]),
        with(GoldenFrameTests.streamFrame, 20, [0, 0, 0xEA, 0x61]), with(GoldenFrameTests.packetFrame, 14, [0]),
        with(GoldenFrameTests.packetFrame, 15, [4]), with(GoldenFrameTests.packetFrame, 24, [0, 0]),
        // No bytes of a film; a track and a sample of no codec, a track without ticks.
        with(GoldenFrameTests.filmFrame, 20, [0]), with(GoldenFrameTests.trackFrame, 14, [0]),
        with(GoldenFrameTests.trackFrame, 14, [8]), with(GoldenFrameTests.trackFrame, 15, [0, 0, 0, 0]),
        with(GoldenFrameTests.sampleFrame, 14, [0]),
        // Texts that are longer than there are bytes, shorter than there are, and none.
        with(GoldenFrameTests.madeFrame, 18, [0, 33]), with(GoldenFrameTests.madeFrame, 29, [0, 2]),
        with(GoldenFrameTests.madeFrame, 29, [0, 4]), with(GoldenFrameTests.madeFrame, 20, [0xFF]),
    ])
    func fieldsThatAreRefused(frame: [UInt8]) {
        #expect(throws: WorkProtocolError.self) { try message(frame) }
    }

    @Test func framesThatAreCutOrTooLong() {
        for frame in GoldenFrameTests.all {
            for length in 0..<frame.count {
                #expect(throws: WorkProtocolError.self) { try message(Array(frame.prefix(length))) }
            }
            #expect(throws: WorkProtocolError.self) { try message(frame + [0]) }
        }
    }

    /// They come to logs.
    @Test(arguments: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0x0A], [0x1B], [0x00], [0xC2, 0x85]] as [[UInt8]])
    func sentencesThatAreNoTextAreRefused(bytes: [UInt8]) {
        let frame = Self.with(GoldenFrameTests.failureFrame, 15, bytes)
        #expect(throws: WorkProtocolError.self) { try message(frame) }
    }

    /// Whatever one bit does: a message or an error, never a trap.
    @Test func everyBitTurned() {
        for frame in GoldenFrameTests.all {
            for bit in 0..<frame.count * 8 {
                var changed = frame
                changed[bit / 8] ^= 1 << UInt8(bit % 8)
                if let read = try? message(changed) { #expect(bytes(read.message, number: read.number) == changed) }
            }
        }
    }
}
