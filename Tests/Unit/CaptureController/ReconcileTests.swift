// When volume and catalogue are compared again, and when what is gone may be given up.
import Foundation
import Testing
import Volume
import Wire

@testable import CaptureController

/// Expectations take no call that changes a struct.
private final class Watched {
    var watch: CatalogueWatch
    init(everyUs: Int64) { watch = CatalogueWatch(everyUs: everyUs) }
    func saw(catalogue: Holding, own: Holding, nowUs: Int64 = 0) -> Bool {
        watch.saw(catalogue: catalogue, own: own, nowUs: nowUs)
    }
    func compared(nowUs: Int64) { watch.compared(nowUs: nowUs) }
    func lostSight() { watch.lostSight() }
    func isDue(nowUs: Int64) -> Bool { watch.isDue(nowUs: nowUs) }
}

private final class Guarded {
    var breaker = PruneBreaker()
    func mayPrune(missing: Int, of rows: Int, nowUs: Int64) -> Bool {
        breaker.mayPrune(missing: missing, of: rows, nowUs: nowUs)
    }
}

struct CatalogueWatchTests {
    private let ours = Holding(files: 100, bytes: 5000)
    private let second: Int64 = 1_000_000

    /// A watch whose first comparison has left nothing.
    private func settled() -> Watched {
        let watch = Watched(everyUs: 3600 * second)
        watch.compared(nowUs: 0)
        #expect(!watch.saw(catalogue: ours, own: ours))
        return watch
    }

    @Test func theTimerAsksAtTheStartAndThenSeldom() {
        let watch = Watched(everyUs: 3600 * second)
        #expect(watch.isDue(nowUs: 5))
        watch.compared(nowUs: 5)
        #expect(!watch.isDue(nowUs: 5 + 3599 * second))
        #expect(watch.isDue(nowUs: 5 + 3600 * second))
    }

    @Test(arguments: [
        Holding(files: 0, bytes: 0), Holding(files: 40, bytes: 2000), Holding(files: 120, bytes: 6000),
        // As many were lost as had been deleted since the backup.
        Holding(files: 100, bytes: 4999),
    ])
    func anotherCatalogueIsNoticedWhenItIsSeenTwice(catalogue: Holding) {
        let watch = settled()
        #expect(!watch.saw(catalogue: catalogue, own: ours))
        #expect(watch.saw(catalogue: catalogue, own: ours))
        // Recording goes on meanwhile: what counts is the difference.
        let growing = settled()
        #expect(!growing.saw(catalogue: catalogue, own: ours))
        #expect(
            growing.saw(
                catalogue: Holding(files: catalogue.files + 7, bytes: catalogue.bytes + 70),
                own: Holding(files: ours.files + 7, bytes: ours.bytes + 70)))
    }

    @Test func whatIsOnItsWayIsNoDifference() {
        let watch = settled()
        #expect(!watch.saw(catalogue: Holding(files: 99, bytes: 4900), own: ours))
        #expect(!watch.saw(catalogue: Holding(files: 98, bytes: 4800), own: ours))
        #expect(!watch.saw(catalogue: ours, own: ours))
        #expect(!watch.saw(catalogue: Holding(files: 98, bytes: 4800), own: ours))
    }

    /// Records were on their way for a minute, so nobody looked; then the indexer came back with an older catalogue.
    @Test func whatIsSeenLongAfterAComparisonIsNotWhatItLeft() {
        let watch = Watched(everyUs: 3600 * second)
        watch.compared(nowUs: 0)
        let older = Holding(files: 44, bytes: 2000)
        #expect(!watch.saw(catalogue: older, own: ours, nowUs: 60 * second))
        #expect(watch.saw(catalogue: older, own: ours, nowUs: 65 * second))
    }

    @Test func whatAComparisonLeavesIsExplainedUntilItChanges() {
        let watch = Watched(everyUs: 3600 * second)
        watch.compared(nowUs: 0)
        let refused = Holding(files: 99, bytes: 4900)
        #expect(!watch.saw(catalogue: refused, own: ours))
        #expect(watch.saw(catalogue: refused, own: ours))
        watch.compared(nowUs: 0)
        for _ in 0..<5 { #expect(!watch.saw(catalogue: refused, own: ours)) }
        let lost = Holding(files: 50, bytes: 100)
        #expect(!watch.saw(catalogue: lost, own: ours))
        #expect(watch.saw(catalogue: lost, own: ours))
    }

    /// Found by Tests/Archive: an indexer came back empty two seconds after a comparison, within one call that waited for it. What
    /// its catalogue lacked was taken for what the comparison had left, and the catalogue stayed empty.
    @Test func aCatalogueThatCameRightAfterAComparisonIsCompared() {
        let watch = Watched(everyUs: 3600 * second)
        watch.compared(nowUs: 0)
        #expect(!watch.saw(catalogue: .none, own: ours, nowUs: 2 * second))
        #expect(watch.saw(catalogue: .none, own: ours, nowUs: 7 * second))
        watch.compared(nowUs: 8 * second)
        #expect(!watch.saw(catalogue: ours, own: ours, nowUs: 10 * second))
        // And later the same again.
        #expect(!watch.saw(catalogue: .none, own: ours, nowUs: 90 * second))
        #expect(watch.saw(catalogue: .none, own: ours, nowUs: 95 * second))
    }

    @Test func anIndexerThatWasAwayExplainsNothing() {
        let watch = Watched(everyUs: 3600 * second)
        watch.compared(nowUs: 0)
        // It was restored right after the comparison.
        watch.lostSight()
        let older = Holding(files: 60, bytes: 3000)
        #expect(!watch.saw(catalogue: older, own: ours))
        #expect(watch.saw(catalogue: older, own: ours))
    }

    @Test func lookingAwayForgetsASuspicion() {
        let watch = settled()
        let older = Holding(files: 60, bytes: 3000)
        #expect(!watch.saw(catalogue: older, own: ours))
        watch.lostSight()
        #expect(!watch.saw(catalogue: older, own: ours))
        #expect(watch.saw(catalogue: older, own: ours))
    }
}

struct PruneBreakerTests {
    private let day = PruneBreaker.patienceUs

    @Test(arguments: [(0, 0), (100, 100), (1, 1_000_000), (1000, 10_000)])
    func aFewAreBelieved(missing: Int, rows: Int) {
        let breaker = Guarded()
        #expect(breaker.mayPrune(missing: missing, of: rows, nowUs: 1))
    }

    @Test(arguments: [(101, 101), (101, 500), (1001, 10_000), (1_000_000, 1_000_000)])
    func aLargePartIsBelievedAfterADay(missing: Int, rows: Int) {
        let breaker = Guarded()
        #expect(!breaker.mayPrune(missing: missing, of: rows, nowUs: 1))
        #expect(!breaker.mayPrune(missing: missing, of: rows, nowUs: day))
        #expect(breaker.mayPrune(missing: missing, of: rows, nowUs: day + 1))
    }

    @Test func whatCameBackBeginsTheDayAnew() {
        let breaker = Guarded()
        #expect(!breaker.mayPrune(missing: 5000, of: 9000, nowUs: 1))
        #expect(breaker.mayPrune(missing: 0, of: 9000, nowUs: day / 2))
        #expect(!breaker.mayPrune(missing: 5000, of: 9000, nowUs: day + 1))
        #expect(breaker.mayPrune(missing: 5000, of: 9000, nowUs: 2 * day + 1))
    }
}

/// Found by a campaign of 1,000 kills: a controller that was killed between the naming of a segment and its note told the time of
/// it as one in which nothing was recorded, and a request ended without it.
struct UnnotedFilesTests {
    private let folder = NSTemporaryDirectory() + "cc-unnoted-" + UUID().uuidString

    private func segment(_ name: String, hour: String = "08") -> String {
        "press/clips/2026/11/30/\(hour)/20261130T\(name).mp4"
    }

    @Test func whatWasNamedBehindTheNewestNoteIsFound() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for part in ["volume", "state"] {
            try FileManager.default.createDirectory(
                atPath: folder + "/" + part, withIntermediateDirectories: true)
        }
        try VolumeRoot.adopt(at: folder + "/volume", role: .recording, nowUs: 1_795_410_372_000_000)
        let volume = try VolumeRoot.open(at: folder + "/volume", role: .recording)
        let inventory = Inventory(store: try StateStore.open(directory: folder + "/state"))
        let finder = UnnotedFiles(volume: volume, inventory: inventory)
        #expect(try finder.find() == [], "without a note there is no place to look")

        let noted = segment("085950.000000Z_20261130T085955.000000Z")
        let behind = segment("085955.000000Z_20261130T090000.000000Z")
        let nextHour = segment("090001.000000Z_20261130T090002.000000Z", hour: "09")
        let before = segment("085000.000000Z_20261130T085001.000000Z")
        let files = [noted, behind, nextHour, before, segment("095959.000000Z_20261130T100000.000000Z", hour: "10")]
        for (number, path) in files.enumerated() {
            _ = try volume.write(
                [UInt8(number)], to: RelativePath(path),
                staging: StagingName(owner: "cc-0", epoch: 1, label: "\(number)"))
        }
        // 2026-11-30T08:59:50Z.
        let startUs: Int64 = 1_796_029_190_000_000
        try inventory.add([
            MediaFile(
                kind: .segment, path: noted, source: SourceName(device: "d", endpoint: "e"), startUs: startUs,
                endUs: startUs + 5_000_000, sizeBytes: 1)
        ])
        #expect(try finder.find().map(\.string) == [behind, nextHour])
    }
}

struct HoldingTests {
    private let folder = NSTemporaryDirectory() + "cc-state-" + UUID().uuidString

    private func file(_ path: String, _ sizeBytes: UInt64) -> MediaFile {
        MediaFile(
            kind: .segment, path: path, source: SourceName(device: "d", endpoint: "e"), startUs: 1, endUs: 2,
            sizeBytes: sizeBytes)
    }

    @Test func theInventoryCountsFilesAndBytesOnce() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let inventory = Inventory(store: try StateStore.open(directory: folder))
        #expect(try await inventory.holding() == .none)
        try inventory.add([file("a", 10), file("b", 20)])
        try inventory.add([file("b", 20), file("c", 1 << 40)])
        #expect(try await inventory.holding() == Holding(files: 3, bytes: 30 + (1 << 40)))
        try inventory.add([file("b", 25)])
        #expect(try await inventory.noted(["a", "b", "x"]) == ["a", "b"])
        try await inventory.remove(["a"])
        #expect(try await inventory.holding() == Holding(files: 2, bytes: 25 + (1 << 40)))
    }
}
