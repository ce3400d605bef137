// A fragmented file, whole or torn, to its fragments; and what of a torn one can be kept.
//
// Nothing in the file is trusted: each box must lie inside its parent, nesting is bounded by the walk itself (no recursion),
// tables must fit the boxes that hold them, sizes are bounded before anything is read or reserved. FragmentParser.swift
// reads one moof; MovieParser.swift reads moov.
//
// A fragment counts as whole when its moof is well formed, an mdat follows at once and ends within the file, all sample data
// lies in that mdat, no sample is empty and all together are not longer than it, and the NAL lengths of each H.264 and H.265
// sample add up to its size. The rule about the sum keeps the reading linear: without it a table of some bytes could name the same
// data a hundred thousand times. The last rule finds what a power cut leaves: a file of full length whose end is zeros. Who knows that
// a file was ended in order can leave that rule out; then nothing of an mdat is read.

/// A track as moov describes it.
public struct MP4Track: Sendable, Hashable {
    /// Identity within the file.
    public var id: UInt32
    /// Video or audio.
    public var kind: TrackKind
    /// Ticks per second.
    public var timescale: UInt32
    /// What its samples may have, in the order of the file; at least one.
    public var descriptions: [MP4SampleDescription]
}

/// How a sample is coded: an entry of stsd.
public struct MP4SampleDescription: Sendable, Hashable {
    /// Four characters of the sample entry: "avc1", "hvc1", "mp4a"; "avc3", "hev1" where samples have parameter sets in front.
    public var sampleEntry: String
    /// Bytes of a NAL length; nil where samples are not NAL units.
    public var nalLengthBytes: Int?
    /// Width in the sample entry; 0 for audio.
    public var widthPx: Int
    /// Height in the sample entry; 0 for audio.
    public var heightPx: Int
    /// The whole entry, for a file that has the same samples.
    public var box: [UInt8] = []
}

/// One sample of a fragment.
public struct MP4Sample: Sendable, Hashable {
    /// The track it belongs to.
    public var trackID: UInt32
    /// Place in the track's `descriptions`, from 0.
    public var description: Int
    /// Where its bytes begin in the file.
    public var offset: Int64
    /// Size in bytes.
    public var sizeBytes: Int
    /// Decoding time in ticks of the track.
    public var dtsTicks: Int64
    /// Presentation time in ticks of the track.
    public var ptsTicks: Int64
    /// Length in ticks of the track.
    public var durationTicks: Int64
    /// Decoding can start here.
    public var isKeyframe: Bool
}

/// One moof with its mdat.
public struct MP4Fragment: Sendable, Hashable {
    /// Where the moof begins.
    public var offset: Int64
    /// First byte after the mdat.
    public var endOffset: Int64
    /// All samples of all tracks, track by track.
    public var samples: [MP4Sample]
}

/// What of a file can be kept.
public struct MP4Salvage: Sendable {
    /// The tracks of moov; empty where there is no whole moov: then nothing can be kept.
    public var tracks: [MP4Track] = []
    /// The file is good up to here. Truncate to it and append `FragmentedMP4Writer.trailer`.
    /// 0 where not even the header is whole.
    public var validBytes: Int64 = 0
    /// Whole fragments.
    public var fragments = 0
    /// Video frames in them.
    public var videoFrames: UInt32 = 0
    /// Timescale of the times below: that of the video track.
    public var timescale: UInt32 = 1
    /// Presentation time of the first video frame, in ticks of the file.
    public var startTicks: Int64 = 0
    /// Largest end of a video frame, in ticks of the file.
    public var endTicks: Int64 = 0
    /// The information box: the final one where the file has it, else the preliminary one.
    public var info: SegmentInfo?
    /// The file is whole: its last box is the final information box and nothing follows it.
    public var isComplete: Bool { info?.isFinal == true && !hasRest }
    /// Something unusable follows `validBytes`.
    public var hasRest = false

    /// Length of the video that can be kept, in microseconds.
    public var durationUs: Int64 {
        rescale(endTicks, from: timescale, to: 1_000_000) &- rescale(startTicks, from: timescale, to: 1_000_000)
    }

    /// The final information for the truncated file, from the preliminary one and what was found. nil where the file has
    /// no information box or no frame.
    public var finalInfo: SegmentInfo? {
        guard var final = info, videoFrames > 0 else { return nil }
        if final.isFinal { return final }
        if let anchor = final.anchor {
            final.startUs = anchor.wallUs(ofMediaUs: final.mediaStartUs)
            final.endUs = anchor.wallUs(ofMediaUs: final.mediaStartUs &+ durationUs)
        } else {
            final.endUs = final.startUs &+ durationUs
        }
        final.frames = videoFrames
        final.isFinal = true
        final.salvaged = true
        return final
    }
}

/// Reads fragmented files.
public struct FragmentedMP4Reader {
    /// A larger moov is not ours: it holds descriptions, no tables.
    static let maximumMoovBytes: Int64 = 1 << 20
    /// A moof of 150 ms has a few hundred bytes; one of a whole minute fits as well.
    static let maximumMoofBytes: Int64 = 4 << 20
    /// Boxes at the top of a file: ten a second for a day, several times over.
    static let maximumBoxes = 4_000_000
    /// What kernels write to the storage as a whole.
    static let pageBytes: Int64 = 4096

    private let source: any ByteSource

    /// Reads from `source`; nothing is read before the first call.
    public init(_ source: any ByteSource) {
        self.source = source
    }

    /// Walks the whole file and says what of it can be kept. Throws only where reading itself fails, never for content.
    ///
    /// `findingLostPages`: for a file that was not synced to its end. A power cut may have kept its end and lost a page before it,
    /// which reads as zeros; a fragment with such a page in its video is not whole. (No coded video has so many zeros in a row;
    /// silent sound may.)
    public func salvage(findingLostPages: Bool = false) throws(MediaError) -> MP4Salvage {
        try walk(findingLostPages: findingLostPages) { _ in }
    }

    /// The whole fragments in order.
    public func fragments() throws(MediaError) -> [MP4Fragment] { try contents().fragments }

    /// What can be kept, and the whole fragments in order.
    ///
    /// `readingSamples`: false reads boxes only, and takes for whole what they say. For a file that turns out to be complete.
    public func contents(
        readingSamples: Bool = true
    ) throws(MediaError) -> (found: MP4Salvage, fragments: [MP4Fragment]) {
        var fragments: [MP4Fragment] = []
        let found = try walk(readingSamples: readingSamples) { fragments.append($0) }
        return (found, fragments)
    }

    /// The payload of a sample of this file.
    public func payload(of sample: MP4Sample) throws(MediaError) -> [UInt8] {
        let bytes = try source.read(at: sample.offset, count: sample.sizeBytes)
        guard bytes.count == sample.sizeBytes else { throw MediaError("a sample lies beyond the end of its file") }
        return bytes
    }

    private struct Box {
        var type: String
        var offset: Int64
        var contentOffset: Int64
        var end: Int64
    }

    /// The box at `offset`, or nil where its header is not whole or its end lies beyond the file's.
    private func box(at offset: Int64) throws(MediaError) -> Box? {
        var cursor = ByteCursor(try source.read(at: offset, count: 16)[...])
        guard let small = cursor.u32(), let name = cursor.take(4) else { return nil }
        var size = Int64(small)
        var header: Int64 = 8
        if small == 1 {
            guard let large = cursor.u64(), let fitting = Int64(exactly: large) else { return nil }
            size = fitting
            header = 16
        }
        // Size 0, "to the end of the file", is what zeros look like: never ours.
        guard size >= header, size <= source.size - offset else { return nil }
        return Box(
            type: String(decoding: name, as: UTF8.self), offset: offset, contentOffset: offset + header,
            end: offset + size)
    }

    private func content(of box: Box, atMost limit: Int64) throws(MediaError) -> [UInt8]? {
        let size = box.end - box.contentOffset
        guard size <= limit else { return nil }
        let bytes = try source.read(at: box.contentOffset, count: Int(size))
        return bytes.count == Int(size) ? bytes : nil
    }

    private func walk(
        findingLostPages: Bool = false, readingSamples: Bool = true, _ visit: (MP4Fragment) -> Void
    ) throws(MediaError) -> MP4Salvage {
        var result = MP4Salvage()
        var movie: MovieParser?
        var offset: Int64 = 0
        var finalOffset: Int64?
        var boxes = 0
        while offset < source.size, boxes < Self.maximumBoxes, finalOffset == nil, let next = try box(at: offset) {
            boxes += 1
            switch next.type {
            case "moov":
                guard movie == nil, let bytes = try content(of: next, atMost: Self.maximumMoovBytes),
                    let parsed = MovieParser(moov: bytes)
                else { break }
                movie = parsed
                result.tracks = parsed.tracks
                result.timescale = parsed.tracks.first { $0.kind == .video }?.timescale ?? 1
            case "moof":
                guard let movie, let fragment = try wholeFragment(moof: next, movie, readingSamples) else { break }
                if findingLostPages, try hasLostPage(fragment, movie) { break }
                visit(fragment)
                result.add(fragment)
                offset = fragment.endOffset
                result.validBytes = offset
                continue
            case "uuid":
                if let bytes = try content(of: next, atMost: Int64(SegmentInfo.maximumBoxBytes)),
                    let info = SegmentInfo(uuidBoxContent: bytes)
                {
                    finalOffset = info.isFinal ? next.offset : nil
                    result.info = info
                }
            case "ftyp", "styp", "free", "skip", "sidx", "mfra", "udta", "meta", "emsg", "prft":
                break
            default:
                // Not a box that belongs at the top of such a file: what is here is no longer ours.
                result.hasRest = true
                return result
            }
            guard next.type != "moof", movie != nil || next.type != "moov" else { break }
            offset = next.end
            if movie != nil { result.validBytes = offset }
        }
        result.hasRest = result.validBytes < source.size
        // The box is the last one of a whole file, so it has to be written again at the end of what is kept.
        if result.hasRest, let finalOffset { result.validBytes = min(result.validBytes, finalOffset) }
        return result
    }

    private func wholeFragment(
        moof: Box, _ movie: MovieParser, _ readingSamples: Bool
    ) throws(MediaError) -> MP4Fragment? {
        guard let bytes = try content(of: moof, atMost: Self.maximumMoofBytes), let data = try box(at: moof.end),
            data.type == "mdat",
            let samples = FragmentParser.samples(moof: bytes, moofOffset: moof.offset, movie: movie)
        else { return nil }
        var left = data.end - data.contentOffset
        for sample in samples {
            left -= Int64(sample.sizeBytes)
            guard sample.sizeBytes > 0, left >= 0, sample.offset >= data.contentOffset,
                Int64(sample.sizeBytes) <= data.end - sample.offset
            else {
                return nil
            }
            guard let track = movie.tracks.first(where: { $0.id == sample.trackID }),
                track.descriptions.indices.contains(sample.description)
            else { return nil }
            if readingSamples, let lengthBytes = track.descriptions[sample.description].nalLengthBytes,
                try !nalsFit(sample, lengthBytes)
            {
                return nil
            }
        }
        return MP4Fragment(offset: moof.offset, endOffset: data.end, samples: samples)
    }

    /// A page of the file, or what of it lies before the file's end, is all zeros and holds video of the fragment.
    private func hasLostPage(_ fragment: MP4Fragment, _ movie: MovieParser) throws(MediaError) -> Bool {
        let videoIDs = Set(movie.tracks.filter { $0.kind == .video }.map(\.id))
        let video = fragment.samples.filter { videoIDs.contains($0.trackID) }
        // The page with the beginning of the fragment has the names of its boxes.
        var page = (fragment.offset / Self.pageBytes + 1) * Self.pageBytes
        while page < fragment.endOffset {
            let end = page + Self.pageBytes
            let bytes = try source.read(at: page, count: Int(Self.pageBytes))
            if bytes.allSatisfy({ $0 == 0 }),
                video.contains(where: { $0.offset < end && $0.offset + Int64($0.sizeBytes) > page })
            {
                return true
            }
            page = end
        }
        return false
    }

    /// The NAL lengths of a sample end exactly where it does, and none is empty.
    private func nalsFit(_ sample: MP4Sample, _ lengthBytes: Int) throws(MediaError) -> Bool {
        var offset = sample.offset
        let end = sample.offset + Int64(sample.sizeBytes)
        while offset < end {
            guard end - offset > lengthBytes else { return false }
            let length = try source.read(at: offset, count: lengthBytes).reduce(Int64(0)) { $0 << 8 | Int64($1) }
            guard length > 0, length <= end - offset - Int64(lengthBytes) else { return false }
            offset += Int64(lengthBytes) + length
        }
        return true
    }
}

extension MP4Salvage {
    fileprivate mutating func add(_ fragment: MP4Fragment) {
        let videoIDs = Set(tracks.filter { $0.kind == .video }.map(\.id))
        for sample in fragment.samples where videoIDs.contains(sample.trackID) {
            if videoFrames == 0 { startTicks = sample.ptsTicks }
            let end = sample.ptsTicks &+ sample.durationTicks
            endTicks = videoFrames == 0 ? end : max(endTicks, end)
            videoFrames &+= 1
        }
        fragments += 1
    }
}
