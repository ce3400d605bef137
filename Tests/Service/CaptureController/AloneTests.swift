// The controller alone, and with neighbours that come late, go while it records and come again, in any order. What is recorded
// never depends on them.

import Fakes
import Foundation
import Harness
import RPC
import Testing
import Volume
import Wire

@Suite(.serialized, .timeLimit(.minutes(3))) struct AloneTests {
    private func server(_ name: String, _ site: CameraSite) -> FakeServer {
        switch name {
        case "registry": site.registry.server
        case "indexer": site.indexer.server
        default: site.adapter.server
        }
    }

    private func ready(_ site: CameraSite) async throws {
        try await eventually("it is ready") {
            let health = try await site.client.call(HealthMethods.check, HealthRequest(), timeout: .seconds(2))
            return health.live == true && health.ready == true ? true : nil
        }
    }

    /// Segments of one second adjoin from the first to the last: nothing was lost.
    private func expectNoGap(_ site: CameraSite) {
        let segments = site.segments.sorted { ($0.startUs ?? 0) < ($1.startUs ?? 0) }
        for (one, next) in zip(segments, segments.dropFirst()) {
            #expect(one.endUs == next.startUs && one.runID == next.runID, "\(one.path ?? "") and \(next.path ?? "")")
        }
        #expect(site.records.compactMap(\.gap).isEmpty)
    }

    private func isReported(_ site: CameraSite, after: Int) -> Bool {
        site.adapter.reportStatus.requests.dropFirst(after).contains { report in
            report.sources.contains { $0.state == .streaming } || report.tasks.contains { $0.state == .running }
        }
    }

    @Test func aloneItIsReadyAndStops() async throws {
        let site = try CameraSite()
        let controller = try site.startController()
        try await ready(site)
        #expect(try await controller.terminate() == 0)
    }

    @Test(arguments: [
        ["registry", "indexer", "adapter"], ["adapter", "indexer", "registry"], ["indexer", "registry", "adapter"],
    ])
    func itWorksWhicheverNeighbourComesFirst(order: [String]) async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.registry.configure(endpoints: [site.endpoint()], streams: [site.clips(seconds: 1)])
        let controller = try site.startController()
        try await ready(site)
        for name in order { server(name, site).start() }
        try await eventually("records arrive", within: .seconds(20)) { site.segments.count >= 2 ? true : nil }
        try await eventually("the adapter is told", within: .seconds(20)) { isReported(site, after: 0) ? true : nil }
        expectNoGap(site)
        #expect(try await controller.terminate() == 0)
        try await camera.kill()
    }

    @Test(arguments: [
        ["registry", "indexer", "adapter"], ["adapter", "registry", "indexer"], ["indexer", "adapter", "registry"],
    ])
    func restartsWhileItRecordsLoseNothing(order: [String]) async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.startNeighbours()
        site.registry.configure(endpoints: [site.endpoint()], streams: [site.clips(seconds: 1)])
        let controller = try site.startController(["--status-seconds", "1"])
        try await eventually("it records", within: .seconds(20)) { site.segments.isEmpty ? nil : true }
        // All away at once, and back one after the other.
        for name in order { await server(name, site).stop() }
        let before = site.files().count
        try await eventually("it records without them") { site.files().count >= before + 2 ? true : nil }
        for name in order { server(name, site).start() }
        try await eventually("the records arrive", within: .seconds(20)) {
            site.segments.count >= before + 2 ? true : nil
        }
        // Each one alone.
        for name in order {
            await server(name, site).stop()
            server(name, site).start()
            let (segments, reports) = (site.segments.count, site.adapter.reportStatus.requests.count)
            let leases = site.registry.acquireLeases.requests.count
            try await eventually("after the restart of \(name) all are served", within: .seconds(20)) {
                site.segments.count > segments && isReported(site, after: reports)
                    && site.registry.acquireLeases.requests.count > leases ? true : nil
            }
        }
        expectNoGap(site)
        #expect(controller.isRunning)
        #expect(try await controller.terminate() == 0)
        try await camera.kill()
    }

    @Test func itStopsInTimeWhileAllAreAwayAndTheNextLifeDeliversTheRecords() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.startNeighbours()
        site.registry.configure(endpoints: [site.endpoint()], streams: [site.clips(seconds: 60)])
        let controller = try site.startController()
        try await eventually("it records", within: .seconds(20)) { try await site.sourceStatus()?.syncedToUs }
        for name in ["registry", "indexer", "adapter"] { await server(name, site).stop() }
        #expect(try await controller.terminate() == 0)
        let path = try #require(site.files().first)
        #expect(try await site.probe(path).frames > 0, "what was open is sealed")
        #expect(site.segments.isEmpty)
        try await camera.kill()
        let next = try site.startController()
        site.startNeighbours()
        try await eventually("the record of the earlier life arrives", within: .seconds(20)) {
            site.segments.contains { $0.path == path } ? true : nil
        }
        #expect(try await next.terminate() == 0)
    }

    @Test func itStopsInTimeWithACameraThatIsAway() async throws {
        let site = try CameraSite()
        site.registry.server.start()
        site.registry.configure(endpoints: [site.endpoint(host: "192.0.2.1")], streams: [site.clips()])
        let controller = try site.startController()
        try await eventually("it connects") { try await site.sourceStatus() }
        await site.registry.server.stop()
        #expect(try await controller.terminate() == 0)
    }

    @Test func wrongSettingsAreOneLineEach() async throws {
        let folder = try TemporaryDirectory()
        let complaints = try await WrongSettings.complaints(
            "capture-controller", settings: ["--state-directory", folder.path("state")], key: "capacity",
            outOfRange: "0")
        #expect(complaints.isEmpty)
    }

    @Test func badMessagesGetAnErrorEach() async throws {
        let site = try CameraSite()
        let controller = try site.startController()
        try await ready(site)
        let complaints = await BadMessage.complaints(
            to: site.address, method: CaptureControllerMethods.ensureFootage.name)
        #expect(complaints.isEmpty)
        #expect(try await controller.terminate() == 0)
    }
}
