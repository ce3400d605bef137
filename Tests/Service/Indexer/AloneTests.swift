// The indexer alone, and with neighbours that come, go and come again. It calls nobody: its neighbours are those who call it,
// a controller that records and a worker that waits for items.

import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized, .enabled(if: ownsProcess)) struct AloneTests {
    @Test func aloneItIsReadyAndStops() async throws {
        let bench = try IndexerBench()
        let process = try #require(try bench.start())
        try await eventually("it is ready") { try await ready(bench) }
        #expect(try await process.terminate() == 0)
    }

    @Test(arguments: [["controller", "worker"], ["worker", "controller"]])
    func neighboursThatRestartLoseNothing(order: [String]) async throws {
        let bench = try IndexerBench()
        let process = try #require(try bench.start())
        // First lives: the worker dies while it waits for work, the controller after its records were taken.
        for neighbour in order {
            let client = try connect(bench, as: neighbour)
            if neighbour == "worker" {
                let poll = Task { try await claim(client, waitMs: 9000) }
                try await eventually("the poll is there") { try await ready(bench) }
                client.close()
                _ = await poll.result
            } else {
                try await record(client, bench)
                client.close()
            }
        }
        _ = try await bench.call(IndexerMethods.submitArchive, bench.archive("r", 0, 10))
        // Second lives: the same records are taken and make nothing twice; the item that was meant for a dead poll comes.
        var done: ClaimedItem?
        for neighbour in order {
            let client = try connect(bench, as: neighbour)
            defer { client.close() }
            if neighbour == "worker" {
                let item = try await eventually("the item comes") { try await claim(client, waitMs: 1000).first }
                _ = try await client.call(IndexerMethods.completeItem, bench.completion(item, .archive))
                done = item
            } else {
                try await record(client, bench)
            }
        }
        #expect(done?.kind == .segment)
        let files = try await bench.call(IndexerMethods.listFiles, ListFilesRequest(volumeID: bench.volumeID)).files
        #expect(files.count == 3)
        #expect(try await process.terminate() == 0)
    }

    @Test func itIsRestartedUnderItsNeighboursAndTheyGoOn() async throws {
        let bench = try IndexerBench()
        var process = try #require(try bench.start())
        let (controller, worker) = (try connect(bench, as: "controller"), try connect(bench, as: "worker"))
        defer {
            controller.close()
            worker.close()
        }
        try await record(controller, bench)
        try await eventually("the worker is connected") { try await claim(worker, waitMs: 0).isEmpty ? true : nil }
        try await process.terminate()
        process = try #require(try bench.start())
        try await record(controller, bench)
        _ = try await bench.call(IndexerMethods.submitArchive, bench.archive("r", 0, 10))
        #expect(try await claim(worker, waitMs: 5000).first?.kind == .segment)
        #expect(try await process.terminate() == 0, "with two neighbours connected")
    }

    @Test func wrongSettingsAreOneLineEach() async throws {
        let folder = try TemporaryDirectory()
        let complaints = try await WrongSettings.complaints(
            "indexer", settings: ["--state-directory", folder.path("state")], key: "archive-attempts", outOfRange: "0")
        #expect(complaints.isEmpty)
    }

    // MARK: - Neighbours

    private func ready(_ bench: IndexerBench) async throws -> Bool? {
        let health = try await bench.client.health()
        return health.live == true && health.ready == true ? true : nil
    }

    private func connect(_ bench: IndexerBench, as name: String) throws -> ServiceClient {
        try ServiceClient("indexer", at: bench.address, caller: "test/\(name)-0")
    }

    private func record(_ client: ServiceClient, _ bench: IndexerBench) async throws {
        let records = (0..<3).map { bench.segment(Double($0) * 10, Double($0) * 10 + 10, spool: UInt64($0)) }
        let reply = try await client.call(
            IndexerMethods.recordMedia, RecordMediaRequest(controllerID: "cc-0", records: records))
        #expect(reply.acknowledged.count == 3)
    }

    private func claim(_ client: ServiceClient, waitMs: UInt32) async throws -> [ClaimedItem] {
        try await client.call(
            IndexerMethods.claimItems,
            ClaimItemsRequest(work: .archive, worker: "worker-0", limit: 1, leaseMs: 1000, waitMs: waitMs)
        ).items
    }
}
