// What the two clocks, the camera's and the host's, do to a source's run. Part of SourcePipeline; the map itself is RunClock.
//
//   C1  A step of the host's clock ends the run, with the cause "clock_jump", in front of the next keyframe, so that no picture is
//       lost; where none comes for 10 s, at once. What comes after it is a run of its own under a new anchor. Set ahead, the time that
//       was skipped is a gap. Set back, wall times come a second time: both recordings are kept, in different runs, and only what
//       really was not recorded is a gap, in the time of the new clock.
//   C2  What is compared with the present (holds, rings of runs that ended, open gaps, the footage's end) moves with the step: nothing is
//       held for an hour because a clock went back by one, and no gap is passed over because footage seems to lie ahead.
//   C3  A camera whose clock cannot be followed ends its run in front of a keyframe; one whose picture is more than 3 s ahead of its arrival
//       jumped, and ends it at once.
//   C4  Names have the times of their files. Where a clock goes back by exactly what makes two files equal, MediaFiles.freePath finds the
//       second a name of its own.
import Media

/// A step of the host's clock that the run has still to end for.
struct HostStep: Sendable, Equatable {
    /// Positive: set ahead.
    var byUs: Int64
    /// Monotonic.
    let foundUs: Int64

    /// A keyframe that is not there after so long is not waited for.
    static let keyframeWithinUs: Int64 = 10_000_000

    var reason: String { HostClock.reason(stepUs: byUs) }

    func overdue(nowUs: Int64) -> String? { nowUs - foundUs >= Self.keyframeWithinUs ? reason : nil }
}

extension SourcePipeline {
    /// Looks whether the host's clock was set. O(1); called for each packet and each tick.
    mutating func lookAtHost(wallUs: Int64, nowUs: Int64, _ effects: inout [PipelineEffect]) {
        guard let stepUs = host.look(wallUs: wallUs, nowUs: nowUs) else { return }
        lastExpiredUs = lastExpiredUs.map { $0 + stepUs }
        if let firstUs = firstFootageUs, firstUs > wallUs { firstFootageUs = firstUs + stepUs }
        for index in pastRings.indices {
            pastRings[index].endedUs += stepUs
            pastRings[index].isOfThisClock = false
        }
        let reason = HostClock.reason(stepUs: stepUs)
        for window in windows.stepped(byUs: stepUs, nowUs: wallUs) {
            let fromUs = max(window.span.startUs, lastFrameEndUs ?? window.span.startUs)
            guard fromUs < window.span.endUs else { continue }
            tell(Span(startUs: fromUs, endUs: window.span.endUs), cause: "clock_jump", reason: reason, &effects)
        }
        guard run != nil else { return hostMoved(byUs: stepUs, wallUs: wallUs) }
        hostStep = HostStep(byUs: stepUs + (hostStep?.byUs ?? 0), foundUs: hostStep?.foundUs ?? nowUs)
    }

    /// C2, for what belongs to the run that ended with it.
    mutating func hostMoved(byUs stepUs: Int64, wallUs: Int64) {
        hostStep = nil
        ticks = [:]
        if stepUs < 0 {
            openGap = openGap.map { OpenGap(fromUs: $0.fromUs + stepUs, cause: $0.cause, reason: $0.reason) }
            lastFrameEndUs = lastFrameEndUs.map { $0 + stepUs }
            explained = RecordedSpans()
        }
        let endUs = footageEndUs
        footageEndUs = nil
        takeFootageEnd(laterFootageEndUs, wallUs: wallUs)
        takeFootageEnd(endUs, wallUs: wallUs)
        // It was the present a moment ago.
        if stepUs < 0, let endUs, endUs > wallUs { footageEndUs = endUs + stepUs }
    }

    /// Footage of the source ends at `endUs`; where that lies ahead of the clock, it counts when the clock comes there.
    mutating func takeFootageEnd(_ endUs: Int64?, wallUs: Int64) {
        guard let endUs else { return }
        if endUs > wallUs {
            laterFootageEndUs = max(laterFootageEndUs ?? endUs, endUs)
        } else {
            footageEndUs = max(footageEndUs ?? endUs, endUs)
            if laterFootageEndUs == endUs { laterFootageEndUs = nil }
        }
    }

    /// Why the run ends before this packet: C1, C3. Nil: it goes on.
    func clockEnd(before packet: MediaPacket, nowUs: Int64) -> String? {
        guard packet.kind == .video, let run else { return nil }
        if let hostStep { return packet.isKeyframe ? hostStep.reason : nil }
        let mediaUs = packet.ptsUs
        let arrivalUs = min(nowUs, packet.arrivalNs / 1000) &+ (host.offsetUs ?? 0)
        let aheadUs = run.clock.wallUs(ofMediaUs: mediaUs) &- arrivalUs
        if aheadUs > RunClock.jumpUs { return "the camera's clock jumped ahead by \(aheadUs / 1_000_000) s" }
        return packet.isKeyframe ? run.clock.tooFarOff(atMediaUs: mediaUs, aheadUs: aheadUs) : nil
    }

    /// Bends the run's clock after what the arrivals say: T3, T5.
    mutating func followArrivals(_ packet: MediaPacket, _ effects: inout [PipelineEffect]) {
        guard hostStep == nil, let offsetUs = host.offsetUs else { return }
        let mediaUs = packet.ptsUs
        arrivals.packet(mediaUs: mediaUs, arrivalUs: packet.arrivalNs / 1000, hostOffsetUs: offsetUs)
        guard packet.isKeyframe, let estimate = arrivals.estimate else { return }
        run?.clock.estimate = estimate
        if driver.openSpan == nil {
            run?.bend(atMediaUs: mediaUs, lengthUs: RunClock.shortestUs, effects: &effects)
        } else if let run, run.clock.needsCut(atMediaUs: mediaUs, lengthUs: segmentUs) {
            driver.requestSeal(atUs: run.wallUs(packet))
        }
    }

    /// Length of a segment by the plan.
    private var segmentUs: Int64 { plan.clip?.segmentUs ?? standbySegmentUs }
}
