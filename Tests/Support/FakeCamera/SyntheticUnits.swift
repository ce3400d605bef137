// Pictures and sounds, made up: no decoder shows them, but each says which one it is and whether it is whole.

/// What stands in every slice, scan and frame of sound: the unit's number and a checksum over the filling behind it. Each byte
/// lies between 0x30 and 0xF0, so it holds no start code, no '$' and no JPEG marker.
public enum FrameStamp {
    /// Bytes of number and checksum.
    static let stampBytes = 10

    /// Repeats after 193 bytes; long, so that filling is copied in large pieces.
    private static let pattern: [UInt8] = (0..<12_352).map { (place: Int) -> UInt8 in UInt8(48 + place * 7 % 193) }

    /// A stamp and its filling, `count` bytes in all (at least the stamp).
    static func content(number: Int, part: Int, count: Int) -> [UInt8] {
        var filling: [UInt8] = []
        let wanted = max(0, count - stampBytes)
        filling.reserveCapacity(wanted)
        // Where it begins tells units and their parts apart.
        var start = (number + part * 31) % 193
        while filling.count < wanted {
            let piece = min(wanted - filling.count, pattern.count - start)
            filling += pattern[start..<start + piece]
            start = 0
        }
        return sixes(UInt64(number)) + sixes(contentHash(filling)) + filling
    }

    /// The number of a unit from what follows its slice header (or of a frame of sound as it is); nil: torn.
    public static func number(in content: [UInt8]) -> Int? {
        guard content.count >= stampBytes else { return nil }
        let filling = Array(content[stampBytes...])
        guard Array(content[5..<10]) == sixes(contentHash(filling)) else { return nil }
        return content[0..<5].reduce(0) { $0 << 6 | Int($1 & 0x3F) }
    }

    /// 30 bits in five bytes from 0x40 to 0x7F.
    private static func sixes(_ value: UInt64) -> [UInt8] {
        [24, 18, 12, 6, 0].map { UInt8(0x40 | value >> $0 & 0x3F) }
    }
}

/// A unit before it is cut into packets.
struct MadeUnit {
    enum Role { case parameters, supplement, slice }
    struct Part {
        var role: Role
        var bytes: [UInt8]
    }

    /// NAL units; for others one part with all bytes.
    var parts: [Part]
    /// What a recorder keeps.
    var kept: [UInt8]
}

extension CameraStream {
    /// The unit of that number.
    func unit(_ number: Int) -> MadeUnit {
        switch format {
        case .h264, .h265: return picture(numbered: number)
        case .mjpeg:
            let scan = FrameStamp.content(number: number, part: 0, count: max(24, frameBytes(number)))
            return MadeUnit(
                parts: [MadeUnit.Part(role: .slice, bytes: scan)], kept: Self.quantisation(number) + scan)
        case .aac, .pcmu, .pcma, .metadata:
            let bytes = FrameStamp.content(number: number, part: 0, count: max(24, frameBytes(number)))
            return MadeUnit(parts: [MadeUnit.Part(role: .slice, bytes: bytes)], kept: bytes)
        }
    }

    /// Two tables of a JPEG picture; others with each picture.
    static func quantisation(_ number: Int) -> [UInt8] { (0..<128).map { UInt8(1 + ($0 + number * 3) % 200) } }

    /// The parameter sets of a picture.
    func sets(_ number: Int) -> [[UInt8]] { format == .h265 ? picture(number).h265Sets : picture(number).h264Sets }

    private func picture(numbered number: Int) -> MadeUnit {
        let isKey = isKeyframe(number)
        var parts: [MadeUnit.Part] = []
        let isChange = number > 0 && picture(number) != picture(number - 1)
        if isKey && parameterSets.contains(.inBand) || isChange {
            parts += sets(number).map { MadeUnit.Part(role: .parameters, bytes: $0) }
        }
        if hasSupplement {
            // User data, unregistered: identity, then the number.
            let content = [5, 26] + [UInt8](repeating: 0x55, count: 16)
            let message = content + FrameStamp.content(number: number, part: 0, count: 10) + [0x80]
            parts.append(MadeUnit.Part(role: .supplement, bytes: (format == .h265 ? [0x4E, 1] : [6]) + message))
        }
        for slice in 0..<max(1, slices) {
            let header = sliceHeader(number, isKey: isKey, isFirst: slice == 0)
            let size = max(24, frameBytes(number) / max(1, slices)) - header.count
            let content = FrameStamp.content(number: number, part: slice, count: size)
            parts.append(MadeUnit.Part(role: .slice, bytes: header + content))
        }
        var kept: [UInt8] = []
        for part in parts where part.role != .parameters { kept += big32(UInt32(part.bytes.count)) + part.bytes }
        return MadeUnit(parts: parts, kept: kept)
    }

    /// The header of the NAL unit, and the first byte of the slice's own.
    private func sliceHeader(_ number: Int, isKey: Bool, isFirst: Bool) -> [UInt8] {
        guard format == .h265 else { return [isKey ? 0x65 : 0x41, isFirst ? (isKey ? 0x88 : 0x9A) : 0x48] }
        let layers = picture(number).temporalLayers
        let layer = isKey || layers < 2 ? 0 : number % layers
        // IDR_W_RADL, TRAIL_R; TRAIL_N where nothing refers to it.
        let type: UInt8 = isKey ? 19 : layer > 0 ? 0 : 1
        return [type << 1, UInt8(1 + layer), isFirst ? 0xAF : 0x2F]
    }
}

func big16(_ value: Int) -> [UInt8] { [UInt8(truncatingIfNeeded: value >> 8), UInt8(truncatingIfNeeded: value)] }

func big32(_ value: UInt32) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }
