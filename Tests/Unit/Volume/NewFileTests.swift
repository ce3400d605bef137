// NewFile: whole under its name or not there, wherever a call fails.
import Foundation
import Glibc
import Testing

@testable import Volume

@Suite("New files")
struct NewFileTests {
    @Test func itHasItsNameWhenItIsComplete() throws {
        let folder = try TemporaryFolder()
        let content = pattern(3_000_000)
        let file = try NewFile(at: folder.path + "/backup.sqlite", isHashed: true)
        for start in stride(from: 0, to: content.count, by: 921_600) {
            try file.append(Array(content[start..<min(start + 921_600, content.count)]))
        }
        #expect(try folder.everything() == [".backup.sqlite.partial"])
        try file.publish()
        #expect(try folder.everything() == ["backup.sqlite"])
        #expect(folder.bytes("backup.sqlite") == content)
        #expect(file.digest?.sizeBytes == 3_000_000)
        try file.discard()
        #expect(try folder.everything() == ["backup.sqlite"])
        #expect(failure { try file.append([1]) } == .unusable)
    }

    @Test func aNameThatIsTakenIsKept() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/a"
        let late = try NewFile(at: path)
        try late.append([9])
        try Data([1]).write(to: URL(fileURLWithPath: path))
        #expect(failure { try late.publish() } == .exists)
        try late.discard()
        #expect(failure { _ = try NewFile(at: path) } == .exists)
        #expect(try folder.everything() == ["a"])
        #expect(folder.bytes("a") == [1])
    }

    @Test func aPlaceThatTakesNoFileIsRefusedAtOnce() throws {
        let folder = try TemporaryFolder()
        #expect(failure { _ = try NewFile(at: folder.path + "/none/a") } == .missing)
        for name in ["", ".", ".."] {
            #expect(failure { _ = try NewFile(at: folder.path + "/" + name) } == .invalidName, "'\(name)'")
        }
    }

    @Test func onlyOneWritesAFileAtATime() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/a"
        let first = try NewFile(at: path)
        #expect(failure { _ = try NewFile(at: path) } == .inUse)
        try first.discard()
        let second = try NewFile(at: path)
        try second.append([5])
        try second.publish()
        #expect(folder.bytes("a") == [5])
    }

    @Test func aLeftoverIsBegunAnew() throws {
        let folder = try TemporaryFolder()
        try Data([7, 7, 7]).write(to: URL(fileURLWithPath: folder.path + "/.a.partial"))
        let file = try NewFile(at: folder.path + "/a")
        try file.append([1])
        try file.publish()
        #expect(folder.bytes("a") == [1])
    }

    /// The kernel may call the sync that follows a success.
    @Test func afterAFailedSyncItNeverGetsItsName() throws {
        let folder = try TemporaryFolder()
        let calls = FileSystemCalls { call, _ in call == .writeBack ? .errno(EIO) : nil }
        let file = try NewFile(at: folder.path + "/a", calls: calls)
        try file.append([1])
        #expect(failure { try file.beginWriteBack() } == .inputOutput)
        #expect(failure { try file.publish() } == .inputOutput)
        try file.discard()
        #expect(try folder.everything() == [])
    }

    @Test func wheneverACallFailsNothingHasTheName() throws {
        let content = pattern(5000)
        func write(_ folder: TemporaryFolder, _ calls: FileSystemCalls) throws {
            let file = try NewFile(at: folder.path + "/a", isHashed: true, calls: calls)
            try file.append(content)
            try file.publish()
        }
        let whole = FaultPlan()
        try write(try TemporaryFolder(), whole.calls)
        #expect(whole.count > 5)
        for number in 1...whole.count {
            let folder = try TemporaryFolder()
            let plan = FaultPlan()
            plan.begin { count, call, _ in count == number && call != .dropCache ? .errno(EIO) : nil }
            do {
                try write(folder, plan.calls)
                #expect(folder.bytes("a") == content, "call \(number)")
            } catch {
                // Only the sync of the folder comes after the name.
                let left = try folder.everything().filter { $0 != ".a.partial" }
                #expect(left.isEmpty || folder.bytes("a") == content, "call \(number) left \(left)")
            }
        }
    }
}
