// What a picture is, what it is made of, and why none was made: the values that controller and media-worker exchange.
import Media

/// Formats of a snapshot. The raw values are those of the configuration.
public enum PictureFormat: String, Sendable, Hashable, CaseIterable {
    /// JPEG, with the quality given.
    case jpeg
    /// PNG, lossless.
    case png
    /// BMP, uncompressed.
    case bmp
    /// TIFF, lossless.
    case tiff

    /// File name extension without the dot.
    public var fileExtension: String {
        switch self {
        case .jpeg: "jpg"
        case .png: "png"
        case .bmp: "bmp"
        case .tiff: "tiff"
        }
    }

    /// The format of a name of the configuration, where jpg is jpeg and tif is tiff, small or capital; nil for another name.
    public init?(named name: String) {
        switch name.lowercased() {
        case "jpeg", "jpg": self = .jpeg
        case "png": self = .png
        case "bmp": self = .bmp
        case "tiff", "tif": self = .tiff
        default: return nil
        }
    }

    /// What MQTT and HTTP call it.
    public var mediaType: String { "image/\(rawValue)" }
}

/// A picture file in memory.
public struct Picture: Sendable, Hashable {
    /// Larger pictures are refused: 16384 on a side, 64 megapixels in all.
    public static let maximumSidePx = 16384
    /// See `maximumSidePx`.
    public static let maximumPixels = 64 << 20
    /// No picture file is larger: 64 megapixels of three bytes, and what a format adds where it cannot compress.
    public static let maximumBytes = 200 << 20
    /// The whole file.
    public let bytes: [UInt8]
    /// Width in pixels.
    public let widthPx: Int
    /// Height in pixels.
    public let heightPx: Int
    /// How it is coded.
    public let format: PictureFormat

    /// A picture from its parts.
    public init(bytes: [UInt8], widthPx: Int, heightPx: Int, format: PictureFormat) {
        self.bytes = bytes
        self.widthPx = widthPx
        self.heightPx = heightPx
        self.format = format
    }

    /// Whether a picture of this size is within the bounds. 0 on either side is not.
    public static func isAllowed(widthPx: Int, heightPx: Int) -> Bool {
        (1...maximumSidePx).contains(widthPx) && (1...maximumSidePx).contains(heightPx)
            && widthPx * heightPx <= maximumPixels
    }
}

/// What a picture is to be: its format, how well it is coded, and how large it may be.
public struct PictureStyle: Sendable, Hashable {
    /// JPEG quality where nothing is said: that of the library, hardly a visible loss, a quarter of the size of 95.
    public static let defaultQuality = 75

    /// How it is coded.
    public let format: PictureFormat
    /// 1 to 100; counts for JPEG only.
    public let quality: Int
    /// A wider picture is scaled down, in proportion; 0: as wide as it comes.
    public let maximumWidthPx: Int
    /// A higher picture is scaled down, in proportion; 0: as high as it comes.
    public let maximumHeightPx: Int

    /// Values out of their range are brought into it: quality 1 to 100, sizes 0 to `Picture.maximumSidePx`.
    public init(
        _ format: PictureFormat, quality: Int = defaultQuality, maximumWidthPx: Int = 0, maximumHeightPx: Int = 0
    ) {
        self.format = format
        self.quality = min(max(quality, 1), 100)
        self.maximumWidthPx = min(max(maximumWidthPx, 0), Picture.maximumSidePx)
        self.maximumHeightPx = min(max(maximumHeightPx, 0), Picture.maximumSidePx)
    }

    /// The size of a picture that comes in this size: never larger, in proportion, at least one pixel on a side.
    public func size(ofWidthPx widthPx: Int, heightPx: Int) -> (widthPx: Int, heightPx: Int) {
        func share(_ most: Int, _ side: Int) -> Double { most > 0 && side > most ? Double(most) / Double(side) : 1 }
        let share = min(share(maximumWidthPx, widthPx), share(maximumHeightPx, heightPx))
        func scaled(_ side: Int) -> Int { max(1, Int((Double(side) * share).rounded())) }
        return share < 1 ? (scaled(widthPx), scaled(heightPx)) : (widthPx, heightPx)
    }
}

/// Why no picture was made. Never holds data of the picture.
public struct PictureError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One word for programs.
    public enum Cause: String, Sendable, CaseIterable {
        /// Data that no picture can be made of.
        case corrupt
        /// Larger than allowed.
        case limit
        /// The codec library failed: no memory, no such encoder.
        case `internal`
        /// No media-worker could do it: it cannot be started, it ended, it was overloaded.
        case unavailable
        /// It took longer than allowed.
        case overdue
    }

    /// For programs.
    public let cause: Cause
    /// One sentence for a person.
    public let description: String

    /// An error with a sentence for a person.
    public init(_ cause: Cause, _ description: String) {
        self.cause = cause
        self.description = description
    }

    /// A picture of this size is not made.
    public static func tooLarge(widthPx: Int, heightPx: Int) -> PictureError {
        PictureError(
            .limit, "a picture of \(widthPx) x \(heightPx) is larger than 64 megapixels or 16384 on a side")
    }
}

/// One keyframe and what shall become of it. Every value is within its bounds.
public struct PictureRequest: Sendable {
    /// Of a packet: what the assembler takes at most.
    public static let maximumPacketBytes = VideoAssembler.maximumUnitBytes
    /// Of a decoder configuration: real ones have less than a kilobyte.
    public static let maximumConfigurationBytes = 1 << 20

    /// A video codec.
    public let codec: Codec
    /// Content of avcC or hvcC; empty for Motion JPEG.
    public let decoderConfiguration: [UInt8]
    /// Width as the stream states it; 0 where it does not.
    public let widthPx: Int
    /// Height as the stream states it; 0 where it does not.
    public let heightPx: Int
    /// The keyframe, as `MediaPacket.bytes` has it.
    public let packet: PacketBytes
    /// What is wanted.
    public let style: PictureStyle

    /// A request from its parts. Throws `corrupt` for what is no picture and `limit` for what is too large.
    public init(
        codec: Codec, decoderConfiguration: [UInt8], widthPx: Int, heightPx: Int, packet: PacketBytes,
        style: PictureStyle
    ) throws(PictureError) {
        guard codec.kind == .video, packet.count > 0 else {
            throw PictureError(.corrupt, "a picture can only be made of a video keyframe")
        }
        guard packet.count <= Self.maximumPacketBytes else {
            throw PictureError(.limit, "a keyframe of \(packet.count) bytes is larger than 32 MiB")
        }
        guard decoderConfiguration.count <= Self.maximumConfigurationBytes else {
            throw PictureError(
                .limit, "a decoder configuration of \(decoderConfiguration.count) bytes is larger than 1 MiB")
        }
        guard (widthPx == 0 && heightPx == 0) || Picture.isAllowed(widthPx: widthPx, heightPx: heightPx) else {
            throw PictureError.tooLarge(widthPx: widthPx, heightPx: heightPx)
        }
        self.codec = codec
        self.decoderConfiguration = decoderConfiguration
        self.widthPx = widthPx
        self.heightPx = heightPx
        self.packet = packet
        self.style = style
    }

    /// Of a packet of a camera; throws `corrupt` where it is no keyframe of video.
    public init(_ keyframe: MediaPacket, _ style: PictureStyle) throws(PictureError) {
        guard keyframe.isKeyframe else {
            throw PictureError(.corrupt, "a picture can only be made of a video keyframe")
        }
        try self.init(
            codec: keyframe.configuration.codec, decoderConfiguration: keyframe.configuration.decoderConfiguration,
            widthPx: keyframe.configuration.widthPx, heightPx: keyframe.configuration.heightPx, packet: keyframe.bytes,
            style: style)
    }
}
