// The registry over a real database: revisions, desired states, timers, leases, changes, and what a restart keeps.

import Foundation
import GRDB
import Logging
import RPC
import ServiceKit
import Synchronization
import Testing
import Wire

@testable import AssetRegistry

/// A registry on a database file that goes away with the test, with time in the test's hand.
private final class Bench: Sendable {
    let clock = ManualWallClock()
    let nowMs = Mutex<Int64>(0)
    let announced = Mutex<[Registry.Announcement]>([])
    let storageProblem = Mutex<String?>(nil)
    private let runCount = Mutex(0)
    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("registry-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    var path: String { folder.appendingPathComponent("registry.sqlite").path }

    func open() throws -> Registry {
        let options = Registry.Options(
            namespace: "aio", leaseMs: 5000, rebalanceAfterMs: 10_000, clock: clock,
            nowMs: { self.nowMs.withLock { $0 } },
            makeRunID: {
                self.runCount.withLock { count in
                    count += 1
                    return "run-\(count)"
                }
            },
            announce: { announcement in self.announced.withLock { $0.append(announcement) } },
            reportStorage: { problem in self.storageProblem.withLock { $0 = problem } })
        return try Registry(
            store: RegistryStore(path: path), options: options,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }
}

private let camera = """
    kind: Device
    name: cam1
    properties:
      endpoints: {inbound: {main: {endpointType: Microsoft.Media, address: "rtsp://192.0.2.1/main"}}}
    """
private let line = """
    kind: Asset
    name: line1
    properties:
      deviceRef: {deviceName: cam1, endpointName: main}
      streams:
        - {name: clips, streamConfiguration: '{"taskType":"clip-to-fs","duration":10}'}
        - {name: live, streamConfiguration: '{"taskType":"stream-to-rtsp","autostart":false}'}
        - {name: wrong, streamConfiguration: '{"taskType":"clip-to-fs","duration":0}'}
    """
private let clips = StreamName(asset: "line1", stream: "clips")
private let live = StreamName(asset: "line1", stream: "live")

@Suite struct RegistryTests {
    private let bench: Bench

    init() throws { bench = try Bench() }

    private func opened() async throws -> Registry {
        let registry = try bench.open()
        _ = try await registry.apply(ApplyRequest(text: camera + "\n---\n" + line))
        return registry
    }

    private func desired(_ name: StreamName, _ registry: Registry) async -> DesiredState? {
        await registry.getConfiguration(GetConfigurationRequest()).streams.first { $0.name == name }?.desired
    }

    @Test func appliesAndServesTheConfiguration() async throws {
        let registry = try await opened()
        let configuration = await registry.getConfiguration(GetConfigurationRequest())
        #expect(configuration.revision == 1)
        #expect(configuration.endpoints.map(\.standby) == [.ring])
        #expect(configuration.streams.map(\.name?.stream) == ["clips", "live", "wrong"])
        #expect(configuration.streams.map(\.enabled) == [true, true, false])
        #expect(configuration.streams[0].desired?.running == true)
        #expect(configuration.streams[0].desired?.startedBy == "autostart")
        #expect(configuration.streams[1].desired?.running == false)
        #expect(configuration.streams[2].issues.map(\.code) == ["InvalidValue"])
        #expect(configuration.streams[2].desired?.running == false)
        let unchanged = await registry.getConfiguration(GetConfigurationRequest(knownRevision: 1))
        #expect(unchanged == Wire.Configuration(revision: 1))
    }

    @Test func anEqualDocumentIsUnchangedAndAnnouncesNothing() async throws {
        let registry = try await opened()
        bench.announced.withLock { $0 = [] }
        let reordered = """
            {"name":"cam1","properties":{"endpoints":{"inbound":{"main":
             {"address":"rtsp://192.0.2.1/main","endpointType":"Microsoft.Media"}}}},"kind":"Device"}
            """
        let reply = try await registry.apply(ApplyRequest(text: reordered))
        #expect(reply.documents.map(\.changed) == [false])
        #expect(reply.documents.map(\.revision) == [1])
        #expect(bench.announced.withLock { $0 }.isEmpty)
    }

    @Test func aDryRunSaysWhatWouldBeAndChangesNothing() async throws {
        let registry = try bench.open()
        let reply = try await registry.apply(ApplyRequest(text: camera + "\n---\n" + line, dryRun: true))
        #expect(reply.documents.map(\.changed) == [true, true])
        #expect(reply.documents[1].issues.map(\.stream) == ["wrong"])
        #expect(await registry.getConfiguration(GetConfigurationRequest()) == Wire.Configuration(revision: 0))
    }

    @Test func oneBadDocumentStoresNothing() async throws {
        let registry = try bench.open()
        await #expect(throws: RPCError.self) {
            try await registry.apply(ApplyRequest(text: camera + "\n---\nkind: Asset\nproperties: {}\n"))
        }
        #expect(try await registry.getDocuments(GetDocumentsRequest()).documents.isEmpty)
    }

    @Test func aStreamWaitsForItsDevice() async throws {
        let registry = try bench.open()
        let alone = try await registry.apply(ApplyRequest(text: line))
        #expect(alone.documents[0].issues.contains { $0.code == "DeviceNotFound" && $0.stream == "clips" })
        let before = await registry.getConfiguration(GetConfigurationRequest()).streams[0]
        #expect(before.enabled == false)
        _ = try await registry.apply(ApplyRequest(text: camera))
        let after = await registry.getConfiguration(GetConfigurationRequest()).streams[0]
        #expect(after.enabled == true)
        #expect((after.revision ?? 0) > (before.revision ?? 0), "its content changed")
    }

    @Test func aStartWithAnOverrideIsANewRunAndAStopEndsIt() async throws {
        let registry = try await opened()
        let started = try await registry.setDesiredState(
            SetDesiredStateRequest(
                stream: clips, running: true, overrideJSON: #"{"duration":5}"#, startedBy: "mqtt:op"),
            caller: "x", idempotencyKey: nil)
        #expect(started.changed == true)
        #expect(started.stream?.settings?.durationS == 5)
        #expect(started.stream?.desired?.runID != "run-1")
        let stopped = try await registry.setDesiredState(
            SetDesiredStateRequest(stream: clips, running: false), caller: "cli:root", idempotencyKey: nil)
        #expect(stopped.stream?.settings?.durationS == 10)
        #expect(stopped.stream?.desired?.running == false)
        #expect(stopped.stream?.desired?.startedBy == "cli:root")
        let again = try await registry.setDesiredState(
            SetDesiredStateRequest(stream: clips, running: false), caller: "cli:root", idempotencyKey: nil)
        #expect(again.changed == false)
    }

    @Test(arguments: [
        (#"{"duration":0}"#, "override_json.duration"), ("{", "override_json"),
        (#"{"taskType":"x"}"#, "override_json.taskType"),
        (#"{"path":"rtsp://u:p@h"}"#, "override_json"), (String(repeating: " ", count: 17_000) + "{}", "override_json"),
    ])
    func aBadOverrideIsRefusedWithItsKey(json: String, field: String) async throws {
        let registry = try await opened()
        let before = await desired(clips, registry)
        let error = await #expect(throws: RPCError.self) {
            try await registry.setDesiredState(
                SetDesiredStateRequest(stream: clips, running: true, overrideJSON: json), caller: "x",
                idempotencyKey: nil)
        }
        #expect(error?.code == .invalidArgument)
        #expect(error?.field == field)
        #expect(await desired(clips, registry) == before)
    }

    @Test func whatCannotRunIsNotStarted() async throws {
        let registry = try await opened()
        func code(_ name: StreamName) async -> Code? {
            do {
                _ = try await registry.setDesiredState(
                    SetDesiredStateRequest(stream: name, running: true), caller: "x", idempotencyKey: nil)
                return nil
            } catch { return error.code }
        }
        #expect(await code(StreamName(asset: "line1", stream: "wrong")) == .failedPrecondition)
        #expect(await code(StreamName(asset: "line1", stream: "none")) == .notFound)
        _ = try await registry.deleteDocument(DeleteDocumentRequest(kind: .device, name: "cam1"))
        #expect(await code(live) == .failedPrecondition)
    }

    @Test func aKeyGivesTheStoredAnswerForADay() async throws {
        let registry = try await opened()
        let request = SetDesiredStateRequest(stream: live, running: true)
        let first = try await registry.setDesiredState(request, caller: "x", idempotencyKey: "k")
        _ = try await registry.setDesiredState(
            SetDesiredStateRequest(stream: live, running: false), caller: "x", idempotencyKey: nil)
        #expect(try await registry.setDesiredState(request, caller: "x", idempotencyKey: "k") == first)
        #expect(await desired(live, registry)?.running == false, "it did not act twice")
        bench.clock.advance(us: RegistryStore.answerLifetimeUs + 1)
        let later = try await registry.setDesiredState(request, caller: "x", idempotencyKey: "k")
        #expect(later.stream?.desired?.runID != first.stream?.desired?.runID)
    }

    @Test func aRunEndsWhenItsTimeComesAlsoAfterARestart() async throws {
        var registry = try await opened()
        _ = try await registry.setDesiredState(
            SetDesiredStateRequest(stream: live, running: true, endsAfterMs: 1000), caller: "x", idempotencyKey: nil)
        bench.clock.advance(us: 999_000)
        await registry.tick()
        #expect(await desired(live, registry)?.running == true)
        registry = try bench.open()
        bench.clock.advance(us: 1000)
        await registry.tick()
        #expect(await desired(live, registry)?.running == false)
        #expect(await desired(live, registry)?.startedBy == "timer")
        #expect(await desired(clips, registry)?.running == true, "the other task has no end")
    }

    @Test func aRestartKeepsEverything() async throws {
        let first = try await opened()
        _ = try await first.setDesiredState(
            SetDesiredStateRequest(stream: live, running: true, overrideJSON: #"{"mediaServerAddress":"ms"}"#),
            caller: "op", idempotencyKey: nil)
        _ = try await first.acquireLeases(
            AcquireLeasesRequest(holder: "cc-0", holderAddress: "ipc:///run/cc-0.rpc", capacity: 5))
        let second = try bench.open()
        #expect(
            await second.getConfiguration(GetConfigurationRequest())
                == first.getConfiguration(GetConfigurationRequest()))
        #expect(try await second.getDocuments(GetDocumentsRequest()) == first.getDocuments(GetDocumentsRequest()))
        #expect(await second.listLeases() == first.listLeases())
        #expect(try await second.changes(ChangesRequest()) == first.changes(ChangesRequest()))
    }

    @Test func aStoppedTaskStaysStoppedWhenItsDocumentIsAppliedAgain() async throws {
        let registry = try await opened()
        _ = try await registry.setDesiredState(
            SetDesiredStateRequest(stream: clips, running: false), caller: "x", idempotencyKey: nil)
        _ = try await registry.apply(ApplyRequest(text: line.replacing("\"duration\":10", with: "\"duration\":12")))
        #expect(await desired(clips, registry)?.running == false)
    }

    @Test func anAssetThatIsGoneIsForgotten() async throws {
        let registry = try await opened()
        let before = await desired(clips, registry)?.runID
        #expect(try await registry.deleteDocument(DeleteDocumentRequest(kind: .asset, name: "line1")).existed == true)
        #expect(try await registry.deleteDocument(DeleteDocumentRequest(kind: .asset, name: "line1")).existed == false)
        let configuration = await registry.getConfiguration(GetConfigurationRequest())
        #expect(configuration.streams.isEmpty)
        #expect(configuration.endpoints.map(\.standby) == [.off])
        _ = try await registry.apply(ApplyRequest(text: line))
        let after = await desired(clips, registry)
        #expect(after?.running == true && after?.runID != before)
    }

    @Test func leasesAreGivenRenewedAndExpire() async throws {
        let registry = try await opened()
        let request = AcquireLeasesRequest(holder: "cc-0", holderAddress: "ipc:///run/cc-0.rpc", capacity: 5)
        let first = try await registry.acquireLeases(request)
        #expect(first.leases.map(\.epoch) == [1])
        #expect(first.renewAfterMs == 1250)
        #expect(first.configurationRevision == 1)
        bench.announced.withLock { $0 = [] }
        for nowMs in stride(from: Int64(250), through: 5000, by: 250) {
            bench.nowMs.withLock { $0 = nowMs }
            if nowMs % 1000 == 0, nowMs < 5000 {
                let other = try await registry.acquireLeases(
                    AcquireLeasesRequest(holder: "cc-1", holderAddress: "ipc:///run/cc-1.rpc", capacity: 5))
                #expect(other.leases.isEmpty)
            }
            await registry.tick()
        }
        #expect(await registry.listLeases().leases.isEmpty)
        #expect(bench.announced.withLock { $0 }.map(\.topic) == ["leases/"])
        let other = try await registry.acquireLeases(
            AcquireLeasesRequest(holder: "cc-1", holderAddress: "ipc:///run/cc-1.rpc", capacity: 5))
        #expect(other.leases.map(\.epoch) == [2])
        var late = request
        late.held = first.leases
        #expect(try await registry.acquireLeases(late).leases.isEmpty)
    }

    @Test func aRegistryThatStoodStillEndsNoLease() async throws {
        let registry = try await opened()
        let request = AcquireLeasesRequest(holder: "cc-0", holderAddress: "ipc:///run/cc-0.rpc", capacity: 5)
        let first = try await registry.acquireLeases(request)
        bench.nowMs.withLock { $0 = 60_000 }
        await registry.tick()
        // The one that asks first while the other's renewal still waits gets nothing of it.
        let other = try await registry.acquireLeases(
            AcquireLeasesRequest(holder: "cc-1", holderAddress: "ipc:///run/cc-1.rpc", capacity: 5))
        #expect(other.leases.isEmpty)
        var renewal = request
        renewal.held = first.leases
        #expect(try await registry.acquireLeases(renewal).leases.map(\.epoch) == [1])
    }

    @Test func aMoveOutlivesTheRegistrysProcess() async throws {
        let first = try await opened()
        func ask(_ holder: String, _ held: [Lease] = [], draining: Bool = false) -> AcquireLeasesRequest {
            AcquireLeasesRequest(
                holder: holder, holderAddress: "ipc:///run/\(holder).rpc", capacity: 5, held: held, takesOver: true,
                draining: draining)
        }
        let held = try await first.acquireLeases(ask("cc-0")).leases
        _ = try await first.acquireLeases(ask("cc-1"))
        #expect(try await first.acquireLeases(ask("cc-0", held, draining: true)).leaving == 1)
        let taken = try await first.acquireLeases(ask("cc-1")).leases
        #expect(taken.map(\.state) == [.taking])
        #expect(taken.map(\.epoch) == [2])
        let second = try bench.open()
        var ready = taken[0]
        ready.ready = true
        #expect(try await second.acquireLeases(ask("cc-1", [ready])).leases.map(\.epoch) == [2])
        #expect(await second.listLeases().leases.map(\.holder) == ["cc-1"])
        #expect(try await second.acquireLeases(ask("cc-0", held, draining: true)).leases == [])
    }

    @Test func aDisabledDevicesLeaseEndsWithTheApply() async throws {
        let registry = try await opened()
        _ = try await registry.acquireLeases(
            AcquireLeasesRequest(holder: "cc-0", holderAddress: "ipc:///run/cc-0.rpc", capacity: 5))
        _ = try await registry.apply(
            ApplyRequest(text: camera.replacing("endpoints:", with: "enabled: false\n  endpoints:")))
        #expect(await registry.listLeases().leases.isEmpty)
        let configuration = await registry.getConfiguration(GetConfigurationRequest())
        #expect(configuration.endpoints.map(\.enabled) == [false])
        #expect(configuration.streams[0].enabled == false)
    }

    @Test func changesAreListedAndPruned() async throws {
        let registry = try await opened()
        let first = try await registry.changes(ChangesRequest(after: 0, limit: 2))
        #expect(first.changes.map(\.what) == ["device", "asset"])
        #expect(first.newest == 4)
        let rest = try await registry.changes(ChangesRequest(after: 2))
        #expect(rest.changes.map(\.name) == ["line1/clips", "line1/live"])
        #expect(try await registry.changes(ChangesRequest(after: 4)).changes.isEmpty)
        for limit in [UInt32(0), 1001] {
            await #expect(throws: RPCError.self) { try await registry.changes(ChangesRequest(limit: limit)) }
        }
        let foreign = await #expect(throws: RPCError.self) { try await registry.changes(ChangesRequest(after: 99)) }
        #expect(foreign?.code == .outOfRange)
    }

    @Test func aCursorThatIsTooOldIsRefused() throws {
        let store = try RegistryStore(path: bench.path)
        var write = RegistryWrite(RegistryModel(namespace: "aio"), nowUs: 1)
        write.changes = (0..<RegistryStore.keptChanges + 5).map { .init(what: .asset, name: "a\($0)") }
        #expect(try store.commit(write) == UInt64(RegistryStore.keptChanges + 5))
        #expect(try store.changes(after: 4, limit: 10) == nil)
        #expect(try store.changes(after: 5, limit: 10)?.changes.first?.cursor == 6)
        #expect(try store.changes(after: 0, limit: 1)?.changes.first?.cursor == 6)
    }

    @Test func aDiskThatRefusesChangesNothingAndIsReported() async throws {
        let registry = try await opened()
        // A damaged file: the write fails inside SQLite.
        let blocker = try DatabaseQueue(path: bench.path)
        try blocker.inDatabase { try $0.execute(sql: "DROP TABLE desired_states") }
        let error = await #expect(throws: RPCError.self) {
            try await registry.setDesiredState(
                SetDesiredStateRequest(stream: live, running: true), caller: "x", idempotencyKey: nil)
        }
        #expect(error?.code == .unavailable)
        #expect(await desired(live, registry)?.running == false)
        #expect(bench.storageProblem.withLock { $0 }?.contains("registry.sqlite") == true)
    }
}
