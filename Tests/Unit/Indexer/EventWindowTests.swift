// Windows of events as tables (field lessons, test 31): duplicates are the catalogue's business (SubmitEventTests.swift),
// here are late, future, overlapping and long ones.

import Testing

@testable import Indexer

@Suite struct EventWindowTests {
    static let now: Int64 = 1_800_000_000 * Micro.second

    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        var eventS: Int64 = 0
        var before: Int64 = -15_000
        var after: Int64 = 5000
        var maximum: Int64 = 60_000
        /// Open windows as seconds from now: start, end, maximum end.
        var open: [(Int64, Int64, Int64)] = []
        var expected: String
        var testDescription: String { name }
    }

    static let table: [Row] = [
        Row(name: "an event opens its window", expected: "open -15000 5000 max 45000"),
        Row(name: "late by 30 s goes back to retained footage", eventS: -30, expected: "open -45000 -25000 max 15000"),
        Row(
            name: "older than retention is still a window", eventS: -864_000,
            expected: "open -864015000 -863995000 max -863955000"),
        Row(name: "in the future up to the bound", eventS: 3600, expected: "open 3585000 3605000 max 3645000"),
        Row(name: "beyond the bound is refused", eventS: 3601, expected: "tooFarAhead(byUs: 1000000)"),
        Row(name: "post-roll longer than 10 s", after: 40_000, expected: "open -15000 40000 max 45000"),
        Row(
            name: "both offsets before the event", before: -20_000, after: -10_000,
            expected: "open -20000 -10000 max 40000"),
        Row(name: "both offsets after the event", before: 5000, after: 25_000, expected: "open 5000 25000 max 65000"),
        Row(name: "an end before the start is refused", before: 5000, after: 5000, expected: "emptyWindow"),
        Row(
            name: "longer than the maximum is clipped at its end", before: -15_000, after: 120_000,
            expected: "open -15000 45000 max 45000"),
        Row(
            name: "a maximum above a day is a day", before: 0, after: 86_400_000, maximum: 90_000_000,
            expected: "open 0 86400000 max 86400000"),
        Row(
            name: "inside an open window changes nothing of it", eventS: -5, open: [(-25, 10, 35)],
            expected: "extend r0 -25000 10000"),
        Row(name: "an open window is extended", open: [(-18, 2, 42)], expected: "extend r0 -18000 5000"),
        Row(
            name: "one that ends where the event's begins is extended", open: [(-35, -15, 25)],
            expected: "extend r0 -35000 5000"),
        Row(name: "one that ended before is not", open: [(-36, -16, 24)], expected: "open -15000 5000 max 45000"),
        Row(
            name: "past the maximum is a new request with its whole window", open: [(-58, 1, 2)],
            expected: "open -15000 5000 max 45000"),
        Row(name: "up to the maximum exactly is an extension", open: [(-55, 1, 5)], expected: "extend r0 -55000 5000"),
        Row(
            name: "a late event extends backwards", eventS: -20, open: [(-25, 10, 35)],
            expected: "extend r0 -35000 10000"),
        Row(
            name: "not beyond the maximum length", eventS: -20, open: [(-25, 30, 35)],
            expected: "open -35000 -15000 max 25000"),
        Row(
            name: "of several the newest window", open: [(-30, 0, 30), (-18, 2, 42)], expected: "extend r1 -18000 5000"),
    ]

    @Test(arguments: table) func followsTheTable(_ row: Row) {
        let event = EventWindow(
            eventUs: Self.now + row.eventS * Micro.second, startOffsetMs: row.before, endOffsetMs: row.after,
            maximumMs: row.maximum)
        let open = row.open.enumerated().map { index, window in
            EventWindow.Open(
                requestID: "r\(index)",
                span: Span(Self.now + window.0 * Micro.second, Self.now + window.1 * Micro.second),
                maximumEndUs: Self.now + window.2 * Micro.second)
        }
        var text: String
        do throws(EventWindow.Refusal) {
            switch try event.decide(nowUs: Self.now, futureBoundUs: Micro.hour, open: open) {
            case .open(let span, let maximum):
                text = "open \(Self.ms(span.startUs)) \(Self.ms(span.endUs)) max \(Self.ms(maximum))"
            case .extend(let id, let span): text = "extend \(id) \(Self.ms(span.startUs)) \(Self.ms(span.endUs))"
            }
        } catch {
            text = "\(error)"
        }
        #expect(text == row.expected)
    }

    private static func ms(_ us: Int64) -> Int64 { (us - now) / 1000 }

    @Test func aWindowBeforeTheEpochIsRefused() {
        let event = EventWindow(eventUs: 5, startOffsetMs: -1, endOffsetMs: 1, maximumMs: 1000)
        #expect(throws: EventWindow.Refusal.outOfTime) { try event.span(nowUs: 10, futureBoundUs: 0) }
    }
}

@Suite struct FootageCheckTests {
    static let end: Int64 = 1000 * Micro.second

    static func check(_ change: (inout FootageCheck) -> Void = { _ in }) -> FootageCheck {
        var check = FootageCheck(
            window: Span(end - 20 * Micro.second, end), acceptedUs: end - 5 * Micro.second, reportedToUs: 0, heardUs: 0,
            startedUs: 0, footage: .recording, hasFootage: true)
        change(&check)
        return check
    }

    private func verdict(_ check: FootageCheck, afterEndS: Int64) -> FootageCheck.Verdict {
        check.verdict(nowUs: Self.end + afterEndS * Micro.second, waitUs: 30 * Micro.second, catchUpUs: Micro.hour)
    }

    @Test func footageThatReachesTheEndCompletes() {
        #expect(verdict(Self.check { $0.reportedToUs = Self.end }, afterEndS: 1) == .complete)
        #expect(verdict(Self.check { $0.reportedToUs = Self.end - 1 }, afterEndS: 1) != .complete)
    }

    @Test func aSilentCameraIsWaitedForAndThenItIsAGap() {
        let silent = Self.check()
        #expect(verdict(silent, afterEndS: 30) == .waiting(untilUs: Self.end + 30 * Micro.second + 1))
        #expect(verdict(silent, afterEndS: 31) == .complete)
    }

    @Test func aWindowOfThePastWaitsFromItsAcceptance() {
        let late = Self.check { $0.acceptedUs = Self.end + 500 * Micro.second }
        #expect(verdict(late, afterEndS: 520) != .complete)
        #expect(verdict(late, afterEndS: 531) == .complete)
    }

    @Test func anIndexerThatWasAwayWaitsForWhatControllersKept() {
        let restarted = Self.check { $0.startedUs = Self.end + 3600 * Micro.second }
        #expect(verdict(restarted, afterEndS: 3610) != .complete)
        #expect(verdict(restarted, afterEndS: 3631) == .complete)
    }

    @Test func aBacklogThatComesInIsWaitedForUpToABound() {
        let backlog = Self.check { $0.heardUs = Self.end + 100 * Micro.second }
        #expect(verdict(backlog, afterEndS: 120) != .complete)
        #expect(verdict(backlog, afterEndS: 131) == .complete)
        let endless = Self.check { $0.heardUs = Self.end + 3590 * Micro.second }
        #expect(verdict(endless, afterEndS: 3599) != .complete)
        #expect(verdict(endless, afterEndS: 3601) == .complete)
    }

    @Test func aFreshHoleMayStillBeFilledByWhatIsSalvaged() {
        let hole = Self.check {
            $0.reportedToUs = Self.end
            $0.holeEndUs = Self.end - 5 * Micro.second
            $0.heardUs = Self.end + 25 * Micro.second
        }
        #expect(verdict(hole, afterEndS: 1) == .waiting(untilUs: Self.end + 30 * Micro.second + 1))
        #expect(verdict(hole, afterEndS: 31) == .complete)
        var old = hole
        old.acceptedUs = Self.end + 700 * Micro.second
        #expect(verdict(old, afterEndS: 701) == .complete)
    }

    /// A campaign of faults found requests that ended "stopped" a moment before the ring's footage of that time was recorded.
    @Test func whatOnlyARingHasIsWaitedForAMoment() {
        let second = Micro.second
        let stopped = Self.check {
            $0.acceptedUs = Self.end + 10 * second
            $0.reportedToUs = Self.end
            $0.stoppedEndUs = Self.end - 5 * second
            $0.footage = .sealed
        }
        #expect(verdict(stopped, afterEndS: 11) == .waiting(untilUs: Self.end + 15 * second + 1))
        #expect(verdict(stopped, afterEndS: 16) == .complete)
        // The ring had its moment while the window's end was awaited.
        let early = Self.check {
            $0.reportedToUs = Self.end
            $0.stoppedEndUs = Self.end - 15 * second
        }
        #expect(verdict(early, afterEndS: 1) == .complete)
    }

    @Test func aStoppedTimeThatNoRingReachesIsAGapAtOnce() {
        let old = Self.check {
            $0.acceptedUs = Self.end + 200 * Micro.second
            $0.reportedToUs = Self.end
            $0.stoppedEndUs = Self.end - 5 * Micro.second
        }
        #expect(verdict(old, afterEndS: 201) == .complete)
    }

    @Test func aControllerThatWasNotReachedIsGivenTimeForWhatItsRingHas() {
        let unasked = Self.check {
            $0.acceptedUs = Self.end + 10 * Micro.second
            $0.reportedToUs = Self.end
            $0.stoppedEndUs = Self.end - 5 * Micro.second
            $0.footage = .unspecified
        }
        #expect(verdict(unasked, afterEndS: 39) != .complete)
        #expect(verdict(unasked, afterEndS: 41) == .complete)
    }

    @Test func notRecordedWithNothingInTheCatalogueIsAnsweredAtOnce() {
        let nothing = Self.check {
            $0.footage = .notRecorded
            $0.hasFootage = false
        }
        #expect(verdict(nothing, afterEndS: -10) == .complete)
        var something = nothing
        something.hasFootage = true
        #expect(verdict(something, afterEndS: -10) != .complete)
    }
}
