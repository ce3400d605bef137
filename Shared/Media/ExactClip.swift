// An exact clip of recorded files: one progressive MP4, moov first, that shows what was seen between two moments. No sample is coded
// anew, and none is copied twice: the clip is a head that is made here, followed by pieces of the files as they are.
//
//   - Video begins with the keyframe that the first shown picture needs; an edit list begins with that picture (ISO/IEC 14496-12,
//     8.6.6). The first one shown is that which was on the screen at the start, the last one begins before the end.
//   - Files of one run that follow each other are one stretch of the clip. Where footage is missing before the first, an empty edit
//     stands for it; between two, the last picture stays: so the clip's time is that of the wall clock. (FFmpeg 5.1 takes an empty
//     edit between two others for a time, and shows the beginning again.)
//   - Parameter sets of all files are sample descriptions of one track. Another codec, or other ticks, need another clip.

/// What is written for a clip, and in which order.
public struct ExactClip: Sendable {
    /// A part of one of the files.
    public struct Piece: Sendable, Hashable {
        /// Which of the files, from 0 in the order given.
        public let file: Int
        /// Where it begins there.
        public let offset: Int64
        /// Its length.
        public let sizeBytes: Int64
    }

    /// ftyp, moov, and the head of mdat: the first bytes of the clip.
    public let head: [UInt8]
    /// What follows, in this order.
    public let pieces: [Piece]
    /// Pictures that are shown.
    public let frames: UInt32
    /// Wall time of the first picture shown, microseconds.
    public let startUs: Int64
    /// Wall time of the end of the last one.
    public let endUs: Int64
    /// So many of the files could be in this clip; those behind them need another one.
    public let filesTaken: Int
    /// Wall time without pictures in between, microseconds.
    public let missingUs: Int64

    /// Size of the whole clip.
    public var sizeBytes: Int64 { Int64(head.count) + pieces.reduce(0) { $0 + $1.sizeBytes } }

    /// A clip of what `files` have between two moments of the wall clock (microseconds; `endUs` exclusive). Throws where they
    /// have no picture of it.
    ///
    /// - Parameters:
    ///   - files: of one source, in the order of their times.
    ///   - wantsAudio: false leaves the sound out.
    ///   - createdUs: what the file says of its making.
    public init(
        of files: [ClipFile], fromUs: Int64, toUs: Int64, wantsAudio: Bool = true, createdUs: Int64
    ) throws(MediaError) {
        var stretches: [ClipStretch] = []
        var first: ClipFile?
        var taken = 0
        for (index, file) in files.enumerated() {
            if let first, !first.sharesTracks(with: file) { break }
            taken = index + 1
            if let last = stretches.indices.last, stretches[last].take(file, index) { continue }
            stretches.append(ClipStretch(file, index))
            first = first ?? file
        }
        var video = ClipTrack(.video)
        var audio = ClipTrack(.audio)
        var chunks: [ClipChunk] = []
        var shown: [ShownStretch] = []
        for stretch in stretches {
            guard let range = stretch.shown(fromUs: fromUs, toUs: toUs) else { continue }
            // What is seen twice, after a step of the clock, is shown once.
            if let last = shown.last, range.startUs < last.endUs { continue }
            // Within a stretch time is that of the pictures, which a bent clock makes a little longer than that of the wall.
            var clipTicks: Int64 = 0
            for (one, next) in zip(shown, shown.dropFirst() + [range]) {
                let missing = rescale(next.startUs - one.endUs, from: 1_000_000, to: ProgressiveMovie.timescale)
                clipTicks += one.movieTicks + missing
            }
            video.add(stretch, range, at: clipTicks, &chunks)
            if wantsAudio { audio.add(stretch, range, at: clipTicks, &chunks) }
            shown.append(range)
        }
        guard let begin = shown.first, let end = shown.last else {
            throw MediaError("the recorded files have no picture of the time that is wanted")
        }
        chunks.sort { ($0.file, $0.offset) < ($1.file, $1.offset) }
        let movie = ProgressiveMovie(
            tracks: [video, audio].filter { !$0.samples.isEmpty }, createdUs: createdUs,
            waitTicks: rescale(
                max(0, begin.startUs - fromUs), from: 1_000_000, to: ProgressiveMovie.timescale))
        head = movie.head(chunks: chunks)
        filesTaken = taken
        pieces = Self.joined(chunks)
        frames = UInt32(clamping: shown.reduce(0) { $0 + $1.frames })
        startUs = begin.startUs
        endUs = end.endUs
        missingUs = zip(shown, shown.dropFirst()).reduce(max(0, begin.startUs - fromUs)) {
            $0 + $1.1.startUs - $1.0.endUs
        }
    }

    /// Pieces that follow each other in a file are one.
    private static func joined(_ chunks: [ClipChunk]) -> [Piece] {
        var pieces: [Piece] = []
        for chunk in chunks {
            if let last = pieces.last, last.file == chunk.file, last.offset + last.sizeBytes == chunk.offset {
                pieces[pieces.count - 1] = Piece(
                    file: last.file, offset: last.offset, sizeBytes: last.sizeBytes + chunk.sizeBytes)
            } else {
                pieces.append(Piece(file: chunk.file, offset: chunk.offset, sizeBytes: chunk.sizeBytes))
            }
        }
        return pieces
    }
}

/// Samples of one track that lie one behind the other in a file.
struct ClipChunk: Sendable {
    let kind: TrackKind
    let file: Int
    let offset: Int64
    var sizeBytes: Int64
    var samples: UInt32
    /// Place in the clip's descriptions of the track, from 0.
    let description: Int
}

/// What of a stretch is shown.
struct ShownStretch: Sendable {
    /// Wall times of the first shown picture and of the last one's end.
    let startUs: Int64
    let endUs: Int64
    /// The same in ticks of the video, counted from time 0 of the stretch's first file.
    let startTicks: Int64
    let endTicks: Int64
    /// In the stretch's order of decoding: the keyframe to begin with, and the last one that is needed.
    let decoded: ClosedRange<Int>
    let frames: Int
    let timescale: UInt32

    /// Its length in ticks of the movie.
    var movieTicks: Int64 { ProgressiveMovie.ticks(endTicks - startTicks, timescale) }
}

/// Files of one run without a hole between them.
struct ClipStretch: Sendable {
    struct Entry: Sendable {
        let file: Int
        let sample: MP4Sample
        /// Times in ticks from time 0 of the first file.
        let dtsTicks: Int64
        let ptsTicks: Int64
        let wallUs: Int64
        let description: MP4SampleDescription
    }

    /// Times of files differ by rounding; a frame is longer.
    private static let roundingUs: Int64 = 10_000

    private let first: ClipFile
    private var last: ClipFile
    private var entries: [TrackKind: [Entry]] = [:]
    private var timescales: [TrackKind: UInt32] = [:]

    init(_ file: ClipFile, _ index: Int) {
        first = file
        last = file
        add(file, index)
    }

    /// Goes on with a file; false where it does not follow.
    mutating func take(_ file: ClipFile, _ index: Int) -> Bool {
        guard file.info.runID == last.info.runID,
            abs(file.info.startUs &- (last.info.endUs ?? 0)) <= Self.roundingUs
        else { return false }
        last = file
        add(file, index)
        return true
    }

    private mutating func add(_ file: ClipFile, _ index: Int) {
        for track in file.tracks {
            timescales[track.kind] = timescales[track.kind] ?? track.timescale
            let shift = rescale(file.zeroUs &- first.zeroUs, from: 1_000_000, to: track.timescale)
            for sample in file.fragments.joined() where sample.trackID == track.id {
                guard track.descriptions.indices.contains(sample.description) else { continue }
                entries[track.kind, default: []].append(
                    Entry(
                        file: index, sample: sample, dtsTicks: sample.dtsTicks &+ shift,
                        ptsTicks: sample.ptsTicks &+ shift, wallUs: file.wallUs(sample.ptsTicks, track.timescale),
                        description: track.descriptions[sample.description]))
            }
        }
    }

    /// What is to be seen between two moments; nil where nothing is.
    func shown(fromUs: Int64, toUs: Int64) -> ShownStretch? {
        guard let video = entries[.video], let timescale = timescales[.video] else { return nil }
        let before = video.indices.filter { video[$0].wallUs <= fromUs }.max { video[$0].wallUs < video[$1].wallUs }
        guard let begin = before ?? video.indices.min(by: { video[$0].wallUs < video[$1].wallUs }),
            let key = video[...begin].lastIndex(where: {
                $0.sample.isKeyframe && $0.ptsTicks <= video[begin].ptsTicks
            }) ?? video.firstIndex(where: \.sample.isKeyframe)
        else { return nil }
        // A file begins with a keyframe; pictures in front of the first one cannot be decoded.
        let start = max(video[begin].ptsTicks, video[key].ptsTicks)
        let visible = video.indices.filter { $0 >= key && video[$0].ptsTicks >= start && video[$0].wallUs < toUs }
        guard let final = visible.max(), let newest = visible.max(by: { video[$0].ptsTicks < video[$1].ptsTicks })
        else { return nil }
        // A picture lasts until the next one is shown, also where that one is not.
        let stated = video[newest].ptsTicks + video[newest].sample.durationTicks
        let next = video[key...].lazy.map(\.ptsTicks).filter { $0 > video[newest].ptsTicks }.min()
        let end = min(stated, next ?? stated)
        let startUs = wallUs(start, timescale)
        let endUs = wallUs(end, timescale)
        guard endUs > fromUs, startUs < toUs else { return nil }
        return ShownStretch(
            startUs: startUs, endUs: endUs, startTicks: start, endTicks: end, decoded: key...final,
            frames: visible.count, timescale: timescale)
    }

    private func wallUs(_ ticks: Int64, _ timescale: UInt32) -> Int64 {
        let file = entries[.video]?.last { $0.ptsTicks <= ticks }.map { $0.wallUs &- us($0.ptsTicks, timescale) }
        return (file ?? first.wallUs(0, timescale)) &+ us(ticks, timescale)
    }

    private func us(_ ticks: Int64, _ timescale: UInt32) -> Int64 { rescale(ticks, from: timescale, to: 1_000_000) }

    /// The samples of a track that `range` needs; empty where there are none.
    func needed(_ kind: TrackKind, _ range: ShownStretch) -> (samples: ArraySlice<Entry>, timescale: UInt32)? {
        guard let all = entries[kind], let timescale = timescales[kind] else { return nil }
        if kind == .video { return (all[range.decoded], timescale) }
        let start = rescale(range.startTicks, from: range.timescale, to: timescale)
        let end = rescale(range.endTicks, from: range.timescale, to: timescale)
        guard let from = all.firstIndex(where: { $0.ptsTicks + $0.sample.durationTicks > start }),
            let to = all.lastIndex(where: { $0.ptsTicks < end }), from <= to
        else { return nil }
        // One more in front: decoders of sound need what came before.
        return (all[max(0, from - 1)...to], timescale)
    }
}
