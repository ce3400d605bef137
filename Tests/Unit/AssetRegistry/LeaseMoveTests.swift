// Shares and planned moves over time: L4, L6 and M1 to M5 of the lease table, with controllers that come, go, stand still and drain.

import Harness
import Testing
import Wire

@testable import AssetRegistry

@Suite struct LeaseMoveTests {
    @Test func camerasOfADeadOneAreSharedByTheOthersWithinTheLeaseTime() {
        var site = LeaseSimulation(sources: 24, capacities: [64, 64, 64])
        site.run(ms: 30_000)
        #expect(site.counts == ["cc-0": 8, "cc-1": 8, "cc-2": 8])
        site = site.forgetHandovers()
        site.kill(1)
        site.run(ms: LeaseSimulation.leaseMs + LeaseSimulation.stepMs)
        #expect(site.counts == ["cc-0": 12, "cc-2": 12])
        #expect(site.handovers == 8, "nothing else moved")
        #expect(site.complaints == [])
    }

    @Test func ofTwoThatDieTogetherTheThirdGetsAll() {
        var site = LeaseSimulation(sources: 24, capacities: [64, 64, 64])
        site.run(ms: 30_000)
        site.kill(0)
        site.kill(1)
        site.run(ms: LeaseSimulation.leaseMs + 2 * LeaseSimulation.stepMs)
        #expect(site.counts == ["cc-2": 24])
    }

    @Test func aReturningOneGetsItsShareByMovesAndNobodyIsWithoutAHolder() {
        var site = LeaseSimulation(sources: 24, capacities: [64, 64, 64])
        site.run(ms: 30_000)
        site.kill(1)
        site.run(ms: 10_000)
        site.start(1)
        site = site.forgetHandovers()
        let freeBefore = site.longestFreeMs
        site.run(ms: 4000)
        #expect(site.counts["cc-1"] == nil, "M3: it has to stay for a while")
        site.run(ms: 30_000)
        #expect(site.counts == ["cc-0": 8, "cc-1": 8, "cc-2": 8])
        #expect(site.handovers == 8)
        #expect(site.longestFreeMs == freeBefore)
        #expect(site.fights == [])
        #expect(site.complaints == [])
    }

    @Test func oneThatStartsAgainAndAgainMovesNothing() {
        var site = LeaseSimulation(sources: 24, capacities: [64, 64, 64])
        site.run(ms: 30_000)
        site.kill(1)
        site.run(ms: 10_000)
        site = site.forgetHandovers()
        for _ in 0..<20 {
            site.start(1)
            site.run(ms: 3000)
            site.kill(1)
            site.run(ms: 4000)
        }
        #expect(site.handovers == 0)
    }

    @Test func oneThatStoodStillDoesNotFight() {
        var site = LeaseSimulation(sources: 6, capacities: [8, 8])
        site.run(ms: 30_000)
        site.controllers[0].isStill = true
        site.run(ms: 8000)
        #expect(site.counts == ["cc-1": 6])
        site.controllers[0].isStill = false
        site.ask(0)
        #expect(site.controllers[0].believed.isEmpty, "L5: it stops at once")
        site.run(ms: 30_000)
        #expect(site.counts == ["cc-0": 3, "cc-1": 3])
        #expect(site.fights == [])
        #expect(site.complaints == [])
    }

    @Test func aDrainIsOverWhenTheOthersAreReady() {
        var site = LeaseSimulation(sources: 24, capacities: [64, 64, 64])
        site.run(ms: 30_000)
        let freeBefore = site.longestFreeMs
        site.controllers[2].isDraining = true
        site.ask(2)
        #expect(site.controllers[2].believed.count == 8, "it goes on")
        #expect(site.controllers[2].believed.values.allSatisfy { $0.state == .leaving })
        site.run(ms: 3000)
        #expect(site.controllers[2].believed.isEmpty)
        #expect(site.counts == ["cc-0": 12, "cc-1": 12])
        site.leave(2)
        site.run(ms: 10_000)
        #expect(site.longestFreeMs == freeBefore)
        #expect(site.complaints == [])
    }

    @Test func aDrainWithNobodyElseLeavesNothingToWaitFor() {
        var site = LeaseSimulation(sources: 3, capacities: [64])
        site.run(ms: 10_000)
        site.controllers[0].isDraining = true
        site.ask(0)
        #expect(site.controllers[0].believed.count == 3)
        #expect(site.controllers[0].believed.values.allSatisfy { $0.state == nil })
    }

    @Test func whoNeverGetsReadyIsGivenUpAndTheSourceStays() {
        var site = LeaseSimulation(sources: 2, capacities: [8])
        site.run(ms: 10_000)
        site.unreachable = Set(site.sources)
        site.controllers.append(LeaseSimulation.Controller(name: "cc-1", capacity: 8))
        site.run(ms: 60_000)
        #expect(site.counts == ["cc-0": 2], "M4")
        #expect(site.table.entries.values.allSatisfy { $0.move == nil })
        site.unreachable = []
        site.run(ms: LeaseSimulation.stayMs)
        #expect(site.counts == ["cc-0": 1, "cc-1": 1])
        #expect(site.table.entries.values.allSatisfy { $0.epoch <= 3 }, "one epoch for each attempt")
        #expect(site.complaints == [])
    }

    @Test func aHolderThatDiesInAMoveIsFollowedByItsSuccessor() {
        var site = LeaseSimulation(sources: 1, capacities: [8, 8])
        site.run(ms: 10_000)
        let holder = site.counts["cc-0"] == 1 ? 0 : 1
        site.unreachable = Set(site.sources)
        site.controllers[holder].isDraining = true
        site.ask(holder)
        site.run(ms: 1000)
        let promised = site.table.entries.values.first?.move?.epoch
        site.kill(holder)
        site.run(ms: LeaseSimulation.leaseMs)
        #expect(site.counts == ["cc-\(1 - holder)": 1])
        #expect(site.table.entries.values.first?.epoch == promised, "M5: what it has recorded is the holder's")
    }

    @Test func aBusySourceStaysUnlessItsHolderDrains() {
        var table = LeaseTable(leaseMs: 3000, rebalanceAfterMs: 0)
        let sources = [SourceName(device: "a", endpoint: "e"), SourceName(device: "b", endpoint: "e")]
        func ask(_ name: String, _ epoch: UInt64?, busy: Bool = false, draining: Bool = false, at nowMs: Int64)
            -> LeaseTable.Outcome
        {
            table.acquire(
                LeaseTable.Asker(name: name, address: "x", capacity: 8, takesOver: true, isDraining: draining),
                believed: epoch.map { epoch in
                    sources.reduce(into: [:]) { $0[$1] = LeaseTable.Belief(epoch: epoch, isBusy: busy) }
                } ?? [:], eligible: sources, nowMs: nowMs)
        }
        _ = ask("x", nil, at: 0)
        _ = ask("x", 1, busy: true, at: 10)
        _ = ask("y", nil, at: 20)
        #expect(table.beginMoves(nowMs: 30) == [])
        #expect(ask("x", 1, busy: true, draining: true, at: 40).leaving == 2)
    }

    @Test func anOlderControllerIsNeverASuccessor() {
        var table = LeaseTable(leaseMs: 3000, rebalanceAfterMs: 0)
        let source = SourceName(device: "a", endpoint: "e")
        let new = LeaseTable.Asker(name: "x", address: "x", capacity: 8, takesOver: true, isDraining: false)
        _ = table.acquire(new, believed: [:], eligible: [source], nowMs: 0)
        _ = table.acquire(
            LeaseTable.Asker(name: "y", address: "y", capacity: 8), believed: [:], eligible: [source], nowMs: 10)
        var draining = new
        draining.isDraining = true
        let outcome = table.acquire(
            draining, believed: [source: LeaseTable.Belief(epoch: 1)], eligible: [source], nowMs: 20)
        #expect(outcome.leaving == 0)
    }

    /// Joins, deaths, pauses, drains and capacities at random; then peace, in which everything must be even and stay so.
    @Test(arguments: UInt64(0)..<16) func whateverHappensItEndsEvenAndStill(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let capacities = (0..<Int.random(in: 2...5, using: &random)).map { _ in Int.random(in: 10...40, using: &random)
        }
        var site = LeaseSimulation(sources: Int.random(in: 1...40, using: &random), capacities: capacities)
        for _ in 0..<40 {
            site.run(ms: LeaseSimulation.stepMs * Int64.random(in: 0...40, using: &random))
            let index = Int.random(in: site.controllers.indices, using: &random)
            switch Int.random(in: 0..<7, using: &random) {
            case 0: site.kill(index)
            case 1: site.start(index)
            case 2: site.controllers[index].isStill.toggle()
            case 3: site.controllers[index].isDraining = true
            case 4: site.leave(index)
            case 5: site.controllers[index].capacity = Int.random(in: 10...40, using: &random)
            default: site.unreachable = Set(site.sources.filter { _ in Bool.random(using: &random) })
            }
        }
        site.unreachable = []
        for index in site.controllers.indices { site.start(index) }
        // Until also what stays for a while after an attempt that came to nothing may move.
        site.run(ms: LeaseSimulation.stayMs + 60_000)
        let all = site.controllers.reduce(0) { $0 + $1.capacity }
        let wanted = min(site.sources.count, all)
        #expect(site.counts.values.reduce(0, +) == wanted)
        for controller in site.controllers {
            let exact = Double(wanted * controller.capacity) / Double(all)
            #expect(abs(Double(site.counts[controller.name] ?? 0) - exact) < 1)
        }
        site = site.forgetHandovers()
        site.run(ms: 30_000)
        #expect(site.handovers == 0, "nothing flaps")
        #expect(site.fights == [])
        #expect(site.complaints == [])
    }
}
