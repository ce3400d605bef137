// Packets to fragmented MP4 (ISO/IEC 14496-12), readable up to its last whole fragment at any time.
//
//   ftyp  moov(mvhd, trak..., mvex)  uuid(segment information, preliminary)
//   { moof(mfhd, traf...)  mdat }...                     one pair for each call of takeFragment
//   uuid(segment information, final)
//
// File time zero is the decoding time of the first video frame, for all tracks; that is its presentation time too unless
// frames are reordered. (Composition offsets that begin negative would let both begin at zero, but players of the FFmpeg
// family shift such video against its sound.) Every fragment says its decode time (tfdt), so a sample whose length had to
// be estimated costs nothing later. A file has one sample description per track, known when it begins; parameter
// sets are in it and not in the samples (avc1, hvc1). Whatever does not fit needs a new file: `needsNewFile(for:)`.
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
        let bytes: PacketBytes
        /// Times of the file in the track's ticks.
        let dts: Int64
        let pts: Int64
        let statedTicks: Int64
        let isKeyframe: Bool
    }

    struct Track: Sendable {
        let configuration: CodecConfiguration
        var pending: [Sample] = []
        /// Length of the newest sample with a successor: the estimate for the next without.
        var lastTicks: Int64 = 0
        var lastDts: Int64?
        var startPts: Int64 = 0
        var endPts: Int64 = 0
        var samples: UInt32 = 0
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

    /// A file for these tracks: video first, then audio where there is any. `createdUs` is wall time in microseconds since the Unix epoch.
    public init(tracks: [CodecConfiguration], createdUs: Int64) {
        self.tracks = tracks.map { Track(configuration: $0) }
        self.createdUs = createdUs
    }

    /// The packet's codec or parameters differ from those in the header. True also for audio in a file without audio.
    public func needsNewFile(for packet: MediaPacket) -> Bool {
        index(of: packet) == nil
    }

    /// ftyp, moov, and what is known about the segment now. Write it once, before the first fragment.
    public func header(info: SegmentInfo) -> [UInt8] {
        var writer = BoxWriter()
        writer.box("ftyp") { box in
            box.text("iso6")
            box.u32(0x200)
            for brand in ["iso6", "iso5", "mp41"] { box.text(brand) }
        }
        SampleEntries.movie(&writer, configurations: tracks.map(\.configuration), createdUs: createdUs)
        var preliminary = info
        preliminary.isFinal = false
        writer.bytes(preliminary.box())
        return writer.data
    }

    /// Takes a packet for the next fragment. Throws where it needs a new file, or where the file does not begin with a video keyframe.
    /// Audio from before the first video frame, and packets whose decoding time does not grow, are refused and counted.
    public mutating func append(_ packet: MediaPacket) throws(MediaError) {
        guard let index = index(of: packet) else {
            throw MediaError("the codec's parameters changed within a file; it needs a new one")
        }
        if baseTicks == nil {
            guard packet.kind == tracks[0].configuration.kind, packet.isKeyframe else {
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
        tracks[index].pending.append(
            Sample(
                bytes: packet.bytes, dts: dts, pts: pts, statedTicks: packet.durationTicks,
                isKeyframe: packet.isKeyframe))
        pendingBytes += packet.sizeBytes
        tracks[index].samples &+= 1
        if tracks[index].samples == 1 { tracks[index].startPts = pts }
        tracks[index].endPts = max(tracks[index].endPts, pts + max(1, packet.durationTicks))
    }

    /// moof and mdat of what waits, or nil where nothing does. Append it whole: a part of it is lost at the next start.
    public mutating func takeFragment(newest: NewestSample) -> [UInt8]? {
        var bytes: [UInt8] = []
        return takeFragment(newest: newest, into: &bytes) ? bytes : nil
    }

    /// The same in the place of what `bytes` held, whose memory is used again. False, and no bytes, where nothing waits.
    public mutating func takeFragment(newest: NewestSample, into bytes: inout [UInt8]) -> Bool {
        bytes.removeAll(keepingCapacity: true)
        var runs: [(id: UInt32, samples: [(sample: Sample, ticks: Int64)])] = []
        for index in tracks.indices {
            let ready = Self.takeReady(&tracks[index], newest)
            if !ready.isEmpty { runs.append((UInt32(index + 1), ready)) }
        }
        guard !runs.isEmpty else { return false }
        sequence &+= 1
        var writer = BoxWriter()
        writer.exchange(&bytes)
        // At once: a fragment that grows is copied with each step. 16 bytes for each sample, 96 for each track, and the rest.
        let sizes = runs.map { run in run.samples.reduce(0) { $0 + $1.sample.bytes.count } }
        writer.reserve(runs.reduce(64 + sizes.reduce(0, +)) { $0 + 96 + 16 * $1.samples.count })
        var offsets: [(position: Int, bytes: Int)] = []
        let number = sequence
        writer.box("moof") { moof in
            moof.fullBox("mfhd") { $0.u32(number) }
            for (run, size) in zip(runs, sizes) {
                moof.box("traf") { traf in
                    // default-base-is-moof: data offsets count from the first byte of this moof.
                    traf.fullBox("tfhd", flags: 0x02_0000) { $0.u32(run.id) }
                    traf.fullBox("tfdt", version: 1) { $0.u64(UInt64(max(0, run.samples[0].sample.dts))) }
                    // Data offset, and per sample: duration, size, flags, composition offset.
                    traf.fullBox("trun", version: 1, flags: 0xF01) { trun in
                        trun.u32(UInt32(run.samples.count))
                        offsets.append((trun.data.count, size))
                        trun.u32(0)
                        for (sample, ticks) in run.samples {
                            trun.u32(UInt32(clamping: ticks))
                            trun.u32(UInt32(sample.bytes.count))
                            // Sync samples depend on no other; the others do and are not sync (8.8.3.1).
                            trun.u32(sample.isKeyframe ? 0x0200_0000 : 0x0101_0000)
                            trun.u32(UInt32(bitPattern: Int32(clamping: sample.pts - sample.dts)))
                        }
                    }
                }
            }
        }
        let total = offsets.reduce(0) { $0 + $1.bytes }
        var dataOffset = writer.data.count + 8
        for offset in offsets {
            writer.patch(at: offset.position, UInt32(dataOffset))
            dataOffset += offset.bytes
        }
        writer.u32(UInt32(total + 8))
        writer.text("mdat")
        for run in runs { for (sample, _) in run.samples { writer.payload(sample.bytes) } }
        pendingBytes -= total
        writer.exchange(&bytes)
        return true
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
        tracks.first.map { rescale($0[keyPath: path], from: $0.configuration.timescale, to: 1_000_000) } ?? 0
    }

    private func index(of packet: MediaPacket) -> Int? {
        tracks.firstIndex { $0.configuration == packet.configuration }
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
            ready.append((last, stated > 0 ? stated : max(1, Int64(track.configuration.timescale) / 25)))
            track.pending.removeAll(keepingCapacity: true)
        }
        track.lastDts = ready.last?.sample.dts ?? track.lastDts
        return ready
    }
}
