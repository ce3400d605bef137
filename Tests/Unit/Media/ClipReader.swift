// A small reader of progressive MP4, written from ISO/IEC 14496-12 for the tests of clips: it shares no code with Shared/Media, so that
// the two can be wrong in different ways only. What it does not expect is an error.

struct ClipReader {
    struct Failure: Error, CustomStringConvertible { let description: String }

    struct Sample {
        let offset: Int
        let sizeBytes: Int
        let dtsTicks: Int64
        /// Composition time.
        let ctsTicks: Int64
        /// Place in `descriptions`.
        let description: Int
        let isSync: Bool
    }

    struct Edit {
        let movieTicks: Int64
        /// -1: empty.
        let mediaTicks: Int64
    }

    /// A sample as a player shows it.
    struct Presented {
        let sample: Sample
        /// In the clip's time, from 0.
        let startUs: Double
    }

    struct Track {
        var isVideo = false
        var timescale: Int64 = 0
        var movieTicks: Int64 = 0
        var mediaTicks: Int64 = 0
        var descriptions: [[UInt8]] = []
        var samples: [Sample] = []
        var edits: [Edit] = []
    }

    let bytes: [UInt8]
    private(set) var timescale: Int64 = 0
    private(set) var movieTicks: Int64 = 0
    private(set) var tracks: [Track] = []
    private var media = 0..<0

    var video: Track? { tracks.first { $0.isVideo } }
    var audio: Track? { tracks.first { !$0.isVideo } }

    init(_ bytes: [UInt8]) throws {
        self.bytes = bytes
        let top = try boxes(0..<bytes.count)
        guard top.map(\.type) == ["ftyp", "moov", "mdat"] else {
            throw Failure(description: "boxes of the file: \(top.map(\.type))")
        }
        media = top[2].content
        let moov = try boxes(top[1].content)
        let mvhd = try content(moov, "mvhd")
        guard bytes[mvhd.lowerBound] == 1 else { throw Failure(description: "mvhd is not of version 1") }
        timescale = Int64(try u32(mvhd, 20))
        movieTicks = Int64(try u64(mvhd, 24))
        for trak in moov where trak.type == "trak" { tracks.append(try track(trak.content)) }
        try checkPlaces()
    }

    func payload(_ sample: Sample) -> [UInt8] { Array(bytes[sample.offset..<sample.offset + sample.sizeBytes]) }

    /// What is shown of a track, in the order of showing. Throws where an edit begins within a sample of video, or where readers that
    /// round to the track's ticks would disagree with those that do not.
    func presented(_ track: Track) throws -> [Presented] {
        var startTicks: Int64 = 0
        var found: [Presented] = []
        for edit in track.edits {
            defer { startTicks += edit.movieTicks }
            guard edit.mediaTicks >= 0 else { continue }
            // In ticks of the track, to the nearest, as FFmpeg has it.
            let roundedTicks = (edit.movieTicks * track.timescale * 2 + timescale) / (2 * timescale)
            let startUs = Double(startTicks) * 1_000_000 / Double(timescale)
            let ordered = track.samples.sorted { $0.ctsTicks < $1.ctsTicks }
            for (index, sample) in ordered.enumerated() {
                let since = sample.ctsTicks - edit.mediaTicks
                let isBefore = since * timescale < edit.movieTicks * track.timescale
                if track.isVideo {
                    guard isBefore == (since < roundedTicks) else {
                        throw Failure(
                            description:
                                "whether a picture \(since) ticks behind the start is shown depends on rounding")
                    }
                    if since >= 0 && isBefore {
                        if found.isEmpty && since > 0 {
                            throw Failure(description: "the edit begins \(since) ticks before its first picture")
                        }
                        found.append(
                            Presented(
                                sample: sample, startUs: startUs + Double(since) * 1_000_000 / Double(track.timescale)))
                    }
                } else {
                    let endTicks = index + 1 < ordered.count ? ordered[index + 1].ctsTicks : track.mediaTicks
                    if isBefore && endTicks > edit.mediaTicks {
                        found.append(
                            Presented(
                                sample: sample, startUs: startUs + Double(since) * 1_000_000 / Double(track.timescale)))
                    }
                }
            }
        }
        return found
    }

    /// Samples lie in mdat, do not overlap, and fill it.
    private func checkPlaces() throws {
        var reached = media.lowerBound
        for sample in tracks.flatMap(\.samples).sorted(by: { $0.offset < $1.offset }) {
            guard sample.offset == reached else {
                throw Failure(description: "a sample begins at \(sample.offset) instead of \(reached)")
            }
            reached += sample.sizeBytes
        }
        guard reached == media.upperBound else {
            throw Failure(description: "mdat ends at \(media.upperBound), its samples at \(reached)")
        }
    }

    // MARK: Boxes

    private struct Box {
        let type: String
        let content: Range<Int>
    }

    private func boxes(_ range: Range<Int>) throws -> [Box] {
        var found: [Box] = []
        var offset = range.lowerBound
        while offset < range.upperBound {
            guard range.upperBound - offset >= 8 else { throw Failure(description: "half a box at \(offset)") }
            let size = Int(try u32(offset..<range.upperBound, 0))
            guard size >= 8, size <= range.upperBound - offset else {
                throw Failure(description: "a box of \(size) bytes at \(offset)")
            }
            let name = String(decoding: bytes[offset + 4..<offset + 8], as: UTF8.self)
            found.append(Box(type: name, content: offset + 8..<offset + size))
            offset += size
        }
        return found
    }

    private func content(_ boxes: [Box], _ type: String) throws -> Range<Int> {
        let matching = boxes.filter { $0.type == type }
        guard matching.count == 1, let box = matching.first else {
            throw Failure(description: "\(matching.count) boxes \(type)")
        }
        return box.content
    }

    private func u32(_ range: Range<Int>, _ offset: Int) throws -> UInt32 {
        guard offset >= 0, range.lowerBound + offset + 4 <= range.upperBound else {
            throw Failure(description: "a box ends within a number")
        }
        return bytes[range.lowerBound + offset..<range.lowerBound + offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    private func u64(_ range: Range<Int>, _ offset: Int) throws -> UInt64 {
        UInt64(try u32(range, offset)) << 32 | UInt64(try u32(range, offset + 4))
    }

    // MARK: Tracks

    private func track(_ trak: Range<Int>) throws -> Track {
        let inner = try boxes(trak)
        var track = Track()
        let tkhd = try content(inner, "tkhd")
        track.movieTicks = Int64(try u64(tkhd, 28))
        let mdia = try boxes(try content(inner, "mdia"))
        let mdhd = try content(mdia, "mdhd")
        track.timescale = Int64(try u32(mdhd, 20))
        track.mediaTicks = Int64(try u64(mdhd, 24))
        track.isVideo = try u32(try content(mdia, "hdlr"), 8) == 0x7669_6465
        let elst = try content(try boxes(try content(inner, "edts")), "elst")
        for index in 0..<Int(try u32(elst, 4)) {
            guard try u32(elst, 8 + index * 20 + 16) == 0x0001_0000 else { throw Failure(description: "another rate") }
            track.edits.append(
                Edit(
                    movieTicks: Int64(try u64(elst, 8 + index * 20)),
                    mediaTicks: Int64(bitPattern: try u64(elst, 8 + index * 20 + 8))))
        }
        let table = try boxes(try content(try boxes(try content(mdia, "minf")), "stbl"))
        let stsd = try content(table, "stsd")
        let entries = try boxes(stsd.lowerBound + 8..<stsd.upperBound)
        track.descriptions = entries.map { Array(bytes[$0.content]) }
        guard Set(entries.map(\.type)).count == 1 else {
            throw Failure(description: "FFmpeg passes over some of \(entries.map(\.type))")
        }
        guard Int(try u32(stsd, 4)) == track.descriptions.count else { throw Failure(description: "stsd's count") }
        track.samples = try samples(table, isVideo: track.isVideo, endTicks: track.mediaTicks)
        guard track.samples.allSatisfy({ track.descriptions.indices.contains($0.description) }) else {
            throw Failure(description: "a sample names a description that is not there")
        }
        return track
    }

    private func pairs(_ box: Range<Int>) throws -> [UInt32] {
        var values: [UInt32] = []
        for index in 0..<Int(try u32(box, 4)) {
            let value = try u32(box, 8 + index * 8 + 4)
            values += Array(repeating: value, count: Int(try u32(box, 8 + index * 8)))
        }
        return values
    }

    private func samples(_ table: [Box], isVideo: Bool, endTicks: Int64) throws -> [Sample] {
        let lengths = try pairs(try content(table, "stts"))
        var offsets = [Int64](repeating: 0, count: lengths.count)
        if let ctts = table.first(where: { $0.type == "ctts" })?.content {
            let isSigned = bytes[ctts.lowerBound] == 1
            offsets = try pairs(ctts).map { isSigned ? Int64(Int32(bitPattern: $0)) : Int64($0) }
        }
        let stsz = try content(table, "stsz")
        guard try u32(stsz, 4) == 0 else { throw Failure(description: "stsz has one size for all") }
        let sizes = try (0..<Int(try u32(stsz, 8))).map { Int(try u32(stsz, 12 + $0 * 4)) }
        var keys = Set(sizes.indices)
        if isVideo {
            let stss = try content(table, "stss")
            keys = Set(try (0..<Int(try u32(stss, 4))).map { Int(try u32(stss, 8 + $0 * 4)) - 1 })
        }
        let places = try chunks(table)
        guard lengths.count == sizes.count, offsets.count == sizes.count, places.count == sizes.count else {
            throw Failure(
                description:
                    "stts has \(lengths.count) samples, ctts \(offsets.count), stsz \(sizes.count), chunks \(places.count)"
            )
        }
        var samples: [Sample] = []
        var dts: Int64 = 0
        var offset = 0
        for index in sizes.indices {
            if let start = places[index].start { offset = start }
            samples.append(
                Sample(
                    offset: offset, sizeBytes: sizes[index], dtsTicks: dts, ctsTicks: dts + offsets[index],
                    description: places[index].description, isSync: keys.contains(index)))
            guard lengths[index] > 0 else { throw Failure(description: "a sample takes no time") }
            dts += Int64(lengths[index])
            offset += sizes[index]
        }
        guard dts == endTicks else { throw Failure(description: "mdhd says \(endTicks) ticks, stts \(dts)") }
        return samples
    }

    /// For each sample its description, and where its chunk begins if it is the first of one.
    private func chunks(_ table: [Box]) throws -> [(start: Int?, description: Int)] {
        let stco = try content(table, "stco")
        let starts = try (0..<Int(try u32(stco, 4))).map { Int(try u32(stco, 8 + $0 * 4)) }
        let stsc = try content(table, "stsc")
        let entries = try (0..<Int(try u32(stsc, 4))).map { index in
            try (0..<3).map { Int(try u32(stsc, 8 + index * 12 + $0 * 4)) }
        }
        guard entries.first?[0] == 1 else { throw Failure(description: "stsc does not begin with chunk 1") }
        var places: [(start: Int?, description: Int)] = []
        for (index, start) in starts.enumerated() {
            guard let entry = entries.last(where: { $0[0] <= index + 1 }), entry[1] > 0 else {
                throw Failure(description: "chunk \(index + 1) has no samples")
            }
            for number in 0..<entry[1] { places.append((number == 0 ? start : nil, entry[2] - 1)) }
        }
        return places
    }
}
