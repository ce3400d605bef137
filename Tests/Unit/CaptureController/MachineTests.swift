// The small machines: reconnect, anchor, ticks, spans, windows, leases.
import Testing
import Wire

@testable import CaptureController

struct AttemptBucketTests {
    @Test func aFullControllerBeginsAllItsCamerasWithinTwoSecondsAndNeverMoreThanEightAtOnce() {
        var bucket = AttemptBucket()
        var begun: [Int64] = []
        for nowUs in stride(from: Int64(0), through: 2_000_000, by: 25_000) {
            while begun.count < 64, bucket.take(nowUs: nowUs) { begun.append(nowUs) }
        }
        #expect(begun.count == 64)
        #expect(Dictionary(grouping: begun) { $0 }.values.map(\.count).max() == AttemptBucket.atOnce)
    }
}

struct ReconnectMachineTests {
    @Test(arguments: [
        (FailureCause.refused, 1, Int64(500_000)), (.refused, 9, 500_000), (.unreachable, 1, 1_000_000),
        (.unreachable, 5, 15_000_000), (.unauthorized, 1, 30_000_000), (.unauthorized, 2, 60_000_000),
        (.unauthorized, 20, 900_000_000), (.notFound, 3, 15_000_000), (.silent, 2, 1_000_000),
    ])
    func waitsByCause(_ cause: FailureCause, _ failures: Int, _ waitUs: Int64) {
        #expect(BackOffRule.of(cause).waitUs(failures: failures, jitter: 0.5) == waitUs)
        #expect(BackOffRule.of(cause).waitUs(failures: failures, jitter: 0) == waitUs * 8 / 10)
        #expect(BackOffRule.of(cause).waitUs(failures: failures, jitter: 1) == waitUs * 12 / 10)
    }

    @Test func connectsFailsWaitsAndRecovers() {
        var machine = ReconnectMachine()
        #expect(machine.takeAttempt(nowUs: 0) == false)
        machine.setWanted(true, nowUs: 0)
        #expect(machine.takeAttempt(nowUs: 0) == true)
        #expect(machine.takeAttempt(nowUs: 0) == false, "one attempt at a time")
        let failure = ConnectionFailure(cause: .refused, reason: "refused")
        machine.failed(failure, nowUs: 0, jitter: 0.5)
        #expect(machine.state == .waiting(untilUs: 500_000))
        #expect(machine.failure == failure)
        #expect(machine.takeAttempt(nowUs: 499_999) == false)
        #expect(machine.takeAttempt(nowUs: 500_000) == true)
        #expect(machine.attempts == 2)
        machine.streaming(nowUs: 600_000)
        #expect(machine.failure == nil)
        #expect(machine.attempts == 0)
    }

    @Test func aCameraThatFlapsIsNotAskedFaster() {
        var machine = ReconnectMachine()
        machine.setWanted(true, nowUs: 0)
        let failure = ConnectionFailure(cause: .silent, reason: "silent")
        var waits: [Int64] = []
        var now: Int64 = 0
        for _ in 0..<3 {
            #expect(machine.takeAttempt(nowUs: now) == true)
            machine.streaming(nowUs: now)
            now += 1_000_000
            machine.failed(failure, nowUs: now, jitter: 0.5)
            guard case .waiting(let until) = machine.state else { return }
            waits.append(until - now)
            now = until
        }
        #expect(waits == [500_000, 1_000_000, 2_000_000])
        #expect(machine.takeAttempt(nowUs: now) == true)
        machine.streaming(nowUs: now)
        machine.failed(failure, nowUs: now + 10_000_000, jitter: 0.5)
        #expect(machine.state == .waiting(untilUs: now + 10_500_000), "ten seconds of pictures count as recovered")
    }

    @Test func newSettingsForgetTheBackOff() {
        var machine = ReconnectMachine()
        machine.setWanted(true, nowUs: 0)
        _ = machine.takeAttempt(nowUs: 0)
        machine.failed(ConnectionFailure(cause: .unauthorized, reason: ""), nowUs: 0, jitter: 1)
        machine.settingsChanged(nowUs: 5)
        #expect(machine.takeAttempt(nowUs: 5) == true)
        machine.setWanted(false, nowUs: 6)
        machine.failed(ConnectionFailure(cause: .silent, reason: ""), nowUs: 7, jitter: 1)
        #expect(machine.state == .idle, "a late failure does not wake a source that nobody asks for")
    }
}

struct ArrivalAnchorTests {
    @Test func takesTheLeastDelayedPacketAndThenStands() {
        var anchor = ArrivalAnchor()
        // Delays of 30, 5 and 20 ms.
        #expect(anchor.packet(mediaUs: 0, arrivalUs: 30_000) == false)
        #expect(anchor.packet(mediaUs: 40_000, arrivalUs: 45_000) == false)
        #expect(anchor.packet(mediaUs: 80_000, arrivalUs: 100_000) == true)
        #expect(anchor.packet(mediaUs: 440_000, arrivalUs: 0) == false)
        #expect(anchor.point.map { [$0.mediaUs, $0.arrivalUs] } == [40_000, 45_000])
    }

    @Test func aBurstOfWhatTheServerHadKeptIsNotTakenForLive() throws {
        var anchor = ArrivalAnchor()
        // Two seconds within 20 ms, then live.
        for frame in Int64(0)..<50 {
            let isSettled = anchor.packet(mediaUs: frame * 40_000, arrivalUs: frame * 400)
            #expect(!isSettled)
        }
        var settledUs: Int64?
        for frame in Int64(50)..<70 where settledUs == nil {
            let arrivalUs = (frame - 49) * 40_000
            if anchor.packet(mediaUs: frame * 40_000, arrivalUs: arrivalUs) { settledUs = arrivalUs }
        }
        #expect(settledUs == ArrivalAnchor.settleUs)
        let point = try #require(anchor.point)
        #expect(point.arrivalUs - point.mediaUs <= 20_000 - 49 * 40_000)
    }
}

struct SnapshotTicksTests {
    @Test func oncePerMinuteStaysOncePerMinuteHoweverKeyframesFall() {
        var ticks = SnapshotTicks(perSecond: 1.0 / 60)
        let taken = stride(from: Int64(0), to: 600_000_000, by: 1_900_000).filter { ticks.takes(frameAtUs: $0) }
        #expect(taken.count == 10)
    }

    @Test func zeroAndHighRatesMeanEachKeyframe() {
        for rate in [0.0, 30, 1000] {
            var ticks = SnapshotTicks(perSecond: rate)
            for second in Int64(0)..<5 {
                let taken = ticks.takes(frameAtUs: second * 1_000_000)
                #expect(taken)
            }
        }
    }
}

struct RecordedSpansTests {
    @Test func joinsWhatTouchesAndFindsWhatIsMissing() {
        var spans = RecordedSpans()
        spans.insert(Span(startUs: 20_000_000, endUs: 30_000_000))
        spans.insert(Span(startUs: 0, endUs: 10_000_000))
        spans.insert(Span(startUs: 10_000_500, endUs: 12_000_000))
        #expect(spans.spans.count == 2)
        #expect(
            spans.missing(in: Span(startUs: 5_000_000, endUs: 40_000_000)) == [
                Span(startUs: 12_000_000, endUs: 20_000_000), Span(startUs: 30_000_000, endUs: 40_000_000),
            ])
        #expect(spans.missing(in: Span(startUs: 21_000_000, endUs: 22_000_000)) == [])
        #expect(spans.earliest(in: Span(startUs: 11_000_000, endUs: 25_000_000)) == 11_000_000)
        spans.forget(before: 15_000_000)
        #expect(spans.spans == [Span(startUs: 20_000_000, endUs: 30_000_000)])
    }
}

struct FootageWindowsTests {
    private let source = SourceKey(device: "d", endpoint: "e")
    private func window(_ key: String, _ start: Int64, _ end: Int64, hold: Int64 = 900) -> FootageWindow {
        FootageWindow(
            key: key, source: source, span: Span(startUs: start * 1_000_000, endUs: end * 1_000_000),
            holdUntilUs: hold * 1_000_000)
    }

    @Test func theSameAgainOnlyProlongsTheHold() {
        var windows = FootageWindows()
        #expect(windows.ensure(window("a", 10, 20)) == true)
        #expect(windows.ensure(window("a", 10, 20, hold: 1000)) == false)
        #expect(windows.windows == [window("a", 10, 20, hold: 1000)])
        #expect(windows.ensure(window("a", 10, 40)) == true, "an event that was extended")
        #expect(windows.windows.count == 1)
    }

    @Test func asksForRecordingFromBeforeItsStartToTheKeyframeBehindItsEnd() {
        var windows = FootageWindows()
        _ = windows.ensure(window("a", 10, 20))
        #expect(!windows.wantsSession(nowUs: 7_900_000))
        #expect(windows.wantsSession(nowUs: 8_000_000))
        windows.keyframe(atUs: 19_900_000)
        #expect(windows.wantsSession(nowUs: 21_000_000))
        windows.keyframe(atUs: 20_000_000)
        #expect(!windows.wantsSession(nowUs: 21_000_000))
    }

    @Test func holdsFilesUntilTheHoldEnds() {
        var windows = FootageWindows()
        _ = windows.ensure(window("a", 10, 20, hold: 100))
        #expect(windows.holds(Span(startUs: 19_999_999, endUs: 30_000_000), nowUs: 50_000_000))
        #expect(!windows.holds(Span(startUs: 20_000_000, endUs: 30_000_000), nowUs: 50_000_000))
        windows.expire(nowUs: 99_000_000)
        #expect(windows.windows.count == 1)
        windows.expire(nowUs: 100_000_000)
        #expect(windows.windows.isEmpty)
        #expect(!windows.holds(Span(startUs: 10_000_000, endUs: 11_000_000), nowUs: 100_000_000))
    }
}

struct LeaseTableTests {
    private func lease(_ device: String, _ epoch: UInt64, ms: UInt32 = 5000) -> Lease {
        Lease(source: SourceName(device: device, endpoint: "e"), holder: "h", epoch: epoch, remainingMs: ms)
    }

    @Test func theAnswerIsTheWholeTruthButAnEpochOnlyGrows() {
        var table = LeaseTable()
        #expect(table.answered([lease("a", 3), lease("b", 1)], nowUs: 0) == true)
        #expect(
            table.answered([lease("a", 2), lease("b", 1)], nowUs: 1_000_000) == false, "an older answer that was slow")
        #expect(table.held[SourceKey(device: "a", endpoint: "e")]?.epoch == 3)
        #expect(table.answered([lease("b", 1)], nowUs: 2_000_000) == true)
        #expect(table.held.count == 1)
    }

    @Test func aLeaseIsFreshUntilItsTimeIsOver() {
        var table = LeaseTable()
        let source = SourceKey(device: "a", endpoint: "e")
        _ = table.answered([lease("a", 1)], nowUs: 0)
        #expect(table.isFresh(source, nowUs: 4_999_999))
        #expect(!table.isFresh(source, nowUs: 5_000_000))
        #expect(table.held[source] != nil, "recording goes on")
    }

    @Test func whatIsTakenOverIsNotFreshUntilItIsHeld() {
        var table = LeaseTable()
        let source = SourceKey(device: "a", endpoint: "e")
        var taking = lease("a", 2)
        taking.state = .taking
        #expect(table.answered([taking], nowUs: 0) == true)
        #expect(!table.isFresh(source, nowUs: 1), "L4: no pictures, no pushes")
        #expect(table.owned.isEmpty)
        let said = table.wire(holder: "h") { _ in LeaseReadiness(isReady: true, isBusy: true) }
        #expect(said.map(\.ready) == [true])
        #expect(said.map(\.state) == [.taking])
        #expect(table.answered([lease("a", 2)], nowUs: 2) == true, "it is the holder")
        #expect(table.isFresh(source, nowUs: 3))
        #expect(table.wire(holder: "h") { _ in LeaseReadiness(isReady: true) }.map(\.ready) == [nil])
    }
}
