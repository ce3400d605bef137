// Shared Key against what others signed: the strings of the service's documentation, and 176 requests with 88 odd names of blobs
// that the official Python SDK signed (Tests/Support/signatures/make-vectors). SigningTests has single cases.
import Foundation
import Testing

@testable import CloudUploader

/// A request as the SDK sent it, and what it signed.
struct SignedRequest: Decodable, Sendable, CustomTestStringConvertible {
    let number: Int
    let account: String
    let blob: String
    let method: String
    /// Percent-encoded, as sent.
    let path: String
    /// Name and decoded value, in the order in which they were sent.
    let query: [[String]]
    let headers: [[String]]
    let signed: String
    let authorization: String

    var testDescription: String { "\(number) \(method) \(path)" }

    var parts: SignedParts {
        SignedParts(
            method: method, path: path, query: query.map { ($0[0], $0[1]) }, headers: headers.map { ($0[0], $0[1]) })
    }

    static let all: [SignedRequest] = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../Support/signatures/vectors/shared-key.jsonl")
        let lines = ((try? String(contentsOf: file, encoding: .utf8)) ?? "").split(separator: "\n")
        // A line that does not read is one less, which `thereAreEnough` notices.
        return lines.compactMap { try? JSONDecoder().decode(SignedRequest.self, from: Data($0.utf8)) }
    }()
}

@Suite struct SignatureVectorTests {
    /// That of shared_key.py: a canary like every credential of the tests.
    private static let key = Data("canary-account-key-of-the-signature-vectors-64-bytes-long-000000".utf8)
        .base64EncodedString()

    @Test func thereAreEnough() {
        #expect(SignedRequest.all.count == 176)
        #expect(Set(SignedRequest.all.map { Array($0.blob.unicodeScalars) }).count == 88)
        #expect(Set(SignedRequest.all.map(\.account)) == ["myaccount", "devstoreaccount1"])
        #expect(Set(SignedRequest.all.map(\.method)) == ["PUT", "GET", "HEAD", "DELETE"])
    }

    @Test(arguments: SignedRequest.all) func signsAsTheOfficialSDKDoes(_ request: SignedRequest) throws {
        let signer = try #require(SharedKeySigner(account: request.account, base64Key: Self.key))
        #expect(signer.stringToSign(request.parts) == request.signed)
        #expect(signer.authorization(request.parts) == request.authorization)
    }

    /// Calls on the container carry the name as a value of the query.
    @Test(arguments: SignedRequest.all) func spellsNamesAsTheOfficialSDKDoes(_ request: SignedRequest) throws {
        let container = (request.account == "myaccount" ? "" : "/devstoreaccount1") + "/cams"
        if request.path == container {
            #expect(request.query.contains { $0[0] == "prefix" && Array($0[1].utf8) == Array(request.blob.utf8) })
        } else {
            #expect(request.path == "\(container)/\(BlobText.encodedPath(request.blob))")
        }
        // The way of BlobClient: what was put into the URL is what is signed.
        let url = "http://127.0.0.1:10000\(container)/\(BlobText.encodedPath(request.blob))"
        #expect(URLComponents(string: url)?.percentEncodedPath == "\(container)/\(BlobText.encodedPath(request.blob))")
    }

    /// The strings of "Authorize with Shared Key" (Blob service REST API) and of "Call REST API operations with Shared Key
    /// authorization". Neither page tells the key, so the signature itself is left to the SDK's vectors.
    @Test(
        arguments: [
            (
                "myaccount", "GET", "/mycontainer", ["restype": "container", "comp": "metadata", "timeout": "20"],
                ["x-ms-date": "Fri, 26 Jun 2015 23:39:12 GMT", "x-ms-version": "2015-02-21"],
                "x-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n/myaccount/mycontainer\n"
                    + "comp:metadata\nrestype:container\ntimeout:20"
            ),
            (
                "myaccount", "PUT", "/mycontainer", ["restype": "container", "timeout": "30"],
                [
                    "x-ms-date": "Fri, 26 Jun 2015 23:39:12 GMT", "x-ms-version": "2015-02-21", "content-length": "0",
                ],
                "x-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n/myaccount/mycontainer\n"
                    + "restype:container\ntimeout:30"
            ),
            (
                "myaccount", "GET", "/mycontainer",
                ["restype": "container", "comp": "list", "include": "metadata,snapshots,uncommittedblobs"], [:],
                "/myaccount/mycontainer\ncomp:list\ninclude:metadata,snapshots,uncommittedblobs\nrestype:container"
            ),
            ("myaccount", "GET", "/mycontainer/myblob", [:], [:], "/myaccount/mycontainer/myblob"),
            (
                "contosorest", "GET", "/", ["comp": "list"],
                ["x-ms-version": "2017-07-29", "x-ms-date": "Fri, 17 Nov 2017 01:07:37 GMT"],
                "x-ms-date:Fri, 17 Nov 2017 01:07:37 GMT\nx-ms-version:2017-07-29\n/contosorest/\ncomp:list"
            ),
            (
                "contosorest", "GET", "/container-1", ["restype": "container", "comp": "list"],
                ["x-ms-date": "Fri, 17 Nov 2017 05:16:48 GMT", "x-ms-version": "2017-07-29"],
                "x-ms-date:Fri, 17 Nov 2017 05:16:48 GMT\nx-ms-version:2017-07-29\n/contosorest/container-1\ncomp:list\n"
                    + "restype:container"
            ),
        ] as [(String, String, String, [String: String], [String: String], String)])
    func buildsTheStringsOfTheDocumentation(
        _ account: String, _ method: String, _ path: String, _ query: [String: String], _ headers: [String: String],
        _ end: String
    ) throws {
        let signer = try #require(SharedKeySigner(account: account, base64Key: Self.key))
        let parts = SignedParts(
            method: method, path: path, query: query.map { ($0.key, $0.value) },
            headers: headers.map { ($0.key, $0.value) })
        #expect(signer.stringToSign(parts) == method + String(repeating: "\n", count: 12) + end)
    }

    /// Pairs whose order by bytes is the other one, or that show how ties are broken.
    @Test(arguments: [
        ("x-ms-meta-i_", "x-ms-meta-i0"), ("x-ms-meta-foo_bar", "x-ms-meta-foo2_bar"),
        ("x-ms-meta-foo", "x-ms-meta-foo-"), ("x-ms-meta-test_-", "x-ms-meta-test-_"),
        ("x-ms-meta-testa", "x-ms-meta-test-a"), ("x-ms-meta-test-a", "x-ms-meta-tes-ta"),
        ("x-ms-meta-testa-", "x-ms-meta-test-b"), ("x-ms-content-crc64", "x-ms-date"),
        ("x-ms-tags", "x-ms-version"), ("x-ms-meta-z", "x-ms-tags"), ("x-ms-blob-type", "x-ms-client-request-id"),
    ])
    func ordersHeadersAsTheServiceDoes(_ first: String, _ second: String) {
        #expect(HeaderOrder(first) < HeaderOrder(second))
        #expect(!(HeaderOrder(second) < HeaderOrder(first)))
        #expect(!(HeaderOrder(first) < HeaderOrder(first)))
    }

    @Test func aValueOfMetadataHasNoRunOfSpaces() {
        #expect(BlobText.metadataValue("Gate  2   north") == "Gate %202 %20 north")
    }
}
