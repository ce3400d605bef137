// NAL units of H.264 and H.265: found in a byte stream (Annex B of both), told apart, written after their lengths.

import Glibc

/// Annex B, both ways.
public enum AnnexB {
    /// Ranges of the NAL units in `bytes`, without start codes and without the zeros that may follow a unit.
    /// What stands before the first start code is not a unit. One more than `AccessUnitBuffer.maximumUnits` at most: that many are
    /// garbage, and four bytes of it would cost the sixteen of a range.
    public static func units(in bytes: UnsafeRawBufferPointer) -> [Range<Int>] {
        var units: [Range<Int>] = []
        var unitStart: Int?
        var index = 0
        let count = bytes.count
        func close(at end: Int) {
            guard let start = unitStart else { return }
            var last = end
            while last > start && bytes[last - 1] == 0 { last -= 1 }
            if last > start { units.append(start..<last) }
        }
        // A start code ends with the rarest of its bytes; memchr looks at many at once. Each unit of each camera is searched.
        while index + 2 < count, units.count <= AccessUnitBuffer.maximumUnits, let base = bytes.baseAddress,
            let found = memchr(base + index + 2, 1, count - index - 2)
        {
            let one = UnsafeRawPointer(found) - base
            if bytes[one - 1] == 0 && bytes[one - 2] == 0 {
                close(at: one - 2)
                unitStart = one + 1
            }
            // A start code's first zero may be the byte behind this one.
            index = one + 1
        }
        if units.count <= AccessUnitBuffer.maximumUnits { close(at: count) }
        return units
    }

    /// Ranges of the units behind 4-byte lengths. nil where a length does not fit.
    public static func lengthPrefixedUnits(in bytes: UnsafeRawBufferPointer) -> [Range<Int>]? {
        var units: [Range<Int>] = []
        var index = 0
        while index < bytes.count {
            guard bytes.count - index > 4 else { return nil }
            let length = (0..<4).reduce(0) { $0 << 8 | Int(bytes[index + $1]) }
            guard length > 0, length <= bytes.count - index - 4 else { return nil }
            units.append(index + 4..<index + 4 + length)
            index += 4 + length
        }
        return units
    }
}

/// What a NAL unit is for.
enum NALKind {
    /// A slice of a picture that no decoder can begin with.
    case slice
    /// A slice of a picture where decoding can begin.
    case keySlice
    /// H.265 only.
    case videoParameters
    case sequenceParameters
    case pictureParameters
    /// Supplemental information that says "decoding can begin here, at once" (H.264 only).
    case recoveryPoint
    /// Access unit delimiter, end of sequence, filler: of no use in a file.
    case superfluous
    /// Kept as it is.
    case other

    init(_ unit: UnsafeRawBufferPointer, codec: Codec) {
        guard let first = unit.first else {
            self = .superfluous
            return
        }
        self = codec == .h264 ? Self.h264(first, unit) : Self.hevc(first)
    }

    private static func h264(_ first: UInt8, _ unit: UnsafeRawBufferPointer) -> NALKind {
        switch first & 0x1F {
        case 1, 2: .slice
        case 5: .keySlice
        case 6: isImmediateRecovery(unit) ? .recoveryPoint : .other
        case 7: .sequenceParameters
        case 8: .pictureParameters
        case 9, 10, 11, 12: .superfluous
        default: .other
        }
    }

    private static func hevc(_ first: UInt8) -> NALKind {
        switch first >> 1 & 0x3F {
        // Random access points: BLA, IDR, CRA.
        case 16...21: .keySlice
        case 0...15: .slice
        case 32: .videoParameters
        case 33: .sequenceParameters
        case 34: .pictureParameters
        case 35, 36, 37, 38: .superfluous
        default: .other
        }
    }

    /// Recovery point message (H.264 D.1.8) with recovery_frame_cnt 0. Cameras with open groups of pictures send no IDR after the first.
    private static func isImmediateRecovery(_ unit: UnsafeRawBufferPointer) -> Bool {
        var index = 1
        // A unit may hold several messages; a handful is what occurs.
        for _ in 0..<8 {
            var type = 0
            var size = 0
            while index < unit.count, unit[index] == 0xFF {
                type += 255
                index += 1
            }
            guard index < unit.count else { return false }
            type += Int(unit[index])
            index += 1
            while index < unit.count, unit[index] == 0xFF {
                size += 255
                index += 1
            }
            guard index < unit.count else { return false }
            size += Int(unit[index])
            index += 1
            guard size <= unit.count - index else { return false }
            // ue(v) 0 is a single 1 bit.
            if type == 6 { return size > 0 && unit[index] & 0x80 != 0 }
            index += size
        }
        return false
    }
}
