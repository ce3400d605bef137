// H.264 (RFC 6184) and H.265 (RFC 7798) to RTP: a NAL unit that fits is a packet, a longer one is cut into fragmentation units
// (FU-A, FU). The parameter sets go before each keyframe, so that whoever joins late can begin there.

import Media

/// Access units to RTP payloads.
struct NALPacketizer: Packetizer {
    private let codec: Codec
    /// Of a NAL unit: gone in a fragment, whose own header restates it.
    private let headerBytes: Int

    /// - Parameter codec: H.264 or H.265.
    init(_ codec: Codec) {
        self.codec = codec
        headerBytes = codec == .h264 ? 1 : 2
    }

    func cut(_ packet: MediaPacket, deliver: (RTPPayload) -> Void) throws(MediaError) {
        // Not in the closure: it could not throw this type.
        let found = packet.bytes.withUnsafeBytes { bytes in
            AnnexB.lengthPrefixedUnits(in: bytes)?.filter { range in
                isCarried(UnsafeRawBufferPointer(rebasing: bytes[range]))
            }
        }
        guard let found else {
            throw MediaError("an access unit of \(packet.sizeBytes) bytes is not NAL units behind their lengths")
        }
        // Without a unit there is nothing to mark, and nothing that sets would be for.
        guard let last = found.last else { return }
        if packet.isKeyframe {
            let configuration = packet.configuration
            let sets =
                configuration.videoParameterSets + configuration.sequenceParameterSets
                + configuration.pictureParameterSets
            for set in sets { set.withUnsafeBytes { if isCarried($0) { cut($0, marksEnd: false, deliver) } } }
        }
        packet.bytes.withUnsafeBytes { bytes in
            for range in found {
                cut(UnsafeRawBufferPointer(rebasing: bytes[range]), marksEnd: range == last, deliver)
            }
        }
    }

    /// The types above mean something else in RTP, and nothing to a decoder; type 0 of H.264 is none.
    private func isCarried(_ unit: UnsafeRawBufferPointer) -> Bool {
        guard unit.count >= headerBytes else { return false }
        return codec == .h264 ? (1...23).contains(unit[0] & 0x1F) : unit[0] >> 1 & 0x3F < 48
    }

    private func cut(_ unit: UnsafeRawBufferPointer, marksEnd: Bool, _ deliver: (RTPPayload) -> Void) {
        guard unit.count > Self.maximumPayloadBytes else {
            return deliver(RTPPayload(body: unit, marker: marksEnd))
        }
        let size = Self.maximumPayloadBytes - headerBytes - 1
        unit.dropping(headerBytes).pieces(of: size) { piece, isFirst, isLast in
            let flags: UInt8 = (isFirst ? 0x80 : 0) | (isLast ? 0x40 : 0)
            withUnsafeTemporaryAllocation(byteCount: headerBytes + 1, alignment: 1) { head in
                writeFragmentHeader(unit, flags: flags, to: head)
                deliver(RTPPayload(head: UnsafeRawBufferPointer(head), body: piece, marker: marksEnd && isLast))
            }
        }
    }

    /// The payload header, with the unit's own importance or layer, and the fragment's header with its type.
    private func writeFragmentHeader(
        _ unit: UnsafeRawBufferPointer, flags: UInt8, to head: UnsafeMutableRawBufferPointer
    ) {
        if codec == .h264 {
            head[0] = unit[0] & 0xE0 | 28
            head[1] = flags | unit[0] & 0x1F
        } else {
            head[0] = unit[0] & 0x81 | 49 << 1
            head[1] = unit[1]
            head[2] = flags | unit[0] >> 1 & 0x3F
        }
    }
}
