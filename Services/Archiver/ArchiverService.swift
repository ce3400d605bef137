// The archiver's loops: the worker, the hints that wake it, and the report of the volume to the indexer.
import Claims
import Clips
import Logging
import RPC
import ServiceKit
import ServiceLifecycle
import Volume
import Wire

/// Runs until graceful shutdown; then stops copies, hands claims back and ends.
struct ArchiverService: Service {
    let worker: ClaimWorker
    let archive: ArchiveVolume
    let footage: RPCFootageCalls
    let indexer: RPCClient
    let hints: HintSubscriber
    let instance: String

    /// Time between two reports of the archive volume: enough for a display of free space.
    private static let reportInterval = Duration.seconds(30)
    /// Time between two looks at the volume, so that its loss shows in health while no work is there.
    private static let watchInterval = Duration.seconds(2)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await worker.run() }
                group.addTask { for await _ in hints.hints { worker.wake() } }
                group.addTask { await watch() }
            }
        }
        footage.close()
    }

    private func watch() async {
        var reportedAt: ContinuousClock.Instant?
        while !Task.isCancelled {
            let volume = await archive.current()
            if let volume, reportedAt.map({ .now - $0 >= Self.reportInterval }) ?? true {
                let space = try? volume.freeSpace()
                let status = VolumeStatus(
                    volumeID: volume.volumeID, role: volume.identity.role.rawValue, mountPath: volume.path,
                    writable: true,
                    totalBytes: space.map { UInt64(clamping: $0.totalBytes) },
                    freeBytes: space.map { UInt64(clamping: $0.availableBytes) })
                let request = ReportVolumeRequest(volume: status, owner: instance, ownerAddress: "")
                if (try? await indexer.call(IndexerMethods.reportVolume, request)) != nil { reportedAt = .now }
            }
            try? await Task.sleep(for: Self.watchInterval)
        }
    }
}

/// What the worker does with an item.
struct ArchiveWork: Sendable {
    let archive: ArchiveVolume
    let sources: SourceFiles
    let clips: ClipMaker
    let instance: String
    let logger: Logger

    func perform(_ item: ClaimedItem) async -> ClaimOutcome {
        guard let volume = await archive.current() else {
            if Task.isCancelled { return .stopped }
            return .failed(
                reason: "the archive volume cannot be used; see the archiver's health for the reason",
                isRetryable: true, retryAfter: ArchiveProblem.volumePause)
        }
        let copier = Copier(
            volume: volume, instance: instance, sources: sources,
            clips: ItemClips(maker: clips), logger: logger)
        let start = ContinuousClock.now
        do {
            let done = try await copier.archive(item)
            logger.info(
                "archived",
                metadata: [
                    "path": "\(item.archivePath ?? "")", "bytes": "\(done.sizeBytes ?? 0)",
                    "ms": "\(Int((.now - start) / .milliseconds(1)))",
                ])
            return .completed(done)
        } catch let problem as ArchiveProblem {
            return .failed(
                reason: problem.reason, isRetryable: problem.isRetryable, retryAfter: problem.retryAfter)
        } catch let error as VolumeError {
            await archive.failed(error, neededBytes: Int64(clamping: item.source?.sizeBytes ?? 0))
            let problem = ArchiveProblem.onArchive(error)
            return .failed(
                reason: problem.reason, isRetryable: problem.isRetryable, retryAfter: problem.retryAfter)
        } catch is CancellationError {
            return .stopped
        } catch {
            return .failed(reason: "\(item.archivePath ?? ""): \(error)", isRetryable: true)
        }
    }

    /// Removes what an earlier life of this instance left in staging. Others' files are theirs.
    static func removeLeftovers(of instance: String, in volume: VolumeRoot, logger: Logger) throws {
        for entry in try volume.stagingEntries() {
            guard let name = entry.name, name.owner == instance else { continue }
            try volume.discardStaged(name)
            logger.info("removed what an interrupted copy left", metadata: ["file": "\(entry.fileName)"])
        }
    }
}
