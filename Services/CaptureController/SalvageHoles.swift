// The time in front of a salvaged segment. Its recorder told of it when the segment was begun (G1 of PipelineGaps), but a
// recorder that is killed within moments takes that word with it; and the next one only looks back to the salvaged footage.

import Media
import Wire

extension SalvageResult {
    /// What lies between the footage that was there before and the first salvaged segment of each source, where no gap was told.
    ///
    /// - Parameters:
    ///   - ends: where the footage of each source ended before the salvage.
    ///   - told: the gaps that are written down.
    func untold(since ends: [SourceKey: Int64], told: [Gap]) -> [Gap] {
        var first: [SourceKey: MediaFile] = [:]
        for file in records.compactMap(\.file) where file.kind == .segment {
            guard let source = file.source.flatMap(SourceKey.init), let startUs = file.startUs else { continue }
            if startUs < first[source]?.startUs ?? .max { first[source] = file }
        }
        return first.sorted { $0.key < $1.key }.flatMap { source, file -> [Gap] in
            guard let endUs = ends[source], let startUs = file.startUs, endUs < startUs else { return [] }
            let span = Span(startUs: max(endUs, startUs - SourcePipeline.longestGapUs), endUs: startUs)
            var known = RecordedSpans()
            for gap in told where gap.source == source.wire {
                guard let fromUs = gap.window?.startUs, let toUs = gap.window?.endUs, fromUs < toUs else { continue }
                known.insert(Span(startUs: fromUs, endUs: toUs))
            }
            return known.missing(in: span).filter { $0.endUs - $0.startUs >= SourcePipeline.shortestStopUs }.map {
                Gap(
                    source: source.wire, window: $0.wire, cause: "stopped", reason: SourcePipeline.stoppedReason,
                    runID: file.runID)
            }
        }
    }
}
