// Whom a footage request asks, and what the answers come to.

import Footage
import RPC
import Testing
import Wire

@Suite struct FootagePlanTests {
    let one = RequestedCamera(camera: "one", source: main1, footage: .unspecified)
    let two = RequestedCamera(camera: "two", source: main2, footage: .unspecified)
    let leases = [
        Lease(source: main1, holder: "cc-0", holderAddress: "ipc:///a"),
        Lease(source: main2, holder: "cc-1", holderAddress: "ipc:///b"),
    ]

    @Test func eachHolderIsAskedForItsOwnSourcesOnly() {
        let plan = FootagePlan(cameras: [one, two], leases: leases, leasesAreCurrent: true)
        #expect(plan.questions == ["ipc:///a": [main1], "ipc:///b": [main2]])
    }

    @Test func aSourceThatNobodyHoldsIsNotAskedFor() {
        let plan = FootagePlan(cameras: [one, two], leases: [leases[0]], leasesAreCurrent: true)
        #expect(plan.questions == ["ipc:///a": [main1]])
        let merged = plan.merged(["ipc:///a": .ensured([EnsuredSource(source: main1, state: .recording)])])
        #expect(merged.map(\.footage) == [.recording, .unspecified])
        #expect(merged[1].footageReason == "no controller holds this camera at present")
    }

    @Test func withOldLeasesEveryKnownControllerIsAskedForASourceThatNobodyHeld() {
        let plan = FootagePlan(cameras: [two], leases: [leases[0]], leasesAreCurrent: false)
        #expect(plan.questions == ["ipc:///a": [main2]])
    }

    @Test func aLeaseWithoutAddressCannotBeAsked() {
        let plan = FootagePlan(
            cameras: [one], leases: [Lease(source: main1, holder: "cc-0", holderAddress: "")], leasesAreCurrent: true)
        #expect(plan.questions.isEmpty)
    }

    @Test func whatAControllerSaysReachesTheCamera() {
        let plan = FootagePlan(cameras: [one], leases: leases, leasesAreCurrent: true)
        let merged = plan.merged([
            "ipc:///a": .ensured([EnsuredSource(source: main1, state: .notRecorded, reason: "the ring is off")])
        ])
        #expect(merged[0].footage == .notRecorded)
        #expect(merged[0].footageReason == "the ring is off")
    }

    @Test func aControllerThatFailsLeavesTheOthersAnswersAlone() {
        let plan = FootagePlan(cameras: [one, two], leases: leases, leasesAreCurrent: true)
        let merged = plan.merged([
            "ipc:///a": .failed(.unavailable("connection refused")),
            "ipc:///b": .ensured([EnsuredSource(source: main2, state: .sealed)]),
        ])
        #expect(merged.map(\.footage) == [.unspecified, .sealed])
        #expect(merged[0].footageReason?.contains("connection refused") == true)
    }

    @Test func ofSeveralAnswersTheOneThatHasFootageCounts() {
        let leases = [
            Lease(source: main2, holder: "cc-0", holderAddress: "ipc:///a"),
            Lease(source: main2, holder: "cc-1", holderAddress: "ipc:///b"),
        ]
        let plan = FootagePlan(cameras: [one], leases: leases, leasesAreCurrent: false)
        let merged = plan.merged([
            "ipc:///a": .ensured([EnsuredSource(source: main1, state: .recording)]),
            "ipc:///b": .ensured([EnsuredSource(source: main1, state: .notHeld)]),
        ])
        #expect(merged[0].footage == .recording)
    }

    @Test func aLongExplanationIsCutToWhatTheIndexerTakes() {
        let plan = FootagePlan(cameras: [one], leases: leases, leasesAreCurrent: true)
        let words = String(repeating: "x", count: 1024)
        for answer in [
            FootagePlan.Answer.failed(.internal(words)),
            .ensured([EnsuredSource(source: main1, state: .dark, reason: words + words)]),
        ] {
            #expect(plan.merged(["ipc:///a": answer])[0].footageReason?.utf8.count == 1024)
        }
    }

    @Test func aControllerThatNeverAnsweredLeavesTheCameraUnspecified() {
        let plan = FootagePlan(cameras: [one], leases: leases, leasesAreCurrent: true)
        let merged = plan.merged([:])
        #expect(merged[0].footage == .unspecified)
        #expect(merged[0].footageReason?.contains("did not answer in time") == true)
    }
}

@Suite struct FootageRequesterTests {
    @Test func theLastConfigurationServesWhileTheRegistryIsAway() async throws {
        let neighbours = ScriptedNeighbours()
        let requester = FootageRequester(neighbours: neighbours)
        #expect(try await requester.resolve(["yard"]).count == 2)
        await neighbours.takeRegistryAway()
        #expect(try await requester.resolve(["yard"]).count == 2)
    }

    @Test func anUnchangedRevisionKeepsTheConfiguration() async throws {
        let neighbours = ScriptedNeighbours()
        let requester = FootageRequester(neighbours: neighbours)
        _ = try await requester.resolve(["yard"])
        _ = try await requester.resolve(["yard"])
        #expect(await neighbours.knownRevisions == [nil, 7])
    }

    @Test func whatARefreshLearnedServesLater() async throws {
        let neighbours = ScriptedNeighbours()
        let requester = FootageRequester(neighbours: neighbours)
        #expect(await requester.refresh()?.revision == site.revision)
        await neighbours.takeRegistryAway()
        #expect(await requester.refresh()?.revision == site.revision)
        let cameras = try await requester.resolve(["line1-camera"])
        let ensured = await requester.ensure(key: "k", window: Window(startUs: 1, endUs: 2), cameras: cameras)
        #expect(ensured.map(\.footage) == [.recording])
    }

    @Test func withoutAnyConfigurationTheErrorIsTransient() async {
        let neighbours = ScriptedNeighbours()
        await neighbours.takeRegistryAway()
        let requester = FootageRequester(neighbours: neighbours)
        await #expect(throws: FootageError.noConfiguration(.unavailable("away"))) {
            try await requester.resolve(["yard"])
        }
    }

    @Test func leasesSeenBeforeServeWhileTheRegistryIsAway() async throws {
        let neighbours = ScriptedNeighbours()
        let requester = FootageRequester(neighbours: neighbours)
        let cameras = try await requester.resolve(["line1-camera", "yard"])
        let window = Window(startUs: 1, endUs: 2)
        let first = await requester.ensure(key: "k", window: window, cameras: cameras)
        #expect(first.map(\.footage) == [.recording, .recording, .unspecified])
        await neighbours.takeRegistryAway()
        let second = await requester.ensure(key: "k", window: window, cameras: cameras)
        #expect(second.prefix(2).map(\.footage) == [.recording, .recording])
        let asked = await neighbours.asked
        #expect(asked.allSatisfy { $0.key == "k" && $0.window == window })
    }
}

/// A registry that can go away, and controllers that answer RECORDING for what they are asked.
actor ScriptedNeighbours: FootageNeighbours {
    private var isAway = false
    private(set) var knownRevisions: [UInt64?] = []
    private(set) var asked: [EnsureFootageRequest] = []

    func takeRegistryAway() { isAway = true }

    func configuration(known: UInt64?) async throws(RPCError) -> Configuration {
        if isAway { throw .unavailable("away") }
        knownRevisions.append(known)
        return known == site.revision ? Configuration(revision: known) : site
    }

    func leases() async throws(RPCError) -> [Lease] {
        if isAway { throw .unavailable("away") }
        return [
            Lease(source: main1, holder: "cc-0", holderAddress: "ipc:///a"),
            Lease(source: main2, holder: "cc-1", holderAddress: "ipc:///b"),
        ]
    }

    func ensureFootage(
        _ request: EnsureFootageRequest, at address: String, timeout: Duration
    ) async throws(RPCError) -> EnsureFootageReply {
        asked.append(request)
        return EnsureFootageReply(
            sources: request.sources.filter { $0 != sub2 }.map {
                EnsuredSource(source: $0, state: .recording)
            })
    }
}
