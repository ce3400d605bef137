// The plan: the same seed, the same steps, for ever.

import Harness
import Testing

@testable import FaultCampaign

@Suite struct PlanTests {
    @Test func theGeneratorGivesThePublishedNumbersOfItsSeed() {
        // From the reference implementation, seed 1234567.
        var random = SplitMix64(seed: 1_234_567)
        #expect(
            (0..<3).map { _ in random.next() } == [
                6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
            ])
    }

    @Test func theSameSeedGivesTheSamePlanAndAnotherSeedAnother() {
        #expect(Planner.plan(seed: 7, kills: 40) == Planner.plan(seed: 7, kills: 40))
        #expect(Planner.plan(seed: 7, kills: 40) != Planner.plan(seed: 8, kills: 40))
    }

    @Test func aShortPlanIsTheBeginningOfALongOne() {
        let short = Planner.plan(seed: 3, kills: 20).dropLast()
        #expect(Planner.plan(seed: 3, kills: 200).starts(with: short))
    }

    @Test(arguments: [1, 20, 500]) func aPlanHasTheKillsThatWereAskedFor(kills: Int) {
        let plan = Planner.plan(seed: 5, kills: kills)
        let planned = plan.reduce(0) { sum, planned in
            if case .fault(let fault) = planned.step { sum + fault.kills } else { sum }
        }
        // The last one may be several at once, or the last of a burst.
        #expect((kills...(kills + 12)).contains(planned))
    }

    @Test func everyPlanEndsWithSettlingAndSettlesOnTheWay() {
        let plan = Planner.plan(seed: 9, kills: 300)
        #expect(plan.last?.step == .settle)
        var faults = 0
        for planned in plan {
            if case .fault = planned.step { faults += 1 }
            if planned.step == .settle { faults = 0 }
            #expect(faults < Planner.faultsPerRound + 4)
        }
    }

    @Test func everyKindOfFaultAndStimulusIsDrawn() {
        var seen: Set<String> = []
        for planned in Planner.plan(seed: 2, kills: 500) {
            switch planned.step {
            case .fault(.kill(let names, _)):
                seen.formUnion(names.map { "kill \($0.rawValue)" })
                if names.count > 1 { seen.insert("several") }
            case .fault(.restart): seen.insert("restart")
            case .fault(.pause): seen.insert("pause")
            case .fault(.storage(let trouble, _)): seen.insert(trouble.rawValue)
            case .stimulus(.event(_, _, _, _, _, let copies)): seen.insert("event \(copies)")
            case .stimulus(.archive): seen.insert("archive")
            case .stimulus(.again): seen.insert("again")
            case .stimulus(.cancel): seen.insert("cancel")
            case .stimulus(.task(_, let isRunning)): seen.insert("task \(isRunning)")
            case .settle: break
            }
        }
        let wanted =
            SiteShape.demo.processes.map { "kill \($0.rawValue)" } + StorageTrouble.allCases.map(\.rawValue)
            + ["several", "restart", "pause", "event 1", "event 2", "archive", "cancel", "task true", "task false"]
        #expect(Set(wanted).subtracting(seen) == [])
    }

    @Test func onlyOneOfTheRecordersIsEverStopped() {
        var stopped: Set<StreamTask> = []
        for planned in Planner.plan(seed: 4, kills: 500) {
            guard case .stimulus(.task(let task, let isRunning)) = planned.step,
                Planner.firstTasks.contains(task)
            else { continue }
            if isRunning { stopped.remove(task) } else { stopped.insert(task) }
            #expect(stopped.count <= 1)
        }
    }

    @Test func keysAreUniqueAndACancellationNamesAnEarlierOne() {
        var keys: Set<String> = []
        for planned in Planner.plan(seed: 6, kills: 400) {
            switch planned.step {
            case .stimulus(.event(let key, let cameras, _, _, _, _)),
                .stimulus(.archive(let key, let cameras, _, _, _)):
                #expect(keys.insert(key).inserted)
                #expect(!cameras.isEmpty)
            case .stimulus(.cancel(let key)): #expect(keys.contains(key))
            default: break
            }
        }
    }

    @Test func aSettingTakesThePlaceOfTheOneBefore() {
        let file = "a: 1\nlease-ms: 5\nb: 2\n"
        #expect(SiteSettings.changed(file, by: [("lease-ms", "9")]) == "a: 1\nb: 2\nlease-ms: 9\n")
    }
}
