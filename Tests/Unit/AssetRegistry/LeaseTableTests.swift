// The rules L1 to L5 of LeaseTable.swift.

import Testing
import Wire

@testable import AssetRegistry

private let a = SourceName(device: "a", endpoint: "e")
private let b = SourceName(device: "b", endpoint: "e")
private let c = SourceName(device: "c", endpoint: "e")

@Suite struct LeaseTableTests {
    private var table = LeaseTable(leaseMs: 5000)

    private mutating func acquire(
        _ holder: String, capacity: Int = 10, held: [Lease] = [], from eligible: [SourceName] = [a, b, c],
        at nowMs: Int64
    ) -> [Lease] {
        table.acquire(
            LeaseTable.Asker(name: holder, address: "ipc:///run/\(holder)", capacity: capacity),
            believed: Dictionary(
                uniqueKeysWithValues: held.compactMap { lease in
                    guard let source = lease.source, let epoch = lease.epoch else { return nil }
                    return (source, LeaseTable.Belief(epoch: epoch))
                }), eligible: eligible, nowMs: nowMs
        ).held
    }

    @Test mutating func givesFreeSourcesUpToTheCapacity() {
        #expect(acquire("x", capacity: 2, at: 0).map(\.source) == [a, b])
        #expect(acquire("y", at: 0).map(\.source) == [c])
        #expect(acquire("z", at: 0).isEmpty, "L1")
        #expect(acquire("w", capacity: 0, at: 9000).isEmpty)
    }

    @Test mutating func aRenewalKeepsSourceAndEpoch() {
        let first = acquire("x", at: 0)
        #expect(first.map(\.epoch) == [1, 1, 1])
        let again = acquire("x", held: first, at: 4000)
        #expect(again.map(\.epoch) == [1, 1, 1])
        #expect(again.map(\.remainingMs) == [5000, 5000, 5000])
        #expect(acquire("y", at: 8999).isEmpty, "renewed until 9000")
    }

    @Test mutating func aRenewalAltersNothingDurable() {
        let first = acquire("x", at: 0)
        let outcome = table.acquire(
            LeaseTable.Asker(name: "x", address: "ipc:///run/x", capacity: 10),
            believed: [a, b, c].reduce(into: [:]) { $0[$1] = LeaseTable.Belief(epoch: 1) }, eligible: [a, b, c],
            nowMs: 100)
        #expect(outcome.changed.isEmpty)
        #expect(outcome.held.count == first.count)
    }

    @Test mutating func anotherTakesOverWhatRanOutWithAHigherEpoch() {
        let first = acquire("x", at: 0)
        #expect(acquire("y", at: 2500).isEmpty)
        let second = acquire("y", at: 5000)
        #expect(second.map(\.epoch) == [2, 2, 2], "L2")
        #expect(acquire("x", held: first, at: 5001).isEmpty, "L5")
        #expect(table.leases(nowMs: 5001).allSatisfy { $0.holder == "y" })
    }

    @Test mutating func aLateRenewalSucceedsWhereNobodyTookOver() {
        let first = acquire("x", at: 0)
        #expect(acquire("x", held: first, at: 60_000).map(\.epoch) == [1, 1, 1], "L3")
    }

    @Test mutating func afterASilenceEverybodyFindsWhatHeHad() {
        let first = acquire("x", capacity: 2, at: 0)
        let other = acquire("y", at: 1)
        // The registry was cut off from both, and did not stand still.
        for nowMs in stride(from: Int64(2600), to: 60_000, by: 250) { #expect(table.expire(nowMs: nowMs).isEmpty) }
        #expect(acquire("y", held: other, at: 60_000) == other)
        #expect(acquire("x", capacity: 2, held: first, at: 62_000) == first)
    }

    @Test mutating func aLateRenewalAfterExpiryWasRecordedIsAGrantAnew() {
        let first = acquire("x", at: 0)
        for nowMs in [2000, 4000] as [Int64] { _ = acquire("y", capacity: 0, at: nowMs) }
        #expect(table.expire(nowMs: 5000) == [a, b, c])
        #expect(table.expire(nowMs: 5001).isEmpty)
        #expect(acquire("x", held: first, at: 5002).map(\.epoch) == [2, 2, 2], "L2")
    }

    @Test mutating func aNewProcessOfTheSameNameGetsItsSourcesWithANewEpoch() {
        _ = acquire("x", at: 0)
        #expect(acquire("x", at: 10).map(\.epoch) == [2, 2, 2])
    }

    @Test mutating func aSmallerCapacityDropsTheLastAndMovesNothingElse() {
        let first = acquire("x", at: 0)
        #expect(acquire("x", capacity: 1, held: first, at: 10).map(\.source) == [a])
        #expect(acquire("y", at: 11).map(\.source) == [b, c])
    }

    @Test mutating func releaseNeedsHolderAndEpoch() {
        _ = acquire("x", at: 0)
        #expect(table.release(holder: "y", sources: [a: 1], nowMs: 0).isEmpty)
        #expect(table.release(holder: "x", sources: [a: 2], nowMs: 0).isEmpty)
        #expect(table.release(holder: "x", sources: [a: 1], nowMs: 0) == [a])
        #expect(acquire("y", at: 1).map(\.source) == [a])
    }

    @Test mutating func aWithdrawnSourceIsDroppedAndItsEpochStays() {
        let first = acquire("x", at: 0)
        #expect(table.withdraw(exceptFor: [a, b], nowMs: 0) == [c])
        #expect(acquire("x", held: first, from: [a, b], at: 1).map(\.source) == [a, b])
        #expect(acquire("x", held: first, at: 2).last?.epoch == 2)
    }

    @Test mutating func aRestartGivesEveryHolderAFullTime() {
        let first = acquire("x", at: 0)
        table = LeaseTable(leaseMs: 5000, stored: table.entries, nowMs: 70_000)
        #expect(acquire("y", at: 74_999).isEmpty)
        #expect(acquire("x", held: first, at: 74_999).map(\.epoch) == [1, 1, 1])
    }

    @Test mutating func epochsOnlyGrowWhateverHappens() {
        var generator = SystemRandomNumberGenerator()
        var last: [SourceName: UInt64] = [:]
        var beliefs: [String: [Lease]] = [:]
        var now: Int64 = 0
        for _ in 0..<3000 {
            now += Int64.random(in: 0...3000, using: &generator)
            let holder = ["x", "y", "z"].randomElement(using: &generator) ?? "x"
            let eligible = [a, b, c].filter { _ in Bool.random(using: &generator) }
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: _ = table.expire(nowMs: now)
            case 1: _ = table.withdraw(exceptFor: eligible, nowMs: now)
            default:
                beliefs[holder] = acquire(
                    holder, capacity: Int.random(in: 0...3, using: &generator), held: beliefs[holder] ?? [],
                    from: eligible, at: now)
                for lease in beliefs[holder] ?? [] {
                    guard let source = lease.source, let epoch = lease.epoch else { continue }
                    #expect(eligible.contains(source))
                    #expect(epoch >= last[source] ?? 0)
                    last[source] = epoch
                }
            }
            let held = table.leases(nowMs: now)
            #expect(Set(held.compactMap(\.source)).count == held.count, "L1")
        }
    }
}

@Suite struct DesiredTransitionTests {
    @Test func autostartBeginsARunOnce() throws {
        let first = try #require(DesiredTransition.firstSight(nil, autostart: true, nowUs: 1, runID: "r1"))
        #expect(first == DesiredState(running: true, runID: "r1", startedBy: "autostart", changedUs: 1, startedUs: 1))
        #expect(DesiredTransition.firstSight(first, autostart: true, nowUs: 2, runID: "r2") == nil)
        let stopped = try #require(DesiredTransition.stop(first, by: "op", nowUs: 3))
        #expect(
            DesiredTransition.firstSight(stopped, autostart: true, nowUs: 4, runID: "r2") == nil, "somebody stopped it")
    }

    @Test func autostartThatComesLaterCountsWhereItNeverRan() throws {
        let idle = try #require(DesiredTransition.firstSight(nil, autostart: false, nowUs: 1, runID: "r1"))
        #expect(idle.running == false && idle.runID == "")
        #expect(DesiredTransition.firstSight(idle, autostart: false, nowUs: 2, runID: "r2") == nil)
        #expect(DesiredTransition.firstSight(idle, autostart: true, nowUs: 2, runID: "r2")?.runID == "r2")
    }

    @Test func theSameStartChangesNothingAnotherOneIsANewRun() throws {
        let first = try #require(
            DesiredTransition.start(nil, overrideJSON: nil, endsAtUs: nil, by: "op", nowUs: 1, runID: "r1"))
        #expect(DesiredTransition.start(first, overrideJSON: nil, endsAtUs: nil, by: "x", nowUs: 2, runID: "r2") == nil)
        let later = DesiredTransition.start(first, overrideJSON: nil, endsAtUs: 9, by: "x", nowUs: 2, runID: "r2")
        #expect(later?.runID == "r1" && later?.endsAtUs == 9, "only the end moved")
        let other = DesiredTransition.start(first, overrideJSON: "{}", endsAtUs: nil, by: "x", nowUs: 2, runID: "r2")
        #expect(other?.runID == "r2")
    }

    @Test func theEndStopsTheRunAndDropsItsOverride() throws {
        let run = try #require(
            DesiredTransition.start(nil, overrideJSON: "{}", endsAtUs: 100, by: "op", nowUs: 1, runID: "r1"))
        #expect(DesiredTransition.end(run, nowUs: 99) == nil)
        #expect(
            DesiredTransition.end(run, nowUs: 100)
                == DesiredState(running: false, runID: "r1", startedBy: "timer", changedUs: 100, startedUs: 1))
        #expect(DesiredTransition.stop(nil, by: "op", nowUs: 1) == nil)
    }
}
