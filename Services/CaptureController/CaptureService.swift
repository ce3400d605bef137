// Start and stop of everything that is not a loop over a neighbour: volume and salvage, sources, disk, outbox. On a graceful stop
// the segments are sealed, the records spooled, the cameras closed and the leases given back, in this order, within 3 s.
import Logging
import RPC
import ServiceKit
import ServiceLifecycle
import Volume
import Wire

struct CaptureService: Service, CustomStringConvertible {
    var description: String { "cameras" }
    let engine: CaptureEngine
    let keeper: VolumeKeeper
    let disk: DiskThread
    let renditions: RenditionThread
    let outbox: Outbox
    let inventory: Inventory
    let spool: Spool
    let registry: RPCClient
    let indexer: RPCClient
    let instance: String
    /// Between two comparisons of volume and catalogue.
    let reconcileSeconds: Int
    let logger: Logger
    private let blocking = BlockingLane("volume")
    private let stopping = BlockingLane("stop")

    init(
        engine: CaptureEngine, keeper: VolumeKeeper, disk: DiskThread, renditions: RenditionThread, outbox: Outbox,
        inventory: Inventory, spool: Spool, registry: RPCClient, indexer: RPCClient, instance: String,
        reconcileSeconds: Int, logger: Logger
    ) {
        self.engine = engine
        self.keeper = keeper
        self.disk = disk
        self.renditions = renditions
        self.outbox = outbox
        self.inventory = inventory
        self.spool = spool
        self.registry = registry
        self.indexer = indexer
        self.instance = instance
        self.reconcileSeconds = reconcileSeconds
        self.logger = logger
    }

    func run() async throws {
        let ticker = Ticker(engine.sessions)
        await cancelWhenGracefulShutdown { await watchVolume() }
        await stop()
        ticker.stop()
    }

    /// Opens the volume, finishes what an earlier life left, lets the sources start, then keeps volume and catalogue together;
    /// all over again when the volume was lost and came back.
    private func watchVolume() async {
        var isReleased = false
        var reconciling: Task<Void, Never>?
        var lastSalvage = ContinuousClock.now
        while !Task.isCancelled {
            let opened = (try? await blocking.run { [keeper] in keeper.tryOpen() }) ?? false
            var killedAtUs: [SourceKey: Int64] = [:]
            if opened, let volume = keeper.current {
                killedAtUs = await salvage(volume)
                reconciling?.cancel()
                reconciling = Task { await reconcile() }
                lastSalvage = .now
            } else if keeper.current == nil {
                // It holds the volume's lock; waiting for the indexer with it, the volume could not be opened again.
                reconciling?.cancel()
            } else if ContinuousClock.now - lastSalvage > Self.salvagePause, await hasRoom(), disk.busy.takeLeftovers(),
                let volume = keeper.current
            {
                // The volume was full, or refused some bytes, and takes them again.
                lastSalvage = .now
                _ = await salvage(volume)
            }
            if !isReleased {
                let ends = try? await blocking.run { [inventory] in try inventory.footageEnds() }
                await engine.release(killedAtUs: killedAtUs, footageEndUs: ends ?? [:])
                isReleased = true
            }
            try? await Task.sleep(for: .seconds(2))
        }
        reconciling?.cancel()
    }

    /// Between two attempts to finish what a volume that was full left in staging.
    static let salvagePause = Duration.seconds(10)
    /// Closing a leftover takes some kilobytes; with less room it would only fail again.
    static let salvageRoomBytes: Int64 = 1 << 20

    private func hasRoom() async -> Bool {
        let space = try? await blocking.run { [keeper] in try keeper.current?.freeSpace() }
        return space.flatMap { $0 }.map { $0.availableBytes >= Self.salvageRoomBytes } ?? false
    }

    private func salvage(_ volume: VolumeRoot) async -> [SourceKey: Int64] {
        let folders = await engine.folders()
        // Before what is salvaged is among it.
        let ends = (try? await blocking.run { [inventory] in try inventory.footageEnds() }) ?? [:]
        let salvage = Salvage(
            volume: volume, instance: instance, leases: await engine.heldLeases, folder: { folders[$0] ?? "" },
            busy: disk.busy, logger: logger)
        let unnoted = UnnotedFiles(volume: volume, inventory: inventory)
        let finish: @Sendable () -> SalvageResult = { [logger] in
            // Looked for first: what is salvaged is noted below.
            let found = Result { try unnoted.find() }
            var result = salvage.run()
            switch found {
            case .success(let paths): salvage.note(paths, &result)
            case .failure(let error): logger.warning("files that nobody noted could not be looked for: \(error)")
            }
            return result
        }
        guard let result = try? await blocking.run(finish) else { return [:] }
        for record in result.records { outbox.put(record) }
        let nowUs = wallClockUs()
        let told =
            result.records.isEmpty
            ? [] : (try? await blocking.run { try GapJournal(volume).read(nowUs: nowUs).gaps }) ?? []
        for gap in result.gaps + result.untold(since: ends, told: told) {
            outbox.put(MediaRecord(gap: gap))
            _ = disk.put(.gap(gap))
        }
        if result.failed > 0 { disk.busy.noteLeftovers() }
        return result.endUs
    }

    private func reconcile() async {
        await ReconcileLoop(
            keeper: keeper, indexer: indexer, inventory: inventory, spool: spool, everySeconds: reconcileSeconds,
            logger: logger,
            comparison: { volume in
                Reconcile(
                    volume: volume, indexer: indexer, instance: instance, inventory: inventory, outbox: outbox,
                    spool: spool, logger: logger, source: { [engine] in await engine.source(of: $0) },
                    wantsRendition: { [sessions = engine.sessions] segment in
                        SourceKey(segment.source).flatMap { sessions[$0] }?.found(segment)
                    })
            }
        ).run()
    }

    private func stop() async {
        let held = await engine.leasesHeld
        let sessions = await engine.stop()
        let disk = disk
        let outbox = outbox
        renditions.close()
        _ = try? await stopping.run {
            disk.close(waitingAtMost: 2)
            outbox.close()
            for session in sessions { session.join(waitingAtMost: 0.3) }
        }
        guard !held.isEmpty else { return }
        _ = try? await registry.call(
            AssetRegistryMethods.releaseLeases, ReleaseLeasesRequest(holder: instance, leases: held),
            timeout: .milliseconds(500))
    }
}
