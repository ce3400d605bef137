// What the parameter sets of H.264 (ITU-T H.264 7.3.2.1, E.1.1) and H.265 (ITU-T H.265 7.3.2.2) tell that we need: size of
// the picture, depth of reordering, identity. CodecConfiguration uses it; nothing here decodes.

/// Fields of an H.264 sequence parameter set.
struct H264SPS: Equatable {
    var profile = 0
    var compatibility = 0
    var level = 0
    var id = 0
    var chromaFormat = 1
    var bitDepthLuma = 8
    var bitDepthChroma = 8
    var widthPx = 0
    var heightPx = 0
    /// Frames that may precede a frame in decoding and follow it in output. nil: the camera does not say.
    var reorderDepth: Int?
    /// Frames per second as numerator and denominator, where the set says so.
    var frameRate: (UInt32, UInt32)? {
        rateNumerator > 0 && rateDenominator > 0 ? (rateNumerator, rateDenominator) : nil
    }
    private var rateNumerator: UInt32 = 0
    private var rateDenominator: UInt32 = 0

    /// Profiles that carry chroma format and bit depth (H.264 7.3.2.1.1).
    private static let highProfiles: Set<Int> = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]

    /// `nal` is the whole unit with its header byte.
    init(nal: [UInt8]) throws(MediaError) {
        var reader = BitReader(nal: nal, skipping: 1)
        profile = Int(try reader.bits(8))
        compatibility = Int(try reader.bits(8))
        level = Int(try reader.bits(8))
        id = try reader.unsigned(upTo: 31, "H.264 sequence parameter set id")
        if Self.highProfiles.contains(profile) {
            chromaFormat = try reader.unsigned(upTo: 3, "chroma format")
            if chromaFormat == 3 { try reader.skip(1) }
            bitDepthLuma = try 8 + reader.unsigned(upTo: 6, "luma bit depth")
            bitDepthChroma = try 8 + reader.unsigned(upTo: 6, "chroma bit depth")
            try reader.skip(1)
            if try reader.bit() {
                for index in 0..<(chromaFormat == 3 ? 12 : 8) where try reader.bit() {
                    try Self.skipScalingList(&reader, size: index < 6 ? 16 : 64)
                }
            }
        }
        _ = try reader.unsigned(upTo: 12, "frame number bits")
        let orderType = try reader.unsigned(upTo: 2, "picture order type")
        if orderType == 0 {
            _ = try reader.unsigned(upTo: 12, "picture order bits")
        } else if orderType == 1 {
            try reader.skip(1)
            _ = try reader.signed()
            _ = try reader.signed()
            for _ in 0..<(try reader.unsigned(upTo: 255, "cycle length")) { _ = try reader.signed() }
        }
        _ = try reader.unsigned(upTo: 16, "reference frames")
        try reader.skip(1)
        let widthUnits = try reader.unsigned(upTo: 2047, "width") + 1
        let heightUnits = try reader.unsigned(upTo: 2047, "height") + 1
        let framesOnly = try reader.bit()
        if !framesOnly { try reader.skip(1) }
        try reader.skip(1)
        try readCrop(&reader, width: widthUnits * 16, height: heightUnits * 16 * (framesOnly ? 1 : 2), framesOnly)
        // Without bitstream restrictions in the usability information, only these say that nothing is reordered.
        if profile == 66 || orderType == 2 { reorderDepth = 0 }
        // Cameras write sloppy usability information; what it would have told is a refinement, so an error ends it quietly.
        if (try? reader.bit()) == true { try? readUsability(&reader) }
    }

    static func == (left: H264SPS, right: H264SPS) -> Bool {
        left.profile == right.profile && left.level == right.level && left.id == right.id
            && left.widthPx == right.widthPx && left.heightPx == right.heightPx
    }

    private mutating func readCrop(
        _ reader: inout BitReader, width: Int, height: Int, _ framesOnly: Bool
    ) throws(MediaError) {
        widthPx = width
        heightPx = height
        guard try reader.bit() else { return }
        let unitX = chromaFormat == 1 || chromaFormat == 2 ? 2 : 1
        let unitY = (chromaFormat == 1 ? 2 : 1) * (framesOnly ? 1 : 2)
        let left = try reader.unsigned(upTo: 32767, "left crop")
        let right = try reader.unsigned(upTo: 32767, "right crop")
        let top = try reader.unsigned(upTo: 32767, "top crop")
        let bottom = try reader.unsigned(upTo: 32767, "bottom crop")
        widthPx -= (left + right) * unitX
        heightPx -= (top + bottom) * unitY
        guard widthPx > 0, heightPx > 0 else {
            throw MediaError("an H.264 sequence parameter set crops the whole picture away")
        }
    }

    private mutating func readUsability(_ reader: inout BitReader) throws(MediaError) {
        if try reader.bit() { if try reader.bits(8) == 255 { try reader.skip(32) } }
        if try reader.bit() { try reader.skip(1) }
        if try reader.bit() {
            try reader.skip(4)
            if try reader.bit() { try reader.skip(24) }
        }
        if try reader.bit() {
            _ = try reader.unsigned()
            _ = try reader.unsigned()
        }
        if try reader.bit() {
            let unitsInTick = try reader.bits(32)
            let ticks = try reader.bits(32)
            try reader.skip(1)
            // A frame is two ticks (field pair), H.264 E.2.1.
            let (doubled, overflow) = unitsInTick.multipliedReportingOverflow(by: 2)
            if !overflow { (rateNumerator, rateDenominator) = (ticks, doubled) }
        }
        let nalTiming = try reader.bit()
        if nalTiming { try Self.skipTiming(&reader) }
        let vclTiming = try reader.bit()
        if vclTiming { try Self.skipTiming(&reader) }
        if nalTiming || vclTiming { try reader.skip(1) }
        try reader.skip(1)
        guard try reader.bit() else { return }
        try reader.skip(1)
        for _ in 0..<4 { _ = try reader.unsigned() }
        reorderDepth = try reader.unsigned(upTo: 16, "reordered frames")
    }

    /// hrd_parameters()
    private static func skipTiming(_ reader: inout BitReader) throws(MediaError) {
        let count = try reader.unsigned(upTo: 31, "buffer specifications") + 1
        try reader.skip(8)
        for _ in 0..<count {
            _ = try reader.unsigned()
            _ = try reader.unsigned()
            try reader.skip(1)
        }
        try reader.skip(20)
    }

    private static func skipScalingList(_ reader: inout BitReader, size: Int) throws(MediaError) {
        var last: Int64 = 8
        var next: Int64 = 8
        for _ in 0..<size {
            if next != 0 { next = (last + (try reader.signed()) + 256) % 256 }
            if next != 0 { last = next }
        }
    }
}

/// Fields of an H.265 sequence parameter set.
struct HEVCSPS: Equatable {
    var id = 0
    var subLayers = 1
    var temporalNesting = false
    /// general_profile_space up to general_level_idc: 12 bytes, as hvcC wants them.
    var profileTierLevel: [UInt8] = []
    var chromaFormat = 1
    var bitDepthLuma = 8
    var bitDepthChroma = 8
    var widthPx = 0
    var heightPx = 0
    var reorderDepth = 0

    /// `nal` is the whole unit with its two header bytes.
    init(nal: [UInt8]) throws(MediaError) {
        var reader = BitReader(nal: nal, skipping: 2)
        try reader.skip(4)
        subLayers = Int(try reader.bits(3)) + 1
        guard subLayers <= 7 else { throw MediaError("an H.265 sequence parameter set has more than 7 sub-layers") }
        temporalNesting = try reader.bit()
        for _ in 0..<12 { profileTierLevel.append(UInt8(try reader.bits(8))) }
        try Self.skipSubLayers(&reader, count: subLayers - 1)
        id = try reader.unsigned(upTo: 15, "H.265 sequence parameter set id")
        chromaFormat = try reader.unsigned(upTo: 3, "chroma format")
        if chromaFormat == 3 { try reader.skip(1) }
        widthPx = try reader.unsigned(upTo: 16384, "width")
        heightPx = try reader.unsigned(upTo: 16384, "height")
        if try reader.bit() {
            let unitX = chromaFormat == 1 || chromaFormat == 2 ? 2 : 1
            let unitY = chromaFormat == 1 ? 2 : 1
            widthPx -= try reader.unsigned(upTo: 16384, "left crop") * unitX
            widthPx -= try reader.unsigned(upTo: 16384, "right crop") * unitX
            heightPx -= try reader.unsigned(upTo: 16384, "top crop") * unitY
            heightPx -= try reader.unsigned(upTo: 16384, "bottom crop") * unitY
        }
        guard widthPx > 0, heightPx > 0 else {
            throw MediaError("an H.265 sequence parameter set says that the picture is empty")
        }
        bitDepthLuma = try 8 + reader.unsigned(upTo: 8, "luma bit depth")
        bitDepthChroma = try 8 + reader.unsigned(upTo: 8, "chroma bit depth")
        _ = try reader.unsigned(upTo: 12, "picture order bits")
        let all = try reader.bit()
        for _ in (all ? 0 : subLayers - 1)..<subLayers {
            _ = try reader.unsigned()
            reorderDepth = try reader.unsigned(upTo: 16, "reordered frames")
            _ = try reader.unsigned()
        }
    }

    private static func skipSubLayers(_ reader: inout BitReader, count: Int) throws(MediaError) {
        guard count > 0 else { return }
        var present: [(profile: Bool, level: Bool)] = []
        for _ in 0..<count { present.append((try reader.bit(), try reader.bit())) }
        try reader.skip(2 * (8 - count))
        for layer in present {
            if layer.profile { try reader.skip(88) }
            if layer.level { try reader.skip(8) }
        }
    }
}
