// What workers share: which claims are due and lost, waiting, and the thread for blocking calls.
import Dispatch
import ServiceKit
import Synchronization
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

    @Test func progressIsToldAfterTwoSecondsAndOnlyOnce() {
        var table = ClaimTable(lease: .seconds(30))
        table.add(claim(1), sentAt: start)
        table.add(claim(2), sentAt: start)
        table.add(claim(3), sentAt: start + .seconds(1))
        table.note(claim(1), doneBytes: 700)
        #expect(table.nextDue == start + .seconds(2))
        #expect(table.due(at: start + .milliseconds(1999)).isEmpty)
        table.note(claim(3), doneBytes: 5)
        let told = [
            ItemClaim(itemID: 1, epoch: 1, doneBytes: 700), ItemClaim(itemID: 3, epoch: 1, doneBytes: 5),
        ]
        #expect(table.due(at: start + .seconds(2)) == told, "what is not due yet goes along with what is")
        // More came while the call was on its way: that is news again.
        table.note(claim(3), doneBytes: 9)
        #expect(table.renewed(told, lost: [], sentAt: start + .seconds(2)).isEmpty)
        #expect(table.due(at: start + .milliseconds(3999)).isEmpty)
        #expect(table.due(at: start + .seconds(4)) == [ItemClaim(itemID: 3, epoch: 1, doneBytes: 9)])
        #expect(
            table.renewed([ItemClaim(itemID: 3, epoch: 1, doneBytes: 9)], lost: [], sentAt: start + .seconds(4)).isEmpty
        )
        // Without news the lease decides, and what is known is told again.
        #expect(table.nextDue == start + .seconds(10))
        #expect(table.due(at: start + .seconds(12)).map(\.doneBytes) == [700, nil])
    }

    @Test func progressStaysWithinTheContractAndALeaseNeverWaitsForIt() {
        var table = ClaimTable(lease: .seconds(3))
        table.add(claim(1), sentAt: start)
        table.note(claim(1), doneBytes: .max)
        table.note(claim(1, 2), doneBytes: 1)
        table.note(claim(2), doneBytes: 1)
        #expect(table.due(at: start + .seconds(1)) == [ItemClaim(itemID: 1, epoch: 1, doneBytes: 1 << 40)])
        table.note(claim(1), doneBytes: -5)
        #expect(table.due(at: start + .seconds(1)).map(\.doneBytes) == [0])
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

@Suite struct ClaimProgressTests {
    @Test func manyPiecesAreOneNews() {
        let calls = Atomic(0)
        let progress = ClaimProgress { calls.add(1, ordering: .relaxed) }
        #expect(progress.news() == nil)
        for _ in 0..<5 { progress.add(10) }
        progress.add(0)
        #expect(calls.load(ordering: .relaxed) == 1)
        #expect(progress.news() == 50 && progress.news() == nil)
        progress.add(-20)
        #expect(calls.load(ordering: .relaxed) == 2)
        #expect(progress.news() == 30)
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
