// What controller and media-worker say to each other over their socket pair. Pure: values to bytes and back; every length is
// checked against its bound before anything is read or reserved. FrameSocket.swift moves the bytes.
//
// A frame, numbers big-endian:
//
//     version u8 = 4 | kind u8 | number u32 | length of fields u32 | length of blob u32 | fields | blob
//
//     kind         fields                                                                     blob
//     1 request    codec u8, format u8, quality u8, width u16, height u16, largest width      keyframe
//                  u16, largest height u16 (0: any), decoder configuration (the rest)
//     2 picture    format u8, width u16, height u16                                           picture file
//     3 failure    cause u8, a sentence in UTF-8 (the rest)                                   none
//     4 rendition  format u8, sound u8, size of the file u64                                  none
//     5 read       offset u64, count u32                                                      none
//     6 piece      none                                                                       bytes; none: at its end
//     7 write      offset u64                                                                 bytes
//     8 made       pictures u32, three texts, each after its length u16: video, sound, note   none
//     9 film       size of the file u64                                                       none
//    10 track      codec u8, ticks per second u32, Hz u32, channels u8                        decoder configuration
//    11 sample     codec u8, time u64 in two's complement                                     sample
//    12 follow     1: format u8, quality u8, largest width u16, largest height u16            none
//                  2: codec u8, largest width u16, height u16, pictures in 1000 s u32, bits per second u32
//    13 packet     codec u8, 1 begins anew + 2 wanted u8, time u64 in two's complement,       packet
//                  width u16, height u16, decoder configuration (the rest)
//    14 taken      none                                                                       none
//
// A film is read as a rendition is (5 and 6); its tracks come first, then their samples in the order of the file, until 8. A
// rendition is made of a file that the worker cannot see: it asks for pieces (5, answered by 6) and says what to write (7, which
// has no answer), until 8 or 3 ends it. Behind 12 come packets, each answered by 2, 3 and 11 as often as need be (2 and 3 with the
// number of the packet that wanted the picture), then by 14. An answer carries the number of its request. Both sides are of one build: another version is an error, not a dialect.
import Media

/// A message of either side.
public enum WorkMessage: Sendable {
    /// Make a picture.
    case request(PictureRequest)
    /// The picture.
    case picture(Picture)
    /// There is none, for this reason.
    case failure(PictureError)
    /// Make a rendition.
    case rendition(RenditionRequest)
    /// Bytes of the file from there on are wanted, at most so many.
    case read(offset: Int64, count: Int)
    /// They are these.
    case piece([UInt8])
    /// Bytes that belong there in the rendition.
    case write(offset: Int64, [UInt8])
    /// It is complete.
    case made(Rendition)
    /// Read a film of so many bytes.
    case film(sizeBytes: Int64)
    /// One of its tracks.
    case track(FilmTrack)
    /// One of its samples, or one of a stream that is coded anew.
    case sample(FilmSample)
    /// Decode on what comes.
    case follow(LiveOrder)
    /// It is this.
    case packet(LivePacket)
    /// All that came of a packet was said.
    case taken

    /// Header and fields; the blob follows. Sentences are cut to their bound.
    public func head(number: UInt32) -> [UInt8] {
        var fields: [UInt8] = []
        let kind: WorkHeader.Kind
        switch self {
        case .request(let request):
            kind = .request
            let style = request.style
            fields = [WorkCodes.codec(request.codec), WorkCodes.format(style.format), UInt8(style.quality)]
            for side in [request.widthPx, request.heightPx, style.maximumWidthPx, style.maximumHeightPx] {
                fields.append(UInt64(side), bytes: 2)
            }
            fields += request.decoderConfiguration
        case .picture(let picture):
            kind = .picture
            fields = [WorkCodes.format(picture.format)]
            fields.append(UInt64(UInt16(clamping: picture.widthPx)), bytes: 2)
            fields.append(UInt64(UInt16(clamping: picture.heightPx)), bytes: 2)
        case .failure(let error):
            kind = .failure
            fields = [WorkCodes.cause(error.cause)] + Self.sentence(error.description)
        case .rendition(let request):
            kind = .rendition
            fields = [WorkCodes.rendition(request.format), request.wantsAudio ? 1 : 0]
            fields.append(UInt64(request.sizeBytes), bytes: 8)
        case .read(let offset, let count):
            kind = .read
            fields.append(UInt64(clamping: offset), bytes: 8)
            fields.append(UInt64(clamping: count), bytes: 4)
        case .piece: kind = .piece
        case .write(let offset, _):
            kind = .write
            fields.append(UInt64(clamping: offset), bytes: 8)
        case .made(let rendition):
            kind = .made
            fields.append(UInt64(rendition.frames), bytes: 4)
            for text in [
                rendition.videoCodec.utf8.prefix(WorkHeader.maximumNameBytes),
                rendition.audioCodec.utf8.prefix(WorkHeader.maximumNameBytes),
            ].map(Array.init) + [Self.sentence(rendition.note)] {
                fields.append(UInt64(text.count), bytes: 2)
                fields += text
            }
        case .film(let sizeBytes):
            kind = .film
            fields.append(UInt64(clamping: sizeBytes), bytes: 8)
        case .track(let track):
            kind = .track
            fields = [WorkCodes.any(track.codec)]
            fields.append(UInt64(track.timescale), bytes: 4)
            fields.append(UInt64(track.sampleRateHz), bytes: 4)
            fields.append(UInt64(track.channels), bytes: 1)
        case .sample(let sample):
            kind = .sample
            fields = [WorkCodes.any(sample.codec)]
            fields.append(UInt64(bitPattern: sample.ptsTicks), bytes: 8)
        case .follow(let order):
            kind = .follow
            fields = LiveFields.bytes(order)
        case .packet(let packet):
            kind = .packet
            fields = LiveFields.bytes(packet)
        case .taken: kind = .taken
        }
        var head: [UInt8] = [WorkHeader.version, kind.rawValue]
        head.append(UInt64(number), bytes: 4)
        head.append(UInt64(fields.count), bytes: 4)
        head.append(UInt64(withBlob { $0.count }), bytes: 4)
        return head + fields
    }

    /// The blob, for the duration of `body`. The pointer must not leave it.
    public func withBlob<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        switch self {
        case .request(let request): try request.packet.withUnsafeBytes(body)
        case .picture(let picture): try picture.bytes.withUnsafeBytes(body)
        case .piece(let bytes), .write(_, let bytes): try bytes.withUnsafeBytes(body)
        case .track(let track): try track.decoderConfiguration.withUnsafeBytes(body)
        case .sample(let sample): try sample.bytes.withUnsafeBytes(body)
        case .packet(let packet): try packet.packet.withUnsafeBytes(body)
        case .failure, .rendition, .read, .made, .film, .follow, .taken:
            try body(UnsafeRawBufferPointer(start: nil, count: 0))
        }
    }

    /// The message of a frame. `fields` and `blob` have the lengths that the header names.
    public init(_ header: WorkHeader, fields: [UInt8], blob: [UInt8]) throws(WorkProtocolError) {
        guard fields.count == header.fieldBytes, blob.count == header.blobBytes else {
            throw WorkProtocolError("a \(header.kind) that is cut off")
        }
        var reader = ByteReader(fields)
        switch header.kind {
        case .request: self = .request(try Self.request(&reader, blob))
        case .picture:
            guard let format = reader.number(1).flatMap(WorkCodes.format), let width = reader.number(2),
                let height = reader.number(2), Picture.isAllowed(widthPx: width, heightPx: height)
            else { throw WorkProtocolError("a picture of an unknown format or an impossible size") }
            self = .picture(Picture(bytes: blob, widthPx: width, heightPx: height, format: format))
        case .failure:
            // The sentence comes to logs and status, and the worker may have been taken over by what it decoded.
            guard let cause = reader.number(1).flatMap(WorkCodes.cause), let sentence = Self.text(reader.rest()) else {
                throw WorkProtocolError("a failure of an unknown cause, or one that is told in no readable text")
            }
            self = .failure(PictureError(cause, sentence))
        case .rendition:
            guard let format = reader.number(1).flatMap(WorkCodes.rendition), let sound = reader.number(1), sound <= 1,
                let size = reader.number(8),
                let request = RenditionRequest(format, wantsAudio: sound == 1, sizeBytes: Int64(size))
            else { throw WorkProtocolError("a rendition of an unknown format or of an impossible file") }
            self = .rendition(request)
        case .read:
            guard let offset = reader.number(8), let count = reader.number(4),
                (0...Int(RenditionRequest.maximumBytes)).contains(offset),
                (1...WorkHeader.maximumPieceBytes).contains(count)
            else { throw WorkProtocolError("a piece that no file has") }
            self = .read(offset: Int64(offset), count: count)
        case .piece: self = .piece(blob)
        case .write:
            guard let offset = reader.number(8), (0...Int(RenditionRequest.maximumBytes)).contains(offset) else {
                throw WorkProtocolError("bytes behind the end of any file")
            }
            self = .write(offset: Int64(offset), blob)
        case .made: self = .made(try Self.made(&reader))
        case .film:
            guard let size = reader.number(8), (1...Int(RenditionRequest.maximumBytes)).contains(size) else {
                throw WorkProtocolError("a film of an impossible size")
            }
            self = .film(sizeBytes: Int64(size))
        case .track:
            guard let codec = reader.number(1).flatMap(WorkCodes.any), let timescale = reader.number(4),
                let rate = reader.number(4), let channels = reader.number(1), (1...10_000_000).contains(timescale)
            else { throw WorkProtocolError("a track of an unknown codec, or without ticks") }
            self = .track(
                FilmTrack(
                    codec: codec, timescale: UInt32(timescale), sampleRateHz: rate, channels: channels,
                    decoderConfiguration: blob))
        case .sample:
            guard let codec = reader.number(1).flatMap(WorkCodes.any), let ticks = reader.bits64() else {
                throw WorkProtocolError("a sample of an unknown codec")
            }
            self = .sample(FilmSample(codec: codec, ptsTicks: Int64(bitPattern: ticks), bytes: blob))
        case .follow: self = .follow(try LiveFields.order(&reader))
        case .packet: self = .packet(try LiveFields.packet(&reader, blob))
        case .taken: self = .taken
        }
    }

    private static func made(_ reader: inout ByteReader) throws(WorkProtocolError) -> Rendition {
        let frames = reader.number(4)
        var texts: [String] = []
        let bounds = [WorkHeader.maximumNameBytes, WorkHeader.maximumNameBytes, WorkHeader.maximumSentenceBytes]
        while texts.count < 3, let count = reader.number(2), count <= bounds[texts.count],
            let bytes = reader.bytes(count), let text = text(bytes)
        {
            texts.append(text)
        }
        guard let frames, texts.count == 3, reader.rest().isEmpty else {
            throw WorkProtocolError("a rendition that is told in no readable text")
        }
        return Rendition(frames: UInt32(frames), videoCodec: texts[0], audioCodec: texts[1], note: texts[2])
    }

    /// Nil for what is no text, or holds control characters.
    private static func text(_ bytes: [UInt8]) -> String? {
        guard let text = String(validating: bytes, as: UTF8.self),
            text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
        else { return nil }
        return text
    }

    /// At most the bytes allowed, cut between two characters.
    private static func sentence(_ whole: String) -> [UInt8] {
        var text = whole
        while text.utf8.count > WorkHeader.maximumSentenceBytes { text.removeLast() }
        return Array(text.utf8)
    }

    private static func request(_ reader: inout ByteReader, _ blob: [UInt8]) throws(WorkProtocolError) -> PictureRequest
    {
        guard let codec = reader.number(1).flatMap(WorkCodes.codec),
            let format = reader.number(1).flatMap(WorkCodes.format), let quality = reader.number(1),
            (1...100).contains(quality), let width = reader.number(2), let height = reader.number(2),
            let maximumWidth = reader.number(2), let maximumHeight = reader.number(2),
            max(maximumWidth, maximumHeight) <= Picture.maximumSidePx
        else { throw WorkProtocolError("a request with an unknown codec, format, quality or largest size") }
        do {
            return try PictureRequest(
                codec: codec, decoderConfiguration: reader.rest(), widthPx: width, heightPx: height,
                packet: PacketBytes(blob),
                style: PictureStyle(
                    format, quality: quality, maximumWidthPx: maximumWidth, maximumHeightPx: maximumHeight))
        } catch {
            throw WorkProtocolError("a request that must not be sent: \(error)")
        }
    }
}

/// Numbers of the values in a frame. A number once given keeps its meaning.
enum WorkCodes {
    private static let codecs: [Codec] = [.h264, .hevc, .mjpeg]
    private static let formats: [PictureFormat] = [.jpeg, .png, .bmp, .tiff]
    private static let all = Codec.allCases
    private static let renditions = RenditionFormat.allCases
    private static let causes: [PictureError.Cause] = [.corrupt, .limit, .internal]

    static func codec(_ codec: Codec) -> UInt8 { number(codec, codecs) }
    static func codec(_ number: Int) -> Codec? { value(number, codecs) }
    static func format(_ format: PictureFormat) -> UInt8 { number(format, formats) }
    static func format(_ number: Int) -> PictureFormat? { value(number, formats) }
    /// Sound too.
    static func any(_ codec: Codec) -> UInt8 { number(codec, all) }
    static func any(_ number: Int) -> Codec? { value(number, all) }
    static func rendition(_ format: RenditionFormat) -> UInt8 { number(format, renditions) }
    static func rendition(_ number: Int) -> RenditionFormat? { value(number, renditions) }
    /// The causes that only the parent knows are `internal` on the wire.
    static func cause(_ cause: PictureError.Cause) -> UInt8 {
        number(causes.contains(cause) ? cause : .internal, causes)
    }
    static func cause(_ number: Int) -> PictureError.Cause? { value(number, causes) }

    private static func number<Value: Equatable>(_ value: Value, _ values: [Value]) -> UInt8 {
        // 0 is no value; a decoder refuses it.
        values.firstIndex(of: value).map { UInt8($0 + 1) } ?? 0
    }

    private static func value<Value>(_ number: Int, _ values: [Value]) -> Value? {
        values.indices.contains(number - 1) ? values[number - 1] : nil
    }
}

/// Reads big-endian numbers from the front.
struct ByteReader {
    private var bytes: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

    /// Nil where there are not so many bytes, or the number is beyond 2^63.
    mutating func number(_ count: Int) -> Int? {
        guard bytes.count >= count else { return nil }
        defer { bytes = bytes.dropFirst(count) }
        let number = bytes.prefix(count).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return Int(exactly: number)
    }

    mutating func bits64() -> UInt64? {
        bytes(8).map { $0.reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
    }

    mutating func bytes(_ count: Int) -> [UInt8]? {
        guard bytes.count >= count else { return nil }
        defer { bytes = bytes.dropFirst(count) }
        return Array(bytes.prefix(count))
    }

    func rest() -> [UInt8] { Array(bytes) }
}

extension [UInt8] {
    mutating func append(_ number: UInt64, bytes count: Int) {
        for index in (0..<count).reversed() { append(UInt8(truncatingIfNeeded: number >> (8 * UInt64(index)))) }
    }
}
