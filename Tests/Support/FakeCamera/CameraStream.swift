// One stream of a camera: what it shows, how it is cut into packets, and what is wrong with them.

/// One stream.
public struct CameraStream: Sendable {
    /// What it carries.
    public enum Format: Sendable, Hashable {
        case h264, h265, mjpeg, aac, pcmu, pcma
        /// ONVIF metadata: packets that no recorder wants.
        case metadata
    }

    /// Where parameter sets are found.
    public enum ParameterSetPlace: Sendable, Hashable {
        /// In the description, those of the first picture.
        case description
        /// Before each keyframe.
        case inBand
    }

    /// What it carries.
    public var format: Format
    /// How many units it has.
    public var frames: Int
    /// RTP's payload type.
    public var payloadType: UInt8
    /// Ticks of RTP's clock per second.
    public var clockRateHz: Int
    /// From one unit to the next.
    public var ticksPerFrame: Int
    /// `a=control`; nil: the line is missing.
    public var control: String?
    /// The only URI that its SETUP is answered for, with "{host}" for the camera's host and port; nil: as RFC 2326 joins it.
    public var setupURI: String?
    /// Every so many pictures is a keyframe.
    public var keyframeEvery = 12
    /// Pictures before this one are none, whatever `keyframeEvery` says.
    public var firstKeyframe = 0
    /// The size of a unit, by its number; the least is 24 bytes.
    public var frameBytes: @Sendable (Int) -> Int = { $0 % 12 == 0 ? 9_000 : 2_500 }
    /// NAL units that a picture is divided into.
    public var slices = 1
    /// Size and parameters of a picture, by its number. Another one than before brings its parameter sets with it.
    public var picture: @Sendable (Int) -> PictureFormat = { _ in PictureFormat() }
    /// Where parameter sets are found.
    public var parameterSets: Set<ParameterSetPlace> = [.description, .inBand]
    /// By how many frames a picture is shown later than it is sent.
    public var shownLaterBy: @Sendable (Int) -> Int = { _ in 0 }
    /// A supplemental NAL unit before each picture.
    public var hasSupplement = false
    /// How it is sent.
    public var rtp = RTPHabits()

    private init(_ format: Format, frames: Int, _ type: UInt8, clockRateHz: Int, ticksPerFrame: Int, control: String) {
        (self.format, self.frames, payloadType) = (format, frames, type)
        (self.clockRateHz, self.ticksPerFrame, self.control) = (clockRateHz, ticksPerFrame, control)
    }

    private func changed(_ change: (inout CameraStream) -> Void) -> CameraStream {
        var stream = self
        change(&stream)
        return stream
    }

    /// H.264 at 25 frames per second.
    public static func h264(frames: Int = 50, _ change: (inout CameraStream) -> Void = { _ in }) -> CameraStream {
        CameraStream(.h264, frames: frames, 96, clockRateHz: 90_000, ticksPerFrame: 3_600, control: "trackID=1")
            .changed(change)
    }

    /// H.265 at 25 frames per second.
    public static func h265(frames: Int = 50, _ change: (inout CameraStream) -> Void = { _ in }) -> CameraStream {
        CameraStream(.h265, frames: frames, 97, clockRateHz: 90_000, ticksPerFrame: 3_600, control: "trackID=1")
            .changed(change)
    }

    /// Motion JPEG at 10 frames per second.
    public static func mjpeg(frames: Int = 20, _ change: (inout CameraStream) -> Void = { _ in }) -> CameraStream {
        CameraStream(.mjpeg, frames: frames, 26, clockRateHz: 90_000, ticksPerFrame: 9_000, control: "trackID=1")
            .changed(change)
    }

    /// AAC, one frame of 1024 samples in a packet.
    public static func aac(
        frames: Int = 80, sampleRateHz: Int = 16_000, _ change: (inout CameraStream) -> Void = { _ in }
    ) -> CameraStream {
        CameraStream(.aac, frames: frames, 104, clockRateHz: sampleRateHz, ticksPerFrame: 1_024, control: "trackID=2")
            .changed { $0.frameBytes = { 180 + $0 % 50 } }.changed(change)
    }

    /// G.711 µ-law, 20 ms in a packet.
    public static func pcmu(frames: Int = 100, _ change: (inout CameraStream) -> Void = { _ in }) -> CameraStream {
        CameraStream(.pcmu, frames: frames, 0, clockRateHz: 8_000, ticksPerFrame: 160, control: "trackID=2")
            .changed { $0.frameBytes = { _ in 160 } }.changed(change)
    }

    /// G.711 A-law, 20 ms in a packet.
    public static func pcma(frames: Int = 100, _ change: (inout CameraStream) -> Void = { _ in }) -> CameraStream {
        pcmu(frames: frames) {
            $0.format = .pcma; $0.payloadType = 8
        }.changed(change)
    }

    /// ONVIF metadata.
    public static func metadata(frames: Int = 10, _ change: (inout CameraStream) -> Void = { _ in }) -> CameraStream {
        CameraStream(.metadata, frames: frames, 107, clockRateHz: 90_000, ticksPerFrame: 18_000, control: "trackID=3")
            .changed { $0.frameBytes = { _ in 200 } }.changed(change)
    }

    var isVideo: Bool { [.h264, .h265, .mjpeg].contains(format) }

    /// Whether a decoder can begin with a unit.
    func isKeyframe(_ number: Int) -> Bool {
        guard format == .h264 || format == .h265 else { return true }
        return number >= firstKeyframe && (number - max(0, firstKeyframe)) % max(1, keyframeEvery) == 0
    }
}

/// What parameter sets say of a picture.
public struct PictureFormat: Sendable, Hashable {
    /// Width; a multiple of 16.
    public var widthPx: Int
    /// Height; a multiple of 16.
    public var heightPx: Int
    /// Frames that may overtake a frame, 0 to 4.
    public var reorderDepth: Int
    /// H.264: whether the parameter sets say so.
    public var statesReorderDepth: Bool
    /// Frames per second that the usability information states; 0: it says nothing.
    public var framesPerSecond: Int
    /// H.265: temporal layers, 1 to 3.
    public var temporalLayers: Int

    /// 640 by 480 at 25 frames per second, nothing reordered, and that is said.
    public init(
        widthPx: Int = 640, heightPx: Int = 480, reorderDepth: Int = 0, statesReorderDepth: Bool = true,
        framesPerSecond: Int = 25, temporalLayers: Int = 1
    ) {
        (self.widthPx, self.heightPx) = (widthPx, heightPx)
        (self.reorderDepth, self.statesReorderDepth) = (reorderDepth, statesReorderDepth)
        (self.framesPerSecond, self.temporalLayers) = (framesPerSecond, temporalLayers)
    }
}

/// How a stream goes into RTP packets. Packets are counted from 0 in their stream, units too.
public struct RTPHabits: Sendable {
    /// Where the marker bit is set.
    public enum Marker: Sendable, Hashable {
        /// On the last packet of a unit, as it should be.
        case last
        case never
        /// On the last packet, and on supplemental NAL units too (Ivel).
        case lastAndSupplement
        /// On the last packet of each slice.
        case everySlice
    }

    /// The source.
    public var ssrc: UInt32 = 0x5EED_0001
    /// Another source from this unit on.
    public var ssrcChanges: [Int: UInt32] = [:]
    /// The first packet's number.
    public var firstSequence: UInt16 = 100
    /// The first unit's time.
    public var firstTimestamp: UInt32 = 10_000
    /// Added to the numbers from this unit on, together with what was added before.
    public var sequenceJumps: [Int: Int] = [:]
    /// Ticks added to the times from this unit on, together with what was added before.
    public var timestampJumps: [Int: Int64] = [:]
    /// Units from here on have the time of the one before.
    public var frozenUnits: Range<Int> = 0..<0
    /// By how much the camera's clock is fast, in millionths.
    public var fastPPM = 0.0
    /// Where the marker bit is set.
    public var marker = Marker.last
    /// Slices whose last packet is marked, by the numbers of unit and slice, instead of what `marker` says; nil: as it says.
    public var marksSlice: (@Sendable (_ unit: Int, _ slice: Int) -> Bool)?
    /// The largest payload.
    public var maximumPayloadBytes = 1_400
    /// Small NAL units share a packet (STAP-A, AP); AAC frames too.
    public var aggregates = false
    /// The fragments of a NAL unit have no end bit.
    public var fragmentsHaveNoEnd = false
    /// Fragments behind the first name another NAL type (Tiandy).
    public var fragmentsChangeType = false
    /// An empty fragment follows the first one of each NAL unit.
    public var hasEmptyFragments = false
    /// The whole unit in one NAL unit, its parts divided by start codes (V380).
    public var hasStartCodesInside = false
    /// Packets carry a header extension, two contributing sources and padding.
    public var hasDecoratedPackets = false
    /// Packets that are numbered but not sent.
    public var leavesOut: @Sendable (Int) -> Bool = { _ in false }
    /// Packets that are sent twice.
    public var repeats: @Sendable (Int) -> Bool = { _ in false }

    /// A good camera's.
    public init() {}
}
