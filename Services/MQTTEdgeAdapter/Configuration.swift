// The settings of mqtt-edge-adapter, each default with its reason.

import Foundation
import ServiceKit

/// Settings beside the common ones.
enum AdapterKeys {
    static let brokerHost = Setting<String>(
        "broker-host", default: "localhost", help: "Host name or address of the MQTT broker.",
        reason: "A plain Mosquitto on the same host is the smallest installation.")
    static let brokerPort = Setting<Int>(
        "broker-port", default: 1883, range: 1...65_535, help: "Port of the MQTT broker.",
        reason: "The registered port of MQTT without TLS; with broker-ca-file it is usually 8883.")
    static let clientID = Setting<String>(
        "client-id", default: "sightglass",
        help: "MQTT client id of the command session; the others append -events and -out.",
        reason: "Fixed, because the broker keeps what is published while this service is away under this name.")
    static let username = Setting<String>(
        "username", default: "", help: "MQTT user name; empty for none.",
        reason: "Brokers differ; with a client certificate none is needed.")
    static let passwordFile = Setting<String>(
        "password-file", default: "",
        help: "File that holds the MQTT password; a relative path lies in secrets-directory.",
        reason: "A password never is an argument or a variable. It is read again before each connection.")
    static let brokerCA = Setting<String>(
        "broker-ca-file", default: "",
        help: "PEM file with the authorities of the broker's certificate; empty: no TLS.",
        reason: "Without TLS only a broker on this host or on a trusted network should be used.")
    static let brokerCertificate = Setting<String>(
        "broker-certificate", default: "", help: "PEM file with this client's certificate.",
        reason: "Only brokers that ask for one need it.")
    static let brokerKey = Setting<String>(
        "broker-key", default: "", help: "PEM file with this client's private key.",
        reason: "Goes with broker-certificate.")
    static let keepalive = Setting<Int>(
        "keepalive-s", default: 60, unit: "s", range: 10...3_600,
        help:
            "Keepalive of the MQTT sessions. A message waits half of it for a neighbour before the broker has to keep it.",
        reason: "A dead connection is noticed within a minute and a half.")
    static let sessionExpiry = Setting<Int>(
        "session-expiry-s", default: 3_600, unit: "s", range: 60...604_800,
        help: "How long the broker keeps messages for this service while it is away.",
        reason: "An hour is longer than any restart, and short enough that a site taken down for good frees the broker."
    )
    static let namespace = Setting<String>(
        "namespace", default: "azure-iot-operations", help: "First level(s) of all topics of this service.",
        reason: "Azure IoT Operations uses this one, so existing clients find their topics.")
    static let snapshotTopicMode = Setting<String>(
        "snapshot-topic-mode", default: "exact", allowed: SnapshotTopicMode.allCases.map(\.rawValue),
        help:
            "What a destination's topic means: exact as written, fixed to N/data/{asset}/{stream}, or nested below N/data/{asset}.",
        reason: "An operator who writes a topic wants it; fixed is what the official connector does since 2026.")
    static let eventRules = Setting<String>(
        "event-rules", default: "",
        help: "YAML file with event rules; without one N/media-sync/events takes {eventId, timestamp, cameras, …}.",
        reason: "The default rule is enough to try; real sites map their own events.")

    static let all: [any AnySetting] = [
        brokerHost, brokerPort, clientID, username, passwordFile, brokerCA, brokerCertificate, brokerKey, keepalive,
        sessionExpiry, namespace, snapshotTopicMode, eventRules,
    ]
}

/// The settings as the service uses them.
struct AdapterConfiguration: Sendable {
    let topics: Topics
    let rules: [EventRule]
    let clientID: String
    let snapshotTopicMode: SnapshotTopicMode
    let keepaliveS: Int
    let sessionExpiryS: UInt32
    private let host: String
    private let port: Int
    private let username: String?
    private let passwordFile: String?
    private let secretsDirectory: String
    private let caFile: String?
    private let certificateFile: String?
    private let keyFile: String?

    /// Reads the rules file too. The error is one line for the operator.
    init(_ settings: Settings) throws(SettingsError) {
        func optional(_ key: Setting<String>) -> String? { settings[key].isEmpty ? nil : settings[key] }
        host = settings[AdapterKeys.brokerHost]
        port = settings[AdapterKeys.brokerPort]
        username = optional(AdapterKeys.username)
        passwordFile = optional(AdapterKeys.passwordFile)
        secretsDirectory = settings[CommonSettings.secretsDirectory]
        caFile = optional(AdapterKeys.brokerCA)
        certificateFile = optional(AdapterKeys.brokerCertificate)
        keyFile = optional(AdapterKeys.brokerKey)
        keepaliveS = settings[AdapterKeys.keepalive]
        sessionExpiryS = UInt32(settings[AdapterKeys.sessionExpiry])
        clientID = settings[AdapterKeys.clientID]
        snapshotTopicMode = SnapshotTopicMode(rawValue: settings[AdapterKeys.snapshotTopicMode]) ?? .exact
        guard TopicName.isPublishable(clientID), clientID.utf8.count <= 120 else {
            throw SettingsError("client-id: is not 1 to 120 bytes without '+', '#' and control characters")
        }
        guard let topics = Topics(namespace: settings[AdapterKeys.namespace]) else {
            throw SettingsError("namespace: is no beginning of a topic: no '+', '#' or '$', no '/' at either end")
        }
        self.topics = topics
        guard (certificateFile == nil) == (keyFile == nil) else {
            throw SettingsError("broker-certificate and broker-key go together: set both or none")
        }
        guard certificateFile == nil || caFile != nil else {
            throw SettingsError("broker-certificate needs broker-ca-file: without it there is no TLS")
        }
        rules = try Self.rules(settings[AdapterKeys.eventRules], topics)
    }

    private static func rules(_ path: String, _ topics: Topics) throws(SettingsError) -> [EventRule] {
        guard !path.isEmpty else { return EventRule.standard(topics).map { [$0] } ?? [] }
        let text: String
        do { text = try String(contentsOfFile: path, encoding: .utf8) } catch {
            throw SettingsError("event-rules: cannot read \(path) as UTF-8 text")
        }
        do throws(EventRuleFile.Flaw) { return try EventRuleFile.rules(in: text, topics: topics) } catch {
            throw SettingsError("event-rules: \(path): \(error)")
        }
    }

    /// For messages: where the broker is.
    var brokerAddress: String { "\(host):\(port)" }

    /// Whether the password travels in the clear over a network.
    var sendsPasswordInTheClear: Bool {
        username != nil && caFile == nil && !["localhost", "127.0.0.1", "::1"].contains(host)
    }

    /// How one session connects; reads the password from its file.
    func broker(
        clientID: String, sessionExpiryS: UInt32, will: OutboundMessage? = nil
    ) throws(BrokerError) -> BrokerSettings {
        let password: String?
        do throws(SecretError) { password = try readPassword()?.revealed } catch {
            throw BrokerError(
                description:
                    "password-file cannot be used: \(error); write the password of \"\(username ?? "")\" there",
                isRefusal: true)
        }
        return BrokerSettings(
            host: host, port: port, clientID: clientID, username: username, password: password, caFile: caFile,
            certificateFile: certificateFile, keyFile: keyFile, keepaliveS: keepaliveS, sessionExpiryS: sessionExpiryS,
            will: will)
    }

    private func readPassword() throws(SecretError) -> Redacted<String>? {
        guard let passwordFile else { return nil }
        return try SecretFile.read(path: passwordFile, below: secretsDirectory)
    }
}
