// MD5 and CRC-64 of what comes and goes. The service's CRC-64 is the reflected polynomial 0x9A6C9329AC4BC9B5 with all
// bits set at start and inverted at the end; on the wire it is eight bytes, least significant first, in base64.
// It shares no code with the uploader's, so that the storage does not repeat a mistake of its client.
import Crypto
import Foundation

/// CRC-64 over a stream of bytes.
struct CRC64 {
    /// Eight tables of 256: what a byte does to the sum when so many others follow it. With them eight bytes are one step.
    private static let tables: [UInt64] = {
        var tables = [UInt64](repeating: 0, count: 2048)
        for index in 0..<256 {
            var value = UInt64(index)
            for _ in 0..<8 {
                value = value & 1 == 1 ? (value >> 1) ^ 0x9A6C_9329_AC4B_C9B5 : value >> 1
            }
            tables[index] = value
        }
        for index in 256..<2048 {
            let before = tables[index - 256]
            tables[index] = tables[Int(before & 0xFF)] ^ (before >> 8)
        }
        return tables
    }()
    private var state = UInt64.max

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        state = Self.tables.withUnsafeBufferPointer { table in
            var value = state
            var position = 0
            while position &+ 8 <= bytes.count {
                let word = value ^ UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
                value =
                    table[1792 &+ Int(word & 0xFF)] ^ table[1536 &+ Int(word >> 8 & 0xFF)]
                    ^ table[1280 &+ Int(word >> 16 & 0xFF)] ^ table[1024 &+ Int(word >> 24 & 0xFF)]
                value ^=
                    table[768 &+ Int(word >> 32 & 0xFF)] ^ table[512 &+ Int(word >> 40 & 0xFF)]
                    ^ table[256 &+ Int(word >> 48 & 0xFF)] ^ table[Int(word >> 56)]
                position &+= 8
            }
            for byte in bytes[position...] { value = table[Int((value ^ UInt64(byte)) & 0xFF)] ^ (value >> 8) }
            return value
        }
    }

    var value: UInt64 { ~state }

    /// As the header x-ms-content-crc64 carries it.
    var base64: String {
        withUnsafeBytes(of: value.littleEndian) { Data($0) }.base64EncodedString()
    }
}

/// What is computed while a body arrives, and compared with what the client said.
struct BodyChecksums {
    private var md5: Insecure.MD5?
    private var crc64: CRC64?

    init(md5: Bool, crc64: Bool) {
        self.md5 = md5 ? Insecure.MD5() : nil
        self.crc64 = crc64 ? CRC64() : nil
    }

    /// Those of a request's body. What is told in the answer counts too: Put Blob has both, and keeps the MD5 with the blob; else
    /// it is CRC-64, unless the client sent an MD5 or speaks a version without CRC-64.
    init(of request: BlobRequest, _ operation: BlobOperation) {
        let sentMD5 = request.header("content-md5") != nil
        let hasCRC = request.version >= ServiceVersion.withCRC64
        self.init(
            md5: sentMD5 || !hasCRC || operation == .putBlob,
            crc64: hasCRC && (!sentMD5 || operation == .putBlob))
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        md5?.update(bufferPointer: bytes)
        crc64?.update(bytes)
    }

    var md5Base64: String? { md5.map { Data($0.finalize()).base64EncodedString() } }
    var crc64Base64: String? { crc64?.base64 }

    /// Refuses headers that cannot be right, whatever the body: both checksums, or ones of another length.
    static func check(_ request: BlobRequest) throws(ServiceError) {
        if let md5 = request.header("content-md5") {
            guard request.header("x-ms-content-crc64") == nil else {
                throw ServiceError(
                    .badRequest, "BothCrc64AndMd5HeaderPresent",
                    "Both x-ms-content-crc64 header and content-md5 header are present.")
            }
            guard Data(base64Encoded: md5)?.count == 16 else { throw .invalidMD5 }
        }
        if let crc = request.header("x-ms-content-crc64") {
            guard let bytes = Data(base64Encoded: crc), bytes.count >= 8 else {
                throw .invalidHeader("x-ms-content-crc64", crc)
            }
        }
    }

    /// Throws when the client's Content-MD5 or x-ms-content-crc64 says something else.
    func verify(_ request: BlobRequest) throws(ServiceError) {
        if let given = request.header("content-md5"), let computed = md5Base64, given != computed {
            throw .md5Mismatch(given: given, computed: computed)
        }
        if let given = request.header("x-ms-content-crc64"), let computed = crc64Base64, given != computed {
            throw .crc64Mismatch(given: given, computed: computed)
        }
    }
}
