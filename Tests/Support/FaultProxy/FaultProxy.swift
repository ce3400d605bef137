// An HTTP proxy for tests, between a client and a server on this machine: it passes requests on, does to some of them what a
// script says, and counts the bytes of their bodies as the client sent them. What BlobServer/Faults.swift does is the server
// failing; this is the way to it.
//
// One task for each connection of the client, with one connection to the server (ProxiedConnection.swift).
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// A running proxy.
public final class FaultProxy: Sendable {
    private struct State {
        var script = FaultScript()
        var requests: [ProxiedRequest] = []
    }

    /// The TCP port of loopback that it listens on.
    public let port: Int
    private let state = Mutex(State())
    let gate = Gate()
    private let group: MultiThreadedEventLoopGroup
    private let serving = Mutex<Task<Void, any Error>?>(nil)

    private init(port: Int, group: MultiThreadedEventLoopGroup) {
        self.port = port
        self.group = group
    }

    /// Listens on a free port of loopback, and passes on to another one. Throws where it cannot listen.
    public static func start(to serverPort: Int) async throws -> FaultProxy {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let listener = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .bind(host: "127.0.0.1", port: 0) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: false)
                    return try ClientSide(wrappingChannelSynchronously: channel)
                }
            }
        let proxy = FaultProxy(port: listener.channel.localAddress?.port ?? 0, group: group)
        let accepting = Task { [weak proxy] in
            try await listener.executeThenClose { clients in
                await withDiscardingTaskGroup { connections in
                    do {
                        for try await client in clients {
                            guard let proxy else { return }
                            connections.addTask {
                                await serve(client, for: proxy, group: group, serverPort: serverPort)
                            }
                        }
                    } catch {
                        // The listener was closed.
                    }
                    connections.cancelAll()
                }
            }
        }
        proxy.serving.withLock { $0 = accepting }
        return proxy
    }

    /// Closes every connection and stops listening.
    public func stop() async throws {
        gate.open()
        let accepting = serving.withLock { serving in
            defer { serving = nil }
            return serving
        }
        accepting?.cancel()
        _ = await accepting?.result
        try await group.shutdownGracefully()
    }

    // MARK: The script

    /// Adds faults behind those that still wait.
    public func add(_ faults: [ProxyFault]) { state.withLock { $0.script.add(faults) } }

    /// Forgets every fault that has not happened yet.
    public func clear() { state.withLock { $0.script.clear() } }

    /// The faults that have not happened yet.
    public var waiting: [ProxyFault] { state.withLock { $0.script.waiting } }

    /// Lets all requests that are held go on.
    public func release() { gate.pulse() }

    // MARK: What came

    /// All requests so far, in the order in which they began.
    public var requests: [ProxiedRequest] { state.withLock { $0.requests } }

    /// Requests whose path contains a text.
    public func requests(of path: String) -> [ProxiedRequest] { requests.filter { $0.path.contains(path) } }

    /// Bytes of bodies that the client sent for a path, all attempts together; of one kind of request where it is named.
    public func sentBytes(of path: String, _ operation: String? = nil) -> Int {
        requests(of: path).reduce(0) { $0 + (operation == nil || $1.operation == operation ? $1.bodyBytes : 0) }
    }

    /// Notes a request; gives its place in the record, and what is to happen to it.
    func begin(method: String, target: String) -> (index: Int, fault: ProxyFault.Action?) {
        state.withLock { state in
            let (operation, path) = ProxiedRequest.read(method: method, target: target)
            let fault = state.script.take(operation: operation, path: path)
            state.requests.append(ProxiedRequest(method: method, target: target, fault: fault))
            return (state.requests.count - 1, fault)
        }
    }

    func note(_ index: Int, _ change: (inout ProxiedRequest) -> Void) {
        state.withLock { change(&$0.requests[index]) }
    }
}

/// Where requests wait for a test.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())

    /// Waits for the next `pulse` or `open`.
    func wait() async {
        await withCheckedContinuation { waiter in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters.append(waiter) }
                return state.isOpen
            }
            if isOpen { waiter.resume() }
        }
    }

    /// Lets those go on who wait.
    func pulse() {
        let waiters = state.withLock { state in
            defer { state.waiters = [] }
            return state.waiters
        }
        waiters.forEach { $0.resume() }
    }

    /// Lets everybody go on, also those who come later.
    func open() {
        state.withLock { $0.isOpen = true }
        pulse()
    }
}
