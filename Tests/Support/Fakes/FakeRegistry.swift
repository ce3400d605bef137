// A faked asset-registry: one configuration, as the test sets it, and leases for whoever asks.

import RPC
import Synchronization
import Wire

/// The asset-registry as its neighbours see it.
public final class FakeRegistry: Sendable {
    /// Its socket.
    public let server: FakeServer
    /// Its hints.
    public let hints: HintPublisher
    /// Gives the configuration of `configure`.
    public let getConfiguration: FakeMethod<GetConfigurationRequest, Configuration>
    /// Answers with the stream, running or not.
    public let setDesiredState: FakeMethod<SetDesiredStateRequest, SetDesiredStateReply>
    /// Gives the asker every enabled source, always under epoch 1.
    public let acquireLeases: FakeMethod<AcquireLeasesRequest, AcquireLeasesReply>
    /// Takes every release.
    public let releaseLeases: FakeMethod<ReleaseLeasesRequest, ReleaseLeasesReply>
    /// Lists what acquireLeases gave.
    public let listLeases: FakeMethod<ListLeasesRequest, ListLeasesReply>
    /// Takes every document and finds nothing wrong.
    public let apply: FakeMethod<ApplyRequest, ApplyReply>
    /// Knows no document.
    public let getDocuments: FakeMethod<GetDocumentsRequest, GetDocumentsReply>

    /// Nothing changed.
    public let changes: FakeMethod<ChangesRequest, RegistryChangesReply>

    private final class Held: Sendable {
        let configuration = Mutex(Configuration(revision: 1))
        let leases: Mutex<[Lease]> = Mutex([])
    }

    private let held: Held

    /// A faked registry on two addresses; call `server.start()`.
    public init(address: String, hints: String, log: (@Sendable (String) -> Void)? = nil) throws {
        server = try FakeServer(address: address, log: log)
        self.hints = try HintPublisher(addresses: [RPCAddress(parsing: hints)])
        let held = Held()
        self.held = held
        getConfiguration = FakeMethod(AssetRegistryMethods.getConfiguration, on: server) { request, _ in
            let configuration = held.configuration.withLock { $0 }
            return request.knownRevision == configuration.revision
                ? Configuration(revision: configuration.revision) : configuration
        }
        setDesiredState = FakeMethod(AssetRegistryMethods.setDesiredState, on: server) { request, _ in
            let known = held.configuration.withLock { $0.streams.first { $0.name == request.stream } }
            guard var stream = known else {
                let name = "\(request.stream?.asset ?? "")/\(request.stream?.stream ?? "")"
                throw RPCError.notFound("no stream \(name)")
            }
            stream.desired = DesiredState(
                running: request.running, runID: "run-1", overrideJSON: request.overrideJSON,
                startedBy: request.startedBy)
            return SetDesiredStateReply(stream: stream, changed: true)
        }
        acquireLeases = FakeMethod(AssetRegistryMethods.acquireLeases, on: server) { request, _ in
            let configuration = held.configuration.withLock { $0 }
            let leases = configuration.endpoints.filter { $0.enabled == true }.map { endpoint in
                Lease(
                    source: endpoint.source, holder: request.holder, epoch: 1, remainingMs: 5000,
                    holderAddress: request.holderAddress)
            }
            held.leases.withLock { $0 = leases }
            return AcquireLeasesReply(
                leases: leases, renewAfterMs: 1000, configurationRevision: configuration.revision)
        }
        releaseLeases = FakeMethod(AssetRegistryMethods.releaseLeases, on: server) { _, _ in ReleaseLeasesReply() }
        listLeases = FakeMethod(AssetRegistryMethods.listLeases, on: server) { _, _ in
            ListLeasesReply(leases: held.leases.withLock { $0 })
        }
        apply = FakeMethod(AssetRegistryMethods.apply, on: server) { _, _ in ApplyReply() }
        changes = FakeMethod(AssetRegistryMethods.changes, on: server) { request, _ in
            RegistryChangesReply(newest: request.after)
        }
        getDocuments = FakeMethod(AssetRegistryMethods.getDocuments, on: server) { _, _ in GetDocumentsReply() }
    }

    /// Sets endpoints and streams under the next revision; a hint says so.
    public func configure(endpoints: [InboundEndpoint], streams: [StreamDefinition]) {
        let revision = held.configuration.withLock { configuration in
            let next = (configuration.revision ?? 0) + 1
            configuration = Configuration(revision: next, endpoints: endpoints, streams: streams)
            return next
        }
        hints.publish(topic: "configuration/", name: "", cursor: revision)
    }

    /// Says who holds which source, for ListLeases.
    public func setLeases(_ leases: [Lease]) { held.leases.withLock { $0 = leases } }
}
