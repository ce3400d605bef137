// Bits of a parameter set, most significant first, with the emulation prevention bytes already taken out.
// Reading past the end throws; nothing here trusts a length.

/// Reads bits and Exp-Golomb codes from bytes.
struct BitReader {
    private let bytes: [UInt8]
    private var position = 0

    /// Reads a NAL unit's content after `skipping` header bytes, dropping the 3 of each 00 00 03.
    init(nal: some Sequence<UInt8>, skipping: Int) {
        var cleaned: [UInt8] = []
        var zeros = 0
        for byte in nal {
            if zeros >= 2 && byte == 3 {
                zeros = 0
                continue
            }
            zeros = byte == 0 ? zeros + 1 : 0
            cleaned.append(byte)
        }
        bytes = Array(cleaned.dropFirst(skipping))
    }

    /// Bytes that carry no emulation prevention.
    init(cleaned: [UInt8]) {
        bytes = cleaned
    }

    var bitsLeft: Int { bytes.count * 8 - position }

    mutating func bit() throws(MediaError) -> Bool {
        try bits(1) == 1
    }

    /// Up to 32 bits.
    mutating func bits(_ count: Int) throws(MediaError) -> UInt32 {
        guard count <= bitsLeft else { throw MediaError("a parameter set ends too early") }
        var value: UInt32 = 0
        for _ in 0..<count {
            value = value << 1 | UInt32(bytes[position >> 3] >> UInt8(7 - position & 7) & 1)
            position += 1
        }
        return value
    }

    mutating func skip(_ count: Int) throws(MediaError) {
        guard count <= bitsLeft else { throw MediaError("a parameter set ends too early") }
        position += count
    }

    /// ue(v): unsigned Exp-Golomb, up to 2^32 - 2.
    mutating func unsigned() throws(MediaError) -> UInt32 {
        var zeros = 0
        while try !bit() {
            zeros += 1
            if zeros > 31 { throw MediaError("a parameter set holds a number that is too large") }
        }
        return try UInt32((UInt64(1) << UInt64(zeros)) - 1 + UInt64(bits(zeros)))
    }

    /// se(v): signed Exp-Golomb.
    mutating func signed() throws(MediaError) -> Int64 {
        let code = Int64(try unsigned())
        return code & 1 == 1 ? (code + 1) / 2 : -(code / 2)
    }

    /// ue(v) that must not exceed `limit`.
    mutating func unsigned(upTo limit: UInt32, _ what: String) throws(MediaError) -> Int {
        let value = try unsigned()
        guard value <= limit else { throw MediaError("a parameter set says \(what) \(value), more than \(limit)") }
        return Int(value)
    }
}
