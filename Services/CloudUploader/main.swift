// cloud-uploader: puts archived files into Azure Blob Storage, or sees that a volume that uploads by itself has them. The
// only process that speaks to the cloud. It owns nothing durable.
// Wiring only. UploadPlan.swift and RetryTable.swift decide, BlobTarget.swift uploads, the claim loop is Shared/Claims.
import Claims
import ServiceKit
import ServiceLifecycle
import Wire

await ServiceProgram(
    role: "cloud-uploader", summary: "Puts archived files into Azure Blob Storage, verified, and never twice.",
    settings: UploaderKeys.all
).run { runtime in
    let (settings, logger, health) = (runtime.settings, runtime.logger, runtime.health)
    let target: any UploadTarget
    if settings[UploaderKeys.target] == "folder" {
        target = FolderTarget()
    } else {
        let client = BlobClient(location: try BlobLocation(settings), secrets: runtime.secrets, clock: runtime.clock)
        target = BlobTarget(
            client: client, mayCreateContainer: settings[UploaderKeys.createContainer],
            blocksInFlight: settings[UploaderKeys.blocksInFlight], logger: logger,
            report: { isReady, reason in health.set("storage", ready: isReady, reason: reason) })
    }
    let server = try runtime.makeServer()
    let indexer = try runtime.makeClient(role: "indexer")
    let hints = try runtime.makeSubscriber(role: "indexer", topics: ["claims/upload"])
    let archive = ArchiveVolume(
        path: settings[UploaderKeys.archiveVolume], access: .reader, logger: logger,
        report: { isReady, reason in health.set("archive-volume", ready: isReady, reason: reason) })
    let cut = PreparedFile.Cut(
        singlePutBytes: Int64(settings[UploaderKeys.singlePutBytes]),
        blockBytes: Int64(settings[UploaderKeys.blockBytes]))
    let work = UploadWork(
        archive: archive, target: target, cut: cut, logger: logger,
        lane: BlockingLane("hash", threads: settings[UploaderKeys.parallel]))
    let worker = ClaimWorker(
        client: indexer,
        options: .init(
            work: .upload, worker: runtime.caller, kinds: [.segment, .snapshot, .clip, .manifest],
            parallel: settings[UploaderKeys.parallel], lease: .milliseconds(settings[UploaderKeys.leaseMs]),
            wait: .milliseconds(settings[UploaderKeys.waitMs])),
        metric: "sightglass_uploader", logger: logger,
        mayClaim: {
            guard await archive.current() != nil else { return false }
            return await target.mayWork()
        }, perform: work.perform)
    let eviction = Eviction(
        archive: archive, indexer: indexer, instance: runtime.instance, logger: logger, lane: BlockingLane("evict"))
    let uploadsByItself = settings[UploaderKeys.target] == "folder"
    return [
        server,
        CloudUploaderService(
            worker: worker, archive: archive, target: target, hints: hints, eviction: uploadsByItself ? nil : eviction),
    ]
}
