// A connection's bytes to messages and frames, as cameras send them.

import Testing

@testable import RTSP

/// What a parser makes of a whole stream.
private enum Part: Equatable {
    case response(Int, String)
    case request(String)
    case frame(UInt8, [UInt8])
    case noise(Int)
    case failed(RTSPStreamError)
}

/// Feeds a stream in pieces of `pieceBytes`, as a connection does.
private func parts(of stream: [UInt8], pieceBytes: Int = .max) -> [Part] {
    var parts: [Part] = []
    var waiting: [UInt8] = []
    var left = stream[...]
    var parser = RTSPStreamParser()
    while !left.isEmpty {
        waiting += left.prefix(pieceBytes)
        left = left.dropFirst(pieceBytes)
        var isWaiting = false
        while !isWaiting, !waiting.isEmpty {
            let consumed: Int
            switch waiting.withUnsafeBytes({ parser.next(in: $0) }) {
            case .needsMore:
                isWaiting = true
                continue
            case .response(let response, let bytes):
                parts.append(.response(response.status, String(decoding: response.body, as: UTF8.self)))
                consumed = bytes
            case .request(let request, let bytes):
                parts.append(.request(request.method))
                consumed = bytes
            case .frame(let channel, let payload, let bytes):
                parts.append(.frame(channel, Array(waiting[payload])))
                consumed = bytes
            case .skip(let bytes, let isNoise):
                if isNoise {
                    if case .noise(let before) = parts.last {
                        parts[parts.count - 1] = .noise(before + bytes)
                    } else {
                        parts.append(.noise(bytes))
                    }
                }
                consumed = bytes
            case .failed(let error): return parts + [.failed(error)]
            }
            waiting.removeFirst(consumed)
        }
    }
    return parts
}

/// What stands at the front of bytes that nobody saw before.
func front(_ bytes: UnsafeRawBufferPointer) -> RTSPStreamParser.Step {
    var parser = RTSPStreamParser()
    return parser.next(in: bytes)
}

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite struct RTSPStreamParserTests {
    private let reply = "RTSP/1.0 200 OK\r\nCSeq: 3\r\nContent-Length: 5\r\n\r\nhello"

    @Test(arguments: [1, 2, 3, 7, 1_000])
    func messagesAndFramesAreFoundHoweverTheyAreCut(pieceBytes: Int) {
        let stream = bytes(reply) + [0x24, 0, 0, 3, 1, 2, 3] + bytes(reply) + [0x24, 1, 0, 0]
        #expect(
            parts(of: stream, pieceBytes: pieceBytes)
                == [.response(200, "hello"), .frame(0, [1, 2, 3]), .response(200, "hello"), .frame(1, [])])
    }

    @Test func lineEndsBeforeAFrameAreNoNoise() {
        #expect(
            parts(of: bytes("\r\n") + [0x24, 9, 0, 1, 7] + bytes("\r\n\r\n\(reply)")) == [
                .frame(9, [7]), .response(200, "hello"),
            ])
    }

    @Test func linesMayEndWithoutCarriageReturn() {
        #expect(parts(of: bytes("RTSP/1.0 401 Unauthorized\nCSeq: 1\n\n")) == [.response(401, "")])
    }

    @Test func aReasonMayBeMissing() {
        #expect(parts(of: bytes("RTSP/1.0 200\r\nCSeq: 1\r\n\r\n")) == [.response(200, "")])
    }

    @Test func requestsOfTheServerAreFound() {
        #expect(parts(of: bytes("ANNOUNCE rtsp://a/b RTSP/1.0\r\nCSeq: 9\r\n\r\n")) == [.request("ANNOUNCE")])
    }

    /// A camera that mishandles short writes loses part of a frame (moonfire-nvr#302).
    @Test func aTornStreamGoesOnAtTheNextFrame() {
        let torn: [UInt8] = [0x80, 0x60, 1, 2, 3, 0x24, 0, 0, 2, 5, 6]
        #expect(parts(of: torn, pieceBytes: 1) == [.noise(5), .frame(0, [5, 6])])
        #expect(parts(of: [0xFF, 0xFE] + bytes(reply), pieceBytes: 3) == [.noise(2), .response(200, "hello")])
    }

    @Test func aFirstLineThatIsNoneIsSkipped() {
        #expect(parts(of: bytes("HTTP/1.1 400 Bad Request\r\n\r\n") + [0x24, 0, 0, 0]).last == .frame(0, []))
    }

    @Test func headersThatNeverEndAreRefused() {
        let endless = bytes("RTSP/1.0 200 OK\r\n") + bytes("X-Filler: abcdefgh\r\n") * 4_000
        #expect(parts(of: endless, pieceBytes: 1_000) == [.failed(.headerTooLong)])
    }

    @Test func aBodyBeyondTheBoundIsRefusedBeforeItComes() {
        let stream = bytes("RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n")
        #expect(parts(of: stream) == [.failed(.bodyTooLong(bytes: 99_999_999))])
    }

    @Test(arguments: ["-5", "abc", "", "99999999999999999999999"])
    func aContentLengthThatIsNoNumberIsNone(_ text: String) {
        #expect(parts(of: bytes("RTSP/1.0 200 OK\r\nContent-Length: \(text)\r\n\r\n")) == [.response(200, "")])
    }

    @Test func headerNamesHaveNoCaseAndFoldedLinesGoOn() {
        let stream = bytes("RTSP/1.0 200 OK\r\ncseq:4\r\nPublic: OPTIONS,\r\n DESCRIBE\r\nnonsense\r\n\r\n")
        guard case .response(let response, _) = stream.withUnsafeBytes(front) else {
            Issue.record("no response")
            return
        }
        #expect(response.cseq == 4)
        #expect(response.headers["PUBLIC"] == "OPTIONS, DESCRIBE")
    }

    @Test func aValueCannotBeginALineOfItsOwn() {
        var request = RTSPRequest(method: "OPTIONS", uri: "*")
        request.headers.add("User-Agent", "a\r\nEvil: 1")
        #expect(
            String(decoding: request.encoded, as: UTF8.self) == "OPTIONS * RTSP/1.0\r\nUser-Agent: a Evil: 1\r\n\r\n")
    }

    @Test func anyBytesComeToAnEnd() {
        var random = SystemRandomNumberGenerator()
        let alphabet = bytes("$RTSP/1.0 200\r\n:ABC_") + [0, 1, 2, 255]
        for _ in 0..<2_000 {
            let stream = (0..<Int.random(in: 0...200, using: &random)).map { _ in
                alphabet.randomElement(using: &random) ?? 0
            }
            let whole = parts(of: stream)
            let noise = whole.map { if case .noise(let bytes) = $0 { bytes } else { 0 } }.reduce(0, +)
            #expect(noise <= stream.count, "\(stream)")
        }
    }
}

private func * (bytes: [UInt8], count: Int) -> [UInt8] { (0..<count).flatMap { _ in bytes } }
