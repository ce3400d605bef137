// What source, push and picture share: options, interruption, silence of libav's log, addresses, names of codecs.
import CLibAV
import Media
import MediaWork

/// Turns libav's own log off, once: it prints URLs with credentials.
enum LibAVLog {
    private static let silenced: Void = {
        sg_av_log_silence()
        avformat_network_init()
    }()

    static func silence() {
        silenced
    }
}

/// A dictionary of options; freed with the value's last use.
struct AVOptions: ~Copyable {
    private var dictionary: OpaquePointer?

    init() {}

    deinit {
        // av_dict_free wants a variable to clear; the copy is the only owner here.
        var owned = dictionary
        av_dict_free(&owned)
    }

    mutating func set(_ key: String, _ value: String) {
        av_dict_set(&dictionary, key, value, 0)
    }

    mutating func withPointer<Result>(_ body: (UnsafeMutablePointer<OpaquePointer?>) -> Result) -> Result {
        body(&dictionary)
    }
}

/// Makes a context ask an AVInterrupt whether to go on.
enum InterruptHook {
    static func install(_ interrupt: AVInterrupt, on context: UnsafeMutablePointer<AVFormatContext>?) {
        // Unretained is sound: source and push hold the interrupt as long as the context lives.
        context?.pointee.interrupt_callback.opaque = Unmanaged.passUnretained(interrupt).toOpaque()
        context?.pointee.interrupt_callback.callback = { opaque in
            guard let opaque else { return 0 }
            return Unmanaged<AVInterrupt>.fromOpaque(opaque).takeUnretainedValue().shouldEnd ? 1 : 0
        }
    }
}

/// An rtsp address without credentials.
struct RTSPAddress {
    let isSecure: Bool
    private let scheme: String
    private let rest: String

    /// Refuses other schemes, credentials inside the URL, and rtsps unless accepted.
    init(_ url: String, acceptUnverified: Bool) throws(LibAVError) {
        guard let range = url.firstRange(of: "://") else {
            throw LibAVError(.protocol, "an address must look like rtsp://host:port/path")
        }
        scheme = url[..<range.lowerBound].lowercased()
        rest = String(url[range.upperBound...])
        guard scheme == "rtsp" || scheme == "rtsps" else {
            throw LibAVError(.protocol, "the scheme \(scheme) is not supported; use rtsp or rtsps")
        }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard !authority.isEmpty, !authority.contains("@") else {
            throw LibAVError(.protocol, "an address names a host, and credentials are given apart from it")
        }
        // libav cuts an address at its own bounds; a control character could smuggle a header into a request.
        guard url.utf8.count <= 2000, url.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw LibAVError(.protocol, "an address has at most 2000 bytes and neither blanks nor control characters")
        }
        isSecure = scheme == "rtsps"
        guard !isSecure || acceptUnverified else {
            throw LibAVError(
                .unverifiable,
                "the certificate of an rtsps server cannot be checked here; accept that in the endpoint's settings, or use rtsp"
            )
        }
    }

    /// For people: no credentials are in it, because none are accepted; a query may hold a token and is left out.
    var shown: String { "\(scheme)://\(rest.prefix { $0 != "?" })" }

    /// What libav gets. Must not leave the door.
    func joined(with credentials: RTSPCredentials?) -> String {
        guard let credentials else { return "\(scheme)://\(rest)" }
        return "\(scheme)://\(Self.escape(credentials.userName)):\(Self.escape(credentials.password))@\(rest)"
    }

    private static func escape(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: out.append(byte)
            default: out += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}

/// libav's error numbers to causes and sentences.
enum AVFailure {
    enum Operation {
        case open(String, hasCredentials: Bool)
        case read(silenceMs: Int)
        case write(deadlineMs: Int)
    }

    static func error(_ code: Int32, _ interrupt: AVInterrupt, _ operation: Operation) -> LibAVError {
        if interrupt.isStopped { return LibAVError(.interrupted, "stopped") }
        // Under way in libav the reason gets lost: what ends after the deadline ended because of it.
        if code == sg_av_error_exit() || code == -ETIMEDOUT || interrupt.isOverdue {
            switch operation {
            case .open(let url, _): return LibAVError(.silent, "no answer from \(url) in the time allowed")
            case .read(let silenceMs): return LibAVError(.silent, "no picture came for \(silenceMs) ms")
            case .write(let deadlineMs):
                return LibAVError(.silent, "the media server took nothing for \(deadlineMs) ms")
            }
        }
        let other: String
        switch operation {
        case .open(let url, let hasCredentials): return opening(code, url, hasCredentials)
        case .read: other = "the camera"
        case .write: other = "the media server"
        }
        return inSession(code, other)
    }

    private static func opening(_ code: Int32, _ url: String, _ hasCredentials: Bool) -> LibAVError {
        switch code {
        case sg_av_error_unauthorized(), sg_av_error_forbidden():
            let what = hasCredentials ? "refuses the user name or password" : "wants a user name and password"
            return LibAVError(.unauthorized, "\(url) answers but \(what)")
        case sg_av_error_not_found(), sg_av_error_stream_not_found():
            return LibAVError(.notFound, "\(url) answers but has no such path")
        case -ECONNREFUSED: return LibAVError(.refused, "nobody listens at \(url)")
        // libav reports a name that does not resolve as EIO.
        case -EHOSTUNREACH, -ENETUNREACH, -EIO, -ENETDOWN, -EHOSTDOWN:
            return LibAVError(.unreachable, "\(url) cannot be reached: no such host, or no way to it")
        case sg_av_error_eof(), -ECONNRESET, -EPIPE:
            return LibAVError(.ended, "\(url) closed the connection before it described a stream")
        default:
            return LibAVError(.protocol, "\(url) answers, but not as an RTSP server does (\(text(code)))")
        }
    }

    private static func inSession(_ code: Int32, _ other: String) -> LibAVError {
        switch code {
        case sg_av_error_eof(), -ECONNRESET, -EPIPE, -ECONNABORTED, -EIO:
            LibAVError(.ended, "\(other) ended the connection")
        case sg_av_error_unauthorized(), sg_av_error_forbidden():
            LibAVError(.unauthorized, "\(other) refuses the user name or password")
        case -EHOSTUNREACH, -ENETUNREACH, -ENETDOWN:
            LibAVError(.unreachable, "the way to \(other) broke")
        default: LibAVError(.protocol, "the stream with \(other) is broken (\(text(code)))")
        }
    }

    /// libav's own words for a code: fixed texts, never data.
    static func text(_ code: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        guard av_strerror(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Codecs of libav and ours.
enum CodecNames {
    static func video(_ id: AVCodecID) -> Codec? {
        switch id {
        case AV_CODEC_ID_H264: .h264
        case AV_CODEC_ID_HEVC: .hevc
        case AV_CODEC_ID_MJPEG: .mjpeg
        default: nil
        }
    }

    static func audio(_ parameters: AVCodecParameters, timescale: UInt32) -> CodecConfiguration? {
        let rate = parameters.sample_rate > 0 ? Int(parameters.sample_rate) : Int(timescale)
        let channels = max(1, Int(parameters.ch_layout.nb_channels))
        switch parameters.codec_id {
        case AV_CODEC_ID_AAC:
            return try? .aac(audioSpecificConfig: extradata(parameters), timescale: timescale)
        case AV_CODEC_ID_PCM_MULAW:
            return try? .pcm(.pcmu, sampleRateHz: rate, channels: channels, timescale: timescale)
        case AV_CODEC_ID_PCM_ALAW:
            return try? .pcm(.pcma, sampleRateHz: rate, channels: channels, timescale: timescale)
        case AV_CODEC_ID_PCM_S16BE:
            return try? .pcm(.l16, sampleRateHz: rate, channels: channels, timescale: timescale)
        default: return nil
        }
    }

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

    static func extradata(_ parameters: AVCodecParameters) -> [UInt8] {
        guard let start = parameters.extradata, parameters.extradata_size > 0 else { return [] }
        return Array(UnsafeBufferPointer(start: start, count: Int(parameters.extradata_size)))
    }

    /// Fills the parameters of a stream from a configuration. False: no memory.
    static func fill(_ parameters: UnsafeMutablePointer<AVCodecParameters>, _ configuration: CodecConfiguration) -> Bool
    {
        parameters.pointee.codec_id = id(configuration.codec)
        parameters.pointee.codec_type = configuration.kind == .video ? AVMEDIA_TYPE_VIDEO : AVMEDIA_TYPE_AUDIO
        parameters.pointee.width = Int32(configuration.widthPx)
        parameters.pointee.height = Int32(configuration.heightPx)
        parameters.pointee.sample_rate = Int32(configuration.sampleRateHz)
        if configuration.channels > 0 {
            av_channel_layout_default(&parameters.pointee.ch_layout, Int32(configuration.channels))
        }
        return setExtradata(parameters, configuration.decoderConfiguration)
    }

    /// Fills the parameters of a decoder. False: no memory.
    static func fill(_ parameters: UnsafeMutablePointer<AVCodecParameters>, _ request: PictureRequest) -> Bool {
        parameters.pointee.codec_id = id(request.codec)
        parameters.pointee.codec_type = AVMEDIA_TYPE_VIDEO
        parameters.pointee.width = Int32(request.widthPx)
        parameters.pointee.height = Int32(request.heightPx)
        return setExtradata(parameters, request.decoderConfiguration)
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
