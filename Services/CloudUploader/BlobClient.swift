// The calls of the Blob service that an upload needs, one attempt each: sign, send, read the answer. When to try again is
// decided in RetryTable.swift.
//
// Service version 2021-12-02: blocks of up to 4000 MiB, and known to every service and emulator that is in use. It is
// pinned, because the version decides what is signed and how errors look.
import AsyncHTTPClient
import Claims
import Foundation
import NIOCore
import NIOHTTP1
import ServiceKit
import Synchronization

/// A call before it is signed.
struct BlobCall: Sendable {
    var method: HTTPMethod
    /// Empty for calls on the container.
    var blob = ""
    var query: [(name: String, value: String)] = []
    /// Names in lower case.
    var headers: [(name: String, value: String)] = []
    var body = BlobBody.none
    /// Told of the body's bytes as they go, and that they did not count where the attempt fails.
    var progress: ClaimProgress?

    func hasHeader(_ name: String) -> Bool { headers.contains { $0.name == name } }
}

/// An answer that is no error.
struct BlobAnswer: Sendable {
    let status: Int
    let headers: HTTPHeaders
    let body: [UInt8]
}

final class BlobClient: Sendable {
    static let serviceVersion = "2021-12-02"
    /// AsyncHTTPClient wants a bound in all. AttemptWatch knows better when an attempt is lost.
    private static let longestAttempt = TimeAmount.hours(24 * 7)
    /// A block list of 50000 blocks.
    private static let largestAnswer = 16 << 20

    let location: BlobLocation
    /// The account, where the endpoint does not name it in its host.
    private let endpointPath: String
    private let authorizer: any Authorizer
    private let clock: any WallClock
    /// What everything sent and read goes over.
    let line: any Line
    private let outbound: Outbound
    private let client: HTTPClient
    private let patience = Mutex(Patience())
    private let watches = AttemptWatches()

    init(
        location: BlobLocation, authorizer: any Authorizer, outbound: Outbound, clock: any WallClock, line: any Line
    ) {
        self.location = location
        endpointPath = URLComponents(string: location.endpoint)?.percentEncodedPath ?? ""
        self.authorizer = authorizer
        self.clock = clock
        self.line = line
        self.outbound = outbound
        client = outbound.client(for: location.endpoint)
    }

    /// How reasons speak of what the storage account takes or refuses.
    var credential: CredentialWords { authorizer.words }

    /// Waits until every connection has ended.
    func close() async {
        await authorizer.close()
        await outbound.close()
    }

    /// Where a blob is, without a signature.
    func url(of blob: String) -> String { location.endpoint + path(of: blob) }

    /// What stands behind the endpoint in its address.
    private func path(of blob: String) -> String {
        "/\(location.container)" + (blob.isEmpty ? "" : "/\(BlobText.encodedPath(blob))")
    }

    /// One attempt; where the storage account refuses a credential and there is another one by then, a second one with that. So a
    /// token or a signature that ends in the middle of a blob costs one refusal. Throws CallFailure's cases as BlobCallError,
    /// UploadProblem where no credential can be had, VolumeError where a file cannot be read, or CancellationError.
    func send(_ call: BlobCall) async throws -> BlobAnswer {
        do {
            return try await sendOnce(call)
        } catch let error as BlobCallError where error.refusesCredential {
            guard let mark = error.mark, await authorizer.renew(after: mark) else { throw error }
            return try await sendOnce(call)
        }
    }

    /// The request is authorized when it has its place on the line: what is signed holds a time, which the wait would use up.
    private func sendOnce(_ call: BlobCall) async throws -> BlobAnswer {
        let ticket = try await line.begin()
        let watch = AttemptWatch(patience.withLock { $0 }, progress: call.progress)
        do {
            // A body in memory leaves at once, so it waits here; a file's pieces wait while they are sent.
            if case .memory(let buffer) = call.body { try await line.pace(bytes: buffer.readableBytes) }
            let (request, mark) = try await authorized(call)
            let answer = try await attempt(call, request, mark, watch)
            line.end(ticket, .answered(sentBytes: watch.sentBytes))
            patience.withLock { $0.arrived(bytes: watch.sentBytes, in: .now - ticket.beganAt) }
            return answer
        } catch {
            watch.takeBack()
            // What ends otherwise failed on our side, which says nothing of the line.
            let failure = (error as? BlobCallError)?.failure
            line.end(
                ticket,
                failure.map { LineOutcome($0, sentBytes: watch.sentBytes) } ?? .answered(sentBytes: watch.sentBytes))
            throw error
        }
    }

    private func attempt(
        _ call: BlobCall, _ bare: HTTPClientRequest, _ mark: CredentialMark, _ watch: AttemptWatch
    ) async throws -> BlobAnswer {
        var request = bare
        // The time that the line and a credential took is not the storage's.
        watch.expectProgress(bytes: 0)
        switch call.body {
        case .none where call.method == .PUT: request.body = .bytes(ByteBuffer())
        case .none: break
        case .memory(let buffer):
            watch.expectProgress(bytes: buffer.readableBytes)
            request.body = .bytes(buffer)
        case .file(let file, let offset, let count):
            let pieces = BodyPieces(file: file, offset: offset, count: count, line: line, watch: watch)
            request.body = .stream(pieces, length: .known(Int64(count)))
        }
        let status: Int
        let headers: HTTPHeaders
        let body: [UInt8]
        do {
            (status, headers, body) = try await exchange(request, watch)
        } catch {
            if Task.isCancelled { throw CancellationError() }
            if error is AttemptWatch.Stalled, watch.sentBytes > 0 { patience.withLock { $0.stalled(watch.patience) } }
            if let problem = watch.bodyError { throw problem }
            throw BlobCallError(failure: .noAnswer(Outbound.reason(error)))
        }
        guard status >= 300 else { return BlobAnswer(status: status, headers: headers, body: body) }
        // The body of a 403 holds the string that was signed; only the sentence about the clock is looked for. A HEAD has none.
        let isAboutTime =
            String(decoding: body, as: UTF8.self).contains("Request date header")
            || status == 403 && body.isEmpty
                && StorageClock.refuses(
                    signed: request.headers.first(name: "x-ms-date"), answered: headers.first(name: "date"))
        throw BlobCallError(
            failure: .refused(
                .init(
                    status: status, code: headers.first(name: "x-ms-error-code") ?? "",
                    retryAfterSeconds: headers.first(name: "retry-after").flatMap {
                        RetryAfter.seconds($0, date: headers.first(name: "date"), nowUs: clock.nowUs())
                    },
                    isAboutTime: isAboutTime)), mark: mark)
    }

    /// Sends and reads the answer, as long as the watch sees progress.
    private func exchange(
        _ request: HTTPClientRequest, _ watch: AttemptWatch
    ) async throws -> (Int, HTTPHeaders, [UInt8]) {
        try await watches.perform(watch) { [client] in
            let response = try await client.execute(request, deadline: .now() + Self.longestAttempt)
            let body = try await response.body.collect(upTo: Self.largestAnswer)
            return (Int(response.status.code), response.headers, Array(body.readableBytesView))
        }
    }

    /// The request with what makes the storage account take it.
    private func authorized(_ call: BlobCall) async throws -> (request: HTTPClientRequest, mark: CredentialMark) {
        let path = path(of: call.blob)
        let url = location.endpoint + path
        let headers = call.headers + [("x-ms-version", Self.serviceVersion)]
        let length = call.method == .PUT ? [("content-length", String(call.body.count))] : []
        let parts = SignedParts(
            method: call.method.rawValue, path: endpointPath + path, query: call.query, headers: headers + length)
        let authorization = try await authorizer.authorize(parts, nowUs: clock.nowUs())
        var query = call.query.map { "\($0.name)=\(BlobText.encodedQuery($0.value))" }
        if !authorization.query.isEmpty { query.append(authorization.query) }
        var request = HTTPClientRequest(url: query.isEmpty ? url : url + "?" + query.joined(separator: "&"))
        request.method = call.method
        for (name, value) in headers + authorization.headers { request.headers.add(name: name, value: value) }
        return (request, authorization.mark)
    }
}

/// How an attempt ended that was not accepted.
struct BlobCallError: Error, Equatable {
    let failure: CallFailure
    /// The credential that was sent, where there was an answer.
    var mark: CredentialMark?

    /// x-ms-error-code, where there was an answer.
    var code: String? {
        if case .refused(let refusal) = failure { refusal.code } else { nil }
    }
    var status: Int? {
        if case .refused(let refusal) = failure { refusal.status } else { nil }
    }
    /// Whether it is the credential that was refused, and not what was asked for with it. Service versions up to 2019 answer
    /// 403 to a token that has ended, later ones 401.
    var refusesCredential: Bool {
        guard case .refused(let refusal) = failure, !refusal.isAboutTime else { return false }
        return refusal.status == 401 || refusal.status == 403 && refusal.code == "AuthenticationFailed"
    }
}
