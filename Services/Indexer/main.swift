// indexer: the catalogue. This file wires; the calls are in …Calls.swift, the tables in …Table.swift, the decisions in
// EventWindow, FootageCheck, CoverageMap, SegmentRanking, RequestMachine, ItemMachine and RetentionPlanner.

import RPC
import ServiceKit
import ServiceLifecycle
import Wire

await ServiceProgram(
    role: "indexer", callers: IndexerMethods.callerRoles,
    summary: "The catalogue: what was recorded, what is to be archived, what may be deleted.",
    settings: IndexerKeys.all
).run { runtime in
    let state = try StateDirectory(
        runtime.settings[IndexerKeys.stateDirectory], database: "catalogue.sqlite", lockFile: "indexer.lock",
        role: runtime.role)
    if try RestoredCatalogue.setForeignLogAside(state.databasePath) {
        runtime.logger.notice(
            "the catalogue was put in place from a backup: the log of the one before it is not used",
            metadata: ["kept": "\(state.databasePath)-wal.replaced"])
    }
    let bell = WorkBell()
    let hints = try runtime.makePublisher()
    let herald = Herald(bell: bell) { topic, name, cursor in hints.publish(topic: topic, name: name, cursor: cursor) }
    let catalogue = try Catalogue(
        path: state.databasePath, policy: Policy(runtime.settings), clock: runtime.clock, holding: state,
        onCommit: herald.announce,
        onHealth: { problem in
            runtime.health.set("database", ready: problem == nil, reason: problem ?? "")
        })
    runtime.health.set("database", ready: true)

    let server = try runtime.makeServer()
    let counters = IndexerCounters()
    RecordCalls(catalogue: catalogue, counters: counters).register(on: server)
    QueryCalls(catalogue: catalogue).register(on: server)
    RequestCalls(catalogue: catalogue, counters: counters).register(on: server)
    let progress = ClaimProgress()
    ClaimCalls(catalogue: catalogue, bell: bell, progress: progress, counters: counters).register(on: server)
    UploadCalls(catalogue: catalogue, progress: progress).register(on: server)
    RetentionCalls(catalogue: catalogue, counters: counters).register(on: server)
    VolumeCalls(catalogue: catalogue).register(on: server)
    let longReads = LongReads(catalogue: catalogue)
    let backups = Backups(
        folder: BackupFolder(path: runtime.settings[IndexerKeys.stateDirectory] + "/backups"), longReads: longReads,
        clock: runtime.clock, logger: runtime.logger)
    BackupCalls(backups: backups).register(on: server)
    CheckCalls(longReads: longReads).register(on: server)

    let timer = TimerLoop(catalogue: catalogue, bell: bell, logger: runtime.logger)
    let upkeep = UpkeepLoop(catalogue: catalogue, longReads: longReads, logger: runtime.logger)
    return [
        server,
        BackgroundLoop("timer") { try await timer.run() },
        // Every quarter minute: a rush of records writes a few MiB of log in that time.
        BackgroundLoop("upkeep", every: .seconds(15)) { try await upkeep.turn() },
        BackgroundLoop("backups", every: .seconds(3600)) { try await backups.tidy() },
    ]
}
