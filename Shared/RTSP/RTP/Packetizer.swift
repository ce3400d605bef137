// The way back of Depacketizer.swift: media packets go in, RTP payloads come out. RTPTrackWriter puts the headers before them.
//
//   NALPacketizer (H.264, H.265) · JPEGPacketizer · AACPacketizer · PCMPacketizer

import Media

/// One RTP packet's content. `head` and `body` are borrowed for the duration of the call: a stream has hundreds of packets a
/// second, and none of them needs memory of its own.
struct RTPPayload {
    /// The payload format's own header.
    var head = UnsafeRawBufferPointer(start: nil, count: 0)
    var body: UnsafeRawBufferPointer
    var marker = false
    /// Ticks of the payload's clock behind the media packet's time.
    var offsetTicks: UInt32 = 0
}

/// A payload format.
protocol Packetizer: Sendable {
    /// Cuts a packet into payloads of at most `maximumPayloadBytes`. One that the format cannot carry is refused before the
    /// first payload.
    mutating func cut(_ packet: MediaPacket, deliver: (RTPPayload) -> Void) throws(MediaError)
}

extension Packetizer {
    /// With the headers of RTP, UDP and IPv6 (60 bytes) it passes every network that carries Ethernet frames, a tunnel's 40
    /// bytes included: a server may hand the packets on as they are.
    static var maximumPayloadBytes: Int { 1_400 }
}

/// The packetizer of a codec.
enum Packetizers {
    static func of(_ configuration: CodecConfiguration) -> any Packetizer {
        switch configuration.codec {
        case .h264, .hevc: NALPacketizer(configuration.codec)
        case .mjpeg: JPEGPacketizer()
        case .aac: AACPacketizer()
        case .pcmu, .pcma, .l16: PCMPacketizer(configuration)
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Pieces of at most `size` bytes, in order, and whether each is the first and the last one. None of no bytes.
    func pieces(of size: Int, _ body: (_ piece: UnsafeRawBufferPointer, _ isFirst: Bool, _ isLast: Bool) -> Void) {
        var start = 0
        while start < count {
            let end = Swift.min(start + size, count)
            body(UnsafeRawBufferPointer(rebasing: self[start..<end]), start == 0, end == count)
            start = end
        }
    }
}
