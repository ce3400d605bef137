// The head of a progressive MP4 whose samples lie elsewhere until it is written: ftyp, moov with whole tables, the head of mdat.
// ExactClip.swift says what belongs in it; SampleEntries.swift writes what fragmented files have as well.

/// A track of a clip: its samples, and which of them are shown when.
struct ClipTrack: Sendable {
    struct Sample: Sendable {
        let sizeBytes: UInt32
        let dtsTicks: Int64
        let offsetTicks: Int64
        let isKeyframe: Bool
    }

    let kind: TrackKind
    private(set) var timescale: UInt32 = 1
    private(set) var samples: [Sample] = []
    /// Boxes of stsd.
    private(set) var descriptions: [MP4SampleDescription] = []
    /// Where the clip's time 0 is in the track; negative where the track begins later than the clip.
    private(set) var zeroTicks: Int64 = 0
    /// From there to what is shown first, in ticks of the track.
    private(set) var lateTicks: Int64 = 0
    /// How far it is shown from there on, in ticks of the movie.
    private(set) var shownTicks: Int64 = 0
    /// End of the last sample.
    private(set) var endTicks: Int64 = 0

    init(_ kind: TrackKind) { self.kind = kind }

    /// Adds what a stretch has of the track, and notes where its bytes are. `clipTicks`: when it is shown, in ticks of the movie.
    mutating func add(_ stretch: ClipStretch, _ range: ShownStretch, at clipTicks: Int64, _ chunks: inout [ClipChunk]) {
        guard let (needed, scale) = stretch.needed(kind, range), let first = needed.first else { return }
        timescale = scale
        let start = rescale(range.startTicks, from: range.timescale, to: scale)
        let at = rescale(clipTicks, from: ProgressiveMovie.timescale, to: scale)
        if samples.isEmpty {
            zeroTicks = start - at - first.dtsTicks
            lateTicks = kind == .video ? range.leadTicks : max(0, 0 - zeroTicks)
        }
        // From the stretch's ticks to the track's.
        let shift = zeroTicks + at - start
        // Only those that a sample has: a file may declare others.
        var places: [Int: Int] = [:]
        let known = stretch.descriptions[kind] ?? []
        var before: (file: Int, endTicks: Int64)?
        for entry in needed {
            // Sound that another run gave before: it is heard once.
            if kind == .audio, let last = samples.last, entry.ptsTicks + shift <= last.dtsTicks { continue }
            var dts = entry.dtsTicks + shift
            // Where one file follows another, times differ by what microseconds round: then sound follows without a step.
            if kind == .audio, let before, before.file != entry.file, abs(before.endTicks - dts) <= 2 {
                dts = before.endTicks
            }
            if let last = samples.last { dts = max(dts, last.dtsTicks + 1) }
            let place = places[entry.description] ?? self.place(of: known[entry.description])
            places[entry.description] = place
            // Sound is heard as it is decoded. A time of its own for the sake of a tick makes FFmpeg look for sound before the first.
            let offset = kind == .audio ? 0 : entry.ptsTicks + shift - dts
            append(entry, dts, offsetTicks: offset, description: place, &chunks)
            endTicks = dts + max(1, entry.sample.durationTicks)
            before = (entry.file, endTicks)
        }
        // In whole ticks of the track, as players compare: else a rounded end shows a picture too few or too many.
        let end = at + rescale(range.endTicks, from: range.timescale, to: scale) - start
        let heard = kind == .video ? end : min(end, endTicks - zeroTicks)
        shownTicks = ProgressiveMovie.ticks(max(0, heard - lateTicks), scale)
    }

    private mutating func place(of description: MP4SampleDescription) -> Int {
        let place = descriptions.firstIndex(of: description) ?? descriptions.endIndex
        if place == descriptions.endIndex { descriptions.append(description) }
        return place
    }

    /// What stsd holds. Files with several descriptions have parameter sets in the samples too (avc3, hev1), others only here (avc1,
    /// hvc1). FFmpeg takes one name per track and passes over entries of another; the first kind may have its sets here as well
    /// (ISO/IEC 14496-15, 5.3.3, 8.4.1), so it is the name of both.
    var sampleEntries: [[UInt8]] {
        guard Set(descriptions.map(\.sampleEntry)).count > 1 else { return descriptions.map(\.box) }
        let wider = ["avc1": "avc3", "hvc1": "hev1"]
        return descriptions.map { description in
            let name = Array((wider[description.sampleEntry] ?? description.sampleEntry).utf8)
            return Array(description.box.prefix(4)) + name + Array(description.box.dropFirst(8))
        }
    }

    private mutating func append(
        _ entry: ClipStretch.Entry, _ dtsTicks: Int64, offsetTicks: Int64, description place: Int,
        _ chunks: inout [ClipChunk]
    ) {
        samples.append(
            Sample(
                sizeBytes: UInt32(clamping: entry.sample.sizeBytes), dtsTicks: dtsTicks,
                offsetTicks: offsetTicks, isKeyframe: entry.sample.isKeyframe))
        if let last = chunks.last, last.kind == kind, last.file == entry.file, last.description == place,
            last.offset + last.sizeBytes == entry.sample.offset
        {
            chunks[chunks.count - 1].sizeBytes += Int64(entry.sample.sizeBytes)
            chunks[chunks.count - 1].samples += 1
        } else {
            chunks.append(
                ClipChunk(
                    kind: kind, file: entry.file, offset: entry.sample.offset, sizeBytes: Int64(entry.sample.sizeBytes),
                    samples: 1, description: place))
        }
    }
}

/// The head of a clip.
struct ProgressiveMovie: Sendable {
    /// Ticks of the movie: those of video, so that no edit of it is rounded.
    static let timescale: UInt32 = 90_000

    /// Video first.
    let tracks: [ClipTrack]
    let createdUs: Int64
    /// Nothing is shown for so long, in ticks of the movie.
    let waitTicks: Int64

    static func ticks(_ ticks: Int64, _ scale: UInt32) -> Int64 { rescale(ticks, from: scale, to: timescale) }

    /// `chunks`: of all tracks, in the order in which they follow the head.
    func head(chunks: [ClipChunk]) -> [UInt8] {
        let payloadBytes = chunks.reduce(0) { $0 + $1.sizeBytes }
        // The tables have as many numbers wherever the bytes lie; so their size is known before their places are.
        let isLarge = payloadBytes > Int64(UInt32.max) - (256 << 20)
        let bytes = Int64(head(chunks, from: 0, payloadBytes, isLarge: isLarge).count)
        return head(chunks, from: bytes, payloadBytes, isLarge: isLarge)
    }

    private func head(
        _ chunks: [ClipChunk], from startOffset: Int64, _ payloadBytes: Int64, isLarge: Bool
    ) -> [UInt8] {
        var offset = startOffset
        var places: [TrackKind: [(chunk: ClipChunk, offset: Int64)]] = [:]
        for chunk in chunks {
            places[chunk.kind, default: []].append((chunk, offset))
            offset += chunk.sizeBytes
        }
        var writer = BoxWriter()
        writer.box("ftyp") { box in
            box.text("isom")
            box.u32(0x200)
            for brand in ["isom", "iso2", "mp41"] { box.text(brand) }
        }
        let lengths = tracks.map { waitTicks + Self.ticks($0.lateTicks, $0.timescale) + $0.shownTicks }
        writer.box("moov") { moov in
            SampleEntries.movieHeader(
                &moov, timescale: Self.timescale, lengthTicks: lengths.max() ?? 0, tracks: tracks.count,
                createdUs: createdUs)
            for (index, track) in tracks.enumerated() {
                SampleEntries.track(
                    &moov, id: UInt32(index + 1), head(of: track, movieTicks: lengths[index]),
                    createdUs: createdUs
                ) { trak in
                    edits(&trak, track)
                } sampleTable: { stbl in
                    table(&stbl, track, places[track.kind] ?? [], isLarge: isLarge)
                }
            }
        }
        if isLarge {
            writer.u32(1)
            writer.text("mdat")
            writer.u64(UInt64(payloadBytes + 16))
        } else {
            writer.u32(UInt32(payloadBytes + 8))
            writer.text("mdat")
        }
        return writer.data
    }

    private func head(of track: ClipTrack, movieTicks: Int64) -> SampleEntries.TrackHead {
        SampleEntries.TrackHead(
            isVideo: track.kind == .video, timescale: track.timescale,
            widthPx: track.descriptions.first?.widthPx ?? 0, heightPx: track.descriptions.first?.heightPx ?? 0,
            movieTicks: movieTicks, mediaTicks: track.endTicks)
    }

    /// An empty edit for what is missing in front, and the one that begins with what is shown first.
    private func edits(_ trak: inout BoxWriter, _ track: ClipTrack) {
        let edits: [(movieTicks: Int64, mediaTicks: Int64)] = [
            (waitTicks + Self.ticks(track.lateTicks, track.timescale), -1),
            (track.shownTicks, track.zeroTicks + track.lateTicks),
        ].filter { $0.movieTicks > 0 }
        trak.box("edts") { edts in
            edts.fullBox("elst", version: 1) { elst in
                elst.u32(UInt32(edits.count))
                for edit in edits {
                    elst.u64(UInt64(edit.movieTicks))
                    elst.u64(UInt64(bitPattern: edit.mediaTicks))
                    elst.u32(0x0001_0000)
                }
            }
        }
    }

    private func table(
        _ stbl: inout BoxWriter, _ track: ClipTrack, _ places: [(chunk: ClipChunk, offset: Int64)],
        isLarge: Bool
    ) {
        stbl.fullBox("stsd") { stsd in
            stsd.u32(UInt32(track.descriptions.count))
            for box in track.sampleEntries { stsd.bytes(box) }
        }
        let samples = track.samples
        var lengths = zip(samples, samples.dropFirst()).map { UInt32(clamping: $1.dtsTicks - $0.dtsTicks) }
        lengths.append(UInt32(clamping: track.endTicks - (samples.last?.dtsTicks ?? 0)))
        stbl.fullBox("stts") { runs(&$0, lengths) }
        if samples.contains(where: { $0.offsetTicks != 0 }) {
            let isSigned = samples.contains { $0.offsetTicks < 0 }
            stbl.fullBox("ctts", version: isSigned ? 1 : 0) { ctts in
                runs(&ctts, samples.map { UInt32(bitPattern: Int32(clamping: $0.offsetTicks)) })
            }
        }
        if track.kind == .video {
            stbl.fullBox("stss") { stss in
                let keys = samples.indices.filter { samples[$0].isKeyframe }
                stss.u32(UInt32(keys.count))
                for key in keys { stss.u32(UInt32(key + 1)) }
            }
        }
        stbl.fullBox("stsc") { chunkSizes(&$0, places.map(\.chunk)) }
        stbl.fullBox("stsz") { stsz in
            stsz.u32(0)
            stsz.u32(UInt32(samples.count))
            for sample in samples { stsz.u32(sample.sizeBytes) }
        }
        stbl.fullBox(isLarge ? "co64" : "stco") { box in
            box.u32(UInt32(places.count))
            for place in places { if isLarge { box.u64(UInt64(place.offset)) } else { box.u32(UInt32(place.offset)) } }
        }
    }

    /// Equal values behind each other as one entry (8.6.1).
    private func runs(_ box: inout BoxWriter, _ values: [UInt32]) {
        var entries: [(count: UInt32, value: UInt32)] = []
        for value in values {
            if let last = entries.indices.last, entries[last].value == value {
                entries[last].count += 1
            } else {
                entries.append((1, value))
            }
        }
        box.u32(UInt32(entries.count))
        for entry in entries {
            box.u32(entry.count)
            box.u32(entry.value)
        }
    }

    /// Chunks with as many samples of the same description as the one before have no entry (8.7.4).
    private func chunkSizes(_ box: inout BoxWriter, _ chunks: [ClipChunk]) {
        var entries: [(first: UInt32, samples: UInt32, description: UInt32)] = []
        for (index, chunk) in chunks.enumerated() {
            let description = UInt32(chunk.description + 1)
            if let last = entries.last, last.samples == chunk.samples, last.description == description { continue }
            entries.append((UInt32(index + 1), chunk.samples, description))
        }
        box.u32(UInt32(entries.count))
        for entry in entries {
            box.u32(entry.first)
            box.u32(entry.samples)
            box.u32(entry.description)
        }
    }
}
