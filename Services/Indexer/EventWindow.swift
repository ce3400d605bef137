// From an event to a window of footage: signal-gate semantics, without I/O. An event opens a window from its own time and
// two signed offsets; another event of the same rule and cameras extends it while it is open; a maximum closes it.
// RequestCalls.swift feeds it; RequestTable.swift knows which windows are open.
//
//   offsets -15 s, +5 s, maximum 60 s           event at 100 s -> window [85, 105)
//   event at 103 s, window still open           -> extension to [85, 108)
//   event at 143 s, window open until 140 s     -> would be [85, 148): 63 s, past the maximum -> new request [128, 148)

import ServiceKit

/// What an event says about its window, checked for its ranges by the caller.
struct EventWindow: Sendable, Equatable {
    /// When it happened.
    var eventUs: Int64
    /// Signed distances from the event to the window's start and end.
    var startOffsetMs: Int64
    var endOffsetMs: Int64
    /// Longest window that extensions may make; also the longest that one event may ask for.
    var maximumMs: Int64

    /// A window of the same rule and cameras that still takes events.
    struct Open: Sendable, Equatable {
        var requestID: String
        var span: Span
        /// The latest end that it may get.
        var maximumEndUs: Int64
    }

    enum Refusal: Error, Equatable {
        /// The event lies further in the future than the bound; by so many microseconds.
        case tooFarAhead(byUs: Int64)
        /// The end's offset is not after the start's.
        case emptyWindow
        /// The window would begin before 1970 or end after 2100.
        case outOfTime
    }

    enum Decision: Sendable, Equatable {
        case open(Span, maximumEndUs: Int64)
        case extend(requestID: String, Span)
    }

    /// The window of this event alone, its end clipped to the maximum.
    func span(nowUs: Int64, futureBoundUs: Int64) throws(Refusal) -> Span {
        guard eventUs <= nowUs + futureBoundUs else { throw .tooFarAhead(byUs: eventUs - nowUs - futureBoundUs) }
        guard startOffsetMs < endOffsetMs else { throw .emptyWindow }
        let start = eventUs + startOffsetMs * Micro.millisecond
        let end = min(eventUs + endOffsetMs * Micro.millisecond, start + lengthBoundUs)
        guard start > 0, FieldCheck.timesUs.contains(end) else { throw .outOfTime }
        return Span(start, end)
    }

    /// Whether this event opens a window or joins one of those that are open.
    func decide(nowUs: Int64, futureBoundUs: Int64, open windows: [Open]) throws(Refusal) -> Decision {
        let own = try span(nowUs: nowUs, futureBoundUs: futureBoundUs)
        for window in windows.sorted(by: { $0.span > $1.span }) where window.span.touches(own) {
            let joined = window.span.joined(with: own)
            // An event that comes late may begin before the window that it joins; the length is bounded all the same.
            let isShortEnough = joined.durationUs <= max(lengthBoundUs, window.span.durationUs)
            if joined.endUs <= window.maximumEndUs && isShortEnough {
                return .extend(requestID: window.requestID, joined)
            }
        }
        return .open(own, maximumEndUs: own.startUs + lengthBoundUs)
    }

    private var lengthBoundUs: Int64 { min(maximumMs * Micro.millisecond, FieldCheck.longestWindowUs) }
}
