// The socket of a faked service. Stopped and started again, it plays a neighbour that goes away and comes back.

import RPC
import Synchronization
import Wire

/// Serves faked methods on one address. Each `start` makes a new RPC server, as a restarted process would.
public final class FakeServer: Sendable {
    /// Where it listens.
    public let address: RPCAddress
    private let maximumMessageBytes: Int
    private let registrations: Mutex<[@Sendable (RPCServer) -> Void]> = Mutex([])
    private let running: Mutex<Task<Void, any Error>?> = Mutex(nil)
    private let log: (@Sendable (String) -> Void)?

    init(address: String, maximumMessageBytes: Int = 1 << 20, log: (@Sendable (String) -> Void)? = nil) throws {
        self.address = try RPCAddress(parsing: address)
        self.maximumMessageBytes = maximumMessageBytes
        self.log = log
    }

    deinit { running.withLock { $0 }?.cancel() }

    func add<Request, Reply>(_ fake: FakeMethod<Request, Reply>) {
        let log = log
        registrations.withLock {
            $0.append { server in
                server.handle(fake.method) { request, context in
                    log?("\(context.caller) \(fake.method.name) \(request)")
                    return try await fake.serve(request, context)
                }
            }
        }
    }

    /// Listens.
    public func start() {
        let server = RPCServer(
            addresses: [address],
            limits: .init(maximumConcurrentRequests: 64, maximumMessageBytes: maximumMessageBytes))
        server.handle(HealthMethods.check) { _, _ in HealthReply(service: "fake", live: true, ready: true) }
        registrations.withLock { $0 }.forEach { $0(server) }
        running.withLock { $0 = Task { try await server.run() } }
    }

    /// Goes away; clients see a neighbour that does not answer.
    public func stop() async {
        let task = running.withLock { running in
            defer { running = nil }
            return running
        }
        task?.cancel()
        _ = await task?.result
    }
}
