// Deletes what the indexer grants. A soft hold of EnsureFootage keeps a file even against a grant that is older than the hold.
// Grants ahead (`now` false) are kept in memory and used, oldest footage first, when the volume is nearly full.
import Logging
import Metrics
import RPC
import ServiceKit
import ServiceLifecycle
import Volume
import Wire

struct Deletion: Service, CustomStringConvertible {
    var description: String { "deletion" }
    let keeper: VolumeKeeper
    let indexer: RPCClient
    let instance: String
    let interval: Duration
    let inventory: Inventory
    let isHeld: @Sendable (SourceKey, Span) async -> Bool
    let logger: Logger
    private let blocking = BlockingLane("deletion")
    private let deleted = Counter(label: "sightglass_controller_files_deleted_total")

    /// Below this part of the volume free, grants ahead are used.
    static let lowFreePart = 0.05

    init(
        keeper: VolumeKeeper, indexer: RPCClient, instance: String, interval: Duration, inventory: Inventory,
        logger: Logger, isHeld: @escaping @Sendable (SourceKey, Span) async -> Bool
    ) {
        self.keeper = keeper
        self.indexer = indexer
        self.instance = instance
        self.interval = interval
        self.inventory = inventory
        self.logger = logger
        self.isHeld = isHeld
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do { try await pass() } catch { logger.debug("no deletion: \(error)") }
                try? await Task.sleep(for: interval)
            }
        }
    }

    private func pass() async throws {
        guard let volume = keeper.current else { return }
        let reply = try await indexer.call(
            IndexerMethods.getDeletionGrants,
            GetDeletionGrantsRequest(volumeID: volume.volumeID, owner: instance, limit: 1000))
        guard !reply.grants.isEmpty else { return }
        let isLow = try await blocking.run {
            let space = try volume.freeSpace()
            return Double(space.availableBytes) < Double(space.totalBytes) * Self.lowFreePart
        }
        var gone: [String] = []
        for grant in reply.grants where (grant.now ?? false) || isLow {
            guard let path = grant.path, let relative = try? RelativePath(path) else { continue }
            if let file = try await inventory.file(path), await isHeld(file.source, file.span) {
                logger.info("a granted file is kept, a soft hold protects it", metadata: ["path": "\(path)"])
                continue
            }
            try await blocking.run { _ = try volume.remove(relative) }
            gone.append(path)
        }
        guard !gone.isEmpty else { return }
        try await inventory.remove(gone)
        deleted.increment(by: gone.count)
        _ = try await indexer.call(
            IndexerMethods.reportDeleted,
            ReportDeletedRequest(volumeID: volume.volumeID, owner: instance, paths: gone))
        logger.info("files deleted as granted", metadata: ["files": "\(gone.count)"])
    }
}
