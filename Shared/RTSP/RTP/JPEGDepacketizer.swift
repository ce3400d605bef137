// Motion JPEG (RFC 2435): scan data with an 8-byte header in each packet; out comes a whole JPEG picture.
//
// Types 0 and 1 (4:2:2, 4:2:0), with restart markers 64 and 65. Quantisation tables come by quality (1 to 99), or in the
// picture's first packet (128 to 255); a picture whose quality is below 255 may leave them out, then the ones that came with
// the same quality before hold (3.1.8). Pictures wider or higher than 2040 state 0, the size is then the description's.

import Media

/// RTP payloads of Motion JPEG to pictures.
public struct JPEGDepacketizer: Depacketizer {
    private struct Tables {
        var precision: UInt8
        var bytes: [UInt8]
    }

    /// What happened so far.
    public private(set) var counters = DepacketizerCounters()
    private let statedSizePx: (width: Int, height: Int)?
    /// Tables by quality: at most 127 of at most 256 bytes.
    private var tables: [UInt8: Tables] = [:]
    private var picture: [UInt8] = []
    private var scanBytes = 0
    private var timestamp: UInt32?
    private var isTorn = false
    private var followsLoss = false

    /// `widthPx` and `heightPx`: the size that the track's description states (x-dimensions), for pictures beyond 2040 pixels.
    public init(widthPx: Int? = nil, heightPx: Int? = nil) {
        if let widthPx, let heightPx, (1...65535).contains(widthPx), (1...65535).contains(heightPx) {
            statedSizePx = (widthPx, heightPx)
        } else {
            statedSizePx = nil
        }
    }

    /// Takes the next packet.
    public mutating func take(_ packet: RTPPacket, deliver: (DepacketizedUnit) -> Void) {
        if timestamp != packet.timestamp {
            // Without its marker a picture may lack its last packets' worth; only the marker says that it is whole.
            if timestamp != nil { drop() }
            timestamp = packet.timestamp
        }
        if !read(packet.payload) { isTorn = true }
        if packet.marker { finish(deliver: deliver) }
    }

    /// Packets are missing before the next one.
    public mutating func lose() {
        if timestamp != nil { isTorn = true }
        followsLoss = true
    }

    /// The stream is over.
    public mutating func flush(deliver: (DepacketizedUnit) -> Void) {
        if timestamp != nil { drop() }
    }

    private mutating func read(_ payload: UnsafeRawBufferPointer) -> Bool {
        guard !isTorn else { return true }
        guard payload.count >= 8 else { return malformed() }
        let offset = Int(payload[1]) << 16 | Int(payload.big16(2))
        let type = payload[4]
        guard [0, 1, 64, 65].contains(type) else { return malformed() }
        var rest = payload.dropping(8)
        var restartInterval = 0
        if type >= 64 {
            guard rest.count >= 4 else { return malformed() }
            restartInterval = Int(rest.big16(0))
            rest = rest.dropping(4)
        }
        if offset == 0 {
            guard picture.isEmpty else { return malformed() }
            guard let found = quantisation(payload[5], &rest) else { return malformed() }
            var size = (width: Int(payload[6]) * 8, height: Int(payload[7]) * 8)
            if size.width == 0 || size.height == 0 {
                guard let statedSizePx else { return malformed() }
                size = statedSizePx
            }
            picture += JPEGTables.header(
                type: type & 1, widthPx: size.width, heightPx: size.height, tables: found.bytes,
                precision: found.precision, restartInterval: restartInterval)
        }
        // The head or a part is missing, or a fragment came twice.
        guard !picture.isEmpty, offset == scanBytes else { return false }
        guard picture.count + rest.count + 2 <= VideoAssembler.maximumUnitBytes else {
            counters.tooLarge += 1
            return false
        }
        picture.append(contentsOf: rest)
        scanBytes += rest.count
        return true
    }

    private mutating func quantisation(_ quality: UInt8, _ rest: inout UnsafeRawBufferPointer) -> Tables? {
        if (1...99).contains(quality) {
            return Tables(precision: 0, bytes: JPEGTables.quantisation(quality: Int(quality)))
        }
        guard quality >= 128, rest.count >= 4 else { return nil }
        let precision = rest[1]
        let length = Int(rest.big16(2))
        guard length <= rest.count - 4 else { return nil }
        let content = UnsafeRawBufferPointer(rebasing: rest[4..<4 + length])
        rest = rest.dropping(4 + length)
        // 255 says that the tables change with each picture, so they must be there.
        guard length > 0 else { return quality == 255 ? nil : tables[quality] }
        let first = precision & 1 != 0 ? 128 : 64
        let second = precision & 2 != 0 ? 128 : 64
        guard length == first || length == first + second else { return nil }
        let found = Tables(precision: precision & 3, bytes: Array(content))
        if quality < 255 { tables[quality] = found }
        return found
    }

    private mutating func malformed() -> Bool {
        counters.malformed += 1
        return false
    }

    private mutating func finish(deliver: (DepacketizedUnit) -> Void) {
        guard !isTorn, scanBytes > 0, let timestamp else { return drop() }
        // Some cameras send the end marker themselves.
        if !picture.suffix(2).elementsEqual([0xFF, 0xD9]) { picture += [0xFF, 0xD9] }
        counters.units += 1
        deliver(.picture(PacketBytes(picture), timestamp: timestamp, followsLoss: followsLoss))
        followsLoss = false
        reset()
    }

    private mutating func drop() {
        counters.torn += 1
        followsLoss = true
        reset()
    }

    private mutating func reset() {
        picture.removeAll(keepingCapacity: picture.capacity <= 4 << 20)
        scanBytes = 0
        timestamp = nil
        isTorn = false
    }
}
