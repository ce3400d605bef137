// Pictures of a rendition that are coded anew: decoded, brought into the encoder's pixel format, encoded. One at a time, on one
// thread; a picture that cannot be decoded is left out.
import CLibAV
import MediaWork

/// Codes the pictures of one stream anew.
final class RenditionCoder {
    private let decoder: UnsafeMutablePointer<AVCodecContext>
    private let encoder: UnsafeMutablePointer<AVCodecContext>
    private let decoded: PictureFrame
    private let converted: PictureFrame
    private let coded: PacketBuffer
    private let scaler = FrameScaler()
    private var lastTicks: Int64?

    /// JPEG's quantiser: no visible loss, half the size of the best.
    private static let jpegScale: Int32 = 5
    /// VP8 of at least so many bits per second, whatever the segment had.
    private static let lowestBitRate: Int64 = 250_000

    /// - Parameters:
    ///   - bitRate: of the pictures as they are, in bits per second.
    ///   - frameRate: as the stream has it.
    init(
        _ source: UnsafeMutablePointer<AVStream>, as codec: AVCodecID, bitRate: Int64, frameRate: AVRational
    ) throws(PictureError) {
        guard let parameters = source.pointee.codecpar else { throw PictureError(.internal, "no stream") }
        decoded = try PictureFrame()
        converted = try PictureFrame()
        coded = try PacketBuffer()
        decoder = try Self.decoder(parameters)
        do throws(PictureError) {
            encoder = try Self.encoder(
                codec, like: parameters, timeBase: source.pointee.time_base, bitRate: bitRate, frameRate: frameRate)
        } catch {
            var owned: UnsafeMutablePointer<AVCodecContext>? = decoder
            avcodec_free_context(&owned)
            throw error
        }
    }

    deinit {
        for context in [decoder, encoder] {
            var owned: UnsafeMutablePointer<AVCodecContext>? = context
            avcodec_free_context(&owned)
        }
    }

    private static func decoder(
        _ parameters: UnsafeMutablePointer<AVCodecParameters>
    ) throws(PictureError) -> UnsafeMutablePointer<AVCodecContext> {
        guard let codec = avcodec_find_decoder(parameters.pointee.codec_id), let made = avcodec_alloc_context3(codec)
        else { throw PictureError(.internal, "libav has no decoder for these pictures") }
        made.pointee.thread_count = 1
        made.pointee.max_pixels = Int64(Picture.maximumPixels)
        guard avcodec_parameters_to_context(made, parameters) >= 0, avcodec_open2(made, codec, nil) >= 0 else {
            var owned: UnsafeMutablePointer<AVCodecContext>? = made
            avcodec_free_context(&owned)
            throw PictureError(.corrupt, "the pictures' parameters cannot be used")
        }
        return made
    }

    private static func encoder(
        _ codecID: AVCodecID, like parameters: UnsafeMutablePointer<AVCodecParameters>, timeBase: AVRational,
        bitRate: Int64, frameRate: AVRational
    ) throws(PictureError) -> UnsafeMutablePointer<AVCodecContext> {
        guard let codec = avcodec_find_encoder(codecID), let made = avcodec_alloc_context3(codec) else {
            throw PictureError(.internal, "libav has no encoder for this format")
        }
        let isJPEG = codecID == AV_CODEC_ID_MJPEG
        made.pointee.thread_count = 1
        made.pointee.width = parameters.pointee.width
        made.pointee.height = parameters.pointee.height
        made.pointee.pix_fmt = isJPEG ? AV_PIX_FMT_YUVJ420P : AV_PIX_FMT_YUV420P
        made.pointee.color_range = isJPEG ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG
        made.pointee.time_base = timeBase
        made.pointee.framerate = frameRate
        if isJPEG {
            made.pointee.flags |= AV_CODEC_FLAG_QSCALE
            made.pointee.global_quality = sg_av_quality(jpegScale)
        } else {
            made.pointee.bit_rate = max(bitRate, lowestBitRate)
            // As fast as it can: it has to keep up with the camera on one core.
            _ = av_opt_set(made.pointee.priv_data, "deadline", "realtime", 0)
            _ = av_opt_set(made.pointee.priv_data, "cpu-used", "8", 0)
        }
        guard avcodec_open2(made, codec, nil) >= 0 else {
            var owned: UnsafeMutablePointer<AVCodecContext>? = made
            avcodec_free_context(&owned)
            throw PictureError(.internal, "an encoder for pictures of this size cannot be opened")
        }
        return made
    }

    /// What the container must know of the new pictures.
    func describe(_ stream: UnsafeMutablePointer<AVStream>) throws(PictureError) {
        guard avcodec_parameters_from_context(stream.pointee.codecpar, encoder) >= 0 else {
            throw PictureError(.internal, "no memory for a stream")
        }
    }

    /// Takes a packet; nil: there are no more. Each that comes of it is handed on, with times of the source.
    func take(
        _ packet: UnsafeMutablePointer<AVPacket>?,
        deliver: (UnsafeMutablePointer<AVPacket>) throws(PictureError) -> Void
    ) throws(PictureError) {
        _ = avcodec_send_packet(decoder, packet)
        while avcodec_receive_frame(decoder, decoded.frame) >= 0 {
            try convert()
            _ = avcodec_send_frame(encoder, converted.frame)
            try drain(deliver)
        }
        guard packet == nil else { return }
        _ = avcodec_send_frame(encoder, nil)
        try drain(deliver)
    }

    private func drain(
        _ deliver: (UnsafeMutablePointer<AVPacket>) throws(PictureError) -> Void
    ) throws(PictureError) {
        while avcodec_receive_packet(encoder, coded.packet) >= 0 {
            defer { av_packet_unref(coded.packet) }
            try deliver(coded.packet)
        }
    }

    private func convert() throws(PictureError) {
        // A stream may change its size; the rendition keeps that of its beginning.
        try scaler.scale(
            decoded, into: converted, widthPx: encoder.pointee.width, heightPx: encoder.pointee.height,
            encoder.pointee.pix_fmt, isFull: encoder.pointee.color_range == AVCOL_RANGE_JPEG)
        converted.frame.pointee.pts = nextTicks(decoded.frame.pointee.best_effort_timestamp)
        converted.frame.pointee.quality = encoder.pointee.global_quality
    }

    /// Encoders take times that grow only.
    private func nextTicks(_ stated: Int64) -> Int64 {
        let after = lastTicks.map { $0 + 1 } ?? 0
        let ticks = stated == sg_av_no_time() ? after : max(stated, lastTicks == nil ? stated : after)
        lastTicks = ticks
        return ticks
    }
}
