// What the suites of this folder share: requests without a socket, and a client of few lines.
import AsyncHTTPClient
import Crypto
import Foundation
import NIOCore
import NIOHTTP1
import Testing

@testable import BlobServer

/// A request as the server sees it before its body.
func request(_ method: HTTPMethod, _ uri: String, _ headers: HTTPHeaders = [:]) throws -> BlobRequest {
    try BlobRequest(
        head: HTTPRequestHead(version: .http1_1, method: method, uri: uri, headers: headers),
        remoteAddress: "10.0.0.5")
}

/// Starts a server, and stops it whatever becomes of `body`.
func withServer(_ configuration: BlobServer.Configuration = .init(), _ body: (Client) async throws -> Void)
    async throws
{
    let server = try await BlobServer.start(configuration)
    let outcome = await Result { try await body(Client(server: server)) }
    try await server.stop()
    try outcome.get()
}

/// A client of few lines, apart from the uploader's, so that one cannot hide the other's mistakes.
struct Client {
    let server: BlobServer

    struct Answer {
        let status: Int
        let headers: HTTPHeaders
        let body: [UInt8]
        var code: String? { headers.first(name: "x-ms-error-code") }
    }

    func send(_ method: HTTPMethod, _ path: String, headers extra: HTTPHeaders = [:], body: [UInt8] = []) async throws
        -> Answer
    {
        var headers = extra
        headers.add(name: "x-ms-date", value: HTTPDate.rfc1123(Date()))
        headers.add(name: "x-ms-version", value: "2021-12-02")
        var signed = headers
        if method == .PUT || method == .POST { signed.add(name: "Content-Length", value: String(body.count)) }
        let head = HTTPRequestHead(
            version: .http1_1, method: method, uri: "/\(BlobServer.developmentAccount)/\(path)", headers: signed)
        let key = try #require(Data(base64Encoded: BlobServer.developmentKey))
        let text = SharedKey(account: BlobServer.developmentAccount, key: [UInt8](key))
            .stringToSign(try BlobRequest(head: head, remoteAddress: nil))
        let mac = HMAC<SHA256>.authenticationCode(for: Data(text.utf8), using: SymmetricKey(data: key))
        headers.add(
            name: "Authorization",
            value: "SharedKey \(BlobServer.developmentAccount):\(Data(mac).base64EncodedString())")
        return try await plain(method, "\(server.endpoint)/\(path)", headers: headers, body: body)
    }

    func plain(_ method: HTTPMethod, _ url: String, headers: HTTPHeaders = [:], body: [UInt8] = []) async throws
        -> Answer
    {
        var request = HTTPClientRequest(url: url)
        request.method = method
        request.headers = headers
        if method == .PUT || method == .POST { request.body = .bytes(ByteBuffer(bytes: body)) }
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(20))
        let content = try await response.body.collect(upTo: 1 << 26)
        return Answer(
            status: Int(response.status.code), headers: response.headers, body: Array(content.readableBytesView))
    }
}

extension Result where Failure == any Error {
    /// Runs what may throw, and keeps the outcome so that the server can be stopped first.
    fileprivate init(_ body: () async throws -> Success) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}
