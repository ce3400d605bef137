// The settings of mqtt-edge-adapter, each default with its reason. What Azure IoT Operations gives by variables of its own
// becomes settings in ConnectorEnvironment.swift; how settings become values: Configuration.swift.

import ServiceKit

/// Settings beside the common ones.
enum AdapterKeys {
    static let brokerHost = Setting<String>(
        "broker-host", default: "localhost", help: "Host name or address of the MQTT broker.",
        reason: "A plain Mosquitto on the same host is the smallest installation.")
    static let brokerPort = Setting<Int>(
        "broker-port", default: 1883, range: 1...65_535, help: "Port of the MQTT broker.",
        reason: "The registered port of MQTT without TLS; with TLS it is usually 8883.")
    static let brokerTLS = Setting<String>(
        "broker-tls", default: "auto", allowed: BrokerTLS.allCases.map(\.rawValue),
        help: "Whether the broker is reached by TLS; auto: where broker-ca-file or broker-certificate is set.",
        reason: "Whoever names an authority wants it to be checked.")
    static let clientID = Setting<String>(
        "client-id", default: "sightglass",
        help: "MQTT client id of the session that publishes; those that take messages append -commands and -events.",
        reason: "Fixed, because the broker keeps what is published while this service is away under this name.")
    static let username = Setting<String>(
        "username", default: "", help: "MQTT user name; empty for none.",
        reason: "Brokers differ; with a client certificate or a token none is needed.")
    static let passwordFile = Setting<String>(
        "password-file", default: "",
        help: "File that holds the MQTT password; a relative path lies in secrets-directory.",
        reason: "A password never is an argument or a variable. It is read again before each connection.")
    static let tokenFile = Setting<String>(
        "broker-token-file", default: "",
        help:
            "File with a Kubernetes service account token, for brokers that ask for K8S-SAT; watched for a newer one.",
        reason: "Only the broker of Azure IoT Operations asks for it. Excludes username.")
    static let brokerCA = Setting<String>(
        "broker-ca-file", default: "",
        help:
            "PEM file, or folder of such files, with the authorities of the broker's certificate; empty with TLS: the host's.",
        reason: "Without TLS only a broker on this host or on a trusted network should be used.")
    static let brokerCertificate = Setting<String>(
        "broker-certificate", default: "", help: "PEM file with this client's certificate and its chain.",
        reason: "Only brokers that ask for one need it.")
    static let brokerKey = Setting<String>(
        "broker-key", default: "", help: "PEM file with this client's private key.",
        reason: "Goes with broker-certificate.")
    static let brokerKeyPasswordFile = Setting<String>(
        "broker-key-password-file", default: "", help: "File with the password of broker-key.",
        reason: "Most keys have none.")
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
    static let cleanStart = Setting<Bool>(
        "clean-start", default: false,
        help: "Has the broker forget, at the first connection, what it kept for this service.",
        reason: "What was published while it was away is what it is there for.")
    static let sharedGroup = Setting<String>(
        "shared-group", default: "",
        help:
            "Takes commands by shared subscriptions of this group, so that several adapters divide them; empty: alone.",
        reason:
            "One adapter takes thousands of commands a second. The broker must send a client's requests to one adapter."
    )
    static let sharedExpiry = Setting<Int>(
        "shared-session-expiry-s", default: 10, unit: "s", range: 1...3_600,
        help: "Session expiry of the command session with shared-group.",
        reason: "Until then a broker may keep commands for an adapter that died instead of giving them to another one.")
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
    static let healthInterval = Setting<Int>(
        "health-interval-s", default: 600, unit: "s", range: 60...86_400,
        help: "After so long an unchanged health is told to Azure Device Registry again.",
        reason: "Ten minutes is the default of AIO's connectors, a minute their least.")
    static let akriResources = Setting<String>(
        "akri-resources-directory", default: "",
        help: "Folder with a file {device}_{endpoint} for each endpoint, lines of asset names; empty: not under Akri.",
        reason: "Stand-alone, devices and assets come from files.")
    static let documents = Setting<String>(
        "documents-directory", default: "",
        help:
            "Folder of YAML or JSON files with devices and assets that are applied whenever they change; empty: none.",
        reason: "Without it `sightglass apply` brings them.")

    static let all: [any AnySetting] = [
        brokerHost, brokerPort, brokerTLS, clientID, username, passwordFile, tokenFile, brokerCA, brokerCertificate,
        brokerKey, brokerKeyPasswordFile, keepalive, sessionExpiry, cleanStart, sharedGroup, sharedExpiry, namespace,
        snapshotTopicMode, eventRules, healthInterval, akriResources, documents,
    ]
}

/// When TLS is used.
enum BrokerTLS: String, CaseIterable {
    case auto
    case on
    case off
}
