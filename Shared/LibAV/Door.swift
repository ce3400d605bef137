// What the maker of pictures needs around libav: silence of its log, words for its errors, names of codecs.
import CLibAV
import Media
import MediaWork

/// Turns libav's own log off, once: it prints what a camera sent.
enum LibAVLog {
    private static let silenced: Void = {
        sg_av_log_silence()
    }()

    static func silence() {
        silenced
    }
}

/// libav's error numbers for people.
enum AVFailure {
    /// libav's own words for a code: fixed texts, never data.
    static func text(_ code: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        guard av_strerror(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Codecs of libav and ours.
enum CodecNames {
    static func id(_ codec: Codec) -> AVCodecID {
        switch codec {
        case .h264: AV_CODEC_ID_H264
        case .hevc: AV_CODEC_ID_HEVC
        case .mjpeg: AV_CODEC_ID_MJPEG
        case .aac: AV_CODEC_ID_AAC
        case .pcmu: AV_CODEC_ID_PCM_MULAW
        case .pcma: AV_CODEC_ID_PCM_ALAW
        case .l16: AV_CODEC_ID_PCM_S16BE
        }
    }

    /// Fills the parameters of a decoder. False: no memory.
    static func fill(_ parameters: UnsafeMutablePointer<AVCodecParameters>, _ source: DecoderSource) -> Bool {
        parameters.pointee.codec_id = id(source.codec)
        parameters.pointee.codec_type = AVMEDIA_TYPE_VIDEO
        parameters.pointee.width = Int32(source.widthPx)
        parameters.pointee.height = Int32(source.heightPx)
        return setExtradata(parameters, source.decoderConfiguration)
    }

    private static func setExtradata(_ parameters: UnsafeMutablePointer<AVCodecParameters>, _ bytes: [UInt8]) -> Bool {
        guard !bytes.isEmpty else { return true }
        // Zeroed padding behind it, as libav's readers demand; freed with the parameters.
        guard let copy = av_mallocz(bytes.count + Int(AV_INPUT_BUFFER_PADDING_SIZE)) else { return false }
        bytes.withUnsafeBytes { source in
            if let base = source.baseAddress { copy.copyMemory(from: base, byteCount: source.count) }
        }
        parameters.pointee.extradata = copy.assumingMemoryBound(to: UInt8.self)
        parameters.pointee.extradata_size = Int32(bytes.count)
        return true
    }
}
