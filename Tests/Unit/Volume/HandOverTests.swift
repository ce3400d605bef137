// A volume whose complete files another system takes: they are written there once, through one handle, whatever is killed or
// fails on the way, and nothing else is ever written there. /dev/shm is the other file system that such a volume needs.
import Foundation
import Glibc
import Testing

@testable import Volume

@Suite("Hand over", .enabled(if: HandOverSite.isPossible, "needs /dev/shm on another file system than temporary files"))
struct HandOverTests {
    private static let content = pattern(2_500_000)
    private static let final = "cam/2026/11/23/05/segment_a.mp4"

    private func record(_ volume: VolumeRoot, _ bytes: [UInt8] = content) throws -> SealedFile {
        let file = try StagedFile.create(in: volume, name: staging("a"), leftover: .remove)
        try file.append(bytes)
        try file.verifyReadBack()
        return try file.seal(as: RelativePath(Self.final))
    }

    @Test func completeFilesGoThereAndNothingElse() throws {
        let site = try HandOverSite()
        let volume = try site.volume()
        #expect(volume.handsOver && volume.publishedPath == site.ingest)
        let sealed = try record(volume)
        #expect(sealed.outcome == .published && site.files == [Self.final: Self.content.count])
        #expect(try volume.reader(RelativePath(Self.final)).digest() == sealed.digest)
        #expect(try site.folder.everything().isEmpty)
    }

    @Test func theSameAgainWritesNothingAndOneThatWasTakenIsWrittenAgain() throws {
        let site = try HandOverSite()
        let plan = FaultPlan()
        let volume = try site.volume(calls: plan.calls)
        _ = try record(volume)
        plan.end()
        #expect(try record(volume).outcome == .alreadyThere)
        #expect(!plan.trace.contains { $0.hasPrefix("open") && $0.contains(site.ingest + "/cam") })
        try FileManager.default.removeItem(atPath: site.ingest + "/cam")
        #expect(failure { _ = try record(volume) } != nil || site.files.count == 1)
        _ = try record(volume)
        #expect(site.files == [Self.final: Self.content.count])
    }

    @Test func aPartThatAKilledWriterLeftIsReplaced() throws {
        let site = try HandOverSite()
        let volume = try site.volume()
        try site.write(Array(Self.content.prefix(1000)), Self.final)
        #expect(try record(volume).outcome == .published)
        #expect(site.files == [Self.final: Self.content.count])
    }

    @Test func aDeathBeforeAnyCallIsMadeGoodByTheNextLife() throws {
        let plan = FaultPlan()
        for number in 1...200 {
            let site = try HandOverSite()
            let volume = try site.volume(calls: plan.calls)
            plan.begin { count, _, _ in count >= number ? .errno(EIO) : nil }
            let died = failure { _ = try record(volume) } != nil
            plan.end()
            _ = try record(try site.volume())
            #expect(site.files == [Self.final: Self.content.count])
            #expect(site.bytes(Self.final) == Self.content)
            #expect(try site.folder.everything().isEmpty)
            guard died else {
                #expect(number > 15)
                return
            }
        }
        Issue.record("the sequence never ended")
    }

    @Test func aFullFolderLeavesNoPart() throws {
        let site = try HandOverSite()
        let plan = FaultPlan()
        let volume = try site.volume(calls: plan.calls)
        plan.begin { _, call, path in call == .write && path.hasPrefix(site.ingest) ? .errno(ENOSPC) : nil }
        #expect(failure { _ = try record(volume) } == .full)
        #expect(site.files.isEmpty)
        plan.end()
        #expect(try record(volume).outcome == .published)
    }

    @Test func aFolderWithNothingMountedIsRefused() throws {
        let site = try HandOverSite()
        let other = try TemporaryFolder()
        let same = other.path + "/ingest"
        try FileManager.default.createDirectory(atPath: same, withIntermediateDirectories: true)
        let empty = try TemporaryFolder()
        #expect {
            _ = try VolumeRoot.adopt(at: empty.path, role: .archive, nowUs: 1_795_410_372_000_000, ingestPath: same)
        } throws: { error in
            (error as? VolumeError)?.detail.contains("is anything mounted there?") == true
        }
        try FileManager.default.removeItem(atPath: site.ingest)
        #expect(failure { _ = try site.volume() } == .missing)
    }
}

@Suite("Copies")
struct CopyTests {
    /// /dev/shm to disk: the kernel copies between file systems; EXDEV and others: it does not, and the bytes are written.
    @Test(arguments: [nil, EXDEV, EOPNOTSUPP, ENOSYS, EINVAL])
    func aFileIsAppendedWhole(refusal: Int32?) throws {
        let folder = try TemporaryFolder()
        let plan = FaultPlan()
        let volume = try folder.volume(.archive, calls: plan.calls)
        let content = pattern(3_200_001)
        let source = try StagedFile.create(in: volume, name: staging("source"))
        try source.append(content)
        let sealed = try source.seal(as: RelativePath("cam/source.mp4"))
        plan.begin { _, call, _ in call == .copyRange ? refusal.map { .errno($0) } : nil }
        let copy = try StagedFile.create(in: volume, name: staging("copy"))
        #expect(try copy.append(allOf: try volume.reader(sealed.path)) { _ in true })
        plan.end()
        #expect(copy.digest == sealed.digest)
        try copy.verifyReadBack()
        #expect(try copy.seal(as: RelativePath("cam/copy.mp4")).digest == sealed.digest)
        #expect(folder.bytes("cam/copy.mp4") == content)
    }

    @Test func aFileIsReadBackBehindWhatIsAppended() throws {
        let folder = try TemporaryFolder()
        let volume = try folder.volume(.archive)
        // What is left for the end takes several steps.
        let content = pattern(20_000_123)
        let file = try StagedFile.create(in: volume, name: staging("a"))
        let readBack = try ReadBack(of: file)
        for start in stride(from: 0, to: content.count, by: 700_001) {
            try file.append(Array(content[start..<min(start + 700_001, content.count)]))
            guard start < 3_000_000 else { continue }
            try file.beginWriteBack()
            try readBack.catchUp()
        }
        try file.verifyReadBack(readBack)
        #expect(try file.seal(as: RelativePath("a.mp4")).digest == file.digest)
    }

    @Test func aFileThatIsHashedWhenReadBackIsSealedOnlyThen() throws {
        let folder = try TemporaryFolder()
        let volume = try folder.volume(.archive)
        let content = pattern(300_000)
        var whole = RunningDigest()
        content.withUnsafeBytes { whole.update($0) }
        let file = try StagedFile.create(in: volume, name: staging("a"), isHashed: false)
        try file.append(content)
        #expect(failure { _ = try file.seal(as: RelativePath("a.mp4")) } == .unusable)
        let digest = try file.verifyReadBack()
        #expect(digest == whole.digest && digest.sha256.count == 32)
        #expect(try file.seal(as: RelativePath("a.mp4")).digest == digest)
        // Damage is seen by the CRC-64.
        let other = try StagedFile.create(in: volume, name: staging("b"), isHashed: false)
        try other.append(content)
        let damaged = try FileHandle(
            forUpdating: URL(fileURLWithPath: folder.path + "/.staging/" + staging("b").fileName))
        try damaged.seek(toOffset: 123_456)
        try damaged.write(contentsOf: Data([content[123_456] ^ 1]))
        try damaged.close()
        #expect(failure { try other.verifyReadBack() } == .corrupted)
    }

    /// The kernel tells a failed write once, to whoever waits for it first.
    @Test(arguments: [true, false]) func whatTheDeviceRefusedIsNeverSealed(isWaitedFor: Bool) throws {
        let folder = try TemporaryFolder()
        let plan = FaultPlan()
        let volume = try folder.volume(.archive, calls: plan.calls)
        let file = try StagedFile.create(in: volume, name: staging("a"))
        let readBack = try ReadBack(of: file)
        try file.append(pattern(100_000))
        plan.begin { _, call, _ in call == .writeBack ? .errno(EIO) : nil }
        #expect(
            failure { if isWaitedFor { try readBack.catchUp() } else { try file.beginWriteBack() } } == .inputOutput)
        plan.end()
        #expect(failure { try file.verifyReadBack(readBack) } == .unusable)
        #expect(failure { _ = try file.seal(as: RelativePath("a.mp4")) } == .unusable)
    }

    @Test func whereThereIsNoWritingBackItIsSynced() throws {
        let folder = try TemporaryFolder()
        let plan = FaultPlan()
        let volume = try folder.volume(.archive, calls: plan.calls)
        let file = try StagedFile.create(in: volume, name: staging("a"))
        let readBack = try ReadBack(of: file)
        try file.append(pattern(100_000))
        plan.begin { _, call, _ in call == .writeBack ? .errno(ENOSYS) : nil }
        try file.beginWriteBack()
        try readBack.catchUp()
        try file.verifyReadBack(readBack)
        plan.end()
        #expect(try file.seal(as: RelativePath("a.mp4")).digest == file.digest)
    }

    @Test(arguments: [10, 2_500_000]) func whatTheStorageGivesBackOtherwiseIsNoticed(place: Int) throws {
        let folder = try TemporaryFolder()
        let volume = try folder.volume(.archive)
        let file = try StagedFile.create(in: volume, name: staging("a"))
        let readBack = try ReadBack(of: file)
        try file.append(pattern(2_000_000))
        // Where it was read back already nobody looks again; what is written after that is looked at.
        if place > 2_000_000 {
            try readBack.catchUp()
        }
        try file.append(pattern(1_000_000, seed: 2))
        let damaged = try FileHandle(
            forUpdating: URL(fileURLWithPath: folder.path + "/.staging/" + staging("a").fileName))
        try damaged.seek(toOffset: UInt64(place))
        try damaged.write(contentsOf: Data([1, 2, 3, 4]))
        try damaged.close()
        #expect(failure { try file.verifyReadBack(readBack) } == .corrupted)
        #expect(failure { _ = try file.seal(as: RelativePath("a.mp4")) } == .unusable)
    }

    @Test func aCopyEndsWhenItIsNoLongerWanted() throws {
        let folder = try TemporaryFolder()
        let volume = try folder.volume(.archive)
        _ = try volume.write(pattern(3_000_000), to: RelativePath("a.mp4"), staging: staging("source"))
        let copy = try StagedFile.create(in: volume, name: staging("copy"))
        var pieces = 0
        let isWhole = try copy.append(allOf: try volume.reader(RelativePath("a.mp4"))) { _ in
            pieces += 1
            return pieces < 1
        }
        #expect(!isWhole && copy.sizeBytes == 1 << 20)
        try copy.discard()
    }
}

/// A volume in a temporary folder that hands over to one in /dev/shm.
final class HandOverSite: Sendable {
    let folder: TemporaryFolder
    let ingest: String

    static var isPossible: Bool {
        var (here, there) = (stat(), stat())
        return stat(NSTemporaryDirectory(), &here) == 0 && stat("/dev/shm", &there) == 0 && here.st_dev != there.st_dev
            && access("/dev/shm", W_OK) == 0
    }

    init() throws {
        folder = try TemporaryFolder()
        ingest = "/dev/shm/ingest-\(UUID().uuidString.lowercased())"
        try FileManager.default.createDirectory(atPath: ingest, withIntermediateDirectories: true)
        try VolumeRoot.adopt(at: folder.path, role: .archive, nowUs: 1_795_410_372_000_000, ingestPath: ingest)
    }

    deinit { try? FileManager.default.removeItem(atPath: ingest) }

    func volume(calls: FileSystemCalls = .live) throws -> VolumeRoot {
        try VolumeRoot.open(at: folder.path, role: .archive, calls: calls)
    }

    func write(_ bytes: [UInt8], _ path: String) throws {
        let url = URL(fileURLWithPath: ingest + "/" + path)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url)
    }

    func bytes(_ path: String) -> [UInt8]? {
        FileManager.default.contents(atPath: ingest + "/" + path).map { Array($0) }
    }

    /// Files with their sizes.
    var files: [String: Int] {
        let paths = (try? FileManager.default.subpathsOfDirectory(atPath: ingest)) ?? []
        return paths.reduce(into: [:]) { files, path in
            if let bytes = bytes(path) { files[path] = bytes.count }
        }
    }
}
