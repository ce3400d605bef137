// What goes wrong on the way to the storage is told without the request: its address has a signature in it, its headers a token.
import AsyncHTTPClient
import Harness
import NIOCore
import Testing

@testable import CloudUploader

@Suite struct CredentialErrorTests {
    private static let query = "?sv=2021-12-02&sig=canary-signature%2Fwith%2Bsigns%3D"

    /// The library's own errors, for addresses and headers that it does not take and for a port where nobody listens.
    @Test func noErrorQuotesTheAddressOrAHeader() async throws {
        let outbound = Outbound(OutboundSettings())
        let nobody = "http://127.0.0.1:\(try freePort())/cams/a.mp4"
        let cases: [(address: String, token: String)] = [
            (nobody, "canary-token"), ("ftp://127.0.0.1/cams/a.mp4", "canary-token"),
            ("http:///cams/a.mp4", "canary-token"),
            ("http://[::1/a", "canary-token"), ("127.0.0.1/a", "canary-token"),
            // A file of a token with a line end inside: the header cannot be sent.
            (nobody, "canary-token\nsecond line"), (nobody, "canary-token\u{1}"),
        ]
        for (address, token) in cases {
            var request = HTTPClientRequest(url: address + Self.query)
            request.headers.add(name: "authorization", value: "Bearer " + token)
            let error = await #expect(throws: (any Error).self, "\(address)") {
                _ = try await outbound.direct.execute(request, timeout: .seconds(5))
            }
            let reason = Outbound.reason(try #require(error))
            #expect(!reason.isEmpty && Canary.scanner.finds(in: reason, place: "the reason") == [], "\(address)")
        }
        await outbound.close()
    }

    /// The long description has the values of the headers.
    @Test func aHeaderThatCannotBeSentIsNotQuoted() {
        let error = HTTPClientError.invalidHeaderFieldValues(["Bearer canary-token\n"])
        #expect("\(error)".contains("canary"))
        #expect(Outbound.reason(error) == "Invalid header field values")
    }
}
