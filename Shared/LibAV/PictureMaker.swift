// One keyframe to one picture file: decode, convert, encode, by libavcodec and libswscale. Blocking and busy (some 20 ms of
// a core for 1080p): call it on a thread of its own, never on Swift's cooperative pool.
//
// Ownership: every libav object is made and freed inside one call of `picture`; CodecContext.swift holds the pairs.
import CLibAV
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

    /// What MQTT and HTTP call it.
    public var mediaType: String { "image/\(rawValue)" }
}

/// A picture file in memory.
public struct Picture: Sendable {
    /// The whole file.
    public let bytes: [UInt8]
    /// Width in pixels.
    public let widthPx: Int
    /// Height in pixels.
    public let heightPx: Int
    /// How it is coded.
    public let format: PictureFormat
}

/// Makes pictures of keyframes.
public enum PictureMaker {
    /// Larger pictures are refused: 16384 on a side, 64 megapixels in all.
    public static let maximumSidePx = 16384
    /// See `maximumSidePx`.
    public static let maximumPixels = 64 << 20
    /// JPEG quality where nothing is said: no visible loss, a third of the size of 95.
    public static let defaultQuality = 85

    /// Decodes `keyframe` and encodes it. `quality` (1 to 100) counts for JPEG only. Throws `corrupt` for data that cannot
    /// be decoded without error, `limit` for pictures too large. A Motion JPEG picture asked for as JPEG is handed on as it is.
    public static func picture(
        of keyframe: MediaPacket, format: PictureFormat, quality: Int = defaultQuality
    ) throws(LibAVError) -> Picture {
        LibAVLog.silence()
        guard keyframe.kind == .video, keyframe.isKeyframe else {
            throw LibAVError(.corrupt, "a picture can only be made of a video keyframe")
        }
        let decoded = try PictureFrame()
        try decode(keyframe, into: decoded)
        let width = Int(decoded.frame.pointee.width)
        let height = Int(decoded.frame.pointee.height)
        guard width > 0, height > 0, width <= maximumSidePx, height <= maximumSidePx, width * height <= maximumPixels
        else {
            throw LibAVError(
                .limit, "a picture of \(width) x \(height) is larger than 64 megapixels or 16384 on a side")
        }
        if keyframe.configuration.codec == .mjpeg && format == .jpeg {
            // Decoded only to know that it is whole: coding it again would lose quality.
            return Picture(bytes: keyframe.bytes.array, widthPx: width, heightPx: height, format: format)
        }
        let converted = try PictureFrame()
        try convert(decoded, into: converted, to: PictureCoding(format))
        let bytes = try encode(converted, PictureCoding(format), quality: min(max(quality, 1), 100))
        return Picture(bytes: bytes, widthPx: width, heightPx: height, format: format)
    }

    private static func decode(_ keyframe: MediaPacket, into target: PictureFrame) throws(LibAVError) {
        if keyframe.configuration.codec == .mjpeg && !keyframe.bytes.withUnsafeBytes(JPEGHeader.isWhole) {
            throw LibAVError(.corrupt, "the JPEG picture is cut off")
        }
        let decoder = try CodecContext(decoderOf: keyframe.configuration)
        let packet = try PacketBuffer(copying: keyframe.bytes)
        let sent = avcodec_send_packet(decoder.context, packet.packet)
        let flushed = avcodec_send_packet(decoder.context, nil)
        let received = avcodec_receive_frame(decoder.context, target.frame)
        guard sent >= 0, flushed >= 0, received >= 0 else {
            let code = sent < 0 ? sent : received
            throw LibAVError(.corrupt, "the keyframe cannot be decoded (\(AVFailure.text(code)))")
        }
        guard target.frame.pointee.decode_error_flags == 0, target.frame.pointee.flags & AV_FRAME_FLAG_CORRUPT == 0
        else {
            throw LibAVError(.corrupt, "the keyframe is damaged: parts of the picture are missing")
        }
    }

    private static func convert(
        _ source: PictureFrame, into target: PictureFrame, to coding: PictureCoding
    ) throws(LibAVError) {
        let from = source.frame
        let to = target.frame
        to.pointee.width = from.pointee.width
        to.pointee.height = from.pointee.height
        to.pointee.format = coding.pixelFormat.rawValue
        guard av_frame_get_buffer(to, 0) >= 0 else { throw LibAVError(.internal, "no memory for a picture") }
        let sourceFormat = AVPixelFormat(from.pointee.format)
        guard
            let scaler = sws_getContext(
                from.pointee.width, from.pointee.height, sourceFormat, to.pointee.width, to.pointee.height,
                coding.pixelFormat, SWS_BICUBIC | Int32(SWS_ACCURATE_RND) | Int32(SWS_FULL_CHR_H_INT), nil, nil, nil)
        else { throw LibAVError(.corrupt, "pictures in this pixel format cannot be converted") }
        defer { sws_freeContext(scaler) }
        // JPEG files and RGB are full range; JPEG's colours are BT.601 by definition. Cameras that do not say mean 709 from 720 lines on.
        let stated = from.pointee.colorspace
        let isUnstated = stated == AVCOL_SPC_UNSPECIFIED || stated == AVCOL_SPC_RGB
        let sourceSpace =
            isUnstated ? (from.pointee.height >= 720 ? SWS_CS_ITU709 : SWS_CS_ITU601) : Int32(stated.rawValue)
        let isFull = from.pointee.color_range == AVCOL_RANGE_JPEG || PictureCoding.isFullRange(sourceFormat)
        _ = sws_setColorspaceDetails(
            scaler, sws_getCoefficients(sourceSpace), isFull ? 1 : 0, sws_getCoefficients(SWS_CS_ITU601), 1, 0, 1 << 16,
            1 << 16)
        guard sws_scale_frame(scaler, to, from) >= 0 else {
            throw LibAVError(.internal, "a picture cannot be converted")
        }
        to.pointee.color_range = AVCOL_RANGE_JPEG
        to.pointee.pts = 0
    }

    private static func encode(
        _ source: PictureFrame, _ coding: PictureCoding, quality: Int
    ) throws(LibAVError) -> [UInt8] {
        // libav's scale for JPEG goes from 2 (best) to 31.
        let scale = Int32(2 + (100 - quality) * 29 / 99)
        source.frame.pointee.quality = sg_av_quality(scale)
        let encoder = try CodecContext(encoder: coding, like: source, scale: scale)
        let packet = try PacketBuffer()
        let sent = avcodec_send_frame(encoder.context, source.frame)
        let flushed = avcodec_send_frame(encoder.context, nil)
        let received = avcodec_receive_packet(encoder.context, packet.packet)
        guard sent >= 0, flushed >= 0, received >= 0, let data = packet.packet.pointee.data else {
            throw LibAVError(.internal, "a picture cannot be encoded (\(AVFailure.text(min(sent, received))))")
        }
        return Array(UnsafeBufferPointer(start: data, count: Int(packet.packet.pointee.size)))
    }
}
