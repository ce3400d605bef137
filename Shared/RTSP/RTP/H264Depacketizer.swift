// H.264 (RFC 6184): single NAL units, STAP-A and FU-A, which are packetization modes 0 and 1. The interleaved mode 2 is
// never offered by cameras; its packets are counted as malformed.

import Media

/// RTP payloads of H.264 to access units.
public struct H264Depacketizer: Depacketizer {
    private var assembly = NALAssembly(codec: .h264)

    /// Nothing seen.
    public init() {}

    /// What happened so far.
    public var counters: DepacketizerCounters { assembly.counters }

    /// Takes the next packet.
    public mutating func take(_ packet: RTPPacket, deliver: (DepacketizedUnit) -> Void) {
        assembly.begin(packet.timestamp, deliver: deliver)
        let payload = packet.payload
        if let first = payload.first {
            switch first & 0x1F {
            case 24: takeAggregate(payload.dropping(1))
            case 28: takeFragment(payload)
            // 0 is no type, but what Annex B begins with.
            case 0...23: assembly.append(payload)
            default: assembly.malformed()
            }
        }
        if packet.marker { assembly.mark(deliver: deliver) }
    }

    /// Packets are missing before the next one.
    public mutating func lose() { assembly.lose() }

    /// Nothing comes for now.
    public mutating func settle(deliver: (DepacketizedUnit) -> Void) { assembly.settle(deliver: deliver) }

    /// The stream is over.
    public mutating func flush(deliver: (DepacketizedUnit) -> Void) { assembly.flush(deliver: deliver) }

    private mutating func takeAggregate(_ content: UnsafeRawBufferPointer) {
        var index = 0
        while content.count - index >= 2 {
            let size = Int(content.big16(index))
            index += 2
            guard size <= content.count - index else { return assembly.malformed() }
            assembly.append(UnsafeRawBufferPointer(rebasing: content[index..<index + size]))
            index += size
        }
    }

    private mutating func takeFragment(_ payload: UnsafeRawBufferPointer) {
        guard payload.count >= 2 else { return assembly.malformed() }
        let header = payload[1]
        if header & 0x80 != 0 {
            assembly.beginUnit()
            // Tiandy changes the type in later fragments: that of the first one holds.
            withUnsafeBytes(of: payload[0] & 0xE0 | header & 0x1F) { assembly.extend($0) }
        } else if !assembly.isUnitOpen {
            return assembly.tear()
        }
        assembly.extend(payload.dropping(2))
        if header & 0x40 != 0 { assembly.endUnit() }
    }
}
