// AAC (RFC 3640, modes AAC-hbr and AAC-lbr): a section of AU headers, then access units, or a fragment of one. The widths of
// the headers' fields come from the fmtp of the track's description.
//
// Interleaving (an index delta above 0) is not undone: no camera does it. Such packets are counted as malformed.

import Media

/// How the track's description says that AU headers look.
public struct AACFormat: Sendable, Hashable {
    /// Bits of the size field: 13 in AAC-hbr, 6 in AAC-lbr.
    public var sizeLength: Int
    /// Bits of the first header's index.
    public var indexLength: Int
    /// Bits of the index in later headers.
    public var indexDeltaLength: Int
    /// The AudioSpecificConfig; empty where the description has none.
    public var audioSpecificConfig: [UInt8]

    /// Reads fmtp values (names in any case). nil: a mode or a width that cannot be read. Where widths are missing those of
    /// the mode hold, and AAC-hbr where the mode is missing too.
    public init?(formatParameters: [String: String]) {
        let values = Dictionary(formatParameters.map { ($0.key.lowercased(), $0.value) }) { first, _ in first }
        let mode = values["mode"]?.lowercased() ?? "aac-hbr"
        guard ["aac-hbr", "aac-lbr"].contains(mode) else { return nil }
        func width(_ name: String, _ usual: Int) -> Int? {
            guard let text = values[name] else { return usual }
            return Int(text).flatMap { (0...16).contains($0) ? $0 : nil }
        }
        let isLow = mode == "aac-lbr"
        guard let size = width("sizelength", isLow ? 6 : 13), size > 0,
            let index = width("indexlength", isLow ? 2 : 3), let delta = width("indexdeltalength", isLow ? 2 : 3),
            // Fields that no camera sends and that would shift all others.
            [
                "ctsdeltalength", "dtsdeltalength", "randomaccessindication", "streamstateindication",
                "auxiliarydatasizelength",
            ]
            .allSatisfy({ (values[$0] ?? "0") == "0" }),
            let config = Self.bytes(hex: values["config"] ?? "")
        else { return nil }
        sizeLength = size
        indexLength = index
        indexDeltaLength = delta
        audioSpecificConfig = config
    }

    private static func bytes(hex text: String) -> [UInt8]? {
        let digits = text.compactMap(\.hexDigitValue)
        guard digits.count == text.count, digits.count % 2 == 0, digits.count <= 128 else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}

/// RTP payloads of AAC to frames of 1024 samples (or what `samplesPerFrame` says).
public struct AACDepacketizer: Depacketizer {
    /// What happened so far.
    public private(set) var counters = DepacketizerCounters()
    /// A packet of a second's sound at 96 kHz has 94 frames; more are sizes of nothing, each of which would cost a packet's overhead.
    static let maximumFramesPerPacket = 128
    private let format: AACFormat
    private let samplesPerFrame: UInt32
    private var fragment: [UInt8] = []
    private var fragmentSize = 0
    private var fragmentTime: UInt32?
    /// Of the frame that was torn last: the rest of it is passed over. A rest whose beginning nobody saw is found out at its
    /// marker, for it is shorter than its headers state.
    private var tornTime: UInt32?

    /// For a track; the clock rate is the sample rate (RFC 3640 3.1).
    public init(format: AACFormat, samplesPerFrame: UInt32 = 1024) {
        self.format = format
        self.samplesPerFrame = samplesPerFrame
    }

    /// Takes the next packet.
    public mutating func take(_ packet: RTPPacket, deliver: (DepacketizedUnit) -> Void) {
        guard let (sizes, data) = sections(packet.payload) else {
            counters.malformed += 1
            return lose()
        }
        if sizes.count == 1, sizes[0] > data.count || fragmentTime == packet.timestamp {
            return takeFragment(data, size: sizes[0], packet, deliver)
        }
        if fragmentTime != nil { drop() }
        tornTime = nil
        var start = 0
        for (index, size) in sizes.enumerated() {
            guard size <= data.count - start else {
                counters.malformed += 1
                return
            }
            if size > 0 {
                counters.units += 1
                let frame = UnsafeRawBufferPointer(rebasing: data[start..<start + size])
                deliver(.audio(frame, timestamp: packet.timestamp &+ UInt32(index) &* samplesPerFrame))
            }
            start += size
        }
    }

    /// Packets are missing before the next one.
    public mutating func lose() {
        if fragmentTime != nil { drop() }
    }

    /// The stream is over.
    public mutating func flush(deliver: (DepacketizedUnit) -> Void) {
        if fragmentTime != nil { drop() }
    }

    /// The sizes that the headers state, and what follows them.
    private func sections(_ payload: UnsafeRawBufferPointer) -> ([Int], UnsafeRawBufferPointer)? {
        guard payload.count >= 2 else { return nil }
        let headerBits = Int(payload.big16(0))
        let headerBytes = (headerBits + 7) / 8
        guard headerBits > 0, headerBytes <= payload.count - 2 else { return nil }
        var bit = 16
        let end = 16 + headerBits
        func field(_ width: Int) -> Int {
            var value = 0
            for _ in 0..<width {
                value = value << 1 | Int(payload[bit >> 3] >> UInt8(7 - bit & 7) & 1)
                bit += 1
            }
            return value
        }
        var sizes: [Int] = []
        while end - bit >= format.sizeLength + (sizes.isEmpty ? format.indexLength : format.indexDeltaLength) {
            guard sizes.count < Self.maximumFramesPerPacket else { return nil }
            sizes.append(field(format.sizeLength))
            let index = field(sizes.count == 1 ? format.indexLength : format.indexDeltaLength)
            guard index == 0 || sizes.count == 1 else { return nil }
        }
        return sizes.isEmpty ? nil : (sizes, payload.dropping(2 + headerBytes))
    }

    /// Each fragment's header states the size of the whole frame (RFC 3640 3.2.3).
    private mutating func takeFragment(
        _ data: UnsafeRawBufferPointer, size: Int, _ packet: RTPPacket, _ deliver: (DepacketizedUnit) -> Void
    ) {
        if fragmentTime != nil, fragmentTime != packet.timestamp || fragmentSize != size { drop() }
        guard tornTime != packet.timestamp else { return }
        fragmentTime = packet.timestamp
        fragmentSize = size
        fragment.append(contentsOf: data)
        // The size has at most 16 bits, so the fragment is bounded.
        if fragment.count == size {
            counters.units += 1
            fragment.withUnsafeBytes { deliver(.audio($0, timestamp: packet.timestamp)) }
            reset()
        } else if fragment.count > size || packet.marker {
            drop()
        }
    }

    private mutating func drop() {
        counters.torn += 1
        tornTime = fragmentTime
        reset()
    }

    private mutating func reset() {
        fragment.removeAll(keepingCapacity: true)
        fragmentTime = nil
        fragmentSize = 0
    }
}
