// Claims: who may work, whose result counts, when an item is given up.

import RPC
import Testing
import Wire

@testable import Indexer

@Suite struct ItemMachineTests {
    static let policy = ClaimPolicy(archiveAttempts: 3, uploadAttempts: 3)
    static let sum = [UInt8](repeating: 7, count: 32)
    static let result = ItemResult(sizeBytes: 10, sha256: sum, archiveVolumeID: "v")

    private static func pending() -> ItemMachine {
        var item = ItemMachine()
        _ = item.want(inCloud: false)
        return item
    }

    private static func claimed(by worker: String = "a") -> ItemMachine {
        var item = pending()
        item.claim(by: worker, nowUs: 0, leaseUs: 100)
        return item
    }

    private static func archived() throws -> ItemMachine {
        var item = claimed()
        try item.complete(result, work: .archive, epoch: 1, nowUs: 50)
        return item
    }

    @Test func aClaimIsExclusiveUntilItsTimeIsOver() {
        let item = Self.claimed()
        #expect(item.state == .claimed)
        #expect(!item.isClaimable(for: .archive, nowUs: 99))
        #expect(item.isClaimable(for: .archive, nowUs: 100))
        #expect(!item.isClaimable(for: .upload, nowUs: 100 * Micro.day))
    }

    @Test func renewalNeedsWorkerAndEpoch() {
        var item = Self.claimed()
        let isRenewed = item.renew(epoch: 1, worker: "a", nowUs: 50, leaseUs: 100)
        #expect(isRenewed)
        #expect(item.readyUs == 150)
        let isRenewed1 = item.renew(epoch: 1, worker: "b", nowUs: 50, leaseUs: 100)
        #expect(!isRenewed1)
        let isRenewed2 = item.renew(epoch: 2, worker: "a", nowUs: 50, leaseUs: 100)
        #expect(!isRenewed2)
    }

    @Test func anOlderEpochIsRefused() {
        var item = Self.claimed()
        item.claim(by: "b", nowUs: 100, leaseUs: 100)
        #expect(throws: RPCError.self) { try item.complete(Self.result, work: .archive, epoch: 1, nowUs: 110) }
        #expect(item.worker == "b")
        #expect(throws: Never.self) { try item.complete(Self.result, work: .archive, epoch: 2, nowUs: 110) }
        #expect(item.state == .archived)
    }

    @Test func aRepeatedCompletionIsAnsweredAlsoAfterTheUploadWasClaimed() throws {
        var item = try Self.archived()
        let isNew3 = item.want(inCloud: true)
        #expect(isNew3)
        item.claim(by: "u", nowUs: 60, leaseUs: 100)
        let before = item
        try item.complete(Self.result, work: .archive, epoch: 1, nowUs: 70)
        #expect(item == before)
        try item.complete(ItemResult(blobURL: "https://x/y"), work: .upload, epoch: 2, nowUs: 80)
        #expect(item.state == .uploaded)
        #expect(item.blobURL == "https://x/y")
        try item.complete(ItemResult(), work: .upload, epoch: 2, nowUs: 90)
        #expect(item.uploadedUs == 80)
    }

    @Test func aResultOfAClaimThatFellBackButNobodyTookCounts() throws {
        var item = Self.claimed()
        #expect(!item.isClaimable(for: .upload, nowUs: 500))
        try item.complete(Self.result, work: .archive, epoch: 1, nowUs: 500)
        #expect(item.state == .archived)
    }

    @Test func anotherSumThanRecordedIsRefused() {
        var item = Self.claimed()
        item.sha256 = [UInt8](repeating: 1, count: 32)
        #expect {
            try item.complete(Self.result, work: .archive, epoch: 1, nowUs: 1)
        } throws: {
            ($0 as? RPCError)?.field == "sha256"
        }
        item.sha256 = nil
        item.sizeBytes = 11
        #expect {
            try item.complete(Self.result, work: .archive, epoch: 1, nowUs: 1)
        } throws: {
            ($0 as? RPCError)?.field == "size_bytes"
        }
        #expect(item.state == .claimed)
    }

    /// It spares the uploader the SHA-256, so it must never be that of other bytes.
    @Test func theCRC64IsThatOfTheBytesWhoseSumItCameWith() throws {
        var result = Self.result
        result.crc64 = .max
        var item = Self.claimed()
        item.crc64 = 1
        try item.complete(result, work: .archive, epoch: 1, nowUs: 50)
        #expect(item.crc64 == .max)
        // An uploader tells none, and it stays.
        _ = item.want(inCloud: true)
        item.claim(by: "u", nowUs: 60, leaseUs: 10)
        try item.complete(Self.result, work: .upload, epoch: 2, nowUs: 61)
        #expect(item.crc64 == .max)
        // An archiver that makes none leaves none of an earlier attempt.
        var other = Self.claimed()
        other.crc64 = 1
        try other.complete(Self.result, work: .archive, epoch: 1, nowUs: 50)
        #expect(other.crc64 == nil)
        // Of an archived file without a sum, one that comes with the upload belongs to no known CRC-64.
        other.crc64 = 1
        other.sha256 = nil
        _ = other.want(inCloud: true)
        other.claim(by: "u", nowUs: 60, leaseUs: 10)
        try other.complete(Self.result, work: .upload, epoch: 2, nowUs: 61)
        #expect(other.sha256 == Self.sum && other.crc64 == nil)
    }

    @Test func failuresBackOffAndThenPoison() throws {
        var item = Self.pending()
        var nowUs: Int64 = 0
        for attempt in 1...3 {
            #expect(item.isClaimable(for: .archive, nowUs: nowUs))
            item.claim(by: "a", nowUs: nowUs, leaseUs: 100)
            try item.fail(
                "disk", work: .archive, epoch: Int64(attempt), nowUs: nowUs, retryable: true, retryAfterUs: nil,
                Self.policy)
            nowUs = item.readyUs
        }
        #expect(item.state == .poisoned)
        #expect(item.progress == .poisoned)
        #expect(item.error == "given up after 3 attempts: disk")
        #expect(!item.isClaimable(for: .archive, nowUs: .max))
    }

    @Test(arguments: [(1, 1), (2, 4), (3, 16), (4, 64), (5, 256), (6, 300), (1000, 300)] as [(Int64, Int64)])
    func backOffGrowsUpToFiveMinutes(attempts: Int64, seconds: Int64) {
        #expect(ClaimPolicy.backOffUs(attempts: attempts) == seconds * Micro.second)
    }

    @Test func notRetryablePoisonsAtOnce() throws {
        var item = Self.claimed()
        try item.fail(
            "the source is gone", work: .archive, epoch: 1, nowUs: 1, retryable: false, retryAfterUs: nil, Self.policy)
        #expect(item.state == .poisoned)
        #expect(item.error == "the source is gone")
    }

    @Test func theSameFailureAgainCountsOnce() throws {
        var item = Self.claimed()
        for _ in 0..<2 {
            try item.fail("x", work: .archive, epoch: 1, nowUs: 1, retryable: true, retryAfterUs: nil, Self.policy)
        }
        #expect(item.attempts == 1)
        #expect(item.readyUs == 1 + Micro.second)
    }

    @Test func anOutageIsForgivenForADayAndThenCounts() throws {
        var item = Self.pending()
        func failOnce(atUs nowUs: Int64) throws {
            item.claim(by: "a", nowUs: nowUs, leaseUs: 10)
            try item.fail(
                "the volume is away", work: .archive, epoch: item.epoch, nowUs: nowUs, retryable: true, retryAfterUs: 1,
                Self.policy)
        }
        for hour: Int64 in 0..<24 { try failOnce(atUs: hour * Micro.hour) }
        #expect(item.attempts == 0)
        #expect(item.state == .pending)
        for hour: Int64 in 24..<27 { try failOnce(atUs: hour * Micro.hour) }
        #expect(item.state == .poisoned)
    }

    @Test func claimsThatAreNeverRenewedPoisonToo() {
        var item = Self.pending()
        for attempt: Int64 in 0..<3 {
            #expect(item.state == .pending)
            item.claim(by: "a", nowUs: attempt * 1000, leaseUs: 100)
            let isExpired4 = item.expire(nowUs: attempt * 1000 + 99, Self.policy)
            #expect(!isExpired4)
            let isExpired5 = item.expire(nowUs: attempt * 1000 + 100, Self.policy)
            #expect(isExpired5)
        }
        #expect(item.state == .poisoned)
    }

    /// A storage that is away or refuses all comes with a pause of its own: weeks of that use up no attempt.
    @Test func anOutageOfTheStorageNeverCountsForAnUpload() throws {
        var item = try Self.archived()
        _ = item.want(inCloud: true)
        for attempt: Int64 in 0..<100 {
            item.claim(by: "u", nowUs: attempt * Micro.day, leaseUs: 0)
            try item.fail(
                "offline", work: .upload, epoch: item.epoch, nowUs: attempt * Micro.day, retryable: true,
                retryAfterUs: 0, Self.policy)
        }
        #expect(item.state == .archived && item.attempts == 0)
        #expect(item.isClaimable(for: .upload, nowUs: 100 * Micro.day))
        item.claim(by: "u", nowUs: 100, leaseUs: 10)
        try item.fail(
            "403", work: .upload, epoch: item.epoch, nowUs: 100, retryable: false, retryAfterUs: nil, Self.policy)
        #expect(item.progress == .poisonedUpload)
    }

    @Test(arguments: [(4, true), (0, false)] as [(Int64, Bool)])
    func anUploadThatFailsForItselfIsSetAsideAfterItsAttempts(bound: Int64, isSetAside: Bool) throws {
        let policy = ClaimPolicy(uploadAttempts: bound)
        var item = try Self.archived()
        _ = item.want(inCloud: true)
        for attempt: Int64 in 1...4 {
            #expect(item.isClaimable(for: .upload, nowUs: item.readyUs))
            item.claim(by: "u", nowUs: attempt * Micro.hour, leaseUs: 10)
            try item.fail(
                "damaged", work: .upload, epoch: item.epoch, nowUs: attempt * Micro.hour, retryable: true,
                retryAfterUs: nil, policy)
        }
        #expect((item.progress == .poisonedUpload) == isSetAside)
        #expect(item.error == (isSetAside ? "given up after 4 attempts: damaged" : "damaged"))
    }

    @Test func aPoisonedItemGetsAnotherChanceWhenItIsWantedAgain() throws {
        var item = Self.claimed()
        try item.fail("x", work: .archive, epoch: 1, nowUs: 1, retryable: false, retryAfterUs: nil, Self.policy)
        let isNew6 = item.want(inCloud: true)
        #expect(isNew6)
        #expect(item.state == .pending)
        #expect(item.attempts == 0)
        #expect(item.isClaimable(for: .archive, nowUs: 1))
    }

    @Test func droppingTakesTheClaimAway() throws {
        var item = Self.claimed()
        item.drop()
        #expect(item.state == .pending)
        #expect(!item.isClaimable(for: .archive, nowUs: .max))
        let isRenewed7 = item.renew(epoch: 1, worker: "a", nowUs: 1, leaseUs: 1)
        #expect(!isRenewed7)
        #expect(throws: RPCError.self) { try item.complete(Self.result, work: .archive, epoch: 1, nowUs: 1) }
        let isNew8 = item.want(inCloud: false)
        #expect(isNew8)
        item.claim(by: "b", nowUs: 1, leaseUs: 1)
        #expect(item.epoch == 3)
    }

    @Test func handedOverIsDelivered() throws {
        var item = Self.claimed()
        var result = Self.result
        result.handedOver = true
        try item.complete(result, work: .archive, epoch: 1, nowUs: 1)
        #expect(item.state == .handedOver)
        #expect(item.progress == .delivered)
        let isNew9 = item.want(inCloud: true)
        #expect(!isNew9)
    }

    @Test func onlyUploadedFilesAreEvicted() throws {
        var item = try Self.archived()
        let isEvicted10 = item.evict()
        #expect(!isEvicted10)
        _ = item.want(inCloud: true)
        item.claim(by: "u", nowUs: 60, leaseUs: 10)
        try item.complete(ItemResult(blobURL: "https://x/y"), work: .upload, epoch: 2, nowUs: 61)
        let isEvicted11 = item.evict()
        #expect(isEvicted11)
        #expect(item.progress == .delivered)
    }

    @Test func workThatIsNotClaimedCannotBeCompleted() {
        var item = Self.pending()
        #expect(throws: RPCError.self) { try item.complete(Self.result, work: .archive, epoch: 0, nowUs: 1) }
        var other = Self.claimed()
        #expect(throws: RPCError.self) { try other.complete(Self.result, work: .upload, epoch: 1, nowUs: 1) }
    }
}
