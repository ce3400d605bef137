// Blocks that an upload left and that are not what the next one finds: gone after a week, gone between list and commit, or of
// other content under the same name.
import FaultProxy
import Foundation
import Harness
import Testing

@Suite struct StaleBlockTests {
    /// Uploads until some blocks are there, and kills the uploader.
    private func leaveBlocks(of upload: FaultyUpload, _ faulty: FaultSite) async throws {
        faulty.proxy.add([
            ProxyFault(.hold(afterBytes: 100), operation: "PUT block", pathContains: upload.mark, skip: 5, count: 100)
        ])
        faulty.offer([upload])
        let uploader = try faulty.start()
        try await eventually("five blocks are there") { faulty.site.accepted(.putBlock).count == 5 ? true : nil }
        try await uploader.kill()
        faulty.proxy.clear()
        faulty.proxy.release()
    }

    @Test func blocksThatExpiredInAWeekOfflineAreSentAgain() async throws {
        try await FaultSite.with { faulty in
            let upload = try faulty.upload(.blocks, "blocks expired")
            try await leaveBlocks(of: upload, faulty)
            faulty.site.blob.expireUncommittedBlocks()
            faulty.again(upload.id, epoch: 2)
            let uploader = try faulty.start()
            try await faulty.done([upload])
            // The five that had to be sent once more, and those that the kill stopped.
            #expect(faulty.complaints(upload, interruptions: 3) == [])
            #expect(try await uploader.terminate() == 0)
        }
    }

    @Test func blocksThatVanishBeforeTheCommitAreSentAgain() async throws {
        try await FaultSite.with { faulty in
            let upload = try faulty.upload(.blocks, "blocks vanish before the commit")
            faulty.proxy.add([
                ProxyFault(.hold(afterBytes: 0), operation: "PUT blocklist", pathContains: upload.mark)
            ])
            faulty.offer([upload])
            let uploader = try faulty.start()
            try await eventually("the commit is held") { faulty.proxy.requests.contains { $0.isHeld } ? true : nil }
            faulty.site.blob.expireUncommittedBlocks()
            faulty.proxy.release()
            try await faulty.done([upload])
            #expect(faulty.reasons(upload) == [])
            // All of it twice, which is as much as three interruptions.
            #expect(faulty.complaints(upload, interruptions: 3) == [])
            #expect(try await uploader.terminate() == 0)
        }
    }

    @Test func blocksOfOtherContentAreNeverCommitted() async throws {
        try await FaultSite.with { faulty in
            let older = try faulty.upload(.blocks, "left in the middle")
            try await leaveBlocks(of: older, faulty)
            let upload = try faulty.upload(.blocks, as: older, "after blocks of other content")
            faulty.offer([upload])
            let uploader = try faulty.start()
            try await faulty.done([upload])
            // What the older one had sent is counted too: it has the same name.
            #expect(faulty.complaints(upload, interruptions: 3) == [])
            #expect(try await uploader.terminate() == 0)
        }
    }
}
