// A small Azure Blob service for tests and for the local demo: path-style endpoint, Shared Key and SAS checked strictly,
// bearer tokens, block blobs, lists, conditions, checksums, and faults on command. It is validated by the official Python SDK and by
// rclone (Tests/Support/blob-conformance). Not for production: no replication, no syncing, no TLS.
//
// This file starts and stops it. A request's way: HTTPConnection -> BlobRequest (what is asked) -> SharedKey,
// SharedAccessSignature or BearerToken (may it) -> Faults (shall it fail) -> *Operations (do it) -> Catalogue and ExtentStore (keep it).
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix

/// A running Blob service.
public final class BlobServer: Sendable {
    /// What the server is and where it keeps its data.
    public struct Configuration: Sendable {
        /// Address to listen on. Loopback by default, because the control path asks for no credential.
        public var host: String
        /// TCP port; 0 lets the system choose.
        public var port: Int
        /// Name of the storage account; the first part of every path.
        public var account: String
        /// The account's key, in base64 as the service hands it out.
        public var accountKey: String
        /// Folder for data that outlives the process. Absent: everything in memory.
        public var folder: String?
        /// Until when a bearer token is taken. None is by default: whoever wants tokens says which.
        public var tokens: TokenExpiry = { _ in nil }
        /// The clock by which signatures, tokens and leases end and uncommitted blocks are dropped. The system's by default.
        public var now: @Sendable () -> Date = { Date() }

        /// Defaults: loopback, a free port, the account and key that every Blob emulator has, in memory.
        public init(
            host: String = "127.0.0.1", port: Int = 0, account: String = BlobServer.developmentAccount,
            accountKey: String = BlobServer.developmentKey, folder: String? = nil
        ) {
            self.host = host
            self.port = port
            self.account = account
            self.accountKey = accountKey
            self.folder = folder
        }
    }

    /// Why a server does not start; the text says what to do.
    public struct StartError: Error, CustomStringConvertible {
        /// One sentence for a person.
        public let description: String
    }

    /// The account name that storage emulators share.
    public static let developmentAccount = "devstoreaccount1"
    /// The published key of that account. It protects nothing and is no secret.
    public static let developmentKey =
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

    /// The tenant that a challenge names to who comes without a token that is taken.
    public static let tenant = "11111111-2222-3333-4444-555555555555"

    /// The TCP port that it listens on.
    public let port: Int
    /// "http://127.0.0.1:PORT/ACCOUNT", as a client is told.
    public let endpoint: String
    let service: BlobService
    private let channel: any Channel
    private let group: MultiThreadedEventLoopGroup

    private init(
        port: Int, endpoint: String, service: BlobService, channel: any Channel, group: MultiThreadedEventLoopGroup
    ) {
        self.port = port
        self.endpoint = endpoint
        self.service = service
        self.channel = channel
        self.group = group
    }

    /// Opens the data, listens and returns. Throws StartError for a bad key, folder or port.
    public static func start(_ configuration: Configuration = Configuration()) async throws -> BlobServer {
        guard let key = Data(base64Encoded: configuration.accountKey), !key.isEmpty else {
            throw StartError(
                description: "The account key is not base64. Give the key as the storage account shows it.")
        }
        let service = try BlobService(configuration, key: [UInt8](key))
        // File writes block. They block these threads, which belong to this server alone, never Swift's cooperative pool.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 4)
        do {
            let channel = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 256)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                        try channel.pipeline.syncOperations.addHandler(HTTPConnection(service: service))
                    }
                }
                .bind(host: configuration.host, port: configuration.port).get()
            let port = channel.localAddress?.port ?? configuration.port
            return BlobServer(
                port: port, endpoint: "http://\(configuration.host):\(port)/\(configuration.account)",
                service: service, channel: channel, group: group)
        } catch {
            try? await group.shutdownGracefully()
            throw StartError(
                description:
                    "Cannot listen on \(configuration.host):\(configuration.port): \(error). Choose another port.")
        }
    }

    /// Stops listening and closes every connection. What was stored in a folder stays there.
    public func stop() async throws {
        try? await channel.close()
        try await group.shutdownGracefully()
    }

    /// Waits until the server is stopped.
    public func waitUntilClosed() async throws {
        try await channel.closeFuture.get()
    }

    /// Adds faults behind those that still wait.
    public func addFaults(_ faults: [Fault]) {
        service.faults.add(faults)
    }

    /// Forgets every fault that has not happened yet.
    public func clearFaults() {
        service.faults.clear()
    }

    /// Sets the account's limits from now on; nil: none.
    public func limit(_ throttle: Throttle?) {
        service.limit(throttle)
    }

    /// The newest requests, oldest first, at most 10 000.
    public var requests: [RequestRecord] {
        service.faults.requests
    }

    /// Drops all blocks that no block list committed, as the service does after a week.
    public func expireUncommittedBlocks() {
        service.catalogue.expireUncommittedBlocks(before: .distantFuture)
    }

    /// A committed blob's properties, or nil. For tests that check what arrived.
    public func blob(_ name: String, in container: String) -> BlobRecord? {
        service.catalogue.state.containers[container]?.blobs[name]
    }

    /// A committed blob's bytes, or nil. For tests that check what arrived.
    public func content(of name: String, in container: String) -> [UInt8]? {
        guard let record = blob(name, in: container) else { return nil }
        return service.catalogue.extents.read(record.extents)
    }

    /// Makes an empty container, unless it is there.
    public func createContainer(_ name: String) throws {
        guard service.catalogue.state.containers[name] == nil else { return }
        try service.catalogue.commit(.createContainer(name: name, metadata: [], etag: newETag(), at: service.now()))
    }
}
