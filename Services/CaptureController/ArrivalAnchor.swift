// The map from a session's media time to wall time, found from arrivals. Pure.
//
// Packets are late by the network and by the library's probing, never early. So over the first moments of a session the
// packet with the smallest (arrival - media time) was the least delayed, and it gives the map. Packets wait in memory until
// the anchor has settled (0.4 s), so that no file carries a time that is changed afterwards.

struct ArrivalAnchor: Sendable, Equatable {
    /// Long enough for the burst that follows the library's probing to pass, short against the promise of a second.
    static let settleUs: Int64 = 400_000

    /// Wall time of media time 0, microseconds. Nil until a packet came.
    private(set) var offsetUs: Int64?
    private(set) var isSettled = false
    private var bestMediaUs: Int64 = 0
    private var firstArrivalUs: Int64?

    /// A video packet arrived at wall time `wallUs` and monotonic time `nowUs`. Returns true when the anchor settled now.
    mutating func packet(mediaUs: Int64, wallUs: Int64, nowUs: Int64) -> Bool {
        guard !isSettled else { return false }
        let offset = wallUs - mediaUs
        if offset < offsetUs ?? .max {
            offsetUs = offset
            bestMediaUs = mediaUs
        }
        guard let first = firstArrivalUs else {
            firstArrivalUs = nowUs
            return false
        }
        guard nowUs - first >= Self.settleUs else { return false }
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
