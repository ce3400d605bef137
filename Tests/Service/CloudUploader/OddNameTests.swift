// Odd names of files, with a shared access signature whose own characters must stay as they are. All 88 names, by account key and
// beside the official SDK, are in Tests/Support/blob-conformance/names.py.
import BlobServer
import CivilTime
import Crypto
import Fakes
import Foundation
import Harness
import Testing
import Volume
import Wire

@Suite struct OddNameTests {
    private static let names = [
        "cam 1/seg 001.mp4", "two  spaces.mp4", "trailing space ", "a+b c%20d.mp4", "%", "%2F", "a%2Fb.mp4",
        "trailing.dot.",
        "a/...", "a/..b", "q?.mp4", "a?b=c&d=e", "hash#.mp4", "semi;colon:12:00Z.mp4", "back\\slash.mp4",
        "quote'\".mp4",
        "tor-su\u{308}d.mp4", "tor-süd.mp4", "\u{301}first.mp4", "日本語/カメラ.mp4", "emoji-📷.mp4", "sig=abc&sv=1", "~_-.~",
    ]

    /// A signature that has '+' and '/' in it, which are %2B and %2F in the file.
    private static func signature() throws -> String {
        let account = BlobServer.developmentAccount
        let key = SymmetricKey(data: try #require(Data(base64Encoded: BlobServer.developmentKey)))
        let base = Int64(Date().timeIntervalSince1970) + 3600
        for second in base..<base + 1000 {
            let expiry = try #require(TimeStamp(us: second * 1_000_000)).isoSeconds
            let text = "rcw\n\n\(expiry)\n/blob/\(account)/cams\n\n\n\n2020-12-06\nc\n\n\n\n\n\n\n"
            let mac = Data(HMAC<SHA256>.authenticationCode(for: Data(text.utf8), using: key)).base64EncodedString()
            guard mac.contains("+"), mac.contains("/") else { continue }
            Canary.remember(mac)
            let escaped = try #require(mac.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
            let token = "sv=2020-12-06&sr=c&sp=rcw&se=\(expiry.replacing(":", with: "%3A"))&sig=\(escaped)"
            #expect(token.contains("%2B") && token.contains("%2F") && token.contains("%3D"))
            return token
        }
        throw HarnessError("a thousand signatures without '+' and '/'")
    }

    @Test func aSignatureIsSentAsItStandsInTheFileAndNamesAsTheyAre() async throws {
        let site = try await UploaderSite()
        do {
            try site.folder.write(Self.signature() + "\n", to: "secrets/storage/sas")
            var wanted: [String: [UInt8]] = [:]
            for (index, name) in Self.names.enumerated() {
                let path = try RelativePath("\(index)/\(name)").string
                let target = URL(fileURLWithPath: site.archive).appendingPathComponent(path)
                try FileManager.default.createDirectory(
                    at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
                // Every third in blocks.
                wanted[path] = UploaderSite.randomBytes(index % 3 == 0 ? 250_000 : 100)
                try Data(wanted[path] ?? []).write(to: target)
            }
            site.indexer.offer(
                wanted.keys.enumerated().map {
                    ClaimedItem(itemID: UInt64($0.offset + 1), epoch: 1, kind: .manifest, archivePath: $0.element)
                }, work: .upload)
            let uploader = try site.start(["key-file": nil, "sas-file": "storage/sas", "log-level": "debug"])
            _ = try await site.completed(wanted.count)
            for (path, bytes) in wanted { #expect(site.blob.content(of: path, in: "cams") == bytes, "\(path)") }
            #expect(site.indexer.failItem.requests.isEmpty)
            try await uploader.terminate()
        } catch {
            try await site.blob.stop()
            throw error
        }
        try await site.blob.stop()
    }
}
