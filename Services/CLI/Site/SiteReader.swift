// Asks all services of a site how they are, at the same time. What does not answer is left out: that is an answer too.

import Foundation
import RPC
import Wire

struct SiteReader: Sendable {
    let connections: Connections
    /// Two seconds at most: a service that takes longer to say how it is, is not well.
    var limit: Duration { min(connections.answerWithin.duration, .seconds(2)) }

    /// Asks everybody.
    func read() async throws -> SiteStatus {
        let registry = try connections.client(.assetRegistry)
        let indexer = try connections.client(.indexer)
        let (limit, connections) = (limit, connections)
        // What of a service that is away cannot be asked is not waited for again and again: all at once.
        async let leases = Self.ask(registry, AssetRegistryMethods.listLeases, ListLeasesRequest(), limit)
        async let configuration = Self.ask(
            registry, AssetRegistryMethods.getConfiguration, GetConfigurationRequest(), limit)
        async let uploads = Self.ask(indexer, IndexerMethods.listUploads, ListUploadsRequest(limit: 0), limit)
        async let open = Self.ask(
            indexer, IndexerMethods.listRequests, ListRequestsRequest(openOnly: true, limit: 200), limit)
        let others = Role.allCases.filter { $0 != .captureController }
        async let health = Self.each(others) { role in
            await Self.health(
                role, at: try connections.address(of: role).description, try connections.client(role), limit)
        }
        var status = SiteStatus(atUs: WindowArguments.nowUs())
        status.leases = await leases?.leases ?? []
        let addresses = try addresses(status.leases)
        async let replies = statuses(addresses)
        async let controllerHealth = Self.each(addresses) { address in
            await Self.health(.captureController, at: address, try connections.controller(at: address), limit)
        }
        status.configuration = await configuration
        status.uploads = await uploads
        status.openRequests = await open?.requests
        let answers = try await replies
        status.controllers = answers.compactMap(\.0).sorted { ($0.controllerID ?? "") < ($1.controllerID ?? "") }
        let order = Role.allCases
        status.services = try await (health + controllerHealth).sorted {
            (order.firstIndex(of: $0.role) ?? 0, $0.name) < (order.firstIndex(of: $1.role) ?? 0, $1.name)
        }
        // What controllers say is as old as their answer, not as that of whoever did not answer at all.
        status.atUs = answers.map(\.1).max() ?? WindowArguments.nowUs()
        return status
    }

    /// What the controllers that hold these leases say now.
    func controllers(holding leases: [Lease]) async throws -> [ListStatusReply] {
        try await statuses(try addresses(leases)).compactMap(\.0)
    }

    /// What each controller says, and when it came.
    private func statuses(_ addresses: [String]) async throws -> [(ListStatusReply?, Int64)] {
        let (limit, connections) = (limit, connections)
        return try await Self.each(addresses) { address in
            let reply = await Self.ask(
                try connections.controller(at: address), CaptureControllerMethods.listStatus, ListStatusRequest(), limit
            )
            return (reply, WindowArguments.nowUs())
        }
    }

    /// Every controller that holds a lease; the one at the default address where none is known, or where it is named.
    private func addresses(_ leases: [Lease]) throws -> [String] {
        let held = Set(leases.compactMap(\.holderAddress).filter { !$0.isEmpty })
        if held.isEmpty || connections.given(.captureController) != nil {
            return held.union([try connections.address(of: .captureController).description]).sorted()
        }
        return held.sorted()
    }

    private static func health(_ role: Role, at address: String, _ client: Client, _ limit: Duration) async
        -> ServiceHealth
    {
        do {
            let reply = try await client.rpc.call(HealthMethods.check, HealthRequest(), timeout: limit)
            return ServiceHealth(role: role, address: address, reply: reply, error: nil)
        } catch {
            return ServiceHealth(role: role, address: address, reply: nil, error: error.message)
        }
    }

    private static func ask<Request, Reply>(
        _ client: Client, _ method: RPCMethod<Request, Reply>, _ request: Request, _ limit: Duration
    ) async -> Reply? {
        try? await client.rpc.call(method, request, timeout: limit)
    }

    private static func each<Element: Sendable, Value: Sendable>(
        _ elements: [Element], _ body: @escaping @Sendable (Element) async throws -> Value
    ) async throws -> [Value] {
        try await withThrowingTaskGroup(of: Value.self) { group in
            for element in elements { group.addTask { try await body(element) } }
            var all: [Value] = []
            for try await value in group { all.append(value) }
            return all
        }
    }
}
