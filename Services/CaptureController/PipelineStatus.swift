// The state of a source and its tasks as operators see it. Pure: from the locked state to the contract's messages.
import Wire

extension SourcePipeline {
    /// A source of which nothing is recorded is taken over once its ring reaches back so far: events ask for some seconds before
    /// them, while a whole ring may be ten minutes.
    static let ringReadyUs: Int64 = 10_000_000
    /// A recorded source is taken over once the successor has this much of it safe on disk. Both date what they get by its arrival,
    /// each by its own, and the first pictures of a session come late where many sessions begin at once: some tenths of a second.
    static let recordedReadyUs: Int64 = 1_000_000

    /// What the registry is told of this source.
    func readiness(wallUs: Int64) -> LeaseReadiness {
        let isReady: Bool
        if want(wallUs: wallUs) != nil {
            let began = run?.startedUs ?? .max
            let safe = syncedToUs ?? .min
            isReady = driver.openSpan != nil && began <= safe && safe - began >= Self.recordedReadyUs
        } else if wantsSession(wallUs: wallUs) {
            let backUs = plan.standby == .off ? 0 : min(Int64(plan.ringSeconds) * 1_000_000, Self.ringReadyUs)
            isReady = newestKeyframe != nil && run.map { $0.startedUs + backUs <= wallUs } ?? false
        } else {
            isReady = true
        }
        let isPromised = plan.clip == nil && plan.standby != .record && windows.wantsSession(nowUs: wallUs)
        return LeaseReadiness(isReady: isReady, isBusy: isPromised || !plan.rolls.isEmpty)
    }
}

extension SourceSession.State {
    func sourceStatus() -> SourceStatus {
        let plan = pipeline.plan
        let (session, reason) = sessionState()
        let newest = pipeline.run
        return SourceStatus(
            source: plan.source.wire, state: session, reason: reason,
            cause: session == .streaming ? nil : reconnect.failure?.cause.rawValue,
            runID: newest?.runID, leaseEpoch: plan.leaseEpoch, videoCodec: pipeline.video?.codec.rawValue,
            widthPx: pipeline.video.map { UInt32(clamping: $0.widthPx) },
            heightPx: pipeline.video.map { UInt32(clamping: $0.heightPx) }, packets: pipeline.packets,
            bytes: pipeline.bytes, lastPacketUs: pipeline.lastPacketWallUs,
            syncedToUs: pipeline.driver.openSpan == nil ? nil : pipeline.syncedToUs, ringFromUs: ringFromUs(),
            attempts: reconnect.attempts)
    }

    private func ringFromUs() -> Int64? {
        if let past = pipeline.pastRings.first, let oldest = past.ring.oldestUs {
            return past.run.clock.wallUs(ofMediaUs: oldest)
        }
        guard let run = pipeline.run, let oldest = pipeline.ring.oldestUs else { return nil }
        return run.clock.wallUs(ofMediaUs: oldest)
    }

    private func sessionState() -> (SessionState, String?) {
        switch reconnect.state {
        case .idle: (.idle, nil)
        case .connecting: (.connecting, reconnect.failure?.reason)
        case .streaming: (.streaming, nil)
        case .waiting: (.backingOff, reconnect.failure?.reason)
        }
    }

    func taskStatuses(nowUs: Int64) -> [TaskStatus] {
        let plan = pipeline.plan
        let isStreaming = pipeline.run != nil
        let darkReason = reconnect.failure?.reason
        var tasks: [TaskStatus] = plan.quiet.map { quiet in
            TaskStatus(
                stream: quiet.stream.wire, source: plan.source.wire, type: quiet.type, state: quiet.state,
                runID: quiet.taskRunID, error: quiet.error)
        }
        if let clip = plan.clip {
            // Where another format is wanted, what counts is what was made of it.
            let values = (outputs.renditions[clip.stream]?.counters ?? outputs.clip?.counters)?.now ?? .init()
            let word = values.error ?? values.note
            let error = pipeline.recordingError ?? (isStreaming ? word : darkReason ?? word)
            let isRunning = isStreaming && pipeline.recordingError == nil
            tasks.append(
                TaskStatus(
                    stream: clip.stream.wire, source: plan.source.wire, type: .clipToFs,
                    state: isRunning ? .running : .waiting, runID: clip.taskRunID, error: error,
                    produced: values.produced, dropped: values.dropped, lastOutputUs: values.lastOutputUs,
                    lastOutput: values.lastOutput))
        }
        for rendition in plan.renditions where rendition.stream != plan.clip?.stream {
            let values = outputs.renditions[rendition.stream]?.counters.now ?? TaskCounters.Values()
            tasks.append(
                status(
                    rendition.stream, .clipToFs, rendition.taskRunID, values, isRunning: isStreaming,
                    darkReason: isStreaming ? nil : darkReason))
        }
        for roll in plan.rolls where roll.endUs.map({ $0 > nowUs }) ?? true {
            tasks.append(
                status(
                    roll.stream, .clipToFs, roll.taskRunID, outputs.rolls[roll.stream]?.counters.now ?? .init(),
                    isRunning: isStreaming, darkReason: isStreaming ? nil : darkReason))
        }
        for snapshot in plan.snapshots {
            let values = outputs.snapshots[snapshot.stream]?.counters.now ?? TaskCounters.Values()
            let type: TaskType =
                switch snapshot.target {
                case .files: .snapshotToFs
                case .mqtt: .snapshotToMqtt
                }
            tasks.append(
                status(
                    snapshot.stream, type, snapshot.taskRunID, values,
                    isRunning: isStreaming && values.error == nil, darkReason: isStreaming ? nil : darkReason))
        }
        for push in plan.pushes {
            let values = outputs.pushes[push.stream]?.counters.now ?? TaskCounters.Values()
            tasks.append(
                status(
                    push.stream, .streamToRtsp, push.taskRunID, values, isRunning: isStreaming && values.isWell,
                    darkReason: isStreaming ? nil : darkReason))
        }
        return tasks
    }

    private func status(
        _ stream: StreamKey, _ type: TaskType, _ runID: String, _ values: TaskCounters.Values, isRunning: Bool,
        darkReason: String?
    ) -> TaskStatus {
        TaskStatus(
            stream: stream.wire, source: pipeline.plan.source.wire, type: type, state: isRunning ? .running : .waiting,
            runID: runID, error: darkReason ?? values.error ?? values.note, produced: values.produced,
            dropped: values.dropped,
            lastOutputUs: values.lastOutputUs, lastOutput: values.lastOutput)
    }
}

/// What of a status is a change that operators are told at once; counters and times are not. Pure.
enum StatusDifference {
    static func key(_ source: SourceStatus) -> SourceStatus {
        SourceStatus(
            source: source.source, state: source.state, reason: source.reason, cause: source.cause, runID: source.runID,
            leaseEpoch: source.leaseEpoch, videoCodec: source.videoCodec, widthPx: source.widthPx,
            heightPx: source.heightPx)
    }

    static func key(_ task: TaskStatus) -> TaskStatus {
        TaskStatus(
            stream: task.stream, source: task.source, type: task.type, state: task.state, runID: task.runID,
            error: task.error)
    }

    static func key(_ volume: VolumeStatus) -> VolumeStatus {
        VolumeStatus(
            volumeID: volume.volumeID, role: volume.role, mountPath: volume.mountPath, writable: volume.writable,
            error: volume.error)
    }
}
