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
    let logger: Logger
    private let blocking = BlockingLane("volume")
    private let stopping = BlockingLane("stop")

    init(
        engine: CaptureEngine, keeper: VolumeKeeper, disk: DiskThread, renditions: RenditionThread, outbox: Outbox,
        inventory: Inventory, spool: Spool, registry: RPCClient, indexer: RPCClient, instance: String, logger: Logger
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
        self.logger = logger
    }

    func run() async throws {
        let ticker = Ticker(engine.sessions)
        await cancelWhenGracefulShutdown { await watchVolume() }
        await stop()
        ticker.stop()
    }

    /// Opens the volume, finishes what an earlier life left, lets the sources start, then compares with the catalogue; all over
    /// again when the volume was lost and came back.
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
                reconciling = Task { await reconcile(volume) }
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
        guard let result = try? await blocking.run({ salvage.run() }) else { return [:] }
        for record in result.records { outbox.put(record) }
        let nowUs = wallClockUs()
        let told =
            result.salvaged == 0
            ? [] : (try? await blocking.run { try GapJournal(volume).read(nowUs: nowUs).gaps }) ?? []
        for gap in result.gaps + result.untold(since: ends, told: told) {
            outbox.put(MediaRecord(gap: gap))
            _ = disk.put(.gap(gap))
        }
        if result.failed > 0 { disk.busy.noteLeftovers() }
        return result.endUs
    }

    private func reconcile(_ volume: VolumeRoot) async {
        let pass = Reconcile(
            volume: volume, indexer: indexer, instance: instance, inventory: inventory, outbox: outbox, spool: spool,
            logger: logger, source: { [engine] in await engine.source(of: $0) },
            wantsRendition: { [sessions = engine.sessions] segment in
                SourceKey(segment.source).flatMap { sessions[$0] }?.found(segment)
            })
        while !Task.isCancelled {
            do {
                return try await pass.run()
            } catch {
                logger.debug("volume and catalogue not compared yet: \(error)")
                try? await Task.sleep(for: .seconds(2))
            }
        }
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
