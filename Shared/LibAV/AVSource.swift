// One RTSP session with a camera, over TCP, by libavformat's demuxer. Blocking: it lives on a thread of its own.
//
// libav parses nothing here beyond RTSP, SDP and RTP: no probing (that alone takes more than a second), no parser. Access
// units, parameter sets and times are made by Media.VideoAssembler and AudioTimeline. Digest authentication is MD5 only
// (libav 5.1 knows no SHA-256).
//
// Ownership: `context` is allocated in open(), freed in close() or deinit; `packet` is unreferenced after each read. The
// interrupt object outlives the context because the source holds it.
import CLibAV
import Media

/// What a source shall be opened with.
public struct AVSourceSettings: Sendable {
    /// rtsp://host:port/path without credentials.
    public var url: String
    /// For the camera; nil: anonymous.
    public var credentials: RTSPCredentials?
    /// Longest time from the first SYN to the answer to PLAY.
    public var openTimeoutMs: Int = 10_000
    /// Longest time without a video frame before the source counts as silent. Cameras with one frame per second and
    /// long shutter times stay well below.
    public var silenceTimeoutMs: Int = 5_000
    /// rtsps:// only: go on although the certificate cannot be checked here.
    public var acceptUnverifiedCertificate = false

    /// Settings for a URL; the rest has defaults.
    public init(url: String, credentials: RTSPCredentials? = nil) {
        self.url = url
        self.credentials = credentials
    }
}

/// A camera's stream of packets. Not Sendable: make and use it on one thread; stop it through its `AVInterrupt`.
public final class AVSource {
    /// What was left out since open().
    public struct Counters: Sendable, Hashable {
        /// Tracks of a kind or codec that cannot be recorded: never an error.
        public var tracksSkipped = 0
        /// Their codecs, as libav names them: "opus", "mp2".
        public var skippedCodecs: [String] = []
        /// Pictures dropped before parameter sets came.
        public var withoutConfiguration: UInt64 = 0
        /// Access units that could not be understood.
        public var broken: UInt64 = 0
        /// Audio packets whose time did not fit.
        public var audioDropped: UInt64 = 0
    }

    private let settings: AVSourceSettings
    private let interrupt: AVInterrupt
    private var context: UnsafeMutablePointer<AVFormatContext>?
    private var packet: UnsafeMutablePointer<AVPacket>?
    private var video: VideoAssembler?
    private var videoIndex: Int32 = -1
    private var videoTimescale: UInt32 = 90_000
    private var audio: AudioTimeline?
    private var audioIndex: Int32 = -1
    private var tracksSkipped: [String] = []
    private var newestVideoUs: Int64?
    /// Since when no picture came, on the monotonic clock; moved on by the time that the caller spends between two calls of next().
    private var silentSinceNs: Int64 = 0
    private var leftNextNs: Int64 = 0
    private var failure: LibAVError?

    /// The audio of the session, known after open(); nil: no audio, or none that can be recorded.
    public private(set) var audioConfiguration: CodecConfiguration?

    /// Nothing is connected before open().
    public init(settings: AVSourceSettings, interrupt: AVInterrupt) {
        LibAVLog.silence()
        self.settings = settings
        self.interrupt = interrupt
    }

    deinit {
        close()
    }

    /// Connects, authenticates and plays. Throws with the cause; the source cannot be used again then.
    public func open() throws(LibAVError) {
        let url = try RTSPAddress(settings.url, acceptUnverified: settings.acceptUnverifiedCertificate)
        interrupt.setDeadline(ns: monotonicNs() + Int64(settings.openTimeoutMs) * 1_000_000)
        var opening = avformat_alloc_context()
        guard opening != nil, let buffer = av_packet_alloc() else {
            throw LibAVError(.internal, "no memory for a session")
        }
        packet = buffer
        InterruptHook.install(interrupt, on: opening)
        // No parser, no guessed times: both cost the first keyframe its time and each frame a delay.
        opening?.pointee.flags |= AVFMT_FLAG_NOPARSE | AVFMT_FLAG_NOFILLIN | AVFMT_FLAG_NOBUFFER
        var options = AVOptions()
        options.set("rtsp_transport", "tcp")
        options.set("allowed_media_types", "video+audio")
        // libav's own socket timeout, in microseconds, behind our deadline.
        options.set("timeout", String(settings.openTimeoutMs * 1000 + 1_000_000))
        options.set("protocol_whitelist", url.isSecure ? "tcp,tls,rtp" : "tcp,rtp")
        let code = options.withPointer {
            avformat_open_input(&opening, url.joined(with: settings.credentials), av_find_input_format("rtsp"), $0)
        }
        guard code >= 0 else {
            // avformat_open_input freed the context.
            throw AVFailure.error(code, interrupt, .open(url.shown, hasCredentials: settings.credentials != nil))
        }
        context = opening
        try chooseTracks()
        silentSinceNs = monotonicNs()
        leftNextNs = silentSinceNs
    }

    /// The next packet, video or audio, in order of arrival. Blocks. Never returns nothing: the end of a session is an
    /// error with its cause. What was whole before the error is delivered first.
    public func next() throws(LibAVError) -> MediaPacket {
        if let failure { throw failure }
        guard let context, let packet else { throw LibAVError(.internal, "the source is not open") }
        // A caller who was busy elsewhere is no silent camera.
        silentSinceNs += monotonicNs() - leftNextNs
        defer { leftNextNs = monotonicNs() }
        while true {
            interrupt.setDeadline(ns: silentSinceNs + Int64(settings.silenceTimeoutMs) * 1_000_000)
            let code = interrupt.shouldEnd ? sg_av_error_exit() : av_read_frame(context, packet)
            if code == sg_av_error_again() { continue }
            guard code >= 0 else {
                let error = AVFailure.error(code, interrupt, .read(silenceMs: settings.silenceTimeoutMs))
                failure = error
                if error.cause != .interrupted, let last = video?.flush() { return last }
                throw error
            }
            defer { av_packet_unref(packet) }
            if let delivered = take(packet.pointee, arrivalNs: monotonicNs()) { return delivered }
        }
    }

    /// What was left out so far.
    public var counters: Counters {
        var counters = Counters()
        counters.tracksSkipped = tracksSkipped.count
        counters.skippedCodecs = tracksSkipped
        counters.withoutConfiguration = video?.counters.withoutConfiguration ?? 0
        counters.broken = video?.counters.broken ?? 0
        counters.audioDropped = audio?.dropped ?? 0
        return counters
    }

    /// Ends the session (TEARDOWN where the camera still listens, at most a second). Also done by deinit.
    public func close() {
        if context != nil {
            interrupt.setDeadline(ns: monotonicNs() + 1_000_000_000)
            avformat_close_input(&context)
        }
        av_packet_free(&packet)
    }

    private func take(_ packet: AVPacket, arrivalNs: Int64) -> MediaPacket? {
        let bytes = UnsafeRawBufferPointer(start: packet.data, count: max(0, Int(packet.size)))
        let stated = packet.pts != sg_av_no_pts() ? packet.pts : packet.dts
        let pts = stated != sg_av_no_pts() ? stated : nil
        if packet.stream_index == videoIndex {
            silentSinceNs = arrivalNs
            let delivered = video?.append(bytes, ptsTicks: pts, arrivalNs: arrivalNs)
            if let delivered { newestVideoUs = delivered.ptsUs }
            return delivered
        }
        guard packet.stream_index == audioIndex else { return nil }
        return audio?.packet(bytes, ptsTicks: pts, arrivalNs: arrivalNs, videoPtsUs: newestVideoUs)
    }

    private func chooseTracks() throws(LibAVError) {
        guard let context, let streams = context.pointee.streams else {
            throw LibAVError(.protocol, "the camera describes no tracks")
        }
        for index in 0..<Int(context.pointee.nb_streams) {
            guard let stream = streams[index]?.pointee, let parameters = stream.codecpar?.pointee else { continue }
            // RTP's clocks are whole numbers per second; anything else is not a track of ours.
            guard stream.time_base.num == 1, let timescale = UInt32(exactly: stream.time_base.den), timescale > 0 else {
                continue
            }
            if videoIndex < 0, let codec = CodecNames.video(parameters.codec_id) {
                videoIndex = Int32(index)
                videoTimescale = timescale
                video = VideoAssembler(
                    codec: codec, timescale: timescale, parameterSets: CodecNames.extradata(parameters))
            } else if audioIndex < 0, let configuration = CodecNames.audio(parameters, timescale: timescale) {
                audioIndex = Int32(index)
                audioConfiguration = configuration
                audio = AudioTimeline(configuration: configuration)
            } else {
                tracksSkipped.append(String(cString: avcodec_get_name(parameters.codec_id)))
            }
        }
        guard videoIndex >= 0 else {
            let found = tracksSkipped.isEmpty ? "no track" : "only " + tracksSkipped.joined(separator: ", ")
            throw LibAVError(
                .protocol, "the camera sends no video that can be recorded (H.264, H.265 or MJPEG), \(found)")
        }
    }
}
