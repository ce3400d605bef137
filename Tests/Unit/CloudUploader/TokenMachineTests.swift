// A token over time, and the actor around it.
import Foundation
import Logging
import ServiceKit
import Synchronization
import Testing

@testable import CloudUploader

@Suite struct TokenMachineTests {
    private static let second: Int64 = 1_000_000
    private let failure = TokenFailure(reason: "away", isTransient: true)

    private func token(_ text: String, _ seconds: Int, renewAfter: Int? = nil) -> AccessToken {
        AccessToken(text: Redacted(text), life: .seconds(seconds), renewAfter: renewAfter.map { .seconds($0) })
    }

    /// A machine that holds the token "a" since time 0.
    private func holding(_ seconds: Int, renewAfter: Int? = nil) -> TokenMachine {
        var machine = TokenMachine()
        #expect(machine.next(nowUs: 0) == .fetch)
        machine.fetched(token("a", seconds, renewAfter: renewAfter), nowUs: 0)
        return machine
    }

    @Test(arguments: [(10, nil, 8), (60, nil, 48), (3600, nil, 3300), (86_400, nil, 86_100), (3600, 1800, 1800)])
    func renewsAheadOfTheEnd(_ life: Int, _ asked: Int?, _ expected: Int64) {
        var machine = holding(life, renewAfter: asked)
        let held = token("a", life, renewAfter: asked)
        #expect(machine.next(nowUs: expected * Self.second - 1) == .use(held))
        #expect(machine.next(nowUs: expected * Self.second) == .useAndFetch(held))
        // One fetch at a time; the others go on with the old token.
        #expect(machine.next(nowUs: expected * Self.second) == .use(held))
        machine.fetched(token("b", 3600), nowUs: expected * Self.second)
        #expect(machine.next(nowUs: expected * Self.second) == .use(token("b", 3600)))
    }

    @Test func whoeverComesWhileTheFirstOneIsFetchedWaits() {
        var machine = TokenMachine()
        #expect(machine.next(nowUs: 0) == .fetch)
        #expect(machine.next(nowUs: 0) == .wait)
        machine.fetched(token("a", 3600), nowUs: 0)
        #expect(machine.next(nowUs: 0) == .use(token("a", 3600)))
    }

    @Test func usesTheOldTokenToItsEndWhereRenewalFails() {
        var machine = holding(100)
        let old = token("a", 100)
        #expect(machine.next(nowUs: 80 * Self.second) == .useAndFetch(old))
        machine.failed(failure, nowUs: 80 * Self.second, chance: 0.5)
        #expect(machine.next(nowUs: 81 * Self.second) == .use(old))
        #expect(machine.next(nowUs: 81_250_000) == .useAndFetch(old))
        machine.failed(failure, nowUs: 99 * Self.second, chance: 0.5)
        #expect(machine.next(nowUs: 99_999_999) == .use(old))
        // After its end those who ask hold on until the pause is over.
        #expect(machine.next(nowUs: 100 * Self.second) == .pause(.milliseconds(1500)))
        #expect(machine.next(nowUs: 101_500_000) == .fetch)
    }

    @Test func holdsOnThroughTheFirstFailuresThenSaysWhyAndGoesOnTrying() {
        var machine = TokenMachine()
        var nowUs: Int64 = 0
        var pauses: [Duration] = []
        for _ in 0..<2 {
            #expect(machine.next(nowUs: nowUs) == .fetch)
            machine.failed(failure, nowUs: nowUs, chance: 0.5)
            guard case .pause(let pause) = machine.next(nowUs: nowUs) else {
                Issue.record("no pause")
                return
            }
            pauses.append(pause)
            nowUs += Int64(pause / .microseconds(1))
        }
        #expect(pauses == [.milliseconds(1250), .milliseconds(2500)])
        #expect(machine.next(nowUs: nowUs) == .fetch)
        machine.failed(failure, nowUs: nowUs, chance: 0.5)
        #expect(machine.next(nowUs: nowUs + 4_999_999) == .refuse(failure))
        #expect(machine.next(nowUs: nowUs + 5_000_000) == .fetch)
        machine.fetched(token("a", 10), nowUs: nowUs + 5_000_000)
        #expect(machine.next(nowUs: nowUs + 5_000_000) == .use(token("a", 10)))
    }

    @Test func pausesAreSpreadAndTheServicesWishCounts() {
        for (chance, wish, expected) in [(0.0, nil, 1000), (0.999, nil, 1499), (0.5, 10, 10_000)]
            as [(Double, Int?, Int64)]
        {
            var machine = TokenMachine()
            _ = machine.next(nowUs: 0)
            machine.failed(
                TokenFailure(reason: "", isTransient: true, retryAfter: wish.map { .seconds($0) }), nowUs: 0,
                chance: chance)
            guard case .pause(let pause) = machine.next(nowUs: 0) else {
                Issue.record("no pause")
                return
            }
            #expect(Int64(pause / .milliseconds(1)) == expected)
        }
    }

    @Test func whatAnOperatorHasToMendIsSaidAtOnce() {
        var machine = TokenMachine()
        _ = machine.next(nowUs: 0)
        machine.failed(.lasting("wrong secret"), nowUs: 0, chance: 0.5)
        #expect(machine.next(nowUs: 1) == .refuse(.lasting("wrong secret")))
        #expect(machine.next(nowUs: 1_250_000) == .fetch)
    }

    @Test func aRefusedTokenIsDroppedOnceAndNotForWhatCameSince() {
        var machine = holding(3600)
        let refused = token("a", 3600).mark
        #expect(machine.refuse(refused) == true)
        #expect(machine.next(nowUs: 1) == .fetch)
        // Two other requests were refused with the same token meanwhile.
        #expect(machine.refuse(refused) == true)
        machine.fetched(token("b", 3600), nowUs: 2)
        #expect(machine.refuse(refused) == true)
        #expect(machine.next(nowUs: 3) == .use(token("b", 3600)))
    }

    @Test func theSameTokenAgainIsUsedAndNotDroppedForEver() {
        var machine = holding(3600)
        let same = token("a", 3600)
        #expect(machine.refuse(same.mark) == true)
        _ = machine.next(nowUs: 1)
        machine.fetched(same, nowUs: 1)
        #expect(machine.refuse(same.mark) == false)
        #expect(machine.next(nowUs: 2) == .use(same))
    }
}

@Suite struct TokenCacheTests {
    /// Gives tokens when it is let.
    private final class Source: TokenFetch {
        private let state = Mutex((calls: 0, waiters: [CheckedContinuation<AccessToken, any Error>]()))

        var calls: Int { state.withLock { $0.calls } }

        func token() async throws -> AccessToken {
            try await withCheckedThrowingContinuation { waiter in
                state.withLock {
                    $0.calls += 1
                    $0.waiters.append(waiter)
                }
            }
        }

        func give(_ text: String) {
            let waiters = state.withLock { state in
                defer { state.waiters = [] }
                return state.waiters
            }
            for waiter in waiters { waiter.resume(returning: AccessToken(text: Redacted(text), life: .seconds(3600))) }
        }

        func untilCalled(_ count: Int) async {
            while state.withLock({ $0.waiters.isEmpty || $0.calls < count }) { await Task.yield() }
        }
    }

    private let source = Source()
    private let cache: TokenCache

    init() { cache = TokenCache(source: source, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) }

    private func header(_ cache: TokenCache) async throws -> String {
        try await cache.authorize(SignedParts(method: "GET", path: "/"), nowUs: 0).headers[1].value
    }

    /// The mark of the token "one", which the cache holds from then on.
    private func markOfOne() async throws -> CredentialMark {
        let cache = cache
        let first = Task { try await cache.authorize(SignedParts(method: "GET", path: "/"), nowUs: 0).mark }
        await source.untilCalled(1)
        source.give("one")
        return try await first.value
    }

    @Test func manyWhoAskAtOnceCostOneFetch() async throws {
        let (cache, source) = (cache, source)
        try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<20 { group.addTask { try await header(cache) } }
            await source.untilCalled(1)
            source.give("one")
            for try await value in group { #expect(value == "Bearer one") }
        }
        #expect(source.calls == 1)
    }

    @Test func whoeverStopsWaitingLeavesTheOthersWaiting() async throws {
        let (cache, source) = (cache, source)
        let impatient = Task { try await header(cache) }
        await source.untilCalled(1)
        let patient = Task { try await header(cache) }
        impatient.cancel()
        await #expect(throws: CancellationError.self) { try await impatient.value }
        source.give("one")
        #expect(try await patient.value == "Bearer one")
    }

    @Test func aRefusalGetsAnotherTokenForAllWhoWereRefused() async throws {
        let (cache, source) = (cache, source)
        let mark = try await markOfOne()
        let renewals = (0..<3).map { _ in Task { await cache.renew(after: mark) } }
        await source.untilCalled(2)
        source.give("two")
        for renewal in renewals { #expect(await renewal.value) }
        #expect(try await header(cache) == "Bearer two")
        #expect(source.calls == 2)
    }

    @Test func whatIsRefusedAndComesAgainIsNoReasonToAskAgain() async throws {
        let (cache, source) = (cache, source)
        let mark = try await markOfOne()
        let renewal = Task { await cache.renew(after: mark) }
        await source.untilCalled(2)
        source.give("one")
        #expect(await renewal.value == false)
        #expect(await cache.renew(after: mark) == false)
    }
}
