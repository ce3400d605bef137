// Sound to RTP: AAC frames behind AU headers (RFC 3640, AAC-hbr), and runs of samples as they are (RFC 3551).

import Media

/// AAC frames, one in each packet; one that is too long for a packet goes in fragments.
struct AACPacketizer: Packetizer {
    /// What the size field of 13 bits can say.
    static let maximumFrameBytes = 0x1FFF
    /// The length of the headers in bits, and one header: size, and index 0.
    private static let headBytes = 4

    func cut(_ packet: MediaPacket, deliver: (RTPPayload) -> Void) throws(MediaError) {
        let size = packet.sizeBytes
        guard size <= Self.maximumFrameBytes else {
            throw MediaError("an AAC frame has \(size) bytes; RTP carries at most \(Self.maximumFrameBytes)")
        }
        // Each fragment states the size of the whole (RFC 3640, section 3.2.3).
        let head: [UInt8] = [0, 16, UInt8(size >> 5), UInt8(size & 0x1F) << 3]
        head.withUnsafeBytes { head in
            packet.bytes.withUnsafeBytes { bytes in
                bytes.pieces(of: Self.maximumPayloadBytes - Self.headBytes) { piece, _, isLast in
                    deliver(RTPPayload(head: head, body: piece, marker: isLast))
                }
            }
        }
    }
}

/// Samples of PCMU, PCMA and L16.
struct PCMPacketizer: Packetizer {
    private let frameBytes: Int

    init(_ configuration: CodecConfiguration) {
        frameBytes = max(1, configuration.pcmFrameBytes)
    }

    func cut(_ packet: MediaPacket, deliver: (RTPPayload) -> Void) throws(MediaError) {
        packet.bytes.withUnsafeBytes { bytes in
            // Half a sample would shift all that follow.
            let whole = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - bytes.count % frameBytes)])
            var sent = 0
            // No marker: it would say that a silence ended (RFC 3551, section 4.1).
            whole.pieces(of: Self.maximumPayloadBytes / frameBytes * frameBytes) { piece, _, _ in
                deliver(RTPPayload(body: piece, offsetTicks: UInt32(truncatingIfNeeded: sent)))
                sent += piece.count / frameBytes
            }
        }
    }
}
