// What of a window is covered by footage, and why the rest is not. Pure: segments and known gaps in, spans out.
// Used for Coverage (QueryCalls.swift) and for what a request delivers (RequestProgress.swift).

/// A segment as far as coverage is concerned.
struct CoveringSegment: Sendable, Hashable {
    var mediaID: Int64
    var span: Span
    var isPrimary: Bool
    var sizeBytes: Int64
}

/// The footage of one source inside one window.
struct CoverageMap: Sendable, Equatable {
    /// The segments that serve the window: all primary ones, and duplicates where no primary has the time.
    let chosen: [CoveringSegment]
    /// Joined spans with footage, in order, clipped to the window.
    let covered: [Span]
    /// What is missing, in order and without overlap, each with its cause.
    let gaps: [KnownGap]

    /// Maps a window. `seamUs`: uncovered time shorter than this that nobody reported is a seam between two files.
    /// `deletedToUs`: what is missing before it was deleted by retention.
    init(window: Span, segments: [CoveringSegment], known: [KnownGap], seamUs: Int64, deletedToUs: Int64 = 0) {
        var chosen = segments.filter { $0.isPrimary && $0.span.overlaps(window) }
        var covered = Self.joined(chosen.compactMap { $0.span.clipped(to: window) })
        let spare = segments.filter { !$0.isPrimary && $0.span.overlaps(window) }
        for duplicate in spare.sorted(by: { ($0.span, $0.mediaID) < ($1.span, $1.mediaID) }) {
            guard let part = duplicate.span.clipped(to: window) else { continue }
            let adds = Self.uncovered(part, by: covered).contains { $0.durationUs >= max(seamUs, 1) }
            guard adds else { continue }
            chosen.append(duplicate)
            covered = Self.joined(covered + [part])
        }
        self.chosen = chosen.sorted { ($0.span, $0.mediaID) < ($1.span, $1.mediaID) }
        let missing = Self.uncovered(window, by: covered)
        self.gaps = Self.explained(
            missing, known: known, window: window, covered: covered, seamUs: seamUs, deletedToUs: deletedToUs)
        self.covered = Self.bridged(covered, gaps: gaps.map(\.span))
    }

    /// The cause of what nobody explained.
    static let unexplainedCause = "not_recorded"
    /// The cause of what retention deleted.
    static let expiredCause = "expired"
    /// The controllers' cause for the time in which nothing asked for a camera.
    static let stoppedCause = "stopped"

    /// Overlapping and adjoining spans as one, in order.
    static func joined(_ spans: [Span]) -> [Span] {
        var result: [Span] = []
        for span in spans.sorted() where !span.isEmpty {
            if let last = result.last, span.startUs <= last.endUs {
                result[result.count - 1] = last.joined(with: span)
            } else {
                result.append(span)
            }
        }
        return result
    }

    /// The parts of a span that `covered` (joined, in order) leaves out.
    static func uncovered(_ span: Span, by covered: [Span]) -> [Span] {
        var result: [Span] = []
        var from = span.startUs
        for part in covered where part.overlaps(span) {
            if part.startUs > from { result.append(Span(from, part.startUs)) }
            from = max(from, part.endUs)
        }
        if from < span.endUs { result.append(Span(from, span.endUs)) }
        return result
    }

    /// Seams that are no gaps do not divide what is covered.
    private static func bridged(_ covered: [Span], gaps: [Span]) -> [Span] {
        var result: [Span] = []
        for span in covered {
            if let last = result.last, !gaps.contains(where: { $0.overlaps(Span(last.endUs, span.startUs)) }) {
                result[result.count - 1] = last.joined(with: span)
            } else {
                result.append(span)
            }
        }
        return result
    }

    private static func explained(
        _ missing: [Span], known: [KnownGap], window: Span, covered: [Span], seamUs: Int64, deletedToUs: Int64
    ) -> [KnownGap] {
        var result: [KnownGap] = []
        // The longest report of a time explains it best; pieces of one outage come joined.
        let reports = Self.pieced(known).sorted { ($0.span.durationUs, $1.span) > ($1.span.durationUs, $0.span) }
        for hole in missing {
            var open = [hole]
            for report in reports {
                guard let part = report.span.clipped(to: hole) else { continue }
                let explained = open.compactMap { part.clipped(to: $0) }
                open = open.flatMap { rest in Self.uncovered(rest, by: explained.filter { $0.overlaps(rest) }) }
                result += explained.map { span in
                    var gap = report
                    gap.span = span
                    return gap
                }
            }
            for rest in open where rest.durationUs >= seamUs {
                result.append(Self.unexplained(rest, deletedToUs: deletedToUs))
            }
        }
        // Frames that the recorder knows to be lost count even where a segment spans the time.
        for report in known where report.framesLost > 0 {
            for span in Self.joined(covered).compactMap({ report.span.clipped(to: $0)?.clipped(to: window) }) {
                var gap = report
                gap.span = span
                result.append(gap)
            }
        }
        return result.sorted { ($0.span, $0.cause) < ($1.span, $1.cause) }
    }

    private static func unexplained(_ span: Span, deletedToUs: Int64) -> KnownGap {
        span.endUs <= deletedToUs
            ? KnownGap(span: span, cause: expiredCause, reason: "the footage of this time was deleted by retention")
            : KnownGap(span: span, cause: unexplainedCause, reason: "nothing was recorded in this time")
    }

    /// Adjoining gaps of one cause and run as one (a long outage is stored in pieces).
    private static func pieced(_ known: [KnownGap]) -> [KnownGap] {
        var result: [KnownGap] = []
        for gap in known.sorted(by: { ($0.span, $0.cause) < ($1.span, $1.cause) }) {
            let before = result.lastIndex {
                $0.cause == gap.cause && $0.runID == gap.runID && $0.span.touches(gap.span)
            }
            if let before, gap.framesLost == 0, result[before].framesLost == 0 {
                result[before].span = result[before].span.joined(with: gap.span)
            } else {
                result.append(gap)
            }
        }
        return result
    }
}
