// Parameter sets of H.264 (ITU-T H.264 7.3.2, E.1.1) and H.265 (ITU-T H.265 7.3.2), written bit by bit.

/// Writes bits, the highest first.
struct BitWriter {
    private(set) var bytes: [UInt8] = []
    private var count = 0

    mutating func bits(_ value: UInt64, _ width: Int) {
        for shift in stride(from: width - 1, through: 0, by: -1) {
            if count % 8 == 0 { bytes.append(0) }
            if value >> UInt64(shift) & 1 == 1 { bytes[bytes.count - 1] |= 0x80 >> UInt8(count % 8) }
            count += 1
        }
    }

    mutating func flags(_ flags: Bool...) { for flag in flags { bits(flag ? 1 : 0, 1) } }

    /// ue(v)
    mutating func unsigned(_ values: Int...) {
        for value in values {
            let code = UInt64(value + 1)
            let width = 64 - code.leadingZeroBitCount
            bits(0, width - 1)
            bits(code, width)
        }
    }

    /// The stop bit, and what keeps start codes out (7.4.1 of both).
    mutating func finished(header: [UInt8]) -> [UInt8] {
        bits(1, 1)
        var escaped = header
        var zeros = 0
        for byte in bytes {
            if zeros >= 2, byte <= 3 {
                escaped.append(3)
                zeros = 0
            }
            escaped.append(byte)
            zeros = byte == 0 ? zeros + 1 : 0
        }
        return escaped
    }
}

extension PictureFormat {
    /// SPS and PPS of H.264, High profile.
    var h264Sets: [[UInt8]] {
        var sequence = BitWriter()
        sequence.bits(100, 8)
        sequence.bits(0, 8)
        sequence.bits(40, 8)
        // Identity, 4:2:0, 8 bits twice.
        sequence.unsigned(0, 1, 0, 0)
        sequence.flags(false, false)
        // Bits of the frame number, order type 0 and its bits, reference frames.
        sequence.unsigned(4, 0, 4, 2)
        sequence.flags(false)
        sequence.unsigned(widthPx / 16 - 1, heightPx / 16 - 1)
        // Frames only, direct 8x8, no cropping, usability information.
        sequence.flags(true, true, false, true)
        sequence.flags(false, false, false, false, framesPerSecond > 0)
        if framesPerSecond > 0 {
            sequence.bits(1, 32)
            sequence.bits(UInt64(2 * framesPerSecond), 32)
            sequence.flags(true)
        }
        // No buffer timing, no picture structure; bitstream restrictions.
        sequence.flags(false, false, false, statesReorderDepth)
        if statesReorderDepth {
            sequence.flags(true)
            sequence.unsigned(0, 0, 10, 10, reorderDepth, max(2, reorderDepth))
        }
        var picture = BitWriter()
        picture.unsigned(0, 0)
        picture.flags(true, false)
        picture.unsigned(0, 0, 0)
        picture.flags(false)
        picture.bits(0, 2)
        // se(v) 0 three times, as ue(v) 0.
        picture.unsigned(0, 0, 0)
        picture.flags(true, false, false)
        return [sequence.finished(header: [0x67]), picture.finished(header: [0x68])]
    }

    /// VPS, SPS and PPS of H.265, Main profile; no short-term reference sets, long-term ones instead.
    var h265Sets: [[UInt8]] {
        var video = BitWriter()
        video.bits(0, 4)
        video.flags(true, true)
        video.bits(0, 6)
        video.bits(UInt64(temporalLayers - 1), 3)
        video.flags(true)
        video.bits(0xFFFF, 16)
        writeProfile(to: &video)
        video.flags(false)
        video.unsigned(4, reorderDepth, 0)
        video.bits(0, 6)
        video.unsigned(0)
        video.flags(false, false)

        var sequence = BitWriter()
        sequence.bits(0, 4)
        sequence.bits(UInt64(temporalLayers - 1), 3)
        sequence.flags(true)
        writeProfile(to: &sequence)
        sequence.unsigned(0, 1, widthPx, heightPx)
        sequence.flags(false)
        sequence.unsigned(0, 0, 4)
        sequence.flags(false)
        sequence.unsigned(4, reorderDepth, 0)
        // Block sizes, depths of transforms.
        sequence.unsigned(0, 3, 0, 3, 0, 0)
        sequence.flags(false, false, false, false)
        // No short-term set; long-term ones are in the slices.
        sequence.unsigned(0)
        sequence.flags(true)
        sequence.unsigned(0)
        sequence.flags(false, false, false, false)

        var picture = BitWriter()
        picture.unsigned(0, 0)
        picture.flags(false, false)
        picture.bits(0, 3)
        picture.flags(false, false)
        picture.unsigned(0, 0, 0)
        picture.flags(false, false, false)
        picture.unsigned(0, 0)
        picture.flags(false, false, false, false, false, false, false, false, false, false)
        picture.unsigned(0)
        picture.flags(false, false)
        return [
            video.finished(header: [0x40, 1]), sequence.finished(header: [0x42, 1]),
            picture.finished(header: [0x44, 1]),
        ]
    }

    /// profile_tier_level: Main, level 4; sub-layers state nothing of their own.
    private func writeProfile(to writer: inout BitWriter) {
        writer.bits(1, 8)
        writer.bits(0x6000_0000, 32)
        writer.flags(true, false, false, true)
        writer.bits(0, 44)
        writer.bits(120, 8)
        guard temporalLayers > 1 else { return }
        for _ in 1..<temporalLayers { writer.bits(0, 2) }
        for _ in temporalLayers...8 { writer.bits(0, 2) }
    }
}
