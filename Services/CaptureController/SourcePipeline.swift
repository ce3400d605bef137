// The whole state of one source between the camera and its tasks: anchor, ring, recorder, footage windows, counters. Pure but
// for fresh names (a run's UUID, a segment's number): packets, plans and times go in, effects come out. SourceSession owns it
// under a lock and carries the effects out; every call is short, because the camera's thread makes it. Filling from the ring
// is in PipelineFill.swift, gaps are in PipelineGaps.swift, clocks in PipelineClock.swift, status is in PipelineStatus.swift.
//
// `nowUs` is monotonic, `wallUs` is wall time; both in microseconds.
import Foundation
import Media
import Wire

struct SourcePipeline: Sendable {
    let controllerID: String
    let ringBytes: Int
    let standbySegmentUs: Int64
    var plan: SourcePlan

    /// Nil between two sessions and until the anchor has settled.
    var run: RunContext?
    /// Where the run's last frame ended, or would have.
    var lastFrameEndUs: Int64?
    private var anchor = ArrivalAnchor()
    /// See PipelineClock.swift.
    var arrivals = ArrivalWatch()
    var host = HostClock()
    var hostStep: HostStep?
    /// The run ended in the middle of a group of pictures: the next one begins with a keyframe.
    private var awaitsKeyframe = false
    /// Packets of a session whose anchor has not settled.
    private var unsettled: [MediaPacket] = []
    var hasUnsettled: Bool { !unsettled.isEmpty }
    /// When `expire` was called last, wall time.
    var lastExpiredUs: Int64?

    var ring: PacketRing
    /// Rings of runs that ended, as long as they are within the ring's time.
    var pastRings: [PastRing] = []
    var newestKeyframe: MediaPacket?

    var driver = SegmentDriver()
    var windows = FootageWindows()
    /// What is sealed or being sealed, as far back as the rings reach.
    var spans = RecordedSpans()
    /// What of this source is sealed or salvaged ends here, and gaps reported since; see PipelineGaps.swift.
    var footageEndUs: Int64?
    var firstFootageUs: Int64?
    /// Where footage ends that lies ahead of the host's clock, because the clock was set back.
    var laterFootageEndUs: Int64?
    var explained = RecordedSpans()
    /// Windows that a dark camera's gap was told for.
    var toldDark: Set<String> = []
    var loss: Loss?
    /// Why the disk refused the last segment; nil once one is written well again.
    var recordingError: String?

    var video: CodecConfiguration?
    /// Since the run began.
    private var shown = ShownConfigurations()
    var audio: CodecConfiguration?
    var ticks: [StreamKey: SnapshotTicks] = [:]

    /// Since the source was taken, over all sessions.
    private(set) var keyframesSeen: UInt64 = 0
    var packets: UInt64 = 0
    var bytes: UInt64 = 0
    var lastPacketWallUs: Int64?
    var lastPacketNowUs: Int64?
    var syncedToUs: Int64?

    struct PastRing: Sendable {
        let ring: PacketRing
        var run: RunContext
        /// By the host's clock as it is set now.
        var endedUs: Int64
        /// False: the host's clock was set since, and its times say nothing about what the present one misses.
        var isOfThisClock: Bool
    }

    init(plan: SourcePlan, controllerID: String, ringBytes: Int, standbySegmentUs: Int64) {
        self.plan = plan
        self.controllerID = controllerID
        self.ringBytes = ringBytes
        self.standbySegmentUs = standbySegmentUs
        ring = Self.emptyRing(plan, ringBytes)
    }

    private static func emptyRing(_ plan: SourcePlan, _ bytes: Int) -> PacketRing {
        // Without a ring only the group of pictures in progress is kept: a task that starts begins with it.
        PacketRing(maximumSeconds: plan.standby == .off ? 0 : Double(plan.ringSeconds), maximumBytes: bytes)
    }

    var context: DriverContext { context(isBackfill: false) }

    func context(isBackfill: Bool) -> DriverContext {
        DriverContext(
            source: plan.source, controllerID: controllerID, video: video, audio: audio, shown: shown,
            isBackfill: isBackfill)
    }

    func wantsSession(wallUs: Int64) -> Bool { plan.wantsSession || windows.wantsSession(nowUs: wallUs) }

    // MARK: Packets

    /// A packet of the camera.
    mutating func packet(_ packet: MediaPacket, wallUs: Int64, nowUs: Int64) -> [PipelineEffect] {
        var effects: [PipelineEffect] = []
        lookAtHost(wallUs: wallUs, nowUs: nowUs, &effects)
        if packet.startsNewTimeline, run != nil || !unsettled.isEmpty {
            endRun(cause: "clock_jump", reason: "the camera's clock jumped", wallUs: wallUs, effects: &effects)
        } else if let reason = clockEnd(before: packet, nowUs: nowUs) {
            endRun(cause: "clock_jump", reason: reason, wallUs: wallUs, effects: &effects)
            awaitsKeyframe = true
        }
        packets += 1
        if packet.kind == .video, packet.isKeyframe { keyframesSeen += 1 }
        bytes += UInt64(packet.sizeBytes)
        lastPacketWallUs = wallUs
        lastPacketNowUs = nowUs
        if run != nil {
            process(packet, wallUs: wallUs, nowUs: nowUs, effects: &effects)
            return effects
        }
        if awaitsKeyframe {
            guard packet.kind == .video, packet.isKeyframe else { return effects }
            awaitsKeyframe = false
        }
        unsettled.append(packet)
        guard packet.kind == .video else { return effects }
        // The packet's own arrival, not the moment of this call: the library may have held it.
        let isSettled = anchor.packet(mediaUs: packet.ptsUs, arrivalUs: min(nowUs, packet.arrivalNs / 1000))
        // Where times are made of arrivals there is nothing to wait for, and the next picture may be a minute away.
        if isSettled || plan.connection.hasArrivalTimes {
            beginRun(wallUs: wallUs, nowUs: nowUs, effects: &effects)
        }
        return effects
    }

    /// All that the camera sent so far is here.
    mutating func drained() -> [PipelineEffect] {
        var effects: [PipelineEffect] = []
        driver.drained(run: &run, context: context, effects: &effects)
        return effects
    }

    private mutating func beginRun(wallUs: Int64, nowUs: Int64, effects: inout [PipelineEffect]) {
        guard let point = anchor.point, let first = unsettled.first(where: { $0.kind == .video }) else { return }
        let mediaAnchor = MediaAnchor(
            mediaUs: point.mediaUs, wallUs: point.arrivalUs &+ (host.offsetUs ?? wallUs &- nowUs))
        arrivals = ArrivalWatch()
        var startedUs = mediaAnchor.wallUs(ofMediaUs: first.ptsUs)
        // Packets that a new session repeats from before the last one ended would overlap it.
        if let end = lastFrameEndUs, startedUs < end, end - startedUs < 5_000_000 { startedUs = end }
        lastFrameEndUs = nil
        let context = RunContext(
            runID: UUID().uuidString.lowercased(), startedUs: startedUs, anchor: mediaAnchor)
        run = context
        effects.append(
            .record(
                MediaRecord(
                    run: Run(
                        runID: context.runID, source: plan.source.wire, startedUs: startedUs,
                        leaseEpoch: plan.leaseEpoch, controllerID: controllerID))))
        effects.append(.record(mediaAnchor.wire(runID: context.runID)))
        if let gap = openGap, gap.fromUs < startedUs {
            report(gap, toUs: startedUs, runID: context.runID, effects: &effects)
        }
        openGap = nil
        let waiting = unsettled
        unsettled = []
        // Known before the first picture, which opens the first file: sound that comes behind it would not be in that file.
        audio = waiting.first { $0.kind == .audio }?.configuration ?? audio
        for packet in waiting { process(packet, wallUs: wallUs, nowUs: nowUs, effects: &effects) }
    }

    private mutating func process(
        _ packet: MediaPacket, wallUs: Int64, nowUs: Int64, effects: inout [PipelineEffect]
    ) {
        guard let run else { return }
        let head = run.head(packet)
        switch packet.kind {
        case .audio: audio = packet.configuration
        case .video:
            followArrivals(packet, &effects)
            if video !== packet.configuration { shown.note(packet.configuration) }
            video = packet.configuration
            noteLoss(
                followsLoss: packet.followsLoss, startUs: head.startUs, durationUs: head.endUs - head.startUs, &effects)
            lastFrameEndUs = max(lastFrameEndUs ?? 0, head.endUs)
        }
        ring.append(packet)
        if head.isKeyframe {
            newestKeyframe = packet
            windows.keyframe(atUs: head.startUs)
            // Before the packet: a recording that nothing wants any more ends in front of this keyframe.
            updateWant(wallUs: wallUs, nowUs: nowUs, isInOrder: true, effects: &effects)
            for snapshot in plan.snapshots
            where !snapshot.isExact(of: packet)
                && ticks[snapshot.stream, default: SnapshotTicks(perSecond: snapshot.perSecond)].takes(
                    frameAtUs: head.startUs)
            {
                let job = SnapshotJob(stream: snapshot.stream, packet: packet, timeUs: head.startUs, runID: run.runID)
                effects.append(.snapshot(job))
            }
        }
        if packet.kind == .video {
            for snapshot in plan.snapshots where snapshot.isExact(of: packet) {
                let isWanted = ticks[snapshot.stream, default: SnapshotTicks(perSecond: snapshot.perSecond)].takes(
                    frameAtUs: head.startUs)
                effects.append(
                    .exact(
                        ExactJob(
                            stream: snapshot.stream, packet: packet, timeUs: head.startUs, runID: run.runID,
                            isWanted: isWanted)))
            }
        }
        if !plan.pushes.isEmpty { effects.append(.push(packet)) }
        let before = effects.count
        driver.packet(packet, nowUs: nowUs, run: &self.run, context: context, effects: &effects)
        note(from: before, &effects)
    }

    // MARK: Ends of runs

    /// Since when nothing is recorded, and why.
    struct OpenGap: Sendable, Equatable {
        let fromUs: Int64
        let cause: String
        let reason: String
    }
    var openGap: OpenGap?

    /// The session ended. `cause` is a Gap's cause, `reason` is for a person.
    mutating func sessionEnded(cause: String, reason: String, wallUs: Int64) -> [PipelineEffect] {
        var effects: [PipelineEffect] = []
        endRun(cause: cause, reason: reason, wallUs: wallUs, effects: &effects)
        awaitsKeyframe = false
        return effects
    }

    private mutating func endRun(cause: String, reason: String, wallUs: Int64, effects: inout [PipelineEffect]) {
        let context = context
        anchor = ArrivalAnchor()
        unsettled = []
        shown = ShownConfigurations()
        guard let ended = run else { return }
        let endUs = lastFrameEndUs ?? wallUs
        tellLoss(&effects)
        let before = effects.count
        driver.sessionEnded(reason: reason, endedUs: endUs, run: &run, context: context, effects: &effects)
        note(from: before, &effects)
        effects.append(
            .record(
                MediaRecord(
                    run: Run(
                        runID: ended.runID, source: plan.source.wire, startedUs: ended.startedUs, endedUs: endUs,
                        endReason: reason, leaseEpoch: plan.leaseEpoch, controllerID: controllerID))))
        effects.append(.pushesRestart)
        openGap = OpenGap(fromUs: endUs, cause: cause, reason: reason)
        if !ring.isEmpty {
            pastRings.append(
                PastRing(
                    ring: ring, run: ended, endedUs: endUs + (hostStep?.byUs ?? 0), isOfThisClock: hostStep == nil))
        }
        ring = Self.emptyRing(plan, ringBytes)
        newestKeyframe = nil
        video = nil
        audio = nil
        run = nil
        if let step = hostStep { hostMoved(byUs: step.byUs, wallUs: wallUs) }
        syncedToUs = nil
        packets = 0
        bytes = 0
    }

    private mutating func report(
        _ gap: OpenGap, toUs: Int64, runID: String, effects: inout [PipelineEffect]
    ) {
        // Footage may end later than the run before: of a clock that was wrong for a moment, or before it.
        let known = footageEndUs.map { $0 < toUs ? max($0, gap.fromUs) : gap.fromUs } ?? gap.fromUs
        let span = Span(startUs: max(known, toUs - Self.longestGapUs), endUs: toUs)
        explained.insert(span)
        driver.pendingGaps.append(
            SegmentGap(startUs: span.startUs, endUs: span.endUs, cause: gap.cause, reason: gap.reason))
        effects.append(
            .record(
                MediaRecord(
                    gap: Gap(
                        source: plan.source.wire, window: span.wire, cause: gap.cause, reason: gap.reason,
                        runID: runID))))
    }

    // MARK: Plans, windows, time

    /// Takes a new plan. Only what differs has an effect.
    mutating func apply(_ next: SourcePlan, wallUs: Int64, nowUs: Int64) -> [PipelineEffect] {
        var effects: [PipelineEffect] = []
        let old = plan
        plan = next
        if old.standby != next.standby || old.ringSeconds != next.ringSeconds {
            var resized = Self.emptyRing(next, ringBytes)
            for packet in ring.packets(fromPtsUs: .min) { resized.append(packet) }
            ring = resized
        }
        for snapshot in next.snapshots where old.snapshots.first(where: { $0.stream == snapshot.stream }) != snapshot {
            ticks[snapshot.stream] = SnapshotTicks(perSecond: snapshot.perSecond)
        }
        let present = Set(next.snapshots.map(\.stream))
        ticks = ticks.filter { present.contains($0.key) }
        updateWant(wallUs: wallUs, nowUs: nowUs, effects: &effects)
        return effects
    }

    /// Called every few milliseconds.
    mutating func tick(wallUs: Int64, nowUs: Int64) -> [PipelineEffect] {
        var effects: [PipelineEffect] = []
        lookAtHost(wallUs: wallUs, nowUs: nowUs, &effects)
        if let reason = hostStep?.overdue(nowUs: nowUs) {
            endRun(cause: "clock_jump", reason: reason, wallUs: wallUs, effects: &effects)
            awaitsKeyframe = true
        }
        updateWant(wallUs: wallUs, nowUs: nowUs, effects: &effects)
        let before = effects.count
        driver.tick(nowUs: nowUs, run: &run, context: context, effects: &effects)
        note(from: before, &effects)
        return effects
    }

    /// Once a second: forgets what is over.
    mutating func expire(wallUs: Int64, darkReason: String? = nil) -> [PipelineEffect] {
        let effects = tellDark(wallUs: wallUs, reason: darkReason)
        windows.expire(nowUs: wallUs)
        let keepUs = Int64(plan.ringSeconds) * 1_000_000
        pastRings.removeAll { plan.standby == .off || $0.endedUs + keepUs < wallUs }
        // Together the past rings keep the bound of one: a camera that flaps must not fill the memory.
        while pastRings.reduce(0, { $0 + $1.ring.sizeBytes }) > ringBytes { pastRings.removeFirst() }
        let oldest = pastRings.first.flatMap { past in past.ring.oldestUs.map { past.run.clock.wallUs(ofMediaUs: $0) }
        }
        spans.forget(before: min(oldest ?? .max, wallUs - 2 * keepUs))
        explained.forget(before: footageEndUs ?? wallUs - 2 * keepUs)
        return effects
    }

    /// For whom to record now.
    func want(wallUs: Int64) -> RecordingWant? {
        if let clip = plan.clip {
            return RecordingWant(
                stream: clip.stream, folder: clip.folder, segmentUs: clip.segmentUs, leaseEpoch: plan.leaseEpoch)
        }
        if plan.standby == .record || !windows.recording(nowUs: wallUs).isEmpty {
            return RecordingWant(stream: nil, folder: "", segmentUs: standbySegmentUs, leaseEpoch: plan.leaseEpoch)
        }
        return nil
    }

    /// Starts, changes or ends the recording. `isInOrder`: called for a packet that the recorder gets next, which is in
    /// the ring already.
    private mutating func updateWant(
        wallUs: Int64, nowUs: Int64, isInOrder: Bool = false, effects: inout [PipelineEffect]
    ) {
        let wanted = want(wallUs: wallUs)
        let starts = !driver.isRecording && wanted != nil
        let before = effects.count
        driver.setWant(wanted, run: &run, context: context, effects: &effects)
        note(from: before, &effects)
        guard starts, !isInOrder, run != nil else { return }
        var fromUs = newestKeyframe.flatMap { keyframe in run.map { $0.wallUs(keyframe) } } ?? wallUs
        if hostStep == nil, let first = windows.recording(nowUs: wallUs).map(\.span.startUs).min() {
            fromUs = min(fromUs, first)
        }
        fill(Span(startUs: fromUs, endUs: .max), nowUs: nowUs, effects: &effects)
    }
}
