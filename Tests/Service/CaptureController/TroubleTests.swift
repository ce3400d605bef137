// Bad cameras and bad volumes: each a clear word in the right place. Settings, messages and neighbours: AloneTests.swift.
import Fakes
import Foundation
import Harness
import Testing
import Volume
import Wire

@Suite(.serialized, .timeLimit(.minutes(2))) struct TroubleTests {
    private func status(_ site: CameraSite, cause: String) async throws -> SourceStatus {
        try await eventually("the cause is \(cause)") { () -> SourceStatus? in
            let status = try await site.sourceStatus()
            return status?.cause == cause ? status : nil
        }
    }

    @Test func aWrongPasswordIsNamedAndNeverShown() async throws {
        let site = try CameraSite()
        let camera = try await site.startCamera()
        site.startNeighbours()
        site.registry.configure(endpoints: [site.endpoint(password: "line1/wrong")], streams: [site.clips()])
        let controller = try site.startController()
        let source = try await status(site, cause: "unauthorized")
        #expect(source.reason?.contains("camera answers but refuses the user name or password") == true)
        #expect(source.state == .backingOff)
        let told = try await eventually("the adapter is told") {
            site.adapter.reportStatus.requests.flatMap(\.sources).last { $0.cause == "unauthorized" }
        }
        #expect(told.source == CameraSite.source)
        #expect(try await site.task("clips")?.state == .waiting)
        // A right password is used at once: the settings of the connection changed.
        site.registry.configure(endpoints: [site.endpoint()], streams: [site.clips()])
        try await eventually("it streams") { try await site.sourceStatus()?.state == .streaming ? true : nil }
        try await controller.terminate()
        #expect(!controller.standardError.contains(CameraSite.password))
        try await camera.kill()
    }

    @Test func anUnknownHostAndAClosedPortAreToldApart() async throws {
        let site = try CameraSite()
        site.startNeighbours()
        site.registry.configure(endpoints: [site.endpoint(host: "no-such-host.invalid")], streams: [site.clips()])
        let controller = try site.startController()
        #expect(try await status(site, cause: "unreachable").reason?.contains("no-such-host.invalid") == true)
        site.registry.configure(endpoints: [site.endpoint()], streams: [site.clips()])
        let refused = try await status(site, cause: "refused")
        #expect(refused.reason == "connection refused at 127.0.0.1:\(site.cameraPort)")
        // The camera comes: it is found within seconds.
        let camera = try await site.startCamera()
        try await eventually("a run began") { try await site.sourceStatus()?.runID }
        try await camera.kill()
        _ = try await status(site, cause: "refused")
        let again = try await site.startCamera()
        let gap = try await eventually("the gap is recorded") { site.records.compactMap(\.gap).first }
        #expect(gap.cause == "dark")
        try await controller.terminate()
        try await again.kill()
    }

    @Test func aVolumeWithoutAMarkerIsRefusedAndTakenWhenItIsAdopted() async throws {
        let site = try CameraSite(adopted: false)
        let camera = try await site.startCamera()
        site.startNeighbours()
        site.registry.configure(endpoints: [site.endpoint()], streams: [site.clips(seconds: 1)])
        let controller = try site.startController()
        try await eventually("the task says why") {
            try await site.task("clips")?.error?.contains("sightglass volume adopt") == true ? true : nil
        }
        let health = try await site.client.call(HealthMethods.check, HealthRequest())
        #expect(health.live == true && health.ready == false)
        #expect(health.reasons.contains { $0.contains("marker") })
        #expect(try FileManager.default.contentsOfDirectory(atPath: site.volume).isEmpty, "nothing was written")
        _ = try VolumeRoot.adopt(at: site.volume, role: .recording, nowUs: CameraSite.nowUs())
        try await eventually("it records") { site.segments.first }
        let ready = try await site.client.call(HealthMethods.check, HealthRequest())
        #expect(ready.ready == true)
        try await controller.terminate()
        try await camera.kill()
    }
}
