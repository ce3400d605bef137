// Puts the parts of the service together: neighbours, sessions, intakes, handlers.

import Footage
import JSON
import RPC
import ServiceKit
import ServiceLifecycle
import Wire

/// The parts of one running adapter.
struct Adapter {
    /// Makes up for lost hints; the registry tells its revision in a few bytes when nothing changed.
    private static let configurationInterval = Duration.seconds(10)

    private let configuration: AdapterConfiguration
    private let runtime: ServiceRuntime

    init(_ configuration: AdapterConfiguration, _ runtime: ServiceRuntime) {
        self.configuration = configuration
        self.runtime = runtime
    }

    /// What ServiceProgram runs. The server comes first, so that it stops last.
    func services() throws -> [any Service] {
        if configuration.sendsPasswordInTheClear {
            runtime.logger.warning(
                "the MQTT password goes over the network in the clear; set broker-ca-file to use TLS",
                metadata: ["broker": "\(configuration.brokerAddress)"])
        }
        let registry = try runtime.makeClient(role: "asset-registry")
        let indexer = try runtime.makeClient(role: "indexer")
        let hints = try runtime.makeSubscriber(role: "indexer", topics: ["requests/"])
        let registryHints = try runtime.makeSubscriber(role: "asset-registry", topics: ["configuration/", "leases/"])
        let runtime = runtime
        let controllers = ControllerClients(allowInsecure: runtime.settings[CommonSettings.insecure]) { address in
            try runtime.connect(role: "capture-controller", to: address)
        }
        let footage = FootageRequester(
            neighbours: RPCFootageNeighbours(registry: registry, controllers: controllers))
        let topics = configuration.topics
        let stamps = Stamps(node: configuration.clientID)

        let ends = Ends()
        let outbound = OutboundSession(
            bell: try bell(), greeting: presence("online"), farewell: presence("offline"),
            onConnected: { ends.brokerConnected() })
        let reminder = FootageReminder(footage: footage, clock: runtime.clock)
        let requests = RequestFollower(
            indexer: indexer, outbound: outbound, topics: topics, reminder: reminder, clock: runtime.clock,
            logger: runtime.logger)
        let status = RetainedStatus(outbound: outbound)
        ends.connect(requests: requests, status: status)

        let correspondence = Correspondence(
            outbound: outbound, topics: topics, clientID: configuration.clientID,
            takenFilters: topics.takenFilters + configuration.rules.map(\.filter), clock: runtime.clock,
            stamps: stamps, logger: runtime.logger)
        let patience = Duration.seconds(configuration.keepaliveS / 2)
        let commands = CommandIntake(
            topics: topics, registry: registry, controllers: controllers, footage: footage,
            // Half for the work, half for the answer.
            correspondence: correspondence, patience: patience / 2, logger: runtime.logger)
        let mediaSync = MediaSyncIntake(
            rules: configuration.rules, topics: topics, footage: footage, indexer: indexer,
            correspondence: correspondence, requests: requests,
            // The verdict has to be there before the session stops waiting for it.
            patience: patience - .seconds(1), clock: runtime.clock, logger: runtime.logger)

        let server = try runtime.makeServer()
        PublishCalls(
            topics: topics, topicMode: configuration.snapshotTopicMode, clientID: configuration.clientID,
            outbound: outbound, status: status, stamps: stamps, clock: runtime.clock
        ).register(on: server)

        let commandWork = InboundSession(
            filters: topics.commandFilters, patience: patience, keepsLate: false, logger: runtime.logger,
            handle: commands.handle)
        let eventWork = InboundSession(
            filters: [topics.archive, topics.cancel] + configuration.rules.map(\.filter.description),
            patience: patience, keepsLate: true, logger: runtime.logger, handle: mediaSync.handle)
        let health = BrokerHealth(
            health: runtime.health, address: configuration.brokerAddress, sessions: ["", "-events", "-out"],
            logger: runtime.logger)
        let sessions = BrokerSessions(
            commands: try loop("", commandWork, try bell(), health), commandWork: commandWork,
            events: try loop("-events", eventWork, try bell(), health), eventWork: eventWork,
            out: try loop("-out", outbound, outbound.bell, health), outbound: outbound)
        return [
            server,
            BackgroundLoop("request follower") { try await requests.run(hints: hints.hints) },
            BackgroundLoop("footage reminder", every: FootageReminder.interval) { await reminder.turn() },
            BackgroundLoop("configuration") {
                try await follow(registryHints.hints) {
                    if let known = await footage.refresh() { status.retain(known, topics: topics) }
                }
            },
            sessions,
        ]
    }

    /// Runs `turn` at once, at each hint, and every so often in case hints were lost.
    private func follow(_ hints: AsyncStream<HintEvent>, _ turn: @escaping @Sendable () async -> Void) async throws {
        let (wakes, waker) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        waker.yield()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in hints { waker.yield() } }
            group.addTask {
                while true {
                    try await Task.sleep(for: Self.configurationInterval)
                    waker.yield()
                }
            }
            group.addTask { for await _ in wakes { await turn() } }
            try await group.waitForAll()
        }
    }

    private func loop(
        _ suffix: String, _ work: any SessionWork, _ bell: Bell, _ health: BrokerHealth
    ) throws -> SessionLoop {
        let configuration = self.configuration
        let isOutbound = suffix == "-out"
        let will = isOutbound ? presence("offline") : nil
        return SessionLoop(
            name: "mqtt\(suffix)",
            settings: { () throws(BrokerError) in
                try configuration.broker(
                    clientID: configuration.clientID + suffix,
                    // What is published is kept here until the broker has it: its session need not outlive a connection.
                    sessionExpiryS: isOutbound ? 0 : configuration.sessionExpiryS, will: will)
            }, work: work, bell: bell, report: { health.report(suffix, $0) })
    }

    /// N/sightglass/adapter, retained: whether anybody listens.
    private func presence(_ state: String) -> OutboundMessage {
        let json = JSONValue.fields(["state": .string(state), "clientId": .string(configuration.clientID)])
        var message = OutboundMessage(topic: configuration.topics.adapter, payload: json.encoded(), retain: true)
        message.properties = .json
        return message
    }

    private func bell() throws(SettingsError) -> Bell {
        guard let bell = Bell() else {
            throw SettingsError("no file descriptor is left; raise the limit of open files")
        }
        return bell
    }
}
