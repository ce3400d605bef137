// One connection: takes the parts of each request as NIO gives them, writes bodies to the extent store as they come, and
// sends answers in pieces, so that a large blob is never in memory. It runs on its connection's event loop only.
import Foundation
import NIOCore
import NIOHTTP1

final class HTTPConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// What is known of the request that is being received.
    private final class Exchange {
        let head: HTTPRequestHead
        let requestID = UUID().uuidString.lowercased()
        var request: BlobRequest?
        var operation: BlobOperation?
        var fault: Fault?
        /// The answer that is certain already; the body is read and thrown away.
        var refusal: ServiceError?
        var writer: ExtentWriter?
        var collected = ByteBuffer()
        var maximumBytes = 0
        var checksums: BodyChecksums?
        var receivedBytes = 0

        init(head: HTTPRequestHead) {
            self.head = head
        }
    }

    private static let chunkBytes = 256 << 10
    private let service: BlobService
    private var exchange: Exchange?

    init(service: BlobService) {
        self.service = service
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            let exchange = Exchange(head: head)
            self.exchange = exchange
            begin(exchange, context: context)
        case .body(let bytes):
            guard let exchange else { return }
            take(bytes, exchange, context: context)
        case .end:
            guard let exchange else { return }
            self.exchange = nil
            finish(exchange, context: context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if let writer = exchange?.writer { service.catalogue.extents.discard(writer) }
        exchange = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func begin(_ exchange: Exchange, context: ChannelHandlerContext) {
        if exchange.head.headers.first(name: "expect")?.lowercased() == "100-continue" {
            context.writeAndFlush(
                wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
        }
        if exchange.head.uri.hasPrefix("/_control/") {
            exchange.maximumBytes = 1 << 20
            return
        }
        do throws(ServiceError) {
            let request = try BlobRequest(head: exchange.head, remoteAddress: context.remoteAddress?.ipAddress)
            exchange.request = request
            let operation = try request.operation()
            exchange.operation = operation
            exchange.fault = service.faults.take(operation, path: "\(request.container)/\(request.blob)")
            if exchange.fault?.action == .close, exchange.fault?.afterBytes == 0 { return context.close(promise: nil) }
            try service.admit(request)
            try service.authorize(request, operation, now: service.now())
            try BodyChecksums.check(request)
            switch try service.plan(request, operation) {
            case .collect(let maximumBytes): exchange.maximumBytes = maximumBytes
            case .store:
                exchange.checksums = BodyChecksums(of: request, operation)
                do {
                    exchange.writer = try service.catalogue.extents.makeWriter()
                } catch {
                    throw ServiceError.internalError
                }
            }
        } catch {
            exchange.refusal = error
        }
    }

    private func take(_ bytes: ByteBuffer, _ exchange: Exchange, context: ChannelHandlerContext) {
        var bytes = bytes
        let isFirst = exchange.receivedBytes == 0
        exchange.receivedBytes += bytes.readableBytes
        if let fault = exchange.fault {
            switch fault.action {
            case .close where exchange.receivedBytes >= fault.afterBytes:
                log(exchange, status: 0)
                if let writer = exchange.writer { service.catalogue.extents.discard(writer) }
                exchange.writer = nil
                return context.close(promise: nil)
            case .corrupt where isFirst: bytes.flipFirstBit()
            default: break
            }
        }
        guard exchange.refusal == nil else { return }
        if let writer = exchange.writer {
            bytes.withUnsafeReadableBytes { exchange.checksums?.update($0) }
            do {
                try writer.append(bytes)
            } catch {
                exchange.refusal = .internalError
            }
        } else {
            guard exchange.collected.readableBytes + bytes.readableBytes <= exchange.maximumBytes else {
                exchange.refusal = .bodyTooLarge
                return
            }
            exchange.collected.writeBuffer(&bytes)
        }
    }

    private func finish(_ exchange: Exchange, context: ChannelHandlerContext) {
        if exchange.head.uri.hasPrefix("/_control/") {
            let body = Array(exchange.collected.readableBytesView)
            let answer =
                service.control(method: exchange.head.method, path: exchange.head.uri, body: body)
                ?? BlobResponse(.notFound)
            return send(answer, exchange, context: context)
        }
        guard let fault = exchange.fault, fault.action == .slow else {
            return answer(exchange, context: context)
        }
        // The loop-bound boxes carry the two over the timer; it fires on this same loop.
        let bound = NIOLoopBound((self, exchange, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .milliseconds(Int64(fault.delayMs))) {
            let (connection, exchange, context) = bound.value
            connection.answer(exchange, context: context)
        }
    }

    private func answer(_ exchange: Exchange, context: ChannelHandlerContext) {
        var response: BlobResponse
        do {
            response = try result(of: exchange)
        } catch let error as ServiceError {
            response = BlobResponse(error.status)
            response.headers.add(name: "x-ms-error-code", value: error.code)
            if error.status == .unauthorized {
                response.headers.add(
                    name: "WWW-Authenticate",
                    value:
                        "Bearer authorization_uri=https://login.microsoftonline.com/\(BlobServer.tenant)/oauth2/authorize "
                        + "resource_id=https://storage.azure.com")
            }
            for header in error.headers { response.headers.add(name: header.name, value: header.value) }
            if exchange.fault?.action == .status, let seconds = exchange.fault?.retryAfterSeconds {
                response.headers.add(name: "Retry-After", value: String(seconds))
            }
            if exchange.head.method != .HEAD, error.status != .notModified {
                response.headers.add(name: "Content-Type", value: "application/xml")
                response.body = .bytes(error.body(requestID: exchange.requestID, time: service.now()))
            }
        } catch {
            response = BlobResponse(.internalServerError, headers: ["x-ms-error-code": "InternalError"])
        }
        if exchange.fault?.action == .replyLost {
            log(exchange, status: 0)
            return context.close(promise: nil)
        }
        log(exchange, status: Int(response.status.code))
        response.headers.add(
            name: "x-ms-version", value: exchange.request?.version ?? ServiceVersion.oldest)
        if let id = exchange.request?.header("x-ms-client-request-id") {
            response.headers.add(name: "x-ms-client-request-id", value: id)
        }
        send(response, exchange, context: context)
    }

    /// Verifies the body and does what was asked. An extent that ends up unused is removed.
    private func result(of exchange: Exchange) throws -> BlobResponse {
        var stored: Extent?
        do {
            if let fault = exchange.fault, fault.action == .status {
                throw ServiceError(
                    HTTPResponseStatus(statusCode: fault.status), fault.code, "A fault that was asked for.")
            }
            if let refusal = exchange.refusal { throw refusal }
            guard let request = exchange.request, let operation = exchange.operation else {
                throw ServiceError.internalError
            }
            var body = ReceivedBody()
            if let writer = exchange.writer {
                stored = service.catalogue.extents.finish(writer)
                body.extent = stored
            } else {
                body.bytes = Array(exchange.collected.readableBytesView)
                exchange.checksums = BodyChecksums(of: request, operation)
                exchange.collected.withUnsafeReadableBytes { exchange.checksums?.update($0) }
            }
            if let sums = exchange.checksums {
                try sums.verify(request)
                body.md5Base64 = sums.md5Base64
                body.crc64Base64 = sums.crc64Base64
            }
            return try service.perform(request, operation, body: body, now: service.now())
        } catch {
            if let stored {
                service.catalogue.extents.remove(stored)
            } else if let writer = exchange.writer {
                service.catalogue.extents.discard(writer)
            }
            throw error
        }
    }

    private func log(_ exchange: Exchange, status: Int) {
        guard let request = exchange.request else { return }
        service.faults.record(
            RequestRecord(
                operation: exchange.operation, path: "\(request.container)/\(request.blob)", status: status,
                receivedBytes: exchange.receivedBytes))
    }

    private func send(_ response: BlobResponse, _ exchange: Exchange, context: ChannelHandlerContext) {
        var head = HTTPResponseHead(version: .http1_1, status: response.status, headers: response.headers)
        head.headers.add(name: "Server", value: "Sightglass-BlobServer/1.0")
        head.headers.add(name: "Date", value: HTTPDate.rfc1123(service.now()))
        head.headers.add(name: "x-ms-request-id", value: exchange.requestID)
        let closes = exchange.head.isKeepAlive ? false : true
        if closes { head.headers.add(name: "Connection", value: "close") }
        var slices: [ExtentSlice] = []
        var bytes: [UInt8] = []
        switch response.body {
        case .none:
            if !head.headers.contains(name: "Content-Length") { head.headers.add(name: "Content-Length", value: "0") }
        case .bytes(let content):
            bytes = content
            head.headers.add(name: "Content-Length", value: String(bytes.count))
        case .extents(let content): slices = content
        }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if !bytes.isEmpty { context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil) }
        stream(slices[...], corrupts: exchange.fault?.action == .corrupt, closes: closes, context: context)
    }

    /// Writes the next chunk, and goes on when it has left; ends the answer when there is none.
    private func stream(_ slices: ArraySlice<ExtentSlice>, corrupts: Bool, closes: Bool, context: ChannelHandlerContext)
    {
        guard let slice = slices.first else {
            let end = context.writeAndFlush(wrapOutboundOut(.end(nil)))
            if closes {
                let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
                end.whenComplete { _ in bound.value.close(promise: nil) }
            }
            return
        }
        let length = min(slice.length, Self.chunkBytes)
        guard var chunk = service.catalogue.extents.read(slice.extent, offset: slice.offset, length: length) else {
            return context.close(promise: nil)
        }
        if corrupts { chunk.flipFirstBit() }
        var rest = slices.dropFirst()
        if length < slice.length {
            rest =
                [ExtentSlice(extent: slice.extent, offset: slice.offset + length, length: slice.length - length)] + rest
        }
        let bound = NIOLoopBound((self, rest, context), eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(chunk)))).whenComplete { outcome in
            let (connection, rest, context) = bound.value
            switch outcome {
            case .success: connection.stream(rest, corrupts: false, closes: closes, context: context)
            case .failure: context.close(promise: nil)
            }
        }
    }
}

extension ByteBuffer {
    fileprivate mutating func flipFirstBit() {
        guard let byte: UInt8 = getInteger(at: readerIndex) else { return }
        setInteger(byte ^ 1, at: readerIndex)
    }
}
