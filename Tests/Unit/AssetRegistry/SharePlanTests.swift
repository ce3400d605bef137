// The rules S1 to S5 of SharePlan.swift, by hand and over random sites.

import Harness
import Testing

@testable import AssetRegistry

@Suite struct SharePlanTests {
    private func holder(_ name: String, _ capacity: Int, _ count: Int, draining: Bool = false) -> SharePlan.Holder {
        SharePlan.Holder(name: name, capacity: capacity, count: count, isDraining: draining)
    }

    /// Carries a plan out: the moves, and the counts after them.
    private func settle(_ holders: [SharePlan.Holder], sources: Int) -> (moves: Int, counts: [String: Int]) {
        var counts = Dictionary(uniqueKeysWithValues: holders.map { ($0.name, $0.count) })
        var plan = SharePlan(sources: sources, holders: holders)
        var moves = 0
        while moves < 10_000, let next = plan.move(gives: { counts[$0] ?? 0 }, balances: true) {
            counts[next.from, default: 0] -= 1
            counts[next.to, default: 0] += 1
            moves += 1
        }
        return (moves, counts)
    }

    @Test func sharesAreInProportionToTheCapacity() {
        let plan = SharePlan(sources: 24, holders: [holder("a", 64, 0), holder("b", 64, 0), holder("c", 64, 0)])
        #expect(plan.share(of: "a") == SharePlan.Share(low: 8, high: 8))
        let uneven = SharePlan(sources: 10, holders: [holder("a", 10, 0), holder("b", 30, 0)])
        #expect(uneven.share(of: "a") == SharePlan.Share(low: 2, high: 3))
        #expect(uneven.share(of: "b") == SharePlan.Share(low: 7, high: 8))
        let full = SharePlan(sources: 99, holders: [holder("a", 10, 0), holder("b", 30, 0)])
        #expect(full.share(of: "b") == SharePlan.Share(low: 30, high: 30))
    }

    @Test func aNewControllerGetsItsShareAndNothingElseMoves() {
        let (moves, counts) = settle([holder("a", 64, 12), holder("b", 64, 12), holder("c", 64, 0)], sources: 24)
        #expect(moves == 8)
        #expect(counts == ["a": 8, "b": 8, "c": 8])
    }

    @Test func withinOneNothingMoves() {
        #expect(settle([holder("a", 64, 9), holder("b", 64, 8), holder("c", 64, 8)], sources: 25).moves == 0)
        #expect(settle([holder("a", 64, 8), holder("b", 64, 8), holder("c", 64, 9)], sources: 25).moves == 0)
    }

    @Test func whatDrainsGoesWhereThereIsRoomAlsoBeyondTheShare() {
        let (moves, counts) = settle(
            [holder("a", 64, 8, draining: true), holder("b", 10, 8), holder("c", 9, 8)], sources: 24)
        #expect(moves == 3, "there is room for three")
        #expect(counts == ["a": 5, "b": 10, "c": 9])
    }

    @Test func freeSourcesGoToWhoLacksMost() {
        var plan = SharePlan(sources: 12, holders: [holder("a", 10, 4), holder("b", 10, 1), holder("c", 20, 4)])
        var given: [String: Int] = [:]
        for _ in 0..<3 { given[plan.grant() ?? "", default: 0] += 1 }
        #expect(given == ["b": 2, "c": 1])
    }

    @Test(arguments: UInt64(0)..<400) func anySiteIsBalancedWithFewestMovesAndThenStill(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let holders = (0..<Int.random(in: 1...7, using: &random)).map { index in
            let capacity = Int.random(in: 1...40, using: &random)
            return holder("h\(index)", capacity, Int.random(in: 0...capacity, using: &random))
        }
        let sources = holders.reduce(0) { $0 + $1.count }
        let plan = SharePlan(sources: sources, holders: holders)
        func share(_ name: String) -> SharePlan.Share { plan.share(of: name) ?? SharePlan.Share(low: 0, high: 0) }
        let (moves, counts) = settle(holders.shuffled(using: &random), sources: sources)
        #expect(counts.values.reduce(0, +) == sources)
        for holder in holders {
            let exact = Double(sources * holder.capacity) / Double(holders.reduce(0) { $0 + $1.capacity })
            let count = counts[holder.name] ?? 0
            #expect(count <= holder.capacity)
            #expect(abs(Double(count) - exact) < 1, "\(holder.name) has \(count), its share is \(exact)")
        }
        let tooMuch = holders.reduce(0) { $0 + max(0, $1.count - share($1.name).high) }
        let tooLittle = holders.reduce(0) { $0 + max(0, share($1.name).low - $1.count) }
        #expect(moves == max(tooMuch, tooLittle), "no plan needs fewer moves")
        let again = holders.map { holder($0.name, $0.capacity, counts[$0.name] ?? 0) }
        #expect(settle(again, sources: sources).moves == 0, "S2")
    }

    @Test(arguments: UInt64(0)..<200) func freeSourcesFillAnEmptySiteEvenly(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let holders = (0..<Int.random(in: 1...7, using: &random)).map { index in
            holder("h\(index)", Int.random(in: 1...40, using: &random), 0)
        }
        let room = holders.reduce(0) { $0 + $1.capacity }
        let sources = Int.random(in: 0...room + 3, using: &random)
        var plan = SharePlan(sources: sources, holders: holders)
        var counts: [String: Int] = [:]
        for _ in 0..<sources { if let name = plan.grant() { counts[name, default: 0] += 1 } }
        #expect(counts.values.reduce(0, +) == min(sources, room))
        let filled = holders.map { holder($0.name, $0.capacity, counts[$0.name] ?? 0) }
        #expect(settle(filled, sources: sources).moves == 0)
    }
}
