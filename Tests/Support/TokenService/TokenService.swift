// A service of tokens for tests: the parts of Entra ID, of an Azure machine's metadata address and of Azure Arc's agent that give
// tokens for the storage. TokenBook decides; this file listens.
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL

/// A running service of tokens, on loopback.
public final class TokenService: Sendable {
    /// A certificate with its key, both files in PEM.
    public struct Certificate: Sendable {
        let certificate: String
        let key: String

        /// Paths.
        public init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }

    /// "http://127.0.0.1:PORT", or "https://localhost:PORT" with a certificate.
    public let address: String
    private let listener: LoopbackListener

    private init(address: String, listener: LoopbackListener) {
        self.address = address
        self.listener = listener
    }

    /// The port that it listens on.
    public var port: Int { listener.port }

    /// Listens. `port` 0 lets the system choose.
    public static func start(_ book: TokenBook, port: Int = 0, tls: Certificate? = nil) async throws -> TokenService {
        let context = try tls.map { tls in
            let chain = try NIOSSLCertificate.fromPEMFile(tls.certificate).map {
                NIOSSLCertificateSource.certificate($0)
            }
            let key = try NIOSSLPrivateKey(file: tls.key, format: .pem)
            return try NIOSSLContext(
                configuration: .makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(key)))
        }
        let scheme = tls == nil ? "http://127.0.0.1" : "https://localhost"
        let listener = try await LoopbackListener.start(port: port) { channel in
            let pipeline = channel.pipeline.syncOperations
            if let context { try pipeline.addHandler(NIOSSLServerHandler(context: context)) }
            try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
            let address = "\(scheme):\(channel.localAddress?.port ?? 0)"
            try pipeline.addHandler(TokenConnection(book: book, address: address))
        }
        return TokenService(address: "\(scheme):\(listener.port)", listener: listener)
    }

    /// Stops listening and closes every connection.
    public func stop() async throws { try await listener.stop() }
}

/// One connection: collects a request and answers it.
private final class TokenConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let book: TokenBook
    /// Of the service, which is a part of what an application signs.
    private let address: String
    private var head: HTTPRequestHead?
    private var body = ""

    init(book: TokenBook, address: String) {
        self.book = book
        self.address = address
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = ""
        case .body(let bytes): body += String(buffer: bytes)
        case .end:
            guard let head else { return }
            let headers = Dictionary(head.headers.map { ($0.name.lowercased(), $0.value) }) { $1 }
            let reply = book.answer(
                TokenRequest(method: head.method.rawValue, uri: head.uri, headers: headers, body: body), at: address)
            send(reply, context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func send(_ reply: TokenReply, _ context: ChannelHandlerContext) {
        var headers = HTTPHeaders(reply.headers)
        headers.add(name: "Content-Type", value: "application/json; charset=utf-8")
        headers.add(name: "Content-Length", value: String(reply.body.utf8.count))
        let head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: reply.status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: reply.body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
}
