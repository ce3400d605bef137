// What an HTTP connection's bytes are, in whatever pieces they come.

import Testing

@testable import RTSP

@Suite struct HTTPResponseReaderTests {
    /// What a reader made of a connection.
    private struct Read: Equatable {
        var statuses: [Int] = []
        var bodies: [String] = []
        var keepsOpen: [Bool] = []
        var isWhole = true
        var failure: String?
    }

    private func read(_ text: String, piece: Int) -> Read {
        var reader = HTTPResponseReader()
        var result = Read()
        var waiting: [UInt8] = []
        var body = ""
        func take(_ part: HTTPResponseReader.Part) {
            switch part {
            case .head(let head): result.statuses.append(head.status)
            case .body(let bytes): body += String(decoding: bytes, as: UTF8.self)
            case .end(let keepsOpen):
                result.bodies.append(body)
                result.keepsOpen.append(keepsOpen)
                body = ""
            }
        }
        let all = Array(text.utf8)
        for from in stride(from: 0, to: all.count, by: piece) {
            waiting += all[from..<min(from + piece, all.count)]
            do {
                // As the loop does: what is not done with comes again.
                let done = try waiting.withUnsafeBytes { try reader.take($0, deliver: take) }
                waiting.removeFirst(done)
            } catch {
                result.failure = "\((error as? HTTPResponseReader.Failure)?.description ?? "another error")"
                return result
            }
        }
        result.isWhole = reader.connectionEnded(deliver: take)
        return result
    }

    private func expect(_ text: String, _ expected: Read) {
        for piece in [1, 2, 3, 7, 64, 100_000] {
            let found = read(text, piece: piece)
            #expect(found == expected, "in pieces of \(piece)")
        }
    }

    @Test func aLengthEndsABody() {
        expect(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 404 Not Found\ncontent-length:0\n\n",
            Read(statuses: [200, 404], bodies: ["hello", ""], keepsOpen: [true, true]))
    }

    @Test func chunksAreJoined() {
        expect(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 99\r\n\r\n5;x=1\r\nhello\r\n1\r\n!\r\n"
                + "0\r\nTrailer: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            Read(statuses: [200, 204], bodies: ["hello!", ""], keepsOpen: [true, true]))
    }

    @Test func theEndOfTheConnectionEndsABodyWithoutLength() {
        expect(
            "HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\n\r\npicture",
            Read(statuses: [200], bodies: ["picture"], keepsOpen: [false]))
    }

    @Test func whatIsOnlyOnItsWayIsPassedOver() {
        expect(
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
            Read(statuses: [200], bodies: ["a"], keepsOpen: [true]))
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", true),
    ])
    func theConnectionStaysOpenAsItsServerSays(_ text: String, _ keepsOpen: Bool) {
        expect(text, Read(statuses: [200], bodies: [""], keepsOpen: [keepsOpen]))
    }

    @Test func aBodyThatStopsIsNotWhole() {
        expect(
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", Read(statuses: [200], isWhole: false))
        expect(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", Read(statuses: [200], isWhole: false))
    }

    @Test(arguments: [
        ("RTSP/1.0 200 OK\r\n\r\n", "an answer that is not HTTP/1.1"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "an answer that is not HTTP/1.1"),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "an answer without one length"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "an answer without one length"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "a chunk without a size"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", "a line of more than 2 bytes"),
    ])
    func whatIsNoHTTPIsSaid(_ text: String, _ failure: String) {
        for piece in [1, 100] { #expect(read(text, piece: piece).failure == failure) }
    }

    @Test func aHeadWithoutAnEndIsBounded() {
        let endless = "HTTP/1.1 200 OK\r\n" + String(repeating: "X-Field: value\r\n", count: 5_000)
        #expect(read(endless, piece: 4_096).failure?.hasPrefix("a head of more than") == true)
        #expect(read(String(repeating: "x", count: 70_000), piece: 1).failure?.hasPrefix("a head of more than") == true)
    }
}
