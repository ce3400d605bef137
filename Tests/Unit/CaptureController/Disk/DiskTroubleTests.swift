// Disks that are full, that fail, that are slow, while cameras are recorded: what was confirmed stays, what is lost lies in a gap
// that was told, and recording goes on without a restart.
import Glibc
import Harness
import Synchronization
import Testing
import Wire

@testable import CaptureController
@testable import Volume

struct DiskTroubleTests {
    /// Ends the scene, then the process, and looks at what is left.
    private func violations(of scene: RecordedScene, _ name: String) -> [String] {
        scene.disk.onStep(nil)
        scene.lookAfterVolume()
        scene.end()
        scene.lookAfterVolume()
        scene.end()
        var random = SplitMix64(seed: 1)
        let cut = SceneCut(
            name: name, image: scene.disk.image, books: scene.ledger.books.withLock { $0 }, nowUs: scene.ledger.nowUs,
            isWhole: true)
        return cut.violations(graceUs: 0, &random)
    }

    /// Two seconds at a time, as the service looks after its volume.
    private func play(_ scene: RecordedScene, seconds: Int) {
        for _ in 0..<seconds / 2 {
            scene.play(frames: 50)
            scene.lookAfterVolume()
        }
    }

    private func isRecording(_ scene: RecordedScene, cameras: Int) -> Bool {
        let before = scene.ledger.books.withLock { $0.confirmed }
        scene.play(frames: 75)
        let news = scene.ledger.books.withLock { $0.confirmed.subtracting(before) }
        return Set(news.map(\.camera)).count == cameras
    }

    @Test func aSceneWithoutTroubleLosesNothing() throws {
        let scene = try RecordedScene(seed: 3)
        play(scene, seconds: 8)
        expectNone(violations(of: scene, "no trouble"))
        #expect(scene.ledger.books.withLock { $0.lost.isEmpty && $0.paths.count > 6 })
    }

    /// Pictures were not among the names that salvage leaves alone, so it removed them while they were written.
    @Test func everyFileThatIsBeingWrittenIsNamedAsBusy() throws {
        let scene = try RecordedScene(seed: 5)
        let unnamed = Mutex<Set<String>>([])
        scene.disk.onStep { [busy = scene.busy] _, _, image in
            let staged = image.node(RecordedScene.volume + "/.staging").map { image.names($0) } ?? []
            unnamed.withLock { $0.formUnion(Set(staged).subtracting(busy.all)) }
            return 0
        }
        play(scene, seconds: 8)
        #expect(unnamed.withLock { $0 } == [])
        #expect(scene.ledger.books.withLock { !$0.snapshots.isEmpty })
    }

    /// The header fitted, the first picture did not: each attempt left a file in staging.
    @Test func aFullDiskIsTriedAgainAndNothingPilesUpInStaging() throws {
        let scene = try RecordedScene(seed: 11, isEventful: false)
        scene.play(frames: 50)
        let used = scene.disk.image.usedBytes
        scene.disk.limit(toBytes: used + 2_000)
        scene.play(frames: 200)
        let staged = try scene.disk.calls.list(RecordedScene.volume + "/.staging")
        #expect(staged.count <= 3, "one for each camera, with what was recorded before")
        #expect(scene.keeper.current != nil && scene.keeper.error != nil)
        scene.disk.limit(toBytes: .max)
        #expect(isRecording(scene, cameras: 3))
        #expect(scene.keeper.error == nil)
        expectNone(violations(of: scene, "full"))
    }

    @Test(arguments: 1...12) func aDiskThatFillsUpAtAnyWriteLosesNothingThatWasConfirmed(seed: UInt64) throws {
        let scene = try RecordedScene(seed: seed)
        play(scene, seconds: 2)
        let random = Mutex(SplitMix64(seed: seed))
        scene.disk.onStep { call, _, _ in
            [.write, .create, .makeFolder].contains(call) && random.withLock { $0.below(4) } == 0 ? ENOSPC : 0
        }
        play(scene, seconds: 6)
        scene.disk.onStep(nil)
        #expect(isRecording(scene, cameras: 3))
        expectNone(violations(of: scene, "seed \(seed)"))
    }

    @Test(arguments: 1...12) func aSyncThatFailsIsNeverTakenForDone(seed: UInt64) throws {
        let scene = try RecordedScene(seed: seed)
        play(scene, seconds: 2)
        let random = Mutex(SplitMix64(seed: seed))
        scene.disk.onStep { call, _, _ in
            [.sync, .datasync].contains(call) && random.withLock { $0.below(6) } == 0 ? EIO : 0
        }
        play(scene, seconds: 6)
        scene.disk.onStep(nil)
        play(scene, seconds: 2)
        #expect(isRecording(scene, cameras: 3))
        expectNone(violations(of: scene, "seed \(seed)"))
    }

    @Test func aDiskThatBecomesReadOnlyIsGivenUpAndTakenAgain() throws {
        let scene = try RecordedScene(seed: 31)
        play(scene, seconds: 2)
        scene.disk.onStep { _, _, _ in EROFS }
        play(scene, seconds: 4)
        #expect(scene.keeper.current == nil && scene.keeper.error?.contains("remount it writable") == true)
        scene.disk.onStep(nil)
        scene.lookAfterVolume()
        #expect(isRecording(scene, cameras: 3))
        expectNone(violations(of: scene, "read-only"))
    }

    /// Unmounted, then another box's disk in its place, then the right one again.
    @Test func aVolumeThatWasSwappedGetsNothingAndTheRightOneIsTakenAgain() throws {
        let scene = try RecordedScene(seed: 41)
        let calls = scene.disk.calls
        play(scene, seconds: 2)
        try calls.renameNoReplace(RecordedScene.volume, to: "/right")
        try calls.makeFolder(RecordedScene.volume)
        play(scene, seconds: 4)
        #expect(scene.keeper.current == nil && scene.keeper.error?.contains("mounted") == true)
        #expect(try calls.list(RecordedScene.volume).isEmpty)
        _ = try VolumeRoot.adopt(at: RecordedScene.volume, role: .recording, nowUs: 1_795_410_372_000_000, calls: calls)
        play(scene, seconds: 4)
        #expect(scene.keeper.current == nil && scene.keeper.error?.contains("known is") == true)
        #expect(try calls.list(RecordedScene.volume).count == 2, "marker and staging")
        #expect(try calls.list(RecordedScene.volume + "/.staging").isEmpty)
        try calls.renameNoReplace(RecordedScene.volume, to: "/wrong")
        try calls.renameNoReplace("/right", to: RecordedScene.volume)
        scene.lookAfterVolume()
        #expect(isRecording(scene, cameras: 3))
        expectNone(violations(of: scene, "swapped"))
    }

    @Test func aDiskThatStallsWithSixteenCamerasKeepsTheBoundAndCostsWholeGroups() throws {
        let bound = 6 << 20
        let scene = try RecordedScene(seed: 21, cameras: 16, isEventful: false, queueBytes: bound)
        scene.play(frames: 50)
        scene.stall(us: 30_000_000)
        scene.play(frames: 750)
        #expect(scene.refused > 0 && scene.mostQueuedBytes <= bound && scene.mostQueuedBytes > bound / 2)
        #expect(isRecording(scene, cameras: 16))
        expectNone(violations(of: scene, "stalled"))
    }

    /// The thread itself: a sync hangs, and whoever puts work never waits for it.
    @Test func whoPutsWorkNeverWaitsForASyncThatHangs() throws {
        let disk = try RecordedScene.adoptedDisk()
        let keeper = VolumeKeeper(path: RecordedScene.volume, logger: RecordedScene.logger, calls: disk.calls) { _, _ in
        }
        #expect(keeper.tryOpen())
        let hangs = Mailbox<Bool>(maximumBytes: 0)
        let goesOn = Mailbox<Bool>(maximumBytes: 0)
        let steps = StepCounter()
        disk.onStep { call, path, _ in
            guard call == .sync, path.contains("picture"), steps.next() == 1 else { return 0 }
            hangs.put(true)
            _ = goesOn.take(waitingAtMost: 60)
            return 0
        }
        let thread = DiskThread(
            keeper: keeper, queueBytes: 10_000, syncIntervalUs: 400_000, logger: RecordedScene.logger, record: { _ in })
        let stored = Mailbox<Bool>(maximumBytes: 0)
        func picture(_ second: Int64) -> DiskWork {
            .picture(
                PictureFile(
                    bytes: [UInt8](repeating: 1, count: 3_000),
                    file: MediaFile(
                        kind: .snapshot, source: SourceName(device: "line1", endpoint: "main"),
                        startUs: 1_795_410_372_000_000 + second * 1_000_000, fileExtension: "jpg"),
                    folder: "", owner: RecordedScene.instance, leaseEpoch: 1,
                    done: { if case .success = $0 { stored.put(true) } }))
        }
        #expect(thread.put(picture(0)))
        #expect(hangs.take(waitingAtMost: 60) == [true])
        let taken = (1...5).map { thread.put(picture($0)) }
        #expect(taken == [true, true, true, false, false])
        goesOn.put(true)
        thread.close(waitingAtMost: 60)
        #expect(stored.take(waitingAtMost: 0)?.count == 4)
    }
}
