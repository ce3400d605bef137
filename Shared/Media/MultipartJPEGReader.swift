// Pictures out of an HTTP answer of the type multipart/x-mixed-replace, as cameras without RTSP send them. Pure: the body's bytes
// in, whole JPEG pictures out. (The body is what is left when chunks of the transfer are undone.)
//
//   junk*  { [CRLF] [--]boundary [--] CRLF  { field CRLF }  CRLF  JPEG  junk* }...
//
// Cameras deviate, so:
//   M1  The boundary counts without its leading dashes, and with any number of them in front: some name it with the dashes that
//       only its use should have, some leave them away. Behind it stands the end of a line; what only begins like it is content.
//   M2  Content-Length is believed where the picture's end (FF D9) or a boundary stands behind so many bytes; then the picture
//       is handed on with its last byte. The first time that it is not, lengths mean nothing for the rest of the stream.
//       Before the first right one, a boundary behind a picture's end counts before the length does: a length that is too large
//       must not swallow pictures.
//   M3  Otherwise a picture ends at the next boundary; the line break before it may be missing.
//   M4  A part that begins as a picture and has no end is torn: dropped and counted. So is what is no picture.
//   M5  A part beyond `maximumPartBytes` is dropped and counted; the stream goes on at the next boundary. Nothing here holds more
//       than one part, one header and 64 KiB.
// How the bytes come in pieces makes no difference.

import Glibc

/// Reads one stream.
public struct MultipartJPEGReader: Sendable {
    /// What was seen since the beginning.
    public struct Counters: Sendable, Hashable {
        /// Pictures handed on.
        public var pictures: UInt64 = 0
        /// Parts that are no JPEG, or empty.
        public var notPictures: UInt64 = 0
        /// Pictures without their end.
        public var torn: UInt64 = 0
        /// Parts beyond the bound.
        public var tooLarge: UInt64 = 0
        /// Lengths that are not those of their parts.
        public var wrongLengths: UInt64 = 0
        /// Bytes between parts that are no line breaks.
        public var junkBytes: UInt64 = 0

        /// All zero.
        public init() {}
    }

    /// A picture of 16 megapixels in the best quality has 10 MB.
    public static let maximumPartBytes = 16 << 20
    /// Cameras send two to ten lines.
    static let maximumHeaderBytes = 8 << 10
    /// So much is taken at a time, whatever a caller brings.
    private static let pieceBytes = 64 << 10
    /// RFC 2046 5.1.1 has 70; cameras make them of anything.
    private static let maximumBoundaryBytes = 200
    /// Blanks behind a boundary.
    private static let maximumBlanks = 16

    private enum State {
        /// Before the first part, behind a picture whose length was right, or behind the last boundary.
        case between
        /// In a part that was given up.
        case skipping
        case header
        case body(length: Int?)
    }

    private enum Lengths { case unknown, right, wrong }

    private struct Delimiter {
        /// Where the content before it ends.
        let contentEnd: Int
        let end: Int
        let isLast: Bool
    }

    private enum Found {
        case yes(Delimiter)
        /// Not before this place.
        case no(Int)
    }

    private enum Match { case yes(end: Int, isLast: Bool), no, incomplete }

    /// What was seen and dropped.
    public private(set) var counters = Counters()
    private let boundary: [UInt8]
    private let maximumPartBytes: Int
    private var state = State.between
    private var lengths = Lengths.unknown
    private var buffer: [UInt8] = []
    /// What lies before is used.
    private var start = 0
    /// A line begins at `start`.
    private var beginsLine = true
    /// Before it no boundary begins.
    private var scanned = 0
    private var isOver = false

    /// `contentType`: of the answer's header, for example `multipart/x-mixed-replace; boundary="frame"`. nil: it is none of several
    /// parts, or names no boundary.
    public init?(contentType: String, maximumPartBytes: Int = MultipartJPEGReader.maximumPartBytes) {
        guard let boundary = Self.boundary(contentType) else { return nil }
        self.boundary = boundary
        self.maximumPartBytes = max(maximumPartBytes, 0)
    }

    /// Takes the next bytes of the body.
    public mutating func append(_ bytes: UnsafeRawBufferPointer, deliver: (PacketBytes) -> Void) {
        for offset in stride(from: 0, to: bytes.count, by: Self.pieceBytes) {
            buffer.append(contentsOf: bytes[offset..<min(offset + Self.pieceBytes, bytes.count)])
            while step(deliver) {}
            guard start > 0 else { continue }
            buffer.removeSubrange(..<start)
            scanned = max(0, scanned - start)
            start = 0
        }
    }

    /// The body is over: hands on the last picture, if it is whole.
    public mutating func finish(deliver: (PacketBytes) -> Void) {
        isOver = true
        while step(deliver) {}
        if case .body = state { take(to: buffer.count, deliver) }
    }

    // MARK: Steps. Each returns whether there may be more to do.

    private mutating func step(_ deliver: (PacketBytes) -> Void) -> Bool {
        switch state {
        case .between, .skipping: skip()
        case .header: readHeader()
        case .body(let length): readBody(length, deliver)
        }
    }

    private mutating func skip() -> Bool {
        switch nextDelimiter() {
        case .yes(let delimiter):
            noteJunk(to: delimiter.contentEnd)
            begin(behind: delimiter)
            return true
        case .no(let place):
            noteJunk(to: place)
            advance(to: place)
            return false
        }
    }

    private mutating func noteJunk(to end: Int) {
        guard case .between = state, end > start else { return }
        counters.junkBytes += UInt64(buffer[start..<end].count { $0 != 10 && $0 != 13 })
    }

    private mutating func readHeader() -> Bool {
        let limit = min(buffer.count, start + Self.maximumHeaderBytes)
        var line = start
        var length: Int?
        while line < limit {
            // A header that is missing, or without its end.
            if buffer[line] == 0xFF {
                guard line + 1 < buffer.count else { return false }
                if buffer[line + 1] == 0xD8 {
                    beginBody(at: line, length)
                    return true
                }
            }
            guard let end = buffer[line..<limit].firstIndex(of: 10) else { break }
            let content = buffer[line..<end].filter { $0 != 13 }
            line = end + 1
            guard !content.isEmpty else {
                beginBody(at: line, length)
                return true
            }
            if let stated = Self.length(content) { length = stated }
        }
        guard limit - start == Self.maximumHeaderBytes else { return false }
        state = .skipping
        return true
    }

    private mutating func beginBody(at place: Int, _ length: Int?) {
        advance(to: place)
        var length = lengths == .wrong ? nil : length
        if let stated = length, stated > maximumPartBytes {
            counters.wrongLengths += 1
            length = nil
        }
        state = .body(length: length)
    }

    private mutating func readBody(_ length: Int?, _ deliver: (PacketBytes) -> Void) -> Bool {
        let end = length.map { start + $0 }
        if lengths == .right, let end { return readLength(end, deliver) }
        switch nextDelimiter() {
        case .yes(let delimiter):
            if let end {
                // M2: up to where the length says, only a boundary behind a picture's end is one.
                if delimiter.contentEnd >= end { return readLength(end, deliver) }
                guard hasEnd(at: delimiter.contentEnd) else {
                    scanned = delimiter.end
                    return true
                }
                lengths = .wrong
                counters.wrongLengths += 1
            }
            take(to: delimiter.contentEnd, deliver)
            begin(behind: delimiter)
            return true
        case .no(let place):
            scanned = place
            if let end { return place >= end || isOver ? readLength(end, deliver) : false }
            guard place - start > maximumPartBytes else { return false }
            counters.tooLarge += 1
            state = .skipping
            advance(to: place)
            return true
        }
    }

    private mutating func readLength(_ end: Int, _ deliver: (PacketBytes) -> Void) -> Bool {
        var isRight = false
        if buffer.count >= end {
            switch hasEnd(at: end) ? Match.yes(end: end, isLast: false) : delimiter(behind: end) {
            case .yes: isRight = true
            case .no: break
            case .incomplete: return false
            }
        } else if !isOver {
            return false
        }
        guard isRight else {
            if buffer.count >= end {
                lengths = .wrong
                counters.wrongLengths += 1
            }
            state = .body(length: nil)
            scanned = start
            return true
        }
        lengths = .right
        take(to: end, deliver)
        state = .between
        scanned = start
        beginsLine = true
        return true
    }

    private mutating func begin(behind delimiter: Delimiter) {
        state = delimiter.isLast ? .between : .header
        advance(to: delimiter.end)
    }

    private mutating func advance(to place: Int) {
        if place > start { beginsLine = buffer[place - 1] == 10 }
        start = place
        scanned = max(scanned, place)
    }

    /// The part at hand ends at `end`.
    private mutating func take(to end: Int, _ deliver: (PacketBytes) -> Void) {
        let content = buffer[start..<end].drop { $0 == 10 || $0 == 13 }
        let isTooLarge = end - start > maximumPartBytes
        start = end
        guard !isTooLarge else {
            counters.tooLarge += 1
            return
        }
        guard content.starts(with: [0xFF, 0xD8]) else {
            counters.notPictures += 1
            return
        }
        content.withUnsafeBytes { bytes in
            guard let end = JPEGHeader.end(bytes) else {
                counters.torn += 1
                return
            }
            counters.pictures += 1
            deliver(PacketBytes(copying: UnsafeRawBufferPointer(rebasing: bytes[..<end])))
        }
    }

    private func hasEnd(at place: Int) -> Bool {
        place - start >= 4 && buffer[place - 2] == 0xFF && buffer[place - 1] == 0xD9
    }

    // MARK: Boundaries

    /// The next boundary at or after `scanned`.
    private func nextDelimiter() -> Found {
        var place = scanned
        while let found = firstBoundary(from: place) {
            var dashes = found
            while dashes > start, buffer[dashes - 1] == 45 { dashes -= 1 }
            let isAtLine = dashes == start ? beginsLine : buffer[dashes - 1] == 10
            if isAtLine || found - dashes >= 2 {
                switch line(at: found + boundary.count) {
                case .yes(let end, let isLast):
                    var contentEnd = dashes
                    if contentEnd > start, buffer[contentEnd - 1] == 10 { contentEnd -= 1 }
                    if contentEnd > start, contentEnd < dashes, buffer[contentEnd - 1] == 13 { contentEnd -= 1 }
                    return .yes(Delimiter(contentEnd: contentEnd, end: end, isLast: isLast))
                case .incomplete: return .no(max(start, dashes - 2))
                case .no: break
                }
            }
            place = found + 1
        }
        // What stands in front of a boundary that has not come as a whole: its beginning, dashes, a line break.
        var tail = max(place, buffer.count - boundary.count + 1, start)
        while tail > start, buffer[tail - 1] == 45 { tail -= 1 }
        return .no(max(start, tail - 2))
    }

    /// Whether a boundary stands behind a content that ends at `place`.
    private func delimiter(behind place: Int) -> Match {
        var index = place
        let limit = place + 4
        while index < buffer.count, index < limit, buffer[index] == 10 || buffer[index] == 13 { index += 1 }
        while index < buffer.count, index < limit + Self.maximumBoundaryBytes, buffer[index] == 45 { index += 1 }
        let had = buffer[index...].prefix(boundary.count)
        guard boundary.starts(with: had) else { return .no }
        return had.count < boundary.count ? incomplete : line(at: index + boundary.count)
    }

    /// What stands behind a boundary's name.
    private func line(at place: Int) -> Match {
        var index = place
        var isLast = false
        if index + 1 < buffer.count, buffer[index] == 45, buffer[index + 1] == 45 {
            isLast = true
            index += 2
        } else if index + 1 == buffer.count, buffer[index] == 45 {
            return incomplete
        }
        let limit = index + Self.maximumBlanks
        while index < buffer.count, index < limit, buffer[index] == 32 || buffer[index] == 9 { index += 1 }
        if index < buffer.count, buffer[index] == 13 { index += 1 }
        guard index < buffer.count else { return isOver ? .yes(end: buffer.count, isLast: isLast) : .incomplete }
        return buffer[index] == 10 ? .yes(end: index + 1, isLast: isLast) : .no
    }

    private var incomplete: Match { isOver ? .no : .incomplete }

    /// Where the boundary's name stands next.
    private func firstBoundary(from place: Int) -> Int? {
        buffer.withUnsafeBytes { bytes in
            var index = place
            while index + boundary.count <= bytes.count, let base = bytes.baseAddress,
                let found = memchr(base + index, Int32(boundary[0]), bytes.count - boundary.count + 1 - index)
            {
                index = UnsafeRawPointer(found) - UnsafeRawPointer(base)
                if bytes[index..<index + boundary.count].elementsEqual(boundary) { return index }
                index += 1
            }
            return nil
        }
    }

    // MARK: Fields

    /// The boundary's name without leading dashes.
    private static func boundary(_ contentType: String) -> [UInt8]? {
        let text = contentType[...].utf8
        let isMultipart = contentType.lowercased().drop { $0 == " " }.hasPrefix("multipart/")
        guard isMultipart, let semicolon = text.firstIndex(of: 59) else { return nil }
        var rest = Array(text[semicolon...])[...]
        while let separator = rest.firstIndex(of: 59) {
            rest = rest[(separator + 1)...].drop { $0 == 32 || $0 == 9 }
            let name = rest.prefix { $0 != 61 && $0 != 59 }
            guard String(decoding: name, as: UTF8.self).lowercased().filter({ $0 != " " }) == "boundary" else {
                continue
            }
            var value = rest.dropFirst(name.count + 1).drop { $0 == 32 || $0 == 9 }
            if value.first == 34 {
                value = value.dropFirst().prefix { $0 != 34 }
            } else {
                value = value.prefix { $0 != 59 && $0 != 32 && $0 != 13 && $0 != 10 }
            }
            let bare = Array(value.drop { $0 == 45 })
            return (1...maximumBoundaryBytes).contains(bare.count) && !bare.contains(10) ? bare : nil
        }
        return nil
    }

    /// What a line says of the length; nil: nothing, or no number.
    private static func length(_ line: [UInt8]) -> Int? {
        let parts = String(decoding: line, as: UTF8.self).split(separator: ":", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased().filter({ $0 != " " }) == "content-length" else { return nil }
        return Int(parts[1].filter { $0 != " " && $0 != "\t" }).flatMap { $0 > 0 ? $0 : nil }
    }
}
