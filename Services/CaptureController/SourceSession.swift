// One source: the session with its camera, and the lock around its pipeline. The thread of the cameras (RTSPClient) hands packets
// to the pipeline; everybody else (plans, windows, the ticker, which also begins sessions) goes through the same lock for some
// microseconds. Effects are carried out under the lock, so that they keep their order; none of them waits.
import Foundation
import Logging
import Media
import RTSP
import ServiceKit
import Synchronization
import Wire

final class SourceSession: Sendable, SegmentOwner {
    let source: SourceKey
    private let equipment: Equipment
    private let logger: Logger

    struct State: Sendable {
        var pipeline: SourcePipeline
        var reconnect = ReconnectMachine()
        /// The session with the camera, from the first SYN on; nil between two.
        var camera: (any SourcePlayback)?
        /// Counts the sessions; events of one before say nothing any more.
        var sessionNumber: UInt64 = 0
        /// What the present session passed over, as far as it is counted.
        var counted = SourceCounters()
        /// A session is being begun, outside of the lock.
        var isOpening = false
        /// Why we ended the session ourselves, for the gap.
        var endReason: (cause: String, reason: String)?
        /// When the present attempt began (monotonic), and what the ticker found wrong with it.
        var attemptAtUs: Int64 = 0
        var keyframesBefore: UInt64 = 0
        var verdict: ConnectionFailure?
        var stopped = false
        var outputs = TaskOutputs()
        var rolls = RolledClips()
    }
    private let state: Mutex<State>
    private let finished = Mailbox<Bool>(maximumBytes: 0)
    private let losses: SessionLosses
    /// The session says each 100 ms that all is here: that ends fragments in time, and ticks need not.
    private let gathers = Atomic(false)

    init(plan: SourcePlan, equipment: Equipment) {
        source = plan.source
        losses = SessionLosses(plan.source)
        self.equipment = equipment
        var logger = equipment.logger
        logger[metadataKey: "source"] = "\(plan.source)"
        self.logger = logger
        state = Mutex(
            State(
                pipeline: SourcePipeline(
                    plan: plan, controllerID: equipment.instance, ringBytes: equipment.ringBytes,
                    standbySegmentUs: equipment.standbySegmentUs)))
    }

    /// Takes what is known. `windows` are those that a restart left, `footageEndUs` is where the footage on the volume ends.
    func start(windows: [FootageWindow], gap: SourcePipeline.OpenGap?, footageEndUs: Int64?) {
        state.withLock { state in
            for window in windows where state.pipeline.windows.ensure(window) {
                state.pipeline.driver.requestSeal(atUs: window.span.endUs)
            }
            state.pipeline.openGap = gap
            state.pipeline.takeFootageEnd(footageEndUs, wallUs: wallClockUs())
            state.outputs.apply(state.pipeline.plan, equipment: equipment)
        }
        locked { takeRolls(&$0, &$1) }
        logger.debug("source started")
    }

    /// Takes a new plan. The connection survives unless its own settings changed.
    func apply(_ plan: SourcePlan) {
        locked { state, effects in
            guard plan != state.pipeline.plan else { return }
            let reconnects = state.pipeline.plan.connection != plan.connection
            effects += state.pipeline.apply(plan, wallUs: wallClockUs(), nowUs: monotonicUs())
            state.outputs.apply(plan, equipment: equipment)
            takeRolls(&state, &effects)
            state.camera?.setLive(plan.needsEachPacket)
            state.camera?.setPoll(ns: plan.pollNs)
            guard reconnects else { return }
            state.reconnect.settingsChanged(nowUs: monotonicUs())
            state.endReason = ("stopped", "the camera's settings changed")
            state.camera?.stop()
        }
    }

    /// Called every 25 ms by the ticker thread. `isCoarse`: one tick of four, which are all that a session needs whose packets come
    /// gathered. Whether the next one may not wait longer.
    func tick(isCoarse: Bool) -> Bool {
        guard isCoarse || !gathers.load(ordering: .relaxed) else { return false }
        let attempt: (plan: SourcePlan, number: UInt64)? = locked { state, effects in
            let wallUs = wallClockUs()
            let nowUs = monotonicUs()
            effects += state.pipeline.tick(wallUs: wallUs, nowUs: nowUs)
            let wanted = state.pipeline.wantsSession(wallUs: wallUs)
            if !wanted, state.reconnect.state != .idle {
                state.endReason = ("stopped", "nothing asks for this camera")
                state.camera?.stop()
            }
            state.reconnect.setWanted(wanted, nowUs: nowUs)
            state.checkForKeyframe(nowUs: nowUs)
            // One session at a time: many cameras have room for no more.
            guard !state.stopped, state.camera == nil, !state.isOpening, state.reconnect.isDue(nowUs: nowUs),
                equipment.pace.take(nowUs: nowUs), state.reconnect.takeAttempt(nowUs: nowUs)
            else { return nil }
            state.isOpening = true
            state.sessionNumber += 1
            gathers.store(false, ordering: .relaxed)
            state.counted = SourceCounters()
            state.attemptAtUs = nowUs
            state.keyframesBefore = state.pipeline.keyframesSeen
            state.endReason = nil
            state.verdict = nil
            return (state.pipeline.plan, state.sessionNumber)
        }
        if let attempt { connect(attempt.plan, attempt.number) }
        if isCoarse { cutRolls() }
        return !gathers.load(ordering: .relaxed)
    }

    /// The footage that the plan's exact clips need is asked for.
    private func takeRolls(_ state: inout State, _ effects: inout [PipelineEffect]) {
        let nowUs = wallClockUs()
        for window in state.rolls.apply(state.pipeline.plan.rolls, of: source, nowUs: nowUs) {
            effects += state.pipeline.ensure(window, wallUs: nowUs, nowUs: monotonicUs()).1
        }
        for endUs in state.rolls.endsUs() { state.pipeline.driver.requestSeal(atUs: endUs) }
    }

    private func cutRolls() {
        let jobs: [ClipJob] = locked { state, effects in
            guard !state.rolls.isEmpty else { return [] }
            let openFromUs = state.pipeline.driver.openSpan?.startUs
            let (pieces, windows) = state.rolls.due(of: source, openFromUs: openFromUs, nowUs: wallClockUs())
            guard !pieces.isEmpty else { return [] }
            for window in windows {
                effects += state.pipeline.ensure(window, wallUs: wallClockUs(), nowUs: monotonicUs()).1
            }
            for endUs in state.rolls.endsUs() { state.pipeline.driver.requestSeal(atUs: endUs) }
            return pieces.map { piece in
                ClipJob(
                    source: source, leaseEpoch: state.pipeline.plan.leaseEpoch, roll: piece.roll, span: piece.span,
                    files: piece.files, counters: state.outputs.rolls[piece.roll.stream]?.counters ?? TaskCounters())
            }
        }
        for job in jobs { equipment.renditions.put(job) }
    }

    /// Called once a second.
    func expire() {
        locked { state, effects in
            effects += state.pipeline.expire(
                wallUs: wallClockUs(), darkReason: state.reconnect.failure?.reason)
        }
    }

    /// What another session of the source must know: windows, and where the footage ends.
    var remains: (windows: [FootageWindow], footageEndUs: Int64?) {
        state.withLock { ($0.pipeline.windows.windows, $0.pipeline.footageEndUs) }
    }

    func ensure(_ window: FootageWindow) -> SourcePipeline.EnsureResult {
        locked { state, effects in
            let (result, made) = state.pipeline.ensure(window, wallUs: wallClockUs(), nowUs: monotonicUs())
            effects += made
            return result
        }
    }

    /// Whether a soft hold protects a file.
    func holds(_ span: Span) -> Bool { state.withLock { $0.pipeline.windows.holds(span, nowUs: wallClockUs()) } }

    /// The newest keyframe with its wall time, for a picture.
    func newestKeyframe() -> (packet: MediaPacket, timeUs: Int64, run: RunContext, plan: SourcePlan)? {
        state.withLock { state in
            guard let packet = state.pipeline.newestKeyframe, let run = state.pipeline.run else { return nil }
            return (packet, run.wallUs(packet), run, state.pipeline.plan)
        }
    }

    /// A segment of an earlier life, found again: it gets the renditions that its stream wants now.
    func found(_ segment: MediaFile) {
        let jobs = state.withLock { state in
            if let sealed = RolledClips.Segment(segment) { state.rolls.sealed(sealed) }
            return state.outputs.missing(segment)
        }
        for job in jobs { equipment.renditions.put(job) }
    }

    /// For the status.
    func view<Value: Sendable>(_ body: (borrowing State) -> Value) -> Value { state.withLock { body($0) } }

    /// Seals, ends the connection and the tasks. `stop` asks, `join` waits.
    func stop(reason: String) {
        let isOver = locked { state, effects in
            guard !state.stopped else { return false }
            state.stopped = true
            state.endReason = ("stopped", reason)
            effects += state.pipeline.sessionEnded(cause: "stopped", reason: reason, wallUs: wallClockUs())
            state.camera?.stop()
            return state.camera == nil && !state.isOpening
        }
        if isOver { finished.put(true) }
    }

    /// Waits until the camera's session ended, at most `seconds`.
    func join(waitingAtMost seconds: Double) {
        _ = finished.take(waitingAtMost: seconds)
        state.withLock { $0.outputs.stopAll() }
    }

    // MARK: What the disk says

    func segmentSynced(id: UInt64, toUs: Int64) {
        locked { $1 += $0.pipeline.segmentSynced(id: id, toUs: toUs) }
    }

    func segmentSealed(id: UInt64, file: MediaFile) {
        let renditions = state.withLock { state in
            state.pipeline.recordingError = nil
            if let sealed = RolledClips.Segment(file) { state.rolls.sealed(sealed) }
            return state.outputs.sealed(file)
        }
        for job in renditions { equipment.renditions.put(job) }
        equipment.statusChanged()
    }

    func segmentLost(id: UInt64, keptToUs: Int64?, reason: String) {
        locked { state, effects in
            effects += state.pipeline.segmentLost(id: id, keptToUs: keptToUs, reason: reason)
            state.outputs.clipDropped()
        }
        equipment.statusChanged()
    }

    // MARK: The camera

    /// Begins a session. Called by the ticker; what waits for the camera is the thread of the cameras.
    private func connect(_ plan: SourcePlan, _ number: UInt64) {
        equipment.statusChanged()
        do {
            let camera = try equipment.open(plan) { [self] in take($0, number) }
            let isWanted = state.withLock { state in
                // It may have ended already.
                guard state.isOpening, state.sessionNumber == number else { return true }
                state.isOpening = false
                state.camera = camera
                return state.endReason == nil && !state.stopped
            }
            if !isWanted { camera.stop() }
        } catch {
            ended(FailureWords.failure(error), number)
        }
    }

    private func take(_ event: SourceEvent, _ number: UInt64) {
        switch event {
        case .packet(let packet): take(packet, number)
        case .drained: drained(number)
        case .counted(let counters): count(counters, number)
        case .ended(let failure, let counters):
            count(counters, number)
            logger.debug(
                "session ended",
                metadata: ["packets_lost": "\(counters.packetsLost)", "pictures_torn": "\(counters.unitsTorn)"])
            let failure = failure ?? RTSPFailure(.silent, "the session was ended")
            ended(FailureWords.failure(failure), number)
        case .playing, .redirected, .blocked: break
        }
    }

    private func drained(_ number: UInt64) {
        locked { state, effects in
            guard !state.stopped, state.sessionNumber == number, state.endReason == nil else { return }
            gathers.store(true, ordering: .relaxed)
            effects += state.pipeline.drained()
        }
    }

    private func count(_ counters: SourceCounters, _ number: UInt64) {
        let before = state.withLock { state -> SourceCounters? in
            guard state.sessionNumber == number else { return nil }
            defer { state.counted = counters }
            return state.counted
        }
        if let before { losses.count(counters, after: before) }
    }

    private func take(_ packet: MediaPacket, _ number: UInt64) {
        let isFirst = locked { state, effects in
            guard !state.stopped, state.sessionNumber == number, state.endReason == nil else { return false }
            effects += state.pipeline.packet(packet, wallUs: wallClockUs(), nowUs: monotonicUs())
            guard packet.kind == .video, state.reconnect.state == .connecting else { return false }
            state.reconnect.streaming(nowUs: monotonicUs())
            return true
        }
        guard isFirst else { return }
        logger.info("camera streams", metadata: ["codec": "\(packet.configuration.codec.rawValue)"])
        equipment.statusChanged()
    }

    private func ended(_ failure: ConnectionFailure, _ number: UInt64) {
        let (reported, attempts, isOver): (ConnectionFailure?, UInt32, Bool) = locked { state, effects in
            guard state.sessionNumber == number else { return (nil, 0, false) }
            state.camera = nil
            state.isOpening = false
            gathers.store(false, ordering: .relaxed)
            let failure = state.verdict ?? failure
            let own = state.endReason
            effects += state.pipeline.sessionEnded(
                cause: own?.cause ?? "dark", reason: own?.reason ?? failure.reason, wallUs: wallClockUs())
            guard own == nil, !state.stopped else { return (nil, 0, state.stopped) }
            state.reconnect.failed(failure, nowUs: monotonicUs(), jitter: .random(in: 0...1))
            return (failure, state.reconnect.attempts, false)
        }
        if let reported {
            // A camera that is away for a night is tried twice a second; the status says so all the time.
            logger.log(
                level: attempts <= 1 || attempts % 100 == 0 ? .warning : .debug, "camera: \(reported.reason)",
                metadata: ["cause": "\(reported.cause.rawValue)", "attempt": "\(attempts)"])
        }
        if isOver { finished.put(true) }
        equipment.statusChanged()
    }

    // MARK: Effects

    private func locked<Result: Sendable>(_ body: (inout State, inout [PipelineEffect]) -> Result) -> Result {
        state.withLock { state in
            var effects: [PipelineEffect] = []
            let result = body(&state, &effects)
            for effect in effects { perform(effect, &state) }
            return result
        }
    }

    private func perform(_ effect: PipelineEffect, _ state: inout State) {
        switch effect {
        case .open(let ticket): _ = equipment.disk.put(.open(ticket, self))
        case .fragment(let id, let packets, let startUs, let endUs, let isBackfill):
            let work = DiskWork.fragment(id: id, packets: packets, endUs: endUs, isBackfill: isBackfill)
            guard !equipment.disk.put(work) else { return }
            let frames = UInt32(packets.count { $0.kind == .video })
            var told: [PipelineEffect] = []
            state.pipeline.driver.fragmentRefused(
                id: id, span: Span(startUs: startUs, endUs: endUs), frames: frames, run: state.pipeline.run,
                context: state.pipeline.context, effects: &told)
            state.outputs.clipDropped()
            for effect in told { perform(effect, &state) }
        case .seal(let end): _ = equipment.disk.put(.seal(end))
        case .record(let record):
            equipment.outbox.put(record)
            if let gap = record.gap { _ = equipment.disk.put(.gap(gap)) }
        case .snapshot(let job): state.outputs.snapshot(job)
        case .exact(let job): state.outputs.exact(job)
        case .push(let packet): state.outputs.push(packet)
        case .pushesRestart: state.outputs.restartPushes()
        }
    }
}

extension SourceSession.State {
    /// A camera has so long to send a keyframe, from the first SYN on. Longer than connecting may take (10 s), so that what
    /// is found here is never a camera that does not answer.
    static let keyframeWithinUs: Int64 = 20_000_000

    /// Ends a session that gives nothing that can be decoded.
    mutating func checkForKeyframe(nowUs: Int64) {
        guard let camera, !pipeline.plan.connection.mayBeQuiet, verdict == nil, endReason == nil,
            pipeline.keyframesSeen == keyframesBefore,
            nowUs - attemptAtUs > Self.keyframeWithinUs
        else { return }
        verdict = ConnectionFailure(
            cause: .noKeyframe, reason: "camera sends, but no keyframe that a picture could begin with")
        camera.stop()
    }
}
