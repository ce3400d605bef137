// One connection of the client, with its connection to the server: a request after the other, each as the script says.
import NIOCore
import NIOHTTP1
import NIOPosix

typealias ClientSide = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>
typealias ServerSide = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

/// Ends both connections.
private struct Cut: Error {}

/// Serves a connection until either side closes it or a fault does.
func serve(_ client: ClientSide, for proxy: FaultProxy, group: any EventLoopGroup, serverPort: Int) async {
    // However it ends: both connections are closed, and that is what the two sides see of it.
    try? await client.executeThenClose { requests, answer in
        let server = try await ClientBootstrap(group: group).connect(host: "127.0.0.1", port: serverPort) { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHTTPClientHandlers()
                return try ServerSide(wrappingChannelSynchronously: channel)
            }
        }
        try await server.executeThenClose { answers, ask in
            var connection = ProxiedConnection(
                proxy: proxy, requests: requests.makeAsyncIterator(), answer: answer,
                answers: answers.makeAsyncIterator(), ask: ask)
            while try await connection.exchange() {}
        }
    }
}

private struct ProxiedConnection {
    let proxy: FaultProxy
    var requests: NIOAsyncChannelInboundStream<HTTPServerRequestPart>.AsyncIterator
    let answer: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
    var answers: NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator
    let ask: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>

    /// One request and its answer. False when there will be no other.
    mutating func exchange() async throws -> Bool {
        guard case .head(let head)? = try await requests.next() else { return false }
        let (index, fault) = proxy.begin(method: head.method.rawValue, target: head.uri)
        if case .answer(let status, let code, let retryAfterSeconds) = fault {
            try await takeAll(index)
            try await refuse(head, index, status, code, retryAfterSeconds)
            return true
        }
        let limit = Self.limit(fault, length: head.headers.first(name: "content-length").flatMap { Int($0) } ?? 0)
        if limit == 0 { try await reached(index, fault) }
        try await ask.write(.head(head))
        try await passBody(index, fault, limit: limit)
        try await ask.write(.end(nil))
        try await passAnswer(index, fault)
        return head.isKeepAlive
    }

    /// After how many bytes of the body a cut or a hold comes; nil for other faults.
    private static func limit(_ fault: ProxyFault.Action?, length: Int) -> Int? {
        switch fault {
        case .cut(let bytes), .hold(let bytes): bytes < length ? bytes : length / 2
        default: nil
        }
    }

    /// The place of a cut or a hold was reached.
    private func reached(_ index: Int, _ fault: ProxyFault.Action?) async throws {
        if case .cut = fault { throw Cut() }
        await held(index)
    }

    private func held(_ index: Int) async {
        proxy.note(index) { $0.isHeld = true }
        await proxy.gate.wait()
        proxy.note(index) { $0.isHeld = false }
    }

    // MARK: To the server

    /// The next bytes of the body; nil at its end.
    private mutating func nextBytes() async throws -> ByteBuffer? {
        switch try await requests.next() {
        case .body(let bytes): return bytes
        case .end: return nil
        case .head, nil: throw Cut()
        }
    }

    private mutating func takeAll(_ index: Int) async throws {
        while let bytes = try await nextBytes() { proxy.note(index) { $0.bodyBytes += bytes.readableBytes } }
    }

    private mutating func passBody(_ index: Int, _ fault: ProxyFault.Action?, limit: Int?) async throws {
        var offset = 0
        while var bytes = try await nextBytes() {
            let start = offset
            offset += bytes.readableBytes
            if let limit, limit > start, limit <= offset, let first = bytes.readSlice(length: limit - start) {
                proxy.note(index) { $0.bodyBytes += limit - start }
                try await pass(first)
                try await reached(index, fault)
            }
            switch fault {
            case .crawl(let rate):
                // A tenth of a second's bytes at a time.
                while let piece = bytes.readSlice(length: min(bytes.readableBytes, max(rate / 10, 1))),
                    piece.readableBytes > 0
                {
                    proxy.note(index) { $0.bodyBytes += piece.readableBytes }
                    try await pass(piece)
                    try await Task.sleep(for: .milliseconds(piece.readableBytes * 1000 / max(rate, 1)))
                }
            default:
                proxy.note(index) { $0.bodyBytes += bytes.readableBytes }
                if case .flip(let place) = fault { bytes.flipBit(of: place - start) }
                try await pass(bytes)
            }
        }
    }

    private func pass(_ bytes: ByteBuffer) async throws {
        try await ask.write(.body(.byteBuffer(bytes)))
    }

    // MARK: To the client

    private mutating func passAnswer(_ index: Int, _ fault: ProxyFault.Action?) async throws {
        var parts: [HTTPServerResponsePart] = []
        var status = 0
        var offset = 0
        loop: while let part = try await answers.next() {
            switch part {
            case .head(let head):
                status = Int(head.status.code)
                parts.append(.head(HTTPResponseHead(version: head.version, status: head.status, headers: head.headers)))
            case .body(var bytes):
                if case .flipReply(let place) = fault { bytes.flipBit(of: place - offset) }
                offset += bytes.readableBytes
                parts.append(.body(.byteBuffer(bytes)))
            case .end(let trailers):
                parts.append(.end(trailers))
                break loop
            }
        }
        guard case .end? = parts.last else { throw Cut() }
        proxy.note(index) { $0.serverStatus = status }
        if fault == .loseReply { throw Cut() }
        if fault == .holdReply { await held(index) }
        for part in parts { try await answer.write(part) }
        proxy.note(index) { $0.status = status }
    }

    private func refuse(
        _ head: HTTPRequestHead, _ index: Int, _ status: Int, _ code: String, _ retryAfterSeconds: Int?
    ) async throws {
        let text = "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>\(code)</Code></Error>"
        var headers: HTTPHeaders = ["x-ms-error-code": code, "content-length": String(text.utf8.count)]
        if let retryAfterSeconds { headers.add(name: "retry-after", value: String(retryAfterSeconds)) }
        try await answer.write(
            .head(HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: status), headers: headers))
        )
        if head.method != .HEAD { try await answer.write(.body(.byteBuffer(ByteBuffer(string: text)))) }
        try await answer.write(.end(nil))
        proxy.note(index) { $0.status = status }
    }
}

extension ByteBuffer {
    /// Turns one bit of the byte at `place` after the first readable one, if it is among them.
    fileprivate mutating func flipBit(of place: Int) {
        guard (0..<readableBytes).contains(place), let byte: UInt8 = getInteger(at: readerIndex + place) else { return }
        setInteger(byte ^ 1, at: readerIndex + place)
    }
}
