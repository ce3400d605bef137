// The three sessions with the broker as one service: start, the state of readiness, a newer token, and the planned end.
//
//   {client-id}            all that is published, and the calls to Azure Device Registry. Carries the last will. Has the id
//                          itself, because the registry knows a connector by it.
//   {client-id}-commands   commands. Persistent.
//   {client-id}-events     events, archive requests, cancellations. Persistent. Apart from the commands, so that a message that
//                          waits for the indexer does not hold up an operator who wants to see the camera.

import Footage
import JSON
import Logging
import Metrics
import ServiceKit
import ServiceLifecycle
import Synchronization

/// Runs the sessions until the service stops.
struct BrokerSessions: Service {
    let commands: SessionLoop
    let commandWork: InboundSession
    let events: SessionLoop
    let eventWork: InboundSession
    let out: SessionLoop
    let outbound: OutboundSession
    /// The broker's token as it is now; nil without one.
    let token: @Sendable () -> String?
    let logger: Logger

    /// What is worked on gets its grace and the goodbye its second; the process as a whole has five.
    private static let inboundEnd = Duration.milliseconds(1_900)
    private static let outboundEnd = Duration.milliseconds(1_200)
    /// How often callers whose time is over are told so while there is no connection.
    private static let expiryInterval = Duration.milliseconds(250)
    /// A new token is there minutes before the old one ends; reading a small file costs nothing.
    private static let tokenInterval = Duration.seconds(1)

    func run() async throws {
        out.start()
        commands.start()
        events.start()
        try? await cancelWhenGracefulShutdown {
            async let watching: Void = watchToken()
            while true {
                try await Task.sleep(for: Self.expiryInterval)
                outbound.expire()
            }
            _ = try await watching
        }
        for work in [commandWork, eventWork] { work.stop() }
        for loop in [commands, events] { loop.stop() }
        async let commandsEnded: Void = commands.finished(within: Self.inboundEnd)
        async let eventsEnded: Void = events.finished(within: Self.inboundEnd)
        _ = await (commandsEnded, eventsEnded)
        outbound.sayFarewell()
        out.stop()
        await out.finished(within: Self.outboundEnd)
        outbound.lost()
    }

    /// Another adapter has our client id: none of the sessions goes on.
    func giveUp() { for loop in [commands, events, out] { loop.stop() } }

    /// A newer token is used at once.
    private func watchToken() async throws {
        var used = token()
        while true {
            try await Task.sleep(for: Self.tokenInterval)
            guard let found = token(), found != used else { continue }
            used = found
            logger.info("the broker's token is a new one: the sessions go on with it")
            for loop in [commands, events, out] { loop.exchange() }
        }
    }
}

/// Readiness and log lines from what the sessions report: one line for one cause, however many sessions have it.
final class BrokerHealth: Sendable {
    private let health: HealthRegister
    private let address: String
    private let logger: Logger
    private let reasons = Mutex<[String: String]>([:])
    private let held = Mutex<[String: String]>([:])
    private let onTakenOver = Mutex<(@Sendable () -> Void)?>(nil)

    init(health: HealthRegister, address: String, sessions: [String], logger: Logger) {
        self.health = health
        self.address = address
        self.logger = logger
        reasons.withLock { reasons in
            for session in sessions { reasons[session] = "" }
        }
        health.set("broker", ready: false, reason: "connecting to the MQTT broker at \(address)")
    }

    /// Who ends the sessions. Set before they start.
    func connect(onTakenOver: @escaping @Sendable () -> Void) { self.onTakenOver.withLock { $0 = onTakenOver } }

    func report(_ session: String, _ report: SessionReport) {
        switch report {
        case .up: update(session, nil)
        case .upWithoutSession:
            update(session, nil)
            Counter(label: "sightglass_adapter_sessions_lost_total").increment()
            logger.error(
                "the broker forgot a session, and what was published for it meanwhile; give the broker persistence",
                metadata: ["session": "\(session.isEmpty ? "out" : String(session.dropFirst()))"])
        case .down(let reason): update(session, reason)
        case .takenOver(let reason):
            update(session, "\(reason): this one has stopped; restart it to take over again")
            onTakenOver.withLock { $0 }?()
        case .held(let reason):
            let isNews = held.withLock { held in
                defer { held[session] = reason }
                return held[session] != reason
            }
            if isNews { logger.warning("\(reason)") }
        }
    }

    private func update(_ session: String, _ reason: String?) {
        let (isReady, known) = reasons.withLock { reasons -> (Bool, [String]) in
            reasons[session] = reason
            return (reasons.isEmpty, Array(Set(reasons.values.filter { !$0.isEmpty })).sorted())
        }
        if isReady {
            health.set("broker", ready: true)
        } else if !known.isEmpty {
            health.set("broker", ready: false, reason: known.joined(separator: "; "))
        }
    }
}

/// Who has to know that the broker is there again. Set once, after all parts are made.
final class Ends: Sendable {
    private let parts = Mutex<[@Sendable () -> Void]>([])

    func connect(_ parts: [@Sendable () -> Void]) { self.parts.withLock { $0 = parts } }

    func brokerConnected() { for part in parts.withLock({ $0 }) { part() } }
}
