// The host's own identity: what is asked, which key files are read, and what is said; and the way out of the site.
import Foundation
import Harness
import ServiceKit
import Testing

@testable import CloudUploader

@Suite struct IdentityEndpointTests {
    private func endpoint(_ kind: IdentityEndpoint.Kind, _ address: String) -> IdentityEndpoint {
        IdentityEndpoint(
            kind: kind, address: address, clock: ManualWallClock(), outbound: Outbound(OutboundSettings()))
    }

    @Test func asksAsTheDocumentationSays() {
        let machine = IdentityEndpoint.metadataAddress
        #expect(
            endpoint(.machine(clientID: ""), machine).url
                == "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01"
                + "&resource=https%3A%2F%2Fstorage.azure.com%2F")
        #expect(endpoint(.machine(clientID: "id"), machine).url.hasSuffix("%2F&client_id=id"))
        #expect(
            endpoint(.arc(keyFolder: "/k"), IdentityEndpoint.arcAddress).url
                == "http://localhost:40342/metadata/identity/oauth2/token?api-version=2020-06-01"
                + "&resource=https%3A%2F%2Fstorage.azure.com%2F")
    }

    @Test(
        arguments: [
            (404, true, nil), (408, true, nil), (410, true, 10), (429, true, nil), (500, true, nil), (503, true, nil),
            (400, false, nil), (401, false, nil), (403, false, nil),
        ] as [(Int, Bool, Int?)])
    func triesAgainWhereTheDocumentationSaysSo(_ status: Int, _ isTransient: Bool, _ seconds: Int?) {
        let failure = endpoint(.machine(clientID: ""), "http://169.254.169.254/token")
            .refusal(TokenAnswer(status: status, body: Array(#"{"error":"invalid_request"}"#.utf8)))
        #expect(failure.isTransient == isTransient && failure.retryAfter == seconds.map { .seconds($0) })
        #expect(failure.reason.contains("http://169.254.169.254/token") && failure.reason.contains("\(status)"))
    }

    @Test func readsTheKeyThatAChallengeNames() throws {
        let folder = try TemporaryDirectory()
        let tokens = try folder.makeFolder("tokens")
        let path = try folder.write("the key", to: "tokens/a.key")
        for challenge in ["Basic realm=\(path)", "basic realm=\(path)", "Basic realm=\"\(path)\""] {
            #expect(try IdentityEndpoint.key(challenge: challenge, below: tokens).revealed == "the key")
        }
        try folder.write(String(repeating: "k", count: 4096), to: "tokens/largest.key")
        #expect(
            try IdentityEndpoint.key(challenge: "Basic realm=\(tokens)/largest.key", below: tokens).revealed.count
                == 4096)
    }

    @Test func readsNothingElse() throws {
        let folder = try TemporaryDirectory()
        let tokens = try folder.makeFolder("tokens")
        try folder.makeFolder("tokens-2")
        let canary = "canary-of-a-file"
        let outside = try folder.write(canary, to: "outside.key")
        try folder.write(canary, to: "tokens-2/b.key")
        try folder.write(canary, to: "tokens/no-key.txt")
        try folder.write(String(repeating: canary, count: 300), to: "tokens/large.key")
        try folder.write(canary + "\n" + canary, to: "tokens/lines.key")
        try FileManager.default.createSymbolicLink(atPath: tokens + "/link.key", withDestinationPath: outside)
        let challenges: [String?] = [
            nil, "", "Bearer realm=\(tokens)/a.key", "Basic realm=", "Basic realm=\(outside)",
            "Basic realm=\(tokens)/../outside.key", "Basic realm=\(tokens)-2/b.key", "Basic realm=\(tokens)/no-key.txt",
            "Basic realm=\(tokens)/large.key", "Basic realm=\(tokens)/lines.key", "Basic realm=\(tokens)/link.key",
            "Basic realm=\(tokens)/absent.key", "Basic realm=/etc/passwd", "Basic realm=outside.key",
        ]
        for challenge in challenges {
            let failure = #expect(throws: TokenFailure.self, "\(challenge ?? "none")") {
                try IdentityEndpoint.key(challenge: challenge, below: tokens)
            }
            #expect(failure?.isTransient == false && failure?.reason.contains("canary-of") == false)
        }
    }
}

@Suite struct OutboundTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    private func read(_ change: (inout Settings) -> Void) throws(SettingsError) -> OutboundSettings {
        var settings = Settings()
        change(&settings)
        return try OutboundSettings(settings, SecretStore(directory: folder.url.path))
    }

    @Test(arguments: [
        ("acct.blob.core.windows.net", true), ("ACCT.blob.core.windows.net", true), ("blob.core.windows.net", true),
        ("notblob.core.windows.net", false), ("10.1.2.3", true), ("10.1.2.30", false), ("site.example", true),
        ("a.site.example", true), ("mysite.example", false), ("login.microsoftonline.com", false),
    ])
    func knowsWhichHostsTheProxyIsNotFor(_ host: String, _ isExcepted: Bool) {
        let exceptions = ProxyExceptions(["Blob.core.windows.net", "10.1.2.3", ".site.example"])
        #expect(exceptions.contains(host) == isExcepted)
        #expect(ProxyExceptions(["*"]).contains(host) && !ProxyExceptions([]).contains(host))
    }

    @Test func readsAProxyWithItsPassword() throws {
        try folder.write("user:pass:word", to: "proxy")
        let plain = try read { $0[UploaderKeys.proxy] = "http://proxy.site:3128/" }
        #expect(plain.proxy == .init(host: "proxy.site", port: 3128, credential: nil))
        let withPassword = try read {
            $0[UploaderKeys.proxy] = "http://proxy.site:3128"
            $0[UploaderKeys.proxyPasswordFile] = "proxy"
        }
        #expect(withPassword.proxy?.credential?.revealed == "user:pass:word")
        #expect("\(withPassword)".contains("pass:word") == false)
    }

    @Test func readsAuthorities() async throws {
        let certificates = try await SiteCertificates.shared()
        let one = try read { $0[UploaderKeys.caFile] = certificates.authorities + "/indexer.pem" }
        #expect(one.authorities.count == 1)
        let all = try read { $0[UploaderKeys.caFile] = certificates.authorities }
        #expect(all.authorities.count > 1)
    }

    @Test func saysWhatIsWrong() throws {
        try folder.write("canary-without-a-colon", to: "password")
        let mistakes: [(String, (inout Settings) -> Void)] = [
            ("proxy", { $0[UploaderKeys.proxy] = "proxy.site:3128" }),
            ("proxy", { $0[UploaderKeys.proxy] = "https://proxy.site:3128" }),
            ("proxy", { $0[UploaderKeys.proxy] = "http://proxy.site" }),
            ("proxy", { $0[UploaderKeys.proxy] = "http://proxy.site:3128/path" }),
            ("proxy", { $0[UploaderKeys.proxy] = "http://user:canary-pw@proxy.site:3128" }),
            ("proxy-password-file", { $0[UploaderKeys.proxyPasswordFile] = "password" }),
            (
                "USER:PASSWORD",
                {
                    $0[UploaderKeys.proxy] = "http://proxy.site:3128"
                    $0[UploaderKeys.proxyPasswordFile] = "password"
                }
            ),
            ("ca-file", { $0[UploaderKeys.caFile] = "absent" }), ("ca-file", { $0[UploaderKeys.caFile] = "password" }),
        ]
        for (expected, mistake) in mistakes {
            let error = #expect(throws: SettingsError.self) { try read(mistake) }
            #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
            #expect(error?.description.contains("canary") == false)
        }
    }
}
