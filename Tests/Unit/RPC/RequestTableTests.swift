import Testing

@testable import RPC

struct RequestTableTests {
    typealias Table = RequestTable<String>
    let start = ContinuousClock.now

    @discardableResult
    private func enter(
        _ table: inout Table, _ name: String, bytes: Int = 10, pipe: UInt32 = 1, counts: Bool = true,
        within time: Duration = .seconds(1)
    ) -> Table.ID {
        table.enter(name, sizeBytes: bytes, pipe: pipe, countsAgainstLimits: counts, deadline: start + time)
    }

    @Test func admitsUpToTheNumberOfRequests() {
        var table = Table(maximumRequests: 2, maximumBytes: 1_000)
        enter(&table, "a")
        let second = enter(&table, "b")
        #expect(table.admission(ofBytes: 1, pipe: 1) == .overloaded)
        table.leave(second)
        #expect(table.admission(ofBytes: 1, pipe: 1) == .run)
    }

    @Test func admitsUpToTheBytesInFlightButAlwaysOneRequest() {
        var table = Table(maximumRequests: 9, maximumBytes: 100)
        #expect(table.admission(ofBytes: 1_000, pipe: 1) == .run)
        let heavy = enter(&table, "a", bytes: 60)
        #expect(table.admission(ofBytes: 40, pipe: 1) == .run)
        #expect(table.admission(ofBytes: 41, pipe: 1) == .overloaded)
        table.leave(heavy)
        #expect(table.countedBytes == 0)
    }

    @Test func oneConnectionLeavesAQuarterOfTheRequestsToOthers() {
        var table = Table(maximumRequests: 8, maximumBytes: 1_000)
        let greedy = (0..<6).map { enter(&table, "\($0)", pipe: 7) }
        #expect(table.admission(ofBytes: 1, pipe: 7) == .overloaded)
        #expect(table.admission(ofBytes: 1, pipe: 8) == .run)
        enter(&table, "other", pipe: 8)
        enter(&table, "other", pipe: 8)
        #expect(table.admission(ofBytes: 1, pipe: 9) == .overloaded)
        table.leave(greedy[0])
        #expect(table.admission(ofBytes: 1, pipe: 7) == .run)
    }

    @Test func whatIsRefusedTakesNoRoom() {
        var table = Table(maximumRequests: 1, maximumBytes: 100)
        let refused = enter(&table, "refused", counts: false)
        #expect(table.admission(ofBytes: 1, pipe: 1) == .run)
        table.leave(refused)
        #expect(table.countedRequests == 0)
        #expect(table.isEmpty)
    }

    @Test func aStoppingServerAdmitsNothing() {
        var table = Table(maximumRequests: 1, maximumBytes: 100)
        table.stop()
        #expect(table.admission(ofBytes: 1, pipe: 1) == .stopping)
    }

    @Test func aPassedDeadlineIsReportedOnceAndTheRequestStaysUntilItsTaskEnds() {
        var table = Table(maximumRequests: 1, maximumBytes: 100)
        let id = enter(&table, "slow")
        #expect(table.nextDeadline == start + .seconds(1))
        #expect(table.expire(now: start + .milliseconds(999)) == [])
        #expect(table.expire(now: start + .seconds(1)) == ["slow"])
        #expect(table.expire(now: start + .seconds(2)) == [])
        #expect(table.nextDeadline == nil)
        #expect(table.admission(ofBytes: 1, pipe: 1) == .overloaded)
        table.leave(id)
        #expect(table.admission(ofBytes: 1, pipe: 1) == .run)
    }

    @Test func aLostConnectionConcernsItsRequestsOnly() {
        var table = Table(maximumRequests: 9, maximumBytes: 100)
        enter(&table, "mine", pipe: 7)
        enter(&table, "other", pipe: 8)
        #expect(table.connectionLost(7) == ["mine"])
        #expect(table.connectionLost(7) == [])
        #expect(table.abandonAll() == ["other"])
    }

    @Test func whatIsAddedToARequestIsGivenWithIt() {
        var table = Table(maximumRequests: 2, maximumBytes: 100)
        let id = enter(&table, "a")
        let isAbandoned = table.update(id) { $0 += " and its task" }
        #expect(!isAbandoned)
        #expect(table.abandonAll() == ["a and its task"])
    }

    @Test func addingToARequestTellsThatItWasGivenUpMeanwhile() {
        var table = Table(maximumRequests: 2, maximumBytes: 100)
        let lost = enter(&table, "a", pipe: 7)
        #expect(table.connectionLost(7) == ["a"])
        let wasLost = table.update(lost) { _ in }
        #expect(wasLost)
        let done = enter(&table, "b")
        table.leave(done)
        let isUnknown = table.update(done) { _ in }
        #expect(!isUnknown)
    }

    @Test func leavingTwiceCountsOnce() {
        var table = Table(maximumRequests: 2, maximumBytes: 100)
        let id = enter(&table, "a")
        enter(&table, "b")
        table.leave(id)
        table.leave(id)
        #expect(table.countedRequests == 1)
    }
}
