// Gaps: what is missing is told, with its cause, at the right time, and survives on the volume.
import Foundation
import Media
import Testing
import Volume
import Wire

@testable import CaptureController

struct GapTests {
    private let clip = ClipPlan(
        stream: StreamKey(asset: "press", stream: "clips"), taskRunID: "r", segmentUs: 60_000_000, folder: "")

    /// Gaps as cause, start and end in seconds of the film.
    private func gaps(_ film: Film) -> [String] {
        film.records.compactMap(\.gap).map { gap in
            let part = [gap.window?.startUs, gap.window?.endUs].map { (($0 ?? 0) - Film.baseUs) / 1_000_000 }
            return "\(gap.cause ?? "") \(part[0])-\(part[1])"
        }
    }

    @Test func aPlannedRestartIsAGapFromTheLastFootageToTheFirstFrame() throws {
        var film = try Film(clip: clip)
        film.pipeline.footageEndUs = Film.baseUs - 10_000_000
        film.play(from: 0, to: 3)
        #expect(gaps(film) == ["stopped -10-0"])
    }

    @Test func aStoppedTaskIsAGapWhenItRecordsAgainAndOnlyThen() throws {
        var film = try Film(standby: .off, clip: clip)
        film.play(from: 0, to: 5)
        var idle = film.pipeline.plan
        idle.clip = nil
        film.effects += film.pipeline.apply(idle, wallUs: Film.baseUs + 5_000_000, nowUs: 5_000_000)
        film.play(from: 5, to: 20)
        #expect(gaps(film) == [])
        var again = idle
        again.clip = clip
        film.effects += film.pipeline.apply(again, wallUs: Film.baseUs + 20_000_000, nowUs: 20_000_000)
        film.play(from: 20, to: 22)
        #expect(gaps(film) == ["stopped 5-19"])
    }

    @Test func lossesWithinASecondAreOneGapWithTheNumberOfPictures() throws {
        var film = try Film(clip: clip)
        film.play(from: 0, to: 8, lost: [3_040_000, 3_080_000, 3_400_000, 6_480_000])
        let lost = film.records.compactMap(\.gap).filter { $0.cause == "lost" }
        let spans = lost.map { [$0.window?.startUs, $0.window?.endUs].map { ($0 ?? 0) - Film.baseUs } }
        #expect(spans == [[3_040_000, 3_440_000], [6_480_000, 6_520_000]])
        #expect(lost.map(\.framesLost) == [3, 1])
    }

    /// The disk's queue refused the last fragment of a segment that was sealed with it, and nobody said so.
    @Test func theLastFragmentOfASegmentThatTheQueueRefusesIsAGap() throws {
        var film = try Film(clip: clip)
        film.play(from: 0, to: 3)
        let id = try #require(film.pipeline.driver.openTicketID)
        film.effects += film.pipeline.sessionEnded(cause: "stopped", reason: "test", wallUs: Film.baseUs + 3_000_000)
        var told: [PipelineEffect] = []
        film.pipeline.driver.fragmentRefused(
            id: id, span: Span(startUs: Film.baseUs + 2_900_000, endUs: Film.baseUs + 3_000_000), frames: 3,
            run: nil, context: film.pipeline.context, effects: &told)
        film.effects += told
        let gap = try #require(film.records.compactMap(\.gap).first { $0.cause == "dropped" })
        #expect(gap.framesLost == 3 && gap.window?.endUs == Film.baseUs + 3_000_000)
    }

    /// Case 18: the first frame of a fragment need not be the one that is shown first.
    @Test func aFragmentOfReorderedPicturesBeginsWithTheOneThatIsShownFirst() throws {
        var film = try Film(clip: clip)
        let shown: [Int64] = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11]
        for (place, picture) in shown.enumerated() {
            let us = Int64(place) * 40_000
            let packet = MediaPacket(
                configuration: film.configuration, bytes: PacketBytes([1]), ptsTicks: picture * 3600,
                dtsTicks: Int64(place - 2) * 3600, durationTicks: 3600, isKeyframe: place == 0, arrivalNs: us * 1000)
            film.effects += film.pipeline.packet(packet, wallUs: Film.baseUs + us, nowUs: us)
        }
        film.effects += film.pipeline.sessionEnded(cause: "stopped", reason: "", wallUs: Film.baseUs + 600_000)
        let ticket = try #require(
            film.effects.compactMap { if case .open(let ticket) = $0 { ticket } else { nil } }.first)
        let offsetUs = ticket.info.startUs - ticket.info.mediaStartUs
        var fragments = 0
        var newestUs: Int64 = 0
        for case .fragment(_, let packets, let startUs, let endUs, _) in film.effects {
            newestUs = max(newestUs, packets.map(\.ptsUs).max() ?? 0)
            #expect(startUs - offsetUs == packets.map(\.ptsUs).min())
            #expect(endUs - offsetUs == newestUs + 40_000)
            fragments += 1
        }
        #expect(fragments > 2)
    }

    @Test func aLossAtTheEndOfARunIsToldWithIt() throws {
        var film = try Film(clip: clip)
        film.play(from: 0, to: 3, lost: [2_920_000])
        film.effects += film.pipeline.sessionEnded(cause: "dark", reason: "silent", wallUs: Film.baseUs + 3_000_000)
        #expect(film.records.compactMap(\.gap).filter { $0.cause == "lost" }.map(\.framesLost) == [1])
    }

    @Test func whatIsExplainedAlreadyIsNotStoppedToo() throws {
        var film = try Film(clip: clip)
        film.play(from: 0, to: 5)
        film.effects += film.pipeline.sessionEnded(cause: "dark", reason: "silent", wallUs: Film.baseUs + 9_000_000)
        film.play(from: 20, to: 22)
        #expect(gaps(film) == ["dark 5-20"])
    }

    @Test func aWindowFromBeforeTheVeryFirstFootageIsExplained() throws {
        var film = try Film(clip: clip)
        film.play(from: 5, to: 8)
        _ = film.ensure("event", -5, 7, atSecond: 8)
        #expect(gaps(film) == ["stopped -5-5"])
    }

    @Test func aDarkCameraIsToldWhenAWindowEndsAndAgainWhenItReturns() throws {
        var film = try Film(clip: clip)
        film.play(from: 0, to: 5)
        film.effects += film.pipeline.sessionEnded(cause: "dark", reason: "silent", wallUs: Film.baseUs + 9_000_000)
        _ = film.ensure("event", 3, 12, atSecond: 10)
        film.effects += film.pipeline.expire(wallUs: Film.baseUs + 12_500_000)
        #expect(gaps(film) == [], "its last frame may be on its way")
        film.effects += film.pipeline.expire(wallUs: Film.baseUs + 13_000_000)
        film.effects += film.pipeline.expire(wallUs: Film.baseUs + 14_000_000)
        #expect(gaps(film) == ["dark 5-13"], "once")
        film.play(from: 20, to: 22)
        #expect(gaps(film) == ["dark 5-13", "dark 5-20"])
    }

    @Test func aCameraThatNeverCameIsToldToo() throws {
        var film = try Film()
        _ = film.ensure("event", 3, 12, atSecond: 5)
        film.effects += film.pipeline.expire(wallUs: Film.baseUs + 12_500_000, darkReason: "connection refused")
        film.effects += film.pipeline.expire(wallUs: Film.baseUs + 13_000_000, darkReason: "connection refused")
        #expect(gaps(film) == ["dark 3-13"])
        #expect(film.records.compactMap(\.gap).first?.reason == "connection refused")
    }

    /// A controller that was paused for five seconds said of a camera whose first packets it held that it gives nothing.
    @Test func aCameraWhosePacketsWaitForTheirAnchorIsNotDark() throws {
        var film = try Film(clip: clip)
        _ = film.ensure("event", 3, 12, atSecond: 5)
        let configuration = try CodecConfiguration.mjpeg(widthPx: 64, heightPx: 48)
        let first = MediaPacket(
            configuration: configuration, bytes: PacketBytes([1]), ptsTicks: 0, dtsTicks: 0, durationTicks: 3600,
            isKeyframe: true, arrivalNs: 10_000_000_000)
        film.effects += film.pipeline.packet(first, wallUs: Film.baseUs + 10_000_000, nowUs: 10_000_000)
        film.effects += film.pipeline.expire(wallUs: Film.baseUs + 15_000_000)
        film.effects += film.pipeline.expire(wallUs: Film.baseUs + 16_000_000)
        #expect(gaps(film) == [])
    }

    @Test func afterAStandstillOfOursWhatTheCameraGaveIsReadFirst() throws {
        var film = try Film(clip: clip)
        _ = film.ensure("event", 3, 12, atSecond: 5)
        film.effects += film.pipeline.expire(wallUs: Film.baseUs + 10_000_000)
        film.effects += film.pipeline.expire(wallUs: Film.baseUs + 15_000_000)
        #expect(gaps(film) == [])
        film.effects += film.pipeline.expire(wallUs: Film.baseUs + 16_000_000)
        #expect(gaps(film) == ["dark 3-16"])
    }

    @Test func aDiskThatIsFullForLongIsOneGapFromWhatIsKept() throws {
        var film = try Film(clip: clip)
        film.play(from: 0, to: 4)
        var id = try #require(film.pipeline.driver.openTicketID)
        film.effects += film.pipeline.segmentSynced(id: id, toUs: Film.baseUs + 3_000_000)
        film.effects += film.pipeline.segmentLost(id: id, keptToUs: Film.baseUs + 3_000_000, reason: "full")
        for second in 4..<9 {
            film.play(from: Int64(second), to: Int64(second) + 1)
            id = try #require(film.pipeline.driver.openTicketID)
            film.effects += film.pipeline.segmentLost(id: id, keptToUs: nil, reason: "full")
        }
        #expect(gaps(film) == [])
        film.play(from: 9, to: 11)
        id = try #require(film.pipeline.driver.openTicketID)
        film.effects += film.pipeline.segmentSynced(id: id, toUs: Film.baseUs + 10_000_000)
        #expect(gaps(film) == ["disk_full 3-9"])
        film.effects += film.pipeline.segmentSynced(id: id, toUs: Film.baseUs + 10_500_000)
        #expect(gaps(film).count == 1)
    }

    @Test func aWindowThatCameWhileTheCameraWasDarkIsSealedAtItsEnd() throws {
        var film = try Film(clip: clip)
        _ = film.ensure("event", 1, 7, atSecond: 0)
        film.play(from: 2, to: 10)
        #expect(film.seals == [[2, 7]])
    }

    @Test func theJournalKeepsGapsThroughATornTail() throws {
        let folder = NSTemporaryDirectory() + "cc-journal-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try VolumeRoot.adopt(at: folder, role: .recording, nowUs: Film.baseUs)
        let volume = try VolumeRoot.open(at: folder, role: .recording)
        let journal = GapJournal(volume)
        func gap(_ start: Int64) -> Gap {
            Gap(
                source: SourceName(device: "d", endpoint: "e"), window: Window(startUs: start, endUs: start + 5),
                cause: "dark", reason: "line\nfeed \"ö\"", runID: "r", framesLost: nil)
        }
        try journal.append([gap(1), gap(2)], nowUs: Film.baseUs)
        let path = try #require(
            FileManager.default.contentsOfDirectory(atPath: folder).first { $0.contains("gaps") })
        #expect(path == ".sightglass-gaps.202311")
        let whole = try Data(contentsOf: URL(fileURLWithPath: folder + "/" + path))
        try whole.dropLast(7).write(to: URL(fileURLWithPath: folder + "/" + path))
        #expect(try journal.read(nowUs: Film.baseUs).gaps == [gap(1)])
        try journal.append([gap(3), gap(3)], nowUs: Film.baseUs + 40 * 86_400_000_000)
        try journal.append([gap(4)], nowUs: Film.baseUs)
        let read = try journal.read(nowUs: Film.baseUs)
        #expect(read.gaps == [gap(1), gap(4), gap(3)])
        #expect(read.damaged == 1)
        #expect(try journal.read(nowUs: Film.baseUs + 420 * 86_400_000_000).gaps == [gap(3)], "old months go")
        var listed: [String] = []
        try volume.forEachFile { (entry) throws(VolumeError) in
            listed.append(entry.path.string)
            return true
        }
        #expect(listed == [], "a journal is no footage")
    }

    @Test func grantsAheadAreUsedOldestFirstWithoutTheIndexer() {
        var book = GrantBook()
        let grants = [
            DeletionGrant(path: "old", now: false), DeletionGrant(path: "gone", now: true),
            DeletionGrant(path: "new", now: false),
        ]
        book.granted(grants, volumeID: "v")
        #expect(book.takeNow() == ["gone"])
        #expect(book.takeNow() == [])
        #expect(book.takeAhead() == "old")
        book.deleted("old")
        #expect(book.unreported == ["old"])
        book.granted(grants, volumeID: "v")
        #expect(book.ahead == ["new"], "what is deleted and not yet reported is not deleted again")
        book.reported(book.nextReport.count)
        #expect(book.unreported == [])
    }

    @Test func manyDeletedFilesAreReportedInSeveralMessages() {
        var book = GrantBook()
        book.granted([], volumeID: "v")
        for number in 0..<1100 { book.deleted("\(number)") }
        var sizes: [Int] = []
        while !book.nextReport.isEmpty {
            sizes.append(book.nextReport.count)
            book.reported(book.nextReport.count)
        }
        #expect(sizes == [500, 500, 100])
    }

    @Test func aHoldProtectsAlsoWithoutASession() async throws {
        let folder = NSTemporaryDirectory() + "cc-state-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let inventory = Inventory(store: try StateStore.open(directory: folder))
        let source = SourceKey(device: "d", endpoint: "e")
        try await inventory.keep(
            [FootageWindow(key: "k", source: source, span: Span(startUs: 10, endUs: 20), holdUntilUs: 100)])
        #expect(try await inventory.isHeld(source, Span(startUs: 19, endUs: 30), nowUs: 99))
        #expect(try await !inventory.isHeld(source, Span(startUs: 20, endUs: 30), nowUs: 99))
        #expect(try await !inventory.isHeld(source, Span(startUs: 19, endUs: 30), nowUs: 100))
        try inventory.add(
            [MediaFile(kind: .segment, path: "a", source: source.wire, startUs: 10, endUs: 20)])
        #expect(try inventory.footageEnds() == [source: 20])
    }
}

/// Seed 7 of the fault campaign: a controller that was killed 66 ms after it had begun to record again, so that nobody said why
/// the 13 s before were missing.
@Suite struct SalvageHoleTests {
    private let source = SourceKey(device: "dock-camera", endpoint: "main")

    private func salvaged(from startUs: Int64, to endUs: Int64) -> SalvageResult {
        var result = SalvageResult()
        result.salvaged = 1
        result.records = [
            MediaRecord(
                file: MediaFile(kind: .segment, source: source.wire, startUs: startUs, endUs: endUs, runID: "r2"))
        ]
        return result
    }

    @Test func whatLiesInFrontOfASalvagedSegmentIsTold() {
        let result = salvaged(from: 18_400_000, to: 18_466_000)
        let gaps = result.untold(since: [source: 5_400_000], told: [])
        #expect(gaps.map(\.window) == [Window(startUs: 5_400_000, endUs: 18_400_000)])
        #expect(gaps.map(\.cause) == ["stopped"] && gaps.map(\.source) == [source.wire])
    }

    @Test func whatWasToldIsNotToldAgain() {
        let result = salvaged(from: 18_400_000, to: 18_466_000)
        func gap(_ fromUs: Int64, _ toUs: Int64, of source: SourceKey) -> Gap {
            Gap(source: source.wire, window: Window(startUs: fromUs, endUs: toUs), cause: "killed")
        }
        let other = SourceKey(device: "other", endpoint: "main")
        #expect(result.untold(since: [source: 5_400_000], told: [gap(5_400_000, 18_400_000, of: source)]).isEmpty)
        #expect(
            result.untold(
                since: [source: 5_400_000],
                told: [gap(5_400_000, 6_000_000, of: source), gap(0, 20_000_000, of: other)]
            ).map(\.window) == [Window(startUs: 6_000_000, endUs: 18_400_000)])
        // It adjoins, or nothing is known of before.
        #expect(result.untold(since: [source: 18_350_000], told: []).isEmpty)
        #expect(result.untold(since: [:], told: []).isEmpty)
    }
}
