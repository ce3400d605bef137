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

    convenience init(decoderFor request: PictureRequest) throws(PictureError) {
        let codec = avcodec_find_decoder(CodecNames.id(request.codec))
        try self.init(codec, "decoder for \(request.codec.rawValue)")
        var parameters = avcodec_parameters_alloc()
        defer { avcodec_parameters_free(&parameters) }
        guard let filled = parameters, CodecNames.fill(filled, request),
            avcodec_parameters_to_context(context, filled) >= 0
        else { throw PictureError(.internal, "no memory for a decoder") }
        context.pointee.max_pixels = Int64(Picture.maximumPixels)
        context.pointee.flags |= AV_CODEC_FLAG_LOW_DELAY
        // Concealment stays on: without it libav 5.1 counts every picture of several slices as damaged. What it conceals it
        // reports in decode_error_flags, so a missing slice is still an error and not a grey area in the evidence.
        guard avcodec_open2(context, codec, nil) >= 0 else {
            throw PictureError(.corrupt, "the \(request.codec.rawValue) parameters cannot be used")
        }
    }

    convenience init(encoder coding: PictureCoding, like picture: PictureFrame, scale: Int32) throws(PictureError) {
        let codec = avcodec_find_encoder(coding.codec)
        try self.init(codec, "encoder for this picture format")
        context.pointee.width = picture.frame.pointee.width
        context.pointee.height = picture.frame.pointee.height
        context.pointee.pix_fmt = coding.pixelFormat
        context.pointee.color_range = AVCOL_RANGE_JPEG
        context.pointee.time_base = AVRational(num: 1, den: 25)
        context.pointee.flags |= AV_CODEC_FLAG_QSCALE
        context.pointee.global_quality = sg_av_quality(scale)
        // The standard's own tables: tables made for the picture cost it a third of the time and save it a twentieth of the bytes.
        if coding.codec == AV_CODEC_ID_MJPEG { _ = av_opt_set(context.pointee.priv_data, "huffman", "default", 0) }
        guard avcodec_open2(context, codec, nil) >= 0 else {
            throw PictureError(.internal, "an encoder for this picture cannot be opened")
        }
    }

    deinit {
        var owned: UnsafeMutablePointer<AVCodecContext>? = context
        avcodec_free_context(&owned)
    }
}
