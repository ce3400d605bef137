// What the adapter publishes for others: pictures, status, the state of requests, its own presence.

import Foundation
import Harness
import RPC
import Synchronization
import Testing
import Wire

@Suite(.serialized) struct PublishTests {
    private func picture(_ bytes: Int = 2_000, expiresInMs: UInt32 = 5_000)
        -> PublishSnapshotRequest
    {
        PublishSnapshotRequest(
            stream: StreamName(asset: "line1", stream: "pictures"),
            source: SourceName(device: "dev1", endpoint: "main"),
            picture: Array(repeating: 0xAB, count: bytes), contentType: "image/jpeg", capturedUs: 1_763_870_706_789_000,
            sequence: 3, widthPx: 640, heightPx: 360, destination: MqttDestination(qos: 1, ttlS: 30),
            expiresInMs: expiresInMs)
    }

    @Test func aPictureGoesOutRawWithItsReferenceData() async throws {
        let site = try await AdapterSite()
        let adapter = try await site.startReady()
        let watcher = try await site.subscriber(["data/line1/pictures"], format: "%C|%E|%q|%l|%P|%x")
        let client = try site.client()
        defer { client.close() }
        let reply = try await client.call(MqttEdgeAdapterMethods.publishSnapshot, picture())
        #expect(reply.published == true)
        #expect(reply.topic == "azure-iot-operations/data/line1/pictures")
        let line = try await eventually("the picture is there") {
            watcher.standardOutput.split(separator: "\n").first { $0.contains("|image/jpeg|") }.map(String.init)
        }
        #expect(line.hasSuffix(String(repeating: "ab", count: 2_000)))
        let parts = line.split(separator: "|", omittingEmptySubsequences: false)
        #expect((1...30).contains(try #require(Int(parts[2]))))
        #expect(parts[4] == "2000")
        for property in [
            "specversion:1.0", "type:Stream", "source:ms-aio:dev1/main", "subject:line1/pictures",
            "time:2025-11-23T04:05:06.789Z", "device:dev1", "endpoint:main", "asset:line1", "stream:pictures",
            "sequence:3",
            "width:640", "height:360", "__protVer:1.0", "__srcId:sightglass",
        ] {
            #expect(parts[5].contains(property), "\(property) is missing in \(parts[5])")
        }
        let late = try await client.call(MqttEdgeAdapterMethods.publishSnapshot, picture(expiresInMs: 0))
        #expect(late.published == false)
        try await adapter.terminate()
    }

    @Test func aPictureOfManyMegabytesPasses() async throws {
        let site = try await AdapterSite()
        let adapter = try await site.startReady()
        let watcher = try await site.subscriber(["data/line1/pictures"], format: "size %l")
        let client = try site.client()
        defer { client.close() }
        let reply = try await client.call(
            MqttEdgeAdapterMethods.publishSnapshot, picture(20 << 20, expiresInMs: 20_000), timeout: .seconds(20))
        #expect(reply.published == true)
        try await eventually("all of it is there") { watcher.standardOutput.contains("size \(20 << 20)") ? true : nil }
        try await adapter.terminate()
    }

    @Test func whatTheBrokerDoesNotTakeIsSaidAndBreaksNothing() async throws {
        let site = try await AdapterSite(brokerSettings: ["max_packet_size 50000"])
        let adapter = try await site.startReady()
        let client = try site.client()
        defer { client.close() }
        let error = await #expect(throws: RPCError.self) {
            try await client.call(MqttEdgeAdapterMethods.publishSnapshot, picture(60_000))
        }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains("50000") == true)
        #expect(try await client.call(MqttEdgeAdapterMethods.publishSnapshot, picture(40_000)).published == true)
        try await site.broker.stop()
        let away = await #expect(throws: RPCError.self) {
            try await client.call(MqttEdgeAdapterMethods.publishSnapshot, picture(), timeout: .seconds(2))
        }
        #expect(away?.code == .unavailable)
        try await adapter.terminate()
    }

    @Test func statusIsRetainedAndShownAgainByABrokerThatForgotIt() async throws {
        let site = try await AdapterSite(brokerSettings: ["persistence false"])
        let adapter = try await site.startReady()
        try await site.retained("sightglass/adapter") { $0["state"]?.text == "online" }
        let client = try site.client()
        defer { client.close() }
        let report = ReportStatusRequest(
            controllerID: "cc-0",
            sources: [
                SourceStatus(
                    source: SourceName(device: "dev1", endpoint: "main"), state: .backingOff,
                    reason: "camera answers but refuses the user name", cause: "unauthorized")
            ],
            tasks: [TaskStatus(stream: StreamName(asset: "line1", stream: "clips"), type: .clipToFs, state: .waiting)])
        _ = try await client.call(MqttEdgeAdapterMethods.reportStatus, report)
        try await site.retained("asset-status/line1/clips") { $0["state"]?.text == "waiting" }
        try await site.retained("source-status/dev1/main") { $0["cause"]?.text == "unauthorized" }
        let watcher = try await site.subscriber(["asset-status/#"], format: "%r %p")
        _ = try await client.call(MqttEdgeAdapterMethods.reportStatus, report)
        var changed = report
        changed.tasks[0].state = .running
        _ = try await client.call(MqttEdgeAdapterMethods.reportStatus, changed)
        try await eventually("the change is published") { watcher.standardOutput.contains("running") ? true : nil }
        #expect(watcher.standardOutput.components(separatedBy: "|0 {").count == 2, "only the change is published")
        try await site.broker.stop()
        try await site.broker.start()
        try await site.retained("asset-status/line1/clips", within: .seconds(30)) { $0["state"]?.text == "running" }
        try await site.retained("sightglass/adapter") { $0["state"]?.text == "online" }
        try await site.ready(adapter)
        try await adapter.terminate()
    }

    @Test func requestsAreFollowedAndPublishedAgainAtAStart() async throws {
        let site = try await AdapterSite()
        let first = try await site.startReady()
        site.indexer.show(ArchiveRequest(requestID: "r1", state: .copying))
        try await site.retained("media-sync/requests/r1") { $0["state"]?.text == "copying" }
        let file = DeliveredFile(
            kind: .segment, state: .uploaded, archivePath: "line1/x.mp4", blobURL: "https://a/footage/line1/x.mp4",
            camera: "line1", sizeBytes: 9, sha256: [1, 2])
        site.indexer.show(ArchiveRequest(requestID: "r1", state: .done, finishedUs: nowUs(), files: [file]))
        let done = try await site.retained("media-sync/requests/r1") { $0["state"]?.text == "done" }
        #expect(done["files"]?.list.first?["sha256"]?.text == "0102")
        #expect(done["files"]?.list.first?["blobUrl"]?.text == "https://a/footage/line1/x.mp4")
        try await first.kill()
        site.indexer.show(ArchiveRequest(requestID: "r2", state: .failed, reason: "not recorded", finishedUs: nowUs()))
        let second = try await site.startReady()
        try await site.retained("media-sync/requests/r2") { $0["reason"]?.text == "not recorded" }
        try await second.terminate()
    }

    /// No hint and no change says that bytes are on their way: the adapter asks while files go up, and not otherwise.
    @Test func aRequestShowsItsBytesOnTheirWay() async throws {
        let site = try await AdapterSite()
        let adapter = try await site.startReady()
        let sent = Mutex<UInt64>(0)
        site.indexer.listUploads.answer { _ in
            let bytes = sent.withLock { sent in
                sent += 100
                return sent
            }
            return ListUploadsReply(
                items: [UploadItem(itemID: 1, sizeBytes: 1 << 30, sentBytes: bytes, worker: "u", requestIDs: ["r1"])])
        }
        site.indexer.show(ArchiveRequest(requestID: "r1", state: .uploading, delivery: .cloud, bytesUploaded: 7))
        let first = try await site.retained("media-sync/requests/r1") { $0["bytesInFlight"] != nil }
        #expect(first["bytesUploaded"]?.number == 7)
        let shown = try #require(first["bytesInFlight"]?.number)
        try await site.retained("media-sync/requests/r1") { ($0["bytesInFlight"]?.number ?? 0) > shown }
        #expect(site.indexer.listUploads.requests.allSatisfy { $0.limit == 64 && $0.setAsideOnly != true })
        site.indexer.show(
            ArchiveRequest(requestID: "r1", state: .done, delivery: .cloud, finishedUs: nowUs(), bytesUploaded: 9))
        let done = try await site.retained("media-sync/requests/r1") { $0["state"]?.text == "done" }
        #expect(done["bytesInFlight"] == nil && done["bytesUploaded"]?.number == 9)
        try await adapter.terminate()
    }

    private func nowUs() -> Int64 { Int64(Date().timeIntervalSince1970 * 1_000_000) }
}
