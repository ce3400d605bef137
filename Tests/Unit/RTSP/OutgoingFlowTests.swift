// When a server counts as gone, and which media time it is.

import Testing

@testable import RTSP

private let second: Int64 = 1_000_000_000

@Suite struct SendWatchTests {
    @Test func aServerThatReadsNothingIsStuckInTheEnd() {
        var watch = SendWatch()
        #expect(watch.isStuck(queuedBytes: 100, unsentBytes: 100, nowNs: 0) == false)
        #expect(watch.isStuck(queuedBytes: 200, unsentBytes: 200, nowNs: SendWatch.stuckNs - 1) == false)
        #expect(watch.isStuck(queuedBytes: 200, unsentBytes: 200, nowNs: SendWatch.stuckNs) == true)
    }

    @Test func aServerThatReadsALittleIsNot() {
        var watch = SendWatch()
        for step in 0..<20 {
            let now = Int64(step) * second
            #expect(watch.isStuck(queuedBytes: 1_000_000, unsentBytes: 1_000_000 - step, nowNs: now) == false)
        }
    }

    @Test func nothingToReadIsNoReason() {
        var watch = SendWatch()
        #expect(watch.isStuck(queuedBytes: 100, unsentBytes: 0, nowNs: 0) == false)
        #expect(watch.isStuck(queuedBytes: 100, unsentBytes: 0, nowNs: 60 * second) == false)
        // It begins when something waits.
        #expect(watch.isStuck(queuedBytes: 200, unsentBytes: 100, nowNs: 61 * second) == false)
        #expect(watch.isStuck(queuedBytes: 200, unsentBytes: 100, nowNs: 60 * second + SendWatch.stuckNs - 1) == false)
        #expect(watch.isStuck(queuedBytes: 200, unsentBytes: 100, nowNs: 60 * second + SendWatch.stuckNs) == true)
    }
}

@Suite struct SendClockTests {
    @Test func theLeastDelayedPacketSaysTheTime() {
        var clock = SendClock()
        #expect(clock.mediaUs(nowNs: 0) == nil)
        clock.note(mediaUs: 1_000_000, arrivalNs: 100 * second + 80_000_000)
        clock.note(mediaUs: 1_040_000, arrivalNs: 100 * second + 90_000_000)
        clock.note(mediaUs: 1_080_000, arrivalNs: 100 * second + 150_000_000)
        // 1.04 s at 100.09 s.
        #expect(clock.mediaUs(nowNs: 101 * second) == 1_950_000)
        #expect(clock.mediaUs(nowNs: 102 * second) == 2_950_000)
    }

    @Test func aClockThatDriftsIsFollowed() {
        var clock = SendClock()
        clock.note(mediaUs: 0, arrivalNs: 0)
        #expect(clock.mediaUs(nowNs: second) == 1_000_000)
        clock.note(mediaUs: 1_900_000, arrivalNs: 2 * second)
        #expect(clock.mediaUs(nowNs: 2 * second) == 1_900_000)
    }
}
