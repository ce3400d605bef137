// Owners of libav's objects for one picture: made in init, freed in deinit, never shared between threads.
import CLibAV
import Media
import MediaWork

/// How a picture format is encoded.
struct PictureCoding {
    let codec: AVCodecID
    let pixelFormat: AVPixelFormat

    init(_ format: PictureFormat) {
        switch format {
        case .jpeg: (codec, pixelFormat) = (AV_CODEC_ID_MJPEG, AV_PIX_FMT_YUVJ420P)
        case .png: (codec, pixelFormat) = (AV_CODEC_ID_PNG, AV_PIX_FMT_RGB24)
        case .bmp: (codec, pixelFormat) = (AV_CODEC_ID_BMP, AV_PIX_FMT_BGR24)
        case .tiff: (codec, pixelFormat) = (AV_CODEC_ID_TIFF, AV_PIX_FMT_RGB24)
        }
    }

    static func isFullRange(_ format: AVPixelFormat) -> Bool {
        [AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUVJ444P, AV_PIX_FMT_YUVJ440P, AV_PIX_FMT_GRAY8]
            .contains(format)
    }
}

/// An AVFrame.
final class PictureFrame {
    let frame: UnsafeMutablePointer<AVFrame>

    init() throws(PictureError) {
        guard let frame = av_frame_alloc() else { throw PictureError(.internal, "no memory for a picture") }
        self.frame = frame
    }

    /// Nothing of it had to be guessed.
    var isWhole: Bool { frame.pointee.decode_error_flags == 0 && frame.pointee.flags & AV_FRAME_FLAG_CORRUPT == 0 }

    deinit {
        var owned: UnsafeMutablePointer<AVFrame>? = frame
        av_frame_free(&owned)
    }
}

/// An AVPacket.
final class PacketBuffer {
    let packet: UnsafeMutablePointer<AVPacket>

    init() throws(PictureError) {
        guard let packet = av_packet_alloc() else { throw PictureError(.internal, "no memory for a packet") }
        self.packet = packet
    }

    /// With a copy of `bytes` and the padding that libav's readers demand behind it.
    convenience init(copying bytes: PacketBytes) throws(PictureError) {
        try self.init()
        guard let size = Int32(exactly: bytes.count), size > 0, av_new_packet(packet, size) >= 0,
            let target = packet.pointee.data
        else { throw PictureError(.corrupt, "a packet of \(bytes.count) bytes cannot be used") }
        bytes.withUnsafeBytes { source in
            if let base = source.baseAddress {
                UnsafeMutableRawPointer(target).copyMemory(from: base, byteCount: source.count)
            }
        }
    }

    deinit {
        var owned: UnsafeMutablePointer<AVPacket>? = packet
        av_packet_free(&owned)
    }
}

/// What a decoder must know before the first packet.
struct DecoderSource: Equatable {
    let codec: Codec
    let decoderConfiguration: [UInt8]
    let widthPx: Int
    let heightPx: Int

    init(_ request: PictureRequest) {
        codec = request.codec
        decoderConfiguration = request.decoderConfiguration
        (widthPx, heightPx) = (request.widthPx, request.heightPx)
    }

    init(_ packet: LivePacket) {
        codec = packet.codec
        decoderConfiguration = packet.decoderConfiguration
        (widthPx, heightPx) = (packet.widthPx, packet.heightPx)
    }
}

/// An AVCodecContext, opened.
final class CodecContext {
    let context: UnsafeMutablePointer<AVCodecContext>

    private init(_ codec: UnsafePointer<AVCodec>?, _ what: String) throws(PictureError) {
        guard let codec, let context = avcodec_alloc_context3(codec) else {
            throw PictureError(.internal, "libav has no \(what)")
        }
        self.context = context
        // One picture: threads would only add memory and delay.
        context.pointee.thread_count = 1
    }

    /// `isAlone`: it gets one keyframe and no more, and need not wait for what is shown before it.
    convenience init(decoderFor source: DecoderSource, isAlone: Bool) throws(PictureError) {
        let codec = avcodec_find_decoder(CodecNames.id(source.codec))
        try self.init(codec, "decoder for \(source.codec.rawValue)")
        var parameters = avcodec_parameters_alloc()
        defer { avcodec_parameters_free(&parameters) }
        guard let filled = parameters, CodecNames.fill(filled, source),
            avcodec_parameters_to_context(context, filled) >= 0
        else { throw PictureError(.internal, "no memory for a decoder") }
        context.pointee.max_pixels = Int64(Picture.maximumPixels)
        if isAlone { context.pointee.flags |= AV_CODEC_FLAG_LOW_DELAY }
        // Concealment stays on: without it libav 5.1 counts every picture of several slices as damaged. What it conceals it
        // reports in decode_error_flags, so a missing slice is still an error and not a grey area in the evidence.
        guard avcodec_open2(context, codec, nil) >= 0 else {
            throw PictureError(.corrupt, "the \(source.codec.rawValue) parameters cannot be used")
        }
    }

    /// For frames of this size, in 4:2:0 of the narrow range, that come as fast as a camera's.
    convenience init(
        streamEncoder coding: StreamCoding, widthPx: Int, heightPx: Int, picturesPerSecond: Double
    ) throws(PictureError) {
        let codec = avcodec_find_encoder_by_name(coding.codec == .hevc ? "libx265" : "libx264")
        try self.init(codec, "encoder for \(coding.codec.rawValue): libavcodec is built without it")
        context.pointee.width = Int32(widthPx)
        context.pointee.height = Int32(heightPx)
        context.pointee.pix_fmt = AV_PIX_FMT_YUV420P
        context.pointee.color_range = AVCOL_RANGE_MPEG
        context.pointee.time_base = AVRational(num: 1, den: Int32(LivePacket.timescale))
        context.pointee.framerate = AVRational(num: Int32((picturesPerSecond * 1000).rounded()), den: 1000)
        context.pointee.max_b_frames = 0
        // Keyframes are asked for by time; this is only a bound.
        context.pointee.gop_size = 600
        // A twelfth of a bit for each pixel is what 4 Mbit/s are for 1080p at 25 pictures a second.
        let usual = Double(widthPx * heightPx) * picturesPerSecond / 12
        let bitRate = coding.bitRateBps > 0 ? Int64(coding.bitRateBps) : Int64(usual)
        context.pointee.bit_rate = bitRate
        context.pointee.rc_max_rate = bitRate
        context.pointee.rc_buffer_size = Int32(clamping: bitRate)
        // As fast as it can, and without looking ahead: it has to keep up with a camera, and a viewer waits.
        _ = av_opt_set(context.pointee.priv_data, "preset", coding.codec == .hevc ? "ultrafast" : "veryfast", 0)
        _ = av_opt_set(context.pointee.priv_data, "tune", "zerolatency", 0)
        // A keyframe that is asked for is one that a viewer can begin with.
        _ = av_opt_set(context.pointee.priv_data, "forced-idr", "1", 0)
        if coding.codec == .hevc { _ = av_opt_set(context.pointee.priv_data, "x265-params", "log-level=none", 0) }
        guard avcodec_open2(context, codec, nil) >= 0 else {
            throw PictureError(.internal, "an encoder for pictures of \(widthPx) x \(heightPx) cannot be opened")
        }
    }

    convenience init(encoder coding: PictureCoding, like picture: PictureFrame) throws(PictureError) {
        let codec = avcodec_find_encoder(coding.codec)
        try self.init(codec, "encoder for this picture format")
        context.pointee.width = picture.frame.pointee.width
        context.pointee.height = picture.frame.pointee.height
        context.pointee.pix_fmt = coding.pixelFormat
        context.pointee.color_range = AVCOL_RANGE_JPEG
        context.pointee.time_base = AVRational(num: 1, den: 25)
        guard avcodec_open2(context, codec, nil) >= 0 else {
            throw PictureError(.internal, "an encoder for this picture cannot be opened")
        }
    }

    deinit {
        var owned: UnsafeMutablePointer<AVCodecContext>? = context
        avcodec_free_context(&owned)
    }
}
