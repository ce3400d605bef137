// PCMU, PCMA and L16 (RFC 3551): a packet is a run of samples. Loss is silence; the next packet's time says how long.

import Media

/// RTP payloads of uncompressed audio, as they are.
public struct PCMDepacketizer: Depacketizer {
    /// What happened so far.
    public private(set) var counters = DepacketizerCounters()
    private let frameBytes: Int

    /// `frameBytes`: bytes per sample of all channels (`CodecConfiguration.pcmFrameBytes`).
    public init(frameBytes: Int) {
        self.frameBytes = max(1, frameBytes)
    }

    /// Takes the next packet.
    public mutating func take(_ packet: RTPPacket, deliver: (DepacketizedUnit) -> Void) {
        let whole = packet.payload.count - packet.payload.count % frameBytes
        if whole != packet.payload.count { counters.malformed += 1 }
        guard whole > 0 else { return }
        counters.units += 1
        deliver(.audio(UnsafeRawBufferPointer(rebasing: packet.payload[0..<whole]), timestamp: packet.timestamp))
    }

    /// Packets are missing before the next one.
    public mutating func lose() {}

    /// The stream is over.
    public mutating func flush(deliver: (DepacketizedUnit) -> Void) {}
}
