// What a decoder must know before the first packet of a track, and how files and libraries want to hear it:
// avcC (ISO/IEC 14496-15 5.3.3), hvcC (8.3.3), AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1).

/// The codecs that can be recorded. The raw values are the words of the catalogue.
public enum Codec: String, Sendable, Hashable, CaseIterable {
    /// ITU-T H.264.
    case h264
    /// ITU-T H.265.
    case hevc
    /// One JPEG picture per packet.
    case mjpeg
    /// AAC, raw frames without ADTS headers.
    case aac
    /// G.711 µ-law.
    case pcmu
    /// G.711 A-law.
    case pcma
    /// Linear PCM, 16 bits, big-endian.
    case l16

    /// Which track it belongs on.
    public var kind: TrackKind {
        switch self {
        case .h264, .hevc, .mjpeg: .video
        case .aac, .pcmu, .pcma, .l16: .audio
        }
    }
}

/// Everything about a track that holds from one packet to the next. Packets share it by reference; two of equal content are equal.
public final class CodecConfiguration: Sendable, Equatable {
    /// How the payload is coded.
    public let codec: Codec
    /// Ticks per second of the packets' times.
    public let timescale: UInt32
    /// Width of the picture as shown, 1 to 16384. 0 for audio, and for MJPEG before the first picture.
    public let widthPx: Int
    /// Height of the picture as shown.
    public let heightPx: Int
    /// Audio samples per second; 0 for video.
    public let sampleRateHz: Int
    /// Audio channels; 0 for video.
    public let channels: Int
    /// H.265 only: video parameter sets, whole NAL units.
    public let videoParameterSets: [[UInt8]]
    /// H.264 and H.265: sequence parameter sets, whole NAL units without start code.
    public let sequenceParameterSets: [[UInt8]]
    /// H.264 and H.265: picture parameter sets.
    public let pictureParameterSets: [[UInt8]]
    /// What files and decoders want: the content of avcC or hvcC, AAC's AudioSpecificConfig; empty for the others.
    public let decoderConfiguration: [UInt8]
    /// Frames that are decoded before one that is shown before them. nil: the stream does not say.
    public let reorderDepth: Int?
    /// Length of a frame in ticks as the stream states it; nil where it does not.
    public let nominalFrameTicks: Int64?

    /// Video or audio.
    public var kind: TrackKind { codec.kind }

    private init(
        codec: Codec, timescale: UInt32, widthPx: Int = 0, heightPx: Int = 0, sampleRateHz: Int = 0, channels: Int = 0,
        videoParameterSets: [[UInt8]] = [], sequenceParameterSets: [[UInt8]] = [],
        pictureParameterSets: [[UInt8]] = [], decoderConfiguration: [UInt8] = [], reorderDepth: Int? = nil,
        nominalFrameTicks: Int64? = nil
    ) throws(MediaError) {
        guard timescale > 0, timescale <= 10_000_000 else {
            throw MediaError(
                "a \(codec) track has the timescale \(timescale); 1 to 10000000 ticks per second are possible")
        }
        guard widthPx <= 16384, heightPx <= 16384, widthPx * heightPx <= 64 << 20 else {
            throw MediaError(
                "pictures of \(widthPx) x \(heightPx) are too large; at most 16384 x 16384 and 64 megapixels")
        }
        self.codec = codec
        self.timescale = timescale
        self.widthPx = widthPx
        self.heightPx = heightPx
        self.sampleRateHz = sampleRateHz
        self.channels = channels
        self.videoParameterSets = videoParameterSets
        self.sequenceParameterSets = sequenceParameterSets
        self.pictureParameterSets = pictureParameterSets
        self.decoderConfiguration = decoderConfiguration
        self.reorderDepth = reorderDepth
        self.nominalFrameTicks = nominalFrameTicks
    }

    /// H.264 from its parameter sets (NAL units without start code, at least one of each, at most 31 and 255).
    public static func h264(
        sps: [[UInt8]], pps: [[UInt8]], timescale: UInt32 = 90_000
    ) throws(MediaError) -> CodecConfiguration {
        guard let first = sps.first, !pps.isEmpty, sps.count <= 31, pps.count <= 255,
            (sps + pps).allSatisfy({ $0.count <= Int(UInt16.max) })
        else {
            throw MediaError("H.264 needs 1 to 31 sequence and 1 to 255 picture parameter sets of at most 65535 bytes")
        }
        let parsed = try H264SPS(nal: first)
        var box: [UInt8] = [1, UInt8(parsed.profile), UInt8(parsed.compatibility), UInt8(parsed.level), 0xFF]
        box.append(0xE0 | UInt8(sps.count))
        for set in sps { box.appendSized(set) }
        box.append(UInt8(pps.count))
        for set in pps { box.appendSized(set) }
        // The fields for the high profiles; leaving them out is legal for the others only.
        if [100, 110, 122, 144, 244].contains(parsed.profile) {
            box += [0xFC | UInt8(parsed.chromaFormat), 0xF8 | UInt8(parsed.bitDepthLuma - 8)]
            box += [0xF8 | UInt8(parsed.bitDepthChroma - 8), 0]
        }
        return try CodecConfiguration(
            codec: .h264, timescale: timescale, widthPx: parsed.widthPx, heightPx: parsed.heightPx,
            sequenceParameterSets: sps, pictureParameterSets: pps, decoderConfiguration: box,
            reorderDepth: parsed.reorderDepth,
            nominalFrameTicks: parsed.frameRate.flatMap { frameTicks(timescale, rate: $0) })
    }

    /// H.265 from its parameter sets (NAL units without start code, at least one of each, at most 64 of each).
    public static func hevc(
        vps: [[UInt8]], sps: [[UInt8]], pps: [[UInt8]], timescale: UInt32 = 90_000
    ) throws(MediaError) -> CodecConfiguration {
        let arrays = [(UInt8(32), vps), (33, sps), (34, pps)]
        guard let first = sps.first,
            arrays.allSatisfy({ (1...64).contains($0.1.count) && $0.1.allSatisfy { $0.count <= Int(UInt16.max) } })
        else {
            throw MediaError("H.265 needs 1 to 64 video, sequence and picture parameter sets of at most 65535 bytes")
        }
        let parsed = try HEVCSPS(nal: first)
        var box: [UInt8] = [1] + parsed.profileTierLevel
        box += [0xF0, 0, 0xFC, 0xFC | UInt8(parsed.chromaFormat)]
        box += [0xF8 | UInt8(parsed.bitDepthLuma - 8), 0xF8 | UInt8(parsed.bitDepthChroma - 8), 0, 0]
        box.append(UInt8(parsed.subLayers) << 3 | (parsed.temporalNesting ? 4 : 0) | 3)
        box.append(3)
        for (type, sets) in arrays {
            // 0x80: the array is complete, no such set is in the samples (hvc1).
            box += [0x80 | type, 0, UInt8(sets.count)]
            for set in sets { box.appendSized(set) }
        }
        return try CodecConfiguration(
            codec: .hevc, timescale: timescale, widthPx: parsed.widthPx, heightPx: parsed.heightPx,
            videoParameterSets: vps, sequenceParameterSets: sps, pictureParameterSets: pps, decoderConfiguration: box,
            reorderDepth: parsed.reorderDepth)
    }

    /// Motion JPEG.
    public static func mjpeg(widthPx: Int, heightPx: Int, timescale: UInt32 = 90_000) throws(MediaError)
        -> CodecConfiguration
    {
        guard widthPx > 0, heightPx > 0 else { throw MediaError("a JPEG picture says \(widthPx) x \(heightPx)") }
        return try CodecConfiguration(
            codec: .mjpeg, timescale: timescale, widthPx: widthPx, heightPx: heightPx, reorderDepth: 0)
    }

    /// AAC from its AudioSpecificConfig. Rate and channels are those of the core coder.
    public static func aac(audioSpecificConfig: [UInt8], timescale: UInt32? = nil) throws(MediaError)
        -> CodecConfiguration
    {
        guard audioSpecificConfig.count <= 64 else {
            throw MediaError("AAC's configuration has \(audioSpecificConfig.count) bytes; at most 64 are possible")
        }
        var reader = BitReader(cleaned: audioSpecificConfig)
        if try reader.bits(5) == 31 { try reader.skip(6) }
        let rates = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350]
        let index = Int(try reader.bits(4))
        guard index < rates.count || index == 15 else { throw MediaError("AAC's configuration names no sample rate") }
        let rate = index == 15 ? Int(try reader.bits(24)) : rates[index]
        // Channel configuration 7 is eight speakers; 0 means that the stream tells, mostly one or two: 2 is what decoders assume.
        let speakers = Int(try reader.bits(4))
        guard rate > 0, speakers <= 7 else {
            throw MediaError("AAC's configuration is broken: \(rate) Hz, layout \(speakers)")
        }
        return try CodecConfiguration(
            codec: .aac, timescale: timescale ?? UInt32(rate), sampleRateHz: rate,
            channels: speakers == 0 ? 2 : speakers == 7 ? 8 : speakers, decoderConfiguration: audioSpecificConfig,
            nominalFrameTicks: 1024 * Int64(timescale ?? UInt32(rate)) / Int64(rate))
    }

    /// PCMU, PCMA or L16.
    public static func pcm(
        _ codec: Codec, sampleRateHz: Int, channels: Int, timescale: UInt32? = nil
    ) throws(MediaError) -> CodecConfiguration {
        guard [.pcmu, .pcma, .l16].contains(codec), (1...192_000).contains(sampleRateHz), (1...8).contains(channels)
        else {
            throw MediaError("\(codec) with \(sampleRateHz) Hz and \(channels) channels cannot be recorded")
        }
        return try CodecConfiguration(
            codec: codec, timescale: timescale ?? UInt32(sampleRateHz), sampleRateHz: sampleRateHz, channels: channels)
    }

    /// Bytes per sample of all channels for PCM; 0 for the others.
    public var pcmFrameBytes: Int {
        switch codec {
        case .pcmu, .pcma: channels
        case .l16: 2 * channels
        default: 0
        }
    }

    /// A track of a file can hold samples of both: H.264 or H.265 of the same clock.
    public func sharesTrack(with other: CodecConfiguration) -> Bool {
        codec == other.codec && timescale == other.timescale && (codec == .h264 || codec == .hevc)
    }

    /// The parameter sets as they stand among the samples of a file: each after its length in 4 bytes.
    var parameterSetUnits: [UInt8] {
        var units = BoxWriter()
        for set in videoParameterSets + sequenceParameterSets + pictureParameterSets {
            units.u32(UInt32(set.count))
            units.bytes(set)
        }
        return units.data
    }

    /// Memory that the parameter sets and their boxes take.
    var sizeBytes: Int {
        let sets = videoParameterSets + sequenceParameterSets + pictureParameterSets
        return sets.reduce(decoderConfiguration.count) { $0 + $1.count }
    }

    /// Same content: a decoder set up for one can go on with the other, and a file can hold both.
    public static func == (left: CodecConfiguration, right: CodecConfiguration) -> Bool {
        left === right
            || left.codec == right.codec && left.timescale == right.timescale && left.widthPx == right.widthPx
                && left.heightPx == right.heightPx && left.sampleRateHz == right.sampleRateHz
                && left.channels == right.channels && left.decoderConfiguration == right.decoderConfiguration
    }

    private static func frameTicks(_ timescale: UInt32, rate: (UInt32, UInt32)) -> Int64? {
        let ticks = Int64(timescale) * Int64(rate.1) / Int64(rate.0)
        // Outside 0.1 to 300 frames per second a camera's statement is a slip, not a rate.
        return (Int64(timescale) / 300...Int64(timescale) * 10).contains(ticks) ? ticks : nil
    }
}

extension [UInt8] {
    fileprivate mutating func appendSized(_ bytes: [UInt8]) {
        append(UInt8(bytes.count >> 8 & 0xFF))
        append(UInt8(bytes.count & 0xFF))
        append(contentsOf: bytes)
    }
}
