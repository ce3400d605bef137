// cloud-uploader: puts archived files into Azure Blob Storage, or sees that a volume that uploads by itself has them. The
// only process that speaks to the cloud. It owns nothing durable.
// Wiring only. UploadPlan.swift and RetryTable.swift decide, BlobTarget.swift uploads over the line of PacedLine.swift, the claim
// loop is Shared/Claims.
import Claims
import ServiceKit
import ServiceLifecycle
import Wire

await ServiceProgram(
    role: "cloud-uploader", callers: CloudUploaderMethods.callerRoles,
    summary: "Puts archived files into Azure Blob Storage, verified, and never twice.",
    settings: UploaderKeys.all
).run { runtime in
    let (settings, logger, health) = (runtime.settings, runtime.logger, runtime.health)
    let line = PacedLine(
        schedule: try BandwidthSchedule(
            bandwidth: settings[UploaderKeys.bandwidth], byTime: settings[UploaderKeys.bandwidthByTime],
            zone: settings[UploaderKeys.timeZone]),
        maximum: settings[UploaderKeys.blocksInFlight] * settings[UploaderKeys.parallel], clock: runtime.clock,
        report: { isReady, reason in health.set("storage-line", ready: isReady, reason: reason) })
    let target: any UploadTarget
    var blobs: BlobTarget?
    if settings[UploaderKeys.target] == "folder" {
        target = FolderTarget()
    } else {
        let client = try BlobClient(runtime, line: line)
        let storage = BlobTarget(
            client: client, mayCreateContainer: settings[UploaderKeys.createContainer],
            blocksInFlight: settings[UploaderKeys.blocksInFlight], wantsTags: settings[UploaderKeys.indexTags],
            logger: logger,
            report: { isReady, reason in health.set("storage", ready: isReady, reason: reason) })
        (target, blobs) = (storage, storage)
    }
    let server = try runtime.makeServer()
    VerifyCalls(blobs: blobs, line: line).register(on: server)
    let indexer = try runtime.makeClient(role: "indexer")
    let hints = try runtime.makeSubscriber(role: "indexer", topics: ["claims/upload"])
    let archive = ArchiveVolume(
        path: settings[UploaderKeys.archiveVolume], access: .reader, logger: logger,
        report: { isReady, reason in health.set("archive-volume", ready: isReady, reason: reason) })
    let cut = PreparedFile.Cut(
        singlePutBytes: Int64(settings[UploaderKeys.singlePutBytes]),
        blockBytes: Int64(settings[UploaderKeys.blockBytes]))
    let work = UploadWork(
        archive: archive, target: target, cut: cut, wantsMD5: settings[UploaderKeys.contentMD5], logger: logger,
        lane: BlockingLane("hash", threads: settings[UploaderKeys.parallel]))
    let worker = ClaimWorker(
        client: indexer,
        options: .init(
            work: .upload, worker: runtime.caller, kinds: [.segment, .snapshot, .clip, .manifest],
            parallel: settings[UploaderKeys.parallel], lease: .milliseconds(settings[UploaderKeys.leaseMs]),
            wait: .milliseconds(settings[UploaderKeys.waitMs])),
        metric: "sightglass_uploader", logger: logger,
        mayClaim: {
            guard line.isOpen, await archive.current() != nil else { return false }
            return await target.mayWork()
        }, perform: work.perform)
    let eviction = Eviction(
        archive: archive, indexer: indexer, instance: runtime.instance, logger: logger, lane: BlockingLane("evict"))
    let uploadsByItself = settings[UploaderKeys.target] == "folder"
    return [
        server,
        CloudUploaderService(
            worker: worker, archive: archive, target: target, line: line, hints: hints,
            eviction: uploadsByItself ? nil : eviction),
    ]
}
