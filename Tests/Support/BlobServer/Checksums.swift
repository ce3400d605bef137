// MD5 and CRC-64 of what comes and goes. The service's CRC-64 is the reflected polynomial 0x9A6C9329AC4BC9B5 with all
// bits set at start and inverted at the end; on the wire it is eight bytes, least significant first, in base64.
import Crypto
import Foundation

/// CRC-64 over a stream of bytes.
struct CRC64 {
    private static let table: [UInt64] = {
        var first = [UInt64](repeating: 0, count: 256)
        for index in 0..<256 {
            var value = UInt64(index)
            for _ in 0..<8 {
                value = value & 1 == 1 ? (value >> 1) ^ 0x9A6C_9329_AC4B_C9B5 : value >> 1
            }
            first[index] = value
        }
        return first
    }()
    private var state = UInt64.max

    mutating func update(_ bytes: some Sequence<UInt8>) {
        let table = Self.table
        var value = state
        for byte in bytes {
            value = table[Int(UInt8(truncatingIfNeeded: value) ^ byte)] ^ (value >> 8)
        }
        state = value
    }

    var value: UInt64 { ~state }

    /// As the header x-ms-content-crc64 carries it.
    var base64: String {
        withUnsafeBytes(of: value.littleEndian) { Data($0) }.base64EncodedString()
    }
}

/// What is computed while a body arrives, and compared with what the client said.
struct BodyChecksums {
    private var md5 = Insecure.MD5()
    private var crc64: CRC64?

    /// CRC-64 costs more than MD5 here, so it is computed only for a client that sent or asked for it.
    init(wantsCRC64: Bool) {
        crc64 = wantsCRC64 ? CRC64() : nil
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        md5.update(bufferPointer: bytes)
        crc64?.update(bytes)
    }

    var md5Base64: String { Data(md5.finalize()).base64EncodedString() }
    var crc64Base64: String? { crc64?.base64 }

    /// Throws when the client's Content-MD5 or x-ms-content-crc64 says something else.
    func verify(md5 given: String?, crc64 givenCRC: String?) throws(ServiceError) {
        if let given {
            guard Data(base64Encoded: given)?.count == 16 else { throw .invalidMD5 }
            guard given == md5Base64 else { throw .md5Mismatch(given: given, computed: md5Base64) }
        }
        if let givenCRC, let computed = crc64Base64, givenCRC != computed {
            guard Data(base64Encoded: givenCRC)?.count == 8 else {
                throw .invalidHeader("x-ms-content-crc64", givenCRC)
            }
            throw .crc64Mismatch(given: givenCRC, computed: computed)
        }
    }
}
