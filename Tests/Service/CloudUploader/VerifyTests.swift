// VerifyBlob of the real executable: blobs that are as they must be, that are not, that are not there; a storage that is away.
import BlobServer
import Fakes
import Foundation
import Harness
import RPC
import Testing
import Wire

@Suite(.serialized) struct VerifyTests {
    /// Never sent again, so that an error is an answer.
    private static let once = RPCMethod<VerifyBlobRequest, VerifyBlobReply>(
        name: CloudUploaderMethods.verifyBlob.name, idempotency: .none)

    /// A site with an uploaded file of 5 MB, which is read back in three pieces.
    private func withBlob(
        _ body: (UploaderSite, ServiceClient, VerifyBlobRequest) async throws -> Void
    ) async throws {
        let site = try await UploaderSite()
        let bytes = UploaderSite.randomBytes(5_000_000)
        let item = try site.archived(bytes, "v", id: 1)
        site.indexer.offer([item], work: .upload)
        let uploader = try site.start(["block-bytes": "1000000"])
        _ = try await site.completed()
        let client = try site.client()
        defer { client.close() }
        try await body(
            site, client,
            VerifyBlobRequest(archivePath: item.archivePath, sizeBytes: 5_000_000, sha256: UploaderSite.sha256(bytes)))
        #expect(try await uploader.terminate() == 0)
        try await site.blob.stop()
    }

    @Test func comparesByPropertiesAndByReadingBack() async throws {
        try await withBlob { site, client, good in
            let shallow = try await client.call(Self.once, good)
            #expect(shallow == VerifyBlobReply(matches: true, readBytes: 0))
            let reads = site.blob.requests.filter { $0.operation == .getBlob }.count
            #expect(reads == 0)
            var request = good
            request.deep = true
            let deep = try await client.call(Self.once, request)
            #expect(deep == VerifyBlobReply(matches: true, readBytes: 5_000_000))
            #expect(site.accepted(.getBlob).count == 3)
        }
    }

    @Test func saysWhatIsWrong() async throws {
        try await withBlob { site, client, good in
            let wrong: [(String, (inout VerifyBlobRequest) -> Void)] = [
                ("5000000 bytes, not 4999999", { $0.sizeBytes = 4_999_999 }),
                ("metadata names the SHA-256", { $0.sha256 = [UInt8](repeating: 7, count: 32) }),
                (
                    "read back has the SHA-256",
                    {
                        $0.sha256 = [UInt8](repeating: 7, count: 32)
                        $0.deep = true
                    }
                ),
                ("5000000 bytes, not 0", { ($0.sizeBytes, $0.deep) = (0, true) }),
                ("no blob of this name", { $0.archivePath = "cam1/none.mp4" }),
                // A sidecar's metadata has the SHA-256 of its media file only.
                (
                    "no SHA-256 in its metadata",
                    {
                        $0.archivePath = $0.archivePath?.replacingOccurrences(of: ".mp4", with: ".json")
                        $0.sizeBytes = 20
                    }
                ),
            ]
            for (expected, change) in wrong {
                var request = good
                change(&request)
                let reply = try await client.call(Self.once, request)
                #expect(reply.matches == false && reply.reason?.contains(expected) == true, "\(reply)")
            }
        }
    }

    @Test func whatTheNetworkDamagesIsReadAgainAndNotHeldAgainstTheBlob() async throws {
        try await withBlob { site, client, good in
            var request = good
            request.deep = true
            site.blob.addFaults([Fault(.corrupt, operation: .getBlob, skip: 1)])
            #expect(try await client.call(Self.once, request).matches == true)
            #expect(site.accepted(.getBlob).count == 4)
            site.blob.addFaults([Fault(.corrupt, operation: .getBlob, count: 100)])
            let refusal = try await client.refusal(of: Self.once, request)
            #expect(refusal.code == .unavailable && refusal.message.contains("arrives damaged"))
        }
    }

    @Test func aStorageThatIsAwayIsUnavailableAndOneThatRefusesIsUpToTheOperator() async throws {
        try await withBlob { site, client, good in
            try site.folder.write(UploaderSite.wrongKey, to: "secrets/storage/key")
            let refused = try await client.refusal(of: Self.once, good)
            #expect(refused.code == .failedPrecondition && refused.message.contains("refuses the key"), "\(refused)")
            site.blob.addFaults([Fault(.replyLost, count: 100)])
            let away = try await client.refusal(of: Self.once, good)
            #expect(away.code == .unavailable && away.message.contains("does not answer"), "\(away)")
        }
    }

    @Test func aFolderIsNotLookedInto() async throws {
        let site = try await UploaderSite()
        let uploader = try site.start(["target": "folder"])
        try await eventually("it answers") { try await site.health().live }
        let client = try site.client()
        defer { client.close() }
        let request = VerifyBlobRequest(
            archivePath: "cam1/a.mp4", sizeBytes: 1, sha256: [UInt8](repeating: 7, count: 32), deep: true)
        let refusal = try await client.refusal(of: Self.once, request)
        #expect(refusal.code == .failedPrecondition && refusal.message.contains("the target is a folder"))
        #expect(try await uploader.terminate() == 0)
        try await site.blob.stop()
    }

    /// Of AloneTests, for whose sake it stands here beside what is good.
    static let badRequests = [
        BadRequests(
            CloudUploaderMethods.verifyBlob,
            like: VerifyBlobRequest(archivePath: "none", sizeBytes: 1, sha256: [UInt8](repeating: 7, count: 32)),
            [
                "archive_path": Bad.each(["", nil, "/a", "../a", "a//b", Bad.text(1025)]) { $0.archivePath = $1 },
                "size_bytes": Bad.each([nil, 1 << 40 + 1, .max]) { $0.sizeBytes = $1 },
                "sha256": Bad.each([nil, [], [1], [UInt8](repeating: 7, count: 33)]) { $0.sha256 = $1 },
            ],
            taken: [
                { $0.sizeBytes = 1 << 40 }, { $0.sizeBytes = 0 },
                { $0.archivePath = Array(repeating: Bad.text(204), count: 5).joined(separator: "/") },
            ])
    ]
}
