// One RTP packet (RFC 3550 5.1) as a view of the receive buffer: every length is checked once, here, and nothing is copied.
//
//   RTPPacket, RTPSequence, RTPClock   header, sequence numbers and timestamps beyond their wrap
//   RTPReorderBuffer                   packets of UDP in order, and where some are missing
//   *Depacketizer                      payloads to access units and audio frames (Depacketizer.swift has the shape)
//   RTCP*, SenderClock                 reports in both directions, and the sender's wall clock
//   *Packetizer, RTPTrackWriter        media packets to RTP packets, for what is published

/// Why bytes are no RTP packet.
public enum RTPError: Error, Sendable, Hashable {
    /// Fewer bytes than the header, its CSRC list or its extension says.
    case truncated
    /// The version is not 2.
    case version(UInt8)
    /// The padding is empty or longer than what is left.
    case padding
}

/// A borrowed packet; valid as long as the bytes it was made of.
public struct RTPPacket {
    /// The marker bit; its meaning is the payload's.
    public let marker: Bool
    /// Payload type, 0 to 127.
    public let payloadType: UInt8
    /// The 16 bits of the header; see `RTPSequence`.
    public let sequenceNumber: UInt16
    /// The 32 bits of the header, in ticks of the payload's clock; see `RTPClock`.
    public let timestamp: UInt32
    /// The source.
    public let ssrc: UInt32
    /// Contributing sources, 0 to 15; nobody needs which.
    public let contributorCount: Int
    /// The extension's profile and content, where there is one (ONVIF replay puts its times there).
    public let headerExtension: (profile: UInt16, content: UnsafeRawBufferPointer)?
    /// What follows the header, without padding. May be empty.
    public let payload: UnsafeRawBufferPointer

    /// Reads the header of a whole packet.
    public init(_ bytes: UnsafeRawBufferPointer) throws(RTPError) {
        guard bytes.count >= 12 else { throw .truncated }
        guard bytes[0] >> 6 == 2 else { throw .version(bytes[0] >> 6) }
        contributorCount = Int(bytes[0] & 0x0F)
        var start = 12 + 4 * contributorCount
        var end = bytes.count
        guard start <= end else { throw .truncated }
        if bytes[0] & 0x10 != 0 {
            guard end - start >= 4 else { throw .truncated }
            let length = 4 * Int(bytes.big16(start + 2))
            guard length <= end - start - 4 else { throw .truncated }
            let content = UnsafeRawBufferPointer(rebasing: bytes[start + 4..<start + 4 + length])
            headerExtension = (bytes.big16(start), content)
            start += 4 + length
        } else {
            headerExtension = nil
        }
        if bytes[0] & 0x20 != 0 {
            let padding = Int(bytes[end - 1])
            guard padding > 0, padding <= end - start else { throw .padding }
            end -= padding
        }
        marker = bytes[1] & 0x80 != 0
        payloadType = bytes[1] & 0x7F
        sequenceNumber = bytes.big16(2)
        timestamp = bytes.big32(4)
        ssrc = bytes.big32(8)
        payload = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
    }
}

extension UnsafeRawBufferPointer {
    /// Two bytes in network order. The caller has checked the length.
    func big16(_ offset: Int) -> UInt16 { UInt16(self[offset]) << 8 | UInt16(self[offset + 1]) }

    /// Four bytes in network order. The caller has checked the length.
    func big32(_ offset: Int) -> UInt32 { UInt32(big16(offset)) << 16 | UInt32(big16(offset + 2)) }

    /// What follows the first `count` bytes; empty where there are no more.
    func dropping(_ count: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self.dropFirst(count)) }
}

extension FixedWidthInteger where Self: UnsignedInteger {
    /// The bytes in network order.
    var networkBytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }
}
