// A TCP server on loopback with one thread, for the services of this folder.
import NIOCore
import NIOPosix

struct LoopbackListener: Sendable {
    let port: Int
    private let channel: any Channel
    private let group: MultiThreadedEventLoopGroup

    /// `port` 0 lets the system choose. `handlers` go to the end of each connection's pipeline, on its event loop, which is the same
    /// for all.
    static func start(
        port: Int = 0, handlers: @escaping @Sendable (any Channel) throws -> Void
    ) async throws -> LoopbackListener {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in channel.eventLoop.makeCompletedFuture { try handlers(channel) } }
            .bind(host: "127.0.0.1", port: port).get()
        return LoopbackListener(port: channel.localAddress?.port ?? port, channel: channel, group: group)
    }

    /// Stops listening and closes every connection.
    func stop() async throws {
        try? await channel.close()
        try await group.shutdownGracefully()
    }
}
