// Kills, restarts, hints, hostile bytes and wrong settings, against our own process.

import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.enabled(if: ownsProcess, "these kill the process")) struct IndexerTroubleTests {
    @Test func killedBetweenAllStepsTheRequestStillEndsRight() async throws {
        let bench = try IndexerBench()
        var process = try #require(try bench.start())
        func killAndRestart() async throws {
            try await process.kill()
            process = try #require(try bench.start())
        }
        try await bench.recordFootage()
        try await killAndRestart()
        let accepted = try await bench.call(IndexerMethods.submitArchive, bench.archive("r", delivery: .cloud))
        try await killAndRestart()
        #expect(
            try await bench.call(IndexerMethods.submitArchive, bench.archive("r", delivery: .cloud)).receipt
                == .duplicate)
        let items = try await bench.claim(.archive, limit: 3)
        #expect(items.count == 3)
        try await killAndRestart()
        // The claims are still ours.
        #expect(try await bench.claim(.archive, limit: 3).isEmpty)
        for item in items {
            #expect(try await bench.complete(item, .archive).state == .archived)
            try await killAndRestart()
            #expect(try await bench.complete(item, .archive).state == .archived)
        }
        try await bench.complete(try #require(try await bench.claim(.archive, limit: 1).first), .archive)
        try await killAndRestart()
        for _ in 0..<2 {
            for item in try await bench.claim(.upload, limit: 3) { try await bench.complete(item, .upload) }
            try await killAndRestart()
        }
        let done = try await bench.request("r")
        #expect(done.state == .done)
        #expect(done.acceptedUs == accepted.request?.acceptedUs)
        #expect(done.files.count == 4)
        try await process.terminate()
    }

    @Test func aClaimOfADeadWorkerFallsBackAlsoOverARestart() async throws {
        let bench = try IndexerBench()
        let first = try #require(try bench.start())
        try await bench.recordFootage()
        _ = try await bench.call(IndexerMethods.submitArchive, bench.archive("r", 0, 10))
        let lost = try #require(try await bench.claim(.archive, limit: 1, leaseMs: 1000).first)
        try await first.kill()
        let second = try #require(try bench.start())
        let again = try #require(try await bench.claim(.archive, limit: 1, waitMs: 9000).first)
        #expect(again.itemID == lost.itemID)
        #expect(
            try await bench.client.refusal(of: IndexerMethods.completeItem, bench.completion(lost, .archive)).code
                == .failedPrecondition)
        try await bench.complete(again, .archive)
        try await second.terminate()
    }

    @Test func aWindowOfASilentCameraEndsByTheClock() async throws {
        let bench = try IndexerBench()
        let process = try #require(try bench.start(["--footage-wait-ms", "300"]))
        let cameras = [bench.requested("cam", .dark)]
        let reply = try await bench.call(IndexerMethods.submitArchive, bench.archive("r", 0, 10, cameras: cameras))
        #expect(reply.request?.state == .waiting)
        try await eventually("the request fails") {
            try await bench.request("r").state == .failed ? true : nil
        }
        #expect(try await bench.request("r").gaps.map(\.cause) == ["not_recorded"])
        try await process.terminate()
    }

    @Test func newRecordsWakeWaitingRequestsAndHintsTell() async throws {
        let bench = try IndexerBench()
        let process = try #require(try bench.start())
        let subscriber = HintSubscriber(
            addresses: [try RPCAddress(parsing: "ipc://\(bench.folder.path("indexer.hints"))")],
            topics: ["requests/", "media/", "claims/"])
        defer { subscriber.close() }
        try await eventually("a hint comes") {
            // Until the subscription is there, hints may be lost: repeat something that hints.
            _ = try await bench.call(
                IndexerMethods.submitArchive,
                bench.archive(
                    "probe\(Int.random(in: 0...1_000_000))", 900, 910, cameras: [bench.requested("other", .recording)]))
            for await event in subscriber.hints {
                if case .hint(let hint) = event, hint.topic == "requests/" { return true }
                return nil
            }
            return nil
        }
        _ = try await bench.call(
            IndexerMethods.submitArchive, bench.archive("r", cameras: [bench.requested("cam", .recording)]))
        #expect(try await bench.request("r").state == .waiting)
        try await bench.recordFootage()
        #expect(try await bench.request("r").state == .copying)
        var wanted: Set<String> = ["media/ \(bench.asset("cam"))", "requests/ r-\(bench.tag)", "claims/archive "]
        for await event in subscriber.hints {
            if case .hint(let hint) = event { wanted.remove("\(hint.topic ?? "") \(hint.name ?? "")") }
            if wanted.isEmpty { break }
        }
        #expect(wanted.isEmpty)
        try await process.terminate()
    }

    @Test func hostileBytesGetClearAnswersAndCostNothing() async throws {
        let bench = try IndexerBench()
        let process = try #require(try bench.start())
        try await bench.recordFootage()
        let complaints = await BadMessage.complaints(to: bench.address, method: IndexerMethods.recordMedia.name)
        #expect(complaints.isEmpty)
        #expect(
            try await bench.call(IndexerMethods.listFiles, ListFilesRequest(volumeID: bench.volumeID)).files.count == 3)
        try await process.terminate()
    }

    @Test func aStopEndsLongPollsAtOnceAndLosesNothing() async throws {
        let bench = try IndexerBench()
        let process = try #require(try bench.start())
        try await bench.recordFootage()
        async let poll = bench.call(
            IndexerMethods.claimItems,
            ClaimItemsRequest(work: .upload, worker: "w", waitMs: 9000))
        // The poll is there when a second call of the same connection is answered.
        #expect(try await bench.call(HealthMethods.check, HealthRequest()).ready == true)
        #expect(try await process.terminate() == 0)
        if let reply = try? await poll { #expect(reply.items.isEmpty) }
        let again = try #require(try bench.start())
        #expect(
            try await bench.call(IndexerMethods.listFiles, ListFilesRequest(volumeID: bench.volumeID)).files.count == 3)
        #expect(try await again.terminate() == 0)
    }

    @Test func aDamagedDatabaseIsOneClearLine() async throws {
        let bench = try IndexerBench()
        let state = try bench.folder.makeFolder("state")
        try Data(repeating: 0x5a, count: 16_384).write(to: URL(fileURLWithPath: state + "/catalogue.sqlite"))
        let process = try #require(try bench.start())
        #expect(try await process.exitCode(within: .seconds(5)) == 69)
        let lines = process.standardError.split(separator: "\n").filter { $0.contains("catalogue.sqlite") }
        #expect(lines.count == 1)
        #expect(lines.first?.contains("restore it from a backup") == true)
    }

    @Test func aSecondIndexerOnTheSameStateIsRefused() async throws {
        let bench = try IndexerBench()
        let first = try #require(try bench.start())
        #expect(try await bench.call(HealthMethods.check, HealthRequest()).ready == true)
        let second = try ServiceProcess(
            "indexer",
            ["--run-directory", try bench.folder.makeFolder("run2"), "--state-directory", bench.folder.path("state")],
            logs: bench.folder, label: "second")
        #expect(try await second.exitCode(within: .seconds(5)) == 69)
        #expect(second.standardError.contains("in use by another indexer"))
        try await first.terminate()
    }

    @Test(arguments: [
        (["--retention-hour", "3"], "retention-hour"), (["--footage-wait-ms", "soon"], "footage-wait-ms"),
        (["--archive-attempts", "0"], "archive-attempts"),
    ])
    func aWrongSettingIsOneLineAndExit64(arguments: [String], key: String) async throws {
        let folder = try TemporaryDirectory()
        let process = try ServiceProcess("indexer", arguments + ["--run-directory", folder.url.path], logs: folder)
        #expect(try await process.exitCode(within: .seconds(5)) == 64)
        #expect(process.standardError.contains(key))
        #expect(process.standardError.split(separator: "\n").count == 1)
    }
}
