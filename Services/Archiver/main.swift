// archiver: copies what the indexer asks for from the recording volumes to the archive volume. It owns nothing durable.
// Wiring only. ArchivePlan.swift decides, Copier.swift copies, the claim loop is Shared/Claims.
import Claims
import Clips
import RPC
import ServiceKit
import ServiceLifecycle
import Wire

await ServiceProgram(
    role: "archiver", summary: "Copies footage that was asked for to the archive volume, verified, with its sidecar.",
    settings: ArchiverKeys.all
).run { runtime in
    let (settings, logger, instance, health) = (runtime.settings, runtime.logger, runtime.instance, runtime.health)
    let server = try runtime.makeServer()
    let indexer = try runtime.makeClient(role: "indexer")
    let hints = try runtime.makeSubscriber(role: "indexer", topics: ["claims/archive"])
    let archive = ArchiveVolume(
        path: settings[ArchiverKeys.archiveVolume], access: .writer, logger: logger,
        report: { isReady, reason in health.set("archive-volume", ready: isReady, reason: reason) },
        prepare: { try ArchiveWork.removeLeftovers(of: instance, in: $0, logger: logger) })
    let mounted = settings[ArchiverKeys.recordingVolumes]
    let footage = RPCFootageCalls(indexer: indexer) { owner in
        let address = try RPCAddress(parsing: owner, allowInsecure: settings[CommonSettings.insecure])
        return try runtime.connect(role: "capture-controller", to: address)
    }
    let work = ArchiveWork(
        archive: archive, sources: SourceFiles(paths: mounted, calls: footage),
        clips: ClipMaker(calls: footage, volumes: mounted), instance: instance,
        logger: logger)
    let worker = ClaimWorker(
        client: indexer,
        options: .init(
            work: .archive, worker: runtime.caller, kinds: [.segment, .snapshot, .clip, .manifest],
            parallel: settings[ArchiverKeys.parallel], lease: .milliseconds(settings[ArchiverKeys.leaseMs]),
            wait: .milliseconds(settings[ArchiverKeys.waitMs])),
        metric: "sightglass_archiver", logger: logger,
        mayClaim: { await archive.current() != nil }, perform: { item, _ in await work.perform(item) })
    return [
        server,
        ArchiverService(
            worker: worker, archive: archive, footage: footage, indexer: indexer, hints: hints, instance: instance),
    ]
}
