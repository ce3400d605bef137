// VolumeRoot: adoption, identity, refusal of what is not our volume, lock, space.
import Foundation
import Glibc
import Testing

@testable import Volume

@Suite("Volume identity")
struct VolumeRootTests {
    @Test func anAdoptedFolderOpensWithItsIdentity() throws {
        let folder = try TemporaryFolder()
        let identity = try VolumeRoot.adopt(at: folder.path + "/", role: .archive, nowUs: 1_795_410_372_123_456)
        let volume = try VolumeRoot.open(at: folder.path, role: .archive)
        #expect(volume.identity == identity)
        #expect(volume.access == .writer)
        #expect(UUID(uuidString: volume.volumeID) != nil)
        let marker = try #require(folder.bytes(VolumeRoot.markerName))
        let json = try #require(
            try JSONSerialization.jsonObject(with: Data(marker)) as? [String: String])
        #expect(json == ["volume_id": identity.volumeID, "role": "archive", "created": "2026-11-23T05:06:12.123456Z"])
        #expect(try folder.everything().isEmpty)
    }

    @Test func onlyEmptyFoldersAreAdoptedAndOnlyOnce() throws {
        let folder = try TemporaryFolder()
        try Data().write(to: URL(fileURLWithPath: folder.path + "/film.mp4"))
        #expect(failure { try VolumeRoot.adopt(at: folder.path, role: .recording, nowUs: 0) } == .exists)
        try FileManager.default.removeItem(atPath: folder.path + "/film.mp4")
        #expect(failure { try VolumeRoot.adopt(at: folder.path, role: .recording, nowUs: 0) } == nil)
        #expect(failure { try VolumeRoot.adopt(at: folder.path, role: .recording, nowUs: 0) } == .alreadyAdopted)
        #expect(failure { try VolumeRoot.adopt(at: folder.path + "/none", role: .recording, nowUs: 0) } == .missing)
    }

    @Test func anInterruptedAdoptionLeavesNoVolumeAndCanBeRepeated() throws {
        let plan = FaultPlan()
        for number in 1...40 {
            let folder = try TemporaryFolder()
            plan.begin { count, _, _ in count >= number ? .errno(EIO) : nil }
            let result = failure {
                try VolumeRoot.adopt(at: folder.path, role: .recording, nowUs: 0, calls: plan.calls)
            }
            if result == nil { return }
            if let marker = folder.bytes(VolumeRoot.markerName) {
                #expect((try? JSONDecoder().decode(VolumeIdentity.self, from: Data(marker))) != nil)
            } else {
                #expect(failure { _ = try VolumeRoot.open(at: folder.path, role: .recording) } == .notAdopted)
                #expect(failure { try VolumeRoot.adopt(at: folder.path, role: .recording, nowUs: 0) } == nil)
            }
        }
        Issue.record("adoption never ended")
    }

    @Test func whatIsNotOurVolumeIsRefused() throws {
        let folder = try TemporaryFolder()
        #expect(failure { _ = try VolumeRoot.open(at: folder.path, role: .recording) } == .notAdopted)
        #expect(failure { _ = try VolumeRoot.open(at: folder.path + "/none", role: .recording) } == .missing)
        #expect(failure { _ = try VolumeRoot.open(at: "relative", role: .recording) } == .invalidName)
        _ = try folder.volume(.recording)
        #expect(failure { _ = try VolumeRoot.open(at: folder.path, role: .archive) } == .wrongRole)
        #expect(
            failure { _ = try VolumeRoot.open(at: folder.path, role: .recording, volumeID: "other") }
                == .identityDiffers)
        for text in [
            "", "{}", "not json", "{\"volume_id\":\"x\",\"role\":\"recording\",\"created\":\"2026-11-23T05:06:12Z\"}",
        ] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: folder.path + "/" + VolumeRoot.markerName))
            #expect(failure { _ = try VolumeRoot.open(at: folder.path, role: .recording) } == .damagedMarker)
        }
    }

    @Test func openingNeverMakesAMarker() throws {
        let folder = try TemporaryFolder()
        _ = failure { _ = try VolumeRoot.open(at: folder.path, role: .recording) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }

    @Test func aRecordingVolumeHasOneOwner() throws {
        let folder = try TemporaryFolder()
        _ = try folder.volume()
        var first: VolumeRoot? = try VolumeRoot.open(at: folder.path, role: .recording)
        #expect(first?.isLocked == true)
        #expect(failure { _ = try VolumeRoot.open(at: folder.path, role: .recording) } == .inUse)
        #expect(failure { _ = try VolumeRoot.open(at: folder.path, role: .recording, access: .reader) } == nil)
        first = nil
        #expect(failure { _ = try VolumeRoot.open(at: folder.path, role: .recording) } == nil)
    }

    @Test func aFileSystemWithoutLocksIsTakenUnlocked() throws {
        let folder = try TemporaryFolder()
        let plan = FaultPlan()
        _ = try folder.volume()
        plan.begin { _, call, _ in call == .lock ? .errno(ENOLCK) : nil }
        #expect(try VolumeRoot.open(at: folder.path, role: .recording, calls: plan.calls).isLocked == false)
    }

    @Test func aReadOnlyVolumeIsRefusedToWritersAndOpenToReaders() throws {
        let folder = try TemporaryFolder()
        let plan = FaultPlan()
        _ = try folder.volume()
        plan.begin { _, call, _ in call == .create ? .errno(EROFS) : nil }
        #expect(failure { _ = try folder.volume(access: .writer, calls: plan.calls) } == .readOnly)
        #expect(failure { _ = try folder.volume(access: .reader, calls: plan.calls) } == nil)
    }

    @Test func aFullVolumeOpens() throws {
        let folder = try TemporaryFolder()
        let plan = FaultPlan()
        _ = try folder.volume()
        plan.begin { _, call, _ in call == .create ? .errno(ENOSPC) : nil }
        #expect(failure { _ = try folder.volume(calls: plan.calls) } == nil)
    }

    @Test func aSwappedVolumeIsNoticed() throws {
        let outer = try TemporaryFolder()
        let path = outer.path + "/mount"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        try VolumeRoot.adopt(at: path, role: .recording, nowUs: 0)
        let volume = try VolumeRoot.open(at: path, role: .recording)
        try volume.checkStillThere()
        try FileManager.default.moveItem(atPath: path, toPath: outer.path + "/away")
        #expect(failure { try volume.checkStillThere() } == .missing)
        try FileManager.default.createDirectory(
            atPath: path + "/.staging", withIntermediateDirectories: true)
        #expect(failure { try volume.checkStillThere() } == .identityDiffers)
        #expect(failure { _ = try StagedFile.create(in: volume, name: staging("a")) } == .identityDiffers)
        #expect(failure { try volume.forEachFile { _ in true } } == .identityDiffers)
        #expect(failure { try volume.remove(RelativePath("a")) } == .identityDiffers)
    }

    /// The folders of the final name were made before the missing staging file was noticed.
    @Test func sealingMakesNothingOnAnotherVolume() throws {
        let outer = try TemporaryFolder()
        let path = outer.path + "/mount"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        try VolumeRoot.adopt(at: path, role: .recording, nowUs: 0)
        let file = try StagedFile.create(in: VolumeRoot.open(at: path, role: .recording), name: staging("a"))
        try FileManager.default.moveItem(atPath: path, toPath: outer.path + "/away")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        #expect(failure { _ = try file.seal(as: RelativePath("cam/a")) } == .identityDiffers)
        #expect(try FileManager.default.contentsOfDirectory(atPath: path).isEmpty)
    }

    /// Who is killed between making and removing its probe left it in staging for ever.
    @Test func theOwnerRemovesTheProbesOfAnEarlierLife() throws {
        let folder = try TemporaryFolder()
        let plan = FaultPlan()
        _ = try folder.volume()
        plan.begin { _, call, _ in call == .unlink ? .errno(EIO) : nil }
        #expect(failure { _ = try folder.volume(access: .owner, calls: plan.calls) } == .inputOutput)
        #expect(try folder.everything().count == 1)
        _ = try folder.volume(access: .owner)
        #expect(try folder.everything().isEmpty)
    }

    @Test func spaceIsThatOfTheFileSystem() throws {
        let space = try TemporaryFolder().volume().freeSpace()
        #expect(space.totalBytes > 0)
        #expect(space.availableBytes <= space.totalBytes)
        #expect(space.usedBytes + space.availableBytes <= space.totalBytes)
    }

    @Test(arguments: VolumeError.Kind.allCases)
    func errorsNameThePathTheFaultAndTheRemedy(kind: VolumeError.Kind) {
        let error = VolumeError(kind, path: "/data/a", "what was wrong")
        #expect(error.description.hasPrefix("/data/a: what was wrong; "))
        #expect(!error.advice.isEmpty)
        #expect(!error.description.contains("\n"))
    }

    @Test func errnoBecomesAKind() {
        let kinds: [(Int32, VolumeError.Kind)] = [
            (ENOSPC, .full), (EDQUOT, .full), (EROFS, .readOnly), (EIO, .inputOutput), (ESTALE, .inputOutput),
            (EACCES, .notPermitted), (ENOENT, .missing), (EEXIST, .exists), (EXDEV, .unsupported),
            (ENAMETOOLONG, .invalidName), (EBADF, .system),
        ]
        for (number, kind) in kinds {
            let error = VolumeError(errno: number, call: .write, path: "/a")
            #expect(error.kind == kind)
            #expect(error.errno == number)
            #expect(error.detail.hasPrefix("write: "))
        }
    }
}
