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
            guard let holeEndUs, holeEndUs > nowUs - Self.freshHoleUs else { return .complete }
            deadline = base + waitUs
        } else {
            deadline = min(max(base, heardUs) + waitUs, base + max(waitUs, catchUpUs))
        }
        return nowUs > deadline ? .complete : .waiting(untilUs: deadline + 1)
    }
}
