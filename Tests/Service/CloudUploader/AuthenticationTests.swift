// Every way of authentication with the uploader's executable: against the Blob server and a service of tokens that plays Entra ID,
// an Azure machine's metadata address and the agent of Azure Arc. What ends, is away or is wrong on the way; private authorities and
// a proxy. In each test no credential may be in what the uploader wrote or reported.
import BlobServer
import Fakes
import Foundation
import Harness
import RPC
import Testing
import TokenService
import Wire

@Suite(.serialized) struct AuthenticationTests {
    private static let secret = "canary-client-secret-7f3a"
    private static let federatedToken = "eyJhbGciOiJub25lIn0.canary-federated-token.c2ln"

    /// A site with a service of tokens, and the settings that make the uploader use it.
    private final class Place {
        let site: UploaderSite
        let book: TokenBook
        private(set) var service: TokenService
        private var settings: [String: String?]
        private let files: TemporaryDirectory?
        /// Texts that nobody may see.
        private var canaries = [
            AuthenticationTests.secret, AuthenticationTests.federatedToken, BlobServer.developmentKey,
        ]

        /// `keeping` holds files that the service of tokens works with.
        init(
            _ rule: TokenBook.Rule, _ settings: [String: String] = [:], lifeSeconds: Int = 3600,
            keeping files: TemporaryDirectory? = nil
        ) async throws {
            self.files = files
            let book = TokenBook(rule, lifeSeconds: lifeSeconds)
            self.book = book
            site = try await UploaderSite(tokens: { book.end(of: $0) })
            service = try await TokenService.start(book)
            self.settings = ["key-file": nil, "account": nil]
            self.settings.merge(settings) { $1 }
            switch rule {
            case .machine, .arc:
                self.settings["identity-endpoint"] = service.address + "/metadata/identity/oauth2/token"
            case .secret, .federatedToken, .certificate:
                self.settings["tenant-id"] = TokenBook.tenantID
                self.settings["client-id"] = TokenBook.clientID
                self.settings["authority-host"] = service.address
            }
        }

        func start(_ changes: [String: String?] = [:]) throws -> ServiceProcess {
            try site.start(settings.merging(["log-level": "debug"]) { $1 }.merging(changes) { $1 })
        }

        func comeBack() async throws { service = try await TokenService.start(book, port: service.port) }

        func alsoHidden(_ texts: [String]) { canaries += texts }

        /// Ends all and looks for what must not be there.
        func end(_ uploader: ServiceProcess) async throws {
            let health = try? await site.health()
            #expect(try await uploader.terminate() == 0)
            let texts =
                [uploader.standardError] + site.indexer.failItem.requests.map { $0.reason ?? "" }
                + site.indexer.completeItem.requests.map { $0.blobURL ?? "" } + (health?.reasons ?? [])
            for canary in canaries + book.tokens {
                #expect(!texts.contains { $0.contains(canary) }, "a credential is shown")
            }
            try await service.stop()
            try await site.blob.stop()
        }

        /// An upload in blocks, 100 kB each, from begin to end; no attempt fails.
        func uploads(_ name: String, id: UInt64, blocks: Int = 3) async throws {
            let bytes = UploaderSite.randomBytes(blocks * 100_000)
            let item = try site.archived(bytes, name, id: id)
            site.indexer.offer([item], work: .upload)
            let count = site.indexer.completeItem.requests.count
            _ = try await site.completed(count + 1)
            #expect(site.blob.content(of: item.archivePath ?? "", in: "cams") == bytes)
        }
    }

    enum Way: String, CaseIterable {
        case secret, federatedToken, certificate, machine, userAssigned, arc
    }

    private func place(_ way: Way, lifeSeconds: Int = 3600) async throws -> Place {
        let files = try TemporaryDirectory(holdsSecrets: true)
        switch way {
        case .secret:
            let place = try await Place(
                .secret(Self.secret), ["client-secret-file": "app/secret"], lifeSeconds: lifeSeconds)
            try place.site.folder.write(Self.secret + "\n", to: "secrets/app/secret")
            return place
        case .federatedToken:
            let place = try await Place(
                .federatedToken(Self.federatedToken), ["federated-token-file": "app/token"], lifeSeconds: lifeSeconds)
            try place.site.folder.write(Self.federatedToken, to: "secrets/app/token")
            return place
        case .certificate:
            let made = try await runTool(
                "openssl",
                [
                    "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=uploader", "-days", "2", "-keyout",
                    files.path("key"), "-out", files.path("certificate"),
                ])
            let publicKey = try await runTool(
                "openssl", ["x509", "-in", files.path("certificate"), "-noout", "-pubkey"])
            guard made.exitCode == 0, publicKey.exitCode == 0 else { throw HarnessError("openssl: \(made.error)") }
            let place = try await Place(
                .certificate(publicKeyPEM: publicKey.output), ["client-certificate-file": "app/certificate.pem"],
                lifeSeconds: lifeSeconds)
            let key = try String(contentsOfFile: files.path("key"), encoding: .utf8)
            let certificate = try String(contentsOfFile: files.path("certificate"), encoding: .utf8)
            try place.site.folder.write(certificate + key, to: "secrets/app/certificate.pem")
            place.alsoHidden(key.split(separator: "\n").dropFirst().prefix(5).map(String.init))
            return place
        case .machine:
            return try await Place(
                .machine(clientID: nil), ["authentication": "managed-identity"], lifeSeconds: lifeSeconds)
        case .userAssigned:
            return try await Place(
                .machine(clientID: TokenBook.clientID),
                ["authentication": "managed-identity", "client-id": TokenBook.clientID], lifeSeconds: lifeSeconds)
        case .arc:
            let keys = files.url.path
            return try await Place(
                .arc(keyFolder: keys), ["authentication": "arc-identity", "arc-key-folder": keys],
                lifeSeconds: lifeSeconds, keeping: files)
        }
    }

    @Test(arguments: Way.allCases) func uploadsWithATokenOfEachKind(_ way: Way) async throws {
        let place = try await place(way)
        let uploader = try place.start()
        try await place.uploads("a", id: 1)
        try await place.uploads("b", id: 2)
        #expect(place.book.tokens.count == 1, "one token serves both files")
        #expect(place.site.indexer.failItem.requests.isEmpty)
        try await place.end(uploader)
    }

    @Test(arguments: Way.allCases) func aTokenIsRenewedAheadOfItsEndInTheMiddleOfABlob(_ way: Way) async throws {
        let place = try await place(way, lifeSeconds: 2)
        // Twelve blocks, one after the other, outlast two tokens.
        place.site.blob.addFaults([Fault(.slow, operation: .putBlock, count: 12, delayMs: 400)])
        let uploader = try place.start(["blocks-in-flight": "1"])
        try await place.uploads("c", id: 1, blocks: 12)
        #expect(place.book.tokens.count >= 3)
        #expect(place.site.indexer.failItem.requests.isEmpty)
        #expect(place.site.accepted(.putBlock).count == 12)
        try await place.end(uploader)
    }

    @Test func tokensThatAreRevokedInTheMiddleOfABlobCostOneRefusalEach() async throws {
        let place = try await place(.secret)
        let site = place.site
        // The blocks after the first take their time, so that most of them begin when the tokens are no longer taken.
        site.blob.addFaults([Fault(.slow, operation: .putBlock, skip: 1, count: 20, delayMs: 500)])
        let uploader = try place.start(["blocks-in-flight": "3"])
        let bytes = UploaderSite.randomBytes(1_000_000)
        let item = try site.archived(bytes, "d", id: 1)
        site.indexer.offer([item], work: .upload)
        try await eventually("a block is there") { site.accepted(.putBlock).isEmpty ? nil : true }
        place.book.revokeAll()
        _ = try await site.completed()
        #expect(site.blob.content(of: item.archivePath ?? "", in: "cams") == bytes)
        let refused = site.blob.requests.filter { $0.status == 401 }
        #expect((1...3).contains(refused.count), "\(refused)")
        #expect(site.indexer.failItem.requests.isEmpty && place.book.tokens.count == 2)
        #expect(site.accepted(.putBlock).count == 10)
        try await place.end(uploader)
    }

    @Test(arguments: [Way.secret, .machine, .arc])
    func whileTheServiceOfTokensIsAwayItemsWait(_ way: Way) async throws {
        let place = try await place(way)
        let site = place.site
        try await place.service.stop()
        let item = try site.archived(UploaderSite.randomBytes(1000), "e", id: 1)
        site.indexer.offer([item], work: .upload)
        let uploader = try place.start()
        let failure = try await site.failed()
        #expect(failure.retryable == true && failure.reason?.contains("does not answer") == true, "\(failure)")
        #expect(failure.reason?.contains("no token for the storage") == true)
        let health = try await site.health()
        #expect(!(health.ready ?? true) && health.reasons.contains { $0.contains("no token for the storage") })
        #expect(site.blob.requests.isEmpty)
        try await place.comeBack()
        try await eventually("it is ready again", within: .seconds(40)) { try await site.health().ready }
        try await place.uploads("f", id: 2)
        try await place.end(uploader)
    }

    @Test func aBusyServiceOfTokensFailsNoItem() async throws {
        let place = try await place(.machine)
        place.book.fail([429, 503])
        let uploader = try place.start()
        try await place.uploads("g", id: 1)
        #expect(place.site.indexer.failItem.requests.isEmpty)
        try await place.end(uploader)
    }

    @Test func aWrongSecretIsToldAndTheRightOneIsTakenWithoutARestart() async throws {
        let place = try await place(.secret)
        let site = place.site
        try site.folder.write("canary-wrong-secret", to: "secrets/app/secret")
        place.alsoHidden(["canary-wrong-secret"])
        let item = try site.archived(UploaderSite.randomBytes(1000), "h", id: 1)
        site.indexer.offer([item], work: .upload)
        let uploader = try place.start()
        let failure = try await site.failed()
        #expect(failure.reason?.contains("the client secret is wrong") == true && failure.retryable == true)
        #expect((failure.retryAfterMs ?? 0) >= 10_000)
        try site.folder.write(Self.secret, to: "secrets/app/secret")
        site.indexer.offer([item], work: .upload)
        _ = try await site.completed()
        try await place.end(uploader)
    }

    @Test func whatIsWrongWithAnIdentityIsTold() async throws {
        let stranger = try await place(.userAssigned)
        stranger.book.change(.machine(clientID: nil))
        let outside = try stranger.site.folder.write("canary-of-a-file", to: "outside.key")
        var item = try stranger.site.archived(UploaderSite.randomBytes(1000), "i", id: 1)
        stranger.site.indexer.offer([item], work: .upload)
        var uploader = try stranger.start()
        #expect(try await stranger.site.failed().reason?.contains("is the identity of client-id assigned") == true)
        try await stranger.end(uploader)

        let arc = try await place(.arc)
        arc.book.challenge(with: outside)
        arc.alsoHidden(["canary-of-a-file"])
        item = try arc.site.archived(UploaderSite.randomBytes(1000), "j", id: 1)
        arc.site.indexer.offer([item], work: .upload)
        uploader = try arc.start()
        #expect(try await arc.site.failed().reason?.contains("names a file that is no key below") == true)
        #expect(arc.book.requests.allSatisfy { $0.headers["authorization"] == nil })
        try await arc.end(uploader)
    }

    // MARK: Credentials in files

    @Test func uploadsWithAConnectionStringOfEitherKind() async throws {
        let site = try await UploaderSite()
        let account = BlobServer.developmentAccount
        let strings = [
            "DefaultEndpointsProtocol=http;AccountName=\(account);AccountKey=\(BlobServer.developmentKey);"
                + "BlobEndpoint=\(site.blob.endpoint)/;",
            "BlobEndpoint=\(site.blob.endpoint);SharedAccessSignature=\(UploaderSite.containerSignature(rights: "rcw"))",
        ]
        let settings: [String: String?] = [
            "key-file": nil, "account": nil, "blob-endpoint": nil, "connection-string-file": "storage/string",
            "log-level": "debug",
        ]
        for (index, string) in strings.enumerated() {
            try site.folder.write(string, to: "secrets/storage/string")
            let uploader = try site.start(settings)
            let item = try site.archived(UploaderSite.randomBytes(250_000), "k\(index)", id: UInt64(index + 1))
            site.indexer.offer([item], work: .upload)
            _ = try await site.completed(index + 1)
            try await uploader.terminate()
            #expect(!uploader.standardError.contains(BlobServer.developmentKey.prefix(16)))
            #expect(!uploader.standardError.contains("sig="))
        }
        #expect(site.indexer.failItem.requests.isEmpty)
        try await site.blob.stop()
    }

    @Test func aSignatureThatHasEndedIsToldBeforeAnythingIsSentAndARenewedOneIsTaken() async throws {
        let site = try await UploaderSite()
        try site.folder.write(UploaderSite.containerSignature(rights: "rcw", seconds: -60), to: "secrets/storage/sas")
        let item = try site.archived(UploaderSite.randomBytes(250_000), "l", id: 1)
        site.indexer.offer([item], work: .upload)
        let uploader = try site.start(["key-file": nil, "sas-file": "storage/sas"])
        let failure = try await site.failed()
        #expect(failure.reason?.contains("the signature in sas-file ended at") == true && failure.retryable == true)
        #expect(site.blob.requests.isEmpty)
        try site.folder.write(UploaderSite.containerSignature(rights: "rcw"), to: "secrets/storage/sas")
        site.indexer.offer([item], work: .upload)
        _ = try await site.completed()
        #expect(try await site.health().ready == true)
        try await uploader.terminate()
        #expect(!uploader.standardError.contains("sig="))
        try await site.blob.stop()
    }

    @Test func twoWaysOfAuthenticationAreOneLine() async throws {
        let folder = try TemporaryDirectory()
        let uploader = try ServiceProcess(
            "cloud-uploader",
            [
                "--archive-volume", "/a", "--blob-endpoint", "https://a.example", "--container", "c", "--key-file", "k",
                "--account",
                "a", "--sas-file", "s",
            ], logs: folder)
        #expect(try await uploader.exitCode(within: .seconds(5)) == 64)
        #expect(uploader.standardError.split(separator: "\n").count == 1)
        #expect(
            uploader.standardError.contains("'key-file'") && uploader.standardError.contains("'sas-file'"),
            "\(uploader.standardError)")
    }

    // MARK: The way out

    @Test func trustsThePrivateAuthorityThatASettingNamesAndNoOther() async throws {
        let certificates = try await SiteCertificates.shared()
        let place = try await place(.secret)
        let encrypted = try await TokenService.start(
            place.book,
            tls: .init(certificate: certificates.certificate(of: "indexer"), key: certificates.key(of: "indexer")))
        let item = try place.site.archived(UploaderSite.randomBytes(1000), "m", id: 1)
        place.site.indexer.offer([item], work: .upload)
        let distrustful = try place.start(["authority-host": encrypted.address])
        let failure = try await place.site.failed()
        #expect(failure.reason?.contains("no authority that is trusted") == true, "\(failure)")
        try await distrustful.terminate()
        let uploader = try place.start([
            "authority-host": encrypted.address, "ca-file": certificates.authorities + "/indexer.pem",
        ])
        try await place.uploads("n", id: 2)
        try await place.end(uploader)
        try await encrypted.stop()
    }

    @Test func goesThroughAProxyWithItsPassword() async throws {
        let place = try await place(.secret)
        let proxy = try await TunnelProxy.start(credential: "user:canary-proxy-password")
        place.alsoHidden(["canary-proxy-password", Data("user:canary-proxy-password".utf8).base64EncodedString()])
        try place.site.folder.write("user:canary-proxy-password\n", to: "secrets/app/proxy")
        let uploader = try place.start(["proxy": proxy.address, "proxy-password-file": "app/proxy"])
        try await place.uploads("o", id: 1)
        #expect(proxy.targets.contains("127.0.0.1:\(place.site.blob.port)"))
        #expect(proxy.targets.contains("127.0.0.1:\(place.service.port)"))
        try await place.end(uploader)
        try await proxy.stop()
    }

    @Test func aProxyThatWantsAPasswordIsToldAndExceptionsGoPastIt() async throws {
        let place = try await place(.secret)
        let proxy = try await TunnelProxy.start(credential: "user:canary-proxy-password")
        let item = try place.site.archived(UploaderSite.randomBytes(1000), "p", id: 1)
        place.site.indexer.offer([item], work: .upload)
        let refused = try place.start(["proxy": proxy.address])
        #expect(try await place.site.failed().reason?.contains("the proxy asks for a user and a password") == true)
        try await refused.terminate()
        let uploader = try place.start(["proxy": proxy.address, "no-proxy": "127.0.0.1"])
        try await place.uploads("q", id: 2)
        #expect(proxy.targets.isEmpty)
        try await place.end(uploader)
        try await proxy.stop()
    }

    @Test func theHostsIdentityIsNeverAskedThroughAProxy() async throws {
        let place = try await place(.machine)
        let proxy = try await TunnelProxy.start(credential: nil)
        let uploader = try place.start(["proxy": proxy.address])
        try await place.uploads("r", id: 1)
        #expect(Set(proxy.targets) == ["127.0.0.1:\(place.site.blob.port)"])
        try await place.end(uploader)
        try await proxy.stop()
    }
}
