// Where the services are, from flags and environment, and the clients to them.

import ArgumentParser
import Foundation
import RPC
import Wire

/// The services, as their sockets and flags are called.
enum Role: String, CaseIterable, ExpressibleByArgument {
    case assetRegistry = "asset-registry"
    case captureController = "capture-controller"
    case indexer = "indexer"
    case archiver = "archiver"
    case cloudUploader = "cloud-uploader"
    case mqttEdgeAdapter = "mqtt-edge-adapter"

    /// "SIGHTGLASS_ASSET_REGISTRY".
    var variable: String { "SIGHTGLASS_" + rawValue.uppercased().replacing("-", with: "_") }
}

/// The flags that say where the services are.
struct Connections: ParsableArguments {
    @Option(help: "Folder of the services' sockets.")
    var runDirectory: String = ProcessInfo.processInfo.environment["SIGHTGLASS_RUN_DIRECTORY"] ?? "/run/sightglass"

    @Option(help: "Address of asset-registry.") var assetRegistry: String?
    @Option(help: "Address of capture-controller; others are found by their leases.") var captureController: String?
    @Option(help: "Address of indexer.") var indexer: String?
    @Option(help: "Address of archiver.") var archiver: String?
    @Option(help: "Address of cloud-uploader.") var cloudUploader: String?
    @Option(help: "Address of mqtt-edge-adapter.") var mqttEdgeAdapter: String?

    @Option(help: "Folder with the authority of each role, {role}.pem, for tls+tcp:// addresses.")
    var tlsAuthorities: String?
    @Option(help: "PEM file with this operator's certificate.")
    var tlsCertificate: String?
    @Option(help: "PEM file with this operator's private key.")
    var tlsKey: String?
    @Flag(help: "Allow tcp:// addresses beyond loopback, readable by anybody on the network.")
    var insecure = false

    /// Five seconds: every service answers in milliseconds, and a person waits no longer without wondering.
    @Option(name: .customLong("answer-within"), help: "Longest wait for one answer, such as 5s.")
    var answerWithin: DurationArgument = DurationArgument(milliseconds: 5000)

    /// Who asks, for audit and desired states: "cli:root".
    var operatorName: String { "cli:" + String(NSUserName().prefix(64)) }

    /// The address that flag or environment name; nil: the default one is meant.
    func given(_ role: Role) -> String? {
        let flag: String? =
            switch role {
            case .assetRegistry: assetRegistry
            case .captureController: captureController
            case .indexer: indexer
            case .archiver: archiver
            case .cloudUploader: cloudUploader
            case .mqttEdgeAdapter: mqttEdgeAdapter
            }
        return flag ?? ProcessInfo.processInfo.environment[role.variable]
    }

    /// Where a service is looked for.
    func address(of role: Role) throws -> RPCAddress {
        try address(given(role) ?? "ipc://\(runDirectory)/\(role.rawValue).rpc", name: role.rawValue)
    }

    private func address(_ text: String, name: String) throws -> RPCAddress {
        do {
            return try RPCAddress(parsing: text, allowInsecure: insecure)
        } catch {
            throw Failure("\(name): \(error.message)", Status.usage)
        }
    }

    /// The files of TLS, from flags or, as those of a service, from the environment.
    var tlsPaths: (authorities: String?, certificate: String?, key: String?) {
        let environment = ProcessInfo.processInfo.environment
        return (
            tlsAuthorities ?? environment["SIGHTGLASS_TLS_AUTHORITIES"],
            tlsCertificate ?? environment["SIGHTGLASS_TLS_CERTIFICATE"], tlsKey ?? environment["SIGHTGLASS_TLS_KEY"]
        )
    }

    /// Trusts the one role that is called.
    private func tls(calling role: String) throws -> RPCTLS? {
        switch tlsPaths {
        case (nil, nil, nil): return nil
        case (let authorities?, let certificate?, let key?):
            return RPCTLS(
                authoritiesPath: authorities, trustedRoles: [role], certificatePath: certificate, keyPath: key)
        default: throw Failure("--tls-authorities, --tls-certificate and --tls-key belong together", Status.usage)
        }
    }

    /// A client of a service.
    func client(_ role: Role) throws -> Client {
        Client(role: role.rawValue, try rpcClient(role.rawValue, try address(of: role)), self)
    }

    /// A client of the controller at an address that a lease names.
    func controller(at text: String) throws -> Client {
        let role = Role.captureController.rawValue
        return Client(role: role, try rpcClient(role, try address(text, name: role)), self)
    }

    func rpcClient(_ role: String, _ address: RPCAddress) throws -> RPCClient {
        let client = RPCClient(
            role: role, addresses: [address], caller: operatorName,
            tls: address.needsTLS ? try tls(calling: role) : nil)
        if let problem = client.setupError { throw Failure("\(role): \(problem.message)", Status.usage) }
        return client
    }
}

/// A client whose errors are ready for a person.
struct Client: Sendable {
    let role: String
    let rpc: RPCClient
    private let connections: Connections

    init(role: String, _ rpc: RPCClient, _ connections: Connections) {
        self.role = role
        self.rpc = rpc
        self.connections = connections
    }

    /// `limit`: for the few calls whose work takes longer than a person's usual patience.
    func call<Request, Reply>(
        _ method: RPCMethod<Request, Reply>, _ request: Request, idempotencyKey: String? = nil,
        within limit: Duration? = nil
    ) async throws(Failure) -> Reply {
        do {
            return try await rpc.call(
                method, request, timeout: limit ?? connections.answerWithin.duration, idempotencyKey: idempotencyKey)
        } catch {
            throw failure(error)
        }
    }

    /// An answer of the service, for a person.
    func failure(_ error: RPCError) -> Failure { Failure(error, role: role, connections: connections) }
}
