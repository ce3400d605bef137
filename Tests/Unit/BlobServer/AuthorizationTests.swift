// Who may come in: bearer tokens with an end, versions that exist, and what the answers say to those who may not.
import Foundation
import NIOHTTP1
import Synchronization
import Testing

@testable import BlobServer

@Suite struct AuthorizationTests {
    private static let now = Date(timeIntervalSince1970: 1_800_000_000)

    @Test(arguments: [
        ("2021-12-02", "Bearer good", nil),
        (
            "2021-12-02", "Bearer ended",
            "401 InvalidAuthenticationInfo Lifetime validation failed. The token is expired."
        ),
        ("2021-12-02", "Bearer unknown", "401 InvalidAuthenticationInfo Signature validation failed."),
        ("2019-07-07", "Bearer ended", "403 AuthenticationFailed Lifetime validation failed. The token is expired."),
        (
            "2017-07-29", "Bearer good",
            "403 AuthenticationFailed Authentication scheme Bearer is not supported in this version."
        ),
    ])
    func tokensAreTakenUntilTheirEnd(_ version: String, _ authorization: String, _ refusal: String?) throws {
        let tokens: TokenExpiry = { ["good": Self.now + 1, "ended": Self.now][$0] }
        let request = try request(
            .HEAD, "/acc/cams/x", ["x-ms-version": version, "Authorization": authorization])
        #expect(BearerToken.isPresent(request))
        do {
            try BearerToken(expiry: tokens, account: "acc").verify(request, now: Self.now)
            #expect(refusal == nil)
        } catch {
            #expect(refusal == "\(error.status.code) \(error.code) \(error.details[0].value)")
        }
    }

    @Test func aTokenEndsInTheMiddleOfABlob() async throws {
        let clock = Mutex(Self.now)
        var configuration = BlobServer.Configuration()
        configuration.now = { clock.withLock { $0 } }
        configuration.tokens = { $0 == "t1" ? Self.now + 60 : nil }
        try await withServer(configuration) { client in
            try client.server.createContainer("cams")
            let headers: HTTPHeaders = ["Authorization": "Bearer t1", "x-ms-version": "2021-12-02"]
            let block = "\(client.server.endpoint)/cams/b?comp=block&blockid=QQ%3D%3D"
            #expect(try await client.plain(.PUT, block, headers: headers, body: [1]).status == 201)
            clock.withLock { $0 += 60 }
            let late = try await client.plain(.PUT, block, headers: headers, body: [1])
            #expect(late.status == 401 && late.code == "InvalidAuthenticationInfo")
            #expect(
                late.headers.first(name: "WWW-Authenticate")
                    == "Bearer authorization_uri=https://login.microsoftonline.com/\(BlobServer.tenant)/oauth2/authorize "
                    + "resource_id=https://storage.azure.com")
        }
    }

    @Test func aTokenFileIsReadForEachQuestion() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "tokens-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let file = TokenFile(path: path)
        #expect(file.expiry(of: "t1") == nil)
        try "t1 2030-01-01T00:00:00Z\nt2 never\n".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(file.expiry(of: "t1") == HTTPDate.parseISO8601("2030-01-01T00:00:00Z"))
        #expect(file.expiry(of: "t2") == nil)
        #expect(file.expiry(of: "t") == nil)
        try "t3 2030-01-01T00:00:00Z\n".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(file.expiry(of: "t1") == nil)
    }

    @Test(arguments: [
        ("2021-12-02", "x-ms-tags", nil), ("2026-10-06", "x-ms-content-crc64", nil),
        ("2021-12-03", "Range", "InvalidHeaderValue"), ("latest", "Range", "InvalidHeaderValue"),
        ("2018-11-09", "x-ms-content-crc64", "UnsupportedHeader"), ("2019-07-07", "x-ms-tags", "UnsupportedHeader"),
    ])
    func versionsExistAndHaveWhatIsUsed(_ version: String, _ header: String, _ code: String?) throws {
        let request = try request(.PUT, "/acc/cams/x", ["x-ms-version": version, header: "a"])
        do {
            try ServiceVersion.check(request, .putBlob)
            #expect(code == nil)
        } catch {
            #expect(error.code == code)
        }
    }
}
