// Pieces of H.264 and H.265 as they come from RTP, and whole JPEG pictures, to packets.
//
// Pieces with the same time are one access unit (RFC 6184 5.1, RFC 7798 4.1); it is whole when a piece with another time
// comes, or `flush` is called. Parameter sets are taken out of the stream into the configuration; a set that differs makes
// a new configuration from that access unit on. An access unit without a picture (parameter sets alone, sent by some cameras
// with a time of their own) is joined to the next one. Before a configuration is complete, pictures are dropped and counted.

/// Makes packets of one video track.
public struct VideoAssembler: Sendable {
    /// Counters since the beginning.
    public struct Counters: Sendable, Hashable {
        /// Pictures dropped because no parameter sets had come.
        public var withoutConfiguration: UInt64 = 0
        /// Access units dropped because they were larger than `maximumUnitBytes`, or held nothing that can be understood.
        public var broken: UInt64 = 0
    }

    /// A picture of 64 megapixels at the highest rate stays below; more is garbage that must not eat the memory.
    public static let maximumUnitBytes = 32 << 20
    /// Messages before a picture have some hundred bytes; a stream of nothing else must not gather here.
    static let maximumCarriedBytes = 1 << 20

    /// What was dropped.
    public private(set) var counters = Counters()
    /// The newest complete configuration; nil before the first.
    public private(set) var configuration: CodecConfiguration?

    private let codec: Codec
    private let timescale: UInt32
    private var sets = ParameterSets()
    private var timeline: DecodeTimeline
    private var unit: [UInt8] = []
    private var unitPts: Int64?
    private var unitArrivalNs: Int64 = 0
    private var isTooLarge = false
    private var carried: [UInt8] = []

    /// For a video track of `codec`; `parameterSets` is what the description of the stream had, as Annex B (may be empty).
    public init(codec: Codec, timescale: UInt32, parameterSets: [UInt8] = []) {
        self.codec = codec
        self.timescale = timescale
        timeline = DecodeTimeline(timescale: timescale, reorderDepth: nil, nominalFrameTicks: nil)
        if codec == .h264 || codec == .hevc {
            _ = parameterSets.withUnsafeBytes { readUnits($0) }
            rebuild()
        }
    }

    /// Takes a piece. Returns the access unit before it, where this piece shows that it is whole.
    /// nil `ptsTicks`: belongs to the access unit in progress.
    public mutating func append(
        _ piece: UnsafeRawBufferPointer, ptsTicks: Int64?, arrivalNs: Int64
    ) -> MediaPacket? {
        if codec == .mjpeg {
            guard piece.count <= Self.maximumUnitBytes else {
                counters.broken += 1
                return nil
            }
            return take(picture: PacketBytes(copying: piece), ptsTicks: ptsTicks, arrivalNs: arrivalNs)
        }
        var finished: MediaPacket?
        if let ptsTicks, ptsTicks != unitPts {
            finished = flush()
            unitPts = ptsTicks
        }
        unitArrivalNs = arrivalNs
        if unit.count + piece.count > Self.maximumUnitBytes {
            isTooLarge = true
        } else {
            unit.append(contentsOf: piece)
        }
        return finished
    }

    /// Takes a whole access unit of H.264 or H.265 and its time. The bytes become the packet's without a copy.
    /// nil: no picture in it (it is joined to the next one), or no configuration yet. Not to be mixed with pieces.
    public mutating func take(
        _ accessUnit: consuming AccessUnitBuffer, ptsTicks: Int64, arrivalNs: Int64
    ) -> MediaPacket? {
        accessUnit.endUnit()
        var content = Content()
        let units = accessUnit.units
        var kept = KeptUnits()
        for range in units where accessUnit.withUnit(range, { sort($0, into: &content) }) { kept.keep(range) }
        if sets.changed { rebuild() }
        guard content.hasPicture else {
            if kept.isEmpty && !content.hasParameters { counters.broken += 1 }
            carry(accessUnit.packetBytes(keeping: kept).array)
            return nil
        }
        guard let configuration else {
            carried = []
            counters.withoutConfiguration += 1
            return nil
        }
        var bytes = accessUnit.packetBytes(keeping: kept)
        if !carried.isEmpty { bytes = PacketBytes(carried + bytes.array) }
        carried = []
        return packet(bytes, configuration, isKeyframe: content.isKeyframe, ptsTicks, arrivalNs)
    }

    /// Takes a whole JPEG picture and its time, without a copy. nil: it cannot be understood, which is counted.
    public mutating func take(picture bytes: PacketBytes, ptsTicks: Int64?, arrivalNs: Int64) -> MediaPacket? {
        let header = bytes.withUnsafeBytes { $0.count <= Self.maximumUnitBytes ? JPEGHeader($0) : nil }
        guard let header else {
            counters.broken += 1
            return nil
        }
        if configuration?.widthPx != header.widthPx || configuration?.heightPx != header.heightPx {
            configuration = try? .mjpeg(widthPx: header.widthPx, heightPx: header.heightPx, timescale: timescale)
        }
        guard let configuration else {
            counters.broken += 1
            return nil
        }
        return packet(bytes, configuration, isKeyframe: true, ptsTicks, arrivalNs)
    }

    /// Ends the access unit in progress: the stream is over, or its last piece is known to have come.
    public mutating func flush() -> MediaPacket? {
        guard !unit.isEmpty || isTooLarge else { return nil }
        let bytes = unit
        let wasTooLarge = isTooLarge
        unit.removeAll(keepingCapacity: true)
        isTooLarge = false
        guard !wasTooLarge else {
            counters.broken += 1
            return nil
        }
        return bytes.withUnsafeBytes { finish($0) }
    }

    /// Keeps what came without a picture for the next one. In place: each of many small ones would copy all before it.
    private mutating func carry(_ kept: [UInt8]) {
        if kept.count + carried.count <= Self.maximumCarriedBytes { carried += kept } else { carried = [] }
    }

    private mutating func finish(_ bytes: UnsafeRawBufferPointer) -> MediaPacket? {
        let content = readUnits(bytes)
        if sets.changed { rebuild() }
        guard content.hasPicture else {
            if content.kept.isEmpty && !content.hasParameters { counters.broken += 1 }
            carry(content.kept)
            return nil
        }
        let kept = carried + content.kept
        carried = []
        guard let configuration else {
            counters.withoutConfiguration += 1
            return nil
        }
        return packet(PacketBytes(kept), configuration, isKeyframe: content.isKeyframe, unitPts, unitArrivalNs)
    }

    private mutating func packet(
        _ bytes: PacketBytes, _ configuration: CodecConfiguration, isKeyframe: Bool, _ pts: Int64?, _ arrivalNs: Int64
    ) -> MediaPacket {
        let times = timeline.next(ptsTicks: pts, arrivalNs: arrivalNs)
        return MediaPacket(
            configuration: configuration, bytes: bytes, ptsTicks: times.ptsTicks, dtsTicks: times.dtsTicks,
            durationTicks: times.durationTicks, isKeyframe: isKeyframe, arrivalNs: arrivalNs,
            startsNewTimeline: times.startsNewTimeline)
    }

    private struct Content {
        var kept: [UInt8] = []
        var hasPicture = false
        var isKeyframe = false
        var hasParameters = false
    }

    /// Sorts the units: parameter sets to `sets`, what a file needs behind lengths to `kept`.
    private mutating func readUnits(_ bytes: UnsafeRawBufferPointer) -> Content {
        var content = Content()
        content.kept.reserveCapacity(bytes.count)
        let units = AnnexB.units(in: bytes)
        guard units.count <= AccessUnitBuffer.maximumUnits else { return content }
        for range in units {
            let unit = UnsafeRawBufferPointer(rebasing: bytes[range])
            guard sort(unit, into: &content) else { continue }
            let size = UInt32(unit.count)
            for shift: UInt32 in [24, 16, 8, 0] { content.kept.append(UInt8(truncatingIfNeeded: size >> shift)) }
            content.kept.append(contentsOf: unit)
        }
        return content
    }

    /// Notes what a unit is; parameter sets go to `sets`. Returns whether a file needs it among the samples.
    private mutating func sort(_ unit: UnsafeRawBufferPointer, into content: inout Content) -> Bool {
        switch NALKind(unit, codec: codec) {
        case .superfluous: return false
        case .videoParameters, .sequenceParameters, .pictureParameters:
            content.hasParameters = true
            sets.take(Array(unit), codec: codec)
            return false
        case .keySlice:
            content.hasPicture = true
            content.isKeyframe = true
        case .recoveryPoint: content.isKeyframe = true
        case .slice: content.hasPicture = true
        case .other: break
        }
        return true
    }

    private mutating func rebuild() {
        sets.changed = false
        guard let rebuilt = sets.configuration(codec: codec, timescale: timescale) else { return }
        configuration = rebuilt
        timeline.restate(reorderDepth: rebuilt.reorderDepth, nominalFrameTicks: rebuilt.nominalFrameTicks)
    }
}

/// The parameter sets that hold now, by kind and identity.
struct ParameterSets: Sendable {
    /// A set came that was not there.
    var changed = false
    private var video: [Int: [UInt8]] = [:]
    private var sequence: [Int: [UInt8]] = [:]
    private var picture: [Int: [UInt8]] = [:]

    /// The largest sets, with scaling lists, have less than 1 KiB.
    static let maximumSetBytes = 16 << 10
    /// All together. Each configuration holds all of them, and each packet of a stream that changes them has its own.
    static let maximumBytes = 64 << 10

    /// Keeps a set if its identity can be read. A broken one is ignored: the one before goes on.
    mutating func take(_ nal: [UInt8], codec: Codec) {
        guard nal.count <= Self.maximumSetBytes else { return }
        if codec == .h264 {
            if nal[0] & 0x1F == 7 {
                if let set = try? H264SPS(nal: nal) { store(nal, set.id, \.sequence) }
            } else {
                var reader = BitReader(nal: nal.prefix(16), skipping: 1)
                if let id = try? reader.unsigned(upTo: 255, "picture parameter set id") { store(nal, id, \.picture) }
            }
            return
        }
        guard nal.count > 2 else { return }
        switch nal[0] >> 1 & 0x3F {
        case 32: store(nal, Int(nal[2] >> 4), \.video)
        case 33: if let set = try? HEVCSPS(nal: nal) { store(nal, set.id, \.sequence) }
        default:
            var reader = BitReader(nal: nal.prefix(16), skipping: 2)
            if let id = try? reader.unsigned(upTo: 63, "picture parameter set id") { store(nal, id, \.picture) }
        }
    }

    /// nil while a kind is missing or the sets contradict what a file can hold.
    func configuration(codec: Codec, timescale: UInt32) -> CodecConfiguration? {
        func ordered(_ sets: [Int: [UInt8]]) -> [[UInt8]] { sets.sorted { $0.key < $1.key }.map(\.value) }
        if codec == .h264 {
            return try? .h264(sps: ordered(sequence), pps: ordered(picture), timescale: timescale)
        }
        return try? .hevc(vps: ordered(video), sps: ordered(sequence), pps: ordered(picture), timescale: timescale)
    }

    private mutating func store(_ nal: [UInt8], _ id: Int, _ path: WritableKeyPath<ParameterSets, [Int: [UInt8]]>) {
        guard self[keyPath: path][id] != nal else { return }
        self[keyPath: path][id] = nal
        changed = true
        let total = [video, sequence, picture].reduce(0) { $0 + $1.values.reduce(0) { $0 + $1.count } }
        guard total > Self.maximumBytes else { return }
        // No camera has so many: what it means now begins with this one.
        self = ParameterSets(changed: true)
        self[keyPath: path][id] = nal
    }
}
