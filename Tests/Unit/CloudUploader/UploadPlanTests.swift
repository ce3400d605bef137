// How a file is cut, what the blocks are called, and what is still missing.
import Crypto
import Foundation
import Testing
import Volume

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

    @Test func measuresWholeAndBlocksInOnePass() throws {
        let bytes = (0..<1_000_003).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        for (single, block) in [(2_000_000, 1), (1_000_003, 7), (1000, 300_000), (0, 1_000_003), (0, 333_333)] {
            let cut = PreparedFile.Cut(singlePutBytes: Int64(single), blockBytes: Int64(block) + 64)
            let (digest, md5, plan) = try PreparedFile.measure(.bytes(bytes), cut)
            #expect(digest.sha256 == Array(SHA256.hash(data: bytes)) && digest.sizeBytes == 1_000_003)
            let parts =
                plan.blocks.isEmpty ? [bytes[...]] : plan.blocks.map { bytes[Int($0.offset)...].prefix($0.sizeBytes) }
            #expect(md5 == parts.map { Data(Insecure.MD5.hash(data: $0)).base64EncodedString() })
        }
        let (digest, md5, plan) = try PreparedFile.measure(.bytes([]), .init(singlePutBytes: 0, blockBytes: 10))
        #expect(digest.sizeBytes == 0 && md5 == ["1B2M2Y8AsgTpgAmY7PhCfg=="] && plan.blocks.isEmpty)
    }
}
