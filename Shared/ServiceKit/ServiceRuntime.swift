// ServiceRuntime: what ServiceProgram hands to a service: its settings, logger, health, secrets and clock, and the makers
// of its server, clients, publisher and subscribers, all from the common settings.
import Logging
import Metrics
import RPC
import Synchronization
import Wire

/// What a service has in hand while it runs.
public final class ServiceRuntime: Sendable {
    /// "indexer".
    public let role: String
    /// "indexer-0": the setting `instance`.
    public let instance: String
    /// "indexer/indexer-0": how this process names itself to others.
    public let caller: String
    /// The checked values.
    public let settings: Settings
    /// Redacting, to standard error.
    public let logger: Logger
    /// The conditions under which this service is ready.
    public let health: HealthRegister
    /// The files below `secrets-directory`.
    public let secrets: SecretStore
    /// The time of day.
    public let clock: any WallClock
    /// The numbers that Health/Check shows.
    public let metrics: MetricsStore

    /// See `beforeStopping`.
    let preparation = Mutex<(@Sendable () async -> Void)?>(nil)

    private let addresses: Addresses
    private let callers: [String]
    private let startedUs = MonotonicTime.nowUs()
    private let clients = Mutex<[RPCClient]>([])
    private let subscribers = Mutex<[HintSubscriber]>([])
    /// Whether the log has told which callers are not trusted.
    private let hasToldUntrusted = Atomic(false)

    /// ServiceProgram makes it; tests may.
    public init(
        role: String, callers: [String] = [], settings: Settings, logger: Logger,
        metrics: MetricsStore = MetricsStore(), clock: any WallClock = SystemWallClock()
    ) {
        addresses = Addresses(role: role, settings: settings)
        self.callers = callers + HealthMethods.callerRoles.filter { !callers.contains($0) }
        self.role = role
        instance = addresses.instance
        caller = "\(role)/\(addresses.instance)"
        self.settings = settings
        self.logger = logger
        self.metrics = metrics
        self.clock = clock
        health = HealthRegister(logger: logger)
        secrets = SecretStore(directory: settings[CommonSettings.secretsDirectory])
    }

    /// A server on the addresses of `listen`, with Health/Check registered. Register handlers, then return it from the
    /// closure of `ServiceProgram.run`. Errors: an address or certificate setting that cannot be used.
    public func makeServer(limits: RPCServerLimits = .init()) throws(SettingsError) -> RPCServer {
        let listen = try parsed(addresses.listen, setting: "listen")
        let server = RPCServer(
            addresses: listen, limits: limits, tls: try listenerTLS(for: listen, at: "setting 'listen'"), logger: logger
        ) { outcome in
            let method = ("method", outcome.method)
            Counter(label: "sightglass_rpc_requests_total", dimensions: [method, ("code", outcome.code.name)])
                .increment()
            Metrics.Timer(label: "sightglass_rpc_request_seconds", dimensions: [method]).record(
                duration: outcome.duration)
        }
        server.handle(HealthMethods.check) { [weak self] _, _ in
            guard let self else { throw RPCError.unavailable("the service is stopping") }
            return healthReply()
        }
        return server
    }

    /// A publisher on the addresses of `hints`; it listens at once.
    public func makePublisher() throws -> HintPublisher {
        let hints = try parsed(addresses.hints, setting: "hints")
        return try HintPublisher(addresses: hints, tls: try listenerTLS(for: hints, at: "setting 'hints'"))
    }

    /// A client of a neighbour, at the addresses of the setting named for its role; several are equal ones. It is shown as a
    /// neighbour in Health/Check and closed when the service ends.
    public func makeClient(role: String, limits: RPCClientLimits = .init()) throws(SettingsError) -> RPCClient {
        let all = try parsed(addresses.neighbour(role), setting: role)
        return try client(role, all, limits)
    }

    /// A client of one address that a message named, not a setting; the caller closes it. Throws where TLS is not set up for
    /// it or its certificates cannot be read.
    public func connect(role: String, to address: RPCAddress) throws -> RPCClient {
        let tls = try tls(for: [address], trusting: [role], at: role)
        let client = RPCClient(role: role, addresses: [address], caller: caller, tls: tls)
        if let error = client.setupError { throw error }
        return client
    }

    /// A subscriber to a neighbour's hints, at the addresses of `{role}-hints`; closed when the service ends.
    public func makeSubscriber(role: String, topics: [String]) throws(SettingsError) -> HintSubscriber {
        let setting = "\(role)-hints"
        let all = try parsed(addresses.neighbourHints(role), setting: setting)
        let subscriber = HintSubscriber(
            addresses: all, topics: topics, tls: try tls(for: all, trusting: [role], at: "setting '\(setting)'"))
        if let error = subscriber.setupError { throw SettingsError("setting '\(setting)': \(error.message)") }
        subscribers.withLock { $0.append(subscriber) }
        return subscriber
    }

    /// Has something done when the service is asked to stop, while everything still runs: work that others can take over first.
    /// It must end by itself; the time for stopping begins behind it. A second signal does not wait for it.
    public func beforeStopping(_ body: @escaping @Sendable () async -> Void) { preparation.withLock { $0 = body } }

    /// What Health/Check answers.
    public func healthReply() -> HealthReply {
        let neighbours = clients.withLock { $0 }.map { NeighbourState(role: $0.role, problem: $0.unreachableReason) }
        return HealthReport.reply(
            service: caller, build: ServiceProgram.version, health: health,
            uptimeUs: MonotonicTime.nowUs() - startedUs, neighbours: neighbours, metrics: metrics.samples())
    }

    /// Closes what was made. ServiceProgram calls it last.
    public func close() {
        clients.withLock { $0 }.forEach { $0.close() }
        subscribers.withLock { $0 }.forEach { $0.close() }
    }

    private func client(
        _ role: String, _ addresses: [RPCAddress], _ limits: RPCClientLimits
    ) throws(SettingsError) -> RPCClient {
        let tls = try tls(for: addresses, trusting: [role], at: "setting '\(role)'")
        let client = RPCClient(role: role, addresses: addresses, caller: caller, limits: limits, tls: tls)
        if let error = client.setupError { throw SettingsError("setting '\(role)': \(error.message)") }
        clients.withLock { $0.append(client) }
        return client
    }

    private func parsed(_ texts: [String], setting: String) throws(SettingsError) -> [RPCAddress] {
        var result: [RPCAddress] = []
        for text in texts {
            do throws(RPCError) {
                result.append(try RPCAddress(parsing: text, allowInsecure: settings[CommonSettings.insecure]))
            } catch {
                throw SettingsError("setting '\(setting)': \(error.message)")
            }
        }
        return result
    }

    /// For a listener: trusts the callers.
    private func listenerTLS(for addresses: [RPCAddress], at place: String) throws(SettingsError) -> RPCTLS? {
        guard let tls = try tls(for: addresses, trusting: callers, at: place) else { return nil }
        do { try tls.check() } catch { throw SettingsError("setting '\(error.field ?? "tls")': \(error.message)") }
        let absent = tls.rolesWithoutAuthority
        if !absent.isEmpty, !hasToldUntrusted.exchange(true, ordering: .relaxed) {
            let roles = absent.joined(separator: ", ")
            logger.notice("over TLS nobody is let in as \(roles): \(tls.authoritiesPath) has no file of that name")
        }
        return tls
    }

    private func tls(
        for addresses: [RPCAddress], trusting roles: [String], at place: String
    ) throws(SettingsError) -> RPCTLS? {
        guard addresses.contains(where: \.needsTLS) else { return nil }
        let (authorities, certificate, key) = (
            settings[CommonSettings.tlsAuthorities], settings[CommonSettings.tlsCertificate],
            settings[CommonSettings.tlsKey]
        )
        guard !authorities.isEmpty, !certificate.isEmpty, !key.isEmpty else {
            throw SettingsError(
                "\(place) has a tls+tcp address: it needs tls-authorities, tls-certificate and tls-key as well")
        }
        return RPCTLS(
            authoritiesPath: authorities, trustedRoles: roles, certificatePath: certificate, keyPath: key)
    }
}
