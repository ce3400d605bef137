// Bytes of the segment information box: see SegmentInfo.swift for the format.

extension SegmentInfo {
    /// 53474c53-9f0e-4c1d-8a57-6d65646961fe: "SGLS", random, "media", random.
    static let boxUUID: [UInt8] = [
        0x53, 0x47, 0x4C, 0x53, 0x9F, 0x0E, 0x4C, 0x1D, 0x8A, 0x57, 0x6D, 0x65, 0x64, 0x69, 0x61, 0xFE,
    ]
    static let version: UInt8 = 1
    /// A box larger than this is not ours: names are at most 1 KiB, and gaps are bounded by `maximumGaps`.
    static let maximumBoxBytes = 1 << 20
    /// More gaps than this in one segment are written as the first ones and one that spans the rest.
    static let maximumGaps = 500
    /// Texts are cut at this many bytes, so that no box outgrows what a reader takes.
    static let maximumTextBytes = 512

    /// Tags of the fields. A number is never used again for another meaning.
    enum Tag: UInt16 {
        case device = 1, endpoint, asset, stream, controllerID, runID, runStartedUs, runEndedUs, runEndReason
        case leaseEpoch = 10, sequence, startUs, endUs, frames, mediaStartUs, videoCodec, audioCodec, widthPx, heightPx
        /// Present with any value: true.
        case salvaged = 20
        /// version (4), mediaUs (8), wallUs (8), ratePpm (4), origin (text to the end).
        case anchor = 31
        /// startUs (8), endUs (8), framesLost (4), length of cause (2), cause, reason (text to the end).
        case gap = 32
    }

    /// The whole box.
    public func box() -> [UInt8] {
        var body = BoxWriter()
        body.bytes(Self.boxUUID)
        body.u8(Self.version)
        body.u8(isFinal ? 1 : 0)
        body.u16(0)
        func text(_ tag: Tag, _ value: String) {
            if !value.isEmpty { body.field(tag, Self.cut(value)) }
        }
        func number(_ tag: Tag, _ value: Int64?) {
            if let value { body.field(tag, BoxWriter.number(UInt64(bitPattern: value))) }
        }
        text(.device, device)
        text(.endpoint, endpoint)
        text(.asset, asset)
        text(.stream, stream)
        text(.controllerID, controllerID)
        text(.runID, runID)
        number(.runStartedUs, runStartedUs)
        number(.runEndedUs, runEndedUs)
        text(.runEndReason, runEndReason)
        body.field(.leaseEpoch, BoxWriter.number(leaseEpoch))
        number(.sequence, Int64(sequence))
        number(.startUs, startUs)
        number(.endUs, endUs)
        number(.frames, frames.map(Int64.init))
        number(.mediaStartUs, mediaStartUs)
        text(.videoCodec, videoCodec)
        text(.audioCodec, audioCodec)
        number(.widthPx, Int64(widthPx))
        number(.heightPx, Int64(heightPx))
        if salvaged { body.field(.salvaged, [1]) }
        if let anchor {
            var value = BoxWriter()
            value.u32(anchor.version)
            value.u64(UInt64(bitPattern: anchor.mediaUs))
            value.u64(UInt64(bitPattern: anchor.wallUs))
            value.u32(UInt32(bitPattern: anchor.ratePpm))
            value.bytes(Self.cut(anchor.origin))
            body.field(.anchor, value.data)
        }
        for gap in boundedGaps { body.field(.gap, Self.value(of: gap)) }
        var box = BoxWriter()
        box.box("uuid") { $0.bytes(body.data) }
        return box.data
    }

    /// Reads the content of a 'uuid' box (from its 16 bytes of identity on). nil: not ours, or not valid.
    public init?(uuidBoxContent content: [UInt8]) {
        guard content.count <= Self.maximumBoxBytes, content.count >= 20, Array(content[..<16]) == Self.boxUUID,
            content[16] == Self.version
        else { return nil }
        self.init(device: "", endpoint: "", runID: "")
        isFinal = content[17] & 1 == 1
        var reader = ByteCursor(content[20...])
        while !reader.isAtEnd {
            guard let tag = reader.u16(), let length = reader.u32(), let value = reader.take(Int(length)) else {
                return nil
            }
            guard let known = Tag(rawValue: tag) else { continue }
            guard read(known, value) else { return nil }
        }
        guard !device.isEmpty, !endpoint.isEmpty, !runID.isEmpty else { return nil }
    }

    private var boundedGaps: [SegmentGap] {
        guard gaps.count > Self.maximumGaps else { return gaps }
        let rest = gaps[(Self.maximumGaps - 1)...]
        guard var merged = rest.first else { return gaps }
        merged.endUs = rest.map(\.endUs).max() ?? merged.endUs
        merged.framesLost = rest.reduce(0) { $0.addingReportingOverflow($1.framesLost).partialValue }
        merged.reason = "\(rest.count) gaps, written as one"
        return gaps[..<(Self.maximumGaps - 1)] + [merged]
    }

    private mutating func read(_ tag: Tag, _ value: ArraySlice<UInt8>) -> Bool {
        var cursor = ByteCursor(value)
        func text(_ path: WritableKeyPath<SegmentInfo, String>) -> Bool {
            guard let string = String(validating: value, as: UTF8.self) else { return false }
            self[keyPath: path] = string
            return true
        }
        func number<Value: FixedWidthInteger>(_ store: (inout SegmentInfo, Value) -> Void) -> Bool {
            guard value.count == 8, let raw = cursor.u64(), let fitting = Value(exactly: Int64(bitPattern: raw)) else {
                return false
            }
            store(&self, fitting)
            return true
        }
        switch tag {
        case .device: return text(\.device)
        case .endpoint: return text(\.endpoint)
        case .asset: return text(\.asset)
        case .stream: return text(\.stream)
        case .controllerID: return text(\.controllerID)
        case .runID: return text(\.runID)
        case .runEndReason: return text(\.runEndReason)
        case .videoCodec: return text(\.videoCodec)
        case .audioCodec: return text(\.audioCodec)
        case .runStartedUs: return number { $0.runStartedUs = $1 }
        case .runEndedUs: return number { $0.runEndedUs = $1 }
        case .leaseEpoch:
            guard value.count == 8, let raw = cursor.u64() else { return false }
            leaseEpoch = raw
            return true
        case .sequence: return number { $0.sequence = $1 }
        case .startUs: return number { $0.startUs = $1 }
        case .endUs: return number { $0.endUs = $1 }
        case .frames: return number { $0.frames = $1 }
        case .mediaStartUs: return number { $0.mediaStartUs = $1 }
        case .widthPx: return number { $0.widthPx = $1 }
        case .heightPx: return number { $0.heightPx = $1 }
        case .salvaged:
            salvaged = true
            return true
        case .anchor: return readAnchor(&cursor)
        case .gap: return readGap(&cursor)
        }
    }

    private mutating func readAnchor(_ cursor: inout ByteCursor) -> Bool {
        guard let version = cursor.u32(), let media = cursor.u64(), let wall = cursor.u64(), let rate = cursor.u32(),
            let origin = String(validating: cursor.rest, as: UTF8.self)
        else { return false }
        anchor = MediaAnchor(
            version: version, mediaUs: Int64(bitPattern: media), wallUs: Int64(bitPattern: wall),
            ratePpm: Int32(bitPattern: rate), origin: origin)
        return (-500...500).contains(Int32(bitPattern: rate))
    }

    private mutating func readGap(_ cursor: inout ByteCursor) -> Bool {
        guard let start = cursor.u64(), let end = cursor.u64(), let lost = cursor.u32(), let length = cursor.u16(),
            let causeBytes = cursor.take(Int(length)), let cause = String(validating: causeBytes, as: UTF8.self),
            let reason = String(validating: cursor.rest, as: UTF8.self)
        else { return false }
        gaps.append(
            SegmentGap(
                startUs: Int64(bitPattern: start), endUs: Int64(bitPattern: end), cause: cause, reason: reason,
                framesLost: lost))
        return true
    }

    private static func value(of gap: SegmentGap) -> [UInt8] {
        var value = BoxWriter()
        let cause = cut(gap.cause)
        value.u64(UInt64(bitPattern: gap.startUs))
        value.u64(UInt64(bitPattern: gap.endUs))
        value.u32(gap.framesLost)
        value.u16(UInt16(cause.count))
        value.bytes(cause)
        value.bytes(cut(gap.reason))
        return value.data
    }

    /// UTF-8 of at most `maximumTextBytes`, cut between characters.
    private static func cut(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        for character in text {
            let next = Array(String(character).utf8)
            if bytes.count + next.count > maximumTextBytes { break }
            bytes += next
        }
        return bytes
    }
}

extension BoxWriter {
    fileprivate mutating func field(_ tag: SegmentInfo.Tag, _ value: [UInt8]) {
        u16(tag.rawValue)
        u32(UInt32(value.count))
        bytes(value)
    }

    fileprivate static func number(_ value: UInt64) -> [UInt8] {
        var writer = BoxWriter()
        writer.u64(value)
        return writer.data
    }
}
