// H.265 (RFC 7798): single NAL units, aggregation packets and fragmentation units, with and without decoding order numbers
// (sprop-max-don-diff above 0). Packets are taken in transmission order, which is decoding order for every camera.

import Media

/// RTP payloads of H.265 to access units.
public struct H265Depacketizer: Depacketizer {
    private var assembly = NALAssembly(codec: .hevc)
    private let donBytes: Int

    /// `maximumDONDifference`: sprop-max-don-diff of the track's description, 0 where it has none.
    public init(maximumDONDifference: Int = 0) {
        donBytes = maximumDONDifference > 0 ? 2 : 0
    }

    /// What happened so far.
    public var counters: DepacketizerCounters { assembly.counters }

    /// Takes the next packet.
    public mutating func take(_ packet: RTPPacket, deliver: (DepacketizedUnit) -> Void) {
        assembly.begin(packet.timestamp, deliver: deliver)
        let payload = packet.payload
        if payload.count >= 2 {
            switch payload[0] >> 1 & 0x3F {
            case 48: takeAggregate(payload)
            case 49: takeFragment(payload)
            // PACI and what was never assigned.
            case 50...63: assembly.malformed()
            default: takeSingle(payload)
            }
        } else if !payload.isEmpty {
            assembly.malformed()
        }
        if packet.marker { assembly.mark(deliver: deliver) }
    }

    /// Packets are missing before the next one.
    public mutating func lose() { assembly.lose() }

    /// Nothing comes for now.
    public mutating func settle(deliver: (DepacketizedUnit) -> Void) { assembly.settle(deliver: deliver) }

    /// The stream is over.
    public mutating func flush(deliver: (DepacketizedUnit) -> Void) { assembly.flush(deliver: deliver) }

    private mutating func takeSingle(_ payload: UnsafeRawBufferPointer) {
        guard payload.count >= 2 + donBytes else { return assembly.malformed() }
        guard donBytes > 0 else { return assembly.append(payload) }
        assembly.beginUnit()
        assembly.extend(UnsafeRawBufferPointer(rebasing: payload[0..<2]))
        assembly.extend(payload.dropping(2 + donBytes))
        assembly.endUnit()
    }

    private mutating func takeAggregate(_ payload: UnsafeRawBufferPointer) {
        var index = 2 + donBytes
        while payload.count - index >= 2 {
            let size = Int(payload.big16(index))
            index += 2
            guard size <= payload.count - index else { return assembly.malformed() }
            assembly.append(UnsafeRawBufferPointer(rebasing: payload[index..<index + size]))
            // The units after the first have a difference of one byte before their size.
            index += size + donBytes / 2
        }
    }

    private mutating func takeFragment(_ payload: UnsafeRawBufferPointer) {
        let isStart = payload.count > 2 && payload[2] & 0x80 != 0
        let start = 3 + (isStart ? donBytes : 0)
        guard payload.count >= start else { return assembly.malformed() }
        let header = payload[2]
        if isStart {
            assembly.beginUnit()
            let type = payload[0] & 0x81 | (header & 0x3F) << 1
            withUnsafeBytes(of: (type, payload[1])) { assembly.extend($0) }
        } else if !assembly.isUnitOpen {
            return assembly.tear()
        }
        assembly.extend(payload.dropping(start))
        if header & 0x40 != 0 { assembly.endUnit() }
    }
}
