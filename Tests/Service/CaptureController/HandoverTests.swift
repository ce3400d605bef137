// A camera that changes hands while both controllers record: what the one that takes it over does, and what the one that goes does.
import Fakes
import Foundation
import Harness
import Testing
import Wire

@Suite(.serialized, .timeLimit(.minutes(2))) struct HandoverTests {
    private static func lease(_ epoch: UInt64, _ state: LeaseState? = nil) -> Lease {
        Lease(
            source: CameraSite.source, holder: "capture-controller", epoch: epoch, remainingMs: 3000, state: state,
            successor: state == .leaving ? "cc-2" : nil)
    }

    private func reply(_ leases: [Lease], leaving: UInt32 = 0) -> AcquireLeasesReply {
        AcquireLeasesReply(leases: leases, renewAfterMs: 250, configurationRevision: 2, leaving: leaving)
    }

    @Test func whatIsTakenOverIsRecordedAndTheRestWaitsUntilItIsHeld() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.registry.acquireLeases.answer { _ in reply([Self.lease(7, .taking)]) }
        site.startNeighbours()
        site.registry.configure(
            endpoints: [site.endpoint()],
            streams: [
                site.clips(),
                site.stream("pictures", TaskSettings(type: .snapshotToFs, format: "jpeg", snapshotsPerSecond: 5)),
            ])
        let controller = try site.startController()
        try await eventually("it says that it is ready", within: .seconds(20)) {
            site.registry.acquireLeases.requests.last?.held.first?.ready == true ? true : nil
        }
        let request = try #require(site.registry.acquireLeases.requests.last)
        #expect(request.takesOver == true)
        #expect(request.held.map(\.epoch) == [7])
        #expect(try await site.sourceStatus() == nil, "its holder reports it")
        let segments = try await eventually("two segments are told") {
            site.segments.count >= 2 ? site.segments : nil
        }
        #expect(Set(segments.map(\.leaseEpoch)) == [7])
        #expect(site.told(.snapshot).isEmpty)

        site.registry.acquireLeases.answer { _ in reply([Self.lease(7)]) }
        try await eventually("pictures come") { site.told(.snapshot).isEmpty ? nil : true }
        #expect(try await site.sourceStatus()?.leaseEpoch == 7)
        #expect(Set(site.segments.map(\.runID)).count == 1, "the session went on")
        #expect(try await controller.terminate() == 0)
        try await camera.kill()
    }

    @Test func whoIsToStopRecordsOnUntilTheOthersDo() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.registry.acquireLeases.answer { request in
            request.draining == true ? reply([Self.lease(1, .leaving)], leaving: 1) : reply([Self.lease(1)])
        }
        site.startNeighbours()
        site.registry.configure(endpoints: [site.endpoint()], streams: [site.clips()])
        let controller = try site.startController()
        try await eventually("a segment is told", within: .seconds(20)) { site.segments.isEmpty ? nil : true }
        controller.signal(SIGTERM)
        try await eventually("it says that it is to stop") {
            site.registry.acquireLeases.requests.last?.draining == true ? true : nil
        }
        let before = site.segments.count
        try await eventually("it records on") { site.segments.count >= before + 2 ? true : nil }
        #expect(controller.isRunning)
        // The successor is ready: nothing is left here.
        site.registry.acquireLeases.answer { _ in reply([]) }
        #expect(try await controller.exitCode(within: .seconds(5)) == 0)
        #expect(Set(site.segments.map(\.runID)).count == 1)
        try await camera.kill()
    }

    @Test func aSecondSignalDoesNotWaitForTheOthers() async throws {
        let site = try CameraSite()
        site.registry.acquireLeases.answer { request in
            request.draining == true ? reply([Self.lease(1, .leaving)], leaving: 1) : reply([Self.lease(1)])
        }
        site.startNeighbours()
        site.registry.configure(endpoints: [site.endpoint()], streams: [site.clips()])
        let controller = try site.startController()
        try await eventually("it holds the camera", within: .seconds(20)) {
            site.registry.acquireLeases.requests.last?.held.isEmpty == false ? true : nil
        }
        controller.signal(SIGTERM)
        try await eventually("it says that it is to stop") {
            site.registry.acquireLeases.requests.last?.draining == true ? true : nil
        }
        #expect(controller.isRunning)
        #expect(try await controller.terminate() == 0)
    }
}
