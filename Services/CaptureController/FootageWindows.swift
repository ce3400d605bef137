// The windows of EnsureFootage for one source: which of them ask for recording now, and which files they hold. Pure.
//
// Rules
//   W1  The same key with the same window changes nothing but prolongs the hold.
//   W2  The same key with another window (an event was extended) takes the place of the old one.
//   W3  A window asks for recording from 2 s before its start (so that a keyframe lies before it) until the first keyframe
//       at or after its end has been seen.
//   W4  Files that overlap a window are not deleted until its hold ends.
//   W5  Where the host's clock is set, a hold goes on for the time that was left of it. A window that asks for recording at a moment
//       when the clock is set back ends with it: what comes next is dated before it. A window that had not begun waits for its time.

struct FootageWindow: Sendable, Equatable {
    let key: String
    let source: SourceKey
    let span: Span
    /// Wall time at which the soft hold ends.
    var holdUntilUs: Int64
}

struct FootageWindows: Sendable, Equatable {
    /// Recording begins so long before a future window.
    static let leadUs: Int64 = 2_000_000
    /// After a window's end the session is kept for so long to see the keyframe that ends it.
    static let tailUs: Int64 = 15_000_000

    private(set) var windows: [FootageWindow] = []
    /// Ends of windows that recording has reached.
    private var reached: Set<String> = []

    /// Takes a window. True where it is new or differs from the one known by this key.
    mutating func ensure(_ window: FootageWindow) -> Bool {
        if let index = windows.firstIndex(where: { $0.key == window.key }) {
            let known = windows[index]
            if known.span == window.span {
                windows[index].holdUntilUs = max(known.holdUntilUs, window.holdUntilUs)
                return false
            }
            windows[index] = window
            reached.remove(window.key)
            return true
        }
        windows.append(window)
        return true
    }

    /// Media time of the source reached `keyframeUs` with a keyframe.
    mutating func keyframe(atUs keyframeUs: Int64) {
        for window in windows where keyframeUs >= window.span.endUs { reached.insert(window.key) }
    }

    /// Windows that ask for recording at `nowUs`.
    func recording(nowUs: Int64) -> [FootageWindow] {
        windows.filter { window in
            nowUs >= window.span.startUs - Self.leadUs && !reached.contains(window.key)
                && nowUs < window.span.endUs + Self.tailUs
        }
    }

    /// True while the source must stay connected for a window.
    func wantsSession(nowUs: Int64) -> Bool { !recording(nowUs: nowUs).isEmpty }

    /// The host's clock was set by `stepUs` and shows `nowUs` now: W5. Gives the windows that ended with it.
    mutating func stepped(byUs stepUs: Int64, nowUs: Int64) -> [FootageWindow] {
        let beforeUs = nowUs - stepUs
        let ended = stepUs < 0 ? recording(nowUs: beforeUs).filter { $0.span.endUs > nowUs } : []
        for index in windows.indices where windows[index].span.startUs - Self.leadUs <= beforeUs {
            windows[index].holdUntilUs += stepUs
            if stepUs < 0, windows[index].span.endUs > nowUs { reached.insert(windows[index].key) }
        }
        return ended
    }

    /// Drops windows whose hold ended and that nothing is recorded for any more.
    mutating func expire(nowUs: Int64) {
        windows.removeAll { window in
            guard window.holdUntilUs <= nowUs else { return false }
            return window.span.endUs + Self.tailUs <= nowUs || reached.contains(window.key)
        }
        reached.formIntersection(windows.map(\.key))
    }

    /// True where a file that covers `span` is held.
    func holds(_ span: Span, nowUs: Int64) -> Bool {
        windows.contains { $0.holdUntilUs > nowUs && $0.span.overlaps(span) }
    }
}
