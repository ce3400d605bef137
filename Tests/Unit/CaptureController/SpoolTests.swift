// What survives a restart: the spool, the inventory, the windows.
import Foundation
import Testing
import Wire

@testable import CaptureController

struct SpoolTests {
    private let folder = NSTemporaryDirectory() + "cc-state-" + UUID().uuidString

    private func record(_ path: String, startUs: Int64 = 1, endUs: Int64 = 2) -> MediaRecord {
        MediaRecord(
            file: MediaFile(
                kind: .segment, path: path, source: SourceName(device: "d", endpoint: "e"), startUs: startUs,
                endUs: endUs))
    }

    @Test func keepsTheOrderOverARestartUntilAcknowledged() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var spool = Spool(store: try StateStore.open(directory: folder), bound: 100)
        #expect(try spool.append([record("a"), record("b"), record("c")]) == 0)
        spool = Spool(store: try StateStore.open(directory: folder), bound: 100)
        let waiting = try await spool.oldest(limit: 10, maximumBytes: 1 << 20)
        #expect(waiting.compactMap(\.file?.path) == ["a", "b", "c"])
        try await spool.remove([try #require(waiting[0].spoolID), try #require(waiting[2].spoolID)])
        #expect(try await spool.oldest(limit: 10, maximumBytes: 1).compactMap(\.file?.path) == ["b"])
        _ = try spool.append([record("d")])
        let later = try await spool.oldest(limit: 10, maximumBytes: 1 << 20)
        #expect(try #require(later.last?.spoolID) > #require(waiting[2].spoolID), "an id is never used again")
    }

    @Test func whatACameraSaysIsCutToWhatTheIndexerTakes() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let spool = Spool(store: try StateStore.open(directory: folder), bound: 100)
        let words = String(repeating: "ä", count: 5000)
        _ = try spool.append([
            MediaRecord(gap: Gap(cause: "dark", reason: words)), MediaRecord(run: Run(runID: "r", endReason: words)),
        ])
        let records = try await spool.oldest(limit: 10, maximumBytes: 1 << 20)
        #expect(records[0].gap?.reason == String(repeating: "ä", count: 512))
        #expect(records[1].run?.endReason?.utf8.count == 1024)
    }

    @Test func dropsTheOldestWhenFullAndSaysHowMany() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let spool = Spool(store: try StateStore.open(directory: folder), bound: 3)
        #expect(try spool.append((0..<5).map { record("\($0)") }) == 2)
        #expect(
            try await spool.oldest(limit: 10, maximumBytes: 1 << 20).compactMap(\.file?.path) == ["2", "3", "4"])
    }

    @Test func knowsWhatIsCoveredAndKeepsWindowsUntilTheHoldEnds() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let inventory = Inventory(store: try StateStore.open(directory: folder))
        let source = SourceKey(device: "d", endpoint: "e")
        try inventory.add(
            [record("a", startUs: 10, endUs: 20), record("b", startUs: 20, endUs: 30)].compactMap(\.file))
        #expect(try await inventory.covered(source, Span(startUs: 15, endUs: 20)) == [Span(startUs: 10, endUs: 20)])
        #expect(try await inventory.file("b")?.span == Span(startUs: 20, endUs: 30))
        try await inventory.remove(["a"])
        #expect(try await inventory.covered(source, Span(startUs: 0, endUs: 20)) == [])
        let window = FootageWindow(key: "k", source: source, span: Span(startUs: 1, endUs: 2), holdUntilUs: 100)
        try await inventory.keep([window])
        #expect(try inventory.windows(nowUs: 99) == [window])
        #expect(try inventory.windows(nowUs: 100) == [])
    }

    @Test func aStateDirectoryThatCannotBeMadeIsNamed() {
        #expect(throws: StateError.self) { try StateStore.open(directory: "/proc/nothing") }
    }
}
