// Kills, restarts, hints, hostile bytes and wrong settings, against our own process.

import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.enabled(if: ownsProcess, "these kill the process")) struct RegistryTroubleTests {
    @Test func killedAndRestartedItKnowsEverything() async throws {
        let bench = try RegistryBench()
        let first = try #require(try bench.start())
        try await bench.applyDocuments()
        _ = try await bench.client.call(
            AssetRegistryMethods.setDesiredState,
            SetDesiredStateRequest(
                stream: bench.stream("live"), running: true, overrideJSON: #"{"mediaServerAddress":"ms"}"#,
                endsAfterMs: 3_600_000, startedBy: "op"), idempotencyKey: "once")
        let leases = try await bench.client.call(
            AssetRegistryMethods.acquireLeases,
            AcquireLeasesRequest(holder: "cc-0", holderAddress: "ipc:///run/cc-0.rpc", capacity: 5)
        ).leases
        let before = try await bench.client.call(AssetRegistryMethods.getConfiguration, GetConfigurationRequest())
        let changes = try await bench.client.call(AssetRegistryMethods.changes, ChangesRequest())
        try await first.kill()

        let second = try #require(try bench.start())
        let after = try await bench.client.call(AssetRegistryMethods.getConfiguration, GetConfigurationRequest())
        #expect(after == before)
        #expect(try await bench.client.call(AssetRegistryMethods.changes, ChangesRequest()) == changes)
        let renewed = try await bench.client.call(
            AssetRegistryMethods.acquireLeases,
            AcquireLeasesRequest(holder: "cc-0", holderAddress: "ipc:///run/cc-0.rpc", capacity: 5, held: leases))
        #expect(renewed.leases.map(\.epoch) == leases.map(\.epoch))
        let repeated = try await bench.client.call(
            AssetRegistryMethods.setDesiredState,
            SetDesiredStateRequest(stream: bench.stream("live"), running: false), idempotencyKey: "once")
        #expect(repeated.stream?.desired?.running == true, "the stored answer, not a second action")
        #expect(try await second.terminate() == 0)
    }

    @Test func aRunWhoseEndPassedWhileItWasAwayEndsAtTheStart() async throws {
        let bench = try RegistryBench()
        let first = try #require(try bench.start())
        try await bench.applyDocuments()
        _ = try await bench.client.call(
            AssetRegistryMethods.setDesiredState,
            SetDesiredStateRequest(stream: bench.stream("live"), running: true, endsAfterMs: 1))
        try await first.kill()
        let second = try #require(try bench.start())
        try await eventually("the run ends") {
            try await bench.definition("live").desired?.running == false ? true : nil
        }
        try await second.terminate()
    }

    @Test func aSilentHoldersSourceGoesToAnother() async throws {
        let bench = try RegistryBench(leaseMs: 500)
        let process = try #require(try bench.start())
        try await bench.applyDocuments()
        let subscriber = HintSubscriber(
            addresses: [try RPCAddress(parsing: "ipc://\(bench.folder.path("asset-registry.hints"))")],
            topics: ["leases/"])
        defer { subscriber.close() }
        func acquire(_ holder: String) async throws -> [Lease] {
            try await bench.client.call(
                AssetRegistryMethods.acquireLeases,
                AcquireLeasesRequest(holder: holder, holderAddress: "ipc:///run/\(holder).rpc", capacity: 5)
            ).leases
        }
        #expect(try await acquire("cc-0").map(\.epoch) == [1])
        #expect(try await acquire("cc-1").isEmpty)
        let taken = try await eventually("cc-1 gets the source") {
            let leases = try await acquire("cc-1")
            return leases.isEmpty ? nil : leases
        }
        #expect(taken.map(\.epoch) == [2])
        try await process.terminate()
    }

    @Test func aChangeIsHintedWithItsCursor() async throws {
        let bench = try RegistryBench()
        let process = try #require(try bench.start())
        try await bench.applyDocuments()
        let subscriber = HintSubscriber(
            addresses: [try RPCAddress(parsing: "ipc://\(bench.folder.path("asset-registry.hints"))")],
            topics: ["configuration/"])
        defer { subscriber.close() }
        // A subscription takes effect at some moment that nobody announces: change until a hint comes.
        let toggling = Task {
            var running = false
            while !Task.isCancelled {
                _ = try await bench.client.call(
                    AssetRegistryMethods.setDesiredState,
                    SetDesiredStateRequest(stream: bench.stream("clips"), running: running))
                running.toggle()
                try await Task.sleep(for: .milliseconds(20))
            }
        }
        defer { toggling.cancel() }
        for await event in subscriber.hints {
            guard case .hint(let hint) = event else { continue }
            #expect(hint.name == "\(bench.asset)/clips")
            let changes = try await bench.client.call(AssetRegistryMethods.changes, ChangesRequest())
            #expect((hint.cursor ?? 0) > 4 && (hint.cursor ?? 0) <= changes.newest ?? 0)
            break
        }
        toggling.cancel()
        try await process.terminate()
    }

    @Test func hostileBytesGetAnErrorAndCostNobodyElse() async throws {
        let bench = try RegistryBench()
        let process = try #require(try bench.start())
        try await bench.applyDocuments()
        func code(_ bytes: [UInt8]) async -> Code? {
            if case .reply(let reply) = await sendRaw(bytes, to: bench.address) { return reply.code }
            return nil
        }
        func envelope(_ method: String, _ body: [UInt8]) -> [UInt8] {
            RequestEnvelope(method: method, version: WireVersion.current, remainingMs: 5000, body: body).encoded()
        }
        let apply = AssetRegistryMethods.apply.name
        let complaints = await BadMessage.complaints(to: bench.address, method: apply)
        #expect(complaints.isEmpty)
        for text in [
            String(repeating: "[", count: 400_000), String(repeating: "{\"a\":", count: 100_000),
            "a: " + String(repeating: "{b: ", count: 100_000),
            "x: &a [" + String(repeating: "1,", count: 300_000) + "]\n",
            "a0: &a0 [1]\n" + (1...40).map { "a\($0): &a\($0) [*a\($0 - 1), *a\($0 - 1)]\n" }.joined(),
            (0..<3000).map { String(repeating: " ", count: $0 % 300) + "k\($0):\n" }.joined(),
        ] {
            #expect(await code(envelope(apply, ApplyRequest(text: text).encoded())) == .invalidArgument)
        }
        #expect(try await bench.definition("clips").enabled == true, "others are served as before")
        #expect(process.isRunning)
        try await process.terminate()
    }

    @Test(arguments: [
        (["--lease-ms", "1"], Int32(64), "lease-ms"), (["--no-such-setting", "1"], 64, "no-such-setting"),
        (["--state-directory", "/dev/null/registry"], 69, "/dev/null/registry"),
    ])
    func wrongSettingsAreOneLine(arguments: [String], status: Int32, mention: String) async throws {
        let folder = try TemporaryDirectory()
        let base = ["--run-directory", folder.url.path]
        let state = arguments.contains("--state-directory") ? [] : ["--state-directory", folder.path("state")]
        let process = try ServiceProcess("asset-registry", base + state + arguments, logs: folder)
        #expect(try await process.exitCode(within: .seconds(10)) == status)
        let lines = process.standardError.split(separator: "\n").filter { $0.contains(mention) }
        #expect(lines.count == 1, "\(process.standardError)")
    }

    @Test func twoRegistriesDoNotShareADatabaseFileUnnoticed() async throws {
        let bench = try RegistryBench()
        let first = try #require(try bench.start())
        try await bench.applyDocuments()
        let second = try ServiceProcess(
            "asset-registry",
            [
                "--run-directory", try bench.folder.makeFolder("other"), "--state-directory",
                bench.folder.path("state"),
            ], logs: bench.folder, label: "second")
        #expect(try await second.exitCode(within: .seconds(15)) == 69)
        #expect(second.standardError.contains("registry.sqlite"))
        try await first.terminate()
    }
}
