// Removes from the archive volume what the indexer lets go: files that are uploaded and that no open request needs. The
// indexer decides which and when; this only unlinks and reports.
import Claims
import Logging
import Metrics
import RPC
import ServiceKit
import Volume
import Wire

struct Eviction: Sendable {
    let archive: ArchiveVolume
    let indexer: RPCClient
    let instance: String
    let logger: Logger
    let lane: BlockingLane

    /// Time between two questions. A volume that fills has the indexer's reserve, which lasts for minutes.
    private static let interval = Duration.seconds(10)
    private static let limit: UInt32 = 200
    private static let removed = Counter(label: "sightglass_uploader_files_evicted_total")

    /// Runs until its task is cancelled.
    func run() async {
        while !Task.isCancelled {
            var more = false
            do {
                if let volume = await archive.current() { more = try await turn(on: volume) }
            } catch {
                logger.debug("cannot ask what may be deleted", metadata: ["error": "\(error)"])
            }
            if !more { try? await Task.sleep(for: Self.interval) }
        }
    }

    /// One question and what follows from it. True where there may be more.
    private func turn(on volume: VolumeRoot) async throws -> Bool {
        let reply = try await indexer.call(
            IndexerMethods.getDeletionGrants,
            GetDeletionGrantsRequest(volumeID: volume.volumeID, owner: instance, limit: Self.limit))
        // What is granted ahead is kept: a file here is quicker to read than one in the cloud.
        let paths = reply.grants.filter { $0.now == true }.compactMap(\.path)
        guard !paths.isEmpty else { return false }
        var gone: [String] = []
        for path in paths {
            do {
                let checked = try RelativePath(path)
                try await lane.runUnlessCancelled { _ = try volume.remove(checked) }
                gone.append(path)
            } catch let error as VolumeError {
                logger.warning("cannot delete an uploaded file", metadata: ["reason": "\(error)"])
            }
        }
        guard !gone.isEmpty else { return false }
        _ = try await indexer.call(
            IndexerMethods.reportDeleted,
            ReportDeletedRequest(volumeID: volume.volumeID, owner: instance, paths: gone))
        Self.removed.increment(by: gone.count)
        logger.info(
            "deleted uploaded files", metadata: ["files": "\(gone.count)", "volume": "\(volume.volumeID)"])
        return reply.grants.count >= Int(Self.limit) && gone.count == paths.count
    }
}
