// The calls of the Blob service that an upload needs, one attempt each: sign, send, read the answer. When to try again is
// decided in RetryTable.swift.
//
// Service version 2021-12-02: blocks of up to 4000 MiB, and known to every service and emulator that is in use. It is
// pinned, because the version decides what is signed and how errors look.
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import ServiceKit

/// A call before it is signed.
struct BlobCall: Sendable {
    var method: HTTPMethod
    /// Empty for calls on the container.
    var blob = ""
    var query: [(name: String, value: String)] = []
    /// Names in lower case.
    var headers: [(name: String, value: String)] = []
    var body: [UInt8] = []
}

/// An answer that is no error.
struct BlobAnswer: Sendable {
    let status: Int
    let headers: HTTPHeaders
    let body: [UInt8]
}

final class BlobClient: Sendable {
    static let serviceVersion = "2021-12-02"
    /// Time for a call without its body.
    private static let callTimeout = TimeAmount.seconds(20)
    /// The slowest line that still counts as working: 32 KiB/s.
    private static let slowestBytesPerSecond: Int64 = 32 << 10
    /// A block list of 50000 blocks.
    private static let largestAnswer = 16 << 20

    let location: BlobLocation
    private let secrets: SecretStore
    private let clock: any WallClock
    private let client: HTTPClient

    init(location: BlobLocation, secrets: SecretStore, clock: any WallClock) {
        self.location = location
        self.secrets = secrets
        self.clock = clock
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .disallow
        configuration.httpVersion = .http1Only
        configuration.timeout.connect = .seconds(10)
        // A refused connection is an answer; how often to try is our own decision.
        configuration.connectionPool.retryConnectionEstablishment = false
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    /// A start that fails drops this object without `close`; HTTPClient ends the process when nobody shuts it down.
    deinit { client.shutdown { _ in } }

    /// Waits until every connection has ended.
    func close() async {
        try? await client.shutdown()
    }

    /// Where a blob is, without a signature.
    func url(of blob: String) -> String {
        "\(location.endpoint)/\(location.container)" + (blob.isEmpty ? "" : "/\(BlobText.encodedPath(blob))")
    }

    /// One attempt. Throws CallFailure's cases as BlobCallError, UploadProblem for a credential that cannot be read, or
    /// CancellationError.
    func send(_ call: BlobCall) async throws -> BlobAnswer {
        let request = try sign(call, atUs: clock.nowUs())
        let timeout = Self.callTimeout + .seconds(Int64(call.body.count) / Self.slowestBytesPerSecond)
        let response: HTTPClientResponse
        let body: [UInt8]
        do {
            response = try await client.execute(request, timeout: timeout)
            body = Array(try await response.body.collect(upTo: Self.largestAnswer).readableBytesView)
        } catch {
            if Task.isCancelled { throw CancellationError() }
            // AsyncHTTPClient's errors name addresses and states, never headers.
            throw BlobCallError(failure: .noAnswer(Redaction.redact("\(error)")))
        }
        let status = Int(response.status.code)
        guard status >= 300 else { return BlobAnswer(status: status, headers: response.headers, body: body) }
        // The body of a 403 holds the string that was signed; only the sentence about the clock is looked for.
        let isAboutTime = String(decoding: body, as: UTF8.self).contains("Request date header")
        throw BlobCallError(
            failure: .refused(
                .init(
                    status: status, code: response.headers.first(name: "x-ms-error-code") ?? "",
                    retryAfterSeconds: response.headers.first(name: "retry-after").flatMap { Int($0) },
                    isAboutTime: isAboutTime)))
    }

    private func sign(_ call: BlobCall, atUs nowUs: Int64) throws -> HTTPClientRequest {
        var headers = call.headers
        headers.append(("x-ms-version", Self.serviceVersion))
        let url = url(of: call.blob)
        var query = call.query.map { "\($0.name)=\(BlobText.encodedQuery($0.value))" }
        let secret = try credential()
        if location.isSignature {
            query.append(String(secret.drop { $0 == "?" }))
        } else {
            headers.append(("x-ms-date", BlobText.date(nowUs)))
            guard let signer = SharedKeySigner(account: location.account, base64Key: secret) else {
                throw UploadProblem(
                    reason:
                        "the account key in key-file is not base64; write the key there as the storage account shows it",
                    isRetryable: true, retryAfter: RetryTable.operatorPause, concernsStorage: true)
            }
            let length = call.method == .PUT ? [("content-length", String(call.body.count))] : []
            let path = URLComponents(string: url)?.percentEncodedPath ?? ""
            let parts = SignedParts(
                method: call.method.rawValue, path: path, query: call.query, headers: headers + length)
            headers.append(("authorization", signer.authorization(parts)))
        }
        var request = HTTPClientRequest(url: query.isEmpty ? url : url + "?" + query.joined(separator: "&"))
        request.method = call.method
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        if call.method == .PUT { request.body = .bytes(ByteBuffer(bytes: call.body)) }
        return request
    }

    private func credential() throws -> String {
        do {
            return try secrets.read(path: location.secret).revealed
        } catch {
            throw UploadProblem(
                reason: "\(error)", isRetryable: true, retryAfter: RetryTable.operatorPause, concernsStorage: true)
        }
    }
}

/// How an attempt ended that was not accepted.
struct BlobCallError: Error, Equatable {
    let failure: CallFailure

    /// x-ms-error-code, where there was an answer.
    var code: String? {
        if case .refused(let refusal) = failure { refusal.code } else { nil }
    }
    var status: Int? {
        if case .refused(let refusal) = failure { refusal.status } else { nil }
    }
}
