// A running snapshot-to-fs or snapshot-to-mqtt task: an own thread that has a media-worker decode keyframes, the newest first.
// When a picture takes longer than the next keyframe, the older one is dropped and counted; the camera never waits. A task of exact
// frames has a media-worker of its own besides, that decodes on (LiveFeed.swift); ExactFrames.swift says what it must see.
import Logging
import Media
import MediaWork
import RPC
import ServiceKit
import Synchronization
import Wire

final class SnapshotTask: Sendable {
    let plan: SnapshotPlan
    let counters = TaskCounters()
    private let source: SourceKey
    let leaseEpoch: UInt64
    private let equipment: Equipment
    private let jobs = Mailbox<SnapshotJob>(maximumBytes: .max)
    private let publisher: SnapshotPublisher?
    private let frames = Mutex(ExactFrames())
    private let feed: Mutex<LiveFeed?> = Mutex(nil)

    init(_ plan: SnapshotPlan, source: SourceKey, leaseEpoch: UInt64, equipment: Equipment) {
        self.plan = plan
        self.source = source
        self.leaseEpoch = leaseEpoch
        self.equipment = equipment
        if case .mqtt(let destination) = plan.target {
            publisher = SnapshotPublisher(
                plan: plan, source: source, destination: destination, equipment: equipment, counters: counters)
        } else {
            publisher = nil
        }
        startThread("pictures \(plan.stream)") { [self] in run() }
        if plan.wantsExactFrames {
            let made = LiveFeed(
                "frames \(plan.stream)", executable: equipment.mediaWorker, .pictures(plan.style)
            ) { [weak self] in self?.take($0) }
            feed.withLock { $0 = made }
        }
    }

    /// Takes a keyframe; drops the one that waits.
    func put(_ job: SnapshotJob) {
        counters.dropped(jobs.replace(with: job, bytes: job.packet.sizeBytes))
    }

    /// Takes a packet of a camera whose frames are wanted.
    func follow(_ job: ExactJob) {
        guard let feed = feed.withLock({ $0 }) else { return }
        guard let sent = frames.withLock({ $0.take(job) }) else {
            return counters.dropped(1, error: "no picture could be made: the camera sent no keyframe before it")
        }
        for one in sent {
            feed.put(
                LiveFeed.Item(
                    packet: one.job.packet, startsAnew: one.startsAnew, isWanted: one.job.isWanted,
                    timeUs: one.job.timeUs, runID: one.job.runID))
        }
    }

    private func take(_ event: LiveFeed.Event) {
        switch event {
        case .picture(let item, let picture):
            frames.withLock { $0.came() }
            deliver(
                picture,
                SnapshotJob(stream: plan.stream, packet: item.packet, timeUs: item.timeUs, runID: item.runID))
        case .failed(let item, let error):
            guard item.isWanted else { return }
            frames.withLock { $0.came() }
            counters.dropped(1, error: "no picture could be made: \(error.description)")
        case .lost(let item, let why):
            frames.withLock { $0.giveUp() }
            if item.isWanted { counters.dropped(1, error: "no picture could be made: \(why)") }
        case .sample: break
        }
    }

    func stop() {
        jobs.close()
        feed.withLock { $0?.stop() }
        publisher?.stop()
    }

    private func run() {
        while let taken = jobs.take(waitingAtMost: 3600) {
            guard let job = taken.last else { continue }
            do {
                deliver(try equipment.pictures.picture(of: PictureRequest(job.packet, plan.style)), job)
            } catch {
                counters.dropped(1, error: "no picture could be made: \(error.description)")
            }
        }
    }

    private func deliver(_ picture: Picture, _ job: SnapshotJob) {
        if let publisher { return publisher.put(picture, job) }
        guard case .files(let folder) = plan.target else { return }
        let counters = counters
        let file = SnapshotFiles.record(
            picture, source: source, stream: plan.stream, timeUs: job.timeUs, runID: job.runID, leaseEpoch: leaseEpoch)
        let work = PictureFile(
            bytes: picture.bytes, file: file, folder: folder, owner: equipment.instance, leaseEpoch: leaseEpoch
        ) { result in
            switch result {
            case .success(let file): counters.produced(file.path ?? "", atUs: job.timeUs)
            case .failure(let error): counters.dropped(1, error: "\(error)")
            }
        }
        if !equipment.disk.put(.picture(work)) {
            counters.dropped(1, error: "more waits for the disk than may wait; the picture was dropped")
        }
    }
}

enum SnapshotFiles {
    /// The record of a picture, without what only the sealed file tells.
    static func record(
        _ picture: Picture, source: SourceKey, stream: StreamKey?, timeUs: Int64, runID: String, leaseEpoch: UInt64
    ) -> MediaFile {
        MediaFile(
            kind: .snapshot, source: source.wire, stream: stream?.wire, startUs: timeUs, endUs: timeUs, frames: 1,
            videoCodec: picture.format.rawValue, widthPx: UInt32(clamping: picture.widthPx),
            heightPx: UInt32(clamping: picture.heightPx), runID: runID, leaseEpoch: leaseEpoch,
            fileExtension: picture.format.fileExtension)
    }
}

/// Hands pictures to the adapter: one under way, one waiting, newest wins; what expired is dropped.
final class SnapshotPublisher: Sendable {
    private struct Waiting: Sendable {
        let picture: Picture
        let job: SnapshotJob
        let madeAtUs: Int64
    }
    private let pictures: AsyncStream<Waiting>.Continuation
    private let counters: TaskCounters
    private let loop: Task<Void, Never>

    init(
        plan: SnapshotPlan, source: SourceKey, destination: MqttDestination, equipment: Equipment,
        counters: TaskCounters
    ) {
        let (stream, continuation) = AsyncStream.makeStream(of: Waiting.self, bufferingPolicy: .bufferingNewest(1))
        pictures = continuation
        self.counters = counters
        let adapter = equipment.adapter
        // Longer than a minute a picture is not worth waiting for, whatever its time to live on the broker.
        let worthMs = Int64(min(max(destination.ttlS ?? 10, 1), 60)) * 1000
        loop = Task {
            var sequence: UInt64 = 0
            for await waiting in stream {
                sequence += 1
                let restMs = worthMs - (monotonicUs() - waiting.madeAtUs) / 1000
                guard restMs > 0 else {
                    counters.dropped(1, error: "a picture expired before the mqtt-edge-adapter took it")
                    continue
                }
                let request = PublishSnapshotRequest(
                    stream: plan.stream.wire, source: source.wire, picture: waiting.picture.bytes,
                    contentType: waiting.picture.format.mediaType, capturedUs: waiting.job.timeUs, sequence: sequence,
                    widthPx: UInt32(clamping: waiting.picture.widthPx),
                    heightPx: UInt32(clamping: waiting.picture.heightPx), destination: destination,
                    expiresInMs: UInt32(restMs), runID: plan.taskRunID)
                do throws(RPCError) {
                    let reply = try await adapter.call(
                        MqttEdgeAdapterMethods.publishSnapshot, request, timeout: .milliseconds(min(restMs, 10_000)))
                    if reply.published ?? true {
                        counters.produced(reply.topic ?? destination.topic ?? "", atUs: waiting.job.timeUs)
                    } else {
                        counters.dropped(1, error: reply.reason ?? "the picture was dropped as expired")
                    }
                } catch {
                    counters.dropped(1, error: "the mqtt-edge-adapter did not take the picture: \(error.message)")
                }
            }
        }
    }

    func put(_ picture: Picture, _ job: SnapshotJob) {
        if case .dropped = pictures.yield(Waiting(picture: picture, job: job, madeAtUs: monotonicUs())) {
            counters.dropped(1)
        }
    }

    func stop() {
        pictures.finish()
        loop.cancel()
    }
}
