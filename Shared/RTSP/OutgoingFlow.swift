// What a publication must know of its own stream: whether the server still reads it, and which media time it is now. Pure.

/// Whether the other side reads.
struct SendWatch: Sendable {
    /// A server that reads nothing for so long is not there any more: a live stream has nothing else to tell it by, since
    /// what it is asked waits behind the unread bytes. As long as an answer may take.
    static let stuckNs: Int64 = RTSPPublisherMachine.answerNs

    private var sentBytes: UInt64 = 0
    private var movedNs: Int64?

    /// To be called several times a second.
    ///
    /// - Parameters:
    ///   - queuedBytes: sent and waiting, since the beginning.
    ///   - unsentBytes: waiting.
    mutating func isStuck(queuedBytes: UInt64, unsentBytes: Int, nowNs: Int64) -> Bool {
        let sent = queuedBytes - min(queuedBytes, UInt64(unsentBytes))
        guard unsentBytes > 0, sent == sentBytes, let movedNs else {
            sentBytes = sent
            movedNs = nowNs
            return false
        }
        return nowNs - movedNs >= Self.stuckNs
    }
}

/// Which media time it is now, by the packet that took the least time from the camera to here: others wait on the way behind
/// a keyframe. Only packets since the last question count, so that a camera's clock may drift.
struct SendClock: Sendable {
    private var behindUs: Int64?
    private var newest: Int64?

    /// A packet of this media time came at this time (monotonic clock).
    mutating func note(mediaUs: Int64, arrivalNs: Int64) {
        let behind = arrivalNs / 1_000 - mediaUs
        newest = min(newest ?? behind, behind)
    }

    /// Nil before the first packet.
    mutating func mediaUs(nowNs: Int64) -> Int64? {
        behindUs = newest ?? behindUs
        newest = nil
        return behindUs.map { nowNs / 1_000 - $0 }
    }
}
