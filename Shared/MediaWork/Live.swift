// Video that is decoded on, packet by packet, for as long as its task runs: pictures of any frame, or a stream coded anew. The values
// that controller and media-worker exchange for it. LiveCoder.swift carries them.
import Media

/// What becomes of the frames.
public enum LiveOrder: Sendable, Hashable {
    /// A picture of each that is wanted.
    case pictures(PictureStyle)
    /// Another stream of all of them.
    case stream(StreamCoding)
}

/// How a stream is coded anew.
public struct StreamCoding: Sendable, Hashable {
    /// The fastest that is coded.
    public static let fastestMillihertz: UInt32 = 60_000

    /// H.264 or H.265.
    public let codec: Codec
    /// A wider picture is scaled down, in proportion; 0: as wide as it comes.
    public let maximumWidthPx: Int
    /// A higher picture is scaled down, in proportion; 0: as high as it comes.
    public let maximumHeightPx: Int
    /// At most so many pictures in a thousand seconds; 0: all of them.
    public let maximumMillihertz: UInt32
    /// Bits per second; 0: what its size and pace need.
    public let bitRateBps: UInt32

    /// A coding from its parts; nil for another codec. Values out of their range are brought into it.
    public init?(
        _ codec: Codec, maximumWidthPx: Int = 0, maximumHeightPx: Int = 0, maximumMillihertz: UInt32 = 0,
        bitRateBps: UInt32 = 0
    ) {
        guard codec == .h264 || codec == .hevc else { return nil }
        self.codec = codec
        self.maximumWidthPx = min(max(maximumWidthPx, 0), Picture.maximumSidePx)
        self.maximumHeightPx = min(max(maximumHeightPx, 0), Picture.maximumSidePx)
        self.maximumMillihertz = min(maximumMillihertz, Self.fastestMillihertz)
        self.bitRateBps = bitRateBps
    }

    /// The size of a picture that comes in this size: never larger, in proportion, and even, as 4:2:0 needs it.
    public func size(ofWidthPx widthPx: Int, heightPx: Int) -> (widthPx: Int, heightPx: Int) {
        let style = PictureStyle(.jpeg, maximumWidthPx: maximumWidthPx, maximumHeightPx: maximumHeightPx)
        let size = style.size(ofWidthPx: widthPx, heightPx: heightPx)
        return (max(2, size.widthPx & ~1), max(2, size.heightPx & ~1))
    }
}

/// A packet that is decoded.
public struct LivePacket: Sendable {
    /// Ticks per second of `ptsTicks`.
    public static let timescale: UInt32 = 90_000

    /// Its bytes, as `MediaPacket.bytes` has them.
    public let packet: PacketBytes
    /// A video codec.
    public let codec: Codec
    /// Content of avcC or hvcC; empty for Motion JPEG.
    public let decoderConfiguration: [UInt8]
    /// Width as the stream states it; 0 where it does not.
    public let widthPx: Int
    /// Height as the stream states it; 0 where it does not.
    public let heightPx: Int
    /// When it is shown. What comes back has the time of its frame.
    public let ptsTicks: Int64
    /// It is a keyframe, and those before it are not all of the stream.
    public let startsAnew: Bool
    /// A picture of its frame is wanted.
    public let isWanted: Bool

    /// Of a packet of a camera; nil for what no decoder can take.
    public init?(_ packet: MediaPacket, startsAnew: Bool, isWanted: Bool) {
        let configuration = packet.configuration
        self.init(
            codec: configuration.codec, decoderConfiguration: configuration.decoderConfiguration,
            widthPx: configuration.widthPx, heightPx: configuration.heightPx, packet: packet.bytes,
            ptsTicks: rescale(packet.ptsTicks, from: configuration.timescale, to: Self.timescale),
            startsAnew: startsAnew, isWanted: isWanted)
    }

    /// A packet from its parts; nil for what no decoder can take.
    public init?(
        codec: Codec, decoderConfiguration: [UInt8], widthPx: Int, heightPx: Int, packet: PacketBytes, ptsTicks: Int64,
        startsAnew: Bool, isWanted: Bool
    ) {
        guard codec.kind == .video, (1...PictureRequest.maximumPacketBytes).contains(packet.count),
            decoderConfiguration.count <= PictureRequest.maximumConfigurationBytes,
            (widthPx == 0 && heightPx == 0) || Picture.isAllowed(widthPx: widthPx, heightPx: heightPx)
        else { return nil }
        self.codec = codec
        self.decoderConfiguration = decoderConfiguration
        self.widthPx = widthPx
        self.heightPx = heightPx
        self.packet = packet
        self.ptsTicks = ptsTicks
        self.startsAnew = startsAnew
        self.isWanted = isWanted
    }
}
