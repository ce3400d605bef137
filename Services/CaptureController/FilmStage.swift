// Films one behind the other as one source: when each sample is due, and what times its packets have. Pure. A film's own times count
// from its first picture; the next film, or the same one again, goes on where the last one ended, so that footage has no gap.
import Media
import MediaWork

struct FilmStage: Sendable {
    private struct Sound: Sendable {
        var timeline: AudioTimeline
        let timescale: UInt32
        let codec: Codec
    }

    private static let timescale: UInt32 = 90_000
    /// What is read ahead of its time is bounded by the order of samples in the file; more is a file that says nonsense.
    private static let longestAheadNs: Int64 = 10_000_000_000

    /// Times of a file beyond 12 years are none: their sums would not fit.
    private static let maximumTicks: UInt64 = 1 << 45

    /// Pictures so far.
    private(set) var pictures = 0
    /// Pictures that could not be used.
    var broken: UInt64 { stills.counters.broken + stills.counters.withoutConfiguration + brokenBefore + brokenNow }
    private var brokenNow: UInt64 { film.map { $0.counters.broken + $0.counters.withoutConfiguration } ?? 0 }
    private var brokenBefore: UInt64 = 0

    private let beganNs: Int64
    private var stills = VideoAssembler(codec: .mjpeg, timescale: FilmStage.timescale)
    private var film: VideoAssembler?
    private var videoCodec: Codec?
    private var sound: Sound?
    /// When the film's time 0 is on the host's clock, and on the source's, in ticks.
    private var filmNs: Int64 = 0
    private var filmTicks: Int64 = 0
    /// Of the film's first sample.
    private var firstTicks: Int64?
    private var newestPtsTicks: Int64?
    private var frameTicks: Int64 = 3600

    /// `nowNs`: time 0 of the source.
    init(nowNs: Int64) { beganNs = nowNs }

    /// The next film begins; its first picture is due now, or when the last film is over.
    mutating func beginFilm(nowNs: Int64) {
        film = nil
        sound = nil
        videoCodec = nil
        firstTicks = nil
        let nowTicks = rescale(nowNs - beganNs, from: 1_000_000_000, to: Self.timescale)
        let next = newestPtsTicks.map { $0 + frameTicks }
        // Behind by more than a second: the source was empty for a while.
        if let next, nowTicks - next < Int64(Self.timescale) { filmTicks = next } else { filmTicks = nowTicks }
        filmNs = beganNs + rescale(filmTicks, from: Self.timescale, to: 1_000_000_000)
    }

    mutating func add(_ track: FilmTrack) {
        switch track.codec.kind {
        case .video:
            videoCodec = track.codec
            film = VideoAssembler(
                codec: track.codec, timescale: track.timescale, parameterSets: track.decoderConfiguration)
        case .audio:
            let configuration: CodecConfiguration? =
                track.codec == .aac
                ? try? .aac(audioSpecificConfig: track.decoderConfiguration, timescale: track.timescale)
                : try? .pcm(track.codec, sampleRateHz: track.sampleRateHz, channels: track.channels)
            // Sound that cannot be recorded is left out; the pictures are what counts.
            sound = configuration.map {
                Sound(timeline: AudioTimeline(configuration: $0), timescale: track.timescale, codec: track.codec)
            }
        }
    }

    /// The first samples of a film in the order in which they are to be told: sound before the first picture, whose file would
    /// have none otherwise. What comes first by its time is the film's beginning.
    mutating func beginning(_ samples: [FilmSample]) -> [FilmSample] {
        firstTicks = samples.compactMap { sample in
            scale(sample.codec).map { rescale(sample.ptsTicks, from: $0, to: Self.timescale) }
        }.filter { $0.magnitude <= Self.maximumTicks }.min()
        guard let voice = samples.firstIndex(where: { $0.codec.kind == .audio }) else { return samples }
        var ordered = samples
        ordered.insert(ordered.remove(at: voice), at: 0)
        return ordered
    }

    /// Whether these are all that `beginning` needs.
    func isBeginning(_ samples: [FilmSample]) -> Bool {
        sound == nil || samples.count >= Self.mostAtOnce || samples.contains { $0.codec.kind == .audio }
    }

    /// Files have sound and pictures of one moment nearer to each other.
    private static let mostAtOnce = 32

    /// When a sample is to be told, on the host's clock; nil where it belongs to no track.
    mutating func dueNs(_ sample: FilmSample) -> Int64? {
        guard let scale = scale(sample.codec) else { return nil }
        let ticks = rescale(sample.ptsTicks, from: scale, to: Self.timescale)
        guard ticks.magnitude <= Self.maximumTicks else { return nil }
        let first = firstTicks ?? ticks
        firstTicks = first
        let dueNs = filmNs + rescale(ticks - first, from: Self.timescale, to: 1_000_000_000)
        let newestNs = beganNs + rescale(max(newestPtsTicks ?? 0, filmTicks), from: Self.timescale, to: 1_000_000_000)
        return min(dueNs, newestNs + Self.longestAheadNs)
    }

    /// The packets that a sample completes.
    mutating func take(_ sample: FilmSample, nowNs: Int64) -> [MediaPacket] {
        guard let scale = scale(sample.codec), let firstTicks else { return [] }
        let shiftTicks = filmTicks - firstTicks
        guard sample.codec.kind == .video else {
            let shift = rescale(shiftTicks, from: Self.timescale, to: scale)
            let packet = sample.bytes.withUnsafeBytes { bytes in
                sound?.timeline.packet(
                    bytes, ptsTicks: sample.ptsTicks + shift, arrivalNs: nowNs,
                    videoPtsUs: newestPtsTicks.map { rescale($0, from: Self.timescale, to: 1_000_000) })
            }
            return packet.map { [$0] } ?? []
        }
        let pts = sample.ptsTicks + shiftTicks
        // Each sample is a whole picture, so what is in progress is complete.
        let before = sample.bytes.withUnsafeBytes { film?.append($0, ptsTicks: pts, arrivalNs: nowNs) }
        return count([before ?? nil, film?.flush()].compactMap { $0 })
    }

    /// The film is over.
    mutating func endFilm(nowNs: Int64) -> [MediaPacket] {
        let last = count([film?.flush()].compactMap { $0 })
        brokenBefore += brokenNow
        film = nil
        return last
    }

    /// A picture that is a file; its time is now. Nil for what is no whole picture.
    mutating func still(_ bytes: [UInt8], nowNs: Int64) -> MediaPacket? {
        guard bytes.withUnsafeBytes(JPEGHeader.isWhole) else { return nil }
        let nowTicks = rescale(nowNs - beganNs, from: 1_000_000_000, to: Self.timescale)
        return stills.take(
            picture: PacketBytes(bytes), ptsTicks: max(nowTicks, (newestPtsTicks ?? -1) + 1), arrivalNs: nowNs
        ).flatMap { count([$0]).first }
    }

    private func scale(_ codec: Codec) -> UInt32? {
        codec.kind == .video
            ? (codec == videoCodec ? Self.timescale : nil) : (codec == sound?.codec ? sound?.timescale : nil)
    }

    private mutating func count(_ packets: [MediaPacket]) -> [MediaPacket] {
        for packet in packets {
            pictures += 1
            newestPtsTicks = max(newestPtsTicks ?? .min, packet.ptsTicks)
            if packet.durationTicks > 0 { frameTicks = packet.durationTicks }
        }
        return packets
    }
}
