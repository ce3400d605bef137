// What is missing of a source, and what the disk says of its segments. Part of SourcePipeline.
//
//   G1  When recording begins (again), the time since the last footage that nobody explained is a gap "stopped": the controller
//       was stopped, or nothing asked for the camera. Where there never was footage, it begins with the oldest window.
//   G2  When a window's end passes while the camera gives nothing, the gap up to now is told, and again, longer, when the camera
//       returns: whoever waits for the window need not wait for the camera. A camera whose packets wait for their anchor gives
//       something; and after we did not run ourselves (a paused process), what it gave meanwhile is read first.
//   G3  A loss by the disk is told once it is over.
//   G4  What the camera or the network lost within a run is told with the number of pictures; losses within a second are one gap, so
//       that a bad line does not fill the catalogue.
import Media
import Wire

extension SourcePipeline {
    /// Shorter than this, two files adjoin: a frame or two at a change of codec are not a time that nobody recorded.
    static let shortestStopUs: Int64 = 100_000
    /// For a person.
    static let stoppedReason = "nothing was recorded: the controller was stopped, or nothing asked for this camera"
    /// The catalogue takes no gap of more than 400 days.
    static let longestGapUs: Int64 = 399 * 86_400_000_000
    /// So long after a window's end its last frame may still be on its way.
    static let darkGraceUs: Int64 = 1_000_000
    /// `expire` is called once a second; later than this, we stood still and not the camera.
    static let standstillUs: Int64 = 2_000_000

    /// Remembers what was opened, sealed and explained, so that the ring does not write it again; reports by G1, but not for footage
    /// of before the host's clock was set.
    mutating func note(from index: Int, isOfThisClock: Bool = true, _ effects: inout [PipelineEffect]) {
        for effect in Array(effects[index...]) {
            switch effect {
            case .seal(let end):
                spans.insert(Span(startUs: end.startUs, endUs: end.endUs))
                if isOfThisClock { recorded(toUs: end.endUs) }
            case .record(let record):
                if let startUs = record.gap?.window?.startUs, let endUs = record.gap?.window?.endUs {
                    explained.insert(Span(startUs: startUs, endUs: endUs))
                }
            case .open(let ticket): if isOfThisClock { opened(atUs: ticket.info.startUs, &effects) }
            case .fragment, .snapshot, .exact, .push, .pushesRestart: break
            }
        }
    }

    private mutating func recorded(toUs: Int64) { footageEndUs = max(footageEndUs ?? toUs, toUs) }

    private mutating func opened(atUs startUs: Int64, _ effects: inout [PipelineEffect]) {
        let known = footageEndUs
        recorded(toUs: startUs)
        if known == nil { firstFootageUs = startUs }
        // A loss that goes on explains itself.
        guard !driver.machine.hasMissed, let fromUs = known ?? windows.windows.map(\.span.startUs).min() else { return }
        stopped(Span(startUs: fromUs, endUs: startUs), &effects)
    }

    /// The part of a window before the very first footage.
    mutating func explainBeforeFirst(_ window: Span, _ effects: inout [PipelineEffect]) {
        guard let firstFootageUs, window.startUs < firstFootageUs else { return }
        stopped(Span(startUs: window.startUs, endUs: min(firstFootageUs, window.endUs)), &effects)
    }

    private mutating func stopped(_ whole: Span, _ effects: inout [PipelineEffect]) {
        let span = Span(startUs: max(whole.startUs, whole.endUs - Self.longestGapUs), endUs: whole.endUs)
        for part in spans.missing(in: span).flatMap({ explained.missing(in: $0) })
        where part.endUs - part.startUs >= Self.shortestStopUs {
            tell(part, cause: "stopped", reason: Self.stoppedReason, &effects)
        }
    }

    /// G2.
    mutating func tellDark(wallUs: Int64, reason: String?) -> [PipelineEffect] {
        var effects: [PipelineEffect] = []
        toldDark.formIntersection(windows.windows.map(\.key))
        let ranBefore = lastExpiredUs.map { wallUs - $0 <= Self.standstillUs } ?? false
        lastExpiredUs = wallUs
        guard run == nil, !hasUnsettled, ranBefore else { return [] }
        for window in windows.windows where window.span.endUs + Self.darkGraceUs <= wallUs {
            guard toldDark.insert(window.key).inserted else { continue }
            let fromUs = openGap?.fromUs ?? footageEndUs ?? window.span.startUs
            guard fromUs < window.span.endUs else { continue }
            let span = Span(startUs: max(fromUs, wallUs - Self.longestGapUs), endUs: wallUs)
            guard explained.missing(in: Span(startUs: max(fromUs, window.span.startUs), endUs: window.span.endUs)) != []
            else { continue }
            tell(
                span, cause: openGap?.cause ?? "dark", reason: openGap?.reason ?? reason ?? "the camera gives nothing",
                &effects)
        }
        return effects
    }

    /// What did not come whole, not told yet.
    struct Loss: Sendable, Equatable {
        var span: Span
        var frames: UInt32
    }

    /// Losses that begin within so much of the first are one gap.
    static let lossTogetherUs: Int64 = 1_000_000

    /// G4, for a picture at `startUs` of about `durationUs`.
    mutating func noteLoss(
        followsLoss: Bool, startUs: Int64, durationUs: Int64, _ effects: inout [PipelineEffect]
    ) {
        if let known = loss, startUs - known.span.startUs >= Self.lossTogetherUs { tellLoss(&effects) }
        guard followsLoss, let fromUs = lastFrameEndUs, startUs > fromUs else { return }
        let frames = durationUs > 0 ? max(1, (startUs - fromUs + durationUs / 2) / durationUs) : 1
        loss = Loss(
            span: Span(startUs: loss?.span.startUs ?? fromUs, endUs: startUs),
            frames: UInt32(clamping: Int64(loss?.frames ?? 0) + frames))
    }

    /// Tells of what was lost so far.
    mutating func tellLoss(_ effects: inout [PipelineEffect]) {
        guard let lost = loss else { return }
        loss = nil
        tell(
            lost.span, cause: "lost",
            reason: "a part of what the camera sent did not come: about \(lost.frames) pictures",
            framesLost: lost.frames, &effects)
    }

    mutating func tell(
        _ span: Span, cause: String, reason: String, framesLost: UInt32 = 0, _ effects: inout [PipelineEffect]
    ) {
        explained.insert(span)
        driver.pendingGaps.append(
            SegmentGap(
                startUs: span.startUs, endUs: span.endUs, cause: cause, reason: reason, framesLost: framesLost))
        effects.append(
            .record(
                MediaRecord(
                    gap: Gap(
                        source: plan.source.wire, window: span.wire, cause: cause, reason: reason, runID: run?.runID,
                        framesLost: framesLost > 0 ? framesLost : nil))))
    }

    // MARK: What the disk says

    /// The disk lost a segment. The next keyframe tries again, so that a volume that comes back is used within a second.
    mutating func segmentLost(id: UInt64, keptToUs: Int64?, reason: String) -> [PipelineEffect] {
        var effects: [PipelineEffect] = []
        recordingError = reason
        let open = driver.openSpan
        let isOpen = driver.segmentLost(
            id: id, keptToUs: keptToUs, run: &run, context: context, effects: &effects)
        if isOpen, let open, let keptToUs {
            // It is salvaged when the volume takes bytes again; the ring must not write it a second time.
            spans.insert(Span(startUs: open.startUs, endUs: keptToUs))
            recorded(toUs: keptToUs)
        }
        note(from: 0, &effects)
        return effects
    }

    /// Bytes of a segment are safe up to `toUs`.
    mutating func segmentSynced(id: UInt64, toUs: Int64) -> [PipelineEffect] {
        guard id == driver.openTicketID else { return [] }
        syncedToUs = toUs
        recordingError = nil
        var effects: [PipelineEffect] = []
        driver.segmentConfirmed(run: &run, context: context, effects: &effects)
        note(from: 0, &effects)
        return effects
    }
}
