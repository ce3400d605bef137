// Which of several segments that overlap in time is the primary one (rule 2 of Schema.swift). Pure and independent of the
// order in which records arrive: a catalogue that is rebuilt from the volume comes to the same answer.
// MediaTable.swift applies it to the neighbourhood of each new or deleted segment.

/// A segment of one source as far as its rank is concerned.
struct RankedSegment: Sendable, Hashable {
    var mediaID: Int64
    /// As the recorder reported it.
    var span: Span
    var leaseEpoch: Int64
    var runID: String
    var path: String
}

enum SegmentRanking {
    /// What a segment is to be in the catalogue.
    struct Verdict: Sendable, Hashable {
        var mediaID: Int64
        var isPrimary: Bool
        /// Trimmed where the next segment of the same run begins earlier than this one ends: a run's frames are in one
        /// file only, and its anchor may be bent between two files. Trimmed too where segments that rank higher have all the rest
        /// of it: a camera that another controller takes over is recorded by both for a moment.
        var endUs: Int64
    }

    /// Judges a neighbourhood: all segments of one source that overlap one another, directly or through others.
    ///
    /// A higher lease epoch beats a lower one. Of one epoch the earlier start wins: two runs of one epoch overlap only
    /// where a clock was set back, and then the time was recorded first by the earlier one.
    static func judge(_ neighbourhood: [RankedSegment]) -> [Verdict] {
        let trimmed = trimmedToRuns(neighbourhood)
        let order = trimmed.sorted { left, right in
            if left.leaseEpoch != right.leaseEpoch { return left.leaseEpoch > right.leaseEpoch }
            if left.span.startUs != right.span.startUs { return left.span.startUs < right.span.startUs }
            return left.path < right.path
        }
        var primary: [Span] = []
        return order.map { segment in
            let over = CoverageMap.joined(primary.filter { $0.overlaps(segment.span) })
            var span = segment.span
            if over.count == 1, let first = over.first, first.startUs > span.startUs, first.endUs >= span.endUs {
                span.endUs = first.startUs
            }
            let isPrimary = over.isEmpty || span != segment.span
            if isPrimary { primary.append(span) }
            return Verdict(mediaID: segment.mediaID, isPrimary: isPrimary, endUs: span.endUs)
        }
    }

    private static func trimmedToRuns(_ segments: [RankedSegment]) -> [RankedSegment] {
        var result: [RankedSegment] = []
        for run in Dictionary(grouping: segments, by: \.runID).values {
            let ordered = run.sorted { ($0.span.startUs, $0.path) < ($1.span.startUs, $1.path) }
            for (index, segment) in ordered.enumerated() {
                var segment = segment
                let next = ordered.dropFirst(index + 1).first { $0.span.startUs > segment.span.startUs }
                if let next { segment.span.endUs = min(segment.span.endUs, next.span.startUs) }
                result.append(segment)
            }
        }
        return result
    }
}
