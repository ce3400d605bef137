// Exact clips of a source's runs: which times of its footage they need, and when one of them can be cut. Pure: plans, sealed segments
// and times go in, footage windows and pieces come out. ClipCutter makes the files.
//
// Rules
//   C1  A run's clips cover the time from its pre-roll to the end of its post-roll, in pieces of the stream's `duration`. The window
//       that asks for the footage is kept like those of EnsureFootage, so what it needs is recorded and not deleted. It begins with the
//       piece that is next: a run that never ends must not protect all that was ever recorded.
//   C2  A piece is cut once footage is sealed to its end; where no more comes (the camera is dark), `graceUs` after its end.
//   C3  A run that is not heard of any more (its stream was removed, or other settings took its place) ended when that was found.
//   C4  After a restart the pieces of the last `rememberUs` are looked at again; those that are there are not made anew. For `searchUs`
//       no piece is given up: segments of the earlier life are still being found.
import Wire

struct RolledClips: Sendable {
    /// A clip that can be cut.
    struct Piece: Sendable, Equatable {
        let roll: RollPlan
        let span: Span
        /// Sealed segments that have a part of it, in the order of their times.
        let files: [Segment]
    }

    struct Segment: Sendable, Equatable {
        let path: String
        let span: Span
        let sizeBytes: Int64
    }

    private struct Roll: Sendable {
        var plan: RollPlan
        /// Start of the piece that is next.
        var nextUs: Int64
    }

    /// A segment whose camera has no keyframe for long is sealed late; a dark camera's clip is there so long after its end.
    static let graceUs: Int64 = 15_000_000
    /// What a restart left undone is made up for so long.
    static let rememberUs: Int64 = 3_600_000_000
    /// Finding the segments of an earlier life takes as long as the indexer needs to answer.
    static let searchUs: Int64 = 60_000_000
    /// The footage of a run is protected from deletion for so long after its end.
    static let holdUs: Int64 = 600_000_000
    /// The longest pre-roll, and the longest segment before it.
    private static let segmentsUs: Int64 = 1_500_000_000
    /// Times of files differ by rounding; a frame is longer.
    private static let roundingUs: Int64 = 10_000
    /// Where a run has no end yet.
    private static let openEndUs: Int64 = 1 << 60

    private var rolls: [String: Roll] = [:]
    /// The last run of each stream that is over and done.
    private var done: [StreamKey: String] = [:]
    private var segments: [Segment] = []
    private var sealedToUs: Int64 = .min
    /// From the first plans on.
    private var searchesUntilUs: Int64?

    var isEmpty: Bool { rolls.isEmpty }

    /// Takes the runs there are. Gives windows of footage that are new or changed: C1.
    mutating func apply(_ plans: [RollPlan], of source: SourceKey, nowUs: Int64) -> [FootageWindow] {
        searchesUntilUs = searchesUntilUs ?? nowUs + Self.searchUs
        var changed: [RollPlan] = []
        for plan in plans where done[plan.stream] != plan.taskRunID {
            let known = rolls[plan.taskRunID]
            guard known?.plan != plan else { continue }
            // Of a run that began long before this process only the newest pieces: C4.
            let piecesBefore = max(0, nowUs - Self.rememberUs - plan.startUs) / plan.pieceUs
            rolls[plan.taskRunID] = Roll(
                plan: plan, nextUs: known?.nextUs ?? plan.startUs + piecesBefore * plan.pieceUs)
            changed.append(plan)
        }
        for (runID, roll) in rolls where roll.plan.endUs == nil && !plans.contains(where: { $0.taskRunID == runID }) {
            let plan = roll.plan.ending(atUs: nowUs + roll.plan.postRollUs)
            rolls[runID]?.plan = plan
            changed.append(plan)
        }
        return changed.compactMap { rolls[$0.taskRunID] }.map { Self.window($0, of: source, nowUs: nowUs) }
    }

    private static func window(_ roll: Roll, of source: SourceKey, nowUs: Int64) -> FootageWindow {
        let endUs = roll.plan.endUs ?? openEndUs
        return FootageWindow(
            key: "run/\(roll.plan.taskRunID)", source: source,
            span: Span(startUs: roll.nextUs, endUs: max(endUs, roll.nextUs + 1)),
            holdUntilUs: roll.plan.endUs.map { max($0, nowUs) + holdUs } ?? openEndUs)
    }

    /// A segment is sealed, or was found again.
    mutating func sealed(_ segment: Segment) {
        guard !segments.contains(where: { $0.path == segment.path }) else { return }
        let place = segments.firstIndex { $0.span.startUs > segment.span.startUs } ?? segments.endIndex
        segments.insert(segment, at: place)
        sealedToUs = max(sealedToUs, segment.span.endUs)
        let neededUs = rolls.values.map(\.nextUs).min() ?? .max
        segments.removeAll { $0.span.endUs < min(neededUs, sealedToUs - Self.segmentsUs) }
    }

    /// Ends of the pieces that are next: what is recorded is best sealed there.
    func endsUs() -> [Int64] { rolls.values.compactMap { Self.next($0).map(\.endUs) }.filter { $0 < Self.openEndUs } }

    /// What can be cut now, and the windows that are smaller for it. `openFromUs`: start of the segment that is being written.
    mutating func due(
        of source: SourceKey, openFromUs: Int64?, nowUs: Int64
    ) -> (pieces: [Piece], windows: [FootageWindow]) {
        var pieces: [Piece] = []
        var windows: [FootageWindow] = []
        for (runID, roll) in rolls.sorted(by: { $0.key < $1.key }) {
            var roll = roll
            while let span = Self.next(roll), isDue(span, openFromUs: openFromUs, nowUs: nowUs) {
                let files = segments.filter { $0.span.overlaps(span) }
                pieces.append(Piece(roll: roll.plan, span: span, files: files))
                roll.nextUs = span.endUs
            }
            let isMoved = roll.nextUs != rolls[runID]?.nextUs
            rolls[runID] = roll
            if let endUs = roll.plan.endUs, roll.nextUs >= endUs {
                rolls[runID] = nil
                done[roll.plan.stream] = runID
            } else if isMoved {
                windows.append(Self.window(roll, of: source, nowUs: nowUs))
            }
        }
        return (pieces, windows)
    }

    private func isDue(_ span: Span, openFromUs: Int64?, nowUs: Int64) -> Bool {
        guard span.endUs <= nowUs else { return false }
        if covers(span) { return true }
        guard nowUs >= searchesUntilUs ?? .min else { return false }
        if sealedToUs >= span.endUs { return true }
        let isBeingWritten = openFromUs.map { $0 < span.endUs } ?? false
        return !isBeingWritten && nowUs >= span.endUs + Self.graceUs
    }

    /// Whether all of it is sealed, without a hole.
    private func covers(_ span: Span) -> Bool {
        var reachedUs = span.startUs
        for segment in segments where segment.span.startUs <= reachedUs + Self.roundingUs {
            reachedUs = max(reachedUs, segment.span.endUs)
        }
        return reachedUs >= span.endUs
    }

    /// Nil where all are cut.
    private static func next(_ roll: Roll) -> Span? {
        let endUs = min(roll.plan.endUs ?? openEndUs, roll.nextUs + roll.plan.pieceUs)
        return endUs > roll.nextUs ? Span(startUs: roll.nextUs, endUs: endUs) : nil
    }
}

extension RollPlan {
    fileprivate func ending(atUs endUs: Int64) -> RollPlan {
        RollPlan(
            stream: stream, taskRunID: taskRunID, startUs: startUs, endUs: endUs, postRollUs: postRollUs,
            pieceUs: pieceUs, wantsAudio: wantsAudio, folder: folder)
    }
}

extension RolledClips.Segment {
    /// As the catalogue has it; nil for what is no footage.
    init?(_ file: MediaFile) {
        guard file.kind == .segment, let path = file.path, let startUs = file.startUs, let endUs = file.endUs else {
            return nil
        }
        self.init(
            path: path, span: Span(startUs: startUs, endUs: endUs), sizeBytes: Int64(clamping: file.sizeBytes ?? 0))
    }
}
