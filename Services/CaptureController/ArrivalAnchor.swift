// The map from a session's media time to wall time, found from arrivals. Pure.
//
// Packets are late by the network and by what a server had kept, never early. So over the first moments of a session the
// packet with the smallest (arrival - media time) was the least delayed, and it gives the map. Packets wait in memory until
// the anchor has settled, so that no file carries a time that is changed afterwards: a few frames where the camera sends live,
// 0.4 s where it begins with a burst of what it had kept.

struct ArrivalAnchor: Sendable {
    /// Long enough for most bursts to pass, short against the promise of a second.
    static let settleUs: Int64 = 400_000
    /// Media time of so much that took at least half as long to arrive is live: a frame of 25 Hz, so that the first frame is stored
    /// when the second one is here.
    static let liveUs: Int64 = 30_000

    /// Wall time of media time 0, microseconds. Nil until a packet came.
    private(set) var offsetUs: Int64?
    private(set) var isSettled = false
    private var bestMediaUs: Int64 = 0
    private var first: (mediaUs: Int64, arrivalUs: Int64)?

    /// A video packet arrived at wall time `wallUs` and monotonic time `arrivalUs`. Returns true when the anchor settled now.
    mutating func packet(mediaUs: Int64, wallUs: Int64, arrivalUs: Int64) -> Bool {
        guard !isSettled else { return false }
        let offset = wallUs - mediaUs
        if offset < offsetUs ?? .max {
            offsetUs = offset
            bestMediaUs = mediaUs
        }
        guard let first else {
            first = (mediaUs, arrivalUs)
            return false
        }
        let arrived = arrivalUs - first.arrivalUs
        let shown = mediaUs - first.mediaUs
        let isLive = shown >= Self.liveUs && arrived >= shown / 2
        guard isLive || arrived >= Self.settleUs else { return false }
        isSettled = true
        return true
    }

    /// The pair that the anchor consists of.
    var point: (mediaUs: Int64, wallUs: Int64)? {
        offsetUs.map { (bestMediaUs, bestMediaUs + $0) }
    }

    /// Wall time of a media time under the anchor.
    func wallUs(mediaUs: Int64) -> Int64 { mediaUs + (offsetUs ?? 0) }
}
