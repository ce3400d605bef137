// Clips of segments that lie on several volumes, here and elsewhere, and what is said when one of them cannot be had.
import Foundation
import Media
import RPC
import ServiceKit
import TestFootage
import Testing
import Wire

@testable import Clips

@Suite struct ClipMakerTests {
    private static let camera = RecordedCamera()

    /// Three segments of a second: on a mounted volume, on one that another controller has, and on a second mounted one.
    private static func spread(paddingBytes: Int = 0) throws -> ClipScene {
        let scene = try ClipScene()
        let camera = RecordedCamera(.mjpeg, paddingBytes: paddingBytes)
        let ids = ["a": try scene.mount("a"), "away": "0000", "b": try scene.mount("b")]
        scene.calls.state.withLock { $0.owners = ["0000": ClipScene.away] }
        for (frames, volume) in [(0..<25, "a"), (25..<50, "away"), (50..<75, "b")] {
            let bytes = try camera.segment(frames)
            let path = scene.record(bytes, frames, on: ids[volume] ?? "")
            if volume == "away" { scene.placeAway(bytes, path) } else { try scene.place(bytes, path, on: volume) }
        }
        return scene
    }

    private func problem(_ scene: ClipScene, _ wish: ClipWish = ClipScene.wish(0, 3_000_000)) async -> ClipProblem? {
        await #expect(throws: ClipProblem.self) {
            let clips = try await scene.maker.clips(wish, on: scene.thread)
            for clip in clips { _ = try await scene.bytes(clip) }
        }
    }

    @Test func aClipSpansMountedAndRemoteVolumes() async throws {
        let scene = try Self.spread()
        let wish = ClipScene.wish(210_000, 2_700_000)
        let clips = try await scene.maker.clips(wish, on: scene.thread)
        let clip = try #require(clips.first)
        #expect(clips.count == 1 && clip.content.frames == 62 && clip.content.missingUs == 0)
        let bytes = try await scene.bytes(clip)
        #expect(bytes == (try ClipScene.expected(scene.segments, wish)))
        #expect(clip.sizeBytes == Int64(bytes.count))
        let reads = scene.calls.state.withLock { $0.reads.map { "\($0.address) \($0.request.path ?? "")" } }
        #expect(Set(reads) == ["\(ClipScene.away) line1/clips/25-main.mp4"])
        #expect(scene.calls.state.withLock { $0.volumeQuestions } == 1)
    }

    @Test func itIsTheSameClipWhereverTheSegmentsAre() async throws {
        let scene = try Self.spread()
        let wish = ClipScene.wish(0, 3_000_000)
        let mixed = try await scene.bytes(try #require(try await scene.maker.clips(wish, on: scene.thread).first))
        let far = try ClipScene()
        far.calls.state.withLock { $0.owners = ["0000": ClipScene.away] }
        for (number, bytes) in scene.segments.enumerated() {
            far.placeAway(bytes, far.record(bytes, (25 * number)..<(25 * number + 25), on: "0000"))
        }
        let remote = try await far.bytes(try #require(try await far.maker.clips(wish, on: far.thread).first))
        #expect(remote == mixed)
    }

    /// Pictures of 100 kB: a segment is larger than a message, and the head of a clip is little beside it.
    @Test func ofARemoteSegmentOnlyBoxesAreReadForTheHeadAndTheRestInLargeParts() async throws {
        let scene = try Self.spread(paddingBytes: 100_000)
        let wish = ClipScene.wish(0, 3_000_000)
        let clip = try #require(try await scene.maker.clips(wish, on: scene.thread).first)
        func asked() -> [Int] { scene.calls.state.withLock { $0.reads.map { Int($0.request.length ?? 0) } } }
        let forHead = asked()
        #expect(forHead.reduce(0, +) < 100_000, "\(forHead)")
        #expect(try await scene.bytes(clip) == (try ClipScene.expected(scene.segments, wish)))
        let forRest = asked().dropFirst(forHead.count)
        // 2.6 MB lie on that volume, and a message holds 0.9 MB; the clip's blocks begin and end in other segments as well.
        #expect((3...7).contains(forRest.count) && forRest.allSatisfy { $0 <= 921_600 }, "\(forRest)")
    }

    @Test func pagesAreReadToTheEnd() async throws {
        let scene = try Self.spread()
        scene.calls.state.withLock { $0.pageFiles = 1 }
        let clip = try #require(try await scene.maker.clips(ClipScene.wish(0, 3_000_000), on: scene.thread).first)
        #expect(clip.content.frames == 75)
        let queries = scene.calls.state.withLock { $0.queries }
        #expect(queries.map(\.pageToken) == [nil, "1", "2"])
        #expect(queries.allSatisfy { $0.kind == .segment && $0.source == SourceName(device: "cam1", endpoint: "main") })
    }

    @Test func aCameraIsAskedForByItsAssetToo() async throws {
        let scene = try Self.spread()
        let wish = ClipWish(.asset("line1"), startUs: RecordedCamera.startUs, endUs: RecordedCamera.timeUs(10))
        #expect(try await scene.maker.clips(wish, on: scene.thread).count == 1)
        #expect(scene.calls.state.withLock { $0.queries.first?.asset == "line1" && $0.queries.first?.source == nil })
    }

    @Test func aFileThatVanishedIsGoneAndNotTriedAgain() async throws {
        let here = try Self.spread()
        here.calls.state.withLock { $0.files[0].path = "line1/clips/none.mp4" }
        let gone = await problem(here)
        #expect(gone?.kind == .gone && gone?.isRetryable == false && gone?.reason.contains("none.mp4") == true)
        let there = try Self.spread()
        there.calls.state.withLock { $0.remote = [:] }
        let away = await problem(there)
        #expect(away?.kind == .gone && away?.reason.contains(ClipScene.away) == true)
    }

    @Test func whatIsOpenStaysReadableWhenItIsRemoved() async throws {
        let scene = try Self.spread()
        let wish = ClipScene.wish(0, 1_000_000)
        scene.calls.state.withLock { $0.files.removeLast(2) }
        let clip = try #require(try await scene.maker.clips(wish, on: scene.thread).first)
        try FileManager.default.removeItem(at: scene.folder.appendingPathComponent("a/line1"))
        #expect(try await scene.bytes(clip) == (try ClipScene.expected([scene.segments[0]], wish)))
    }

    @Test func aVolumeThatNobodyHasIsTriedAgainLater() async throws {
        let scene = try Self.spread()
        scene.calls.state.withLock { $0.owners = [:] }
        let nobody = await problem(scene)
        #expect(nobody?.isRetryable == true && nobody?.retryAfter != nil)
        #expect(nobody?.reason.contains("volume 0000") == true && nobody?.reason.contains("mount it") == true)
        scene.calls.state.withLock {
            $0.owners = ["0000": ClipScene.away]
            $0.readError = .unavailable("nobody answers")
        }
        let silent = await problem(scene)
        #expect(silent?.kind == .unreachable && silent?.reason.contains(ClipScene.away) == true)
    }

    @Test func anIndexerThatIsAwayIsTriedAgainAndOneThatRefusesIsNot() async throws {
        let scene = try Self.spread()
        scene.calls.state.withLock { $0.indexerError = .unavailable("away") }
        #expect(await problem(scene)?.isRetryable == true)
        scene.calls.state.withLock { $0.indexerError = .invalidArgument("window", "is wrong") }
        #expect(await problem(scene)?.kind == .unusable)
        scene.calls.state.withLock { $0.indexerError = RPCError(code: .cancelled, message: "stopped") }
        await #expect(throws: CancellationError.self) {
            try await scene.maker.clips(ClipScene.wish(0, 1), on: scene.thread)
        }
    }

    @Test func aWindowWithoutFootageIsSaidToBeSo() async throws {
        let scene = try ClipScene()
        #expect(await problem(scene)?.kind == .nothing)
        let other = try Self.spread()
        #expect(await problem(other, ClipScene.wish(9_000_000, 9_500_000))?.kind == .unusable)
    }

    @Test func aSegmentThatBecomesShorterIsNotTakenForTheWholeClip() async throws {
        let scene = try Self.spread()
        let clips = try await scene.maker.clips(ClipScene.wish(0, 3_000_000), on: scene.thread)
        scene.calls.state.withLock { state in
            for (name, bytes) in state.remote { state.remote[name] = Array(bytes.prefix(bytes.count / 2)) }
        }
        let clip = try #require(clips.first)
        let problem = await #expect(throws: ClipProblem.self) { try await scene.bytes(clip) }
        #expect(problem?.isRetryable == true && problem?.reason.contains("shorter") == true)
    }

    @Test func whatIsNoSegmentIsNamed() async throws {
        let scene = try ClipScene()
        let path = scene.record([], 0..<25, on: try scene.mount("a"))
        try scene.place([1, 2, 3], path, on: "a")
        let problem = await problem(scene)
        #expect(problem?.kind == .unusable && problem?.reason.contains(path) == true)
    }

    @Test func aChangeOfCodecBeginsAnotherClip() async throws {
        let scene = try ClipScene()
        let volume = try scene.mount("a")
        let cameras = [RecordedCamera(.mjpeg), RecordedCamera(.h264), RecordedCamera(.h264)]
        for (number, camera) in cameras.enumerated() {
            let frames = (25 * number)..<(25 * number + 25)
            let bytes = try camera.segment(frames)
            try scene.place(bytes, scene.record(bytes, frames, on: volume), on: "a")
        }
        let wish = ClipScene.wish(500_000, 2_500_000)
        let clips = try await scene.maker.clips(wish, on: scene.thread)
        #expect(clips.map(\.content.frames) == [12, 38])
        #expect(try await scene.bytes(clips[0]) == (try ClipScene.expected([scene.segments[0]], wish)))
        let later = try ClipScene.expected(
            Array(scene.segments[1...]), wish, fromUs: RecordedCamera.timeUs(25))
        #expect(try await scene.bytes(clips[1]) == later)
    }

    @Test func anAssetOfTwoCamerasMustBeAskedForByOneOfThem() async throws {
        let scene = try ClipScene()
        let bytes = try Self.camera.segment(0..<25)
        scene.record(bytes, 0..<25, on: "0000")
        scene.record(bytes, 0..<25, on: "0000", endpoint: "second")
        let problem = await problem(scene)
        #expect(problem?.kind == .unusable && problem?.reason.contains("cam1/main, cam1/second") == true)
    }

    @Test func aFailureOfWhoeverTakesTheBytesEndsIt() async throws {
        struct Full: Error {}
        let scene = try Self.spread()
        let clip = try #require(try await scene.maker.clips(ClipScene.wish(0, 3_000_000), on: scene.thread).first)
        await #expect(throws: Full.self) {
            try await scene.maker.write(clip, on: scene.thread) { if $0.count > 0 { throw Full() } }
        }
    }
}

@Suite struct CopyPortionTests {
    @Test func blocksEndWhereTheClipHasWholeOnes() {
        let blocks = CopyBlock.blocks(
            of: [Self.piece(0, 10, 90), Self.piece(0, 120, 50), Self.piece(1, 0, 30)], behind: 130, blockBytes: 100
        ) { _ in .max }
        #expect(
            blocks.map { $0.portions.map(\.pieces) } == [
                [[Self.piece(0, 10, 70)]], [[Self.piece(0, 80, 20), Self.piece(0, 120, 50)], [Self.piece(1, 0, 30)]],
            ])
        #expect(CopyBlock.blocks(of: [], behind: 5, blockBytes: 100) { _ in .max }.isEmpty)
    }

    private static func piece(_ file: Int, _ offset: Int64, _ size: Int64) -> ExactClip.Piece {
        ExactClip.Piece(file: file, offset: offset, sizeBytes: size)
    }

    @Test func piecesOfAFileAreTakenTogetherAsFarAsTheirSpanFits() {
        let pieces = [Self.piece(0, 10, 40), Self.piece(0, 60, 40), Self.piece(0, 120, 40), Self.piece(1, 5, 10)]
        let portions = CopyPortion.portions(of: pieces) { _ in 100 }
        #expect(portions.map(\.pieces) == [Array(pieces[0...1]), [pieces[2]], [pieces[3]]])
        #expect(portions.map(\.spanBytes) == [90, 40, 10])
    }

    @Test func aLargePieceIsDividedAndBackwardsIsAnotherPortion() {
        let portions = CopyPortion.portions(of: [Self.piece(0, 50, 25), Self.piece(0, 0, 5)]) { _ in 10 }
        #expect(
            portions.flatMap(\.pieces) == [
                Self.piece(0, 50, 10), Self.piece(0, 60, 10), Self.piece(0, 70, 5), Self.piece(0, 0, 5),
            ])
        #expect(portions.count == 4)
    }

    @Test func eachFileHasItsOwnBound() {
        let pieces = [Self.piece(0, 0, 10), Self.piece(0, 10, 10), Self.piece(1, 0, 10), Self.piece(1, 10, 10)]
        #expect(CopyPortion.portions(of: pieces) { $0 == 0 ? 20 : 10 }.map(\.pieces.count) == [2, 1, 1])
    }
}
