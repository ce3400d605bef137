// The real asset-registry under test: started here, or wherever SIGHTGLASS_ASSET_REGISTRY_ADDRESS says. Names are made for
// each test, so that a registry that is in use can be tested too; what kills the process runs against our own only.

import Foundation
import Harness
import Testing
import Wire

let givenAddress = ProcessInfo.processInfo.environment["SIGHTGLASS_ASSET_REGISTRY_ADDRESS"]
let ownsProcess = givenAddress == nil

/// One registry with a client, and names that no other test uses.
final class RegistryBench: Sendable {
    let folder: TemporaryDirectory
    let client: ServiceClient
    let address: String
    let device: String
    let asset: String
    private let leaseMs: Int

    init(leaseMs: Int = 5000) throws {
        folder = try TemporaryDirectory()
        self.leaseMs = leaseMs
        address = givenAddress ?? "ipc://\(folder.path("asset-registry.rpc"))"
        client = try ServiceClient("asset-registry", at: address, caller: "test/registry")
        let tag = String(UInt32.random(in: 0...UInt32.max), radix: 36)
        device = "cam-\(tag)"
        asset = "line-\(tag)"
    }

    /// Starts the process; nil where one was given.
    func start(_ settings: [String] = []) throws -> ServiceProcess? {
        guard ownsProcess else { return nil }
        return try ServiceProcess(
            "asset-registry",
            [
                "--run-directory", folder.url.path, "--state-directory", folder.path("state"), "--lease-ms",
                "\(leaseMs)",
            ] + settings, logs: folder)
    }

    var source: SourceName { SourceName(device: device, endpoint: "main") }

    func stream(_ name: String) -> StreamName { StreamName(asset: asset, stream: name) }

    var documents: String {
        """
        kind: Device
        name: \(device)
        properties:
          endpoints: {inbound: {main: {endpointType: Microsoft.Media, address: "rtsp://192.0.2.1/main"}}}
        ---
        kind: Asset
        name: \(asset)
        properties:
          deviceRef: {deviceName: \(device), endpointName: main}
          streams:
            - {name: clips, streamConfiguration: '{"taskType":"clip-to-fs","duration":10}'}
            - {name: live, streamConfiguration: '{"taskType":"stream-to-rtsp","autostart":false}'}
            - {name: wrong, streamConfiguration: '{"taskType":"clip-to-fs","duration":0}'}
        """
    }

    @discardableResult func applyDocuments() async throws -> ApplyReply {
        try await client.call(AssetRegistryMethods.apply, ApplyRequest(text: documents, origin: "test"))
    }

    func removeDocuments() async throws {
        _ = try await client.call(
            AssetRegistryMethods.deleteDocument, DeleteDocumentRequest(kind: .asset, name: asset))
        _ = try await client.call(
            AssetRegistryMethods.deleteDocument, DeleteDocumentRequest(kind: .device, name: device))
    }

    func definition(_ stream: String) async throws -> StreamDefinition {
        let all = try await client.call(AssetRegistryMethods.getConfiguration, GetConfigurationRequest())
        return try #require(all.streams.first { $0.name == self.stream(stream) })
    }
}

/// Runs a test body against a registry with the documents applied, and cleans up.
func withRegistry(leaseMs: Int = 5000, _ body: (RegistryBench) async throws -> Void) async throws {
    let bench = try RegistryBench(leaseMs: leaseMs)
    let process = try bench.start()
    try await bench.applyDocuments()
    do { try await body(bench) } catch {
        if let process { Testing.Issue.record("\(error)\n\(process.standardError)") }
        throw error
    }
    try await bench.removeDocuments()
    if let process { #expect(try await process.terminate() == 0) }
}
