// The bytes of an RTSP connection, apart into messages and interleaved frames (RFC 2326, section 10.12). Pure.
//
//   '$' channel length(2) payload    a frame: RTP or RTCP, handed over where it lies, not copied
//   RTSP/1.0 200 OK … blank line     a response, with as many bytes behind it as Content-Length says
//   METHOD url RTSP/1.0 …            a request of the server
//   CR LF                            may stand before any of them and is passed over
//
// Lines may end with LF alone. Some cameras tear their own stream when they write less than they meant to: what is none of
// these is skipped up to the next '$' or "RTSP/" that could begin something, and counted; whoever owns the connection decides
// how much of that is too much. What is skipped does not depend on the pieces in which the bytes come.

import Glibc

/// What is wrong with a stream so that it cannot go on.
public enum RTSPStreamError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A header of more than `RTSPStreamParser.maximumHeaderBytes`.
    case headerTooLong
    /// A body of more than `RTSPStreamParser.maximumBodyBytes`; how many bytes it announced.
    case bodyTooLong(bytes: Int)

    /// For a person.
    public var description: String {
        switch self {
        case .headerTooLong: "a header of more than \(RTSPStreamParser.maximumHeaderBytes) bytes came"
        case .bodyTooLong(let bytes):
            "a message of \(bytes) bytes was announced, at most \(RTSPStreamParser.maximumBodyBytes) are taken"
        }
    }
}

/// Finds what stands at the front of received bytes. Keeps nothing of them but how far an unfinished message was read, so that
/// one that comes in small pieces is not read from its beginning with each.
public struct RTSPStreamParser: Sendable {
    /// A first line is a method, a URL and a version; what has no line end so far away is none.
    static let maximumFirstLineBytes = 2 << 10
    /// No camera's header comes near; a longer one is no header.
    public static let maximumHeaderBytes = 64 << 10
    /// Descriptions have some KiB; a few cameras send pictures in them.
    public static let maximumBodyBytes = 1 << 20
    /// The longest thing that must be seen whole.
    public static let maximumMessageBytes = maximumHeaderBytes + maximumBodyBytes

    /// What stands at the front.
    public enum Step: Sendable, Equatable {
        /// Nothing whole.
        case needsMore
        case response(RTSPResponse, consumedBytes: Int)
        case request(RTSPRequest, consumedBytes: Int)
        /// A frame whose payload lies at `payload` in the bytes.
        case frame(channel: UInt8, payload: Range<Int>, consumedBytes: Int)
        /// Bytes that are nothing: line ends between messages (`isNoise` false) or a torn stream.
        case skip(consumedBytes: Int, isNoise: Bool)
        case failed(RTSPStreamError)
    }

    /// A parser.
    public init() {}

    /// Tells what stands at the front of `bytes`. After `needsMore` the same bytes are to come again, with more behind them.
    public mutating func next(in bytes: UnsafeRawBufferPointer) -> Step {
        guard bytes.count >= awaitedBytes else { return .needsMore }
        let step = front(of: bytes)
        switch step {
        case .needsMore: return step
        case .skip: break
        case .response, .request, .frame, .failed: isLost = false
        }
        awaitedBytes = 0
        searchedBytes = 0
        return step
    }

    /// The bytes before were skipped, so that only '$' or "RTSP/" can begin something.
    private var isLost = false

    /// What the unfinished message takes, once its header is there.
    private var awaitedBytes = 0
    /// Bytes of the unfinished header, with a first line that is one, in which its end is not.
    private var searchedBytes = 0

    private mutating func front(of bytes: UnsafeRawBufferPointer) -> Step {
        guard let first = bytes.first else { return .needsMore }
        if first == Self.dollar { return frame(bytes) }
        if isLost, !Self.mayBeginResponse(bytes) { return resynchronize(bytes) }
        if first == Self.cr || first == Self.lf {
            let ends = bytes.prefix { $0 == Self.cr || $0 == Self.lf }.count
            return .skip(consumedBytes: ends, isNoise: false)
        }
        guard Self.mayBeginLine(bytes) else { return resynchronize(bytes) }
        return message(bytes)
    }

    /// Hands on all that is whole, in order, each with the bytes that it is about. Gives how many bytes are done with: all of
    /// them once the stream cannot go on.
    mutating func all(in bytes: UnsafeRawBufferPointer, deliver: (Step, UnsafeRawBufferPointer) -> Void) -> Int {
        var consumed = 0
        while consumed < bytes.count {
            let left = bytes.dropping(consumed)
            let step = next(in: left)
            switch step {
            case .needsMore: return consumed
            case .failed:
                deliver(step, left)
                return bytes.count
            case .response(_, let count), .request(_, let count), .frame(_, _, let count), .skip(let count, _):
                deliver(step, left)
                consumed += count
            }
        }
        return consumed
    }

    private static let dollar = UInt8(ascii: "$")
    private static let cr = UInt8(ascii: "\r")
    private static let lf = UInt8(ascii: "\n")

    private func frame(_ bytes: UnsafeRawBufferPointer) -> Step {
        guard bytes.count >= 4 else { return .needsMore }
        let end = 4 + (Int(bytes[2]) << 8 | Int(bytes[3]))
        guard bytes.count >= end else { return .needsMore }
        return .frame(channel: bytes[1], payload: 4..<end, consumedBytes: end)
    }

    /// Whether a first line may stand here: a word of letters and underscores, then a space or the slash of "RTSP/".
    private static func mayBeginLine(_ bytes: UnsafeRawBufferPointer) -> Bool {
        // "GET_PARAMETER" is the longest method.
        for (index, byte) in bytes.prefix(16).enumerated() {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): continue
            case UInt8(ascii: " "), UInt8(ascii: "/"): return index > 0
            default: return false
            }
        }
        return bytes.count < 16
    }

    /// Whether the word before a status stands at the front, or the beginning of one that is still coming.
    private static func mayBeginResponse(_ bytes: UnsafeRawBufferPointer) -> Bool {
        zip(bytes, "RTSP/1.".utf8).allSatisfy { $0 == $1 }
    }

    /// Skips to where something could begin; at least one byte.
    private mutating func resynchronize(_ bytes: UnsafeRawBufferPointer) -> Step {
        isLost = true
        var position = 1
        while position < bytes.count {
            let left = UnsafeRawBufferPointer(rebasing: bytes[position...])
            if left[0] == Self.dollar || Self.mayBeginResponse(left) { break }
            position += 1
        }
        return .skip(consumedBytes: position, isNoise: true)
    }

    private mutating func message(_ bytes: UnsafeRawBufferPointer) -> Step {
        if searchedBytes == 0 {
            switch Self.beginsWithFirstLine(bytes) {
            case true?: break
            case false?: return resynchronize(bytes)
            case nil: return .needsMore
            }
        }
        guard let end = Self.headerEnd(in: bytes, from: searchedBytes) else {
            // A line end of the last two bytes may belong to the header's end.
            searchedBytes = max(1, bytes.count - 2)
            return bytes.count >= Self.maximumHeaderBytes ? .failed(.headerTooLong) : .needsMore
        }
        guard end <= Self.maximumHeaderBytes else { return .failed(.headerTooLong) }
        let text = String(decoding: bytes[..<end], as: UTF8.self)
        var lines = text.split(omittingEmptySubsequences: true) { $0 == "\r\n" || $0 == "\n" }[...]
        guard let first = lines.popFirst() else { return resynchronize(bytes) }
        var headers = RTSPHeaders()
        // A line without a colon says nothing; some cameras send one.
        for line in lines { _ = headers.add(line: line) }
        let announced = headers["Content-Length"].flatMap { Int($0.trimmed) } ?? 0
        guard announced <= Self.maximumBodyBytes else { return .failed(.bodyTooLong(bytes: announced)) }
        let length = max(0, announced)
        guard bytes.count >= end + length else {
            awaitedBytes = end + length
            return .needsMore
        }
        let body = [UInt8](bytes[end..<end + length])
        let words = first.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: true)
        if words.count >= 2, words[0].hasPrefix("RTSP/"), let status = Int(words[1]), (100...599).contains(status) {
            let reason = words.count > 2 ? String(words[2].trimmed) : ""
            let response = RTSPResponse(status: status, reason: reason, headers: headers, body: body)
            return .response(response, consumedBytes: end + length)
        }
        if words.count == 3, words[2].trimmed.hasPrefix("RTSP/") {
            let request = RTSPRequest(method: String(words[0]), uri: String(words[1]), headers: headers, body: body)
            return .request(request, consumedBytes: end + length)
        }
        return resynchronize(bytes)
    }

    /// Whether a status line or a request line stands at the front; nil as long as its end did not come. Without it the bytes
    /// are skipped at once: each place of a torn stream that only looks like a line would be searched for a whole header.
    private static func beginsWithFirstLine(_ bytes: UnsafeRawBufferPointer) -> Bool? {
        let near = min(bytes.count, maximumFirstLineBytes)
        // memchr looks at many bytes at once: noise may look like a line at each eighth byte.
        guard let base = bytes.baseAddress, let found = memchr(base, Int32(lf), near) else {
            return near < maximumFirstLineBytes ? nil : false
        }
        let words = bytes[..<(UnsafeRawPointer(found) - base)].split(maxSplits: 2) { $0 == UInt8(ascii: " ") }
        let version = Array("RTSP/".utf8)
        guard words.count > 1 else { return false }
        if words[0].starts(with: version) {
            return Int(String(decoding: words[1], as: UTF8.self).trimmed).map { (100...599).contains($0) } ?? false
        }
        return words.count == 3 && words[2].starts(with: version)
    }

    /// Behind the blank line that ends the header; `start` bytes are known to be without it.
    static func headerEnd(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        let searched = min(bytes.count, maximumHeaderBytes + 4)
        var position = start
        while position < searched {
            guard bytes[position] == lf else {
                position += 1
                continue
            }
            if position + 1 < bytes.count, bytes[position + 1] == lf { return position + 2 }
            if position + 2 < bytes.count, bytes[position + 1] == cr, bytes[position + 2] == lf { return position + 3 }
            position += 1
        }
        return nil
    }
}

extension RTSPStreamParser {
    /// A frame as it goes over the connection; a payload of more than 65,535 bytes has no place in one.
    static func frame(_ payload: [UInt8], channel: UInt8) -> [UInt8] {
        let count = UInt16(clamping: payload.count)
        return [0x24, channel, UInt8(count >> 8), UInt8(count & 0xFF)] + payload.prefix(Int(count))
    }
}
