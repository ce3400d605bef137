// The frame header of a JPEG picture (ITU-T T.81 B.2.2): size and sampling, nothing else.

/// Size and chroma sampling of a baseline or progressive JPEG.
public struct JPEGHeader: Sendable, Hashable {
    /// Width in pixels.
    public let widthPx: Int
    /// Height in pixels.
    public let heightPx: Int
    /// Colour is halved horizontally, but not vertically (4:2:2).
    public let isHalvedHorizontallyOnly: Bool

    /// Reads the header of a whole picture. nil: not a JPEG, cut off before its frame header, or empty.
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 4, bytes[0] == 0xFF, bytes[1] == 0xD8 else { return nil }
        var index = 2
        while index + 3 < bytes.count {
            guard bytes[index] == 0xFF else { return nil }
            let marker = bytes[index + 1]
            if marker == 0xFF || marker == 0x01 || (0xD0...0xD8).contains(marker) {
                index += marker == 0xFF ? 1 : 2
                continue
            }
            let length = Int(bytes[index + 2]) << 8 | Int(bytes[index + 3])
            guard length >= 2, index + 2 + length <= bytes.count else { return nil }
            // SOF0 to SOF15 without DHT, JPG and DAC.
            if (0xC0...0xCF).contains(marker), ![0xC4, 0xC8, 0xCC].contains(marker) {
                guard length >= 8 else { return nil }
                heightPx = Int(bytes[index + 5]) << 8 | Int(bytes[index + 6])
                widthPx = Int(bytes[index + 7]) << 8 | Int(bytes[index + 8])
                let sampling = length >= 11 ? bytes[index + 11] : 0x11
                isHalvedHorizontallyOnly = sampling == 0x21
                guard widthPx > 0, heightPx > 0 else { return nil }
                return
            }
            if marker == 0xDA || marker == 0xD9 { return nil }
            index += 2 + length
        }
        return nil
    }

    /// The picture has its end marker. Cameras put padding behind it, but a cut one has none; decoders draw what is
    /// missing in grey without a word.
    public static func isWhole(_ bytes: UnsafeRawBufferPointer) -> Bool { end(bytes) != nil }

    /// The first byte behind the end marker; nil where there is none.
    static func end(_ bytes: UnsafeRawBufferPointer) -> Int? {
        var index = bytes.count - 2
        while index >= 2 {
            if bytes[index] == 0xFF && bytes[index + 1] == 0xD9 { return index + 2 }
            index -= 1
        }
        return nil
    }
}
