// What the audit says of requests: it must be enough for somebody who has nothing else.

import RPC
import Testing
import Wire

@testable import Indexer

@Suite struct AuditTests {
    typealias T = TestCatalogue

    private func entries(_ test: TestCatalogue, _ action: String) async throws -> [AuditEntry] {
        try await test.queries.listAudit(ListAuditRequest(limit: 1000)).entries.filter { $0.action == action }
    }

    @Test func aDeliverySaysWhatAndHow() async throws {
        let test = try T()
        test.now(11)
        try await test.recordFootage(-30, 10)
        try await test.archive("r-1", -30, 10)
        let requested = try #require(try await entries(test, "requested").first)
        #expect(
            requested.detail?.hasPrefix(
                "cam1; 2026-11-23T04:59:30.000000Z to 2026-11-23T05:00:10.000000Z, to archive as files") == true)
        // The files first, then the manifest.
        try await test.work(.archive)
        let delivered = try #require(try await entries(test, "delivered").first)
        #expect(delivered.subject == "r-1")
        #expect(
            delivered.detail
                == "done: 4 files, 4000 bytes; 2026-11-23T04:59:30.000000Z to 2026-11-23T05:00:10.000000Z, "
                + "to archive as files")
    }

    @Test func anEventSaysWhichAndWhy() async throws {
        let test = try T()
        try await test.event("e1", at: 0)
        let requested = try #require(try await entries(test, "requested").first)
        #expect(requested.who == "mqtt:alerts")
        #expect(requested.detail?.hasSuffix("to cloud as files; event e1, anomaly e1") == true)
    }

    @Test func whatACancelledRequestHadDeliveredIsTold() async throws {
        let test = try T()
        test.now(11)
        try await test.recordFootage(-30, 10)
        try await test.archive("r-1", -30, 10)
        let items = try await test.claim(.archive)
        try await test.complete(try #require(items.first), .archive)
        _ = try await test.requests.cancelRequest(
            CancelRequestRequest(requestID: "r-1", requestedBy: "ops"), caller: "cli")
        let cancelled = try #require(try await entries(test, "cancelled").first)
        #expect(cancelled.who == "ops")
        #expect(cancelled.detail?.hasPrefix("cancelled: 1 file, 1000 bytes; ") == true)
    }

    @Test func manyCamerasAreCounted() {
        let text = AuditText.wanted(
            cameras: (1...10).map { "cam\($0)" }, window: Span(0, 1_000_000), delivery: .cloud, mode: .clip, why: "")
        #expect(text.hasPrefix("cam1, cam2, ") && text.contains("cam8 and 2 more; "))
        #expect(text.hasSuffix("Z, to cloud as clip"))
    }

    @Test func theReasonForLessComesLast() {
        let text = AuditText.outcome(
            .partial, files: 0, bytes: 0, window: Span(0, 1_000_000), delivery: .archive, mode: .files,
            reason: "cam2: dark")
        #expect(text.hasPrefix("partial: 0 files, 0 bytes; ") && text.hasSuffix("; cam2: dark"))
    }
}
