// Signatures against vectors that are not ours: the example of the service's documentation, and two requests that the
// official Python SDK signed. And how names and values are spelled in requests.
import Testing

@testable import CloudUploader

@Suite struct SigningTests {
    @Test func buildsTheStringOfTheDocumentation() throws {
        let signer = try #require(SharedKeySigner(account: "myaccount", base64Key: "AA=="))
        let request = SignedParts(
            method: "GET", path: "/mycontainer",
            query: [("restype", "container"), ("comp", "metadata"), ("timeout", "20")],
            headers: [("x-ms-version", "2015-02-21"), ("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT")])
        #expect(
            signer.stringToSign(request) == "GET\n\n\n\n\n\n\n\n\n\n\n\n"
                + "x-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
                + "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20")
    }

    @Test func signsABlockAsTheOfficialSDKDoes() throws {
        let signer = try #require(SharedKeySigner(account: "myaccount", base64Key: "MDEyMzQ1Njc4OWFiY2RlZg=="))
        let request = SignedParts(
            method: "PUT", path: "/cams/cam1/seg%20001.mp4", query: [("comp", "block"), ("blockid", "QUFBQQ==")],
            headers: [
                ("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="), ("x-ms-version", "2021-12-02"),
                ("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"), ("content-length", "5"),
            ])
        #expect(
            signer.authorization(request) == "SharedKey myaccount:bETH9JdnEXop5rGhhLTR+zTXmZHJgqtS4XB2VM2lL/c=")
    }

    @Test func signsForAPathStyleEndpointAsTheOfficialSDKDoes() throws {
        let signer = try #require(
            SharedKeySigner(
                account: "devstoreaccount1",
                base64Key:
                    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="))
        let request = SignedParts(
            method: "PUT", path: "/devstoreaccount1/cams/a.mp4",
            headers: [
                ("content-type", "video/mp4"), ("if-none-match", "*"), ("x-ms-blob-type", "BlockBlob"),
                ("x-ms-meta-camera", "cam1"), ("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"),
                ("x-ms-version", "2021-12-02"), ("content-length", "5"),
            ])
        #expect(
            signer.authorization(request)
                == "SharedKey devstoreaccount1:gtgKJZlOjt8EJu+HUbTfuNt2OAvv0kFGA31h9Qcg6Co=")
    }

    @Test func aKeyThatIsNotBase64IsNoKey() {
        #expect(SharedKeySigner(account: "a", base64Key: "not base64!") == nil)
        #expect(SharedKeySigner(account: "a", base64Key: "") == nil)
    }

    @Test(arguments: [
        (1_435_361_952_000_000, "Fri, 26 Jun 2015 23:39:12 GMT"),
        (1_709_164_800_999_999, "Thu, 29 Feb 2024 00:00:00 GMT"),
        (1_798_761_599_000_000, "Thu, 31 Dec 2026 23:59:59 GMT"),
    ])
    func writesTheDate(_ us: Int64, _ expected: String) {
        #expect(BlobText.date(us) == expected)
    }

    @Test func spellsNamesAndValues() {
        #expect(
            BlobText.encodedPath("cam 1/2026-11-23T05:00:00Z_ü+?.mp4")
                == "cam%201/2026-11-23T05%3A00%3A00Z_%C3%BC%2B%3F.mp4")
        #expect(BlobText.encodedQuery("a/b==") == "a%2Fb%3D%3D")
        #expect(BlobText.metadataValue("Tor Süd 100%\n") == "Tor S%C3%BCd 100%25%0A")
        #expect(BlobText.metadataValue("äää", maximumBytes: 8) == "%C3%A4")
    }
}
