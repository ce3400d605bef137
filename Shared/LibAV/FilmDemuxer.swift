// A media file apart into the samples of its tracks, by libavformat. Blocking. Only the media-worker calls it: the file may be
// anybody's.
import CLibAV
import Media
import MediaWork

/// Reads films.
public enum FilmDemuxer {
    /// Containers that a film may be in; each is a file of its own. Playlists and the like, which name other files, are none.
    static let formats = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,mjpeg,h264,hevc"

    /// Reads the file through `transport` and hands on its tracks, then its samples. Throws `corrupt` where the file holds no pictures
    /// that can be recorded, and what `transport` and `deliver` throw.
    public static func read(
        sizeBytes: Int64, through transport: any RenditionTransport, deliver: (WorkMessage) throws -> Void
    ) throws -> Rendition {
        LibAVLog.silence()
        let film = try Film(transport, sizeBytes: sizeBytes)
        do { return try film.read(deliver) } catch { throw film.io.failure ?? error }
    }
}

private final class Film {
    private struct Track {
        let stream: UnsafeMutablePointer<AVStream>
        let codec: Codec
        let timescale: UInt32
        var filter: UnsafeMutablePointer<AVBSFContext>?
    }

    let io: RenditionIO
    private let context: UnsafeMutablePointer<AVFormatContext>
    private var tracks: [Track] = []
    private var pictures: UInt32 = 0

    init(_ transport: any RenditionTransport, sizeBytes: Int64) throws {
        io = try RenditionIO(transport, readingBytes: sizeBytes)
        var opened = avformat_alloc_context()
        guard opened != nil else { throw PictureError(.internal, "no memory for a file") }
        opened?.pointee.pb = io.context
        opened?.pointee.format_whitelist = av_strdup(FilmDemuxer.formats)
        let code = avformat_open_input(&opened, nil, nil, nil)
        guard code >= 0, let opened else {
            throw io.failure ?? PictureError(.corrupt, "the file is no film that can be read (\(AVFailure.text(code)))")
        }
        context = opened
        _ = avformat_find_stream_info(context, nil)
        for index in 0..<Int(context.pointee.nb_streams) {
            guard let stream = context.pointee.streams[index], let track = try Self.track(stream),
                !tracks.contains(where: { $0.codec.kind == track.codec.kind })
            else { continue }
            tracks.append(track)
        }
        // All is set by now: what is thrown from here on is followed by `deinit`, which closes.
        guard tracks.contains(where: { $0.codec.kind == .video }) else {
            throw io.failure
                ?? PictureError(
                    .corrupt, "the file holds no pictures that can be recorded (H.264, H.265 or Motion JPEG)")
        }
    }

    deinit {
        for index in tracks.indices { av_bsf_free(&tracks[index].filter) }
        var owned: UnsafeMutablePointer<AVFormatContext>? = context
        avformat_close_input(&owned)
    }

    private static func track(_ stream: UnsafeMutablePointer<AVStream>) throws(PictureError) -> Track? {
        guard let parameters = stream.pointee.codecpar,
            let codec = Codec.allCases.first(where: { CodecNames.id($0) == parameters.pointee.codec_id })
        else { return nil }
        // Video in the ticks that recordings have; sound by its own rate, so that no packet's length is rounded.
        let timescale = codec.kind == .video ? 90_000 : UInt32(clamping: parameters.pointee.sample_rate)
        guard timescale > 0 else { return nil }
        var track = Track(stream: stream, codec: codec, timescale: timescale)
        if codec == .h264 || codec == .hevc { track.filter = try StartCodes.filter(for: stream) }
        return track
    }

    func read(_ deliver: (WorkMessage) throws -> Void) throws -> Rendition {
        for track in tracks {
            guard let parameters = track.stream.pointee.codecpar else { continue }
            try deliver(
                .track(
                    FilmTrack(
                        codec: track.codec, timescale: track.timescale,
                        sampleRateHz: Int(max(0, parameters.pointee.sample_rate)),
                        channels: Int(min(max(0, parameters.pointee.ch_layout.nb_channels), 255)),
                        decoderConfiguration: Self.configuration(track))))
        }
        let packet = try PacketBuffer()
        while true {
            let code = av_read_frame(context, packet.packet)
            if code == sg_av_end() { break }
            guard code >= 0 else {
                throw PictureError(.corrupt, "the file cannot be read on (\(AVFailure.text(code)))")
            }
            defer { av_packet_unref(packet.packet) }
            guard let track = tracks.first(where: { $0.stream.pointee.index == packet.packet.pointee.stream_index })
            else { continue }
            try take(packet.packet, of: track, deliver)
        }
        return Rendition(frames: pictures, videoCodec: "", audioCodec: "", note: "")
    }

    private func take(
        _ packet: UnsafeMutablePointer<AVPacket>, of track: Track, _ deliver: (WorkMessage) throws -> Void
    ) throws {
        guard let filter = track.filter else { return try hand(packet, of: track, deliver) }
        guard av_bsf_send_packet(filter, packet) >= 0 else { return }
        let filtered = try PacketBuffer()
        while av_bsf_receive_packet(filter, filtered.packet) >= 0 {
            defer { av_packet_unref(filtered.packet) }
            try hand(filtered.packet, of: track, deliver)
        }
    }

    private func hand(
        _ packet: UnsafeMutablePointer<AVPacket>, of track: Track, _ deliver: (WorkMessage) throws -> Void
    ) throws {
        let stated = packet.pointee.pts == sg_av_no_time() ? packet.pointee.dts : packet.pointee.pts
        guard let data = packet.pointee.data, packet.pointee.size > 0, stated != sg_av_no_time() else { return }
        let scale = AVRational(num: 1, den: Int32(clamping: track.timescale))
        let ticks = av_rescale_q(stated, track.stream.pointee.time_base, scale)
        if track.codec.kind == .video { pictures += 1 }
        try deliver(
            .sample(
                FilmSample(
                    codec: track.codec, ptsTicks: ticks,
                    bytes: Array(UnsafeBufferPointer(start: data, count: Int(packet.pointee.size))))))
    }

    /// What the filter to start codes made of it, where there is one.
    private static func configuration(_ track: Track) -> [UInt8] {
        let parameters = track.filter.map { $0.pointee.par_out } ?? track.stream.pointee.codecpar
        guard let parameters, let data = parameters.pointee.extradata, parameters.pointee.extradata_size > 0 else {
            return []
        }
        return Array(UnsafeBufferPointer(start: data, count: Int(parameters.pointee.extradata_size)))
    }
}

/// From NAL units behind lengths to NAL units behind start codes.
enum StartCodes {
    /// Nil for a codec that has neither. What is behind start codes already passes unchanged.
    static func filter(
        for stream: UnsafeMutablePointer<AVStream>
    ) throws(PictureError) -> UnsafeMutablePointer<AVBSFContext>? {
        guard let parameters = stream.pointee.codecpar else { return nil }
        let names = [AV_CODEC_ID_H264.rawValue: "h264_mp4toannexb", AV_CODEC_ID_HEVC.rawValue: "hevc_mp4toannexb"]
        guard let name = names[parameters.pointee.codec_id.rawValue] else { return nil }
        var made: UnsafeMutablePointer<AVBSFContext>?
        guard av_bsf_alloc(av_bsf_get_by_name(name), &made) >= 0, let made else {
            throw PictureError(.internal, "libav has no \(name)")
        }
        made.pointee.time_base_in = stream.pointee.time_base
        guard avcodec_parameters_copy(made.pointee.par_in, parameters) >= 0, av_bsf_init(made) >= 0 else {
            var owned: UnsafeMutablePointer<AVBSFContext>? = made
            av_bsf_free(&owned)
            throw PictureError(.corrupt, "the pictures' parameters cannot be used")
        }
        return made
    }
}
