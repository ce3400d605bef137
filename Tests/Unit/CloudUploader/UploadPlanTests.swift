// How a file is cut, what the blocks are called, and what is still missing.
import Foundation
import Testing

@testable import CloudUploader

@Suite struct UploadPlanTests {
    private let sha = [UInt8](0..<32)

    private func plan(_ size: Int64, single: Int64 = 100, block: Int64 = 40) throws -> UploadPlan {
        try #require(UploadPlan(sizeBytes: size, sha256: sha, singlePutBytes: single, blockBytes: block))
    }

    @Test(arguments: [(0, 0), (100, 0), (101, 3), (120, 3), (121, 4)] as [(Int64, Int)])
    func cutsAFileOnlyWhenItIsTooLargeForOneRequest(_ size: Int64, _ count: Int) throws {
        #expect(try plan(size).blocks.count == count)
    }

    @Test func blocksCoverTheFileWithoutGapOrOverlap() throws {
        for size in Int64(101)...260 {
            var end: Int64 = 0
            for block in try plan(size).blocks {
                #expect(block.offset == end)
                end += Int64(block.sizeBytes)
            }
            #expect(end == size)
        }
    }

    @Test func idsHaveOneLengthAndDifferByFileNumberAndBlockSize() throws {
        let ids = try plan(10_000).blocks.map(\.id)
        #expect(Set(ids).count == ids.count)
        #expect(Set(ids.map(\.utf8.count)) == [32])
        #expect(ids.first == "AAECAwQFBgcICQoLDA0ODwAAACgAAAAA")
        #expect(UploadPlan.id(sha256: [9] + sha.dropFirst(), blockBytes: 40, index: 0) != ids[0])
        #expect(UploadPlan.id(sha256: sha, blockBytes: 41, index: 0) != ids[0])
    }

    @Test func aFileOfTooManyBlocksGetsLargerOnes() throws {
        let fourMiB: Int64 = 4 << 20
        #expect(UploadPlan.blockBytes(for: 50_000 * fourMiB, wanted: fourMiB) == fourMiB)
        #expect(UploadPlan.blockBytes(for: 50_000 * fourMiB + 1, wanted: fourMiB) == 2 * fourMiB)
        #expect(UploadPlan.blockBytes(for: 50_000 * (4000 << 20), wanted: fourMiB) == 4000 << 20)
        #expect(UploadPlan.blockBytes(for: 50_000 * (4000 << 20) + 1, wanted: fourMiB) == nil)
    }

    @Test func goesOnWhereAnEarlierUploadEnded() throws {
        let plan = try plan(200)
        let there = plan.blocks.prefix(2).map { ListedBlock(id: $0.id, sizeBytes: $0.sizeBytes) }
        let foreign = [ListedBlock(id: "other", sizeBytes: 40)]
        let torn = [ListedBlock(id: plan.blocks[2].id, sizeBytes: 1)]
        #expect(plan.missing(uncommitted: there + foreign + torn).map(\.index) == [2, 3, 4])
        #expect(plan.missing(uncommitted: []).count == 5)
    }

    @Test func onlyTheVeryListCountsAsUploaded() throws {
        let plan = try plan(200)
        let list = plan.blocks.map { ListedBlock(id: $0.id, sizeBytes: $0.sizeBytes) }
        #expect(plan.matches(committed: list))
        #expect(!plan.matches(committed: list.reversed()))
        #expect(!plan.matches(committed: Array(list.dropLast())))
        #expect(!plan.matches(committed: list + list.prefix(1)))
    }

    @Test func readsTheServicesBlockList() {
        let xml =
            "\u{feff}<?xml version=\"1.0\"?><BlockList><CommittedBlocks><Block><Name>QQ==</Name><Size>5</Size></Block>"
            + "<Block><Name>Qg==</Name><Size>6</Size></Block></CommittedBlocks><UncommittedBlocks /></BlockList>"
        let listing = BlockListing(xml: Array(xml.utf8))
        #expect(listing?.committed == [ListedBlock(id: "QQ==", sizeBytes: 5), ListedBlock(id: "Qg==", sizeBytes: 6)])
        #expect(listing?.uncommitted == [])
        #expect(BlockListing(xml: Array("<html>proxy</html>".utf8)) == nil)
        let torn = "<BlockList><CommittedBlocks><Block><Name>QQ==</Name></Block></CommittedBlocks></BlockList>"
        #expect(BlockListing(xml: Array(torn.utf8)) == nil)
    }

    /// Ids of one blob have one length: what another program left decides it.
    @Test(arguments: [16, 24, 32, 47, 48, 64])
    func takesTheLengthOfIDsThatAnotherProgramLeft(_ length: Int) throws {
        let plan = try plan(200)
        let left = [ListedBlock(id: Data(count: length).base64EncodedString(), sizeBytes: 40)]
        let beside = try #require(plan.besides(left, sha256: sha))
        #expect(beside.blocks.allSatisfy { $0.id.utf8.count == left[0].id.utf8.count })
        #expect(Set(beside.blocks.map(\.id)).count == 5)
        #expect(beside.blocks.map(\.offset) == plan.blocks.map(\.offset))
        #expect(beside.missing(uncommitted: left).count == 5)
        // What an attempt under these ids left is found by the next.
        let ours = left + beside.blocks.prefix(3).map { ListedBlock(id: $0.id, sizeBytes: $0.sizeBytes) }
        #expect(try #require(plan.besides(ours, sha256: sha)).missing(uncommitted: ours).count == 2)
        #expect((beside == plan) == (length == 24))
    }

    @Test(arguments: [1, 8, 15]) func idsTooShortToTellFilesApartAreNotUsed(_ length: Int) throws {
        let left = [ListedBlock(id: Data(count: length).base64EncodedString(), sizeBytes: 40)]
        #expect(try plan(200).besides(left, sha256: sha) == nil)
        #expect(try plan(200).besides([], sha256: sha) == plan(200))
    }

    /// An answer that was lost, and other settings since: the blocks say whose they are.
    @Test func knowsACommittedListByWhateverBlockSizeItWasSent() throws {
        for (block, length) in [(40, 24), (37, 24), (199, 24), (64, 48)] as [(Int64, Int)] {
            let plan = try #require(
                UploadPlan(sizeBytes: 200, sha256: sha, singlePutBytes: 0, blockBytes: block, idBytes: length))
            let list = plan.blocks.map { ListedBlock(id: $0.id, sizeBytes: $0.sizeBytes) }
            #expect(UploadPlan.isList(list, ofFile: sha, sizeBytes: 200))
            #expect(!UploadPlan.isList(list, ofFile: sha.reversed(), sizeBytes: 200))
            #expect(!UploadPlan.isList(list, ofFile: sha, sizeBytes: 201))
            #expect(!UploadPlan.isList(Array(list.dropLast()), ofFile: sha, sizeBytes: 200))
            #expect(!UploadPlan.isList(list.reversed(), ofFile: sha, sizeBytes: 200))
        }
        #expect(!UploadPlan.isList([], ofFile: sha, sizeBytes: 200))
        #expect(!UploadPlan.isList([ListedBlock(id: "QQ==", sizeBytes: 200)], ofFile: sha, sizeBytes: 200))
    }
}
