// Sessions with brokers of several kinds: tokens that end, certificates, variables of AIO, shared subscriptions, a second
// adapter with the same client id, a broker that forgets.

import Foundation
import Harness
import RPC
import Synchronization
import Testing
import Wire

/// What was sent so far.
private final class Tally: Sendable {
    private let state = Mutex((pictures: 0, commands: 0, isOver: false))

    func sentPicture() { state.withLock { $0.pictures += 1 } }
    func sentCommand() { state.withLock { $0.commands += 1 } }
    func end() { state.withLock { $0.isOver = true } }
    var isOver: Bool { state.withLock(\.isOver) }
    var sent: (pictures: Int, commands: Int) { state.withLock { ($0.pictures, $0.commands) } }
}

@Suite(.serialized) struct SessionTests {
    private static let picture = PublishSnapshotRequest(
        stream: StreamName(asset: "line1", stream: "pictures"), source: SourceName(device: "dev1", endpoint: "main"),
        picture: Array(repeating: 0xAB, count: 20_000), contentType: "image/jpeg", capturedUs: 1_763_870_706_789_000,
        destination: MqttDestination(qos: 1, ttlS: 30), expiresInMs: 5_000)

    /// The plugin that checks tokens, and its file of tokens with their ends.
    private struct TokenBroker {
        let folder: TemporaryDirectory
        let settings: [String]

        init() async throws {
            folder = try TemporaryDirectory(holdsSecrets: true)
            let build = Executables.repository.appendingPathComponent("Tests/Support/mqtt/build").path
            let built = try await runTool("bash", [build], within: .seconds(120))
            guard built.exitCode == 0 else { throw HarnessError("\(build): \(built.error)") }
            let plugin = built.output.trimmingCharacters(in: .whitespacesAndNewlines)
            settings = [
                "plugin \(plugin)", "plugin_opt_tokens \(folder.path("tokens"))",
                "plugin_opt_log \(folder.path("log"))",
            ]
        }

        /// Tokens with the seconds that they are good for.
        func allow(_ tokens: [(text: String, seconds: Double)]) throws {
            let now = Date().timeIntervalSince1970
            let lines = tokens.map { "\($0.text) \(Int64((now + $0.seconds) * 1_000))\n" }
            try write(lines.joined(), "tokens")
        }

        /// As kubelet does it: another file in the place of the old one.
        func write(_ text: String, _ name: String) throws {
            try folder.write(text, to: name + ".new")
            guard rename(folder.path(name + ".new"), folder.path(name)) == 0 else {
                throw HarnessError("rename: \(errno)")
            }
        }

        var decisions: String { (try? String(contentsOfFile: folder.path("log"), encoding: .utf8)) ?? "" }
    }

    /// Tokens end every second or two, and each is replaced before; pictures and commands go on all the while.
    @Test func aTokenIsReplacedWithoutLosingAPictureOrACommand() async throws {
        let tokens = try await TokenBroker()
        try tokens.allow([("token-0-canary-token", 600)])
        try tokens.write("token-0-canary-token\n", "sat")
        let site = try await AdapterSite(brokerSettings: tokens.settings)
        let adapter = try site.startBare(
            ["--keepalive-s", "10"],
            environment: [
                "AIO_BROKER_HOSTNAME": "127.0.0.1", "AIO_BROKER_TCP_PORT": "\(site.broker.port)",
                "AIO_MQTT_USE_TLS": "false", "AIO_MQTT_CLIENT_ID": "sat-client",
                "AIO_SAT_FILE": tokens.folder.path("sat"),
            ])
        try await site.ready(adapter)
        let watcher = try await site.subscriber(["data/#", "asset-operations/line1/clips/stop/response"], format: "%l")
        let client = try site.client()
        defer { client.close() }
        let tally = Tally()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                while !tally.isOver {
                    let reply = try await client.call(MqttEdgeAdapterMethods.publishSnapshot, Self.picture)
                    #expect(reply.published == true)
                    tally.sentPicture()
                }
            }
            group.addTask {
                while !tally.isOver {
                    try await site.publish("asset-operations/line1/clips/stop", "{}")
                    tally.sentCommand()
                }
            }
            for turn in 1...4 {
                // The old one ends two seconds after the new one is there.
                try tokens.allow([
                    ("token-\(turn - 1)-canary-token", 2), ("token-\(turn)-canary-token", turn == 4 ? 600 : 60),
                ])
                try tokens.write("token-\(turn)-canary-token\n", "sat")
                try await eventually("all three sessions go on with token \(turn)", within: .seconds(20)) {
                    let uses = tokens.decisions.split(separator: "\n").filter {
                        $0.contains(" accepted ") && $0.hasSuffix(" token-\(turn)-")
                    }
                    return uses.count >= 3 ? true : nil
                }
            }
            tally.end()
            try await group.waitForAll()
        }
        let (pictures, orders) = tally.sent
        #expect(pictures > 20 && orders > 5)
        try await eventually("all \(pictures) pictures and \(orders) answers came") {
            let lines = watcher.standardOutput.split(separator: "\n")
            // One that was under way at an exchange may come twice.
            return lines.filter { $0.contains("data/line1/pictures|20000") }.count >= pictures
                && lines.filter { $0.contains("/response|") }.count >= orders ? true : nil
        }
        #expect(!tokens.decisions.contains(" expired "), "\(tokens.decisions)")
        #expect(!tokens.decisions.contains(" refused "), "\(tokens.decisions)")
        #expect(!adapter.standardError.contains("token-"))
        #expect(try await adapter.terminate() == 0)
    }

    @Test func aTokenThatEndedIsOneReasonAndANewOneHelps() async throws {
        let tokens = try await TokenBroker()
        try tokens.allow([("token-a-canary-token", 3)])
        try tokens.write("token-a-canary-token\n", "sat")
        let site = try await AdapterSite(brokerSettings: tokens.settings)
        let adapter = try site.startBare(
            [
                "--keepalive-s", "10", "--broker-host", "127.0.0.1", "--broker-port", "\(site.broker.port)",
                "--broker-token-file", tokens.folder.path("sat"),
            ], environment: [:])
        try await site.ready(adapter)
        try await eventually("it is turned out", within: .seconds(20)) {
            tokens.decisions.contains(" refused ") ? true : nil
        }
        // While it is out an event waits in the broker.
        try await site.publish("media-sync/events", site.event("while-out"))
        try tokens.allow([("token-b-canary-token", 600)])
        try tokens.write("token-b-canary-token\n", "sat")
        try await site.ready(adapter)
        try await site.retained("media-sync/receipts/while-out") { $0["receipt"]?.text == "accepted" }
        #expect(try await adapter.terminate() == 0)
    }

    @Test func theSecondAdapterOfAClientIdTakesOverAndTheFirstStaysAway() async throws {
        let site = try await AdapterSite()
        let first = try await site.startReady()
        try site.folder.makeFolder("other")
        let neighbours = ["asset-registry", "indexer"].flatMap { role in
            [
                "--\(role)", "ipc://\(site.folder.path("run/\(role).rpc"))", "--\(role)-hints",
                "ipc://\(site.folder.path("run/\(role).hints"))",
            ]
        }
        let second = try site.startBare(
            neighbours + [
                "--broker-host", "127.0.0.1", "--broker-port", "\(site.broker.port)", "--username", Broker.user,
                "--password-file", site.broker.passwordFile, "--keepalive-s", "10",
            ], environment: [:], run: "other")
        try await first.waitForLog("started later has taken over")
        let other = try ServiceClient(
            "mqtt-edge-adapter", at: "ipc://\(site.folder.path("other/mqtt-edge-adapter.rpc"))")
        defer { other.close() }
        try await eventually("the second one is ready", within: .seconds(20)) {
            try await other.health().ready == true ? true : nil
        }
        let health = try await site.health()
        #expect(health.ready == false && health.live == true)
        #expect(health.reasons.contains { $0.contains("taken over") }, "\(health.reasons)")
        try await site.publish("media-sync/events", site.event("after"))
        try await site.retained("media-sync/receipts/after") { $0["receipt"]?.text == "accepted" }
        try await site.retained("sightglass/adapter") { $0["state"]?.text == "online" }
        #expect(try await first.terminate() == 0)
        // Its goodbye must not take the other one's word back.
        try await site.retained("sightglass/adapter") { $0["state"]?.text == "online" }
        #expect(try await second.terminate() == 0)
    }

    @Test func certificatesWithAKeyThatHasAPassword() async throws {
        let folder = try TemporaryDirectory()
        let port = try freePort()
        try await makeCertificates(folder)
        let site = try await AdapterSite(brokerSettings: [
            "listener \(port) 127.0.0.1", "cafile \(folder.path("ca.pem"))", "certfile \(folder.path("server.pem"))",
            "keyfile \(folder.path("server.key"))", "require_certificate true", "use_identity_as_username true",
        ])
        var environment = [
            "AIO_BROKER_HOSTNAME": "localhost", "AIO_BROKER_TCP_PORT": "\(port)", "AIO_MQTT_KEEP_ALIVE": "10",
            "AIO_MQTT_CLIENT_ID": "by-certificate", "AIO_TLS_CA_FILE": folder.path("ca.pem"),
            "AIO_TLS_CERT_FILE": folder.path("client.pem"), "AIO_TLS_KEY_FILE": folder.path("client.key"),
            "AIO_TLS_KEY_PASSWORD_FILE": folder.path("key-password"),
        ]
        let adapter = try site.startBare(environment: environment)
        try await site.ready(adapter)
        try await site.retained("sightglass/adapter") { $0["clientId"]?.text == "by-certificate" }
        #expect(try await adapter.terminate() == 0)
        // As Kubernetes mounts a bundle: a folder.
        try folder.makeFolder("bundle")
        try FileManager.default.copyItem(atPath: folder.path("ca.pem"), toPath: folder.path("bundle/ca.crt"))
        environment["AIO_TLS_CA_FILE"] = folder.path("bundle")
        let bundled = try site.startBare(environment: environment)
        try await site.ready(bundled)
        #expect(try await bundled.terminate() == 0)
        // Another authority than the broker's.
        environment["AIO_TLS_CA_FILE"] = folder.path("other.pem")
        let stranger = try site.startBare(environment: environment)
        try await stranger.waitForLog("broker")
        #expect(try await site.health().ready == false)
        try await stranger.terminate()
    }

    private func makeCertificates(_ folder: TemporaryDirectory) async throws {
        func openssl(_ arguments: [String]) async throws {
            let made = try await runTool("openssl", arguments)
            guard made.exitCode == 0 else { throw HarnessError("openssl: \(made.error)") }
        }
        try folder.write("canary-key-password\n", to: "key-password")
        try folder.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n", to: "san")
        for name in ["ca", "other"] {
            try await openssl([
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=\(name)", "-keyout", folder.path("\(name).key"), "-out", folder.path("\(name).pem"),
            ])
        }
        for name in ["server", "client"] {
            let protection = name == "client" ? ["-passout", "file:\(folder.path("key-password"))"] : ["-nodes"]
            try await openssl(
                [
                    "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=\(name)", "-keyout",
                    folder.path("\(name).key"), "-out", folder.path("\(name).csr"),
                ] + protection)
            try await openssl([
                "x509", "-req", "-in", folder.path("\(name).csr"), "-CA", folder.path("ca.pem"), "-CAkey",
                folder.path("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", folder.path("san"), "-out",
                folder.path("\(name).pem"),
            ])
        }
    }

    @Test func twoAdaptersOfAGroupDivideTheCommands() async throws {
        let site = try await AdapterSite()
        try site.folder.makeFolder("other")
        let shared = ["--shared-group", "adapters"]
        let first = try site.start(shared + ["--client-id", "one"])
        let neighbours = ["asset-registry", "indexer"].flatMap { role in
            [
                "--\(role)", "ipc://\(site.folder.path("run/\(role).rpc"))", "--\(role)-hints",
                "ipc://\(site.folder.path("run/\(role).hints"))",
            ]
        }
        let second = try site.start(
            shared + neighbours + [
                "--client-id", "two", "--instance", "two", "--listen",
                "ipc://\(site.folder.path("other/two.rpc"))",
            ])
        try await site.ready(first)
        try await second.waitForLog("started")
        let other = try ServiceClient("mqtt-edge-adapter", at: "ipc://\(site.folder.path("other/two.rpc"))")
        defer { other.close() }
        try await eventually("the other one is ready") { try await other.health().ready == true ? true : nil }
        let watcher = try await site.subscriber(["asset-operations/line1/clips/stop/response"], format: "%P")
        for _ in 0..<20 { try await site.publish("asset-operations/line1/clips/stop", "{}") }
        let lines = try await eventually("all are answered") {
            let lines = watcher.standardOutput.split(separator: "\n").filter { $0.contains("/response|") }
            return lines.count >= 20 ? lines : nil
        }
        #expect(lines.count == 20)
        for name in ["one", "two"] { #expect(lines.contains { $0.contains("__srcId:\(name)") }, "\(name)") }
        #expect(try await first.terminate() == 0)
        #expect(try await second.terminate() == 0)
    }

    /// What was settled on a connection that is cut for a message behind it once had to be done again on each connection: a burst
    /// that took longer than a message may never ended.
    @Test func aBurstThatTakesLongerThanAMessageMayGetsThrough() async throws {
        let site = try await AdapterSite()
        let known = site.known
        site.indexer.submitEvent.answer { request in
            // Thirty of them are three times the patience of five seconds.
            try await Task.sleep(for: .milliseconds(500))
            let key = request.eventKey ?? ""
            return SubmitReply(
                receipt: known.receipt(key),
                request: ArchiveRequest(requestID: "request-\(key)", state: .waiting, cameras: request.cameras))
        }
        let adapter = try await site.startReady()
        for number in 0..<30 { try await site.publish("media-sync/events", site.event("burst-\(number)")) }
        for number in 0..<30 { try await site.retained("media-sync/receipts/burst-\(number)", within: .seconds(60)) }
        #expect(known.all.count == 30)
        #expect(try await adapter.terminate() == 0)
    }

    @Test func aBrokerThatForgetsASessionIsAnErrorThatIsTold() async throws {
        let site = try await AdapterSite()
        let adapter = try await site.startReady()
        // Killed before it wrote anything down.
        try await site.broker.kill()
        try? FileManager.default.removeItem(atPath: site.folder.path("broker/mosquitto.db"))
        try await site.broker.start()
        try await adapter.waitForLog("the broker forgot a session")
        try await site.ready(adapter)
        try await site.publish("media-sync/events", site.event("after-it"))
        try await site.retained("media-sync/receipts/after-it") { $0["receipt"]?.text == "accepted" }
        #expect(try await adapter.terminate() == 0)
    }
}
