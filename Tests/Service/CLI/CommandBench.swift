// The real `sightglass` against faked services below one run directory.

import Fakes
import Foundation
import Harness
import RPC
import Testing
import Wire

final class CommandBench: Sendable {
    let folder: TemporaryDirectory
    let registry: FakeRegistry
    let indexer: FakeIndexer
    let controller: FakeController
    let uploader: FakeUploader

    static let source = SourceName(device: "cam1", endpoint: "main")
    static let clips = StreamName(asset: "line1", stream: "clips")

    init() throws {
        let folder = try TemporaryDirectory()
        self.folder = folder
        func socket(_ name: String) -> String { "ipc://\(folder.path(name))" }
        registry = try FakeRegistry(address: socket("asset-registry.rpc"), hints: socket("asset-registry.hints"))
        indexer = try FakeIndexer(address: socket("indexer.rpc"), hints: socket("indexer.hints"))
        controller = try FakeController(address: socket("cc-0.rpc"))
        uploader = try FakeUploader(address: socket("cloud-uploader.rpc"))
        registry.configure(
            endpoints: [InboundEndpoint(source: Self.source, enabled: true)],
            streams: [
                StreamDefinition(
                    name: Self.clips, source: Self.source, enabled: true, settings: TaskSettings(type: .clipToFs),
                    desired: DesiredState(running: true, runID: "r1", startedBy: "autostart"))
            ])
        registry.setLeases([
            Lease(source: Self.source, holder: "cc-0", epoch: 1, remainingMs: 5000, holderAddress: socket("cc-0.rpc"))
        ])
        registry.server.start()
        indexer.server.start()
        controller.server.start()
        uploader.server.start()
    }

    /// Runs a command; services that are away are not waited for long.
    func run(_ arguments: String...) async throws -> ToolResult { try await run(arguments) }

    func run(_ arguments: [String]) async throws -> ToolResult {
        try await runTool(
            "sightglass", arguments, environment: ["SIGHTGLASS_RUN_DIRECTORY": folder.url.path], within: .seconds(20))
    }

    /// Ends the fakes.
    func stop() async {
        await registry.server.stop()
        await indexer.server.stop()
        await controller.server.stop()
        await uploader.server.stop()
    }
}

/// What a command printed as JSON; "size_bytes" is `sizeBytes`.
func shown<Value: Decodable>(_ result: ToolResult, as type: Value.Type = Value.self) throws -> Value {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(Value.self, from: Data(result.output.utf8))
}

/// A check of probe or doctor, as JSON.
struct ShownCheck: Decodable {
    let subject: String
    let verdict: String
    let code: String?
    let seen: String
    let advice: String?
}

/// Runs a body against fresh fakes.
func withCommands(_ body: (CommandBench) async throws -> Void) async throws {
    let bench = try CommandBench()
    do { try await body(bench) } catch {
        await bench.stop()
        throw error
    }
    await bench.stop()
}
