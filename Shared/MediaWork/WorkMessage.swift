// What controller and media-worker say to each other over their socket pair. Pure: values to bytes and back; every length is
// checked against its bound before anything is read or reserved. FrameSocket.swift moves the bytes.
//
// A frame, numbers big-endian:
//
//     version u8 = 2 | kind u8 | number u32 | length of fields u32 | length of blob u32 | fields | blob
//
//     kind         fields                                                                     blob
//     1 request    codec u8, format u8, quality u8, width u16, height u16, largest width      keyframe
//                  u16, largest height u16 (0: any), decoder configuration (the rest)
//     2 picture    format u8, width u16, height u16                                           picture file
//     3 failure    cause u8, a sentence in UTF-8 (the rest)                                   none
//
// An answer carries the number of its request. Both sides are of one build: another version is an error, not a dialect.
import Media

/// Bytes that are no frame of this protocol, or one that must not come here. The connection cannot go on.
public struct WorkProtocolError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was wrong.
    public let description: String

    init(_ description: String) { self.description = description }
}

/// The first bytes of a frame.
public struct WorkHeader: Sendable, Hashable {
    /// What kind of message it is.
    public enum Kind: UInt8, Sendable, CaseIterable {
        /// From the parent: make a picture.
        case request = 1
        /// From the worker: here it is.
        case picture = 2
        /// From the worker: none could be made.
        case failure = 3
    }

    /// Length of a header.
    public static let byteCount = 14
    /// The only version there is.
    public static let version: UInt8 = 2
    /// Of the sentence of a failure.
    public static let maximumSentenceBytes = 500

    /// What kind of message it is.
    public let kind: Kind
    /// Which request this is, or answers.
    public let number: UInt32
    /// Length of the fields.
    public let fieldBytes: Int
    /// Length of the blob.
    public let blobBytes: Int

    /// Reads a header of exactly `byteCount` bytes.
    public init(_ bytes: [UInt8]) throws(WorkProtocolError) {
        var reader = ByteReader(bytes)
        guard bytes.count == Self.byteCount, let version = reader.number(1), let kind = reader.number(1),
            let number = reader.number(4), let fields = reader.number(4), let blob = reader.number(4)
        else { throw WorkProtocolError("a header of \(bytes.count) bytes instead of \(Self.byteCount)") }
        guard version == Self.version else {
            throw WorkProtocolError("version \(version) instead of \(Self.version): controller and worker do not match")
        }
        guard let kind = Kind(rawValue: UInt8(kind)) else { throw WorkProtocolError("unknown kind \(kind)") }
        guard Self.fieldBounds(kind).contains(fields), Self.blobBounds(kind).contains(blob) else {
            throw WorkProtocolError("a \(kind) with \(fields) bytes of fields and a blob of \(blob) bytes")
        }
        self.kind = kind
        self.number = UInt32(number)
        fieldBytes = fields
        blobBytes = blob
    }

    private static func fieldBounds(_ kind: Kind) -> ClosedRange<Int> {
        switch kind {
        case .request: 11...11 + PictureRequest.maximumConfigurationBytes
        case .picture: 5...5
        case .failure: 1...1 + maximumSentenceBytes
        }
    }

    private static func blobBounds(_ kind: Kind) -> ClosedRange<Int> {
        switch kind {
        case .request: 1...PictureRequest.maximumPacketBytes
        case .picture: 1...Picture.maximumBytes
        case .failure: 0...0
        }
    }
}

/// A message of either side.
public enum WorkMessage: Sendable {
    /// Make a picture.
    case request(PictureRequest)
    /// The picture.
    case picture(Picture)
    /// There is none, for this reason.
    case failure(PictureError)

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
            fields = [WorkCodes.cause(error.cause)] + Self.sentence(error)
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
        case .failure: try body(UnsafeRawBufferPointer(start: nil, count: 0))
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
            guard let cause = reader.number(1).flatMap(WorkCodes.cause),
                let sentence = String(validating: reader.rest(), as: UTF8.self),
                sentence.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
            else { throw WorkProtocolError("a failure of an unknown cause, or one that is told in no readable text") }
            self = .failure(PictureError(cause, sentence))
        }
    }

    /// At most the bytes allowed, cut between two characters.
    private static func sentence(_ error: PictureError) -> [UInt8] {
        var text = error.description
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
private enum WorkCodes {
    private static let codecs: [Codec] = [.h264, .hevc, .mjpeg]
    private static let formats: [PictureFormat] = [.jpeg, .png, .bmp, .tiff]
    private static let causes: [PictureError.Cause] = [.corrupt, .limit, .internal]

    static func codec(_ codec: Codec) -> UInt8 { number(codec, codecs) }
    static func codec(_ number: Int) -> Codec? { value(number, codecs) }
    static func format(_ format: PictureFormat) -> UInt8 { number(format, formats) }
    static func format(_ number: Int) -> PictureFormat? { value(number, formats) }
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
private struct ByteReader {
    private var bytes: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

    mutating func number(_ count: Int) -> Int? {
        guard bytes.count >= count else { return nil }
        defer { bytes = bytes.dropFirst(count) }
        return bytes.prefix(count).reduce(0) { $0 << 8 | Int($1) }
    }

    func rest() -> [UInt8] { Array(bytes) }
}

extension [UInt8] {
    fileprivate mutating func append(_ number: UInt64, bytes count: Int) {
        for index in (0..<count).reversed() { append(UInt8(truncatingIfNeeded: number >> (8 * UInt64(index)))) }
    }
}
