// Times of video as they arrive to times that a file can hold: decoding times for streams that carry presentation times
// only (RTP), growth without exception, and a verdict where the camera's clock jumped.
//
// With reordering depth D (frames that may overtake a frame), the decoding time of the n-th frame is the (n-D)-th smallest
// presentation time. Where the stream does not state D, it is 0 until a frame goes back in time, then what is needed.

/// Derives decoding times of one video track.
public struct DecodeTimeline: Sendable {
    /// Times of one frame.
    public struct Times: Sendable, Hashable {
        /// Presentation time in ticks.
        public var ptsTicks: Int64
        /// Decoding time in ticks; larger than that of the frame before, except on a new timeline.
        public var dtsTicks: Int64
        /// Distance from the frame before: the estimate of a frame's length.
        public var durationTicks: Int64
        /// This frame's time does not continue the ones before.
        public var startsNewTimeline: Bool
    }

    private let timescale: Int64
    private var depth: Int
    private var isDepthStated: Bool
    private var frameTicks: Int64
    private var reorder: [Int64] = []
    private var lastDts: Int64?
    private var highestPts: Int64?
    private var lastStated: Int64?
    private var lastArrivalNs: Int64 = 0

    /// A step back by more is a jump of the clock, less is reordering.
    private static let maximumStepBackSeconds: Int64 = 1
    /// A step ahead of what the host's clock shows by more than this is a jump. Servers burst a whole group of pictures at the start.
    private static let maximumStepAheadSeconds: Int64 = 10
    /// Times farther from zero are none: their sums and differences would not fit 64 bits.
    static let maximumTicks: UInt64 = 1 << 61
    /// No stream of a camera reorders more.
    private static let maximumDepth = 4

    /// For a track of `timescale` ticks per second; depth and frame length as the stream states them, if it does.
    public init(timescale: UInt32, reorderDepth: Int?, nominalFrameTicks: Int64?) {
        self.timescale = Int64(timescale)
        depth = min(reorderDepth ?? 0, 16)
        isDepthStated = reorderDepth != nil
        frameTicks = nominalFrameTicks ?? Int64(timescale) / 25
    }

    /// Takes the next frame in decoding order. nil `ptsTicks`, one beyond 2^61, or that of the frame before (the camera's clock is
    /// frozen, or counts seconds): the frame came without a time, it follows the one before.
    public mutating func next(ptsTicks: Int64?, arrivalNs: Int64) -> Times {
        let stated = ptsTicks.flatMap { $0.magnitude <= Self.maximumTicks ? $0 : nil }
        let isFrozen = stated != nil && stated == lastStated
        lastStated = stated
        let pts = (isFrozen ? nil : stated) ?? highestPts.map { $0 &+ frameTicks } ?? 0
        let jumped = isJump(pts, arrivalNs)
        if jumped {
            reorder = []
            lastDts = nil
            highestPts = nil
        }
        if !isDepthStated, let highestPts, pts < highestPts { depth = min(depth + 1, Self.maximumDepth) }
        let isFirst = lastDts == nil
        var dts = decodeTime(of: pts)
        if let lastDts, dts <= lastDts { dts = lastDts + 1 }
        if let lastDts, dts - lastDts > 1 { frameTicks = min(dts - lastDts, timescale * 10) }
        lastDts = dts
        highestPts = max(highestPts ?? pts, pts)
        lastArrivalNs = arrivalNs
        return Times(ptsTicks: pts, dtsTicks: dts, durationTicks: frameTicks, startsNewTimeline: jumped && isFirst)
    }

    private func isJump(_ pts: Int64, _ arrivalNs: Int64) -> Bool {
        guard let highestPts else { return false }
        let step = pts.subtractingReportingOverflow(highestPts)
        if step.overflow { return true }
        if step.partialValue < -Self.maximumStepBackSeconds * timescale { return true }
        let waitedTicks = rescale(max(0, arrivalNs - lastArrivalNs), from: 1_000_000_000, to: UInt32(timescale))
        return step.partialValue - waitedTicks > Self.maximumStepAheadSeconds * timescale
    }

    private mutating func decodeTime(of pts: Int64) -> Int64 {
        let place = reorder.firstIndex { $0 > pts } ?? reorder.endIndex
        reorder.insert(pts, at: place)
        guard reorder.count > depth else {
            // The first frames: as if the ones before them had come at the same pace.
            return reorder[0] - Int64(depth - reorder.count + 1) * frameTicks
        }
        return reorder.removeFirst()
    }
}

extension DecodeTimeline {
    /// Continues with what new parameter sets state, without losing the growth of the times.
    mutating func restate(reorderDepth: Int?, nominalFrameTicks: Int64?) {
        guard let reorderDepth else { return }
        if reorderDepth != depth || !isDepthStated { reorder = [] }
        depth = min(reorderDepth, 16)
        isDepthStated = true
        if lastDts == nil, let nominalFrameTicks { frameTicks = nominalFrameTicks }
    }
}
