// A segment into another container: demuxed, copied packet by packet or coded anew, muxed, by libavformat. Blocking. Only the
// media-worker calls it.
import CLibAV
import Media
import MediaWork

/// Makes renditions.
public enum RenditionFactory {
    /// Reads the file through `transport` and writes the rendition through it. Throws `corrupt` where the file cannot be read,
    /// `limit` where the format does not take its pictures, `internal` where libav fails, and what `transport` throws.
    public static func make(_ request: RenditionRequest, through transport: any RenditionTransport) throws -> Rendition
    {
        LibAVLog.silence()
        let source = try RenditionSource(transport, sizeBytes: request.sizeBytes)
        let target = try RenditionTarget(request, of: source, transport)
        do {
            try target.run()
        } catch {
            throw source.io.failure ?? target.io.failure ?? error
        }
        if let failure = source.io.failure ?? target.io.failure { throw failure }
        return target.made
    }
}

/// The segment, opened.
private final class RenditionSource {
    let io: RenditionIO
    let context: UnsafeMutablePointer<AVFormatContext>
    let video: UnsafeMutablePointer<AVStream>
    let audio: UnsafeMutablePointer<AVStream>?
    /// Of all its bytes, in bits per second.
    let bitRate: Int64

    init(_ transport: any RenditionTransport, sizeBytes: Int64) throws {
        io = try RenditionIO(transport, readingBytes: sizeBytes)
        var opened = avformat_alloc_context()
        guard opened != nil else { throw PictureError(.internal, "no memory for a file") }
        opened?.pointee.pb = io.context
        // Without a name nothing can be opened beside it; the format is said, so that nothing is guessed.
        let code = avformat_open_input(&opened, nil, av_find_input_format("mov"), nil)
        guard code >= 0, let opened else {
            throw io.failure ?? PictureError(.corrupt, "the segment cannot be read (\(AVFailure.text(code)))")
        }
        context = opened
        var found: [UnsafeMutablePointer<AVStream>?] = [nil, nil]
        if avformat_find_stream_info(context, nil) >= 0 {
            for index in 0..<Int(context.pointee.nb_streams) {
                guard let stream = context.pointee.streams[index], let parameters = stream.pointee.codecpar else {
                    continue
                }
                switch parameters.pointee.codec_type {
                case AVMEDIA_TYPE_VIDEO: found[0] = found[0] ?? stream
                case AVMEDIA_TYPE_AUDIO: found[1] = found[1] ?? stream
                default: break
                }
            }
        }
        guard let video = found[0] else {
            var owned: UnsafeMutablePointer<AVFormatContext>? = context
            avformat_close_input(&owned)
            throw io.failure ?? PictureError(.corrupt, "the segment holds no pictures")
        }
        self.video = video
        audio = found[1]
        let durationUs = max(context.pointee.duration, 1_000_000)
        bitRate = Int64(Double(sizeBytes) * 8 / (Double(durationUs) / 1_000_000))
    }

    deinit {
        var owned: UnsafeMutablePointer<AVFormatContext>? = context
        avformat_close_input(&owned)
    }
}

/// The rendition on its way.
private final class RenditionTarget {
    /// One stream of the source on its way into the rendition.
    private struct Way {
        let from: UnsafeMutablePointer<AVStream>
        let to: UnsafeMutablePointer<AVStream>
        var filter: UnsafeMutablePointer<AVBSFContext>?
        var coder: RenditionCoder?
        var packets: UInt32 = 0
    }

    let io: RenditionIO
    private let source: RenditionSource
    private let format: RenditionFormat
    private let context: UnsafeMutablePointer<AVFormatContext>
    private var ways: [Way] = []
    private var note = ""

    init(_ request: RenditionRequest, of source: RenditionSource, _ transport: any RenditionTransport) throws {
        self.source = source
        format = request.format
        io = try RenditionIO(transport, readingBytes: nil)
        let rules = RenditionRules(request.format)
        var made: UnsafeMutablePointer<AVFormatContext>?
        guard avformat_alloc_output_context2(&made, nil, rules.container, nil) >= 0, let made else {
            throw PictureError(.internal, "libav has no muxer for \(request.format.rawValue)")
        }
        context = made
        context.pointee.pb = io.context
        // Players of MPEG streams begin so much later than the first bytes come.
        context.pointee.max_delay = 700_000
        try add(source.video, rules)
        guard request.wantsAudio, let audio = source.audio else { return }
        if let parameters = audio.pointee.codecpar, rules.takesAudio(parameters.pointee) {
            try add(audio, rules)
        } else {
            note = "without sound: \(request.format.rawValue) takes none of this kind"
        }
    }

    deinit {
        for way in ways {
            var owned = way.filter
            av_bsf_free(&owned)
        }
        context.pointee.pb = nil
        avformat_free_context(context)
    }

    private func add(_ from: UnsafeMutablePointer<AVStream>, _ rules: RenditionRules) throws(PictureError) {
        guard let parameters = from.pointee.codecpar, let to = avformat_new_stream(context, nil) else {
            throw PictureError(.internal, "no memory for a stream")
        }
        var way = Way(from: from, to: to)
        let isVideo = parameters.pointee.codec_type == AVMEDIA_TYPE_VIDEO
        let codec = parameters.pointee.codec_id
        if isVideo, let coding = rules.videoCoding, !rules.takesVideo(codec) {
            let coder = try RenditionCoder(
                from, as: coding, bitRate: source.bitRate,
                frameRate: av_guess_frame_rate(source.context, from, nil))
            try coder.describe(to)
            way.coder = coder
        } else {
            guard !isVideo || rules.takesVideo(codec) else {
                throw PictureError(
                    .limit,
                    "\(format.rawValue) does not take \(RenditionNames.name(codec)): choose mkv, which takes every codec"
                )
            }
            if isVideo, rules.wantsStartCodes { way.filter = try StartCodes.filter(for: from) }
            let described = way.filter.map { $0.pointee.par_out } ?? parameters
            guard avcodec_parameters_copy(to.pointee.codecpar, described) >= 0 else {
                throw PictureError(.internal, "no memory for a stream")
            }
            // The mark of the source's container means another thing, or nothing, in this one.
            to.pointee.codecpar.pointee.codec_tag = 0
        }
        to.pointee.time_base = from.pointee.time_base
        to.pointee.avg_frame_rate = from.pointee.avg_frame_rate
        ways.append(way)
    }

    func run() throws(PictureError) {
        try check(avformat_write_header(context, nil), "begun")
        let packet = try PacketBuffer()
        while true {
            let code = av_read_frame(source.context, packet.packet)
            if code == sg_av_end() { break }
            guard code >= 0 else {
                throw PictureError(.corrupt, "the segment cannot be read (\(AVFailure.text(code)))")
            }
            defer { av_packet_unref(packet.packet) }
            guard let index = ways.firstIndex(where: { $0.from.pointee.index == packet.packet.pointee.stream_index })
            else { continue }
            try take(packet.packet, on: index)
        }
        for index in ways.indices { try take(nil, on: index) }
        try check(av_write_trailer(context), "finished")
        avio_flush(io.context)
        guard ways[0].packets > 0 else { throw PictureError(.corrupt, "none of the segment's pictures could be used") }
    }

    private func take(_ packet: UnsafeMutablePointer<AVPacket>?, on index: Int) throws(PictureError) {
        if let coder = ways[index].coder {
            return try coder.take(packet) { (coded) throws(PictureError) in try write(coded, on: index) }
        }
        guard let filter = ways[index].filter else {
            if let packet { try write(packet, on: index) }
            return
        }
        try check(av_bsf_send_packet(filter, packet), "continued")
        let filtered = try PacketBuffer()
        while av_bsf_receive_packet(filter, filtered.packet) >= 0 { try write(filtered.packet, on: index) }
    }

    /// The muxer takes the packet over.
    private func write(_ packet: UnsafeMutablePointer<AVPacket>, on index: Int) throws(PictureError) {
        let way = ways[index]
        packet.pointee.stream_index = way.to.pointee.index
        packet.pointee.pos = -1
        av_packet_rescale_ts(packet, way.from.pointee.time_base, way.to.pointee.time_base)
        try check(av_interleaved_write_frame(context, packet), "continued")
        ways[index].packets += 1
    }

    private func check(_ code: Int32, _ what: String) throws(PictureError) {
        guard code >= 0 else {
            throw PictureError(
                .internal, "the \(format.rawValue) file cannot be \(what) (\(AVFailure.text(code)))")
        }
    }

    /// What came of it.
    var made: Rendition {
        func name(_ way: Way?) -> String {
            way.map { RenditionNames.name($0.to.pointee.codecpar.pointee.codec_id) } ?? ""
        }
        return Rendition(
            frames: ways[0].packets, videoCodec: name(ways.first), audioCodec: name(ways.dropFirst().first), note: note)
    }
}

/// Codecs in the words of the catalogue.
private enum RenditionNames {
    static func name(_ codec: AVCodecID) -> String {
        for known in Codec.allCases where CodecNames.id(known) == codec { return known.rawValue }
        return codec == AV_CODEC_ID_VP8 ? "vp8" : String(cString: avcodec_get_name(codec))
    }
}
