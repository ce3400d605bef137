// capture-controller: camera sessions, ring buffers, the files of its recording volume.
//
// The way of a frame: RTSPClient (the cameras' thread) -> SourceSession -> SourcePipeline (anchor, ring, RecorderMachine) -> DiskThread
// (SegmentWriter) -> Outbox -> Spool -> RecordSender -> indexer. SnapshotTask and PushTask hang on the session. What shall run
// comes from the asset-registry: RegistryLoops -> CaptureEngine -> SourcePlan. Wiring only in this file.
import RPC
import RTSP
import ServiceKit
import ServiceLifecycle
import Wire

await ServiceProgram(
    role: "capture-controller", callers: CaptureControllerMethods.callerRoles,
    summary: "Records cameras: one session per camera, segments on the recording volume, pictures, live pushes.",
    settings: ControllerKeys.all
).run { runtime in
    let configuration = try ControllerConfiguration(runtime)
    let logger = runtime.logger
    let store = try StateStore.open(directory: configuration.stateDirectory)
    let spool = Spool(store: store, bound: configuration.spoolRecords)
    let inventory = Inventory(store: store)

    let registry = try runtime.makeClient(role: "asset-registry")
    let indexer = try runtime.makeClient(role: "indexer")
    let adapter = try runtime.makeClient(
        role: "mqtt-edge-adapter", limits: RPCClientLimits(maximumMessageBytes: RPCContractLimits.snapshotMessageBytes))
    let subscriber = try runtime.makeSubscriber(role: "asset-registry", topics: ["configuration/", "leases/"])
    let hints = try runtime.makePublisher()
    let server = try runtime.makeServer()
    let address: @Sendable () -> String = { server.listeningAddresses.first?.description ?? "" }

    let keeper = VolumeKeeper(path: configuration.recordingVolume, logger: logger) { [health = runtime.health] in
        health.set("volume", ready: $0, reason: $1)
    }
    runtime.health.set("volume", ready: false, reason: "the recording volume is not open yet")
    let outbox = Outbox(spool: spool, inventory: inventory, logger: logger)
    let disk = DiskThread(
        keeper: keeper, queueBytes: configuration.diskQueueBytes, syncIntervalUs: configuration.syncIntervalUs,
        logger: logger, record: { outbox.put($0) })
    let renditions = RenditionThread(
        keeper: keeper, busy: disk.busy, mediaWorker: configuration.mediaWorker, instance: configuration.instance,
        logger: logger, record: { outbox.put($0) })
    let bell = Wakeup()
    let equipment = Equipment(
        configuration: configuration,
        cameras: try RTSPClient(name: "cameras", forbidden: configuration.forbiddenNetworks),
        mediaServers: try RTSPClient(name: "pushes", forbidden: configuration.forbiddenNetworks), disk: disk,
        renditions: renditions, outbox: outbox, adapter: adapter,
        secrets: { [secrets = runtime.secrets] in try secrets.read($0).revealed },
        certificates: { [secrets = runtime.secrets] in try secrets.readCertificates($0) }, logger: logger,
        statusChanged: { bell.signal() })
    let engine = CaptureEngine(
        planner: Planner(
            volumePath: configuration.recordingVolume, defaultSegmentSeconds: UInt32(configuration.segmentSeconds)),
        equipment: equipment, inventory: inventory, cache: ConfigurationCache(directory: configuration.stateDirectory))
    await engine.restore(windows: try inventory.windows(nowUs: wallClockUs()))

    let sender = RecordSender(
        spool: spool, outbox: outbox, indexer: indexer, instance: runtime.instance, logger: logger)
    let status = StatusReporter(
        sessions: engine.sessions, keeper: keeper, sender: sender, adapter: adapter, indexer: indexer, hints: hints,
        instance: runtime.instance, address: address, fullEvery: .seconds(configuration.statusSeconds), bell: bell,
        logger: logger)
    Calls(
        engine: engine, footage: FootageCalls(engine: engine, inventory: inventory), status: status, keeper: keeper,
        equipment: equipment
    ).register(on: server)

    let signals = RegistrySignals()
    let drain = Drain(signals, registry: registry)
    if configuration.drainSeconds > 0 {
        runtime.beforeStopping { await drain.run(atMost: .seconds(configuration.drainSeconds)) }
    }
    // Stopped from the end: first nobody asks for leases any more, then the cameras, then what is left to be sent.
    return [
        server, sender,
        CaptureService(
            engine: engine, keeper: keeper, disk: disk, renditions: renditions, outbox: outbox, inventory: inventory,
            spool: spool, registry: registry,
            indexer: indexer, instance: runtime.instance, reconcileSeconds: configuration.reconcileSeconds,
            logger: logger),
        Deletion(
            keeper: keeper, indexer: indexer, instance: runtime.instance,
            interval: .seconds(configuration.deletionSeconds), inventory: inventory, logger: logger,
            isHeld: { [sessions = engine.sessions] source, span in
                if sessions[source]?.holds(span) ?? false { return true }
                return try await inventory.isHeld(source, span, nowUs: wallClockUs())
            }),
        status, SecondLoop(engine: engine),
        ConfigurationLoop(engine: engine, registry: registry, signals: signals, logger: logger),
        LeaseLoop(
            engine: engine, registry: registry, instance: runtime.instance, address: address,
            capacity: configuration.capacity, signals: signals, drain: drain, logger: logger),
        HintLoop(subscriber: subscriber, signals: signals),
    ]
}
