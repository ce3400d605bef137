// How bytes go up: by the CRC-64 that the archiver told, in pieces, past what others left, with tags where the account takes them.
// The storage checks each body against its CRC-64 by a computation of its own.
import BlobServer
import Fakes
import Foundation
import FoundationNetworking
import Harness
import Testing
import Volume
import Wire

@Suite(.serialized) struct TransferTests {
    /// An item as the archiver leaves it.
    private func archived(_ bytes: [UInt8], _ name: String, _ site: UploaderSite) throws -> ClaimedItem {
        var item = try site.archived(bytes, name, id: 1)
        item.crc64 = CRC64(bytes).value
        return item
    }

    private func content(_ item: ClaimedItem, _ site: UploaderSite) -> [UInt8]? {
        site.blob.content(of: item.archivePath ?? "", in: "cams")
    }

    /// In one request, read once; in one request, in pieces; in blocks of one and of several pieces, the last one short.
    @Test(arguments: [
        (0, 100_000, 100_000), (90_000, 100_000, 100_000), (1_500_000, 2_000_000, 100_000),
        (1_234_567, 100_000, 100_000), (4_000_000, 100_000, 1_300_000),
    ])
    func sendsWhatTheCatalogueVouchesFor(_ size: Int, _ single: Int, _ block: Int) async throws {
        try await UploaderSite.with { site in
            let bytes = UploaderSite.randomBytes(size)
            let item = try archived(bytes, "a", site)
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start(["single-put-bytes": "\(single)", "block-bytes": "\(block)"])
            let done = try await site.completed()[0]
            #expect(done.sha256 == UploaderSite.sha256(bytes) && done.sizeBytes == UInt64(size))
            #expect(content(item, site) == bytes)
            let record = try #require(site.blob.blob(item.archivePath ?? "", in: "cams"))
            #expect(record.metadataValue("sha256") == Digest.hexadecimal(UploaderSite.sha256(bytes)))
            #expect(record.blocks.count == (size > single ? (size + block - 1) / block : 0))
            try await uploader.terminate()
        }
    }

    /// Same size, one bit: found by the CRC-64 alone, before anything is sent.
    @Test(arguments: [50_000, 700_000, 1_000_000]) func aFileThatChangedIsFoundAndNotSent(_ size: Int) async throws {
        try await UploaderSite.with { site in
            var bytes = UploaderSite.randomBytes(size)
            let crc64 = CRC64(bytes).value
            let sha256 = UploaderSite.sha256(bytes)
            bytes[size / 2] ^= 1
            var item = try site.archived(bytes, "b", id: 2)
            (item.crc64, item.sha256) = (crc64, sha256)
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start()
            let failure = try await site.failed()
            #expect(failure.retryable == false)
            #expect(failure.reason?.contains("the file changed after it was archived") == true)
            #expect(failure.reason?.contains(Digest.hexadecimal(UploaderSite.sha256(bytes))) == true)
            #expect(site.blob.requests.isEmpty)
            try await uploader.terminate()
        }
    }

    @Test func aWrongCRC64InTheCatalogueCostsTheSHA256AndNotTheFile() async throws {
        try await UploaderSite.with { site in
            let bytes = UploaderSite.randomBytes(300_000)
            var item = try archived(bytes, "c", site)
            item.crc64 = 1
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start()
            _ = try await site.completed()
            #expect(content(item, site) == bytes)
            try await uploader.waitForLog("the catalogue's CRC-64 is not the file's")
            try await uploader.terminate()
        }
    }

    @Test(arguments: [BlobOperation.putBlob, .putBlock, .putBlockList])
    func bytesThatAreDamagedOnTheWayAreSentAgain(_ operation: BlobOperation) async throws {
        try await UploaderSite.with { site in
            let bytes = UploaderSite.randomBytes(operation == .putBlob ? 90_000 : 700_000)
            let item = try archived(bytes, "d", site)
            site.blob.addFaults([Fault(.corrupt, operation: operation)])
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start(["block-bytes": "600000"])
            _ = try await site.completed()
            #expect(content(item, site) == bytes)
            #expect(site.blob.requests.contains { $0.operation == operation && $0.status == 400 })
            #expect(site.indexer.failItem.requests.isEmpty)
            try await uploader.terminate()
        }
    }

    /// The answer to the commit is lost, and the uploader comes again with other settings.
    @Test func aCommittedBlobIsKnownByItsBlocksUnderAnyBlockSize() async throws {
        try await UploaderSite.with { site in
            let bytes = UploaderSite.randomBytes(500_000)
            var item = try archived(bytes, "e", site)
            site.indexer.offer([item], work: .upload)
            let first = try site.start()
            _ = try await site.completed()
            try await first.terminate()
            item.epoch = 2
            site.indexer.offer([item], work: .upload)
            let second = try site.start(["block-bytes": "70000"])
            _ = try await site.completed(2)
            #expect(site.accepted(.putBlock).count == 5 && site.accepted(.putBlockList).count == 1)
            try await second.terminate()
        }
    }

    /// Sends a request of another program, by a signature.
    private func put(
        _ bytes: [UInt8], _ query: String, _ item: ClaimedItem, _ site: UploaderSite, _ headers: [String: String] = [:]
    )
        async throws -> Int?
    {
        let address =
            "\(site.blob.endpoint)/cams/\(item.archivePath ?? "")?\(query)\(UploaderSite.containerSignature(rights: "rcw"))"
        var request = URLRequest(url: try #require(URL(string: address)))
        request.httpMethod = "PUT"
        request.setValue("2021-12-02", forHTTPHeaderField: "x-ms-version")
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        let (_, response) = try await URLSession.shared.upload(for: request, from: Data(bytes))
        return (response as? HTTPURLResponse)?.statusCode
    }

    /// Metadata is quickly copied; the blocks tell whose the content is.
    @Test func aBlobThatOnlySaysThatItIsOursIsNotTakenForIt() async throws {
        try await UploaderSite.with { site in
            let bytes = UploaderSite.randomBytes(500_000)
            let item = try archived(bytes, "f", site)
            let other = UploaderSite.randomBytes(500_000)
            let id = Data(count: 24).base64EncodedString()
            let escaped = id.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
            #expect(try await put(other, "comp=block&blockid=\(escaped)&", item, site) == 201)
            let list = Array("<?xml version=\"1.0\"?><BlockList><Latest>\(id)</Latest></BlockList>".utf8)
            let sha256 = Digest.hexadecimal(UploaderSite.sha256(bytes))
            #expect(try await put(list, "comp=blocklist&", item, site, ["x-ms-meta-sha256": sha256]) == 201)
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start()
            let failure = try await site.failed()
            #expect(failure.retryable == false && failure.reason?.contains("other content") == true)
            #expect(content(item, site) == other)
            try await uploader.terminate()
        }
    }

    /// All ids of a blob have one length: ours take that of the others.
    @Test(arguments: [16, 48]) func blocksThatAnotherProgramLeftDoNotStandInTheWay(_ length: Int) async throws {
        try await UploaderSite.with { site in
            let bytes = UploaderSite.randomBytes(500_000)
            let item = try archived(bytes, "g", site)
            let id = Data(repeating: 65, count: length).base64EncodedString()
            let escaped = id.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
            #expect(try await put([1, 2, 3], "comp=block&blockid=\(escaped)&", item, site) == 201)
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start()
            _ = try await site.completed()
            #expect(content(item, site) == bytes)
            #expect(site.blob.blob(item.archivePath ?? "", in: "cams")?.blocks.count == 5)
            try await uploader.terminate()
        }
    }

    @Test func anAccountThatTakesNoTagsGetsTheFileWithoutAndIsToldOfOnce() async throws {
        try await UploaderSite.with { site in
            site.blob.addFaults([
                Fault(.status, operation: .putBlob, status: 403, code: "AuthorizationPermissionMismatch")
            ])
            let bytes = UploaderSite.randomBytes(1000)
            let item = try archived(bytes, "h", site)
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start()
            _ = try await site.completed()
            #expect(content(item, site) == bytes)
            try await uploader.waitForLog("does not take index tags")
            // Its sidecar went without them at once.
            let told = uploader.standardError.components(separatedBy: "does not take index tags").count - 1
            #expect(told == 1 && site.blob.requests.filter { $0.operation == .putBlob }.count == 3)
            #expect(try await site.health().ready == true)
            try await uploader.terminate()
        }
    }

    @Test func aRefusalThatIsNotDueToTagsIsTold() async throws {
        try await UploaderSite.with { site in
            site.blob.addFaults([
                Fault(.status, operation: .putBlob, count: 2, status: 403, code: "AuthorizationPermissionMismatch")
            ])
            site.indexer.offer([try archived(UploaderSite.randomBytes(1000), "i", site)], work: .upload)
            let uploader = try site.start()
            #expect(try await site.failed().reason?.contains("check the rights of the account") == true)
            #expect(!uploader.standardError.contains("does not take index tags"))
            try await uploader.terminate()
        }
    }

    @Test func aBlobOfBlocksHasAContentMD5WhereASettingSaysSo() async throws {
        try await UploaderSite.with { site in
            let bytes = UploaderSite.randomBytes(300_000)
            let item = try archived(bytes, "j", site)
            site.indexer.offer([item], work: .upload)
            let uploader = try site.start(switches: ["--content-md5"])
            _ = try await site.completed()
            let record = try #require(site.blob.blob(item.archivePath ?? "", in: "cams"))
            #expect(record.properties["content-md5"] == UploaderSite.md5(bytes))
            try await uploader.terminate()
        }
    }
}
