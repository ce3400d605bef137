// Big-endian numbers and nested boxes of ISO/IEC 14496-12, written and read.

/// Appends numbers and boxes to a growing array.
struct BoxWriter {
    private(set) var data: [UInt8] = []

    /// Goes on with an array in the place of its own, and the other way round, without a copy.
    mutating func exchange(_ other: inout [UInt8]) { swap(&data, &other) }

    mutating func u8(_ value: UInt8) {
        data.append(value)
    }

    mutating func u16(_ value: UInt16) { number(value) }

    mutating func u32(_ value: UInt32) { number(value) }

    mutating func u64(_ value: UInt64) { number(value) }

    private mutating func number<Number: FixedWidthInteger>(_ value: Number) {
        withUnsafeBytes(of: value.bigEndian) { data.append(contentsOf: $0) }
    }

    mutating func bytes(_ values: [UInt8]) {
        data += values
    }

    mutating func zeros(_ count: Int) {
        data += [UInt8](repeating: 0, count: count)
    }

    mutating func text(_ characters: String) {
        data.append(contentsOf: characters.utf8)
    }

    mutating func payload(_ packet: PacketBytes) {
        packet.withUnsafeBytes { data.append(contentsOf: $0) }
    }

    mutating func reserve(_ count: Int) {
        data.reserveCapacity(data.count + count)
    }

    /// A box of `type` (four characters) around what `content` writes.
    mutating func box(_ type: String, _ content: (inout BoxWriter) -> Void) {
        let start = data.count
        u32(0)
        text(type)
        content(&self)
        patch(at: start, UInt32(truncatingIfNeeded: data.count - start))
    }

    /// A box that begins with version and flags.
    mutating func fullBox(_ type: String, version: UInt8 = 0, flags: UInt32 = 0, _ content: (inout BoxWriter) -> Void) {
        box(type) { writer in
            writer.u32(UInt32(version) << 24 | flags)
            content(&writer)
        }
    }

    /// Overwrites four bytes written before.
    mutating func patch(at offset: Int, _ value: UInt32) {
        for index in 0..<4 {
            data[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * index))
        }
    }
}

/// Reads big-endian numbers from bytes; nil past the end.
struct ByteCursor {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    var isAtEnd: Bool { position >= bytes.endIndex }
    var left: Int { bytes.endIndex - position }
    var rest: ArraySlice<UInt8> { bytes[position...] }

    mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard count >= 0, count <= left else { return nil }
        defer { position += count }
        return bytes[position..<position + count]
    }

    mutating func skip(_ count: Int) -> Bool {
        take(count) != nil
    }

    mutating func u8() -> UInt8? {
        number(1).map { UInt8(truncatingIfNeeded: $0) }
    }

    mutating func u16() -> UInt16? {
        number(2).map { UInt16(truncatingIfNeeded: $0) }
    }

    mutating func u32() -> UInt32? {
        number(4).map { UInt32(truncatingIfNeeded: $0) }
    }

    mutating func u64() -> UInt64? {
        number(8)
    }

    private mutating func number(_ size: Int) -> UInt64? {
        take(size)?.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
