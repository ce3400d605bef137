// The bytes of an HTTP/1.1 connection, apart into heads and bodies (RFC 9112). Pure.
//
//   status line, fields, blank line        at most 64 KiB, seen whole
//   body, by the first of these that is so
//       1xx, 204, 304                      none
//       Transfer-Encoding: chunked         { size in hexadecimal CRLF bytes CRLF } 0 CRLF trailer CRLF
//       Content-Length                     so many bytes
//       neither                            up to the end of the connection
//
// A body is handed on as it comes, in pieces; it may never end.

/// Finds what the bytes of a connection are.
struct HTTPResponseReader: Sendable {
    /// No camera's head comes near.
    static let maximumHeadBytes = RTSPStreamParser.maximumHeaderBytes
    /// A size of eight digits with an extension.
    private static let maximumSizeLineBytes = 1 << 10

    enum Part {
        /// A response begins; its body is empty here.
        case head(RTSPResponse)
        case body(UnsafeRawBufferPointer)
        /// The response is whole. Whether the connection takes another request.
        case end(keepsOpen: Bool)
    }

    /// Bytes that are no HTTP, in words.
    struct Failure: Error, Sendable, Equatable { let description: String }

    private enum State: Equatable {
        case head
        case body(left: Int)
        case untilEnd
        case chunkSize
        case chunk(left: Int)
        case chunkEnd
        case trailer(seen: Int)
    }

    private var state = State.head
    private var keepsOpen = true
    /// Bytes of the unfinished head in which its end is not: one that comes in small pieces is not searched anew with each.
    private var searchedBytes = 0

    /// Nothing of a response came that is not whole.
    var isBetween: Bool { state == .head }

    /// Takes the bytes at the front of what came; gives how many are done with. The rest is to come again, with more behind it.
    mutating func take(_ bytes: UnsafeRawBufferPointer, deliver: (Part) -> Void) throws(Failure) -> Int {
        var done = 0
        while done < bytes.count {
            let count = try step(UnsafeRawBufferPointer(rebasing: bytes[done...]), deliver)
            guard count > 0 else { return done }
            done += count
        }
        return done
    }

    /// The connection ended. False: in the middle of a response.
    mutating func connectionEnded(deliver: (Part) -> Void) -> Bool {
        if state == .untilEnd {
            state = .head
            deliver(.end(keepsOpen: false))
        }
        return state == .head
    }

    private mutating func step(
        _ bytes: UnsafeRawBufferPointer, _ deliver: (Part) -> Void
    ) throws(Failure) -> Int {
        switch state {
        case .head: return try readHead(bytes, deliver)
        case .untilEnd:
            deliver(.body(bytes))
            return bytes.count
        case .body(let left), .chunk(let left):
            let piece = UnsafeRawBufferPointer(rebasing: bytes.prefix(left))
            deliver(.body(piece))
            let isChunk = state == .chunk(left: left)
            if piece.count < left {
                state = isChunk ? .chunk(left: left - piece.count) : .body(left: left - piece.count)
            } else if isChunk {
                state = .chunkEnd
            } else {
                finish(deliver)
            }
            return piece.count
        case .chunkSize:
            guard let (line, count) = try Self.line(bytes, atMost: Self.maximumSizeLineBytes) else { return 0 }
            guard let size = Int(line.prefix { $0 != ";" }.trimmed, radix: 16), size >= 0 else {
                throw Failure(description: "a chunk without a size")
            }
            state = size == 0 ? .trailer(seen: 0) : .chunk(left: size)
            return count
        case .chunkEnd:
            guard let (line, count) = try Self.line(bytes, atMost: 2) else { return 0 }
            guard line.isEmpty else { throw Failure(description: "a chunk that is longer than its size") }
            state = .chunkSize
            return count
        case .trailer(let seen):
            guard let (line, count) = try Self.line(bytes, atMost: Self.maximumHeadBytes) else { return 0 }
            guard seen + count <= Self.maximumHeadBytes else { throw Failure(description: "a trailer without an end") }
            state = .trailer(seen: seen + count)
            if line.isEmpty { finish(deliver) }
            return count
        }
    }

    private mutating func finish(_ deliver: (Part) -> Void) {
        state = .head
        deliver(.end(keepsOpen: keepsOpen))
    }

    private mutating func readHead(
        _ bytes: UnsafeRawBufferPointer, _ deliver: (Part) -> Void
    ) throws(Failure) -> Int {
        // Line ends between responses.
        if bytes.first == UInt8(ascii: "\n") || bytes.first == UInt8(ascii: "\r") { return 1 }
        guard let done = RTSPStreamParser.headerEnd(in: bytes, from: searchedBytes) else {
            guard bytes.count < Self.maximumHeadBytes else {
                throw Failure(description: "a head of more than \(Self.maximumHeadBytes) bytes")
            }
            // A line end of the last two bytes may belong to the head's end.
            searchedBytes = max(0, bytes.count - 2)
            return 0
        }
        searchedBytes = 0
        let lines = String(decoding: bytes[..<done], as: UTF8.self).split { $0 == "\r\n" || $0 == "\n" }
        let words = lines[0].split(separator: " ", maxSplits: 2)
        guard words.count >= 2, words[0].uppercased().hasPrefix("HTTP/1."), let status = Int(words[1]),
            (100...599).contains(status)
        else { throw Failure(description: "an answer that is not HTTP/1.1") }
        var headers = RTSPHeaders()
        // A line without a colon says nothing; some cameras send one.
        for line in lines.dropFirst() { _ = headers.add(line: line) }
        // Continue, Early Hints: the response is still to come.
        guard status >= 200 else { return done }
        try begin(status, headers, isOld: words[0].hasSuffix("1.0"))
        deliver(
            .head(
                RTSPResponse(
                    status: status, reason: words.count > 2 ? String(words[2].trimmed) : "", headers: headers)))
        if state == .body(left: 0) { finish(deliver) }
        return done
    }

    private mutating func begin(_ status: Int, _ headers: RTSPHeaders, isOld: Bool) throws(Failure) {
        let wishes = headers.all("Connection").joined(separator: ",").lowercased()
        keepsOpen = isOld ? wishes.contains("keep-alive") : !wishes.contains("close")
        let lengths = Set(headers.all("Content-Length").map { String($0.trimmed) })
        if status == 204 || status == 304 {
            state = .body(left: 0)
        } else if headers.all("Transfer-Encoding").contains(where: { $0.lowercased().trimmed.hasSuffix("chunked") }) {
            state = .chunkSize
        } else if let stated = lengths.first {
            guard lengths.count == 1, let length = Int(stated), length >= 0 else {
                throw Failure(description: "an answer without one length")
            }
            state = .body(left: length)
        } else {
            keepsOpen = false
            state = .untilEnd
        }
    }

    /// The line at the front without its end, and its length with it; nil as long as its end did not come.
    private static func line(
        _ bytes: UnsafeRawBufferPointer, atMost most: Int
    ) throws(Failure) -> (String, Int)? {
        guard let end = bytes.prefix(most).firstIndex(of: UInt8(ascii: "\n")) else {
            if bytes.count >= most { throw Failure(description: "a line of more than \(most) bytes") }
            return nil
        }
        let text = bytes[..<end].last == UInt8(ascii: "\r") ? bytes[..<(end - 1)] : bytes[..<end]
        return (String(decoding: text, as: UTF8.self), end + 1)
    }
}
