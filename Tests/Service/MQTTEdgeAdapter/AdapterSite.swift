// A site for one adapter: the real executable, a real broker, faked neighbours on the sockets of a folder of its own.

import Fakes
import Foundation
import Harness
import RPC
import Synchronization
import Testing
import Wire

/// What the neighbours were asked, over all of them, in order.
final class Chronicle: Sendable {
    private let entries = Mutex<[String]>([])

    func note(_ entry: String) { entries.withLock { $0.append(entry) } }
    var all: [String] { entries.withLock { $0 } }
}

struct AdapterSite {
    static let namespace = "azure-iot-operations"

    let folder: TemporaryDirectory
    let broker: Broker
    let registry: FakeRegistry
    let indexer: FakeIndexer
    let controller: FakeController
    /// Event keys and request ids that the faked indexer knows: the same again is a duplicate, as with the real one.
    let known = Known()
    let chronicle = Chronicle()

    final class Known: Sendable {
        private let keys = Mutex<[String: Int]>([:])

        func receipt(_ key: String) -> Receipt {
            keys.withLock { keys in
                keys[key, default: 0] += 1
                return keys[key] == 1 ? .accepted : .duplicate
            }
        }
        var all: [String] { keys.withLock { $0.keys.sorted() } }
    }

    /// - Parameter away: neighbours that do not run yet.
    init(away: Set<String> = [], brokerSettings: [String] = []) async throws {
        folder = try TemporaryDirectory()
        try folder.makeFolder("run")
        broker = try await Broker(settings: brokerSettings, in: folder)
        registry = try FakeRegistry(
            address: "ipc://\(folder.path("run/asset-registry.rpc"))",
            hints: "ipc://\(folder.path("run/asset-registry.hints"))")
        indexer = try FakeIndexer(
            address: "ipc://\(folder.path("run/indexer.rpc"))", hints: "ipc://\(folder.path("run/indexer.hints"))")
        let controllerAddress = "ipc://\(folder.path("run/capture-controller.rpc"))"
        controller = try FakeController(address: controllerAddress)
        let source = SourceName(device: "dev1", endpoint: "main")
        registry.configure(
            endpoints: [InboundEndpoint(source: source, enabled: true)],
            streams: ["clips", "live", "pictures"].map {
                StreamDefinition(name: StreamName(asset: "line1", stream: $0), source: source, enabled: true)
            })
        registry.setLeases([Lease(source: source, holder: "cc-0", epoch: 1, holderAddress: controllerAddress)])
        script()
        if !away.contains("registry") { registry.server.start() }
        if !away.contains("indexer") { indexer.server.start() }
        if !away.contains("controller") { controller.server.start() }
    }

    private func script() {
        let (known, chronicle) = (known, chronicle)
        controller.ensureFootage.answer { request in
            chronicle.note("ensure \(request.key ?? "")")
            return EnsureFootageReply(sources: request.sources.map { EnsuredSource(source: $0, state: .recording) })
        }
        indexer.submitEvent.answer { request in
            chronicle.note("submit \(request.eventKey ?? "")")
            let key = request.eventKey ?? ""
            return SubmitReply(
                receipt: known.receipt(key),
                request: ArchiveRequest(requestID: "request-\(key)", state: .waiting, cameras: request.cameras))
        }
        indexer.submitArchive.answer { request in
            chronicle.note("submit \(request.requestID ?? "")")
            let id = request.requestID ?? ""
            return SubmitReply(
                receipt: known.receipt(id),
                request: ArchiveRequest(
                    requestID: id, state: .waiting, window: request.window, cameras: request.cameras))
        }
    }

    /// Starts the adapter with nothing but what `environment` and `arguments` say of the broker.
    func startBare(
        _ arguments: [String] = [], environment: [String: String], run: String = "run"
    ) throws -> ServiceProcess {
        try ServiceProcess(
            "mqtt-edge-adapter", ["--run-directory", folder.path(run)] + arguments, environment: environment,
            logs: folder)
    }

    /// Starts the adapter. `more` are further arguments.
    func start(
        _ more: [String] = [], passwordFile: String? = nil, host: String = "127.0.0.1"
    ) throws -> ServiceProcess {
        try ServiceProcess(
            "mqtt-edge-adapter",
            [
                "--run-directory", folder.path("run"), "--broker-host", host, "--broker-port", "\(broker.port)",
                "--username", Broker.user, "--password-file", passwordFile ?? broker.passwordFile,
                // The least that is allowed: a message waits five seconds for its neighbour.
                "--keepalive-s", "10",
            ] + more, logs: folder)
    }

    /// Starts the adapter and waits until its sessions are there.
    func startReady(_ more: [String] = []) async throws -> ServiceProcess {
        let adapter = try start(more)
        try await ready(adapter)
        return adapter
    }

    func ready(_ adapter: ServiceProcess) async throws {
        try await eventually("the adapter is ready", within: .seconds(45)) {
            guard adapter.isRunning else { throw HarnessError("it ended: \(adapter.standardError)") }
            let health = try await health()
            guard health.ready == true else {
                throw HarnessError("\(health.reasons.joined(separator: "; ")); it logged \(adapter.standardError)")
            }
            return true
        }
    }

    func client() throws -> ServiceClient {
        try ServiceClient("mqtt-edge-adapter", at: "ipc://\(folder.path("run/mqtt-edge-adapter.rpc"))")
    }

    func health() async throws -> HealthReply {
        let client = try client()
        defer { client.close() }
        return try await client.health()
    }

    // MARK: MQTT

    func publish(_ topic: String, _ payload: String, _ arguments: [String] = []) async throws {
        let result = try await broker.publish("\(Self.namespace)/\(topic)", payload, arguments)
        guard result.exitCode == 0 else { throw HarnessError("mosquitto_pub: \(result.error)") }
    }

    /// Waits until the retained JSON object on a topic is as wanted.
    @discardableResult func retained(
        _ topic: String, within limit: Duration = .seconds(15),
        where wanted: @Sendable ([String: JSON]) -> Bool = { _ in true }
    ) async throws -> [String: JSON] {
        let last = Mutex("nothing")
        do {
            return try await eventually("\(topic) says so", within: limit) {
                guard
                    let text = try await broker.message(
                        on: "\(Self.namespace)/\(topic)", seconds: 1, ["--retained-only"])
                else { return nil }
                last.withLock { $0 = text }
                let value = try JSONDecoder().decode([String: JSON].self, from: Data(text.utf8))
                return wanted(value) ? value : nil
            }
        } catch { throw HarnessError("\(error); last: \(last.withLock { $0 })") }
    }

    /// A subscriber that is known to be subscribed when this returns. Its lines begin with the topic and "|".
    func subscriber(_ topics: [String], format: String) async throws -> ServiceProcess {
        try await broker.publish("harness/subscribed", "SUBSCRIBED", ["-r"])
        let process = try broker.subscribe(
            topics.map { "\(Self.namespace)/\($0)" } + ["harness/subscribed"], ["-F", "%t|" + format])
        try await eventually("the subscriber is there") {
            process.standardOutput.contains("harness/subscribed|") ? true : nil
        }
        return process
    }

    func event(_ key: String, camera: String = "line1") -> String {
        "{\"eventId\": \"\(key)\", \"timestamp\": \(Int64(Date().timeIntervalSince1970 * 1000)), "
            + "\"cameras\": [\"\(camera)\"], \"preSeconds\": 5, \"postSeconds\": 3}"
    }
}
