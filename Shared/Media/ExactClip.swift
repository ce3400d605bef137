// An exact clip of recorded files: one progressive MP4, moov first, that shows what was seen between two moments. No sample is coded
// anew, and none is copied twice: the clip is a head that is made here, followed by pieces of the files as they are.
//
//   - Time 0 of the clip is the start of what is wanted. A picture belongs to it where it begins at or after the start and before the
//     end, by its wall time: clips that follow each other neither share nor miss one. Sound begins and ends with what is wanted.
//   - Video begins with the keyframe that the first shown picture needs; an edit list begins with that picture (ISO/IEC 14496-12,
//     8.6.6), behind an empty edit for the rest of the one before. The last one shown stays until the end, or its own.
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

        /// A part from its bounds.
        public init(file: Int, offset: Int64, sizeBytes: Int64) {
            (self.file, self.offset, self.sizeBytes) = (file, offset, sizeBytes)
        }
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
        let taken = Self.filesOfOneClip(files)
        var stretches: [ClipStretch] = []
        for (index, file) in files.prefix(taken).enumerated() {
            if let last = stretches.indices.last, stretches[last].take(file, index) { continue }
            stretches.append(ClipStretch(file, index))
        }
        let shown = Self.shown(stretches, fromUs: fromUs, toUs: toUs)
        guard let begin = shown.first?.range, let end = shown.last?.range else {
            throw MediaError("the recorded files have no picture of the time that is wanted")
        }
        var video = ClipTrack(.video)
        var audio = ClipTrack(.audio)
        var chunks: [ClipChunk] = []
        // Within a stretch time is that of the pictures, which a bent clock makes a little longer than that of the wall.
        var clipTicks: Int64 = 0
        var missing = max(0, begin.startUs - fromUs)
        let waitTicks = rescale(missing, from: 1_000_000, to: ProgressiveMovie.timescale)
        var before: ShownStretch?
        for (stretch, range) in shown {
            if let before {
                let holeUs = range.startUs - before.endUs
                clipTicks += before.movieTicks + rescale(holeUs, from: 1_000_000, to: ProgressiveMovie.timescale)
                missing += holeUs
            }
            video.add(stretch, range, at: clipTicks, &chunks)
            if wantsAudio { audio.add(stretch, range, at: clipTicks, &chunks) }
            before = range
        }
        chunks.sort { ($0.file, $0.offset) < ($1.file, $1.offset) }
        let movie = ProgressiveMovie(
            tracks: [video, audio].filter { !$0.samples.isEmpty }, createdUs: createdUs,
            waitTicks: waitTicks)
        head = movie.head(chunks: chunks)
        filesTaken = taken
        pieces = Self.joined(chunks)
        frames = UInt32(clamping: shown.reduce(0) { $0 + $1.range.frames })
        startUs = begin.firstUs
        endUs = end.endUs
        missingUs = missing
    }

    /// What of each stretch is shown, in order. What is seen twice, after a step of the clock, is shown once.
    private static func shown(
        _ stretches: [ClipStretch], fromUs: Int64, toUs: Int64
    ) -> [(stretch: ClipStretch, range: ShownStretch)] {
        var shown: [(stretch: ClipStretch, range: ShownStretch)] = []
        for stretch in stretches {
            guard let range = stretch.shown(fromUs: fromUs, toUs: toUs) else { continue }
            if let last = shown.last?.range {
                if range.startUs <= last.newestUs { continue }
                // How long a run's last picture stays is an estimate; another run may begin before.
                shown[shown.count - 1].range.end(beforeUs: range.startUs)
            }
            shown.append((stretch, range))
        }
        return shown
    }

    /// So many of the first of `files` fit into one clip: until the codec or its ticks change.
    public static func filesOfOneClip(_ files: some Collection<ClipFile>) -> Int {
        guard let first = files.first else { return 0 }
        return files.prefix { first.sharesTracks(with: $0) }.count
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
    /// Wall times: from when on it serves what is wanted, of the first and of the last picture, and of that one's end.
    let startUs: Int64
    let firstUs: Int64
    let newestUs: Int64
    private(set) var endUs: Int64
    /// Start and end in ticks of the video, counted from time 0 of the stretch's first file.
    let startTicks: Int64
    private(set) var endTicks: Int64
    /// From the start to the first picture: the one before is still there, and belongs to the time before.
    let leadTicks: Int64
    /// In the stretch's order of decoding: the keyframe to begin with, and the last one that is needed.
    let decoded: ClosedRange<Int>
    let frames: Int
    let timescale: UInt32

    /// Its length in ticks of the movie.
    var movieTicks: Int64 { ProgressiveMovie.ticks(endTicks - startTicks, timescale) }

    /// Something else is shown from `us` on, which lies behind the last picture's beginning.
    mutating func end(beforeUs us: Int64) {
        guard us < endUs else { return }
        endTicks = max(startTicks + leadTicks + 1, endTicks - rescale(endUs - us, from: 1_000_000, to: timescale))
        endUs = us
    }
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
        /// Place in the track's `descriptions` of the stretch.
        let description: Int
    }

    /// Times of files differ by rounding; a frame is longer.
    private static let roundingUs: Int64 = 10_000

    private let first: ClipFile
    private var last: ClipFile
    private var entries: [TrackKind: [Entry]] = [:]
    private var timescales: [TrackKind: UInt32] = [:]
    /// What the entries of a track name.
    private(set) var descriptions: [TrackKind: [MP4SampleDescription]] = [:]

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
            let places = track.descriptions.map { place(of: $0, track.kind) }
            // Taken out while it grows, so that it is not copied with each sample.
            var all = entries.removeValue(forKey: track.kind) ?? []
            for sample in file.fragments.joined() where sample.trackID == track.id {
                guard places.indices.contains(sample.description) else { continue }
                all.append(
                    Entry(
                        file: index, sample: sample, dtsTicks: sample.dtsTicks &+ shift,
                        ptsTicks: sample.ptsTicks &+ shift, wallUs: file.wallUs(sample.ptsTicks, track.timescale),
                        description: places[sample.description]))
            }
            entries[track.kind] = all
        }
    }

    private mutating func place(of description: MP4SampleDescription, _ kind: TrackKind) -> Int {
        var known = descriptions[kind] ?? []
        let place = known.firstIndex(of: description) ?? known.endIndex
        if place == known.endIndex { known.append(description) }
        descriptions[kind] = known
        return place
    }

    /// The pictures that begin between two moments; nil where none does.
    func shown(fromUs: Int64, toUs: Int64) -> ShownStretch? {
        guard let video = entries[.video], let timescale = timescales[.video],
            // A file begins with a keyframe; pictures in front of the first one cannot be decoded.
            let opening = video.firstIndex(where: \.sample.isKeyframe)
        else { return nil }
        let visible = video.indices.filter {
            $0 >= opening && video[$0].ptsTicks >= video[opening].ptsTicks && video[$0].wallUs >= fromUs
                && video[$0].wallUs < toUs
        }
        guard let earliest = visible.first, let final = visible.last,
            let first = visible.lazy.map({ video[$0] }).min(by: { $0.ptsTicks < $1.ptsTicks }),
            let newest = visible.lazy.map({ video[$0] }).max(by: { $0.ptsTicks < $1.ptsTicks }),
            let key = video[...earliest].lastIndex(where: {
                $0.sample.isKeyframe && $0.ptsTicks <= first.ptsTicks
            })
        else { return nil }
        // A picture lasts until the next one is shown, also where that one is not; here until what is wanted ends. Players need
        // two ticks of it, or they leave it out.
        let next = video[key...].lazy.map(\.ptsTicks).filter { $0 > newest.ptsTicks }.min()
        let stated = newest.ptsTicks + max(1, newest.sample.durationTicks)
        let left = max(
            rescale(toUs &- newest.wallUs, from: 1_000_000, to: timescale),
            2 * Int64(1 + timescale / ProgressiveMovie.timescale))
        let end = min(next ?? stated, newest.ptsTicks + left)
        let isLate = first.ptsTicks > video[opening].ptsTicks
        let lead = isLate ? rescale(first.wallUs - fromUs, from: 1_000_000, to: timescale) : 0
        return ShownStretch(
            startUs: isLate ? fromUs : first.wallUs, firstUs: first.wallUs, newestUs: newest.wallUs,
            endUs: min(toUs, newest.wallUs + us(end - newest.ptsTicks, timescale)), startTicks: first.ptsTicks - lead,
            endTicks: end, leadTicks: lead, decoded: key...final, frames: visible.count, timescale: timescale)
    }

    private func us(_ ticks: Int64, _ timescale: UInt32) -> Int64 { rescale(ticks, from: timescale, to: 1_000_000) }

    /// The samples of a track that `range` needs; empty where there are none.
    func needed(_ kind: TrackKind, _ range: ShownStretch) -> (samples: [Entry], timescale: UInt32)? {
        guard let all = entries[kind], let timescale = timescales[kind] else { return nil }
        if kind == .video {
            // What an open group shows in front of its keyframe needs the group before.
            let needed = all[range.decoded]
            return (needed.filter { $0.ptsTicks >= (needed.first?.ptsTicks ?? 0) }, timescale)
        }
        let start = rescale(range.startTicks, from: range.timescale, to: timescale)
        let end = rescale(range.endTicks, from: range.timescale, to: timescale)
        guard let from = all.firstIndex(where: { $0.ptsTicks + $0.sample.durationTicks > start }),
            let to = all.lastIndex(where: { $0.ptsTicks < end }), from <= to
        else { return nil }
        // One more in front: decoders of sound need what came before.
        return (Array(all[max(0, from - 1)...to]), timescale)
    }
}
