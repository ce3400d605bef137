// Deletes what the indexer grants. A soft hold of EnsureFootage keeps a file even against a grant that is older than the hold.
// Grants ahead (`now` false) are kept in memory and used one by one, oldest footage first, while the volume is nearly full, also
// when the indexer is away; it is told when it is back.
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
    let isHeld: @Sendable (SourceKey, Span) async throws -> Bool
    let logger: Logger
    private let blocking = BlockingLane("deletion", isUrgent: false)
    private let deleted = Counter(label: "sightglass_controller_files_deleted_total")

    /// As many as the indexer gives at once.
    private static let mostGrants: UInt32 = 1000
    /// Files that share their folders' syncs, and the pause behind them: at most 500 files a second, three hundred times what sixteen
    /// cameras record, and four fifths of the time the disk is left to those who write.
    private static let filesAtOnce = 20
    private static let pause = Duration.milliseconds(40)
    /// Below this part of the volume free, grants ahead are used.
    static let lowFreePart = 0.05

    init(
        keeper: VolumeKeeper, indexer: RPCClient, instance: String, interval: Duration, inventory: Inventory,
        logger: Logger, isHeld: @escaping @Sendable (SourceKey, Span) async throws -> Bool
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
            var book = GrantBook()
            while !Task.isCancelled {
                do {
                    if try await pass(&book) { continue }
                } catch { logger.debug("no deletion: \(error)") }
                await keeper.roomNeeded.wait(atMost: interval)
                // A full volume rings with each keyframe of each camera.
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    /// True where there is more to do at once.
    private func pass(_ book: inout GrantBook) async throws -> Bool {
        guard let volume = keeper.current else { return false }
        do {
            let reply = try await indexer.call(
                IndexerMethods.getDeletionGrants,
                GetDeletionGrantsRequest(volumeID: volume.volumeID, owner: instance, limit: Self.mostGrants))
            book.granted(reply.grants, volumeID: volume.volumeID)
        } catch {
            logger.debug("the indexer gives no grants, those given ahead are used: \(error)")
        }
        var gone = 0
        let granted = book.takeNow()
        for start in stride(from: 0, to: granted.count, by: Self.filesAtOnce) {
            let part = granted[start..<min(start + Self.filesAtOnce, granted.count)]
            gone += try await delete(Array(part), volume, &book)
            // Whoever records comes first.
            try await Task.sleep(for: Self.pause)
        }
        while !book.ahead.isEmpty, try await isLow(volume) {
            guard let path = book.takeAhead() else { break }
            gone += try await delete([path], volume, &book)
        }
        if gone > 0 {
            deleted.increment(by: gone)
            logger.info("files deleted as granted", metadata: ["files": "\(gone)"])
        }
        while book.volumeID == volume.volumeID, case let part = book.nextReport, !part.isEmpty {
            _ = try await indexer.call(
                IndexerMethods.reportDeleted,
                ReportDeletedRequest(volumeID: volume.volumeID, owner: instance, paths: part))
            book.reported(part.count)
        }
        return gone > 0 && granted.count == Int(Self.mostGrants)
    }

    private func isLow(_ volume: VolumeRoot) async throws -> Bool {
        try await blocking.run {
            let space = try volume.freeSpace()
            return Double(space.availableBytes) < Double(space.totalBytes) * Self.lowFreePart
        }
    }

    /// Gives how many are gone now. One that cannot be removed costs the others nothing; it is granted again.
    private func delete(_ paths: [String], _ volume: VolumeRoot, _ book: inout GrantBook) async throws -> Int {
        var wanted: [RelativePath] = []
        for path in paths {
            guard let relative = try? RelativePath(path) else { continue }
            if let file = try await inventory.file(path), try await isHeld(file.source, file.span) {
                logger.info("a granted file is kept, a soft hold protects it", metadata: ["path": "\(path)"])
            } else {
                wanted.append(relative)
            }
        }
        let chosen = wanted
        let gone = try await blocking.run { [logger] in
            try volume.remove(chosen) { path, error in
                logger.warning("a granted file could not be deleted: \(error)", metadata: ["path": "\(path.string)"])
            }
        }.map(\.string)
        for path in gone { book.deleted(path) }
        try await inventory.remove(gone)
        return gone.count
    }
}

/// What the indexer granted, and what was deleted and not yet reported. Pure.
struct GrantBook: Sendable, Equatable {
    private(set) var volumeID: String?
    private var now: [String] = []
    /// Granted ahead, the oldest footage last: used from the end.
    private(set) var ahead: [String] = []
    private(set) var unreported: [String] = []
    /// What is kept to be reported; a restart reports the rest by reconciliation.
    static let mostUnreported = 5000
    /// Paths of one report: with the longest paths half of what a message may have.
    static let mostInReport = 500

    /// The indexer's present word, oldest footage first; it replaces the earlier one.
    mutating func granted(_ grants: [DeletionGrant], volumeID: String) {
        if self.volumeID != volumeID { unreported = [] }
        self.volumeID = volumeID
        let told = Set(unreported)
        let open = grants.filter { $0.path.map { !told.contains($0) } ?? false }
        now = open.filter { $0.now ?? false }.compactMap(\.path)
        ahead = open.filter { !($0.now ?? false) }.compactMap(\.path).reversed()
    }

    mutating func takeNow() -> [String] {
        defer { now = [] }
        return now
    }

    mutating func takeAhead() -> String? { ahead.popLast() }

    mutating func deleted(_ path: String) {
        if unreported.count < Self.mostUnreported { unreported.append(path) }
    }

    /// What goes into one report; empty when all is reported.
    var nextReport: [String] { Array(unreported.prefix(Self.mostInReport)) }

    mutating func reported(_ count: Int) { unreported.removeFirst(min(count, unreported.count)) }
}
