// Faults: each system call fails in turn, or the process dies before it. What must hold: under a final name there is
// nothing or the whole file; what was reported done is durable in the right order; and a repetition ends well.
import Foundation
import Glibc
import Testing

@testable import Volume

@Suite("Faults")
struct FaultTests {
    private static let content = pattern(10_000)
    private static let final = "cam/clips/2026/a.mp4"

    private func record(_ volume: VolumeRoot, leftover: LeftoverPolicy = .refuse) throws {
        let file = try StagedFile.create(in: volume, name: staging("a"), leftover: leftover)
        for start in stride(from: 0, to: Self.content.count, by: 4_000) {
            try file.append(Array(Self.content[start..<min(start + 4_000, Self.content.count)]))
            try file.datasync()
        }
        try file.verifyReadBack()
        _ = try file.seal(as: RelativePath(Self.final))
    }

    /// Dying is modelled as every call from the n-th on having no effect.
    @Test func aDeathBeforeAnyCallLeavesNoFinalFileOrAWholeOne() throws {
        let plan = FaultPlan()
        var deaths = 0
        for number in 1...200 {
            let folder = try TemporaryFolder()
            _ = try folder.volume()
            let volume = try folder.volume(calls: plan.calls)
            plan.begin { count, _, _ in count >= number ? .errno(EIO) : nil }
            let died = failure { try record(volume) } != nil
            plan.end()
            let found = folder.bytes(Self.final)
            #expect(found == nil || found == Self.content)
            guard died else {
                #expect(found == Self.content)
                #expect(deaths > 20)
                return
            }
            deaths += 1
            // The next life: it starts over, and ends with the one file and an empty staging.
            try record(try folder.volume(), leftover: .remove)
            #expect(folder.bytes(Self.final) == Self.content)
            #expect(try folder.everything().filter { $0.hasPrefix(".staging/") }.isEmpty)
        }
        Issue.record("the sequence never ended")
    }

    @Test(arguments: [
        (ENOSPC, VolumeError.Kind.full), (EROFS, .readOnly), (EIO, .inputOutput), (EACCES, .notPermitted),
    ])
    func eachFailingCallIsReportedAndPublishesNothingPartial(number: Int32, kind: VolumeError.Kind) throws {
        let plan = FaultPlan()
        for failing in 1...200 {
            let folder = try TemporaryFolder()
            _ = try folder.volume()
            let volume = try folder.volume(calls: plan.calls)
            plan.begin { count, call, _ in count == failing && call != .dropCache ? .errno(number) : nil }
            let result = failure { try record(volume) }
            let wasReached = plan.count >= failing
            let failedCall = wasReached ? plan.trace[failing - 1] : ""
            plan.end()
            let found = folder.bytes(Self.final)
            #expect(found == nil || found == Self.content)
            guard wasReached else {
                #expect(result == nil)
                return
            }
            if !failedCall.hasPrefix("drop cache") { #expect(result == kind, "\(failedCall)") }
        }
        Issue.record("the sequence never ended")
    }

    @Test func interruptedAndShortCallsGoUnnoticed() throws {
        let folder = try TemporaryFolder()
        let plan = FaultPlan()
        _ = try folder.volume()
        let volume = try folder.volume(calls: plan.calls)
        // Every call is interrupted once; writes take a third of what is given.
        plan.begin { count, call, _ in
            if count.isMultiple(of: 2) { return call == .write ? .shortWrite(1_333) : nil }
            return .errno(EINTR)
        }
        try record(volume)
        #expect(folder.bytes(Self.final) == Self.content)
    }

    /// A power cut must not take the way to content that was synced.
    @Test func theFirstSyncOfAFileSyncsItsNameInStaging() throws {
        let folder = try TemporaryFolder()
        let plan = FaultPlan()
        _ = try folder.volume()
        let volume = try folder.volume(calls: plan.calls)
        let file = try StagedFile.create(in: volume, name: staging("a"))
        let staged = "\(folder.path)/.staging"
        for expected in [["datasync \(staged)/cc-0.7.a", "sync \(staged)"], ["datasync \(staged)/cc-0.7.a"]] {
            try file.append([1])
            plan.begin { _, _, _ in nil }
            try file.datasync()
            #expect(plan.trace.filter { !$0.hasPrefix("open") } == expected)
        }
    }

    /// Whoever was killed before it synced the volume's folder left a journal that only seems to be there.
    @Test func aJournalOfAnEarlierLifeIsSyncedIntoItsFolderOnce() throws {
        let folder = try TemporaryFolder()
        let plan = FaultPlan()
        let journal = "\(folder.path)/.sightglass-gaps.202611"
        _ = try folder.volume()
        #expect(FileManager.default.createFile(atPath: journal, contents: nil))
        let volume = try folder.volume(calls: plan.calls)
        for expected in [["datasync \(journal)", "sync \(folder.path)"], ["datasync \(journal)"]] {
            plan.begin { _, _, _ in nil }
            try VolumeJournal("gaps", on: volume).append([[1]], nowUs: 1_795_410_372_000_000)
            #expect(plan.trace.filter { $0.contains("sync ") } == expected)
        }
    }

    @Test func everyStepIsDurableBeforeTheNext() throws {
        let folder = try TemporaryFolder()
        let plan = FaultPlan()
        _ = try folder.volume()
        let volume = try folder.volume(calls: plan.calls)
        plan.begin { _, _, _ in nil }
        try record(volume)
        let root = folder.path
        let seal = plan.trace.drop { $0 != "sync \(root)/.staging/cc-0.7.a" }
        #expect(
            Array(seal.filter { !$0.hasPrefix("open") }) == [
                "sync \(root)/.staging/cc-0.7.a", "status \(root)/.",
                "make folder \(root)/cam", "sync \(root)",
                "make folder \(root)/cam/clips", "sync \(root)/cam",
                "make folder \(root)/cam/clips/2026", "sync \(root)/cam/clips",
                "rename \(root)/\(Self.final)", "sync \(root)/cam/clips/2026",
            ])
    }

    /// A folder that an earlier life made may not be durable: its parent is synced once more by this one.
    @Test func foldersOfAnEarlierLifeAreSyncedAgainOnce() throws {
        let folder = try TemporaryFolder()
        let plan = FaultPlan()
        let earlier = try folder.volume()
        try earlier.write([1], to: RelativePath("cam/a"), staging: staging("a"))
        let volume = try folder.volume(calls: plan.calls)
        for expected in [1, 0] {
            plan.begin { _, _, _ in nil }
            try volume.write([1], to: RelativePath("cam/b\(expected)"), staging: staging("a"))
            #expect(plan.trace.filter { $0 == "sync \(folder.path)" }.count == expected)
        }
    }

    @Test func aFileSystemWithoutNoReplaceUsesLinks() throws {
        let folder = try TemporaryFolder()
        let plan = FaultPlan()
        _ = try folder.volume()
        let volume = try folder.volume(calls: plan.calls)
        plan.begin { _, call, _ in call == .rename ? .errno(EINVAL) : nil }
        try record(volume)
        #expect(folder.bytes(Self.final) == Self.content)
        // A power cut must not keep the removal and lose the new name.
        #expect(
            plan.trace.drop { !$0.hasPrefix("link") }.filter { !$0.hasPrefix("open") } == [
                "link \(folder.path)/\(Self.final)", "sync \(folder.path)/cam/clips/2026",
                "unlink \(folder.path)/.staging/cc-0.7.a", "sync \(folder.path)/cam/clips/2026",
            ])
        #expect(try volume.stagingEntries().isEmpty)
        let other = try StagedFile.create(in: volume, name: staging("b"))
        try other.append([1])
        #expect(failure { _ = try other.seal(as: RelativePath(Self.final)) } == .exists)
        #expect(folder.bytes(Self.final) == Self.content)

        plan.begin { _, call, _ in
            call == .rename ? .errno(EINVAL) : call == .link ? .errno(EPERM) : nil
        }
        let third = try StagedFile.create(in: volume, name: staging("c"))
        #expect(failure { _ = try third.seal(as: RelativePath("c")) } == .unsupported)
    }

    @Test func afterAFullDiskTheSameFileGoesOn() throws {
        let folder = try TemporaryFolder()
        let plan = FaultPlan()
        _ = try folder.volume()
        let volume = try folder.volume(calls: plan.calls)
        let file = try StagedFile.create(in: volume, name: staging("a"))
        try file.append([1, 2, 3])
        // The first write takes two bytes, the next finds the disk full.
        plan.begin { count, call, _ in
            call == .write ? (count == 1 ? .shortWrite(2) : .errno(ENOSPC)) : nil
        }
        #expect(failure { try file.append([4, 5, 6, 7]) } == .full)
        #expect(file.sizeBytes == 3)
        #expect(folder.bytes(".staging/cc-0.7.a") == [1, 2, 3])
        plan.end()
        try file.append([8])
        _ = try file.seal(as: RelativePath("a"))
        #expect(folder.bytes("a") == [1, 2, 3, 8])
    }

    /// After a failed sync the kernel may drop the pages and call the next sync a success.
    @Test func aFailedSyncIsNeverFollowedByASeal() throws {
        for call in [FileSystemCall.datasync, .sync] {
            let folder = try TemporaryFolder()
            let plan = FaultPlan()
            _ = try folder.volume()
            let volume = try folder.volume(calls: plan.calls)
            let file = try StagedFile.create(in: volume, name: staging("a"))
            try file.append([1])
            plan.begin { _, made, _ in made == call ? .errno(EIO) : nil }
            let path = try RelativePath("a")
            #expect(
                failure { if call == .datasync { try file.datasync() } else { _ = try file.seal(as: path) } }
                    == .inputOutput)
            plan.end()
            #expect(file.syncedBytes == 0)
            #expect(failure { _ = try file.seal(as: path) } == .unusable)
            #expect(!volume.exists(path))
        }
    }
}
