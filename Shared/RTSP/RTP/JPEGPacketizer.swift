// Motion JPEG (RFC 2435) to RTP: the scan data, with an 8-byte header in each packet and the quantisation tables in the first.
// The receiver makes the rest of the picture's header again, so only pictures whose header says nothing else can go: JPEGScan
// (JPEGScan.swift) refuses the others.

import Media

/// Pictures to RTP payloads.
struct JPEGPacketizer: Packetizer {
    func cut(_ packet: MediaPacket, deliver: (RTPPayload) -> Void) throws(MediaError) {
        // Not in the closure: it could not throw this type.
        let read = packet.bytes.withUnsafeBytes { bytes in
            Result<JPEGScan, MediaError> { () throws(MediaError) in try JPEGScan(bytes) }
        }
        let scan = try read.get()
        let main: [UInt8] = [
            // Types from 64 on have restart markers.
            scan.type | (scan.restartInterval > 0 ? 64 : 0),
            // The tables may change with each picture, and are with it.
            255, Self.eighth(scan.widthPx), Self.eighth(scan.heightPx),
        ]
        // Count 0x3FFF: a packet may begin anywhere between the markers, whole pictures are put together (section 3.1.7).
        let restart: [UInt8] =
            scan.restartInterval > 0 ? UInt16(scan.restartInterval).networkBytes + [0xFF, 0xFF] : []
        let tables = [0, scan.precision] + UInt16(scan.tables.count).networkBytes + scan.tables
        packet.bytes.withUnsafeBytes { bytes in
            let data = UnsafeRawBufferPointer(rebasing: bytes[scan.data])
            var sent = 0
            while sent < data.count {
                // The type-specific byte in front of its 24 bits is 0: the picture is no field.
                let offset = UInt32(sent).networkBytes
                let head = offset + main + restart + (sent == 0 ? tables : [])
                let end = min(sent + Self.maximumPayloadBytes - head.count, data.count)
                head.withUnsafeBytes { head in
                    deliver(
                        RTPPayload(
                            head: head, body: UnsafeRawBufferPointer(rebasing: data[sent..<end]),
                            marker: end == data.count))
                }
                sent = end
            }
        }
    }

    /// The header's unit; 0 says that the size is in the description. A rest is the picture's own padding, which it has up to
    /// a multiple of 16.
    private static func eighth(_ sizePx: Int) -> UInt8 {
        sizePx > JPEGScan.maximumHeaderPx ? 0 : UInt8((sizePx + 7) / 8)
    }
}
