// What is asked of Entra ID, what it answers, and the statement that a certificate's key signs, checked with the certificate.
import Crypto
import CryptoExtras
import Foundation
import Harness
import JSON
import ServiceKit
import Testing

@testable import CloudUploader

private let canary = "Canary~Secret.That_must+not be/shown"
private let application = EntraApplication(tenantID: "tenant", clientID: "client-1", authority: "https://login.example")

@Suite struct EntraTokenTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    private func token(_ proof: EntraToken.Proof) -> EntraToken {
        EntraToken(
            application: application, proof: proof, secrets: SecretStore(directory: folder.url.path),
            clock: ManualWallClock(), outbound: Outbound(OutboundSettings()))
    }

    private func fields(_ form: String) -> [String: String] {
        let pairs = form.split(separator: "&").map { $0.split(separator: "=", maxSplits: 1).map(String.init) }
        return Dictionary(pairs.map { ($0[0], $0[1].removingPercentEncoding ?? "") }) { $1 }
    }

    @Test func asksAtTheTenantsAddress() {
        #expect(application.tokenEndpoint == "https://login.example/tenant/oauth2/v2.0/token")
    }

    @Test func showsASecret() throws {
        try folder.write(canary + "\n", to: "secret")
        let form = try token(.secret(path: "secret")).form()
        #expect(
            fields(form) == [
                "client_id": "client-1", "scope": "https://storage.azure.com/.default",
                "grant_type": "client_credentials", "client_secret": canary,
            ])
        #expect(form.contains("Canary~Secret.That_must%2Bnot%20be%2Fshown"))
    }

    @Test func showsTheTokenOfTheClustersIssuerAsItIsNow() throws {
        let entra = token(.federatedToken(path: "token"))
        for text in ["a.b.c", "d.e.f"] {
            try folder.write(text, to: "token")
            let fields = fields(try entra.form())
            #expect(fields["client_assertion"] == text && fields["client_secret"] == nil)
            #expect(fields["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        }
    }

    @Test(arguments: [
        (EntraToken.Proof.secret(path: "absent"), "client-secret-file"),
        (.federatedToken(path: "absent"), "federated-token-file"),
        (.certificate(path: "absent"), "client-certificate-file"),
    ])
    func namesTheSettingWhoseFileIsMissing(_ proof: EntraToken.Proof, _ setting: String) {
        let failure = #expect(throws: TokenFailure.self) { try token(proof).form() }
        #expect(failure?.reason.contains(setting) == true && failure?.isTransient == false)
    }

    @Test(arguments: [
        (401, 7_000_215, "not its id"), (401, 7_000_222, "secret has ended"), (400, 700_016, "check client-id"),
        (400, 90_002, "no such tenant"), (401, 700_027, "upload it"), (401, 700_024, "clock of this host"),
        (400, 700_213, "issuer, subject and audience"),
        (400, 12_345, "check tenant-id, client-id and client-secret-file"),
    ])
    func saysWhatARefusalMeansAndRepeatsNothingThatWasSent(_ status: Int, _ number: Int, _ expected: String) {
        let body =
            #"{"error":"invalid_client","error_description":"AADSTS\#(number): \#(canary)","error_codes":[\#(number)]}"#
        let failure = token(.secret(path: "s")).refusal(TokenAnswer(status: status, body: Array(body.utf8)))
        #expect(failure.reason.contains(expected) && failure.reason.contains("AADSTS\(number)"), "\(failure.reason)")
        #expect(failure.reason.contains("login.example") && !failure.reason.contains("Canary"))
        #expect(!failure.isTransient)
    }

    @Test(arguments: [408, 429, 500, 503])
    func waitsWhereTheServiceIsBusy(_ status: Int) {
        let failure = token(.secret(path: "s")).refusal(TokenAnswer(status: status, retryAfterSeconds: 30, body: []))
        #expect(failure.isTransient && failure.retryAfter == .seconds(30))
    }
}

@Suite struct TokenAnswerTests {
    private let nowUs: Int64 = 1_795_410_372_000_000

    private func token(_ body: String) throws(TokenFailure) -> AccessToken {
        try TokenAnswer(status: 200, body: Array(body.utf8)).token(from: "https://login.example", nowUs: nowUs)
    }

    @Test(
        arguments: [
            (#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"t"}"#, 3599, nil),
            (#"{"expires_in":86399,"refresh_in":43199,"access_token":"t"}"#, 86_399, 43_199),
            (
                #"{"access_token":"t","expires_in":"3599","expires_on":"1506484173","not_before":"1506480273"}"#, 3599,
                nil
            ),
            (#"{"access_token":"t","expires_on":"1795410472"}"#, 100, nil),
        ] as [(String, Int, Int?)])
    func readsWhatTheServicesWrite(_ body: String, _ life: Int, _ renewAfter: Int?) throws {
        #expect(
            try token(body)
                == AccessToken(
                    text: Redacted("t"), life: .seconds(life), renewAfter: renewAfter.map { .seconds($0) }))
    }

    @Test(arguments: [
        "", "<html>Log in</html>", "[]", #"{"access_token":5,"expires_in":3599}"#,
        #"{"access_token":"","expires_in":3599}"#,
        #"{"access_token":"\#(canary)\r\nx: y","expires_in":3599}"#, #"{"access_token":"\#(canary)"}"#,
        #"{"access_token":"Canary","expires_in":0}"#, #"{"access_token":"Canary","expires_in":-5}"#,
        #"{"access_token":"Canary","expires_in":99999999999999}"#,
        #"{"access_token":"Canary","expires_on":"1795410372"}"#,
    ])
    func takesNothingElseAndShowsNothingOfIt(_ body: String) {
        let failure = #expect(throws: TokenFailure.self) { try token(body) }
        #expect(failure?.reason.contains("https://login.example") == true)
        #expect(failure?.reason.contains("Canary") == false)
    }

    @Test func anErrorWordIsOnlyTakenWhereItIsOne() {
        for (word, expected) in [("invalid_client", "invalid_client"), (canary, nil), ("", nil)] as [(String, String?)]
        {
            #expect(TokenAnswer(status: 400, body: Array(#"{"error":"\#(word)"}"#.utf8)).errorWord == expected)
        }
    }
}

@Suite struct ClientCertificateTests {
    /// A certificate for a year with its key, and another key.
    private struct Files {
        let certificate: String
        let key: String
        let otherKey: String
        let encryptedKey: String
        let smallKey: String

        static let shared = Task { try await make() }

        static func make() async throws -> Files {
            let folder = try TemporaryDirectory(holdsSecrets: true)
            func openssl(_ arguments: String...) async throws {
                let result = try await runTool("openssl", arguments)
                guard result.exitCode == 0 else { throw HarnessError("openssl: \(result.error)") }
            }
            let path = folder.path
            try await openssl(
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=uploader", "-days", "365", "-keyout",
                path("key"), "-out", path("certificate"))
            try await openssl("genrsa", "-out", path("other"), "2048")
            try await openssl("genrsa", "-out", path("small"), "1024")
            try await openssl(
                "rsa", "-aes128", "-passout", "pass:sesame", "-in", path("other"), "-out", path("encrypted"))
            func text(_ name: String) throws -> String { try String(contentsOfFile: path(name), encoding: .utf8) }
            return Files(
                certificate: try text("certificate"), key: try text("key"), otherKey: try text("other"),
                encryptedKey: try text("encrypted"), smallKey: try text("small"))
        }
    }

    private let nowUs = SystemWallClock().nowUs() + 3_600_000_000

    private func decoded(_ part: Substring) -> Data {
        let text = part.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        return Data(base64Encoded: text + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)) ?? Data()
    }

    @Test func signsAStatementThatTheCertificateVerifies() async throws {
        let files = try await Files.shared.value
        for pem in [files.certificate + files.key, files.key + files.certificate] {
            let statement = try ClientCertificate(pem: pem, nowUs: nowUs)
                .assertion(for: application, id: "id-1", nowUs: nowUs).revealed
            let parts = statement.split(separator: ".")
            #expect(parts.count == 3 && !statement.contains("="))
            let rules = JSONReader.Rules(
                maximumBytes: 4096, maximumDepth: 2, maximumValues: 20, refusesRepeatedKeys: true)
            let header = try JSONReader.read(Array(decoded(parts[0])), rules)
            #expect(header["alg"]?.string == "RS256" && header["typ"]?.string == "JWT")
            let der = try #require(
                Data(
                    base64Encoded: files.certificate.split(separator: "\n").filter { !$0.hasPrefix("-----") }.joined()))
            #expect(decoded(try #require(header["x5t"]?.string)[...]) == Data(Insecure.SHA1.hash(data: der)))
            #expect(decoded(try #require(header["x5t#S256"]?.string)[...]) == Data(SHA256.hash(data: der)))
            let claims = try JSONReader.read(Array(decoded(parts[1])), rules)
            #expect(claims["aud"]?.string == "https://login.example/tenant/oauth2/v2.0/token")
            #expect(claims["iss"]?.string == "client-1" && claims["sub"]?.string == "client-1")
            #expect(claims["jti"]?.string == "id-1")
            let now = Int(nowUs / 1_000_000)
            #expect(claims["nbf"]?.integer == now && claims["iat"]?.integer == now)
            #expect(claims["exp"]?.integer == now + 600)
            let key = try _RSA.Signing.PrivateKey(pemRepresentation: files.key).publicKey
            let signed = Data("\(parts[0]).\(parts[1])".utf8)
            let signature = _RSA.Signing.RSASignature(rawRepresentation: decoded(parts[2]))
            #expect(key.isValidSignature(signature, for: signed, padding: .insecurePKCS1v1_5))
            #expect(!key.isValidSignature(signature, for: signed + Data([0]), padding: .insecurePKCS1v1_5))
        }
    }

    @Test func saysWhatIsWrongWithAFileAndShowsNothingOfIt() async throws {
        let files = try await Files.shared.value
        let year: Int64 = 366 * 86_400 * 1_000_000
        let cases: [(String, Int64, String)] = [
            (files.key, nowUs, "no certificate"), ("", nowUs, "no certificate"),
            (files.certificate, nowUs, "no private key"),
            (files.certificate + files.otherKey, nowUs, "not that of the first certificate"),
            (files.certificate + files.encryptedKey, nowUs, "not encrypted"),
            (files.certificate + files.smallKey, nowUs, "at least 2048 bits"),
            (files.certificate + files.key.replacingOccurrences(of: "M", with: "N"), nowUs, "no RSA key"),
            (files.certificate + files.key, nowUs + year, "ended at"),
            (files.certificate + files.key, nowUs - year, "not valid yet"),
        ]
        for (pem, nowUs, expected) in cases {
            let problem = #expect(throws: ClientCertificate.Problem.self) {
                try ClientCertificate(pem: pem, nowUs: nowUs)
            }
            let text = try #require(problem?.description)
            #expect(text.contains(expected), "\(text)")
            for line in pem.split(separator: "\n") where !line.hasPrefix("-----") { #expect(!text.contains(line)) }
        }
    }
}
