// Tells the adapter how sources, tasks and volume are: what changed at once, everything every half minute; hints beside it. The
// indexer is told of the volume. Nobody waits for either of them.
import Logging
import RPC
import ServiceKit
import ServiceLifecycle
import Synchronization
import Volume
import Wire

struct StatusReporter: Service, CustomStringConvertible {
    var description: String { "status" }
    let sessions: SessionTable
    let keeper: VolumeKeeper
    let sender: RecordSender
    let adapter: RPCClient
    let indexer: RPCClient
    let hints: HintPublisher
    let instance: String
    let address: @Sendable () -> String
    let fullEvery: Duration
    let bell: Wakeup
    let logger: Logger
    private let cursor = Cursor()
    private let blocking = BlockingLane("volume status")

    /// A change is told so soon even when nobody rang: loops that only time changes ring no bell.
    static let lookEvery = Duration.milliseconds(500)

    private final class Cursor: Sendable {
        let value = Atomic<UInt64>(0)
    }

    init(
        sessions: SessionTable, keeper: VolumeKeeper, sender: RecordSender, adapter: RPCClient, indexer: RPCClient,
        hints: HintPublisher, instance: String, address: @escaping @Sendable () -> String, fullEvery: Duration,
        bell: Wakeup, logger: Logger
    ) {
        self.sessions = sessions
        self.keeper = keeper
        self.sender = sender
        self.adapter = adapter
        self.indexer = indexer
        self.hints = hints
        self.instance = instance
        self.address = address
        self.fullEvery = fullEvery
        self.bell = bell
        self.logger = logger
    }

    /// Everything as it is now.
    func whole() async -> ReportStatusRequest {
        let all = sessions.all.sorted { $0.key < $1.key }.map(\.value)
        var report = ReportStatusRequest(controllerID: instance)
        for session in all {
            // Its holder reports it; two who do would contradict each other.
            guard !session.view({ $0.pipeline.plan.isTaking }) else { continue }
            let (source, tasks) = session.view { ($0.sourceStatus(), $0.taskStatuses(nowUs: wallClockUs())) }
            report.sources.append(source)
            report.tasks += tasks
        }
        report.tasks.sort {
            (StreamKey($0.stream).map(\.description) ?? "") < (StreamKey($1.stream).map(\.description) ?? "")
        }
        report.volumes = [await volume()]
        return report
    }

    private func volume() async -> VolumeStatus {
        let open = keeper.current
        let space = try? await blocking.run { try open?.freeSpace() }
        return VolumeStatus(
            volumeID: open?.volumeID, role: "recording", mountPath: keeper.path,
            writable: open != nil && keeper.error == nil,
            error: keeper.error, totalBytes: space.flatMap { $0 }.map { UInt64(clamping: $0.totalBytes) },
            freeBytes: space.flatMap { $0 }.map { UInt64(clamping: $0.availableBytes) },
            spooledRecords: UInt64(clamping: sender.spooled.load(ordering: .relaxed)))
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup { group in
                group.addTask { await tellAdapter() }
                group.addTask { await tellIndexer() }
            }
        }
    }

    private func tellAdapter() async {
        var told = Told()
        var hinted = Told()
        var lastFull: ContinuousClock.Instant?
        var refusal: RPCError?
        while !Task.isCancelled {
            let now = ContinuousClock.now
            let isFull = lastFull.map { now - $0 >= fullEvery } ?? true
            let report = await whole()
            let news = hinted.changes(report)
            for source in news.sources { hint("sources/", SourceKey(source.source).map(\.description)) }
            for task in news.tasks { hint("tasks/", StreamKey(task.stream).map(\.description)) }
            hinted.remember(report)
            let changes = told.changes(report)
            let send = isFull ? report : changes
            if isFull || !send.sources.isEmpty || !send.tasks.isEmpty || !send.volumes.isEmpty {
                do throws(RPCError) {
                    _ = try await adapter.call(MqttEdgeAdapterMethods.reportStatus, send, timeout: .seconds(2))
                    told.remember(report)
                    if isFull { lastFull = now }
                } catch {
                    logger.debug("status not reported: \(error)")
                    // Not an absence but a defect of one of the two, which hides the status of every camera.
                    if error.code == .invalidArgument, refusal != error {
                        logger.error("the adapter refuses the status", metadata: ["reason": "\(error)"])
                        refusal = error
                    }
                }
            }
            await bell.wait(atMost: Self.lookEvery)
            // A bell that rings without end must not become a tight loop.
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    private func hint(_ topic: String, _ name: String?) {
        let cursor = cursor.value.add(1, ordering: .relaxed).newValue
        hints.publish(topic: topic, name: name ?? "", cursor: cursor)
    }

    private func tellIndexer() async {
        var told: VolumeStatus?
        while !Task.isCancelled {
            let now = await volume()
            do {
                // A volume that never opened has no identity to report.
                if now.volumeID != nil {
                    _ = try await indexer.call(
                        IndexerMethods.reportVolume,
                        ReportVolumeRequest(volume: now, owner: instance, ownerAddress: address()), timeout: .seconds(5)
                    )
                    told = now
                }
            } catch {
                logger.debug("volume not reported: \(error)")
            }
            for _ in 0..<10 {
                try? await Task.sleep(for: .seconds(1))
                if Task.isCancelled { return }
                let next = await volume()
                if told.map(StatusDifference.key) != StatusDifference.key(next) { break }
            }
        }
    }
}

/// What the adapter has been told. Pure.
struct Told: Sendable {
    private var sources: [SourceName?: SourceStatus] = [:]
    private var tasks: [StreamName?: TaskStatus] = [:]
    private var volumes: [VolumeStatus] = []

    /// What differs from what was told, counters and times apart.
    func changes(_ report: ReportStatusRequest) -> ReportStatusRequest {
        ReportStatusRequest(
            controllerID: report.controllerID,
            sources: report.sources.filter { sources[$0.source] != StatusDifference.key($0) },
            tasks: report.tasks.filter { tasks[$0.stream] != StatusDifference.key($0) },
            volumes: report.volumes.map(StatusDifference.key) == volumes ? [] : report.volumes)
    }

    mutating func remember(_ report: ReportStatusRequest) {
        sources = Dictionary(
            report.sources.map { ($0.source, StatusDifference.key($0)) }, uniquingKeysWith: { $1 })
        tasks = Dictionary(report.tasks.map { ($0.stream, StatusDifference.key($0)) }, uniquingKeysWith: { $1 })
        volumes = report.volumes.map(StatusDifference.key)
    }
}
