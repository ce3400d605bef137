// StagedFile: what is written is what is found, under no name before it is complete.
import Foundation
import Glibc
import Testing

@testable import Volume

@Suite("Staged files")
struct StagedFileTests {
    @Test func aSealedFileHasItsNameAndItsContentAndLeavesStaging() throws {
        let folder = try TemporaryFolder()
        let volume = try folder.volume()
        let file = try StagedFile.create(in: volume, name: staging("a"))
        let content = pattern(3_000_000)
        for start in stride(from: 0, to: content.count, by: 700_001) {
            try file.append(Array(content[start..<min(start + 700_001, content.count)]))
        }
        #expect(try file.datasync() == Int64(content.count))
        #expect(try folder.everything() == [".staging/cc-0.7.a"])
        let sealed = try file.seal(as: RelativePath("cam/x/a.mp4"))
        #expect(sealed.outcome == .published)
        #expect(sealed.digest.sizeBytes == 3_000_000)
        #expect(folder.bytes("cam/x/a.mp4") == content)
        #expect(try volume.stagingEntries().isEmpty)
        #expect(try volume.reader(sealed.path).digest() == sealed.digest)
    }

    @Test func theDigestIsSHA256() throws {
        let volume = try TemporaryFolder().volume()
        let file = try StagedFile.create(in: volume, name: staging("a"))
        #expect(file.digest.hexadecimal == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        try file.append(Array("abc".utf8))
        #expect(file.digest.hexadecimal == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test func sealingTheSameContentTwiceIsDone() throws {
        let folder = try TemporaryFolder()
        let volume = try folder.volume()
        let path = try RelativePath("a/b")
        for expected in [SealedFile.Outcome.published, .alreadyThere] {
            let file = try StagedFile.create(in: volume, name: staging("a"))
            try file.append([1, 2, 3])
            #expect(try file.seal(as: path).outcome == expected)
        }
        #expect(try folder.everything() == ["a", "a/b"])
    }

    @Test(arguments: [[1, 2, 4], [1, 2, 3, 4]] as [[UInt8]])
    func otherContentUnderTheNameIsKeptAndReported(other: [UInt8]) throws {
        let folder = try TemporaryFolder()
        let volume = try folder.volume()
        let path = try RelativePath("a/b")
        try volume.write([1, 2, 3], to: path, staging: staging("a"))
        let file = try StagedFile.create(in: volume, name: staging("b"))
        try file.append(other)
        #expect(failure { _ = try file.seal(as: path) } == .exists)
        #expect(folder.bytes("a/b") == [1, 2, 3])
        #expect(folder.bytes(".staging/cc-0.7.b") == other)
        #expect(failure { _ = try file.append([1]) } == .unusable)
    }

    @Test func aStagingNameIsTakenOnce() throws {
        let volume = try TemporaryFolder().volume()
        let first = try StagedFile.create(in: volume, name: staging("a"))
        try first.append([1])
        #expect(failure { _ = try StagedFile.create(in: volume, name: staging("a")) } == .exists)
        let second = try StagedFile.create(in: volume, name: staging("a"), leftover: .remove)
        #expect(second.sizeBytes == 0)
    }

    @Test func afterSealOrDiscardNothingIsAccepted() throws {
        let folder = try TemporaryFolder()
        let volume = try folder.volume()
        let sealed = try StagedFile.create(in: volume, name: staging("a"))
        _ = try sealed.seal(as: RelativePath("a"))
        let discarded = try StagedFile.create(in: volume, name: staging("b"))
        try discarded.discard()
        try discarded.discard()
        for file in [sealed, discarded] {
            #expect(failure { try file.append([1]) } == .unusable)
            #expect(failure { try file.datasync() } == .unusable)
            #expect(failure { _ = try file.seal(as: RelativePath("c")) } == .unusable)
        }
        #expect(try folder.everything() == ["a"])
    }

    @Test func aLeftoverIsResumedAtTheLastWholeFragment() throws {
        let folder = try TemporaryFolder()
        let volume = try folder.volume()
        let content = pattern(2_500_000)
        do {
            let file = try StagedFile.create(in: volume, name: staging("a", epoch: 3))
            try file.append(content)
            try file.append([9, 9, 9])
        }
        let entry = try #require(try volume.stagingEntries().first)
        #expect(entry.sizeBytes == 2_500_003)
        let name = try #require(entry.name)
        #expect(name.epoch == 3)
        #expect(try volume.stagedReader(name).read(at: 2_499_999, count: 10) == [content[2_499_999], 9, 9, 9])
        let file = try StagedFile.resume(in: volume, name: name, keepingBytes: 2_500_000)
        try file.append([7])
        let sealed = try file.seal(as: RelativePath("a.mp4"))
        #expect(folder.bytes("a.mp4") == content + [7])
        #expect(try volume.reader(sealed.path).digest() == sealed.digest)
        #expect(failure { _ = try StagedFile.resume(in: volume, name: name, keepingBytes: 0) } == .missing)
    }

    @Test func readBackFindsWhatTheStorageChanged() throws {
        let folder = try TemporaryFolder()
        let volume = try folder.volume()
        let file = try StagedFile.create(in: volume, name: staging("a"))
        try file.append(pattern(100_000))
        try file.verifyReadBack()
        let handle = try #require(FileHandle(forUpdatingAtPath: folder.path + "/.staging/cc-0.7.a"))
        try handle.seek(toOffset: 50_000)
        try handle.write(contentsOf: Data([file.digest.sha256[0] ^ 1, 0, 1, 2, 3]))
        try handle.close()
        #expect(failure { try file.verifyReadBack() } == .corrupted)
        #expect(failure { _ = try file.seal(as: RelativePath("a")) } == .unusable)
        #expect(try folder.everything() == [".staging/cc-0.7.a"])
    }

    @Test func appendsAndSyncsFromSeveralThreadsLoseNothing() async throws {
        let folder = try TemporaryFolder()
        let volume = try folder.volume()
        let file = try StagedFile.create(in: volume, name: staging("a"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<4 {
                group.addTask { for _ in 0..<50 { try file.append([UInt8](repeating: UInt8(number), count: 1_000)) } }
            }
            group.addTask { for _ in 0..<20 { try file.datasync() } }
            try await group.waitForAll()
        }
        let sealed = try file.seal(as: RelativePath("a"))
        #expect(sealed.digest.sizeBytes == 200_000)
        #expect(try volume.reader(sealed.path).digest() == sealed.digest)
        let bytes = try #require(folder.bytes("a"))
        for start in stride(from: 0, to: bytes.count, by: 1_000) {
            #expect(Set(bytes[start..<start + 1_000]).count == 1)
        }
    }
}
