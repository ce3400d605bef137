// A message that is put together from parts that are encoded already: rows of a database that are sent as they were stored, many in
// one reply. protobuf concatenates: a field that comes twice counts by its last value, and embedded messages are their bytes.

/// A message in its encoded form.
public struct EncodedMessage: WireMessage {
    /// Of no message in particular.
    public static let fullName = "encoded message"
    /// What was appended so far.
    public private(set) var bytes: [UInt8]

    /// No field is present.
    public init() { bytes = [] }

    /// Bytes as they are; they are not looked at.
    public init(wire: UnsafeRawBufferPointer) throws(WireError) { bytes = Array(wire) }

    /// Lends the bytes.
    public func withPacking<R>(_ body: (WirePacking) -> R) -> R {
        bytes.withUnsafeBytes { body(WirePacking(encoded: $0)) }
    }

    /// An embedded message, encoded, and a field of its own behind it, which counts in place of one of the same number in it.
    ///
    /// - Parameters:
    ///   - field: number of the field.
    ///   - replacing: number and value of an integer of the embedded message; not negative.
    public mutating func append(
        message: UnsafeRawBufferPointer, field: UInt64, replacing: (field: UInt64, value: UInt64)
    ) {
        let (tag, value) = (replacing.field << 3, replacing.value)
        append(varint: field << 3 | 2)
        append(varint: UInt64(message.count + Self.size(tag) + Self.size(value)))
        bytes.append(contentsOf: message)
        append(varint: tag)
        append(varint: value)
    }

    /// A text.
    public mutating func append(_ text: String, field: UInt64) {
        append(varint: field << 3 | 2)
        append(varint: UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    /// A number that is not negative, or a truth.
    public mutating func append(_ value: UInt64, field: UInt64) {
        append(varint: field << 3)
        append(varint: value)
    }

    private mutating func append(varint value: UInt64) {
        var left = value
        while left >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: left) | 0x80)
            left >>= 7
        }
        bytes.append(UInt8(left))
    }

    private static func size(_ value: UInt64) -> Int { max(1, (UInt64.bitWidth - value.leadingZeroBitCount + 6) / 7) }
}
