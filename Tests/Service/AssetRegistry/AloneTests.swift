// The registry alone, and with neighbours that come, go and come again. It calls nobody: its neighbours are those who call
// it, a controller with leases and a listener to its hints.

import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized, .enabled(if: ownsProcess)) struct AloneTests {
    @Test func aloneItIsReadyAndStops() async throws {
        let bench = try RegistryBench()
        let process = try #require(try bench.start())
        try await eventually("it is ready") { try await ready(bench) }
        #expect(try await process.terminate() == 0)
    }

    @Test(arguments: [["controller", "listener"], ["listener", "controller"]])
    func neighboursThatRestartFindEverything(order: [String]) async throws {
        let bench = try RegistryBench()
        let process = try #require(try bench.start())
        try await bench.applyDocuments()
        var epochs: [UInt64] = []
        for _ in 1...2 {
            for neighbour in order {
                if neighbour == "listener" {
                    try await listen(bench)
                } else {
                    epochs.append(try await lease(bench))
                }
            }
        }
        #expect(epochs.count == 2 && epochs == epochs.sorted(), "the same holder gets its camera again: \(epochs)")
        #expect(try await process.terminate() == 0)
    }

    @Test func itIsRestartedUnderItsNeighboursAndTheyGoOn() async throws {
        let bench = try RegistryBench()
        var process = try #require(try bench.start())
        try await bench.applyDocuments()
        let before = try await lease(bench)
        let listener = try subscriber(bench)
        defer { listener.close() }
        // Once with the same connection of each neighbour, which nobody closes.
        try await process.terminate()
        process = try #require(try bench.start())
        #expect(try await bench.definition("clips").enabled == true)
        #expect(try await lease(bench) >= before)
        let toggling = toggle(bench)
        defer { toggling.cancel() }
        for await event in listener.hints {
            if case .hint(let hint) = event, hint.name == "\(bench.asset)/clips" { break }
        }
        toggling.cancel()
        #expect(try await process.terminate() == 0, "with a neighbour connected on each socket")
    }

    @Test func itShowsItsNumbersToWhoeverScrapes() async throws {
        let bench = try RegistryBench()
        let port = try freePort()
        let process = try #require(try bench.start(["--http-listen", "127.0.0.1:\(port)"]))
        try await eventually("it is ready") { try await ready(bench) }
        let script = """
            import urllib.request
            for page in ["readyz", "metrics"]:
                print(urllib.request.urlopen("http://127.0.0.1:\(port)/" + page).read().decode())
            """
        let shown = try await runTool("python3", ["-c", script]).output
        #expect(shown.hasPrefix("ready\n"))
        #expect(shown.contains("sightglass_rpc_requests_total{method="), "\(shown)")
        #expect(try await process.terminate() == 0)
        let other = try RegistryBench()
        let refused = try #require(try other.start(["--http-listen", "127.0.0.1"]))
        #expect(try await refused.exitCode(within: .seconds(5)) == 64)
    }

    @Test func wrongSettingsAreOneLineEach() async throws {
        let folder = try TemporaryDirectory()
        let complaints = try await WrongSettings.complaints(
            "asset-registry", settings: ["--state-directory", folder.path("state")], key: "lease-ms", outOfRange: "1")
        #expect(complaints.isEmpty)
    }

    // MARK: - Neighbours

    private func ready(_ bench: RegistryBench) async throws -> Bool? {
        let health = try await bench.client.health()
        return health.live == true && health.ready == true ? true : nil
    }

    /// One life of a controller: a connection of its own, the lease, and gone without a word.
    private func lease(_ bench: RegistryBench) async throws -> UInt64 {
        let client = try ServiceClient("asset-registry", at: bench.address, caller: "test/cc-0")
        defer { client.close() }
        let reply = try await client.call(
            AssetRegistryMethods.acquireLeases,
            AcquireLeasesRequest(holder: "cc-0", holderAddress: "ipc:///run/cc-0.rpc", capacity: 4))
        return try #require(reply.leases.first { $0.source == bench.source }?.epoch)
    }

    private func subscriber(_ bench: RegistryBench) throws -> HintSubscriber {
        HintSubscriber(
            addresses: [try RPCAddress(parsing: "ipc://\(bench.folder.path("asset-registry.hints"))")],
            topics: ["configuration/"])
    }

    /// One life of a listener: until it has heard of a change.
    private func listen(_ bench: RegistryBench) async throws {
        let listener = try subscriber(bench)
        defer { listener.close() }
        let toggling = toggle(bench)
        defer { toggling.cancel() }
        for await event in listener.hints {
            if case .hint(let hint) = event, hint.name == "\(bench.asset)/clips" { return }
        }
    }

    /// Changes a stream again and again: until a subscription is there, hints may be lost.
    private func toggle(_ bench: RegistryBench) -> Task<Void, any Error> {
        Task {
            var isRunning = false
            while !Task.isCancelled {
                isRunning.toggle()
                _ = try await bench.client.call(
                    AssetRegistryMethods.setDesiredState,
                    SetDesiredStateRequest(stream: bench.stream("clips"), running: isRunning, startedBy: "test"))
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }
}
