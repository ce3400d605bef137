// Empties the spool into the indexer: in order, acknowledged records are forgotten, everything else is sent again for ever.
import Logging
import Metrics
import RPC
import ServiceKit
import ServiceLifecycle
import Synchronization
import Wire

final class RecordSender: Service, CustomStringConvertible {
    var description: String { "records" }
    private let spool: Spool
    private let indexer: RPCClient
    private let instance: String
    private let logger: Logger
    private let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation
    private let waiting = Gauge(label: "sightglass_controller_spooled_records")
    private let sent = Counter(label: "sightglass_controller_records_sent_total")
    /// Records that wait, as last counted; for the status.
    let spooled = Atomic<Int>(0)

    init(spool: Spool, outbox: Outbox, indexer: RPCClient, instance: String, logger: Logger) {
        self.spool = spool
        self.indexer = indexer
        self.instance = instance
        self.logger = logger
        (signals, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        outbox.onSpooled { [signal] in _ = signal.yield() }
        signal.yield()
    }

    func run() async throws {
        await withGracefulShutdownHandler {
            for await _ in signals {
                await drain()
                if Task.isCancelled { return }
            }
        } onGracefulShutdown: { [signal] in
            signal.finish()
        }
    }

    /// Sends until nothing waits. A neighbour that is away is asked again after 0.5 s, then ever more seldom up to 5 s.
    private func drain() async {
        var pauseMs = 500
        var isAway = false
        while !Task.isCancelled {
            do {
                let records = try await spool.oldest(limit: 500, maximumBytes: 800 << 10)
                try await count()
                guard !records.isEmpty else { return }
                let reply = try await indexer.call(
                    IndexerMethods.recordMedia, RecordMediaRequest(controllerID: instance, records: records))
                for rejected in reply.rejected {
                    logger.error(
                        "the indexer refused a record: \(rejected.message ?? "no reason given")",
                        metadata: ["spool_id": "\(rejected.spoolID ?? 0)"])
                }
                let settled = reply.acknowledged + reply.rejected.compactMap(\.spoolID)
                // An answer that settles nothing would make this a tight loop.
                guard !settled.isEmpty else { throw RPCError.internal("the indexer acknowledged nothing") }
                try await spool.remove(settled)
                sent.increment(by: settled.count)
                try await count()
                if isAway { logger.notice("the indexer takes records again") }
                isAway = false
                pauseMs = 500
            } catch {
                if !isAway { logger.warning("records wait in the spool: \(error)") }
                isAway = true
                if Task.isShuttingDownGracefully { return }
                let pause = Duration.milliseconds(pauseMs)
                try? await cancelWhenGracefulShutdown { try await Task.sleep(for: pause) }
                if Task.isShuttingDownGracefully { return }
                pauseMs = min(pauseMs * 2, 5000)
            }
        }
    }

    private func count() async throws {
        let now = try await spool.count()
        spooled.store(now, ordering: .relaxed)
        waiting.record(now)
    }
}
