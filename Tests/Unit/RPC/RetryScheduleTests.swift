import Testing

@testable import RPC

struct RetryScheduleTests {
    let start = ContinuousClock.now

    @Test func pausesDoubleUpToTheLongest() {
        var schedule = RetrySchedule(isSafe: true, deadline: start + .seconds(60))
        let pauses = (1...8).map { _ in schedule.failed(with: .unavailable("away"), now: start, random: 1) }
        let expected = [20, 40, 80, 160, 320, 500, 500, 500]
        #expect(pauses == expected.map { .retry(after: .milliseconds($0)) })
    }

    @Test func chanceShortensAPauseByUpToHalf() {
        var schedule = RetrySchedule(isSafe: true, deadline: start + .seconds(60))
        #expect(schedule.failed(with: .unavailable("away"), now: start, random: 0) == .retry(after: .milliseconds(10)))
    }

    @Test func aMethodThatActsAgainIsNotSentAgain() {
        var schedule = RetrySchedule(isSafe: false, deadline: start + .seconds(60))
        #expect(schedule.failed(with: .unavailable("away"), now: start, random: 0) == .giveUp)
    }

    @Test(arguments: [
        RPCError.invalidArgument("a", "b"), .notFound(""), .resourceExhausted(""), .deadlineExceeded(""), .internal(""),
        .cancelled(""),
    ])
    func onlyUnavailableIsSentAgain(error: RPCError) {
        var schedule = RetrySchedule(isSafe: true, deadline: start + .seconds(60))
        #expect(schedule.failed(with: error, now: start, random: 0) == .giveUp)
    }

    @Test func givesUpWhenThePauseWouldPassTheDeadline() {
        var schedule = RetrySchedule(isSafe: true, deadline: start + .milliseconds(15))
        #expect(schedule.failed(with: .unavailable("away"), now: start, random: 0) == .retry(after: .milliseconds(10)))
        #expect(
            schedule.failed(with: .unavailable("away"), now: start + .milliseconds(10), random: 0) == .giveUp)
    }
}
