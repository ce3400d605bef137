// Those who wait at the line: woken, cancelled, in order. What is decided is tested in LineStateTests; here nothing depends on how
// long something takes.
import ServiceKit
import Synchronization
import Testing

@testable import CloudUploader

/// How many are on the line, and how many were at most.
private final class Tally: Sendable {
    private let state = Mutex((now: 0, most: 0))

    func enter() {
        state.withLock {
            $0.now += 1
            $0.most = max($0.now, $0.most)
        }
    }

    func leave() { state.withLock { $0.now -= 1 } }

    var counts: (now: Int, most: Int) { state.withLock { $0 } }
}

@Suite(.timeLimit(.minutes(1))) struct PacedLineTests {
    /// 2026-11-23T05:06:12Z, a Monday.
    private let clock = ManualWallClock()

    private func line(_ bandwidth: String = "", _ byTime: String = "", maximum: Int = 1) throws -> PacedLine {
        PacedLine(schedule: try BandwidthSchedule(bandwidth: bandwidth, byTime: byTime), maximum: maximum, clock: clock)
    }

    private func running(_ line: PacedLine, _ body: () async throws -> Void) async throws {
        let time = Task { await line.run() }
        defer { time.cancel() }
        try await body()
    }

    @Test func oneAfterTheOther() async throws {
        let line = try line()
        let tally = Tally()
        try await running(line) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<100 {
                    group.addTask {
                        let ticket = try await line.begin()
                        tally.enter()
                        await Task.yield()
                        tally.leave()
                        line.end(ticket, .answered(sentBytes: 1))
                    }
                }
                try await group.waitForAll()
            }
        }
        #expect(tally.counts == (0, 1))
    }

    @Test func whoIsCancelledMakesRoom() async throws {
        let line = try line()
        try await running(line) {
            let first = try await line.begin()
            let waiting = Task { try await line.begin() }
            await Task.yield()
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            let last = Task { try await line.begin() }
            line.end(first, .answered(sentBytes: 0))
            let ticket = try await last.value
            line.end(ticket, .answered(sentBytes: 0))
        }
    }

    @Test func manyWhoAreCancelledAtAnyMomentLeaveNothingBehind() async throws {
        let line = try line("8 Mbit/s", maximum: 2)
        try await running(line) {
            for round in 0..<200 {
                let tasks = (0..<6).map { index in
                    Task {
                        let ticket = try await line.begin()
                        defer { line.end(ticket, .answered(sentBytes: 0)) }
                        try await line.pace(bytes: index)
                    }
                }
                for index in 0..<(round % 6) {
                    await Task.yield()
                    tasks[index].cancel()
                }
                for task in tasks { _ = await task.result }
            }
            // Both places are free.
            let tickets = [try await line.begin(), try await line.begin()]
            for ticket in tickets { line.end(ticket, .answered(sentBytes: 0)) }
        }
    }

    @Test func whoWaitsForBytesIsWokenWhenTheyMayGo() async throws {
        let line = try line("80 Mbit/s")
        try await running(line) { for _ in 0..<4 { try await line.pace(bytes: 300_000) } }
    }

    @Test func whileNothingMayBeSentItIsClosedAndTheHoursOpenIt() async throws {
        // Each hour but the present one is open; a clock that is set is noticed.
        let line = try line("", "mon 05:00-06:00 0")
        #expect(!line.isOpen)
        let waiting = Task { try await line.begin() }
        clock.set(us: clock.nowUs() + 3_600_000_000)
        try await running(line) {
            line.end(try await waiting.value, .answered(sentBytes: 0))
            #expect(line.isOpen)
        }
    }

    @Test func aLongWaitOfTheServicesIsReported() async throws {
        let reports = AsyncStream<(Bool, String)>.makeStream()
        let line = PacedLine(schedule: try BandwidthSchedule(), maximum: 1, clock: clock) {
            reports.continuation.yield(($0, $1))
        }
        try await running(line) {
            let ticket = try await line.begin()
            line.end(ticket, .throttled(retryAfter: .seconds(300)))
            let report = try #require(await reports.stream.first { _ in true })
            #expect(!report.0 && report.1.contains("nothing is sent for "))
            #expect(!line.isOpen)
        }
    }
}
