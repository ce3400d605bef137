// The whole set of window cases (field lessons, test 31) as one table: what is recorded, what events come, what each is answered,
// and what its request has in the end. The window's arithmetic alone: EventWindowTests.swift; once with every real service:
// Tests/Archive.

import Foundation
import RPC
import ServiceKit
import Synchronization
import Testing
import Wire

@testable import Indexer

@Suite struct WindowCaseTests {
    typealias T = TestCatalogue

    /// What happens, in its order. Times are seconds from the start of the test, where the clock stands at 0.
    enum Step: Sendable {
        case footage(Double, Double, run: String = "run1", cameras: [String] = ["cam1"])
        case gap(Double, Double, String)
        case newRun(String, Double)
        /// Retention deletes what ends up to then.
        case deletedTo(Double)
        case now(Double)
        /// An event at a time, with its offsets, its longest window, its rule and its cameras.
        case event(
            String, at: Double, from: Double = -15, to: Double = 5, longest: UInt64 = 600, rule: String = "rule",
            cameras: [String] = ["cam1"])
        /// Notes the states of all requests among the receipts.
        case look
        /// The archiver does what there is.
        case archive
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let steps: [Step]
        /// Receipts, or the field that is refused; states that were looked at, in brackets.
        let answers: String
        /// Each request at its end, in the order of acceptance: window, state, files, what is missing and why.
        var requests: [String] = []
        /// Files that were copied: what two requests share counts once.
        var copies = 0
        var testDescription: String { name }
    }

    private static let three = ["cam1", "cam2", "cam3"]

    static let table: [Row] = [
        Row(
            name: "an event is delivered twice",
            steps: [.footage(-60, 0), .event("e", at: 0), .event("e", at: 0), .footage(0, 10)],
            answers: "accepted duplicate", requests: ["[-15, 5) done 3"], copies: 3),
        Row(
            name: "and once more when its request has ended",
            steps: [.footage(-60, 10), .now(10), .event("e", at: 0), .archive, .look, .event("e", at: 0)],
            answers: "accepted (done) duplicate", requests: ["[-15, 5) done 3"], copies: 3),
        Row(
            name: "with another time it is still the same event",
            steps: [.footage(-60, 0), .event("e", at: 0), .event("e", at: 3), .footage(0, 10)],
            answers: "accepted duplicate", requests: ["[-15, 5) done 3"], copies: 3),
        Row(
            name: "late by 30 s", steps: [.footage(-60, 0), .event("e", at: -30), .look],
            answers: "accepted (copying)", requests: ["[-45, -25) done 3"], copies: 3),
        Row(
            name: "in the future up to the bound",
            steps: [.event("e", at: 3600), .look, .now(3600), .footage(3580, 3610)],
            answers: "accepted (waiting)", requests: ["[3585, 3605) done 3"], copies: 3),
        Row(name: "beyond the bound", steps: [.event("e", at: 3601)], answers: "event_us"),
        Row(
            name: "overlapping windows on three cameras, one rule: an extension",
            steps: [
                .footage(-60, 0, cameras: three), .event("e", at: 0, cameras: three), .now(3),
                .event("f", at: 3, cameras: three), .footage(0, 10, cameras: three),
            ],
            answers: "accepted extended", requests: ["[-15, 8) done 9"], copies: 9),
        Row(
            name: "overlapping windows on three cameras, two rules: two requests that share their files",
            steps: [
                .footage(-60, 0, cameras: three), .event("e", at: 0, rule: "a", cameras: three),
                .event("f", at: 3, rule: "b", cameras: three), .footage(0, 10, cameras: three),
            ],
            answers: "accepted accepted", requests: ["[-15, 5) done 9", "[-12, 8) done 9"], copies: 9),
        Row(
            name: "overlapping windows, one rule, other cameras: two requests",
            steps: [
                .footage(-60, 0, cameras: three), .event("e", at: 0, cameras: ["cam1", "cam2"]),
                .event("f", at: 0, cameras: ["cam2", "cam3"]), .footage(0, 10, cameras: three),
            ],
            answers: "accepted accepted", requests: ["[-15, 5) done 6", "[-15, 5) done 6"], copies: 9),
        Row(
            name: "one of three cameras is dark",
            steps: [
                .footage(-60, 0, cameras: ["cam1", "cam2"]), .event("e", at: 0, cameras: three),
                .footage(0, 10, cameras: ["cam1", "cam2"]), .archive, .look,
            ],
            answers: "accepted (copying)", requests: ["[-15, 5) partial 6, [-15, 5) not_recorded"], copies: 6),
        Row(
            name: "a late event extends backwards",
            steps: [.footage(-60, 0), .event("e", at: 0), .event("f", at: -10), .footage(0, 10)],
            answers: "accepted extended", requests: ["[-25, 5) done 4"], copies: 4),
        Row(
            name: "an event inside the window changes nothing of it",
            steps: [.footage(-60, 0), .event("e", at: 0), .event("f", at: -2, from: -3), .footage(0, 10)],
            answers: "accepted extended", requests: ["[-15, 5) done 3"], copies: 3),
        Row(
            name: "an event behind the window is a new request",
            steps: [.footage(-60, 0), .event("e", at: 0), .event("f", at: 21), .footage(0, 30)],
            answers: "accepted accepted", requests: ["[-15, 5) done 3", "[6, 26) done 3"], copies: 5),
        Row(
            name: "when copying has begun the next event is a new request that shares its files",
            steps: [.footage(-60, 10), .now(10), .event("e", at: 0), .look, .event("f", at: 3)],
            answers: "accepted (copying) accepted", requests: ["[-15, 5) done 3", "[-12, 8) done 3"], copies: 3),
        Row(
            name: "older than retention",
            steps: [.footage(-300, 0), .deletedTo(-200), .event("e", at: -250)],
            answers: "accepted", requests: ["[-265, -245) failed 0, [-265, -245) expired"]),
        Row(
            name: "partly older than retention",
            steps: [.footage(-300, 0), .deletedTo(-200), .event("e", at: -195)],
            answers: "accepted", requests: ["[-210, -190) partial 1, [-210, -200) expired"], copies: 1),
        Row(
            name: "older than anything that was ever recorded",
            steps: [.footage(-60, 0), .event("e", at: -800_000)],
            answers: "accepted", requests: ["[-800015, -799995) failed 0, [-800015, -799995) not_recorded"]),
        Row(
            name: "across a gap and a restart",
            steps: [
                .footage(-60, -40), .gap(-40, -30, "killed"), .newRun("run2", -30), .footage(-30, 0, run: "run2"),
                .event("e", at: -30, to: 15),
            ],
            answers: "accepted", requests: ["[-45, -15) partial 3, [-40, -30) killed"], copies: 3),
        Row(
            name: "the recorder restarts inside the window while it is awaited",
            steps: [
                .footage(-60, 0), .event("e", at: 0, to: 25), .now(8), .gap(0, 8, "killed"), .newRun("run2", 8), .look,
                .footage(8, 28, run: "run2"),
            ],
            answers: "accepted (waiting)", requests: ["[-15, 25) partial 4, [0, 8) killed"], copies: 4),
        Row(
            name: "post-roll longer than 10 s waits for its footage",
            steps: [
                .footage(-60, 0), .event("e", at: 0, to: 25), .now(11), .footage(0, 10), .archive, .look, .now(30),
                .footage(10, 30), .look,
            ],
            answers: "accepted (waiting) (copying)", requests: ["[-15, 25) done 5"], copies: 5),
        Row(
            name: "past the longest window: a new request",
            steps: [
                .footage(-60, 0), .event("e", at: 0, longest: 30), .event("f", at: 9, longest: 30),
                .event("g", at: 14, longest: 30), .footage(0, 20),
            ],
            answers: "accepted extended accepted", requests: ["[-15, 14) done 4", "[-1, 19) done 3"], copies: 4),
        Row(
            name: "longer by itself than the longest window: cut at its end",
            steps: [.footage(-60, 0), .event("e", at: 0, to: 120, longest: 30), .footage(0, 20)],
            answers: "accepted", requests: ["[-15, 15) done 4"], copies: 4),
        Row(
            name: "both offsets before the event",
            steps: [.footage(-60, 0), .event("e", at: 0, from: -20, to: -10)],
            answers: "accepted", requests: ["[-20, -10) done 1"], copies: 1),
        Row(
            name: "both offsets behind the event",
            steps: [.footage(-60, 0), .event("e", at: 0, from: 5, to: 25), .look, .now(30), .footage(0, 30)],
            answers: "accepted (waiting)", requests: ["[5, 25) done 3"], copies: 3),
        Row(
            name: "a window without length",
            steps: [.footage(-60, 10), .event("e", at: 0, from: 5, to: 5)], answers: "end_offset_ms"),
        Row(
            name: "an end before the start",
            steps: [.footage(-60, 10), .event("e", at: 0, from: 5, to: -5)], answers: "end_offset_ms"),
    ]

    @Test(arguments: table) func followsTheTable(_ row: Row) async throws {
        let play = try Play()
        for step in row.steps { try await play.perform(step) }
        let ends = try await play.ends()
        #expect(play.answers.joined(separator: " ") == row.answers)
        #expect(ends == row.requests)
        #expect(play.copied.count == row.copies)
        #expect(Set(play.copied).count == play.copied.count, "a file was copied twice")
    }

    /// One row being played.
    private final class Play {
        let test: T
        private(set) var answers: [String] = []
        private(set) var copied: [String] = []
        private var requestIDs: [String] = []
        private var nowS = 0.0

        init() throws { test = try T() }

        func perform(_ step: Step) async throws {
            switch step {
            case .footage(let from, let to, let run, let cameras):
                for camera in cameras { try await test.recordFootage(from, to, camera: camera, run: run) }
            case .gap(let from, let to, let cause): try await test.record([T.gap(from, to, cause: cause)])
            case .newRun(let id, let from): try await test.record([T.run(id, from: from)])
            case .deletedTo(let at):
                let files = try await test.queries.files(QueryMediaRequest()).files
                _ = try await test.retention.reportDeleted(
                    ReportDeletedRequest(
                        volumeID: "vol1", owner: "cc-0",
                        paths: files.filter { ($0.endUs ?? 0) <= T.us(at) }.compactMap(\.path)))
            case .now(let at):
                nowS = at
                test.now(at)
                try await test.tick()
            case .event(let key, let at, let from, let to, let longest, let rule, let cameras):
                do {
                    let reply = try await test.event(
                        key, at: at, before: Int64(from * 1000), after: Int64(to * 1000), maximum: longest * 1000,
                        rule: rule, cameras: cameras.map { T.camera($0) }, delivery: .archive)
                    answers.append(reply.receipt?.name ?? "none")
                    let id = try #require(reply.request?.requestID)
                    if !requestIDs.contains(id) { requestIDs.append(id) }
                } catch let error as RPCError {
                    answers.append(error.field ?? "\(error)")
                }
            case .look:
                let states = try await requests().map { $0.state?.name ?? "none" }
                answers.append("(\(states.joined(separator: ", ")))")
            case .archive:
                copied += try await test.work(.archive).filter { !$0.hasPrefix("sightglass.requests/") }
            }
        }

        /// When all that may come has come: the requests as people read them.
        func ends() async throws -> [String] {
            // Later than any window is waited for.
            for _ in 0..<2 {
                try await perform(.now(nowS + 4000))
                try await perform(.archive)
            }
            return try await requests().map { request in
                let files = request.files.count { $0.kind == .segment }
                let missing = request.gaps.map { ", \(Self.text($0.window)) \($0.cause ?? "")" }.joined()
                return "\(Self.text(request.window)) \(request.state?.name ?? "none") \(files)\(missing)"
            }
        }

        private func requests() async throws -> [ArchiveRequest] {
            var result: [ArchiveRequest] = []
            for id in requestIDs { result.append(try await test.request(id)) }
            return result
        }

        private static func text(_ window: Window?) -> String {
            "[\(Int(T.seconds(window?.startUs))), \(Int(T.seconds(window?.endUs))))"
        }
    }
}

/// A thousand triggers in a moment, as ten rules on ten cameras give them.
@Suite struct TriggerBurstTests {
    typealias T = TestCatalogue

    private final class Tally: Sendable {
        private let number = Mutex(0)
        var count: Int { number.withLock { $0 } }
        func add() { number.withLock { $0 += 1 } }
    }

    @Test func aThousandTriggersAreTenRequestsInAFewCommits() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("burst-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let commits = Tally()
        let catalogue = try Catalogue(
            path: folder.appendingPathComponent("catalogue.sqlite").path, policy: Policy(),
            clock: ManualWallClock(us: T.startUs), onCommit: { _ in commits.add() })
        let calls = RequestCalls(catalogue: catalogue, counters: IndexerCounters())
        let events = (0..<1000).map { number in
            SubmitEventRequest(
                eventKey: "e\(number)", rule: "rule\(number % 10)", eventUs: T.us(Double(number / 10) / 100),
                startOffsetMs: -15_000, endOffsetMs: 5000, cameras: [T.camera("cam\(number % 10)")],
                requestedBy: "mqtt:alerts", delivery: .archive, kinds: [.segment])
        }
        let first = try await receipts(of: events, calls, whileBusy: catalogue)
        #expect(first.count { $0 == .accepted } == 10)
        #expect(first.count { $0 == .extended } == 990)
        // One that holds the writer, and groups of 256; a few may come too late for the last of them.
        #expect(commits.count < 20)
        let again = try await receipts(of: events, calls, whileBusy: catalogue)
        #expect(again.count { $0 == .duplicate } == 1000)
        let requests = try await calls.listRequests(ListRequestsRequest()).requests
        #expect(requests.count == 10)
        #expect(requests.allSatisfy { $0.window == T.window(-15, 5.99) })
        try catalogue.close()
    }

    /// Sends all at once while the writer has something else to do, as it has in a burst.
    private func receipts(
        of events: [SubmitEventRequest], _ calls: RequestCalls, whileBusy catalogue: Catalogue
    ) async throws -> [Receipt] {
        let goOn = DispatchSemaphore(value: 0)
        let sent = Tally()
        async let busy: Void = catalogue.write { _ in goOn.wait() }
        let receipts = try await withThrowingTaskGroup(of: Receipt.self) { group in
            for event in events {
                group.addTask {
                    sent.add()
                    return try await calls.submitEvent(event).receipt ?? .unspecified
                }
            }
            while sent.count < events.count { await Task.yield() }
            goOn.signal()
            return try await group.reduce(into: []) { $0.append($1) }
        }
        try await busy
        return receipts
    }
}
