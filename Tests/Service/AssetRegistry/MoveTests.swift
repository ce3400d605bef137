// Cameras among several controllers: shares, planned moves with both recording, and what of it outlives the process.

import Foundation
import Harness
import Testing
import Wire

@Suite(.enabled(if: ownsProcess)) struct MoveTests {
    /// What controllers believe, as they ask one after the other.
    private actor Controllers {
        let client: ServiceClient
        private(set) var held: [String: [Lease]] = [:]
        private(set) var leaving: [String: UInt32] = [:]

        init(_ client: ServiceClient) { self.client = client }

        @discardableResult func ask(
            _ name: String, ready: Bool = false, draining: Bool = false, capacity: UInt32 = 64
        ) async throws -> [Lease] {
            let believed = (held[name] ?? []).map { lease in
                var said = lease
                if lease.state == .taking, ready { said.ready = true }
                return said
            }
            let reply = try await client.call(
                AssetRegistryMethods.acquireLeases,
                AcquireLeasesRequest(
                    holder: name, holderAddress: "ipc:///run/\(name).rpc", capacity: capacity, held: believed,
                    takesOver: true, draining: draining))
            held[name] = reply.leases
            leaving[name] = reply.leaving
            return reply.leases
        }

        func release(_ name: String) async throws {
            _ = try await client.call(
                AssetRegistryMethods.releaseLeases, ReleaseLeasesRequest(holder: name, leases: held[name] ?? []))
            held[name] = nil
        }

        func owned(_ name: String) -> Int { (held[name] ?? []).count { $0.state != .taking } }
    }

    private func with(
        cameras: Int, _ body: (RegistryBench, Controllers, () async throws -> Void) async throws -> Void
    ) async throws {
        let bench = try RegistryBench(leaseMs: 2000)
        let registry = Running(try bench.start(["--rebalance-after-ms", "500"]))
        let documents = (0..<cameras).map { number in
            """
            kind: Device
            name: cam-\(number)
            properties:
              endpoints: {inbound: {main: {endpointType: Microsoft.Media, address: "rtsp://192.0.2.1/\(number)"}}}
            """
        }
        _ = try await bench.client.call(
            AssetRegistryMethods.apply, ApplyRequest(text: documents.joined(separator: "\n---\n"), origin: "test"))
        try await body(bench, Controllers(bench.client)) {
            try await registry.process?.kill()
            await registry.replace(by: try bench.start(["--rebalance-after-ms", "500"]))
        }
        #expect(try await registry.process?.terminate() == 0)
    }

    @Test func camerasOfADeadControllerAreSharedByTheOthers() async throws {
        try await with(cameras: 12) { bench, site, _ in
            try await eventually("three controllers have four each", within: .seconds(20)) {
                for name in ["cc-0", "cc-1", "cc-2"] { try await site.ask(name, ready: true) }
                var counts: [Int] = []
                for name in ["cc-0", "cc-1", "cc-2"] { counts.append(await site.owned(name)) }
                return counts == [4, 4, 4] ? true : nil
            }
            let since = ContinuousClock.now
            try await eventually("two have six each", within: .seconds(10)) {
                for name in ["cc-0", "cc-1"] { try await site.ask(name) }
                let counts = (await site.owned("cc-0"), await site.owned("cc-1"))
                return counts == (6, 6) ? true : nil
            }
            #expect(ContinuousClock.now - since < .milliseconds(2000 + 700), "the lease time, a tick, a question")
            // The one that was away believes to have four; it has none, and gets its share back without a fight.
            #expect(try await site.ask("cc-2").isEmpty)
            let leases = try await bench.client.call(AssetRegistryMethods.listLeases, ListLeasesRequest()).leases
            #expect(leases.count == 12)
            #expect(leases.allSatisfy { $0.holder != "cc-2" })
        }
    }

    @Test func aDrainMovesCamerasWhileBothRecordAlsoOverTheRegistrysDeath() async throws {
        try await with(cameras: 1) { bench, site, killRegistry in
            let first = try await site.ask("cc-0")
            #expect(try await site.ask("cc-1").isEmpty)
            let leaving = try await site.ask("cc-0", draining: true)
            #expect(leaving.map(\.state) == [.leaving])
            #expect(leaving.map(\.successor) == ["cc-1"])
            #expect(leaving.map(\.epoch) == first.map(\.epoch))
            #expect(await site.leaving["cc-0"] == 1)
            let taking = try await site.ask("cc-1")
            #expect(taking.map(\.state) == [.taking])
            #expect(taking.map(\.epoch) == [2])
            try await killRegistry()
            #expect(try await site.ask("cc-1").map(\.epoch) == [2])
            #expect(try await site.ask("cc-0", draining: true).map(\.state) == [.leaving], "it is not ready yet")
            let listed = try await bench.client.call(AssetRegistryMethods.listLeases, ListLeasesRequest()).leases
            #expect(listed.map(\.holder) == ["cc-0"])
            #expect(try await site.ask("cc-1", ready: true).map(\.state) == [nil])
            #expect(try await site.ask("cc-0", draining: true).isEmpty)
            #expect(await site.leaving["cc-0"] == 0)
        }
    }

    @Test func whoStopsInTheMiddleOfAMoveLeavesTheCameraToItsSuccessor() async throws {
        try await with(cameras: 1) { _, site, _ in
            try await site.ask("cc-0")
            try await site.ask("cc-1")
            try await site.ask("cc-0", draining: true)
            try await site.ask("cc-1")
            try await site.release("cc-0")
            let held = try await site.ask("cc-1")
            #expect(held.map(\.state) == [nil])
            #expect(held.map(\.epoch) == [2], "what it has recorded by now is the holder's")
        }
    }

    @Test func oneThatStandsStillTakesNoCamerasAway() async throws {
        let bench = try RegistryBench(leaseMs: 500)
        let process = try #require(try bench.start())
        try await bench.applyDocuments()
        let site = Controllers(bench.client)
        let first = try await site.ask("cc-0")
        #expect(first.count == 1)
        process.signal(SIGSTOP)
        // The registry's own time goes on: by its clock the lease has run out.
        try await Task.sleep(for: .milliseconds(1600))
        process.signal(SIGCONT)
        #expect(try await site.ask("cc-1").isEmpty)
        #expect(try await site.ask("cc-0").map(\.epoch) == first.map(\.epoch))
        #expect(try await process.terminate() == 0)
    }
}

/// The process that runs at present.
private actor Running {
    private(set) var process: ServiceProcess?
    init(_ process: ServiceProcess?) { self.process = process }
    func replace(by next: ServiceProcess?) { process = next }
}
