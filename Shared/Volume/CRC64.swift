// CRC-64/NVME: the checksum by which Azure Storage sees that what arrives is what was sent (x-ms-content-crc64). It costs a tenth of a
// SHA-256 and those of parts make that of the whole. It finds damage; it does not keep anybody from making another file with the same
// value, so what a file is known by stays its SHA-256. The arithmetic: Shared/CChecksum.
import CChecksum

/// The CRC-64 of bytes, and how many they are.
public struct CRC64: Sendable, Hashable {
    /// 0 for no bytes.
    public private(set) var value: UInt64
    /// Bytes that went into it.
    public private(set) var sizeBytes: Int64

    /// Of nothing.
    public init() { (value, sizeBytes) = (0, 0) }

    /// As given.
    public init(value: UInt64, sizeBytes: Int64) { (self.value, self.sizeBytes) = (value, max(0, sizeBytes)) }

    /// Of all of `bytes`.
    public init(_ bytes: [UInt8]) {
        self.init()
        bytes.withUnsafeBytes { update($0) }
    }

    /// Goes on with `bytes`.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        // Of an empty buffer the address may be nil, which the C side never reads.
        guard let address = bytes.baseAddress else { return }
        value = sg_crc64(value, address, bytes.count)
        sizeBytes += Int64(bytes.count)
    }

    /// Goes on with bytes of which only the CRC-64 is known.
    public mutating func append(_ next: CRC64) {
        value = sg_crc64_combine(value, next.value, UInt64(next.sizeBytes))
        sizeBytes += next.sizeBytes
    }

    /// As the header x-ms-content-crc64 carries it: eight bytes, the least significant first, in base64.
    public var base64: String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        // 64 bits are ten groups of six and one of four, which two zeros fill.
        let bits = value.byteSwapped
        let groups = (0..<10).map { (bits >> UInt64(58 - 6 * $0)) & 0x3f } + [(bits & 0xf) << 2]
        return String(groups.map { digits[Int($0)] }) + "="
    }
}
