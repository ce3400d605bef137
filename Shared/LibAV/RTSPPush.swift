// Publishes packets at an RTSP media server (ANNOUNCE, RECORD) over TCP, by libavformat's muxer. Blocking: it lives on a
// thread of its own. The muxer has no timeout of its own, so every operation has a deadline through the interrupt.
//
// Ownership: `context` and its streams are made in open() and freed in close() or deinit; the interrupt object outlives it.
import CLibAV
import Media

/// Where and how to publish.
public struct RTSPPushSettings: Sendable {
    /// rtsp://host:port/path without credentials.
    public var url: String
    /// For the media server; nil: anonymous.
    public var credentials: RTSPCredentials?
    /// Longest time for the whole opening, and for each packet after it.
    public var operationTimeoutMs: Int = 5_000
    /// rtsps:// only: go on although the certificate cannot be checked here.
    public var acceptUnverifiedCertificate = false

    /// Settings for a URL; the rest has defaults.
    public init(url: String, credentials: RTSPCredentials? = nil) {
        self.url = url
        self.credentials = credentials
    }
}

/// One publication. Not Sendable: make and use it on one thread; stop it through its `AVInterrupt`.
public final class RTSPPush {
    /// Packets sent.
    public private(set) var packetsSent: UInt64 = 0
    /// Packets left out: before the first video keyframe, or of a time that does not grow.
    public private(set) var packetsSkipped: UInt64 = 0

    private struct Track {
        let configuration: CodecConfiguration
        var lastDts: Int64 = .min
    }

    private let settings: RTSPPushSettings
    private let interrupt: AVInterrupt
    private var context: UnsafeMutablePointer<AVFormatContext>?
    private var tracks: [Track] = []
    private var baseUs: Int64?
    private var isRecording = false
    private var hasFailed = false

    /// Nothing is connected before open().
    public init(settings: RTSPPushSettings, interrupt: AVInterrupt) {
        LibAVLog.silence()
        self.settings = settings
        self.interrupt = interrupt
    }

    deinit {
        close()
    }

    /// Connects, authenticates, announces the tracks (video first) and starts. Throws with the cause; make a new push then.
    public func open(_ configurations: [CodecConfiguration]) throws(LibAVError) {
        let address = try RTSPAddress(settings.url, acceptUnverified: settings.acceptUnverifiedCertificate)
        guard context == nil, let first = configurations.first, first.kind == .video else {
            throw LibAVError(.internal, "a push is opened once, with video as its first track")
        }
        guard avformat_alloc_output_context2(&context, nil, "rtsp", address.joined(with: settings.credentials)) >= 0,
            let context
        else { throw LibAVError(.internal, "no memory for a push") }
        InterruptHook.install(interrupt, on: context)
        for configuration in configurations {
            guard let stream = avformat_new_stream(context, nil), let parameters = stream.pointee.codecpar,
                CodecNames.fill(parameters, configuration)
            else { throw LibAVError(.internal, "no memory for a push") }
            // libav's JPEG payload tells the sampling apart by this; 4:2:0 is what nearly all cameras send.
            if configuration.codec == .mjpeg { parameters.pointee.format = AV_PIX_FMT_YUVJ420P.rawValue }
            stream.pointee.time_base = AVRational(num: 1, den: Int32(clamping: configuration.timescale))
        }
        tracks = configurations.map { Track(configuration: $0) }
        startDeadline()
        var options = AVOptions()
        options.set("rtsp_transport", "tcp")
        let code = options.withPointer { avformat_write_header(context, $0) }
        guard code >= 0 else {
            throw AVFailure.error(code, interrupt, .open(address.shown, hasCredentials: settings.credentials != nil))
        }
        isRecording = true
    }

    /// The packet's codec or parameters differ from what was announced: close, and open a new push.
    public func needsNewSession(for packet: MediaPacket) -> Bool {
        !tracks.contains { $0.configuration == packet.configuration }
    }

    /// Sends one packet. Time zero is the first video keyframe; what comes before it is left out and counted. Throws where
    /// the server took nothing in time or went away; the push is over then.
    public func send(_ packet: MediaPacket) throws(LibAVError) {
        guard isRecording, !hasFailed, let context else { throw LibAVError(.internal, "the push is not open") }
        guard let index = tracks.firstIndex(where: { $0.configuration == packet.configuration }) else {
            throw LibAVError(.protocol, "the codec's parameters changed; the stream must be announced anew")
        }
        if baseUs == nil && packet.kind == .video && packet.isKeyframe { baseUs = packet.ptsUs }
        guard let baseUs, let stream = context.pointee.streams[index] else {
            packetsSkipped += 1
            return
        }
        let timescale = packet.configuration.timescale
        let base = rescale(baseUs, from: 1_000_000, to: timescale)
        let from = AVRational(num: 1, den: Int32(clamping: timescale))
        let pts = av_rescale_q(packet.ptsTicks &- base, from, stream.pointee.time_base)
        let dts = av_rescale_q(packet.dtsTicks &- base, from, stream.pointee.time_base)
        // Audio from before the first picture would be at a negative time.
        guard dts > tracks[index].lastDts, pts >= dts, packet.kind == .video || dts >= 0 else {
            packetsSkipped += 1
            return
        }
        tracks[index].lastDts = dts
        let buffer: PacketBuffer
        do { buffer = try PacketBuffer(copying: payload(of: packet)) } catch {
            throw LibAVError(.internal, error.description)
        }
        buffer.packet.pointee.stream_index = Int32(index)
        buffer.packet.pointee.pts = pts
        buffer.packet.pointee.dts = dts
        if packet.isKeyframe { buffer.packet.pointee.flags |= AV_PKT_FLAG_KEY }
        startDeadline()
        let written = interrupt.shouldEnd ? sg_av_error_exit() : av_write_frame(context, buffer.packet)
        // libav's muxer ignores what its writes to the socket return: only the interrupt tells that one was cut short.
        let code = interrupt.shouldEnd ? sg_av_error_exit() : written
        guard code >= 0 else {
            hasFailed = true
            throw AVFailure.error(code, interrupt, .write(deadlineMs: settings.operationTimeoutMs))
        }
        packetsSent += 1
    }

    /// Ends the publication (TEARDOWN where the server still listens, at most a second). Also done by deinit.
    public func close() {
        guard let owned = context else { return }
        // After a failure the server gets no more time, but libav frees its sockets only in the trailer.
        interrupt.setDeadline(ns: monotonicNs() + (hasFailed ? 0 : 1_000_000_000))
        if isRecording { av_write_trailer(owned) }
        isRecording = false
        avformat_free_context(owned)
        context = nil
    }

    private func startDeadline() {
        interrupt.setDeadline(ns: monotonicNs() + Int64(settings.operationTimeoutMs) * 1_000_000)
    }

    /// With the parameter sets before each keyframe, so that a reader who joins late, or a server that keeps no description,
    /// can begin there. libav's payload writer takes NAL units behind lengths as they are.
    private func payload(of packet: MediaPacket) -> PacketBytes {
        let configuration = packet.configuration
        let sets =
            configuration.videoParameterSets + configuration.sequenceParameterSets + configuration.pictureParameterSets
        guard packet.isKeyframe, !sets.isEmpty else { return packet.bytes }
        var prefix: [UInt8] = []
        for set in sets { prefix += [0, 0, UInt8(set.count >> 8 & 0xFF), UInt8(set.count & 0xFF)] + set }
        let sized = prefix
        return PacketBytes(count: sized.count + packet.sizeBytes) { target in
            sized.withUnsafeBytes { target.copyMemory(from: $0) }
            packet.bytes.withUnsafeBytes { source in
                UnsafeMutableRawBufferPointer(rebasing: target[sized.count...]).copyMemory(from: source)
            }
        }
    }
}
