// Packets to fragmented MP4 (ISO/IEC 14496-12), readable up to its last whole fragment at any time.
//
//   ftyp  moov(mvhd, trak..., mvex)  uuid(segment information, preliminary)
//   { moof(mfhd, traf...)  mdat }...                     one pair for each call of takeFragment, one more where the video's
//                                                        parameters change in between
//   uuid(segment information, final)
//
// File time zero is the decoding time of the first video frame, for all tracks; that is its presentation time too unless
// frames are reordered. (Composition offsets that begin negative would let both begin at zero, but players of the FFmpeg
// family shift such video against its sound.) Every fragment says its decode time (tfdt), so a sample whose length had to
// be estimated costs nothing later. All sample descriptions are known when a file begins, because moov is never written again.
// Most files have one per track; parameter sets are in it and not in the samples (avc1, hvc1). A file of a camera that goes
// to and fro between parameter sets declares several for its video. Each fragment then names its own (tfhd), and each
// keyframe, or first picture behind a change, has its parameter sets in front as well (avc3, hev1): players of the FFmpeg
// family do not follow what tfhd says. Whatever is not declared needs a new file: `needsNewFile(for:)`.
// SampleEntries.swift writes the boxes of moov.

/// How `takeFragment` treats the newest sample of each track, whose length only its successor will tell.
public enum NewestSample: Sendable {
    /// Stays until its successor comes: lengths are exact, the file lags by one frame.
    case hold
    /// Is written with its stated or estimated length: for the first keyframe, the pace of the disk, and the end of a file.
    case write
}

/// Writes one file. Gives bytes back; whoever owns the file appends them in order.
public struct FragmentedMP4Writer: Sendable {
    struct Sample: Sendable {
        /// Which of the track's configurations, from 0.
        let description: Int
        /// Parameter sets in front of the bytes; mostly empty.
        let sets: [UInt8]
        let bytes: PacketBytes
        /// Times of the file in the track's ticks.
        let dts: Int64
        let pts: Int64
        let statedTicks: Int64
        let isKeyframe: Bool

        var sizeBytes: Int { sets.count + bytes.count }
    }

    struct Track: Sendable {
        /// What the samples may have; the first is what the file begins with.
        let configurations: [CodecConfiguration]
        /// For each of them the parameter sets as they stand among the samples; empty where there is only one.
        let sets: [[UInt8]]
        /// The newest sample's.
        var description = 0
        var pending: [Sample] = []
        /// Length of the newest sample with a successor: the estimate for the next without.
        var lastTicks: Int64 = 0
        var lastDts: Int64?
        var startPts: Int64 = 0
        var endPts: Int64 = 0
        var samples: UInt32 = 0

        init(_ configurations: [CodecConfiguration]) {
            self.configurations = configurations
            sets = configurations.map { configurations.count > 1 ? $0.parameterSetUnits : [] }
        }

        var timescale: UInt32 { configurations[0].timescale }

        /// Place of a packet's configuration; nil: not declared.
        func description(of packet: MediaPacket) -> Int? {
            if configurations[description] == packet.configuration { return description }
            return configurations.count > 1 ? configurations.firstIndex(of: packet.configuration) : nil
        }
    }

    private var tracks: [Track]
    private let createdUs: Int64
    private var sequence: UInt32 = 0
    private var baseTicks: Int64?
    private var firstPtsTicks: Int64 = 0
    private var baseTimescale: UInt32 = 1
    /// Samples refused because they lie before the file's first video frame, or would not grow in time.
    public private(set) var samplesRefused: UInt64 = 0
    /// Payload waiting for the next fragment.
    public private(set) var pendingBytes = 0

    /// Fragments are kept below this, so that a size always fits 32 bits; packets beyond it are refused.
    private static let maximumFragmentBytes = 1 << 30
    /// More parameter sets between which a camera goes to and fro have not been seen. Each costs some hundred bytes of the header.
    public static let mostVideoConfigurations = 8

    /// A file for these tracks: video first, then audio where there is any. `createdUs` is wall time in microseconds since the Unix epoch.
    /// `otherVideo`: what the video may change to within the file, most likely first. Those that cannot share its track
    /// (`CodecConfiguration.sharesTrack`) and those beyond `mostVideoConfigurations` are left out.
    public init(tracks: [CodecConfiguration], otherVideo: [CodecConfiguration] = [], createdUs: Int64) {
        self.tracks = tracks.enumerated().map { index, first in
            Track(index == 0 ? Self.declared(first, others: otherVideo) : [first])
        }
        self.createdUs = createdUs
    }

    /// The configurations that a file declares for its video: `first`, then those of `others` that fit, without repetition.
    public static func declared(_ first: CodecConfiguration, others: [CodecConfiguration]) -> [CodecConfiguration] {
        var declared = [first]
        for other in others where declared.count < mostVideoConfigurations {
            if first.sharesTrack(with: other), !declared.contains(other) { declared.append(other) }
        }
        return declared
    }

    /// The header does not have the packet's codec or parameters. True also for audio in a file without audio.
    public func needsNewFile(for packet: MediaPacket) -> Bool {
        place(of: packet) == nil
    }

    /// ftyp, moov, and what is known about the segment now. Write it once, before the first fragment.
    public func header(info: SegmentInfo) -> [UInt8] {
        var writer = BoxWriter()
        writer.box("ftyp") { box in
            box.text("iso6")
            box.u32(0x200)
            for brand in ["iso6", "iso5", "mp41"] { box.text(brand) }
        }
        SampleEntries.movie(&writer, tracks: tracks.map(\.configurations), createdUs: createdUs)
        var preliminary = info
        preliminary.isFinal = false
        writer.bytes(preliminary.box())
        return writer.data
    }

    /// Takes a packet for the next fragment. Throws where it needs a new file, or where the file does not begin with a video keyframe.
    /// Audio from before the first video frame, and packets whose decoding time does not grow, are refused and counted.
    public mutating func append(_ packet: MediaPacket) throws(MediaError) {
        guard let (index, description) = place(of: packet) else {
            throw MediaError("the codec's parameters changed within a file; it needs a new one")
        }
        if baseTicks == nil {
            guard packet.kind == tracks[0].configurations[0].kind, packet.isKeyframe else {
                if packet.kind == .audio {
                    samplesRefused += 1
                    return
                }
                throw MediaError("a file must begin with a video keyframe")
            }
            baseTicks = packet.dtsTicks
            firstPtsTicks = packet.ptsTicks
            baseTimescale = packet.configuration.timescale
        }
        let (dts, pts) = fileTimes(of: packet)
        let latest = tracks[index].pending.last?.dts ?? tracks[index].lastDts ?? -1
        guard dts > latest, dts >= 0, dts < 1 << 60, (-(1 << 30)...1 << 30).contains(pts &- dts),
            pendingBytes + packet.sizeBytes <= Self.maximumFragmentBytes
        else {
            samplesRefused += 1
            return
        }
        let needsSets = packet.isKeyframe || description != tracks[index].description
        tracks[index].description = description
        let sample = Sample(
            description: description, sets: needsSets ? tracks[index].sets[description] : [], bytes: packet.bytes,
            dts: dts, pts: pts, statedTicks: packet.durationTicks, isKeyframe: packet.isKeyframe)
        tracks[index].pending.append(sample)
        pendingBytes += sample.sizeBytes
        tracks[index].samples &+= 1
        if tracks[index].samples == 1 { tracks[index].startPts = pts }
        tracks[index].endPts = max(tracks[index].endPts, pts + max(1, packet.durationTicks))
    }

    /// Samples of one track and one description.
    private struct Run {
        let trackID: UInt32
        /// Counted from 1; nil where the track has only one.
        let description: UInt32?
        let samples: ArraySlice<(sample: Sample, ticks: Int64)>
        let sizeBytes: Int

        init(trackID: UInt32, description: UInt32?, samples: ArraySlice<(sample: Sample, ticks: Int64)>) {
            (self.trackID, self.description, self.samples) = (trackID, description, samples)
            sizeBytes = samples.reduce(0) { $0 + $1.sample.sizeBytes }
        }
    }

    /// moof and mdat of what waits, or nil where nothing does. Append it whole: a part of it is lost at the next start.
    public mutating func takeFragment(newest: NewestSample) -> [UInt8]? {
        var bytes: [UInt8] = []
        return takeFragment(newest: newest, into: &bytes) ? bytes : nil
    }

    /// The same in the place of what `bytes` held, whose memory is used again. False, and no bytes, where nothing waits.
    public mutating func takeFragment(newest: NewestSample, into bytes: inout [UInt8]) -> Bool {
        bytes.removeAll(keepingCapacity: true)
        // A moof for each description of the video; what else there is goes with the last.
        var moofs: [[Run]] = []
        for index in tracks.indices {
            let ready = Self.takeReady(&tracks[index], newest)[...]
            guard !ready.isEmpty else { continue }
            let isPlain = tracks[index].configurations.count == 1
            var rest = ready
            while let first = rest.first?.sample.description {
                let part = isPlain ? rest : rest.prefix { $0.sample.description == first }
                rest = rest[part.endIndex...]
                let run = Run(
                    trackID: UInt32(index + 1), description: isPlain ? nil : UInt32(first + 1), samples: part)
                if index == 0 || moofs.isEmpty { moofs.append([run]) } else { moofs[moofs.count - 1].append(run) }
            }
        }
        guard !moofs.isEmpty else { return false }
        var writer = BoxWriter()
        writer.exchange(&bytes)
        // At once: a fragment that grows is copied with each step. 16 bytes for each sample, 100 for each track, and the rest.
        writer.reserve(
            moofs.joined().reduce(64 * moofs.count) { $0 + 100 + 16 * $1.samples.count + $1.sizeBytes })
        for runs in moofs { write(runs, to: &writer) }
        writer.exchange(&bytes)
        return true
    }

    private mutating func write(_ runs: [Run], to writer: inout BoxWriter) {
        sequence &+= 1
        let start = writer.data.count
        var offsets: [(position: Int, bytes: Int)] = []
        let number = sequence
        writer.box("moof") { moof in
            moof.fullBox("mfhd") { $0.u32(number) }
            for run in runs {
                moof.box("traf") { traf in
                    // default-base-is-moof: data offsets count from the first byte of this moof. 2: a description is named.
                    traf.fullBox("tfhd", flags: run.description == nil ? 0x02_0000 : 0x02_0002) { tfhd in
                        tfhd.u32(run.trackID)
                        if let description = run.description { tfhd.u32(description) }
                    }
                    traf.fullBox("tfdt", version: 1) { tfdt in
                        tfdt.u64(UInt64(max(0, run.samples.first?.sample.dts ?? 0)))
                    }
                    // Data offset, and per sample: duration, size, flags, composition offset.
                    traf.fullBox("trun", version: 1, flags: 0xF01) { trun in
                        trun.u32(UInt32(run.samples.count))
                        offsets.append((trun.data.count, run.sizeBytes))
                        trun.u32(0)
                        for (sample, ticks) in run.samples {
                            trun.u32(UInt32(clamping: ticks))
                            trun.u32(UInt32(sample.sizeBytes))
                            // Sync samples depend on no other; the others do and are not sync (8.8.3.1).
                            trun.u32(sample.isKeyframe ? 0x0200_0000 : 0x0101_0000)
                            trun.u32(UInt32(bitPattern: Int32(clamping: sample.pts - sample.dts)))
                        }
                    }
                }
            }
        }
        let total = offsets.reduce(0) { $0 + $1.bytes }
        var dataOffset = writer.data.count - start + 8
        for offset in offsets {
            writer.patch(at: offset.position, UInt32(dataOffset))
            dataOffset += offset.bytes
        }
        writer.u32(UInt32(total + 8))
        writer.text("mdat")
        for run in runs {
            for (sample, _) in run.samples {
                writer.bytes(sample.sets)
                writer.payload(sample.bytes)
            }
        }
        pendingBytes -= total
    }

    /// The closing box; the last bytes of the file, after `takeFragment(newest: .write)`. Marks the information as final.
    public static func trailer(info: SegmentInfo) -> [UInt8] {
        var final = info
        final.isFinal = true
        return final.box()
    }

    /// Video frames appended so far.
    public var videoFrames: UInt32 { tracks.first?.samples ?? 0 }
    /// Presentation of the first video frame, in microseconds of the run; nil before it came. For SegmentInfo.
    /// A time of the run is `videoStartUs - mediaStartUs` later or earlier in the file.
    public var mediaStartUs: Int64? {
        baseTicks == nil ? nil : rescale(firstPtsTicks, from: baseTimescale, to: 1_000_000)
    }
    /// Presentation of the first video frame, in microseconds of the file; above 0 only where frames are reordered.
    public var videoStartUs: Int64 { videoUs(\.startPts) }
    /// End of the newest video frame, in microseconds of the file; its own length may be an estimate.
    public var videoEndUs: Int64 { videoUs(\.endPts) }

    private func videoUs(_ path: KeyPath<Track, Int64>) -> Int64 {
        tracks.first.map { rescale($0[keyPath: path], from: $0.timescale, to: 1_000_000) } ?? 0
    }

    /// Track and description of a packet.
    private func place(of packet: MediaPacket) -> (track: Int, description: Int)? {
        for index in tracks.indices {
            if let description = tracks[index].description(of: packet) { return (index, description) }
        }
        return nil
    }

    /// Times count from the first video frame's decoding time, on every track.
    private func fileTimes(of packet: MediaPacket) -> (dts: Int64, pts: Int64) {
        let zero = rescale(baseTicks ?? 0, from: baseTimescale, to: packet.configuration.timescale)
        return (packet.dtsTicks &- zero, packet.ptsTicks &- zero)
    }

    private static func takeReady(_ track: inout Track, _ newest: NewestSample) -> [(sample: Sample, ticks: Int64)] {
        guard let last = track.pending.last else { return [] }
        var ready: [(sample: Sample, ticks: Int64)] = []
        ready.reserveCapacity(track.pending.count)
        for (sample, next) in zip(track.pending, track.pending.dropFirst()) {
            track.lastTicks = next.dts - sample.dts
            ready.append((sample, track.lastTicks))
        }
        switch newest {
        case .hold:
            track.pending.removeSubrange(..<(track.pending.count - 1))
        case .write:
            let stated = last.statedTicks > 0 ? last.statedTicks : track.lastTicks
            // A stream that states no rate: 25 frames per second is the field's middle, and tfdt corrects it.
            ready.append((last, stated > 0 ? stated : max(1, Int64(track.timescale) / 25)))
            track.pending.removeAll(keepingCapacity: true)
        }
        track.lastDts = ready.last?.sample.dts ?? track.lastDts
        return ready
    }
}
