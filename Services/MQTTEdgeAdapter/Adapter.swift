// Puts the parts of the service together: neighbours, sessions, intakes, handlers, sources of documents.

import Footage
import JSON
import RPC
import ServiceKit
import ServiceLifecycle
import Synchronization
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
                "the MQTT password or token goes over the network in the clear; set broker-tls",
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
        let presence = Presence(
            // Of several that divide the commands each has its own.
            topic: configuration.shared == nil
                ? topics.adapter : "\(topics.adapter)/\(TopicName.level(configuration.clientID))",
            clientID: configuration.clientID, startedUs: runtime.clock.nowUs())
        let outbound = OutboundSession(
            bell: try bell(), presence: presence, onConnected: { ends.brokerConnected() },
            onRefused: { [logger = runtime.logger] reason in
                logger.error(
                    "the broker refuses a subscription of the publishing session; allow it to this user",
                    metadata: ["reason": "\(reason)"])
            })
        let reminder = FootageReminder(footage: footage, clock: runtime.clock)
        let requests = RequestFollower(
            indexer: indexer, outbound: outbound, topics: topics, reminder: reminder,
            gaps: GapTeller(indexer: indexer, outbound: outbound, topics: topics), clock: runtime.clock,
            logger: runtime.logger)
        let status = RetainedStatus(outbound: outbound)

        let correspondence = Correspondence(
            outbound: outbound, topics: topics, clientID: configuration.clientID,
            takenFilters: topics.takenFilters + configuration.rules.map(\.filter), clock: runtime.clock,
            stamps: stamps, logger: runtime.logger)
        let references = RegistryReferences()
        let akri = akri(outbound, correspondence, registry, references)
        ends.connect(
            [{ status.showAgain() }, { requests.brokerConnected() }]
                + (akri.map { akri in [{ akri.brokerConnected() }] } ?? []))
        let desk = CallDesk(
            correspondence: correspondence, stamps: stamps, clock: runtime.clock, logger: runtime.logger)
        let patience = Duration.seconds(configuration.keepaliveS / 2)
        let bells = (commands: try bell(), events: try bell())
        let furtherFilters = FurtherFilters()
        let actions = ActionBoard(
            registry: registry, topics: topics, eventFilters: configuration.rules.map(\.filter)
        ) { furtherFilters.change($0) }
        let commands = CommandIntake(
            topics: topics, actions: actions, registry: registry, indexer: indexer, footage: footage,
            captures: CaptureDesk(
                topics: topics, indexer: indexer, controllers: controllers, footage: footage, requests: requests,
                correspondence: correspondence, clock: runtime.clock),
            desk: desk, correspondence: correspondence,
            // Half for the work, half for the answer.
            patience: min(patience / 2, .seconds(Int64(CallRules.executionTimeoutS))), clock: runtime.clock,
            logger: runtime.logger)
        let mediaSync = MediaSyncIntake(
            rules: configuration.rules, topics: topics, footage: footage, indexer: indexer,
            correspondence: correspondence, desk: desk, requests: requests,
            // The verdict has to be there before the session stops waiting for it.
            patience: patience - .seconds(1), clock: runtime.clock, logger: runtime.logger)

        let server = try runtime.makeServer()
        PublishCalls(
            topics: topics, topicMode: configuration.snapshotTopicMode, clientID: configuration.clientID,
            outbound: outbound, status: status, stamps: stamps, clock: runtime.clock, akri: akri,
            references: references
        ).register(on: server)

        let commandWork = InboundSession(
            filters: topics.commandFilters, sharedGroup: configuration.shared?.group, patience: patience,
            keepsLate: false, bell: bells.commands, logger: runtime.logger, lane: commands.lane,
            handle: commands.handle)
        furtherFilters.connect { commandWork.change(filters: topics.commandFilters + $0) }
        let eventWork = InboundSession(
            filters: [topics.archive, topics.cancel] + configuration.rules.map(\.filter.description),
            patience: patience, keepsLate: true, bell: bells.events, logger: runtime.logger,
            lane: { topics.route($0.topic) == nil ? $0.topic : "requests" }, handle: mediaSync.handle)
        let health = BrokerHealth(
            health: runtime.health, address: configuration.brokerAddress, sessions: ["", "-commands", "-events"],
            logger: runtime.logger)
        let configuration = self.configuration
        let sessions = BrokerSessions(
            commands: loop("-commands", commandWork, bells.commands, health), commandWork: commandWork,
            events: loop("-events", eventWork, bells.events, health), eventWork: eventWork,
            out: loop("", outbound, outbound.bell, health, will: presence.offline), outbound: outbound,
            token: { configuration.token }, logger: runtime.logger)
        health.connect { sessions.giveUp() }
        return [
            server,
            BackgroundLoop("request follower") { try await requests.run(hints: hints.hints) },
            BackgroundLoop("footage reminder", every: FootageReminder.interval) { await reminder.turn() },
            BackgroundLoop("configuration") {
                try await follow(registryHints.hints) {
                    guard let known = await footage.refresh() else { return }
                    status.retain(known, topics: topics)
                    await actions.follow(known)
                }
            },
            sessions,
        ] + sources(registry, akri)
    }

    /// Where devices and assets come from, beside `sightglass apply`.
    private func sources(_ registry: RPCClient, _ akri: AkriFollower?) -> [any Service] {
        var sources: [any Service] = []
        if let akri { sources.append(BackgroundLoop("akri") { try await akri.run() }) }
        if let folder = configuration.documents {
            let documents = DocumentsFollower(folder: folder, registry: registry, logger: runtime.logger)
            sources.append(
                BackgroundLoop("documents", every: DocumentsFollower.interval) { await documents.turn() })
        }
        return sources
    }

    private func akri(
        _ outbound: OutboundSession, _ correspondence: Correspondence, _ registry: RPCClient,
        _ references: RegistryReferences
    ) -> AkriFollower? {
        guard let folder = configuration.akriResources else { return nil }
        let invoker = CallInvoker(
            outbound: outbound, correspondence: correspondence, clientID: configuration.clientID)
        let calls = DeviceRegistryCalls(
            invoker: invoker, outbound: outbound, correspondence: correspondence, clientID: configuration.clientID)
        let akri = AkriFollower(
            folder: folder, calls: calls, registry: registry, references: references,
            healthInterval: .seconds(configuration.healthIntervalS), clock: runtime.clock, logger: runtime.logger)
        outbound.listen(to: calls.filters) { message in
            if let update = calls.update(message) { akri.hear(update) } else { invoker.take(message) }
        }
        return akri
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
        _ suffix: String, _ work: any SessionWork, _ bell: Bell, _ health: BrokerHealth, will: OutboundMessage? = nil
    ) -> SessionLoop {
        let configuration = self.configuration
        let expiryS: UInt32 =
            switch suffix {
            // What is published is kept here until the broker has it: its session need not outlive a connection.
            case "": 0
            case "-commands": configuration.shared?.expiryS ?? configuration.sessionExpiryS
            default: configuration.sessionExpiryS
            }
        return SessionLoop(
            name: "mqtt\(suffix)",
            settings: { isFirst throws(BrokerError) in
                try configuration.broker(
                    clientID: configuration.clientID + suffix, sessionExpiryS: expiryS, isFirst: isFirst, will: will)
            }, work: work, bell: bell, report: { health.report(suffix, $0) })
    }

    private func bell() throws(SettingsError) -> Bell {
        guard let bell = Bell() else {
            throw SettingsError("no file descriptor is left; raise the limit of open files")
        }
        return bell
    }
}

/// Filters that come from assets, on their way to the session that is made later.
private final class FurtherFilters: Sendable {
    private let take = Mutex<(@Sendable ([String]) -> Void)?>(nil)

    func connect(_ take: @escaping @Sendable ([String]) -> Void) { self.take.withLock { $0 = take } }
    func change(_ filters: [String]) { take.withLock { $0 }?(filters) }
}
