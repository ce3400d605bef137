// What of a source is recorded or being recorded, as joined spans of wall time. Pure. It keeps two files of one source from
// showing the same moment twice when the ring is written out.

struct RecordedSpans: Sendable, Equatable {
    /// In order, apart from one another.
    private(set) var spans: [Span] = []

    /// Adds a span; spans that touch within one millisecond (rounding of time bases) become one.
    mutating func insert(_ span: Span) {
        guard !span.isEmpty else { return }
        var merged = span
        spans.removeAll { old in
            guard old.startUs <= merged.endUs + 1000, merged.startUs <= old.endUs + 1000 else { return false }
            merged = Span(startUs: min(old.startUs, merged.startUs), endUs: max(old.endUs, merged.endUs))
            return true
        }
        let index = spans.firstIndex { $0.startUs > merged.startUs } ?? spans.endIndex
        spans.insert(merged, at: index)
    }

    /// Forgets what lies before `us`: nothing older can be written out of the ring again.
    mutating func forget(before us: Int64) {
        spans.removeAll { $0.endUs < us }
    }

    /// The parts of `span` that are not recorded, in order.
    func missing(in span: Span) -> [Span] {
        var parts: [Span] = []
        var from = span.startUs
        for recorded in spans where recorded.overlaps(span) {
            if recorded.startUs > from { parts.append(Span(startUs: from, endUs: recorded.startUs)) }
            from = max(from, recorded.endUs)
        }
        if from < span.endUs { parts.append(Span(startUs: from, endUs: span.endUs)) }
        return parts
    }

    /// Earliest recorded moment inside `span`.
    func earliest(in span: Span) -> Int64? {
        spans.first { $0.overlaps(span) }.map { max($0.startUs, span.startUs) }
    }
}
