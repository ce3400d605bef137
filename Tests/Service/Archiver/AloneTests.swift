// The archiver alone, and with neighbours that come late, go in the middle of a copy and come again, in any order.

import Fakes
import Foundation
import Harness
import RPC
import Testing
import Volume
import Wire

@Suite(.serialized) struct AloneTests {
    /// A site whose item must be read from the controller; an attempt that failed comes again, as with the real indexer.
    private struct RemoteSite {
        let site: ArchiverTests.Site
        let bytes: [UInt8]
        let path: String

        init() throws {
            site = try ArchiverTests.Site(indexerRuns: false)
            let bytes = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            self.bytes = bytes
            let item = try site.record(bytes, "alone", id: 1)
            path = item.archivePath ?? ""
            site.indexer.failItem.answer { [weak indexer = site.indexer] request in
                guard request.retryable == true else { return FailItemReply(state: .poisoned) }
                var again = item
                again.epoch = (request.claim?.epoch ?? 0) + 1
                indexer?.offer([again], work: .archive)
                return FailItemReply(state: .pending)
            }
            site.indexer.offer([item], work: .archive)
        }

        func start() throws -> ServiceProcess { try site.start(mounted: false) }

        func server(_ name: String) -> FakeServer {
            name == "indexer" ? site.indexer.server : site.controller.server
        }

        /// From now on the controller gives the file; with `holding`, its second piece never comes.
        func serve(holding: Bool = false) {
            let bytes = bytes
            site.controller.readSegment.answer { request in
                let offset = Int(request.offset ?? 0)
                if holding && offset > 0 { try await Task.sleep(for: .seconds(600)) }
                let end = min(bytes.count, offset + Int(request.length ?? 0))
                return ReadSegmentReply(
                    data: Array(bytes[min(offset, end)..<(holding ? min(end, 900_000) : end)]),
                    sizeBytes: UInt64(bytes.count))
            }
        }

        func startAndHold() async throws -> ServiceProcess {
            serve(holding: true)
            site.indexer.server.start()
            site.controller.server.start()
            let archiver = try start()
            try await eventually("it waits for the second piece", within: .seconds(20)) {
                site.controller.readSegment.requests.contains { ($0.offset ?? 0) > 0 } ? true : nil
            }
            return archiver
        }

        func done() async throws {
            try await eventually(
                "the item is complete; failed: \(site.indexer.failItem.requests.map { $0.reason ?? "" })",
                within: .seconds(40)
            ) { site.indexer.completeItem.requests.first }
            #expect(site.archived(path) == bytes)
            #expect(site.staged.isEmpty)
        }
    }

    @Test func aloneItIsReadyAndStops() async throws {
        let site = try ArchiverTests.Site(indexerRuns: false)
        let archiver = try site.start()
        let health = try await eventually("it is ready") {
            let health = try await site.health()
            return health.ready == true ? health : nil
        }
        #expect(health.live == true)
        #expect(try await archiver.terminate() == 0)
    }

    @Test(arguments: [["indexer", "controller"], ["controller", "indexer"]])
    func itWorksWhicheverNeighbourComesFirst(order: [String]) async throws {
        let remote = try RemoteSite()
        remote.serve()
        let archiver = try remote.start()
        try await eventually("it is ready") { try await remote.site.health().ready == true ? true : nil }
        remote.server(order[0]).start()
        if order[0] == "indexer" {
            let failure = try await remote.site.failed()
            #expect(failure.retryable == true && failure.reason?.isEmpty == false)
        }
        remote.server(order[1]).start()
        try await remote.done()
        #expect(try await archiver.terminate() == 0)
    }

    @Test(arguments: [["indexer"], ["controller"], ["indexer", "controller"], ["controller", "indexer"]])
    func aRestartInTheMiddleOfACopyLosesNothing(order: [String]) async throws {
        let remote = try RemoteSite()
        let archiver = try await remote.startAndHold()
        for name in order { await remote.server(name).stop() }
        remote.serve()
        for name in order { remote.server(name).start() }
        // The indexer's restart alone leaves the piece on its way; its answer comes by a restart of the controller too.
        if !order.contains("controller") {
            await remote.server("controller").stop()
            remote.server("controller").start()
        }
        try await remote.done()
        #expect(archiver.isRunning)
        #expect(try await archiver.terminate() == 0)
    }

    @Test func itStopsInTimeWhileItsNeighboursAreAway() async throws {
        let remote = try RemoteSite()
        let archiver = try await remote.startAndHold()
        await remote.server("controller").stop()
        await remote.server("indexer").stop()
        #expect(try await archiver.terminate() == 0)
        #expect(remote.site.staged.isEmpty)
        // With a result in hand that nobody takes.
        let second = try ArchiverTests.Site(indexerRuns: false)
        let item = try second.record([1, 2, 3], "undelivered", id: 2)
        second.indexer.completeItem.answer { _ in
            try await Task.sleep(for: .seconds(600))
            return CompleteItemReply()
        }
        second.indexer.offer([item], work: .archive)
        second.indexer.server.start()
        let other = try second.start()
        _ = try await second.completed()
        await second.indexer.server.stop()
        #expect(try await other.terminate() == 0)
    }

    @Test func wrongSettingsAreOneLineEach() async throws {
        let complaints = try await WrongSettings.complaints(
            "archiver", settings: ["--archive-volume", "/a"], key: "lease-ms", outOfRange: "5")
        #expect(complaints.isEmpty)
    }

    @Test func badMessagesGetAnErrorEach() async throws {
        let site = try ArchiverTests.Site(indexerRuns: false)
        let archiver = try site.start()
        try await eventually("it answers") { try await site.health().live }
        let complaints = await BadMessage.complaints(to: "ipc://\(site.folder.path("run/archiver.rpc"))")
        #expect(complaints.isEmpty)
        let client = try site.client()
        defer { client.close() }
        let others = await BadRequests.complaints(to: client)
        #expect(others.isEmpty)
        #expect(try await archiver.terminate() == 0)
    }
}
