// PublishedFiles and FileReader: reading in pieces, listing for reconciliation, removing with what becomes empty.
import Foundation
import Glibc
import Testing

@testable import Volume

@Suite("Published files")
struct PublishedFilesTests {
    private func put(_ volume: VolumeRoot, _ path: String, _ bytes: [UInt8] = [1]) throws {
        try volume.write(bytes, to: RelativePath(path), staging: staging("x"))
    }

    private func paths(_ volume: VolumeRoot, below folder: RelativePath? = nil) throws -> [String] {
        var found: [String] = []
        try volume.forEachFile(below: folder) { entry in
            found.append(entry.path.string)
            return true
        }
        return found
    }

    @Test func readsPiecesAtAnyPlace() throws {
        let volume = try TemporaryFolder().volume()
        let content = pattern(10_000)
        try put(volume, "a/b", content)
        let reader = try volume.reader(RelativePath("a/b"))
        #expect(reader.sizeBytes == 10_000)
        #expect(try reader.read(at: 0, count: 10_000) == content)
        #expect(try reader.read(at: 9_990, count: 100) == Array(content[9_990...]))
        #expect(try reader.read(at: 10_000, count: 1).isEmpty)
        #expect(try reader.read(at: .max, count: .max).isEmpty)
        #expect(try reader.read(at: -5, count: 3) == Array(content[..<3]))
        #expect(try reader.read(at: 0, count: -1).isEmpty)
    }

    @Test func missingFilesFoldersAndLinksAreNotRead() throws {
        let folder = try TemporaryFolder()
        let volume = try folder.volume()
        try put(volume, "a/b")
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/a/link", withDestinationPath: "/etc/passwd")
        // Whoever opened a FIFO to read would wait until somebody writes.
        #expect(mkfifo(folder.path + "/a/fifo", 0o600) == 0)
        for path in ["a/none", "none/b", "a", "a/b/c", "a/fifo"] {
            #expect(failure { _ = try volume.reader(RelativePath(path)) } == .missing, "\(path)")
        }
        #expect(failure { _ = try volume.reader(RelativePath("a/link")) } == .invalidName)
    }

    @Test func listsInOrderAndPassesOverTheVolumesOwnFiles() throws {
        let folder = try TemporaryFolder()
        let volume = try folder.volume()
        for path in ["b/2", "a/y/1", "a/x/2", "a/x/1", "top"] { try put(volume, path) }
        _ = try StagedFile.create(in: volume, name: staging("growing"))
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/a/link", withDestinationPath: "/")
        #expect(try paths(volume) == ["top", "a/x/1", "a/x/2", "a/y/1", "b/2"])
        #expect(try paths(volume, below: RelativePath("a/x")) == ["a/x/1", "a/x/2"])
        #expect(try paths(volume, below: RelativePath("none")).isEmpty)
        var seen = 0
        try volume.forEachFile { _ in
            seen += 1
            return seen < 2
        }
        #expect(seen == 2)
    }

    @Test func anUnreadableFolderIsAnErrorAndNotAnEmptyOne() throws {
        let folder = try TemporaryFolder()
        let plan = FaultPlan()
        try put(try folder.volume(), "a/b")
        let volume = try folder.volume(calls: plan.calls)
        plan.begin { _, call, path in call == .list && path.hasSuffix("/a") ? .errno(EIO) : nil }
        #expect(failure { _ = try paths(volume) } == .inputOutput)
    }

    @Test func removingTakesTheEmptyFoldersAlong() throws {
        let folder = try TemporaryFolder()
        let volume = try folder.volume()
        try put(volume, "a/b/c/1")
        try put(volume, "a/b/2")
        #expect(try volume.remove(RelativePath("a/b/c/1")))
        #expect(try folder.everything() == ["a", "a/b", "a/b/2"])
        #expect(try volume.remove(RelativePath("a/b/2")))
        #expect(try folder.everything().isEmpty)
        #expect(try volume.remove(RelativePath("a/b/2")) == false)
        try put(volume, "a/b/c/1")
        #expect(try folder.everything() == ["a", "a/b", "a/b/c", "a/b/c/1"])
    }

    @Test func publishingSurvivesAnotherProcessRemovingTheFolders() throws {
        let folder = try TemporaryFolder()
        let archiver = try folder.volume(.archive)
        let uploader = try folder.volume(.archive)
        try put(archiver, "cam/05/1")
        // The archiver believes cam/05 to be there and durable; the uploader removes it with its last file.
        #expect(try uploader.remove(RelativePath("cam/05/1")))
        try put(archiver, "cam/05/2")
        #expect(try folder.everything() == ["cam", "cam/05", "cam/05/2"])
    }

    @Test func aVanishedStagingFileIsReportedAtOnce() throws {
        let folder = try TemporaryFolder()
        let volume = try folder.volume()
        let file = try StagedFile.create(in: volume, name: staging("a"))
        try file.append([1])
        try volume.discardStaged(staging("a"))
        #expect(failure { _ = try file.seal(as: RelativePath("a/b")) } == .missing)
    }

    @Test func writingADocumentTwiceIsDoneAndAnotherIsRefused() throws {
        let folder = try TemporaryFolder()
        let volume = try folder.volume()
        try put(volume, "m.json", [1, 2])
        try put(volume, "m.json", [1, 2])
        #expect(failure { try put(volume, "m.json", [1, 3]) } == .exists)
        #expect(folder.bytes("m.json") == [1, 2])
        #expect(try volume.stagingEntries().isEmpty)
    }

    @Test func strangersInStagingAreListedWithoutAName() throws {
        let folder = try TemporaryFolder()
        let volume = try folder.volume()
        try Data([1, 2]).write(to: URL(fileURLWithPath: folder.path + "/.staging/stranger"))
        _ = try StagedFile.create(in: volume, name: staging("a"))
        let entries = try volume.stagingEntries()
        #expect(entries.map(\.fileName) == ["cc-0.7.a", "stranger"])
        #expect(entries.map { $0.name != nil } == [true, false])
        #expect(entries[1].sizeBytes == 2)
        #expect(try volume.discardStaged(staging("a")))
        #expect(try volume.discardStaged(staging("a")) == false)
    }
}
