// The uploader alone, and with an indexer and a storage that come late, go in the middle of an upload and come again.

import BlobServer
import Fakes
import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized) struct AloneTests {
    /// A site whose storage can be restarted on its port, with what it holds.
    private final class Neighbours {
        let site: UploaderSite
        let bytes = UploaderSite.randomBytes(500_000)
        let item: ClaimedItem
        private var storage: BlobServer?

        init() async throws {
            site = try await UploaderSite(indexerRuns: false, keepsBlobs: true)
            storage = site.blob
            let item = try site.archived(bytes, "alone", id: 1)
            self.item = item
            // An attempt that failed comes again, as with the real indexer.
            site.indexer.failItem.answer { [weak indexer = site.indexer] request in
                guard request.retryable == true else { return FailItemReply(state: .poisoned) }
                var again = item
                again.epoch = (request.claim?.epoch ?? 0) + 1
                indexer?.offer([again], work: .upload)
                return FailItemReply(state: .pending)
            }
            site.indexer.offer([item], work: .upload)
        }

        func stop(_ name: String) async throws {
            if name == "indexer" {
                await site.indexer.server.stop()
            } else {
                try await storage?.stop()
                storage = nil
            }
        }

        func start(_ name: String) async throws {
            if name == "indexer" {
                site.indexer.server.start()
            } else {
                storage = try await BlobServer.start(.init(port: site.blob.port, folder: site.folder.path("blobs")))
            }
        }

        /// Starts the uploader and waits until one block is there and the others hang.
        func startAndHold() async throws -> ServiceProcess {
            site.blob.addFaults([Fault(.slow, operation: .putBlock, skip: 1, count: 100, delayMs: 600_000)])
            try await start("indexer")
            let uploader = try site.start()
            try await eventually("a block is there") { self.site.accepted(.putBlock).count == 1 ? true : nil }
            return uploader
        }

        func done() async throws {
            try await eventually(
                "the item is complete; failed: \(site.indexer.failItem.requests.map { $0.reason ?? "" })",
                within: .seconds(60)
            ) { self.site.indexer.completeItem.requests.first }
            #expect(storage?.content(of: item.archivePath ?? "", in: "cams") == bytes)
        }

        func end() async throws { try await storage?.stop() }
    }

    @Test func aloneItIsReadyAndStops() async throws {
        let all = try await Neighbours()
        try await all.stop("storage")
        let uploader = try all.site.start()
        try await eventually("it is ready") { try await all.site.health().ready == true ? true : nil }
        #expect(try await uploader.terminate() == 0)
    }

    @Test(arguments: [["indexer", "storage"], ["storage", "indexer"]])
    func itWorksWhicheverNeighbourComesFirst(order: [String]) async throws {
        let all = try await Neighbours()
        try await all.stop("storage")
        let uploader = try all.site.start()
        try await eventually("it answers") { try await all.site.health().live }
        try await all.start(order[0])
        if order[0] == "indexer" {
            let failure = try await all.site.failed()
            #expect(failure.retryable == true && failure.reason?.contains("does not answer") == true)
        }
        try await all.start(order[1])
        try await all.done()
        #expect(try await uploader.terminate() == 0)
        try await all.end()
    }

    @Test(arguments: [["storage"], ["indexer", "storage"], ["storage", "indexer"]])
    func aRestartInTheMiddleOfAnUploadLosesNothing(order: [String]) async throws {
        let all = try await Neighbours()
        let uploader = try await all.startAndHold()
        for name in order { try await all.stop(name) }
        for name in order { try await all.start(name) }
        try await all.done()
        #expect(uploader.isRunning)
        #expect(try await uploader.terminate() == 0)
        try await all.end()
    }

    @Test func aRestartOfTheIndexerAloneInTheMiddleOfAnUploadLosesNothing() async throws {
        let all = try await Neighbours()
        all.site.blob.addFaults([Fault(.slow, operation: .putBlock, skip: 1, delayMs: 3000)])
        try await all.start("indexer")
        let uploader = try all.site.start()
        try await eventually("a block is there") { all.site.accepted(.putBlock).isEmpty ? nil : true }
        try await all.stop("indexer")
        try await all.start("indexer")
        try await all.done()
        #expect(try await uploader.terminate() == 0)
        try await all.end()
    }

    @Test func itStopsInTimeWhileItsNeighboursAreAway() async throws {
        let all = try await Neighbours()
        let uploader = try await all.startAndHold()
        try await all.stop("indexer")
        #expect(try await uploader.terminate() == 0, "in the middle of an upload, without its indexer")
        // The storage is a host that answers nothing at all.
        try await all.stop("storage")
        let silent = try all.site.start([
            "blob-endpoint": "https://192.0.2.1/\(BlobServer.developmentAccount)"
        ])
        let claims = all.site.indexer.claimItems.requests.count
        all.site.indexer.offer([all.item], work: .upload)
        try await all.start("indexer")
        try await eventually("it has the item") {
            all.site.indexer.claimItems.requests.count > claims ? true : nil
        }
        try await all.stop("indexer")
        #expect(try await silent.terminate() == 0, "while it connects")
    }

    @Test func wrongSettingsAreOneLineEach() async throws {
        let blob = [
            "--archive-volume", "/a", "--blob-endpoint", "http://127.0.0.1:1/a", "--account", "a", "--container", "c",
            "--key-file", "key",
        ]
        let complaints = try await WrongSettings.complaints(
            "cloud-uploader", settings: blob, key: "lease-ms", outOfRange: "5")
        #expect(complaints.isEmpty)
    }

    @Test func aSocketThatCannotBeHadIsOneLine() async throws {
        let folder = try TemporaryDirectory()
        let uploader = try ServiceProcess(
            "cloud-uploader",
            [
                "--run-directory", folder.path("absent"), "--archive-volume", "/a", "--blob-endpoint",
                "http://127.0.0.1:1/a", "--account", "a", "--container", "c", "--key-file", "key",
            ], logs: folder)
        #expect(try await uploader.exitCode(within: .seconds(10)) == 69)
        #expect(uploader.standardError.split(separator: "\n").count == 1, "\(uploader.standardError)")
        #expect(uploader.standardError.contains(folder.path("absent")))
    }

    @Test func badMessagesGetAnErrorEach() async throws {
        let all = try await Neighbours()
        let uploader = try all.site.start()
        try await eventually("it answers") { try await all.site.health().live }
        let complaints = await BadMessage.complaints(to: "ipc://\(all.site.folder.path("run/cloud-uploader.rpc"))")
        #expect(complaints.isEmpty)
        let client = try all.site.client()
        defer { client.close() }
        let others = await BadRequests.complaints(
            VerifyTests.badRequests, of: CloudUploaderMethods.all, to: client)
        #expect(others.isEmpty)
        #expect(try await uploader.terminate() == 0)
        try await all.end()
    }
}
