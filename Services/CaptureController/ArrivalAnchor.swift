// The first map from a session's media time to the host's clock, found from arrivals. Pure. What follows it: RunClock.swift.
//
// Packets are late by the network and by what a server had kept, never early. So over the first moments of a session the
// packet with the smallest (arrival - media time) was the least delayed, and it gives the map. Packets wait in memory until
// the anchor has settled, so that no file carries a time that is changed afterwards: a few frames where the camera sends live,
// 0.4 s where it begins with a burst of what it had kept. Arrivals are monotonic: a step of the wall clock meanwhile is no delay.

struct ArrivalAnchor: Sendable {
    /// Long enough for most bursts to pass, short against the promise of a second.
    static let settleUs: Int64 = 400_000
    /// Media time of so much that took at least half as long to arrive is live: a frame of 25 Hz, so that the first frame is stored
    /// when the second one is here.
    static let liveUs: Int64 = 30_000

    /// The least delayed packet so far: its media time and its monotonic arrival. Nil until a packet came.
    private(set) var point: (mediaUs: Int64, arrivalUs: Int64)?
    private(set) var isSettled = false
    private var first: (mediaUs: Int64, arrivalUs: Int64)?

    /// A video packet arrived at monotonic time `arrivalUs`. Returns true when the anchor settled now.
    mutating func packet(mediaUs: Int64, arrivalUs: Int64) -> Bool {
        guard !isSettled else { return false }
        if let best = point {
            if arrivalUs &- mediaUs < best.arrivalUs &- best.mediaUs { point = (mediaUs, arrivalUs) }
        } else {
            point = (mediaUs, arrivalUs)
        }
        guard let first else {
            first = (mediaUs, arrivalUs)
            return false
        }
        let arrived = arrivalUs &- first.arrivalUs
        let shown = mediaUs &- first.mediaUs
        let isLive = shown >= Self.liveUs && arrived >= shown / 2
        guard isLive || arrived >= Self.settleUs else { return false }
        isSettled = true
        return true
    }
}
