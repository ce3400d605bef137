// Units to RTP payloads: H.264 (RFC 6184), H.265 (RFC 7798), JPEG (RFC 2435), AAC (RFC 3640), and what goes as it is.

/// The payload of one packet.
struct Payload {
    var bytes: [UInt8]
    var isMarked = false
}

extension CameraStream {
    /// A unit's payloads.
    func payloads(_ number: Int, _ unit: MadeUnit) -> [Payload] {
        switch format {
        case .h264, .h265: return pictures(number, unit)
        case .mjpeg: return scan(number, unit.parts[0].bytes)
        case .aac: return sounds([unit.parts[0].bytes])
        case .pcmu, .pcma: return [Payload(bytes: unit.parts[0].bytes)]
        case .metadata: return [Payload(bytes: unit.parts[0].bytes, isMarked: true)]
        }
    }

    // MARK: NAL units

    private func pictures(_ number: Int, _ unit: MadeUnit) -> [Payload] {
        var payloads: [Payload] = []
        var together: [[UInt8]] = []
        func sendTogether() {
            if together.count == 1 { payloads.append(Payload(bytes: together[0])) }
            if together.count > 1 { payloads.append(Payload(bytes: aggregate(together))) }
            together = []
        }
        var parts = unit.parts
        if rtp.hasStartCodesInside {
            let joined = parts.dropFirst().reduce(parts[0].bytes) { $0 + [0, 0, 0, 1] + $1.bytes }
            parts = [MadeUnit.Part(role: .slice, bytes: joined)]
        }
        var slice = 0
        for part in parts {
            let taken = together.reduce(1) { $0 + $1.count + 2 }
            if rtp.aggregates, taken + part.bytes.count + 2 <= rtp.maximumPayloadBytes {
                together.append(part.bytes)
                continue
            }
            sendTogether()
            payloads += cut(part.bytes)
            let marker = rtp.marker
            let isMarked =
                marker == .everySlice && part.role == .slice
                || marker == .lastAndSupplement && part.role == .supplement
            if isMarked || part.role == .slice && rtp.marksSlice?(number, slice) == true {
                payloads[payloads.count - 1].isMarked = true
            }
            if part.role == .slice { slice += 1 }
        }
        sendTogether()
        if rtp.marker != .never, rtp.marksSlice == nil { payloads[payloads.count - 1].isMarked = true }
        return payloads
    }

    private func aggregate(_ units: [[UInt8]]) -> [UInt8] {
        let header: [UInt8] = format == .h265 ? [48 << 1, 1] : [0x78]
        return units.reduce(header) { $0 + big16($1.count) + $1 }
    }

    private func cut(_ unit: [UInt8]) -> [Payload] {
        guard unit.count > rtp.maximumPayloadBytes else { return [Payload(bytes: unit)] }
        let headerBytes = format == .h265 ? 2 : 1
        var payloads: [Payload] = []
        var start = headerBytes
        while start < unit.count {
            let end = min(start + rtp.maximumPayloadBytes - headerBytes - 1, unit.count)
            let isFirst = start == headerBytes
            let isLast = end == unit.count && !rtp.fragmentsHaveNoEnd
            payloads.append(Payload(bytes: fragment(unit, isFirst: isFirst, isLast: isLast) + unit[start..<end]))
            if isFirst, rtp.hasEmptyFragments {
                payloads.append(Payload(bytes: fragment(unit, isFirst: false, isLast: false)))
            }
            start = end
        }
        return payloads
    }

    private func fragment(_ unit: [UInt8], isFirst: Bool, isLast: Bool) -> [UInt8] {
        let flags: UInt8 = (isFirst ? 0x80 : 0) | (isLast ? 0x40 : 0)
        if format == .h265 {
            let type = rtp.fragmentsChangeType && !isFirst ? 1 : unit[0] >> 1 & 0x3F
            return [unit[0] & 0x81 | 49 << 1, unit[1], flags | type]
        }
        let type = rtp.fragmentsChangeType && !isFirst ? 1 : unit[0] & 0x1F
        return [unit[0] & 0xE0 | 28, flags | type]
    }

    // MARK: JPEG and AAC

    private func scan(_ number: Int, _ bytes: [UInt8]) -> [Payload] {
        let format = picture(number)
        // Each third picture has restart markers, which the header announces.
        let hasRestarts = number % 3 == 1
        var payloads: [Payload] = []
        var start = 0
        while start < bytes.count {
            var payload = [0, UInt8(start >> 16), UInt8(start >> 8 & 0xFF), UInt8(start & 0xFF)]
            payload += [hasRestarts ? 65 : 1, 255, UInt8(format.widthPx / 8), UInt8(format.heightPx / 8)]
            if hasRestarts { payload += [0, 4, 0xFF, 0xFF] }
            if start == 0 { payload += [0, 0, 0, 128] + Self.quantisation(number) }
            let end = min(start + max(1, rtp.maximumPayloadBytes - payload.count), bytes.count)
            payloads.append(Payload(bytes: payload + bytes[start..<end]))
            start = end
        }
        payloads[payloads.count - 1].isMarked = rtp.marker != .never
        return payloads
    }

    /// Frames of AAC behind their headers; one that is too long in fragments.
    func sounds(_ frames: [[UInt8]]) -> [Payload] {
        let headers = frames.flatMap { big16($0.count << 3) }
        let whole = big16(frames.count * 16) + headers + frames.joined()
        guard frames.count == 1, whole.count > rtp.maximumPayloadBytes else {
            return [Payload(bytes: whole, isMarked: true)]
        }
        var payloads: [Payload] = []
        for start in stride(from: 0, to: frames[0].count, by: max(1, rtp.maximumPayloadBytes - 4)) {
            let end = min(start + rtp.maximumPayloadBytes - 4, frames[0].count)
            payloads.append(Payload(bytes: big16(16) + headers + frames[0][start..<end]))
        }
        payloads[payloads.count - 1].isMarked = true
        return payloads
    }
}
