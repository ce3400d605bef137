// Three capture-controllers on hosts of their own that share 24 cameras, with registry and indexer on a fourth host. Services speak
// nng over TLS. The test speaks to them by sockets in a folder, so that no cut of a network cuts it off.

import FakeCamera
import Foundation
import Harness
import RPC
import Synchronization
import Testing
import Volume
import Wire

final class ThreeControllers: Sendable {
    static let controllers = ["cc0", "cc1", "cc2"]
    static let cameraCount = 24
    /// One in a second.
    static let keyframeUs: Int64 = 1_000_000
    static let segmentSeconds = 3

    let folder: TemporaryDirectory
    let network: HostNetwork
    let registry: ServiceClient
    let indexer: ServiceClient
    private let cameras: [FakeCamera]
    private let certificates: SiteCertificates
    private let running = Mutex<[String: ServiceProcess]>([:])

    init() async throws {
        folder = try TemporaryDirectory()
        try folder.makeFolder("run")
        network = try await HostNetwork(hosts: ["core"] + Self.controllers, folder: folder)
        certificates = try await SiteCertificates.make(for: ["core"] + Self.controllers)
        var scenario = Scenario([
            .h264(frames: .max) {
                $0.ticksPerFrame = 9_000
                $0.keyframeEvery = 10
                $0.frameBytes = { $0 % 10 == 0 ? 4_000 : 1_000 }
            }
        ])
        scenario.pace = .realTime
        scenario.atEnd = .stays
        scenario.keepsRecord = false
        var cameras: [FakeCamera] = []
        for _ in 0..<Self.cameraCount {
            cameras.append(try FakeCamera(scenario, address: HostNetwork.cameraAddress))
        }
        self.cameras = cameras
        registry = try ServiceClient("asset-registry", at: "ipc://\(folder.path("run/asset-registry.rpc"))")
        indexer = try ServiceClient("indexer", at: "ipc://\(folder.path("run/indexer.rpc"))")
        for name in Self.controllers {
            let volume = try folder.makeFolder("volumes/\(name)")
            _ = try VolumeRoot.adopt(at: volume, role: .recording, nowUs: Self.nowUs())
        }
        try start(
            "asset-registry", ["--rebalance-after-ms=2000", "--state-directory=\(folder.path("state/registry"))"])
        try start("indexer", ["--state-directory=\(folder.path("state/indexer"))"])
        for name in Self.controllers { try startController(name) }
    }

    static func nowUs() -> Int64 { Int64(Date().timeIntervalSince1970 * 1_000_000) }

    // MARK: Processes

    private func start(_ role: String, _ settings: [String]) throws {
        let port = role == "indexer" ? 7020 : 7010
        let process = try network.start(
            role, on: "core",
            certificates.arguments(of: role) + [
                "--listen=tls+tcp://core:\(port),ipc://\(folder.path("run/\(role).rpc"))",
                "--hints=tls+tcp://core:\(port + 1)",
            ] + settings, logs: folder, label: role)
        running.withLock { $0[role] = process }
    }

    func startController(_ name: String) throws {
        let process = try network.start(
            "capture-controller", on: name,
            certificates.arguments(of: "capture-controller") + [
                "--instance=\(name)", "--listen=tls+tcp://\(name):7030,ipc://\(folder.path("run/\(name).rpc"))",
                "--hints=tls+tcp://\(name):7031", "--run-directory=\(folder.path("run"))",
                "--asset-registry=tls+tcp://core:7010", "--asset-registry-hints=tls+tcp://core:7011",
                "--indexer=tls+tcp://core:7020", "--recording-volume=\(folder.path("volumes/\(name)"))",
                "--state-directory=\(folder.path("state/\(name)"))", "--reconcile-seconds=5",
            ], logs: folder, label: name)
        running.withLock { $0[name] = process }
    }

    func process(_ name: String) throws -> ServiceProcess {
        guard let process = running.withLock({ $0[name] }) else { throw HarnessError("\(name) does not run") }
        return process
    }

    /// Ends everything; the controllers first, so that all that they recorded is told.
    func end() async throws {
        for name in Self.controllers + ["indexer", "asset-registry"] {
            guard let process = running.withLock({ $0[name] }), process.isRunning else { continue }
            process.signal(SIGCONT)
            process.signal(SIGTERM)
            // A second signal does not wait for others.
            process.signal(SIGTERM)
            _ = try await process.exitCode(within: .seconds(8))
        }
        await network.end()
    }

    var logs: String {
        running.withLock { $0 }.sorted { $0.key < $1.key }.map { "--- \($0):\n\($1.standardError.suffix(3000))" }
            .joined(separator: "\n")
    }

    // MARK: Configuration

    static func asset(_ number: Int) -> String { "line\(number < 10 ? "0" : "")\(number)" }
    static func source(_ number: Int) -> SourceName { SourceName(device: "cam-\(asset(number))", endpoint: "main") }
    /// The one whose recording is started by command.
    static let commanded = StreamName(asset: asset(0), stream: "clips")

    func apply() async throws {
        let documents = cameras.enumerated().map { number, camera in
            """
            kind: Device
            name: cam-\(Self.asset(number))
            properties:
              endpoints: {inbound: {main: {endpointType: Microsoft.Media, address: "\(camera.url)"}}}
            ---
            kind: Asset
            name: \(Self.asset(number))
            properties:
              deviceRef: {deviceName: cam-\(Self.asset(number)), endpointName: main}
              streams:
                - name: clips
                  streamConfiguration: '{"taskType":"clip-to-fs","format":"mp4","autostart":\(number > 0),"duration":\(Self.segmentSeconds)}'
            """
        }
        let reply = try await registry.call(
            AssetRegistryMethods.apply, ApplyRequest(text: documents.joined(separator: "\n---\n"), origin: "test"))
        let issues = reply.documents.flatMap(\.issues)
        guard issues.isEmpty else { throw HarnessError("\(issues)") }
    }

    /// Starts the run that is started by command; gives its id.
    func command() async throws -> String {
        let reply = try await registry.call(
            AssetRegistryMethods.setDesiredState,
            SetDesiredStateRequest(stream: Self.commanded, running: true, startedBy: "mqtt:operator"))
        return reply.stream?.desired?.runID ?? ""
    }

    // MARK: What is

    /// Leases by holder; those that move are none of anybody's.
    func holders() async throws -> [String: [SourceName]] {
        let leases = try await registry.call(AssetRegistryMethods.listLeases, ListLeasesRequest()).leases
        return leases.reduce(into: [:]) { holders, lease in
            guard let source = lease.source, lease.state == nil || lease.state == .held else { return }
            holders[lease.holder ?? "", default: []].append(source)
        }
    }

    /// The cameras that a controller says to be recording.
    func recorded(by name: String) async throws -> Set<SourceName> {
        let client = try ServiceClient("capture-controller", at: "ipc://\(folder.path("run/\(name).rpc"))")
        defer { client.close() }
        let status = try await client.call(
            CaptureControllerMethods.listStatus, ListStatusRequest(), timeout: .seconds(2))
        return Set(status.sources.filter { $0.syncedToUs != nil }.compactMap(\.source))
    }

    /// Waits until all cameras are recorded by these controllers, each by its holder, as evenly as can be.
    @discardableResult func balanced(
        _ names: [String] = ThreeControllers.controllers, within limit: Duration = .seconds(40)
    ) async throws -> [String: [SourceName]] {
        try await eventually("\(names.joined(separator: ", ")) share the cameras evenly", within: limit) {
            let holders = try await holders()
            let share = Self.cameraCount / names.count
            for name in names {
                guard holders[name]?.count == share else {
                    throw HarnessError("they have \(holders.mapValues(\.count))")
                }
                let recorded = try await recorded(by: name)
                guard Set(holders[name] ?? []) == recorded else {
                    throw HarnessError("\(name) records \(recorded.count) of \(share)")
                }
            }
            return holders
        }
    }

    /// How often a controller said that it does not reach the registry.
    func timesWithoutRegistry(_ name: String) -> Int {
        let log = running.withLock { $0[name] }?.standardError ?? ""
        return log.components(separatedBy: "the asset-registry is away").count
    }

    /// The status of the run by command, by whoever has it.
    func commandedStatus() async throws -> TaskStatus? {
        for name in Self.controllers {
            guard try process(name).isRunning else { continue }
            let client = try ServiceClient("capture-controller", at: "ipc://\(folder.path("run/\(name).rpc"))")
            defer { client.close() }
            let reply = try? await client.call(
                CaptureControllerMethods.listStatus,
                ListStatusRequest(asset: Self.commanded.asset, stream: Self.commanded.stream), timeout: .seconds(2))
            if let task = reply?.tasks.first { return task }
        }
        return nil
    }

    // MARK: What came of it

    /// The primary segments of a camera by the catalogue, in order.
    func footage(_ number: Int) async throws -> [MediaFile] {
        var files: [MediaFile] = []
        var token: String?
        repeat {
            let reply = try await indexer.call(
                IndexerMethods.queryMedia,
                QueryMediaRequest(
                    source: Self.source(number),
                    window: Window(startUs: Self.nowUs() - 3_600_000_000, endUs: Self.nowUs() + 60_000_000),
                    kind: .segment, limit: 2000, pageToken: token))
            files += reply.files
            token = reply.nextPageToken
        } while token != nil
        return files
    }
}
