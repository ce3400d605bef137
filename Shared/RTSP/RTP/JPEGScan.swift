// What RFC 2435 sends of a JPEG picture, found in it, or why the picture cannot be sent: only baseline pictures in one scan,
// YCbCr with 4:2:2 or 4:2:0, and the Huffman tables of ITU-T T.81 annex K.3, are what a receiver can put together again.

import Media

/// The parts of one picture.
struct JPEGScan: Equatable {
    /// Beyond it, the payload's header cannot say the size (255 units of 8).
    static let maximumHeaderPx = 2_040
    /// What the 24 bits of the fragment's offset reach.
    static let maximumDataBytes = 1 << 24

    /// 0: 4:2:2, 1: 4:2:0.
    private(set) var type: UInt8 = 0
    private(set) var widthPx = 0
    private(set) var heightPx = 0
    /// Of the brightness, then of the colours, in zigzag order.
    private(set) var tables: [UInt8] = []
    /// Bit 0 and bit 1: the first and the second table have 16 bits per value.
    private(set) var precision: UInt8 = 0
    /// Blocks between restart markers; 0: none.
    private(set) var restartInterval = 0
    /// Where the entropy-coded data lies, without the end marker.
    private(set) var data = 0..<0

    private struct Component: Equatable {
        let id: UInt8
        let sampling: UInt8
        let table: UInt8
    }

    private struct Quantisation: Equatable {
        var isWide = false
        var values: [UInt8] = []
    }

    private var components: [Component] = []
    private var quantisation: [UInt8: Quantisation] = [:]

    /// Reads a whole picture.
    init(_ bytes: UnsafeRawBufferPointer) throws(MediaError) {
        guard bytes.count > 4, bytes[0] == 0xFF, bytes[1] == 0xD8 else { throw Self.refusal("it is no JPEG picture") }
        var index = 2
        while index + 3 < bytes.count {
            guard bytes[index] == 0xFF else { throw Self.refusal("its header is broken") }
            let marker = bytes[index + 1]
            // Padding before a marker.
            if marker == 0xFF {
                index += 1
                continue
            }
            let end = index + 2 + Int(bytes.big16(index + 2))
            guard end >= index + 4, end <= bytes.count else { throw Self.refusal("its header is cut off") }
            let content = UnsafeRawBufferPointer(rebasing: bytes[index + 4..<end])
            index = end
            switch marker {
            case 0xDB: try readQuantisation(content)
            case 0xC4: try Self.checkHuffman(content)
            case 0xC0: try readFrame(content)
            case 0xC1...0xCF: throw Self.refusal("it is not coded as baseline JPEG")
            case 0xDD:
                guard content.count >= 2 else { throw Self.refusal("its restart interval is broken") }
                restartInterval = Int(content.big16(0))
            case 0xDA:
                try readScan(content)
                try findData(bytes, from: end)
                return
            case 0xD9: throw Self.refusal("it has no scan")
            default: break
            }
        }
        throw Self.refusal("it has no scan")
    }

    private static func refusal(_ reason: String) -> MediaError {
        MediaError("a picture cannot be sent as RTP (RFC 2435): \(reason); let the camera send H.264 or plain JPEG")
    }

    private mutating func readQuantisation(_ content: UnsafeRawBufferPointer) throws(MediaError) {
        var left = content
        while let first = left.first {
            let isWide = first >> 4 == 1
            let size = isWide ? 128 : 64
            guard first >> 4 <= 1, left.count > size else { throw Self.refusal("a quantisation table is broken") }
            quantisation[first & 0x0F] = Quantisation(isWide: isWide, values: Array(left[1...size]))
            left = left.dropping(1 + size)
        }
    }

    private static func checkHuffman(_ content: UnsafeRawBufferPointer) throws(MediaError) {
        var left = content
        while !left.isEmpty {
            guard left.count >= 17 else { throw refusal("a Huffman table is broken") }
            let size = 17 + left[1...16].reduce(0) { $0 + Int($1) }
            guard left.count >= size else { throw refusal("a Huffman table is broken") }
            // Others would have to be sent, and RFC 2435 has no place for them.
            let isUsual = JPEGTables.huffman.contains { identity, counts, values in
                left[0] == identity && left[1...16].elementsEqual(counts) && left[17..<size].elementsEqual(values)
            }
            guard isUsual else { throw refusal("its Huffman tables are not the usual ones") }
            left = left.dropping(size)
        }
    }

    private mutating func readFrame(_ content: UnsafeRawBufferPointer) throws(MediaError) {
        guard content.count >= 6, content.count >= 6 + 3 * Int(content[5]), components.isEmpty else {
            throw Self.refusal("its frame header is broken")
        }
        guard content[0] == 8 else { throw Self.refusal("its samples have \(content[0]) bits, not 8") }
        heightPx = Int(content.big16(1))
        widthPx = Int(content.big16(3))
        guard widthPx > 0, heightPx > 0 else { throw Self.refusal("it says that it is \(widthPx) x \(heightPx)") }
        components = (0..<Int(content[5])).map { number in
            Component(
                id: content[6 + 3 * number], sampling: content[7 + 3 * number], table: content[8 + 3 * number])
        }
        switch components.map(\.sampling) {
        case [0x21, 0x11, 0x11]: type = 0
        case [0x22, 0x11, 0x11]: type = 1
        default: throw Self.refusal("its colours are neither 4:2:2 nor 4:2:0")
        }
        guard components[1].table == components[2].table else {
            throw Self.refusal("its colours have a quantisation table each")
        }
    }

    private mutating func readScan(_ content: UnsafeRawBufferPointer) throws(MediaError) {
        // All components in one scan, with the tables that the receiver will name: 0 for brightness, 1 for colours.
        let coders: [UInt8] = [0x00, 0x11, 0x11]
        let named: [[UInt8]] = zip(components, coders).map { component, coder in [component.id, coder] }
        let expected: [UInt8] = [3] + named.flatMap(\.self) + [0, 63, 0]
        guard components.count == 3, content.elementsEqual(expected) else {
            throw Self.refusal("it is not coded in one scan of all its components")
        }
        var found: [Quantisation] = []
        for component in components.prefix(2) {
            guard let table = quantisation[component.table] else {
                throw Self.refusal("a quantisation table is missing")
            }
            found.append(table)
        }
        precision = (found[0].isWide ? 1 : 0) | (found[1].isWide ? 2 : 0)
        tables = found.flatMap(\.values)
    }

    private mutating func findData(_ bytes: UnsafeRawBufferPointer, from start: Int) throws(MediaError) {
        var index = start
        while index + 1 < bytes.count {
            guard bytes[index] == 0xFF else {
                index += 1
                continue
            }
            switch bytes[index + 1] {
            // A byte of the data that is 0xFF, a restart, or padding.
            case 0x00, 0xD0...0xD7: index += 2
            case 0xFF: index += 1
            case 0xD9:
                data = start..<index
                guard !data.isEmpty else { throw Self.refusal("its scan is empty") }
                guard data.count <= Self.maximumDataBytes else {
                    throw Self.refusal("its scan has \(data.count) bytes, at most \(Self.maximumDataBytes) can be sent")
                }
                return
            default: throw Self.refusal("it is not coded in one scan of all its components")
            }
        }
        throw Self.refusal("it has no end")
    }
}
