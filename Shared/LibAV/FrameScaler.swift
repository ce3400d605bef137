// Frames of a stream into the size and the pixel format of an encoder. One for a stream, on one thread: what it needs is made once.
import CLibAV
import MediaWork

/// Brings frames into another size and format.
final class FrameScaler {
    private var scaler: OpaquePointer?

    deinit { sws_freeContext(scaler) }

    /// `isFull`: the encoder wants the full range, as JPEG has it.
    func scale(
        _ source: PictureFrame, into target: PictureFrame, widthPx: Int32, heightPx: Int32, _ format: AVPixelFormat,
        isFull: Bool
    ) throws(PictureError) {
        let from = source.frame
        let to = target.frame
        guard Picture.isAllowed(widthPx: Int(from.pointee.width), heightPx: Int(from.pointee.height)) else {
            throw PictureError.tooLarge(widthPx: Int(from.pointee.width), heightPx: Int(from.pointee.height))
        }
        av_frame_unref(to)
        to.pointee.width = widthPx
        to.pointee.height = heightPx
        to.pointee.format = format.rawValue
        guard av_frame_get_buffer(to, 0) >= 0 else { throw PictureError(.internal, "no memory for a picture") }
        scaler = sws_getCachedContext(
            scaler, from.pointee.width, from.pointee.height, AVPixelFormat(from.pointee.format), widthPx, heightPx,
            format, SWS_BILINEAR, nil, nil, nil)
        guard let scaler else { throw PictureError(.corrupt, "pictures in this pixel format cannot be converted") }
        let isFromFull =
            from.pointee.color_range == AVCOL_RANGE_JPEG
            || PictureCoding.isFullRange(AVPixelFormat(from.pointee.format))
        let coefficients = sws_getCoefficients(SWS_CS_DEFAULT)
        _ = sws_setColorspaceDetails(
            scaler, coefficients, isFromFull ? 1 : 0, coefficients, isFull ? 1 : 0, 0, 1 << 16, 1 << 16)
        guard sws_scale_frame(scaler, to, from) >= 0 else {
            throw PictureError(.internal, "a picture cannot be converted")
        }
    }
}
