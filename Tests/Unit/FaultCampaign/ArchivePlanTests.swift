// The plan of a campaign about the archive: whom it kills, what it asks for, and the site that it needs.

import Testing

@testable import FaultCampaign

@Suite struct ArchivePlanTests {
    private static let cameras = Camera.allCases

    private func plan(_ seed: UInt64, kills: Int = 40, requests: Int = 60) -> [PlannedStep] {
        ArchivePlanner.plan(seed: seed, kills: kills, requests: requests, cameras: Self.cameras)
    }

    private func killed(_ plan: [PlannedStep]) -> [ProcessName] {
        plan.flatMap { planned -> [ProcessName] in
            if case .fault(.kill(let names, _)) = planned.step { names } else { [] }
        }
    }

    @Test func theSameSeedGivesTheSamePlanAndAnotherSeedAnother() {
        #expect(plan(7) == plan(7))
        #expect(plan(7) != plan(8))
    }

    @Test(arguments: [(1, 1), (40, 60), (150, 20), (1000, 500)])
    func aPlanHasExactlyTheKillsAndRequestsThatWereAskedFor(kills: Int, requests: Int) {
        let plan = plan(5, kills: kills, requests: requests)
        let keys = plan.compactMap { planned -> String? in
            switch planned.step {
            case .stimulus(.event(let key, _, _, _, _, _)), .stimulus(.archive(let key, _, _, _, _)): key
            default: nil
            }
        }
        #expect(killed(plan).count == kills)
        #expect(keys.count == requests && Set(keys).count == requests)
        #expect(plan.last?.step == .settle)
    }

    @Test func onlyWhoWorksOnRequestsIsKilledAndSoonBack() {
        let plan = plan(11)
        #expect(Set(killed(plan)) == [.indexer, .captureController, .archiver, .secondArchiver])
        for planned in plan {
            guard case .fault(let fault) = planned.step else { continue }
            guard case .kill(let names, let downMs) = fault else {
                Issue.record("\(fault) is no kill")
                continue
            }
            #expect((50...800).contains(downMs) && Set(names).count == names.count)
        }
    }

    @Test func inSomeStretchesTheRecorderIsLeftAlone() {
        let longest = killed(plan(3, kills: 1000)).split(separator: .captureController).map(\.count).max() ?? 0
        #expect(longest > 2 * ArchivePlanner.killsPerStretch)
    }

    @Test func aKillComesEverySecondOrTwo() {
        let plan = plan(9, kills: 1000, requests: 500)
        let totalMs = plan.reduce(0) { $0 + $1.waitMs }
        #expect((1_000_000...1_600_000).contains(totalMs))
        #expect(plan.allSatisfy { $0.waitMs >= 0 })
    }

    @Test func everythingSettlesEachHundredKills() {
        var since = 0
        for planned in plan(9, kills: 1000, requests: 500) {
            if case .fault(let fault) = planned.step { since += fault.kills }
            if planned.step == .settle { since = 0 }
            #expect(since <= ArchivePlanner.killsPerRound + 1)
        }
    }

    @Test func windowsOfAMinuteOfOneToAllCamerasAreAskedForInEachWay() {
        var counts: Set<Int> = []
        var manners: [Manner: Int] = [:]
        var events = 0
        for planned in plan(2, kills: 1000, requests: 500) {
            switch planned.step {
            case .stimulus(.archive(_, let cameras, let ageMs, let durationMs, let manner)):
                counts.insert(cameras.count)
                #expect(Set(cameras).count == cameras.count)
                #expect(ageMs <= 60_000 && durationMs - ageMs <= 10_000 && durationMs >= 1000)
                manners[manner, default: 0] += 1
            case .stimulus(.event(_, let cameras, _, _, let postMs, _)):
                counts.insert(cameras.count)
                #expect(postMs <= 10_000)
                events += 1
            default: break
            }
        }
        #expect(counts == Set(1...8))
        #expect(manners.count == 4 && events > 50)
        let clips = manners.filter(\.key.isClip).values.reduce(0, +)
        #expect((125...210).contains(clips))
    }

    @Test func whatComesAgainCameBefore() {
        var keys: Set<String> = []
        var again = 0
        for planned in plan(6, kills: 200, requests: 300) {
            switch planned.step {
            case .stimulus(.event(let key, _, _, _, _, _)), .stimulus(.archive(let key, _, _, _, _)): keys.insert(key)
            case .stimulus(.again(let key)):
                #expect(keys.contains(key))
                again += 1
            default: break
            }
        }
        #expect(again > 10)
    }

    @Test func everyCameraIsRecordedFromTheStart() {
        let first = plan(1).prefix(8).map(\.step)
        let wanted = Self.cameras.map { camera -> Step in
            .stimulus(.task(StreamTask(camera: camera, stream: "clips"), isRunning: true))
        }
        #expect(first == wanted)
    }

    @Test func theDemosSiteIsThatOfTheOtherCampaign() {
        #expect(SiteShape.demo.cameras == [.line1, .line2, .dock])
        #expect(SiteShape.demo.services == ProcessName.services)
        #expect(!SiteShape.demo.processes.contains(.cameraMore) && !SiteShape.demo.processes.contains(.secondArchiver))
        #expect(SiteShape.demo.environment == ["CAMERAS": "3", "ARCHIVERS": "1"])
    }

    @Test func aLargerSiteHasItsProcesses() {
        let shape = CampaignKind.archive(requests: 1, cameras: 8).shape
        #expect(shape.processes == ProcessName.allCases)
        #expect(shape.services.count == 7 && shape.services.allSatisfy(\.isService))
        #expect(shape.environment == ["CAMERAS": "8", "ARCHIVERS": "2"])
        #expect(ProcessName.secondArchiver.role == "archiver" && ProcessName.broker.role == nil)
    }
}
