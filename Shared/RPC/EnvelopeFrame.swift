// EnvelopeFrame: the bytes of an envelope, apart into its head (a few small fields) and its body (up to 32 MiB), so that the
// body is neither copied out of a received message nor into one that is sent. Pure.
//
//   envelope on the wire   field, field, … in any order; one of them is `body`, of wire type 2: tag, length, bytes
//   field                  tag = number << 3 | wire type, a varint; then by type: 0 varint, 1 eight bytes,
//                          2 length and bytes, 5 four bytes
//
// The head is read and written by protobuf-c like any message; where the body stands is all that is told here. Whatever is no
// sequence of fields is refused here, and what the fields may hold there. We write the head first; others may not. Of several
// bodies the last one counts, as in protobuf everywhere.

import Wire

/// The parts of a received envelope.
struct EnvelopeFrame {
    /// The fields other than the body: an encoded envelope without one.
    private(set) var head: [UInt8] = []
    /// Where the body stands in the bytes; nil where there is none.
    private(set) var body: Range<Int>?

    /// Numbers of `body` in envelope.proto.
    static let requestBodyField: UInt64 = 8
    static let replyBodyField: UInt64 = 4

    private static let lengthDelimited: UInt64 = 2

    /// Nil for bytes that are no sequence of fields.
    init?(reading bytes: UnsafeRawBufferPointer, bodyField: UInt64) {
        var reader = FieldReader(bytes: bytes)
        var headFrom = 0
        while reader.position < bytes.count {
            let start = reader.position
            guard let tag = reader.varint(), let range = reader.value(ofType: tag & 7) else { return nil }
            guard tag == bodyField << 3 | Self.lengthDelimited else { continue }
            head.append(contentsOf: bytes[headFrom..<start])
            headFrom = reader.position
            body = range
        }
        head.append(contentsOf: bytes[headFrom...])
    }

    /// Writes an envelope: `head` has no body, `body` is the message in it.
    ///
    /// - Parameters:
    ///   - maximumBytes: of the whole; nil is given for more.
    ///   - write: gets the size and makes room for it.
    static func withRoom<R>(
        head: some WireMessage, body: (any WireMessage)?, bodyField: UInt64, maximumBytes: Int = .max,
        _ write: (_ sizeBytes: Int, _ fill: (UnsafeMutableRawPointer) -> Void) -> R
    ) -> Result<R, Oversize> {
        head.withPacking { head in
            guard let body else { return .success(write(head.sizeBytes) { head.pack(into: $0) }) }
            return body.withPacking { body in
                let tag = bodyField << 3 | lengthDelimited
                let prefix = Varint.encode(tag) + Varint.encode(UInt64(body.sizeBytes))
                let size = head.sizeBytes + prefix.count + body.sizeBytes
                guard size <= maximumBytes else { return .failure(Oversize(sizeBytes: size)) }
                return .success(
                    write(size) { room in
                        let afterHead = room + head.pack(into: room)
                        afterHead.copyMemory(from: prefix, byteCount: prefix.count)
                        body.pack(into: afterHead + prefix.count)
                    })
            }
        }
    }

    /// More bytes than a message may have.
    struct Oversize: Error { let sizeBytes: Int }
}

/// Steps over the fields of an encoded message.
private struct FieldReader {
    let bytes: UnsafeRawBufferPointer
    var position = 0

    mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard position < bytes.count else { return nil }
            let byte = bytes[position]
            position += 1
            value |= shift < 64 ? UInt64(byte & 0x7F) << shift : 0
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }

    /// Steps over a value and tells where its content stands; nil for types that are not known or values that are cut off.
    mutating func value(ofType type: UInt64) -> Range<Int>? {
        let length: UInt64
        switch type {
        case 0:
            let start = position
            return varint() == nil ? nil : start..<position
        case 1: length = 8
        case 2:
            guard let told = varint() else { return nil }
            length = told
        case 5: length = 4
        default: return nil
        }
        guard length <= UInt64(bytes.count - position) else { return nil }
        defer { position += Int(length) }
        return position..<position + Int(length)
    }
}

/// Numbers as protobuf writes them: seven bits a byte, the lowest first, the top bit set on all but the last.
private enum Varint {
    static func encode(_ value: UInt64) -> [UInt8] {
        var left = value
        var bytes: [UInt8] = []
        while left >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: left) | 0x80)
            left >>= 7
        }
        return bytes + [UInt8(left)]
    }
}
