// The settings as the service uses them, checked against one another, and how a session connects.

import Foundation
import ServiceKit

/// The settings as the service uses them.
struct AdapterConfiguration: Sendable {
    let topics: Topics
    let rules: [EventRule]
    let clientID: String
    let snapshotTopicMode: SnapshotTopicMode
    let keepaliveS: Int
    let sessionExpiryS: UInt32
    /// Group and expiry of shared subscriptions; nil without.
    let shared: (group: String, expiryS: UInt32)?
    let healthIntervalS: Int
    /// Nil where Akri is not there.
    let akriResources: String?
    let documents: String?
    /// Absolute, or a reference below the secrets folder; nil without.
    let tokenFile: String?
    private let host: String
    private let port: Int
    private let username: String?
    private let passwordFile: String?
    private let keyPasswordFile: String?
    private let secretsDirectory: String
    private let runDirectory: String
    private let usesTLS: Bool
    private let isCleanStart: Bool
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
        tokenFile = optional(AdapterKeys.tokenFile)
        secretsDirectory = settings[CommonSettings.secretsDirectory]
        runDirectory = settings[CommonSettings.runDirectory]
        caFile = optional(AdapterKeys.brokerCA)
        certificateFile = optional(AdapterKeys.brokerCertificate)
        keyFile = optional(AdapterKeys.brokerKey)
        keyPasswordFile = optional(AdapterKeys.brokerKeyPasswordFile)
        keepaliveS = settings[AdapterKeys.keepalive]
        sessionExpiryS = UInt32(settings[AdapterKeys.sessionExpiry])
        isCleanStart = settings[AdapterKeys.cleanStart]
        shared = optional(AdapterKeys.sharedGroup).map { ($0, UInt32(settings[AdapterKeys.sharedExpiry])) }
        healthIntervalS = settings[AdapterKeys.healthInterval]
        akriResources = optional(AdapterKeys.akriResources)
        documents = optional(AdapterKeys.documents)
        clientID = settings[AdapterKeys.clientID]
        snapshotTopicMode = SnapshotTopicMode(rawValue: settings[AdapterKeys.snapshotTopicMode]) ?? .exact
        guard TopicName.isPublishable(clientID), clientID.utf8.count <= 110 else {
            throw SettingsError("client-id: is not 1 to 110 bytes without '+', '#' and control characters")
        }
        if let shared, !TopicName.isPublishable(shared.group) || shared.group.contains("/") {
            throw SettingsError("shared-group: is no level of a topic: no '/', '+' or '#'")
        }
        guard let topics = Topics(namespace: settings[AdapterKeys.namespace]) else {
            throw SettingsError("namespace: is no beginning of a topic: no '+', '#' or '$', no '/' at either end")
        }
        self.topics = topics
        guard (certificateFile == nil) == (keyFile == nil) else {
            throw SettingsError("broker-certificate and broker-key go together: set both or none")
        }
        guard tokenFile == nil || username == nil else {
            throw SettingsError("broker-token-file and username exclude each other: set one of them")
        }
        switch BrokerTLS(rawValue: settings[AdapterKeys.brokerTLS]) ?? .auto {
        case .on: usesTLS = true
        case .auto: usesTLS = caFile != nil || certificateFile != nil
        case .off:
            guard certificateFile == nil else {
                throw SettingsError("broker-certificate needs TLS: broker-tls is off")
            }
            usesTLS = false
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

    /// Whether a password or token travels in the clear over a network.
    var sendsPasswordInTheClear: Bool {
        (username != nil || tokenFile != nil) && !usesTLS && !["localhost", "127.0.0.1", "::1"].contains(host)
    }

    /// How one session connects; reads password, token and authorities from their files.
    ///
    /// - Parameter isFirst: of this session in this process: only then the broker may be told to forget.
    func broker(
        clientID: String, sessionExpiryS: UInt32, isFirst: Bool, will: OutboundMessage? = nil
    ) throws(BrokerError) -> BrokerSettings {
        var settings = BrokerSettings(
            host: host, port: port, clientID: clientID, username: username, keepaliveS: keepaliveS,
            sessionExpiryS: sessionExpiryS, isCleanStart: sessionExpiryS == 0 || (isCleanStart && isFirst), will: will)
        settings.password = try secret(passwordFile, "password-file", "the password of \"\(username ?? "")\"")
        settings.token = try secret(tokenFile, "broker-token-file", "the service account's token")
        if usesTLS {
            settings.tls = BrokerSettings.TLS(
                caFile: try authorities(), certificateFile: certificateFile, keyFile: keyFile,
                keyPassword: try secret(keyPasswordFile, "broker-key-password-file", "the key's password"))
        }
        return settings
    }

    /// The token as it is now; nil where there is none, or it cannot be read at present.
    var token: String? { try? secret(tokenFile, "broker-token-file", "the token") }

    private func secret(_ file: String?, _ setting: String, _ what: String) throws(BrokerError) -> String? {
        guard let file else { return nil }
        do throws(SecretError) { return try SecretFile.read(path: file, below: secretsDirectory).revealed } catch {
            throw BrokerError(
                description: "\(setting) cannot be used: \(error); write \(what) there", isRefusal: true)
        }
    }

    /// The file of authorities. libmosquitto takes one file; those of a folder, as Kubernetes mounts a bundle, are put
    /// together in one beside the sockets.
    private func authorities() throws(BrokerError) -> String? {
        guard let caFile else { return nil }
        let isFolder = (try? FileManager.default.attributesOfItem(atPath: caFile))?[.type] as? FileAttributeType
        guard isFolder == .typeDirectory else { return caFile }
        let url = URL(fileURLWithPath: caFile)
        do {
            let bytes = try SecretStore(directory: url.deletingLastPathComponent().path)
                .readCertificates(url.lastPathComponent)
            let joined = "\(runDirectory)/mqtt-edge-adapter.authorities.pem"
            try Data(bytes).write(to: URL(fileURLWithPath: joined), options: .atomic)
            return joined
        } catch {
            throw BrokerError(description: "broker-ca-file cannot be used: \(error)", isRefusal: true)
        }
    }
}
