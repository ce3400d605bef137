// What workers share: which claims are due and lost, waiting, and the thread for blocking calls.
import Dispatch
import ServiceKit
import Testing
import Wire

@testable import Claims

@Suite struct FailureReportTests {
    @Test func aLongReasonIsCutByItsBytes() {
        let report = ClaimWorker.failure(String(repeating: "漢", count: 1000), isRetryable: true, retryAfter: nil)
        #expect(report.reason == String(repeating: "漢", count: 341))
        #expect(report.retryAfterMs == nil)
        #expect(ClaimWorker.failure("", isRetryable: false, retryAfter: nil).reason?.isEmpty == false)
    }

    @Test func aPauseIsAtMostTheHourThatTheIndexerTakes() {
        func pauseMs(_ pause: Duration) -> UInt32? {
            ClaimWorker.failure("busy", isRetryable: true, retryAfter: pause).retryAfterMs
        }
        #expect(pauseMs(.seconds(7)) == 7000)
        #expect(pauseMs(.seconds(86_400)) == 3_600_000)
        #expect(pauseMs(.seconds(Int64.max)) == 3_600_000)
        #expect(pauseMs(.seconds(-1)) == 0)
    }
}

@Suite struct ClaimTableTests {
    private let start = ContinuousClock.now
    private func claim(_ id: UInt64, _ epoch: UInt64 = 1) -> ItemClaim { ItemClaim(itemID: id, epoch: epoch) }

    @Test func renewsAfterAThirdOfTheLease() {
        var table = ClaimTable(lease: .seconds(30))
        #expect(table.nextDue == nil)
        table.add(claim(1), sentAt: start)
        table.add(claim(2), sentAt: start + .seconds(4))
        #expect(table.due(at: start + .seconds(9)).isEmpty)
        #expect(table.nextDue == start + .seconds(10))
        #expect(table.due(at: start + .seconds(10)) == [claim(1)])
        #expect(table.due(at: start + .seconds(14)) == [claim(1), claim(2)])
        #expect(table.renewed([claim(1), claim(2)], lost: [], sentAt: start + .seconds(14)).isEmpty)
        #expect(table.due(at: start + .seconds(20)).isEmpty)
    }

    @Test func stopsWhatIsLostAndOnlyThat() {
        var table = ClaimTable(lease: .seconds(30))
        table.add(claim(1), sentAt: start)
        table.add(claim(2), sentAt: start)
        #expect(table.renewed([claim(1), claim(2)], lost: [claim(2)], sentAt: start) == [claim(2)])
        #expect(table.holds(claim(1)))
        #expect(!table.holds(claim(2)))
    }

    @Test func aLateAnswerDoesNotTouchANewerClaim() {
        var table = ClaimTable(lease: .seconds(30))
        table.add(claim(1, 1), sentAt: start)
        table.add(claim(1, 2), sentAt: start)
        #expect(table.renewed([claim(1, 1)], lost: [claim(1, 1)], sentAt: start).isEmpty)
        table.remove(claim(1, 1))
        #expect(table.holds(claim(1, 2)))
        #expect(!table.holds(claim(1, 1)))
    }
}

@Suite struct WaitingTests {
    @Test func aCancelledTaskDoesNotWaitForABlockingCall() async {
        let thread = BlockingLane("test")
        let gate = Wakeup()
        let release = BlockingGate()
        let task = Task {
            try await thread.runUnlessCancelled {
                gate.signal()
                release.wait()
            }
        }
        await gate.wait(atMost: .seconds(600))
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        release.open()
    }
}

/// Holds a thread until it is opened.
private final class BlockingGate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    func wait() { semaphore.wait() }
    func open() { semaphore.signal() }
}
