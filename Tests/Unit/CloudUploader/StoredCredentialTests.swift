// Credentials that lie in files: connection strings, signatures and their times, and what is said about those that cannot be used.
// The canary is a secret that must be in no text.
import CivilTime
import Foundation
import Harness
import ServiceKit
import Testing

@testable import CloudUploader

private let canary = "Q2FuYXJ5S2V5VGhhdE11c3ROb3RCZVNob3du"

@Suite struct ConnectionStringTests {
    @Test(arguments: [
        (
            "DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=\(canary)==;EndpointSuffix=core.windows.net",
            "https://acct.blob.core.windows.net"
        ),
        ("accountname=acct; ACCOUNTKEY = \(canary)== ;", "https://acct.blob.core.windows.net"),
        (
            "AccountName=acct;AccountKey=\(canary)==;EndpointSuffix=core.usgovcloudapi.net",
            "https://acct.blob.core.usgovcloudapi.net"
        ),
        (
            "DefaultEndpointsProtocol=http;AccountName=acct;AccountKey=\(canary)==;BlobEndpoint=http://127.0.0.1:10000/acct/;"
                + "QueueEndpoint=http://127.0.0.1:10001/acct", "http://127.0.0.1:10000/acct"
        ),
    ])
    func readsAnAccountWithItsKey(_ text: String, _ endpoint: String) throws {
        let string = try ConnectionString(Redacted(text))
        #expect(string.endpoint == endpoint)
        #expect(string.credential == .key(account: "acct", base64: Redacted(canary + "==")))
    }

    @Test func readsASignatureWithTheEqualsSignsInIt() throws {
        let signature = "sv=2021-12-02&se=2030-01-01&sp=rcw&sig=\(canary)%3D"
        let string = try ConnectionString(
            Redacted("BlobEndpoint=https://acct.blob.core.windows.net/;SharedAccessSignature=\(signature)"))
        #expect(string.endpoint == "https://acct.blob.core.windows.net")
        #expect(string.credential == .signature(Redacted(signature)))
    }

    @Test func readsTheEmulatorsShortForm() throws {
        let string = try ConnectionString(Redacted("UseDevelopmentStorage=true"))
        #expect(string.endpoint == "http://127.0.0.1:10000/devstoreaccount1")
        guard case .key(let account, _) = string.credential else {
            Issue.record("no key")
            return
        }
        #expect(account == "devstoreaccount1")
    }

    @Test(arguments: [
        ("", "no 'name=value'"), (canary, "no 'name=value'"), ("AccountName=acct;\(canary)", "no 'name=value'"),
        ("=\(canary)", "no 'name=value'"), ("AccountName=acct;AccountKey=", "AccountKey is empty"),
        ("AccountName=acct", "neither AccountKey nor"),
        ("AccountKey=\(canary)", "neither BlobEndpoint nor AccountName"),
        ("BlobEndpoint=https://a.example;AccountKey=\(canary)", "AccountName beside it"),
        ("AccountName=a;AccountKey=\(canary);AccountKey=\(canary)", "AccountKey stands there twice"),
        ("AccountName=a;\(canary)=x;\(canary)=x", "a field stands there twice"),
        ("AccountName=a;AccountKey=\(canary);SharedAccessSignature=sig=\(canary)", "leave one"),
        ("AccountName=a.example/?\(canary);AccountKey=\(canary)", "small letters and digits"),
        ("DefaultEndpointsProtocol=ftp;AccountName=a;AccountKey=\(canary)", "https or http"),
        ("BlobEndpoint=https://a.example/?sig=\(canary);AccountName=a;AccountKey=\(canary)", "no query"),
        ("UseDevelopmentStorage=false", "must be true"),
        ("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://\(canary)", "write BlobEndpoint"),
    ])
    func saysWhatIsWrongWithOneAndShowsNothingOfIt(_ text: String, _ expected: String) {
        let problem = #expect(throws: ConnectionString.Problem.self) { try ConnectionString(Redacted(text)) }
        #expect(problem?.description.contains(expected) == true, "\(problem?.description ?? "")")
        #expect(problem?.description.contains(canary) == false)
    }
}

@Suite struct SharedAccessSignatureTests {
    private let nowUs = (TimeStamp(iso: "2026-11-23T05:06:12Z")?.us ?? 0)

    @Test(arguments: [
        "sv=2021-12-02&se=2026-11-23T05:06:13Z&sp=rcw&sig=abc", "?se=2026-11-23T05%3A06%3A13Z&sig=abc",
        "se=2026-11-24&sig=abc",
        "se=2026-11-23T05%3A07Z&sig=abc", "se=2026-11-23T05:06:12.5000000Z&st=2026-11-23&sig=abc",
        // The end is in a policy that the account stores.
        "si=policy&sig=abc",
    ])
    func takesOneInItsTime(_ text: String) {
        let signature = SharedAccessSignature(text)
        #expect(signature.problem(atUs: nowUs) == nil)
        #expect(!signature.query.hasPrefix("?"))
    }

    @Test(arguments: [
        ("se=2026-11-23T05:06:12Z&sig=\(canary)", "ended at 2026-11-23T05:06:12Z; write another one"),
        ("se=2026-11-23&sig=\(canary)", "ended at 2026-11-23T00:00:00Z"),
        ("se=soon&sig=\(canary)", "no time"),
        ("st=2026-11-23T05:10:00Z&se=2027-01-01&sig=\(canary)", "clock of this host"),
        ("https://a.example/cams?se=2030-01-01&sig=\(canary)", "whole address"), ("se=2030-01-01", "'sig=' is missing"),
        ("se=2030-01-01&sig=", "'sig=' is missing"), ("se=2030-01-01&\nsig=\(canary)", "in one line"),
    ])
    func saysWhatIsWrongBeforeAnythingIsSent(_ text: String, _ expected: String) {
        let problem = SharedAccessSignature(text).problem(atUs: nowUs)
        #expect(problem?.contains(expected) == true, "\(problem ?? "none")")
        #expect(problem?.contains(canary) == false)
    }
}

@Suite struct FileAuthorizerTests {
    private let folder: TemporaryDirectory
    private let request = SignedParts(method: "GET", path: "/cams/a", headers: [("x-ms-version", "2021-12-02")])
    private let nowUs: Int64 = 1_795_410_372_000_000

    init() throws { folder = try TemporaryDirectory() }

    private func authorizer(_ file: FileAuthorizer.File) -> FileAuthorizer {
        FileAuthorizer(file: file, secrets: SecretStore(directory: folder.url.path))
    }

    @Test func signsWithTheKeyAndTheDate() async throws {
        try folder.write("MDEyMzQ1Njc4OWFiY2RlZg==", to: "key")
        let made = try await authorizer(.key(account: "acct", path: "key")).authorize(request, nowUs: nowUs)
        #expect(made.headers.map(\.name) == ["x-ms-date", "authorization"] && made.query.isEmpty)
        var dated = request
        dated.headers.append(made.headers[0])
        let signer = try #require(SharedKeySigner(account: "acct", base64Key: "MDEyMzQ1Njc4OWFiY2RlZg=="))
        #expect(made.headers[1].value == signer.authorization(dated))
    }

    @Test func aRenewedFileIsAnotherCredentialAndTheSameIsNot() async throws {
        let files: [(FileAuthorizer.File, String, String)] = [
            (.key(account: "acct", path: "one"), "a2V5", "b3RoZXI="),
            (.signature(path: "two"), "se=2030-01-01&sig=a", "se=2030-01-01&sig=b"),
            (
                .connectionString(path: "three", endpoint: "https://acct.blob.core.windows.net"),
                "AccountName=acct;AccountKey=a2V5", "AccountName=acct;AccountKey=b3RoZXI="
            ),
        ]
        for (file, first, second) in files {
            let authorizer = authorizer(file)
            let name = ["one", "two", "three"][files.firstIndex { $0.0 == file } ?? 0]
            try folder.write(first, to: name)
            let mark = try await authorizer.authorize(request, nowUs: nowUs).mark
            #expect(await authorizer.renew(after: mark) == false)
            try folder.write(second, to: name)
            #expect(await authorizer.renew(after: mark))
        }
    }

    @Test func saysWhatIsWrongWithAFileAndShowsNothingOfIt() async throws {
        let endpoint = "https://acct.blob.core.windows.net"
        let cases: [(FileAuthorizer.File, String, String)] = [
            (.key(account: "acct", path: "file"), "not base64! \(canary)", "key-file is not base64"),
            (.signature(path: "file"), "se=2020-01-01&sig=\(canary)", "sas-file ended at 2020-01-01T00:00:00Z"),
            (.connectionString(path: "file", endpoint: endpoint), canary, "connection-string-file"),
            (
                .connectionString(path: "file", endpoint: endpoint), "AccountName=other;AccountKey=\(canary)",
                "another storage than \(endpoint)"
            ),
            (
                .connectionString(path: "file", endpoint: endpoint),
                "BlobEndpoint=\(endpoint);SharedAccessSignature=se=2020-01-01&sig=\(canary)",
                "connection-string-file ended"
            ),
            (.signature(path: "absent"), "", "absent"),
        ]
        for (file, text, expected) in cases {
            try folder.write(text.isEmpty ? "x" : text, to: "file")
            let problem = await #expect(throws: UploadProblem.self) {
                try await authorizer(file).authorize(request, nowUs: nowUs)
            }
            #expect(problem?.reason.contains(expected) == true, "\(problem?.reason ?? "")")
            #expect(problem?.reason.contains(canary) == false)
            #expect(problem?.isRetryable == true && problem?.concernsStorage == true)
        }
    }
}
