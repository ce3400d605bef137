// What the uploader gets of the catalogue, and in which order: what it need not make again, and the manifest behind its media.

import Foundation
import RPC
import Testing
import Wire

@testable import Indexer

@Suite struct UploadFlowTests {
    typealias T = TestCatalogue

    @Test(arguments: [0, 1, 0x8000_0000_0000_0000, .max, nil] as [UInt64?])
    func theUploaderGetsTheCRC64ThatTheArchiverTold(_ crc64: UInt64?) async throws {
        let test = try T()
        try await test.recordFootage(-10, 0)
        try await test.archive("r1", -10, 0, delivery: .cloud)
        let item = try #require(try await test.claim(.archive).first)
        #expect(item.crc64 == nil)
        try await test.complete(item, .archive, crc64: crc64)
        let upload = try #require(try await test.claim(.upload).first)
        #expect(upload.itemID == item.itemID && upload.crc64 == crc64)
    }

    @Test func theSidecarNamesTheEventsBehindIt() async throws {
        let test = try T()
        try await test.recordFootage(-20, 10)
        try await test.event("zeta", at: 0)
        test.now(1)
        try await test.event("alpha", at: 1)
        test.now(20)
        try await test.tick()
        let item = try #require(try await test.claim(.archive).first)
        #expect(try JSONDecoder().decode(Sidecar.self, from: Data(item.sidecar ?? [])).eventKeys == ["zeta", "alpha"])
    }

    /// Who sees the manifest in the cloud finds the media there.
    @Test func theManifestFollowsTheLastMediaFileIntoTheCloud() async throws {
        let test = try T()
        try await test.recordFootage(-30, 0)
        try await test.archive("r1", -30, 0, delivery: .cloud)
        try await test.work(.archive)
        let media = try await test.claim(.upload)
        #expect(media.map(\.kind) == [.segment, .segment, .segment])
        for item in media.dropLast() { try await test.complete(item, .upload) }
        #expect(try await test.claim(.upload).isEmpty)
        try await test.complete(try #require(media.last), .upload)
        let manifest = try await test.claim(.upload)
        #expect(manifest.map(\.kind) == [.manifest])
        #expect(try await test.request("r1").state == .uploading)
        try await test.complete(try #require(manifest.first), .upload)
        #expect(try await test.request("r1").state == .done)
    }

    /// A lost part once ended the request before the other parts were sent.
    @Test func oneManifestPartThatIsLostDoesNotKeepTheOthersOutOfTheCloud() async throws {
        let test = try T()
        try await test.recordFootage(-10, 0)
        try await test.archive("r1", -10, 0, delivery: .cloud)
        try await test.complete(try #require(try await test.claim(.archive).first), .archive)
        let first = try #require(try await test.claim(.archive, kinds: [.manifest]).first)
        // A second part, as a long window has them.
        try await test.catalogue.write { turn in
            guard let request = try turn.db.request("r1") else { throw RPCError.notFound("no request") }
            let name = try ArchiveNaming.manifest(
                requestID: "r1", startUs: request.window.startUs, part: 2, isTaken: { try turn.db.isStemTaken($0) })
            let item = try turn.insertItem(
                NewItem(kind: .manifest, camera: "", span: request.window, name: name, content: [1], sizeBytes: 1),
                priority: 50)
            try turn.wantItem(item, for: request)
        }
        let second = try #require(try await test.claim(.archive, kinds: [.manifest]).first)
        _ = try await test.claims.failItem(
            FailItemRequest(
                claim: ItemClaim(itemID: first.itemID, epoch: first.epoch), work: .archive, worker: "w",
                reason: "damaged", retryable: false))
        try await test.complete(second, .archive)
        #expect(try await test.work(.upload).count == 2)
        let request = try await test.request("r1")
        #expect(request.state == .partial)
        #expect(request.files.first { $0.itemID == second.itemID }?.state != .archived)
    }
}
