// One source: the thread that holds its camera, and the lock around its pipeline. The thread connects, reads packets and hands
// them to the pipeline; everybody else (plans, windows, the ticker) goes through the same lock for some microseconds. Effects
// are carried out under the lock, so that they keep their order; none of them waits.
import Foundation
import LibAV
import Logging
import Media
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
        /// Stops the camera call that blocks at present.
        var interrupt: AVInterrupt?
        /// Why we ended the session ourselves, for the gap.
        var endReason: (cause: String, reason: String)?
        /// When the present attempt began (monotonic), and what the ticker found wrong with it.
        var attemptAtUs: Int64 = 0
        var keyframesBefore: UInt64 = 0
        var verdict: ConnectionFailure?
        var stopped = false
        var outputs = TaskOutputs()
    }
    private let state: Mutex<State>
    /// Wakes the thread while it waits to connect again.
    private let wake = Mailbox<Bool>(maximumBytes: 0)
    private let finished = Mailbox<Bool>(maximumBytes: 0)

    init(plan: SourcePlan, equipment: Equipment) {
        source = plan.source
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

    /// Starts the thread. `windows` are those that a restart left, `footageEndUs` is where the footage on the volume ends.
    func start(windows: [FootageWindow], gap: SourcePipeline.OpenGap?, footageEndUs: Int64?) {
        state.withLock { state in
            for window in windows where state.pipeline.windows.ensure(window) {
                state.pipeline.driver.requestSeal(atUs: window.span.endUs)
            }
            state.pipeline.openGap = gap
            state.pipeline.footageEndUs = footageEndUs
            state.outputs.apply(state.pipeline.plan, equipment: equipment)
        }
        startThread("camera \(source)") { [self] in run() }
    }

    /// Takes a new plan. The connection survives unless its own settings changed.
    func apply(_ plan: SourcePlan) {
        let reconnects = locked { state, effects in
            guard plan != state.pipeline.plan else { return false }
            let reconnects = state.pipeline.plan.connection != plan.connection
            effects += state.pipeline.apply(plan, wallUs: wallClockUs(), nowUs: monotonicUs())
            state.outputs.apply(plan, equipment: equipment)
            if reconnects {
                state.reconnect.settingsChanged(nowUs: monotonicUs())
                state.endReason = ("stopped", "the camera's settings changed")
                state.interrupt?.stop()
            }
            return reconnects
        }
        if reconnects { wake.put(true) }
    }

    /// Called every few milliseconds by the ticker thread.
    func tick() {
        let wakes = locked { state, effects in
            let wallUs = wallClockUs()
            let nowUs = monotonicUs()
            effects += state.pipeline.tick(wallUs: wallUs, nowUs: nowUs)
            let wanted = state.pipeline.wantsSession(wallUs: wallUs)
            let wasIdle = state.reconnect.state == .idle
            if !wanted, !wasIdle {
                state.endReason = ("stopped", "nothing asks for this camera")
                state.interrupt?.stop()
            }
            state.reconnect.setWanted(wanted, nowUs: nowUs)
            state.checkForKeyframe(nowUs: nowUs)
            return wanted && wasIdle
        }
        if wakes { wake.put(true) }
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

    /// For the status.
    func view<Value: Sendable>(_ body: (borrowing State) -> Value) -> Value { state.withLock { body($0) } }

    /// Seals, ends the connection and the tasks. `stop` asks, `join` waits.
    func stop(reason: String) {
        locked { state, effects in
            guard !state.stopped else { return }
            state.stopped = true
            state.endReason = ("stopped", reason)
            effects += state.pipeline.sessionEnded(cause: "stopped", reason: reason, wallUs: wallClockUs())
            state.interrupt?.stop()
        }
        wake.put(true)
    }

    /// Waits until the camera's thread ended, at most `seconds`.
    func join(waitingAtMost seconds: Double) {
        _ = finished.take(waitingAtMost: seconds)
        state.withLock { $0.outputs.stopAll() }
    }

    // MARK: What the disk says

    func segmentSynced(id: UInt64, toUs: Int64) {
        locked { $1 += $0.pipeline.segmentSynced(id: id, toUs: toUs) }
    }

    func segmentSealed(id: UInt64, file: MediaFile) {
        state.withLock { state in
            state.outputs.sealed(file)
            state.pipeline.recordingError = nil
        }
        equipment.statusChanged()
    }

    func segmentLost(id: UInt64, keptToUs: Int64?, reason: String) {
        locked { state, effects in
            effects += state.pipeline.segmentLost(id: id, keptToUs: keptToUs, reason: reason)
            state.outputs.clipDropped()
        }
        equipment.statusChanged()
    }

    // MARK: The camera's thread

    private func run() {
        logger.debug("source started")
        while let plan = waitForAttempt() {
            connect(plan)
        }
        state.withLock { $0.outputs.stopAll() }
        finished.put(true)
        logger.debug("source stopped")
    }

    /// Waits until it is time to connect. Nil: the source was given up.
    private func waitForAttempt() -> SourcePlan? {
        while true {
            let (plan, waitUs): (SourcePlan?, Int64?) = state.withLock { state in
                guard !state.stopped else { return (nil, nil) }
                let nowUs = monotonicUs()
                if state.reconnect.takeAttempt(nowUs: nowUs) {
                    state.interrupt = AVInterrupt()
                    state.attemptAtUs = nowUs
                    state.keyframesBefore = state.pipeline.keyframesSeen
                    state.endReason = nil
                    state.verdict = nil
                    return (state.pipeline.plan, 0)
                }
                guard case .waiting(let untilUs) = state.reconnect.state else { return (nil, 3_600_000_000) }
                return (nil, max(untilUs - nowUs, 1000))
            }
            if let plan { return plan }
            guard let waitUs else { return nil }
            _ = wake.take(waitingAtMost: Double(waitUs) / 1e6)
        }
    }

    /// One session from connecting to its end.
    private func connect(_ plan: SourcePlan) {
        equipment.statusChanged()
        guard let interrupt = state.withLock({ $0.interrupt }) else { return }
        do {
            let credentials = try CameraCredentials.read(plan.connection, secrets: equipment.secrets)
            var settings = AVSourceSettings(url: plan.connection.address, credentials: credentials)
            settings.silenceTimeoutMs = 5000
            let camera = AVSource(settings: settings, interrupt: interrupt)
            try camera.open()
            while true {
                let packet = try camera.next()
                let isFirst = locked { state, effects in
                    guard !state.stopped else { return false }
                    effects += state.pipeline.packet(packet, wallUs: wallClockUs(), nowUs: monotonicUs())
                    guard packet.kind == .video, state.reconnect.state == .connecting else { return false }
                    state.reconnect.streaming(nowUs: monotonicUs())
                    return true
                }
                if isFirst {
                    logger.info("camera streams", metadata: ["codec": "\(packet.configuration.codec.rawValue)"])
                    equipment.statusChanged()
                }
            }
        } catch {
            ended(error)
        }
    }

    private func ended(_ error: any Error) {
        let failure = state.withLock { state in
            state.verdict ?? FailureWords.failure(error, address: state.pipeline.plan.connection.address)
        }
        locked { state, effects in
            state.interrupt = nil
            let own = state.endReason
            effects += state.pipeline.sessionEnded(
                cause: own?.cause ?? "dark", reason: own?.reason ?? failure.reason, wallUs: wallClockUs())
            guard own == nil, !state.stopped else { return }
            state.reconnect.failed(failure, nowUs: monotonicUs(), jitter: .random(in: 0...1))
        }
        if state.withLock({ $0.endReason == nil && !$0.stopped }) {
            logger.warning(
                "camera: \(failure.reason)",
                metadata: [
                    "cause": "\(failure.cause.rawValue)", "attempt": "\(state.withLock { $0.reconnect.attempts })",
                ])
        }
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
            state.pipeline.driver.fragmentRefused(id: id, startUs: startUs, frames: frames)
            state.outputs.clipDropped()
        case .seal(let end): _ = equipment.disk.put(.seal(end))
        case .record(let record):
            equipment.outbox.put(record)
            if let gap = record.gap { _ = equipment.disk.put(.gap(gap)) }
        case .snapshot(let job): state.outputs.snapshot(job)
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
        guard let interrupt, verdict == nil, endReason == nil, pipeline.keyframesSeen == keyframesBefore,
            nowUs - attemptAtUs > Self.keyframeWithinUs
        else { return }
        verdict = ConnectionFailure(
            cause: .noKeyframe, reason: "camera sends, but no keyframe that a picture could begin with")
        interrupt.stop()
    }
}
