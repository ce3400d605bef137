// Starting and stopping, and what is wrong said in one line.

import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized) struct TroubleTests {
    @Test func itStopsWithinFiveSecondsAndSaysGoodbye() async throws {
        let site = try await AdapterSite()
        let adapter = try await site.startReady()
        try await site.retained("sightglass/adapter") { $0["state"]?.text == "online" }
        #expect(try await adapter.terminate() == 0)
        try await site.retained("sightglass/adapter") { $0["state"]?.text == "offline" }
    }

    @Test func theLastWillSaysWhenItWasKilled() async throws {
        let site = try await AdapterSite()
        let adapter = try await site.startReady()
        try await site.retained("sightglass/adapter") { $0["state"]?.text == "online" }
        try await adapter.kill()
        try await site.retained("sightglass/adapter") { $0["state"]?.text == "offline" }
    }

    @Test func itStopsWithAMessageInHandAndTheMessageComesAgain() async throws {
        let site = try await AdapterSite(away: ["indexer"])
        let adapter = try await site.startReady()
        try await site.publish("media-sync/events", site.event("e-9"))
        try await eventually("it is in hand") { site.chronicle.all.contains("ensure e-9") ? true : nil }
        #expect(try await adapter.terminate() == 0)
        site.indexer.server.start()
        let second = try await site.startReady()
        try await site.retained("media-sync/receipts/e-9")
        #expect(site.known.all == ["e-9"])
        try await second.terminate()
    }

    @Test func aWrongPasswordIsOneLineAndNotReady() async throws {
        let site = try await AdapterSite()
        let wrong = try site.folder.write("canary-wrong-password\n", to: "wrong-password")
        let adapter = try site.start(passwordFile: wrong)
        try await adapter.waitForLog("refuses the connection")
        let health = try await site.health()
        #expect(health.ready == false)
        #expect(health.live == true)
        #expect(
            health.reasons.contains { $0.contains("broker") && $0.contains("refuses the connection") },
            "\(health.reasons)")
        // Right now: it recovers without a restart.
        try Data((Broker.password + "\n").utf8).write(to: URL(fileURLWithPath: wrong), options: .atomic)
        try await site.ready(adapter)
        let lines = adapter.standardError.split(separator: "\n").filter { $0.contains("refuses the connection") }
        #expect(lines.count == 1, "\(adapter.standardError)")
        #expect(!adapter.standardError.contains("canary"))
        try await adapter.terminate()
    }

    @Test func itStartsWithoutItsNeighboursAndWithoutABroker() async throws {
        let site = try await AdapterSite(away: ["indexer", "registry", "controller"])
        try await site.broker.stop()
        let adapter = try site.start()
        try await eventually("it answers") { try await site.health().live }
        #expect(try await site.health().ready == false)
        try await site.broker.start()
        try await site.ready(adapter)
        site.registry.server.start()
        site.indexer.server.start()
        site.controller.server.start()
        try await site.publish("media-sync/events", site.event("e-10"))
        try await site.retained("media-sync/receipts/e-10", within: .seconds(30))
        await site.registry.server.stop()
        await site.controller.server.stop()
        // On the last configuration: accepted, with the reason why nobody could be asked for the footage.
        try await site.publish("media-sync/events", site.event("e-11"))
        let receipt = try await site.retained("media-sync/receipts/e-11", within: .seconds(30))
        #expect(receipt["cameras"]?.list.first?["footageReason"]?.text?.contains("could not be asked") == true)
        try await adapter.terminate()
    }

    @Test func theConfigurationSeenAtTheStartServesWhenTheRegistryIsGone() async throws {
        let site = try await AdapterSite()
        let adapter = try await site.startReady()
        try await eventually("leases and configuration are read") {
            site.registry.getConfiguration.requests.isEmpty || site.registry.listLeases.requests.isEmpty ? nil : true
        }
        await site.registry.server.stop()
        try await site.publish("media-sync/events", site.event("e-13"))
        try await site.retained("media-sync/receipts/e-13") { $0["receipt"]?.text == "accepted" }
        #expect(site.chronicle.all == ["ensure e-13", "submit e-13"])
        try await adapter.terminate()
    }

    @Test func theStatusOfAStreamThatIsGoneIsTakenBack() async throws {
        let site = try await AdapterSite()
        let adapter = try await site.startReady()
        let client = try site.client()
        defer { client.close() }
        let tasks = ["clips", "live"].map {
            TaskStatus(stream: StreamName(asset: "line1", stream: $0), state: .running)
        }
        _ = try await client.call(MqttEdgeAdapterMethods.reportStatus, ReportStatusRequest(tasks: tasks))
        try await site.retained("asset-status/line1/live")
        let source = SourceName(device: "dev1", endpoint: "main")
        site.registry.configure(
            endpoints: [InboundEndpoint(source: source, enabled: true)],
            streams: [
                StreamDefinition(name: StreamName(asset: "line1", stream: "clips"), source: source, enabled: true)
            ])
        try await eventually("the broker forgets it", within: .seconds(20)) {
            try await site.broker.message(
                on: "\(AdapterSite.namespace)/asset-status/line1/live", seconds: 1, ["--retained-only"]) == nil
                ? true : nil
        }
        try await site.retained("asset-status/line1/clips")
        try await adapter.terminate()
    }

    @Test func whatIsPublishedWhileItIsAwayIsTakenAtTheNextStart() async throws {
        let site = try await AdapterSite()
        try await site.startReady().terminate()
        try await site.publish("media-sync/events", site.event("e-12"))
        let second = try await site.startReady()
        try await site.retained("media-sync/receipts/e-12") { $0["receipt"]?.text == "accepted" }
        try await second.terminate()
    }

    @Test(arguments: [
        (["--no-such-setting", "1"], "no-such-setting"), (["--namespace", "a/#"], "namespace"),
        (["--event-rules", "/does/not/exist.yaml"], "event-rules"), (["--broker-port", "0"], "broker-port"),
        (["--broker-certificate", "/x.pem"], "broker-key"),
    ])
    func wrongSettingsAreOneLine(arguments: [String], part: String) async throws {
        let folder = try TemporaryDirectory()
        let adapter = try ServiceProcess(
            "mqtt-edge-adapter", ["--run-directory", folder.path("")] + arguments, logs: folder)
        #expect(try await adapter.exitCode(within: .seconds(5)) == 64)
        let lines = adapter.standardError.split(separator: "\n")
        #expect(lines.count == 1, "\(adapter.standardError)")
        #expect(lines.first?.contains(part) == true)
    }
}
