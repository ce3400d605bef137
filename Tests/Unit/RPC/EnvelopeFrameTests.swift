// EnvelopeFrame finds the body where protobuf would, and writes what protobuf reads.

import Testing
import Wire

@testable import RPC

struct EnvelopeFrameTests {
    private let field = EnvelopeFrame.requestBodyField
    private let head = RequestEnvelope(method: "a/b", version: 1000, requestID: "r", remainingMs: 5)

    private func read(_ bytes: [UInt8]) -> (head: RequestEnvelope, body: [UInt8]?)? {
        bytes.withUnsafeBytes { raw in
            guard let frame = EnvelopeFrame(reading: raw, bodyField: field),
                let head = try? RequestEnvelope(wire: frame.head)
            else { return nil }
            return (head, frame.body.map { Array(raw[$0]) })
        }
    }

    private func written(_ body: (any WireMessage)?, maximumBytes: Int = .max) throws -> [UInt8] {
        try EnvelopeFrame.withRoom(head: head, body: body, bodyField: field, maximumBytes: maximumBytes) { size, fill in
            bytes(size, fill)
        }.get()
    }

    /// The encoded body field: tag 0x42, length, bytes.
    private func bodyField(_ body: [UInt8]) -> [UInt8] { RequestEnvelope(body: body).encoded() }

    @Test(arguments: [0, 1, 127, 128, 20_000])
    func whatIsWrittenIsTheEnvelopeThatProtobufReads(bodyBytes: Int) throws {
        let body = ReplyEnvelope(body: [UInt8](repeating: 7, count: bodyBytes))
        var expected = head
        expected.body = body.encoded()
        #expect(try RequestEnvelope(wire: try written(body)) == expected)
        #expect(try RequestEnvelope(wire: try written(nil)) == head)
    }

    @Test func anEnvelopeOverTheBoundIsNotWritten() throws {
        let body = ReplyEnvelope(body: [UInt8](repeating: 7, count: 2_000))
        let size = try written(body).count
        #expect(try written(body, maximumBytes: size).count == size)
        #expect { try written(body, maximumBytes: size - 1) } throws: { error in
            (error as? EnvelopeFrame.Oversize)?.sizeBytes == size
        }
    }

    @Test func theBodyMayStandAnywhere() {
        let method = RequestEnvelope(method: "a/b").encoded()
        let version = RequestEnvelope(version: 1000).encoded()
        for bytes in [
            bodyField([1, 2]) + method + version, method + bodyField([1, 2]) + version,
            method + version + bodyField([1, 2]),
        ] {
            let found = read(bytes)
            #expect(found?.head == RequestEnvelope(method: "a/b", version: 1000))
            #expect(found?.body == [1, 2])
        }
    }

    @Test func ofSeveralBodiesTheLastOneCounts() {
        let bytes = bodyField([1]) + RequestEnvelope(method: "m").encoded() + bodyField([2, 3])
        #expect(read(bytes)?.body == [2, 3])
        #expect(read(bytes)?.head == RequestEnvelope(method: "m"))
    }

    @Test func anEmptyBodyIsOneAndAnAbsentOneIsNone() {
        #expect(read(bodyField([]))?.body == [])
        #expect(read([])?.body == nil)
        #expect(read([])?.head == RequestEnvelope())
    }

    @Test(
        arguments: [
            [0x42], [0x42, 5, 1], [0x42, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], [0x43, 0x44],
            [0x80],
            [0x3F], [0xFF, 0xFF],
        ] as [[UInt8]])
    func bytesThatAreNoFieldsAreRefused(bytes: [UInt8]) { #expect(read(bytes) == nil) }

    /// Whatever protobuf-c reads is read here alike, and nothing else.
    @Test func damagedEnvelopesAreReadAsProtobufReadsThem() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var bytes = bodyField((0..<Int.random(in: 0..<20)).map { _ in .random(in: 0...255) })
            bytes.insert(contentsOf: head.encoded(), at: Bool.random() ? 0 : bytes.count)
            for _ in 0..<Int.random(in: 0..<4) {
                switch Int.random(in: 0..<3) {
                case 0 where !bytes.isEmpty: bytes[Int.random(in: 0..<bytes.count)] = .random(in: 0...255)
                case 1 where !bytes.isEmpty: bytes.removeLast(Int.random(in: 0..<bytes.count))
                default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: Int.random(in: 0...bytes.count))
                }
            }
            let whole = try? RequestEnvelope(wire: bytes)
            let parts = read(bytes).map { parts in
                var envelope = parts.head
                envelope.body = parts.body
                return envelope
            }
            #expect(whole == parts, "\(bytes)")
        }
    }
}
