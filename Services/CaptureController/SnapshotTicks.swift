// Which frames become pictures. Pure.
//
// Of a task of keyframes each call is for a keyframe, so it gives at most one picture per keyframe: `snapshots_per_second` 0 and every
// rate above the camera's keyframe rate mean each keyframe. Of a task of exact frames each call is for a frame: the first one at or
// after a tick is taken. Ticks are counted on the wall clock's grid and not from the last
// picture, so that a rate of 1/60 stays one per minute however keyframes fall.

struct SnapshotTicks: Sendable, Equatable {
    /// Microseconds between pictures; 0 for each frame.
    let intervalUs: Int64
    private var lastTick: Int64?

    /// `perSecond` from 0 to 60.
    init(perSecond: Double) {
        intervalUs = perSecond > 0 ? Int64((1_000_000 / min(perSecond, 60)).rounded()) : 0
    }

    /// True where the frame presented at `startUs` is to become a picture.
    mutating func takes(frameAtUs startUs: Int64) -> Bool {
        guard intervalUs > 0 else { return true }
        let tick = startUs / intervalUs
        guard let last = lastTick else {
            lastTick = tick
            return true
        }
        guard tick > last else { return false }
        lastTick = tick
        return true
    }
}
