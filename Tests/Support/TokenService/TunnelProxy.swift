// An HTTP proxy for tests: takes CONNECT from who shows user and password, and passes bytes both ways.
import Foundation
import NIOCore
import NIOPosix
import Synchronization

/// A running proxy, on loopback.
public final class TunnelProxy: Sendable {
    fileprivate final class Log: Sendable {
        let targets = Mutex<[String]>([])
    }

    private let log: Log
    private let listener: LoopbackListener

    private init(log: Log, listener: LoopbackListener) {
        self.log = log
        self.listener = listener
    }

    /// "http://127.0.0.1:PORT".
    public var address: String { "http://127.0.0.1:\(listener.port)" }

    /// "host:port" of each tunnel that was asked for with the right credential.
    public var targets: [String] { log.targets.withLock { $0 } }

    /// Listens. - Parameter credential: "user:password"; nil takes everybody.
    public static func start(credential: String?) async throws -> TunnelProxy {
        let log = Log()
        let wanted = credential.map { "Basic " + Data($0.utf8).base64EncodedString() }
        let listener = try await LoopbackListener.start { channel in
            try channel.pipeline.syncOperations.addHandler(TunnelRequest(wanted: wanted, log: log))
        }
        return TunnelProxy(log: log, listener: listener)
    }

    /// Stops listening and closes every tunnel.
    public func stop() async throws { try await listener.stop() }
}

/// The client's end: first the request, then bytes for the target.
private final class TunnelRequest: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let wanted: String?
    private let log: TunnelProxy.Log
    private var head = ""
    private var target: (any Channel)?

    init(wanted: String?, log: TunnelProxy.Log) {
        self.wanted = wanted
        self.log = log
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        if let target { return target.writeAndFlush(bytes, promise: nil) }
        head += String(buffer: bytes)
        guard head.hasSuffix("\r\n\r\n") else { return }
        let lines = head.split(separator: "\r\n").map(String.init)
        let words = lines.first?.split(separator: " ").map(String.init) ?? []
        let authorization = lines.first { $0.lowercased().hasPrefix("proxy-authorization:") }?.split(
            separator: ":", maxSplits: 1)
        let given = authorization?.last?.trimmingCharacters(in: .whitespaces)
        guard words.count == 3, words[0] == "CONNECT", let colon = words[1].lastIndex(of: ":"),
            let port = Int(words[1][words[1].index(after: colon)...])
        else { return answer("405 Method Not Allowed", context, closes: true) }
        guard wanted == nil || given == wanted else {
            return answer("407 Proxy Authentication Required\r\nProxy-Authenticate: Basic", context, closes: true)
        }
        log.targets.withLock { $0.append(words[1]) }
        connect(String(words[1][..<colon]), port, context)
    }

    func channelInactive(context: ChannelHandlerContext) { target?.close(promise: nil) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func connect(_ host: String, _ port: Int, _ context: ChannelHandlerContext) {
        let client = context.channel
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        ClientBootstrap(group: context.eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(TunnelAnswer(client: client))
                }
            }
            .connect(host: host, port: port)
            .whenComplete { result in
                let (request, context) = bound.value
                switch result {
                case .success(let channel):
                    request.target = channel
                    request.answer("200 Connection established", context, closes: false)
                case .failure: request.answer("502 Bad Gateway", context, closes: true)
                }
            }
    }

    private func answer(_ status: String, _ context: ChannelHandlerContext, closes: Bool) {
        let length = closes ? "Content-Length: 0\r\n" : ""
        let end = context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "HTTP/1.1 \(status)\r\n\(length)\r\n")))
        guard closes else { return }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        end.whenComplete { _ in bound.value.close(promise: nil) }
    }
}

/// The target's end.
private final class TunnelAnswer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let client: any Channel

    init(client: any Channel) { self.client = client }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        client.writeAndFlush(unwrapInboundIn(data), promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { client.close(promise: nil) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
