// Whether the footage of one camera for one window is complete: all that will come has come. Without I/O.
// RequestProgress.swift asks it whenever a record comes in and when the clock alone may have changed the answer.

import Wire

/// What is known of a camera's footage for a window.
struct FootageCheck: Sendable, Equatable {
    var window: Span
    /// When the request was accepted.
    var acceptedUs: Int64
    /// How far the source's present run has reported, by segments and gaps; 0: never.
    var reportedToUs: Int64
    /// When a record of the source came last; 0: never.
    var heardUs: Int64
    /// When this process started: controllers need a moment to send what they kept while it was away.
    var startedUs: Int64
    /// What EnsureFootage answered.
    var footage: FootageState
    /// Whether the catalogue has any footage of the source inside the window.
    var hasFootage: Bool
    /// End of the newest time inside the window that has neither footage nor a reported gap; nil where there is none. What
    /// a killed recorder left is salvaged and recorded after newer files, so a fresh hole may still be filled.
    var holeEndUs: Int64?
    /// End of the newest time inside the window in which nothing asked for this camera, so that nothing was recorded; nil where
    /// there is none. The controller's ring may still have it, and writes it for this very request.
    var stoppedEndUs: Int64?

    /// No ring reaches further back. Two minutes: four times the ring's default.
    static let longestRingUs = 120 * Micro.second
    /// After acceptance, for what the ring has to be written and reported. A healthy controller needs a tenth of a second; five
    /// seconds leave room for a busy disk.
    static let ringWaitUs = 5 * Micro.second

    /// A hole older than this stays one. Ten minutes: a recorder that was killed is back by then, or it is a longer story.
    static let freshHoleUs = 600 * Micro.second

    enum Verdict: Sendable, Equatable {
        /// What is there is all.
        case complete
        /// More may come; ask again when a record comes, and not later than then.
        case waiting(untilUs: Int64)
    }

    /// `waitUs` after the window's end nothing more is expected of a camera that is silent. A camera that sends a backlog
    /// is waited for up to `catchUpUs`.
    func verdict(nowUs: Int64, waitUs: Int64, catchUpUs: Int64) -> Verdict {
        if footage == .notRecorded && !hasFootage { return .complete }
        let base = max(window.endUs, acceptedUs, startedUs)
        let deadline: Int64
        if reportedToUs >= window.endUs {
            if let holeEndUs, holeEndUs > nowUs - Self.freshHoleUs {
                deadline = base + waitUs
            } else if footage != .notRecorded, let stoppedEndUs, stoppedEndUs > acceptedUs - Self.longestRingUs {
                // A controller that was not reached is asked again as long as we wait.
                deadline =
                    max(acceptedUs, startedUs) + (footage == .unspecified ? waitUs : min(Self.ringWaitUs, waitUs))
            } else {
                return .complete
            }
        } else {
            deadline = min(max(base, heardUs) + waitUs, base + max(waitUs, catchUpUs))
        }
        return nowUs > deadline ? .complete : .waiting(untilUs: deadline + 1)
    }
}
