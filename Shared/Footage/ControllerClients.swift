// The calls that a footage request needs, as a protocol (tests put their own in), and its implementation over RPC.

import RPC
import Wire

/// The neighbours of a footage request.
public protocol FootageNeighbours: Sendable {
    /// The configuration, or an empty one of the same revision where it is still `known`.
    func configuration(known: UInt64?) async throws(RPCError) -> Configuration
    /// All leases in force.
    func leases() async throws(RPCError) -> [Lease]
    /// Asks the controller at `address`.
    func ensureFootage(
        _ request: EnsureFootageRequest, at address: String, timeout: Duration
    ) async throws(RPCError) -> EnsureFootageReply
}

/// Keeps one client for each controller address, because a connection costs more than a call.
public actor ControllerClients {
    private let connect: @Sendable (RPCAddress) throws -> RPCClient
    private let allowInsecure: Bool
    private var clients: [String: RPCClient] = [:]

    /// Addresses come from leases, so their number is the number of controllers; this only stops a registry gone mad.
    private static let maximumClients = 256

    /// - Parameters:
    ///   - allowInsecure: whether a plain `tcp://` address that is not loopback is taken.
    ///   - connect: makes the client of one controller, with the TLS settings of this process.
    public init(allowInsecure: Bool, connect: @escaping @Sendable (RPCAddress) throws -> RPCClient) {
        self.allowInsecure = allowInsecure
        self.connect = connect
    }

    /// The client for a controller's address, as its lease names it.
    public func client(at address: String) throws(RPCError) -> RPCClient {
        if let client = clients[address] { return client }
        guard clients.count < Self.maximumClients else {
            throw .resourceExhausted("\(Self.maximumClients) controllers are connected; \(address) is one too many")
        }
        let parsed = try RPCAddress(parsing: address, allowInsecure: allowInsecure)
        do {
            let client = try connect(parsed)
            clients[address] = client
            return client
        } catch let error as RPCError {
            throw error
        } catch {
            throw .unavailable("cannot open a connection to the controller at \(address): \(error)")
        }
    }

    /// Closes the connections to controllers that hold no lease any more.
    public func retain(only addresses: Set<String>) {
        for (address, client) in clients where !addresses.contains(address) {
            client.close()
            clients[address] = nil
        }
    }
}

/// The neighbours over RPC.
public struct RPCFootageNeighbours: FootageNeighbours {
    private let registry: RPCClient
    private let controllers: ControllerClients
    private let registryTimeout: Duration
    /// A registry that is not connected is not waited for longer than a connection on one host takes: events may come in
    /// bursts, and each would pay.
    private static let connectTime = Duration.milliseconds(200)

    private var timeout: Duration { registry.isConnected ? registryTimeout : min(registryTimeout, Self.connectTime) }

    /// - Parameter registryTimeout: how long the registry may take before the last known answer counts. One second: a
    ///   footage request is urgent, the ring runs over while it waits.
    public init(registry: RPCClient, controllers: ControllerClients, registryTimeout: Duration = .seconds(1)) {
        self.registry = registry
        self.controllers = controllers
        self.registryTimeout = registryTimeout
    }

    /// Asks the registry. Where nothing is known yet there is nothing to fall back to, so the whole time is waited: a process
    /// that has just started is not connected in its first milliseconds.
    public func configuration(known: UInt64?) async throws(RPCError) -> Configuration {
        try await registry.call(
            AssetRegistryMethods.getConfiguration, GetConfigurationRequest(knownRevision: known),
            timeout: known == nil ? registryTimeout : timeout)
    }

    /// Asks the registry.
    public func leases() async throws(RPCError) -> [Lease] {
        try await registry.call(AssetRegistryMethods.listLeases, ListLeasesRequest(), timeout: timeout).leases
    }

    /// Asks one controller.
    public func ensureFootage(
        _ request: EnsureFootageRequest, at address: String, timeout: Duration
    ) async throws(RPCError) -> EnsureFootageReply {
        let client = try await controllers.client(at: address)
        return try await client.call(CaptureControllerMethods.ensureFootage, request, timeout: timeout)
    }
}
