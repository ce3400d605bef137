// Keeps volume and catalogue together for as long as the volume is open: compares once after it was opened, then looks four times a
// minute whether the catalogue still holds what we hold (one small question), and compares again when it does not, or when the
// slow timer says so. CatalogueWatch.swift decides.
import Logging
import RPC
import ServiceKit
import Volume
import Wire

struct ReconcileLoop: Sendable {
    let keeper: VolumeKeeper
    let indexer: RPCClient
    let inventory: Inventory
    let spool: Spool
    /// Between two comparisons that nothing but time asks for.
    let everySeconds: Int
    let logger: Logger
    /// A comparison of this volume.
    let comparison: @Sendable (VolumeRoot) -> Reconcile

    /// Between two looks; shorter only where `everySeconds` is.
    static let lookEvery = Duration.seconds(15)
    /// Until the second look at a difference, and to an indexer that does not answer: it may come back with another catalogue.
    static let lookAgainAfter = Duration.seconds(5)
    /// Until the next try where records were on their way, or a neighbour is away.
    static let retryAfter = Duration.seconds(2)

    /// Until cancelled.
    func run() async {
        var watch = CatalogueWatch(everyUs: Int64(everySeconds) * 1_000_000)
        var breaker = PruneBreaker()
        var foreign: Set<String> = []
        var isFirst = true
        var mustCompare = true
        while !Task.isCancelled {
            var pause = min(Self.lookEvery, .seconds(everySeconds))
            do {
                if mustCompare || watch.isDue(nowUs: MonotonicTime.nowUs()) {
                    mustCompare = true
                    // Held for the comparison only: the volume's lock must be free when it is lost.
                    guard let volume = keeper.current else { throw RPCError.unavailable("the volume is not open") }
                    foreign = try await comparison(volume).run(
                        isFirst: isFirst, passingOver: foreign, breaker: &breaker
                    ).foreign
                    watch.compared(nowUs: MonotonicTime.nowUs())
                    pause = min(pause, Self.retryAfter)
                    (isFirst, mustCompare) = (false, false)
                } else if let seen = try await look() {
                    mustCompare = watch.saw(
                        catalogue: seen.catalogue, own: seen.own, nowUs: MonotonicTime.nowUs())
                    if mustCompare {
                        logger.warning(
                            "the catalogue holds other files of the volume than we do, they are compared",
                            metadata: ["catalogue": "\(seen.catalogue.files)", "volume": "\(seen.own.files)"])
                        continue
                    }
                    if watch.isSuspicious {
                        logger.debug(
                            "volume and catalogue differ",
                            metadata: ["catalogue": "\(seen.catalogue)", "volume": "\(seen.own)"])
                        pause = min(pause, Self.lookAgainAfter)
                    }
                } else {
                    pause = Self.retryAfter
                }
            } catch {
                logger.debug("volume and catalogue not compared: \(error)")
                watch.lostSight()
                pause = mustCompare ? Self.retryAfter : min(pause, Self.lookAgainAfter)
            }
            try? await Task.sleep(for: pause)
        }
    }

    /// What both hold; nil where records are on their way. A catalogue that has not heard of the volume holds nothing of it.
    private func look() async throws -> (catalogue: Holding, own: Holding)? {
        guard let volumeID = keeper.current?.volumeID, try await spool.count() == 0 else { return nil }
        let own = try await inventory.holding()
        let reply = try await indexer.call(IndexerMethods.listVolumes, ListVolumesRequest())
        guard try await inventory.holding() == own, try await spool.count() == 0 else { return nil }
        let known = reply.volumes.first { $0.volume?.volumeID == volumeID }
        return (Holding(files: Int64(clamping: known?.files ?? 0), bytes: Int64(clamping: known?.bytes ?? 0)), own)
    }
}
