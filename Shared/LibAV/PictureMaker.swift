// One keyframe to one picture file: decode, convert, encode, by libavcodec, libswscale and libjpeg-turbo. Blocking and busy (some 20 ms of
// a core for 1080p). Only the media-worker calls it: what a camera sends is read by C code, which may crash on it.
//
// Ownership: every libav object is made and freed inside one call of `picture`; CodecContext.swift holds the pairs.
import CColours
import CLibAV
import Media
import MediaWork

/// Makes pictures of keyframes.
public enum PictureMaker {
    /// Loads what the first picture would load, for a process that gives up its rights before that.
    public static func prepare() {
        LibAVLog.silence()
        sg_av_keep_buffers()
    }

    /// Decodes the keyframe and encodes it as wanted. Throws `corrupt` for data that cannot be decoded without error, `limit`
    /// for pictures too large, `internal` where libav fails. A Motion JPEG picture asked for as JPEG is handed on as it is, unless
    /// it is to be smaller.
    public static func picture(for request: PictureRequest) throws(PictureError) -> Picture {
        LibAVLog.silence()
        // libav's own bound says no more than "invalid argument".
        if request.codec == .mjpeg, let header = request.packet.withUnsafeBytes({ JPEGHeader($0) }) {
            try check(header.widthPx, header.heightPx)
        }
        let decoded = try PictureFrame()
        try decode(request, into: decoded)
        let width = Int(decoded.frame.pointee.width)
        let height = Int(decoded.frame.pointee.height)
        let size = request.style.size(ofWidthPx: width, heightPx: height)
        if request.codec == .mjpeg && request.style.format == .jpeg && size == (width, height) {
            // Decoded only to know that it is whole: coding it again would lose quality.
            return Picture(bytes: request.packet.array, widthPx: width, heightPx: height, format: .jpeg)
        }
        return try picture(of: decoded, request.style)
    }

    /// Encodes a decoded frame as wanted.
    static func picture(of decoded: PictureFrame, _ style: PictureStyle) throws(PictureError) -> Picture {
        let width = Int(decoded.frame.pointee.width)
        let height = Int(decoded.frame.pointee.height)
        try check(width, height)
        let size = style.size(ofWidthPx: width, heightPx: height)
        let coding = PictureCoding(style.format)
        let converted = try PictureFrame()
        try convert(decoded, into: converted, of: size, to: coding)
        let bytes =
            style.format == .jpeg
            ? try JPEGCoding.encode(converted, quality: style.quality) : try encode(converted, coding)
        return Picture(bytes: bytes, widthPx: size.widthPx, heightPx: size.heightPx, format: style.format)
    }

    private static func check(_ width: Int, _ height: Int) throws(PictureError) {
        guard Picture.isAllowed(widthPx: width, heightPx: height) else {
            throw PictureError.tooLarge(widthPx: width, heightPx: height)
        }
    }

    private static func decode(_ request: PictureRequest, into target: PictureFrame) throws(PictureError) {
        if request.codec == .mjpeg && !request.packet.withUnsafeBytes(JPEGHeader.isWhole) {
            throw PictureError(.corrupt, "the JPEG picture is cut off")
        }
        let decoder = try CodecContext(decoderFor: DecoderSource(request), isAlone: true)
        let packet = try PacketBuffer(copying: request.packet)
        let sent = avcodec_send_packet(decoder.context, packet.packet)
        let flushed = avcodec_send_packet(decoder.context, nil)
        let received = avcodec_receive_frame(decoder.context, target.frame)
        guard sent >= 0, flushed >= 0, received >= 0 else {
            let code = sent < 0 ? sent : received
            throw PictureError(.corrupt, "the keyframe cannot be decoded (\(AVFailure.text(code)))")
        }
        guard target.isWhole else {
            throw PictureError(.corrupt, "the keyframe is damaged: parts of the picture are missing")
        }
    }

    private static func convert(
        _ source: PictureFrame, into target: PictureFrame, of size: (widthPx: Int, heightPx: Int),
        to coding: PictureCoding
    ) throws(PictureError) {
        let from = source.frame
        let to = target.frame
        to.pointee.width = Int32(size.widthPx)
        to.pointee.height = Int32(size.heightPx)
        to.pointee.format = coding.pixelFormat.rawValue
        guard av_frame_get_buffer(to, 0) >= 0 else { throw PictureError(.internal, "no memory for a picture") }
        let sourceFormat = AVPixelFormat(from.pointee.format)
        // JPEG files and RGB are full range; JPEG's colours are BT.601 by definition. Cameras that do not say mean 709 from 720 lines on.
        let stated = from.pointee.colorspace
        let isUnstated = stated == AVCOL_SPC_UNSPECIFIED || stated == AVCOL_SPC_RGB
        let sourceSpace =
            isUnstated ? (from.pointee.height >= 720 ? SWS_CS_ITU709 : SWS_CS_ITU601) : Int32(stated.rawValue)
        let isFull = from.pointee.color_range == AVCOL_RANGE_JPEG || PictureCoding.isFullRange(sourceFormat)
        defer {
            to.pointee.color_range = AVCOL_RANGE_JPEG
            to.pointee.pts = 0
        }
        let isSimple =
            [AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUVJ420P].contains(sourceFormat)
            && coding.pixelFormat == AV_PIX_FMT_YUVJ420P
            && to.pointee.width == from.pointee.width && to.pointee.height == from.pointee.height
        if isSimple, [SWS_CS_ITU709, SWS_CS_ITU601, SWS_CS_SMPTE170M].contains(sourceSpace) {
            var planes = (source.planes, target.planes)
            return sg_colours_to_jpeg(
                &planes.0, &planes.1, to.pointee.width, to.pointee.height, isFull ? 1 : 0,
                sourceSpace == SWS_CS_ITU709 ? 1 : 0)
        }
        guard
            let scaler = sws_getContext(
                from.pointee.width, from.pointee.height, sourceFormat, to.pointee.width, to.pointee.height,
                coding.pixelFormat, SWS_BICUBIC | Int32(SWS_ACCURATE_RND) | Int32(SWS_FULL_CHR_H_INT), nil, nil, nil)
        else { throw PictureError(.corrupt, "pictures in this pixel format cannot be converted") }
        defer { sws_freeContext(scaler) }
        _ = sws_setColorspaceDetails(
            scaler, sws_getCoefficients(sourceSpace), isFull ? 1 : 0, sws_getCoefficients(SWS_CS_ITU601), 1, 0, 1 << 16,
            1 << 16)
        guard sws_scale_frame(scaler, to, from) >= 0 else {
            throw PictureError(.internal, "a picture cannot be converted")
        }
    }

    private static func encode(_ source: PictureFrame, _ coding: PictureCoding) throws(PictureError) -> [UInt8] {
        let encoder = try CodecContext(encoder: coding, like: source)
        let packet = try PacketBuffer()
        let sent = avcodec_send_frame(encoder.context, source.frame)
        let flushed = avcodec_send_frame(encoder.context, nil)
        let received = avcodec_receive_packet(encoder.context, packet.packet)
        guard sent >= 0, flushed >= 0, received >= 0, let data = packet.packet.pointee.data else {
            throw PictureError(.internal, "a picture cannot be encoded (\(AVFailure.text(min(sent, received))))")
        }
        return Array(UnsafeBufferPointer(start: data, count: Int(packet.packet.pointee.size)))
    }
}

extension PictureFrame {
    /// Of a frame in 4:2:0; they live as long as the frame.
    fileprivate var planes: sg_colours_picture {
        let data = frame.pointee.data
        let strides = frame.pointee.linesize
        return sg_colours_picture(
            planes: (data.0, data.1, data.2), strides: (strides.0, strides.1, strides.2))
    }
}
