// The adapter alone, and with a broker and neighbours that come late, go while events are on their way and come again, in any
// order.

import Fakes
import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized) struct AloneTests {
    private static let all = ["broker", "registry", "indexer", "controller"]

    private func start(_ name: String, _ site: AdapterSite) async throws {
        switch name {
        case "broker": try await site.broker.start()
        case "registry": site.registry.server.start()
        case "indexer": site.indexer.server.start()
        default: site.controller.server.start()
        }
    }

    private func stop(_ name: String, _ site: AdapterSite) async throws {
        switch name {
        case "broker": try await site.broker.stop()
        case "registry": await site.registry.server.stop()
        case "indexer": await site.indexer.server.stop()
        default: await site.controller.server.stop()
        }
    }

    /// An event that all neighbours have a part in: footage from the controller, the request from the indexer.
    private func playEvent(_ key: String, _ site: AdapterSite) async throws {
        try await site.publish("media-sync/events", site.event(key))
        let receipt = try await site.retained("media-sync/receipts/\(key)", within: .seconds(30)) {
            $0["receipt"]?.text == "accepted"
        }
        #expect(receipt["requestId"]?.text == "request-\(key)")
        #expect(site.chronicle.all.contains("ensure \(key)"), "\(key): the controller was asked for the footage")
    }

    @Test func aloneItAnswersSaysWhatItWaitsForAndStops() async throws {
        let site = try await AdapterSite(away: Set(Self.all))
        try await site.broker.stop()
        let adapter = try site.start()
        let health = try await eventually("it says what it waits for") {
            let health = try await site.health()
            return health.reasons.contains { $0.contains("broker") } ? health : nil
        }
        #expect(health.live == true && health.ready == false)
        #expect(try await adapter.terminate() == 0)
    }

    @Test(arguments: [
        ["broker", "registry", "indexer", "controller"], ["controller", "indexer", "registry", "broker"],
        ["indexer", "broker", "controller", "registry"],
    ])
    func itWorksWhicheverNeighbourComesFirst(order: [String]) async throws {
        let site = try await AdapterSite(away: Set(Self.all))
        try await site.broker.stop()
        let adapter = try site.start()
        try await eventually("it answers") { try await site.health().live }
        for name in order { try await start(name, site) }
        try await site.ready(adapter)
        try await playEvent("first", site)
        #expect(try await adapter.terminate() == 0)
    }

    @Test(arguments: [
        ["broker", "registry", "indexer", "controller"], ["controller", "indexer", "registry", "broker"],
        ["registry", "controller", "broker", "indexer"],
    ])
    func restartsInTheMiddleOfAnEventLoseNothing(order: [String]) async throws {
        let site = try await AdapterSite(away: ["indexer"])
        let adapter = try await site.startReady()
        // In hand, and not acknowledged, because the indexer is away.
        try await site.publish("media-sync/events", site.event("held"))
        try await eventually("it is in hand") { site.chronicle.all.contains("ensure held") ? true : nil }
        for name in order where name != "indexer" { try await stop(name, site) }
        for name in order { try await start(name, site) }
        let receipt = try await site.retained("media-sync/receipts/held", within: .seconds(40))
        #expect(receipt["requestId"]?.text == "request-held")
        // And each one alone, with work after it.
        for name in order {
            try await stop(name, site)
            try await start(name, site)
            if name == "broker" { try await site.ready(adapter) }
            try await playEvent("after-\(name)", site)
        }
        #expect(site.known.all == (["held"] + order.map { "after-\($0)" }).sorted())
        #expect(adapter.isRunning)
        #expect(try await adapter.terminate() == 0)
    }

    @Test func itStopsInTimeWithAnEventInHandWhileAllAreAway() async throws {
        let site = try await AdapterSite(away: ["indexer"])
        let adapter = try await site.startReady()
        try await site.publish("media-sync/events", site.event("held"))
        try await eventually("it is in hand") { site.chronicle.all.contains("ensure held") ? true : nil }
        for name in Self.all where name != "indexer" { try await stop(name, site) }
        #expect(try await adapter.terminate() == 0)
    }

    @Test func itStopsInTimeWhileItConnectsToABrokerThatSaysNothing() async throws {
        let site = try await AdapterSite(away: Set(Self.all))
        let adapter = try site.start(host: "192.0.2.1")
        try await eventually("it answers") { try await site.health().live }
        #expect(try await adapter.terminate() == 0)
    }

    @Test func wrongSettingsAreOneLineEach() async throws {
        let complaints = try await WrongSettings.complaints("mqtt-edge-adapter", key: "broker-port", outOfRange: "0")
        #expect(complaints.isEmpty)
    }

    @Test func badMessagesGetAnErrorEach() async throws {
        let site = try await AdapterSite(away: Set(Self.all))
        let adapter = try site.start()
        try await eventually("it answers") { try await site.health().live }
        let complaints = await BadMessage.complaints(
            to: "ipc://\(site.folder.path("run/mqtt-edge-adapter.rpc"))",
            method: MqttEdgeAdapterMethods.reportStatus.name)
        #expect(complaints.isEmpty)
        #expect(try await adapter.terminate() == 0)
    }
}
