// From configuration, leases and time to plans.
import Testing
import Wire

@testable import CaptureController

struct PlannerTests {
    private let planner = Planner(volumePath: "/data/sub1", defaultSegmentSeconds: 60)
    private let source = SourceKey(device: "line1", endpoint: "main")

    private func endpoint(_ standby: Standby? = nil, enabled: Bool = true) -> InboundEndpoint {
        InboundEndpoint(
            source: source.wire, address: "rtsp://192.0.2.1/main", authentication: .usernamePassword,
            username: SecretReference(path: "s/u"), password: SecretReference(path: "s/p"), standby: standby,
            enabled: enabled)
    }

    private func stream(
        _ name: String, _ settings: TaskSettings, running: Bool = true, enabled: Bool = true, endsAtUs: Int64? = nil,
        issues: [Wire.Issue] = []
    ) -> StreamDefinition {
        StreamDefinition(
            name: StreamName(asset: "press", stream: name), source: source.wire, enabled: enabled, settings: settings,
            desired: DesiredState(running: running, runID: "r", endsAtUs: endsAtUs), issues: issues)
    }

    private func plan(
        _ streams: [StreamDefinition], _ endpoint: InboundEndpoint? = nil, nowUs: Int64 = 100, fresh: Bool = true
    ) throws -> SourcePlan {
        let lease = HeldLease(source: source, epoch: 7, expiresUs: 0)
        let plans = planner.plans(
            Configuration(endpoints: [endpoint ?? self.endpoint()], streams: streams), leases: [source: lease],
            nowUs: nowUs, isFresh: { _ in fresh })
        return try #require(plans[source])
    }

    @Test func aSourceWithoutALeaseHasNoPlan() {
        let configuration = Configuration(endpoints: [endpoint()])
        #expect(planner.plans(configuration, leases: [:], nowUs: 0, isFresh: { _ in true }).isEmpty)
    }

    @Test func theFirstClipStreamByNameRecords() throws {
        let clip = TaskSettings(type: .clipToFs, format: "mkv", durationS: 30, path: "/data/sub1/clips/")
        let plan = try plan([
            stream("b", clip), stream("a", clip), stream("c", TaskSettings(type: .clipToFs, format: "mp4")),
            stream("d", TaskSettings(type: .clipToFs, format: "gif")),
        ])
        #expect(plan.clip?.stream == StreamKey(asset: "press", stream: "a"))
        #expect(plan.clip?.segmentUs == 30_000_000)
        #expect(plan.clip?.folder == "clips")
        // The others get its segments in their formats, where that is not the segments' own.
        #expect(plan.renditions.map(\.stream.stream) == ["a", "b"])
        #expect(plan.renditions.allSatisfy { $0.format == .mkv && $0.wantsAudio && $0.folder == "clips" })
        #expect(plan.quiet.map(\.stream.stream) == ["c", "d"])
        #expect(plan.quiet.map(\.state) == [.running, .failed])
        #expect(plan.leaseEpoch == 7)
    }

    private func rolled(_ running: Bool, startedUs: Int64?, changedUs: Int64, endsAtUs: Int64? = nil)
        -> StreamDefinition
    {
        var rolled = stream(
            "event", TaskSettings(type: .clipToFs, format: "mp4", durationS: 30, preRollS: 45, postRollS: 20))
        rolled.desired = DesiredState(
            running: running, runID: startedUs == nil ? "" : "r", changedUs: changedUs, endsAtUs: endsAtUs,
            startedUs: startedUs)
        return rolled
    }

    @Test func aRunWithRollsAsksForFootageAroundIt() throws {
        let s: Int64 = 1_000_000
        let idle = try plan([rolled(false, startedUs: nil, changedUs: 0)], nowUs: 100 * s)
        #expect(idle.rolls.isEmpty && idle.quiet.map(\.state) == [.stopped])
        #expect(idle.ringSeconds == 55, "the ring has the pre-roll before the run begins")
        let running = try plan([rolled(true, startedUs: 100 * s, changedUs: 100 * s)], nowUs: 101 * s)
        #expect(running.rolls.map(\.startUs) == [55 * s] && running.rolls[0].endUs == nil && running.quiet.isEmpty)
        #expect(running.rolls[0].pieceUs == 30 * s && running.clip == nil)
        let limited = try plan(
            [rolled(true, startedUs: 100 * s, changedUs: 100 * s, endsAtUs: 130 * s)], nowUs: 101 * s)
        #expect(limited.rolls[0].endUs == 150 * s)
        let after = try plan([rolled(false, startedUs: 100 * s, changedUs: 140 * s)], nowUs: 141 * s)
        #expect(after.rolls[0].endUs == 160 * s && after.quiet.isEmpty)
        let over = try plan([rolled(false, startedUs: 100 * s, changedUs: 140 * s)], nowUs: 161 * s)
        #expect(over.rolls[0].endUs == 160 * s && over.quiet.map(\.state) == [.stopped])
        let forgotten = try plan([rolled(false, startedUs: 100 * s, changedUs: 140 * s)], nowUs: 4000 * s)
        #expect(forgotten.rolls.isEmpty && forgotten.quiet.map(\.state) == [.stopped])
    }

    @Test(arguments: ["/elsewhere", "/data/sub10", "/data/sub1/../x", "data/sub1", "/data/sub1/.staging"])
    func aPathOutsideTheVolumeFailsThatStreamAndNamesBoth(_ path: String) throws {
        let plan = try plan([stream("a", TaskSettings(type: .clipToFs, path: path))])
        #expect(plan.clip == nil)
        let failed = try #require(plan.quiet.first)
        #expect(failed.state == .failed)
        #expect(failed.error?.contains(path) == true)
        #expect(failed.error?.contains("/data/sub1") == true)
    }

    @Test func aTaskEndsByItselfAtItsTime() throws {
        let ending = stream("a", TaskSettings(type: .clipToFs), endsAtUs: 100)
        #expect(try plan([ending], nowUs: 99).clip != nil)
        #expect(try plan([ending], nowUs: 100).clip == nil)
    }

    @Test func aStaleLeaseStopsPicturesAndPushesButNotRecording() throws {
        let streams = [
            stream("clips", TaskSettings(type: .clipToFs)), stream("pictures", TaskSettings(type: .snapshotToMqtt)),
            stream("push", TaskSettings(type: .streamToRtsp, mediaServerURL: "rtsp://192.0.2.9/live")),
        ]
        let fresh = try plan(streams)
        #expect(fresh.snapshots.count == 1 && fresh.pushes.count == 1)
        let stale = try plan(streams, fresh: false)
        #expect(stale.clip != nil)
        #expect(stale.snapshots.isEmpty && stale.pushes.isEmpty)
        #expect(stale.quiet.map(\.state) == [.waiting, .waiting])
    }

    @Test func aPushByTLSKnowsItsServersCertificate() throws {
        let settings = TaskSettings(
            type: .streamToRtsps, mediaServerURL: "rtsps://192.0.2.9/live",
            mediaServerCertificate: SecretReference(path: "media/ca"))
        let push = try #require(try plan([stream("push", settings)]).pushes.first)
        #expect(push.url == "rtsps://192.0.2.9/live" && push.certificateReference == "media/ca")
    }

    @Test(arguments: [(TaskType.streamToRtsps, "rtsp://192.0.2.9/live"), (.streamToRtsp, "rtsps://192.0.2.9/live")])
    func aPushWhoseAddressIsOfTheOtherKindIsRefused(type: TaskType, url: String) throws {
        let plan = try plan([stream("push", TaskSettings(type: type, mediaServerURL: url))])
        #expect(plan.quiet.first?.state == .failed)
        #expect(plan.quiet.first?.error?.contains("the media server's address is not an rtsp") == true)
    }

    @Test func standbyIsRingOnceAStreamIsEnabled() throws {
        let stopped = stream("a", TaskSettings(type: .clipToFs), running: false)
        #expect(try plan([stopped]).standby == .ring)
        #expect(try plan([]).standby == .off)
        #expect(try plan([], endpoint(.record)).standby == .record)
        #expect(try plan([stopped], endpoint(.record, enabled: false)).wantsSession == false)
    }

    @Test func aStreamWithAnErrorSaysIt() throws {
        let issue = Wire.Issue(severity: .error, message: "format \"gif\" is not known")
        let plan = try plan([stream("a", TaskSettings(type: .clipToFs), issues: [issue])])
        #expect(plan.quiet.first?.error == "format \"gif\" is not known")
    }

    @Test func aChangedStreamLeavesTheConnectionAlone() throws {
        let one = try plan([stream("a", TaskSettings(type: .clipToFs, durationS: 30))])
        let two = try plan([stream("a", TaskSettings(type: .clipToFs, durationS: 10))])
        #expect(one != two)
        #expect(one.connection == two.connection)
    }
}
