// Writing out the ring: footage of the past for a window of EnsureFootage or for a task that starts. Part of SourcePipeline.
//
//   F1  A file begins with a keyframe: the one at or before the wanted start.
//   F2  What is recorded already is not written again: no two files of a source show the same moment.
//   F3  What reaches up to the present goes into the recorder itself and grows on; everything else becomes files that are sealed
//       at once.
//   F4  A file has one version of the run's clock: one ends where the next version begins.
import Media
import Wire

extension SourcePipeline {
    /// What came of a call of EnsureFootage as far as rings and recorder know it.
    struct EnsureResult: Sendable, Equatable {
        var isNew: Bool
        var isRecording: Bool
        var isStreaming: Bool
        /// Earliest moment of the window that a ring or an open or newly sealed file has.
        var availableFromUs: Int64?
        /// The window's end lies before what the source has reached.
        var isReached: Bool
    }

    /// Takes a window of EnsureFootage.
    mutating func ensure(_ window: FootageWindow, wallUs: Int64, nowUs: Int64) -> (EnsureResult, [PipelineEffect]) {
        var effects: [PipelineEffect] = []
        let isNew = windows.ensure(window)
        // A run that has to end for a step of the host's clock says nothing about times of the new clock.
        if let run, hostStep == nil, let keyframe = newestKeyframe { windows.keyframe(atUs: run.wallUs(keyframe)) }
        let asks = windows.recording(nowUs: wallUs).contains { $0.key == window.key }
        if isNew {
            if driver.openSpan != nil { driver.requestSeal(atUs: window.span.endUs) }
            // A window that goes on fills up to the present by the recorder's own start, unless that runs already.
            // Without a session there is no such start: then what the rings of earlier runs have is written now.
            if !asks || driver.openSpan != nil || run == nil {
                fill(window.span, nowUs: nowUs, effects: &effects)
            }
        }
        effects += tick(wallUs: wallUs, nowUs: nowUs)
        // Also where no segment is open yet: the one that is open at the window's end counts.
        if isNew {
            driver.requestSeal(atUs: window.span.endUs)
            explainBeforeFirst(window.span, &effects)
        }
        let openSpan = driver.openSpan
        var available = spans.earliest(in: window.span)
        if let openSpan, openSpan.startUs < window.span.endUs {
            available = min(available ?? .max, max(openSpan.startUs, window.span.startUs))
        }
        let isOpenInWindow = openSpan.map { $0.startUs < window.span.endUs } ?? false
        let result = EnsureResult(
            isNew: isNew, isRecording: asks || isOpenInWindow, isStreaming: run != nil, availableFromUs: available,
            isReached: !asks && window.span.endUs <= wallUs)
        return (result, effects)
    }

    /// Writes what the rings have of `wanted` and no file has. `endUs` `.max`: up to the present and on.
    mutating func fill(_ wanted: Span, nowUs: Int64, effects: inout [PipelineEffect]) {
        // What goes on from here on begins with this run: of a clock that was set back, earlier ones seem to come after it.
        let before = wanted.endUs == .max ? Span(startUs: wanted.startUs, endUs: run?.startedUs ?? .max) : wanted
        for past in pastRings { write(past, isPresent: false, wanted: before, nowUs: nowUs, effects: &effects) }
        guard let run else { return }
        let present = PastRing(ring: ring, run: run, endedUs: .max, isOfThisClock: hostStep == nil)
        write(present, isPresent: true, wanted: wanted, nowUs: nowUs, effects: &effects)
    }

    private mutating func write(
        _ from: PastRing, isPresent: Bool, wanted: Span, nowUs: Int64, effects: inout [PipelineEffect]
    ) {
        let ring = from.ring
        let run = from.run
        let held = ring.packets(fromPtsUs: run.clock.mediaUs(ofWallUs: wanted.startUs))
        guard let first = held.first, let newestUs = ring.newestUs else { return }
        let startUs = run.wallUs(first)
        let ringEndUs = run.clock.wallUs(ofMediaUs: newestUs)
        guard startUs < wanted.endUs, wanted.startUs < ringEndUs else { return }
        let cutUs =
            held.first { $0.kind == .video && $0.isKeyframe && run.wallUs($0) >= wanted.endUs }.map { run.wallUs($0) }
        var known = spans
        if let open = driver.openSpan, isPresent || from.isOfThisClock {
            known.insert(Span(startUs: open.startUs, endUs: .max / 2))
        }
        for part in known.missing(in: Span(startUs: startUs, endUs: cutUs ?? ringEndUs)) {
            // Spans are cut at keyframes; a millisecond forgives the rounding between ticks and microseconds.
            let index = held.firstIndex {
                $0.kind == .video && $0.isKeyframe && run.wallUs($0) >= part.startUs - 1000
            }
            guard let index else { continue }
            let packets = held[index...].prefix {
                $0.kind == .audio || run.wallUs($0) < part.endUs - 1000 || part.endUs >= ringEndUs
            }
            guard let begin = packets.first, run.wallUs(begin) < part.endUs - 1000 else { continue }
            let reachesPresent = isPresent && cutUs == nil && part.endUs >= ringEndUs
            if reachesPresent, driver.isRecording, driver.openSpan == nil {
                continueLive(packets, nowUs: nowUs, effects: &effects)
            } else {
                sealed(packets, of: from, isPresent: isPresent, nowUs: nowUs, effects: &effects)
            }
        }
    }

    private mutating func continueLive(
        _ packets: ArraySlice<MediaPacket>, nowUs: Int64, effects: inout [PipelineEffect]
    ) {
        let before = effects.count
        let context = context(isBackfill: true)
        for packet in packets {
            if let atUs = run?.beginsVersionUs(packet) { driver.requestSeal(atUs: atUs) }
            driver.packet(packet, nowUs: nowUs, run: &run, context: context, effects: &effects)
        }
        note(from: before, &effects)
    }

    /// Writes packets to files of their own and seals them.
    private mutating func sealed(
        _ packets: ArraySlice<MediaPacket>, of ring: PastRing, isPresent: Bool, nowUs: Int64,
        effects: inout [PipelineEffect]
    ) {
        let run = ring.run
        let context = DriverContext(
            source: plan.source, controllerID: controllerID,
            video: packets.first { $0.kind == .video }?.configuration,
            audio: packets.first { $0.kind == .audio }?.configuration, shown: ShownConfigurations(packets),
            isBackfill: true)
        let want =
            plan.clip.map {
                RecordingWant(
                    stream: $0.stream, folder: $0.folder, segmentUs: $0.segmentUs, leaseEpoch: plan.leaseEpoch)
            } ?? RecordingWant(stream: nil, folder: "", segmentUs: standbySegmentUs, leaseEpoch: plan.leaseEpoch)
        var writing = SegmentDriver()
        var used: RunContext? = run
        let before = effects.count
        writing.setWant(want, run: &used, context: context, effects: &effects)
        for packet in packets {
            if let atUs = run.beginsVersionUs(packet) { writing.requestSeal(atUs: atUs) }
            writing.packet(packet, nowUs: nowUs, run: &used, context: context, effects: &effects)
        }
        writing.setWant(nil, run: &used, context: context, effects: &effects)
        note(from: before, isOfThisClock: ring.isOfThisClock, &effects)
        guard let next = used?.nextSequence else { return }
        if isPresent {
            self.run?.nextSequence = next
        } else if let index = pastRings.firstIndex(where: { $0.run.runID == run.runID }) {
            pastRings[index].run.nextSequence = next
        }
    }
}
