// The tasks of one source that have threads of their own (pictures, pushes), and the counters of the clip tasks. Part of the
// source's locked state; nothing here waits.
import Media
import Wire

struct TaskOutputs: Sendable {
    private(set) var snapshots: [StreamKey: SnapshotTask] = [:]
    private(set) var pushes: [StreamKey: PushTask] = [:]
    private(set) var clip: (plan: ClipPlan, counters: TaskCounters)?
    private(set) var renditions: [StreamKey: (plan: RenditionPlan, counters: TaskCounters)] = [:]
    /// Of the exact clips of a run.
    private(set) var rolls: [StreamKey: (runID: String, counters: TaskCounters)] = [:]

    /// Starts what is new, stops what is gone or changed, leaves the rest alone.
    mutating func apply(_ plan: SourcePlan, equipment: Equipment) {
        // Pictures carry the epoch; under an old one they would count as another controller's.
        for (stream, task) in snapshots
        where !plan.snapshots.contains(task.plan) || task.leaseEpoch != plan.leaseEpoch {
            task.stop()
            snapshots[stream] = nil
        }
        for snapshot in plan.snapshots where snapshots[snapshot.stream] == nil {
            snapshots[snapshot.stream] = SnapshotTask(
                snapshot, source: plan.source, leaseEpoch: plan.leaseEpoch, equipment: equipment)
        }
        for (stream, task) in pushes where !plan.pushes.contains(task.plan) {
            task.stop()
            pushes[stream] = nil
        }
        for push in plan.pushes where pushes[push.stream] == nil {
            pushes[push.stream] = PushTask(push, source: plan.source, equipment: equipment)
        }
        let known = renditions
        renditions = [:]
        for next in plan.renditions {
            let isSame = known[next.stream]?.plan.taskRunID == next.taskRunID
            renditions[next.stream] = (next, isSame ? known[next.stream]?.counters ?? TaskCounters() : TaskCounters())
        }
        for roll in plan.rolls where rolls[roll.stream]?.runID != roll.taskRunID {
            rolls[roll.stream] = (roll.taskRunID, TaskCounters())
        }
        rolls = rolls.filter { stream, _ in plan.rolls.contains { $0.stream == stream } }
        guard let next = plan.clip else {
            clip = nil
            return
        }
        if clip?.plan.stream != next.stream || clip?.plan.taskRunID != next.taskRunID {
            clip = (next, TaskCounters())
        } else if let counters = clip?.counters {
            clip = (next, counters)
        }
    }

    mutating func stopAll() {
        for task in snapshots.values { task.stop() }
        for task in pushes.values { task.stop() }
        snapshots = [:]
        pushes = [:]
    }

    func snapshot(_ job: SnapshotJob) { snapshots[job.stream]?.put(job) }

    func exact(_ job: ExactJob) { snapshots[job.stream]?.follow(job) }

    func push(_ packet: MediaPacket) { for task in pushes.values { task.put(packet) } }

    func restartPushes() { for task in pushes.values { task.restart() } }

    /// A segment is sealed; gives what is to be made of it.
    func sealed(_ file: MediaFile) -> [RenditionJob] {
        guard let clip, StreamKey(file.stream) == clip.plan.stream else { return [] }
        clip.counters.produced(file.path ?? "", atUs: file.endUs ?? 0)
        return renditions.values.map { RenditionJob(segment: file, plan: $0.plan, counters: $0.counters) }
    }

    /// What is to be made of a segment that was sealed before: what its own stream wants.
    func missing(_ segment: MediaFile) -> [RenditionJob] {
        guard let stream = StreamKey(segment.stream), let wanted = renditions[stream] else { return [] }
        return [RenditionJob(segment: segment, plan: wanted.plan, counters: wanted.counters)]
    }

    func clipDropped() { clip?.counters.dropped(1) }
}
