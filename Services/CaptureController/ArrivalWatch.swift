// What the arrivals of a run say about the camera's clock, all the time that the run goes on. Pure.
//
// Of each ten seconds of the monotonic clock only the least delayed packet is kept, the one with the smallest
// (arrival - media time): delay makes a packet late, nothing makes it early. The camera's clock is the line that lies below all
// kept packets and is nearest to them in the mean. Windows that a slow network delayed as a whole lie above it and do not
// count, up to about half of the time that is remembered; what arrives earlier than the line bends it at once.
//
// Cost: a comparison per packet and some hundred operations per window; nothing is allocated after the first packet.

/// What the arrivals say: the camera's media time `mediaUs` was `wallUs`, and its clock is slow by `slowPpm` against the host's.
struct ClockEstimate: Sendable, Equatable {
    let mediaUs: Int64
    let wallUs: Int64
    /// Microseconds of the host in a million microseconds of the camera, less a million. Negative: the camera's clock is fast.
    /// -1000 to 1000.
    let slowPpm: Double

    /// Wall time of a media time by the estimate.
    func wallUs(ofMediaUs media: Int64) -> Int64 {
        let elapsed = media &- mediaUs
        return wallUs &+ elapsed &+ Int64(clampedUs: Double(elapsed) * slowPpm / 1_000_000)
    }
}

struct ArrivalWatch: Sendable {
    /// Short enough that 500 ppm move it by 5 ms only, long enough for the least delayed of some hundred packets.
    static let windowUs: Int64 = 10_000_000
    /// With 32 windows a delay of two minutes and a half is not taken for a clock.
    static let mostWindows = 32
    /// No quartz clock is off by so much; of a camera whose clock is, it suffices to know that.
    static let steepestPpm = 1000.0
    /// The first estimate: by three windows a line is known well enough to bend after it.
    static let leastWindows = 3

    /// Of the first packet; the rest is relative to it, so that any clock fits.
    private var origin: (mediaUs: Int64, arrivalUs: Int64)?
    /// The least delayed packet of a window: media time and delay, relative.
    private struct Point: Sendable {
        var mediaUs: Int64
        var delayUs: Int64
    }
    private var points: [Point] = []
    /// Where the next point goes once all places are taken.
    private var oldest = 0
    private var best: Point?
    private var windowEndUs: Int64 = 0
    /// Wall minus monotonic. The largest of a window: who is interrupted between reading the two clocks sees too little.
    private var hostOffsetUs: Int64 = .min

    /// By the windows that are over; nil before there are enough of them.
    private(set) var estimate: ClockEstimate?

    /// A video packet arrived at monotonic time `arrivalUs`; the wall clock was `hostOffsetUs` ahead of the monotonic one.
    mutating func packet(mediaUs: Int64, arrivalUs: Int64, hostOffsetUs offset: Int64) {
        guard let origin else {
            origin = (mediaUs, arrivalUs)
            points.reserveCapacity(Self.mostWindows)
            best = Point(mediaUs: 0, delayUs: 0)
            windowEndUs = arrivalUs &+ Self.windowUs
            hostOffsetUs = offset
            return
        }
        if arrivalUs >= windowEndUs {
            closeWindow(origin)
            windowEndUs = arrivalUs &+ Self.windowUs
        }
        let media = mediaUs &- origin.mediaUs
        let delay = (arrivalUs &- origin.arrivalUs) &- media
        if delay < best?.delayUs ?? .max { best = Point(mediaUs: media, delayUs: delay) }
        hostOffsetUs = max(hostOffsetUs, offset)
    }

    private mutating func closeWindow(_ origin: (mediaUs: Int64, arrivalUs: Int64)) {
        guard let point = best else { return }
        if points.count < Self.mostWindows {
            points.append(point)
        } else {
            points[oldest] = point
            oldest = (oldest + 1) % Self.mostWindows
        }
        if points.count >= Self.leastWindows, let line = lineBelow() {
            estimate = ClockEstimate(
                mediaUs: origin.mediaUs &+ line.mediaUs,
                wallUs: origin.arrivalUs &+ line.mediaUs &+ line.delayUs &+ hostOffsetUs, slowPpm: line.ppm)
        }
        best = nil
        hostOffsetUs = .min
    }

    /// The line below all points that is highest at their mean: an edge of the lower convex hull, or one of the steepest lines.
    private func lineBelow() -> (mediaUs: Int64, delayUs: Int64, ppm: Double)? {
        let mean = points.reduce(0.0) { $0 + Double($1.mediaUs) } / Double(points.count)
        var lowest = Double.infinity
        var slope = 0.0
        for left in points where Double(left.mediaUs) <= mean {
            for right in points where Double(right.mediaUs) > mean {
                let edge = Double(right.delayUs &- left.delayUs) / Double(right.mediaUs &- left.mediaUs)
                let height = Double(left.delayUs) + edge * (mean - Double(left.mediaUs))
                guard height < lowest else { continue }
                lowest = height
                slope = edge
            }
        }
        guard lowest.isFinite else { return nil }
        let steepest = Self.steepestPpm / 1_000_000
        if abs(slope) > steepest {
            slope = slope < 0 ? -steepest : steepest
            lowest = points.reduce(.infinity) { min($0, Double($1.delayUs) + slope * (mean - Double($1.mediaUs))) }
        }
        return (Int64(clampedUs: mean), Int64(clampedUs: lowest), slope * 1_000_000)
    }
}

extension Int64 {
    /// A time in microseconds that was computed with fractions; what does not fit saturates.
    init(clampedUs us: Double) {
        self = Int64(exactly: us.rounded()) ?? (us > 0 ? .max : .min)
    }
}
