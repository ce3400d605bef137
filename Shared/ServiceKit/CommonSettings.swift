// The settings that every service has: where it listens, whom it calls, how it logs. Addresses that are not set are made
// of run-directory and the role: `Addresses` at the end.

/// Settings of every service.
public enum CommonSettings {
    /// Path of the configuration file.
    public static let config = Setting<String>(
        "config", default: "", help: "YAML or JSON file with settings.",
        reason: "Everything has a default or is better given by flag in small installations.")
    /// Least severe level that is logged.
    public static let logLevel = Setting<String>(
        "log-level", default: "info", allowed: ["trace", "debug", "info", "notice", "warning", "error", "critical"],
        help: "Least severe level that is logged.",
        reason: "One line per change of state tells what happened; debug has one per request.")
    /// Form of a log line.
    public static let logFormat = Setting<String>(
        "log-format", default: "text", allowed: ["text", "json"], help: "Form of a log line on standard error.",
        reason: "A person reads it first; log collectors ask for json.")
    /// Folder of the sockets.
    public static let runDirectory = Setting<String>(
        "run-directory", default: "/run/sightglass", help: "Folder of the sockets of all services on this host.",
        reason: "It is emptied at boot and its permissions say who may call.")
    /// Folder of the secret files.
    public static let secretsDirectory = Setting<String>(
        "secrets-directory", default: "/etc/sightglass/secrets", help: "Folder of the files that hold credentials.",
        reason: "Kubernetes and systemd mount secrets as files; nothing else ever holds one.")
    /// Where requests are served.
    public static let listen = Setting<[String]>(
        "listen", default: [], shownDefault: "ipc://{run-directory}/{role}.rpc",
        help: "Addresses on which requests are served: ipc:///path, tls+tcp://host:port, tcp://127.0.0.1:port.",
        reason: "A socket file is reachable from this host only, by file permission.")
    /// Where hints are published.
    public static let hints = Setting<[String]>(
        "hints", default: [], shownDefault: "ipc://{run-directory}/{role}.hints",
        help: "Addresses on which hints are published, by the services that do.", reason: "As for listen.")
    /// Where the status pages are shown.
    public static let httpListen = Setting<String>(
        "http-listen", default: "",
        help:
            "Address (127.0.0.1:9464, [::]:9464) that shows /metrics, /healthz and /readyz over plain HTTP; empty: none.",
        reason: "Whoever can connect reads the names of cameras there; so nobody can unless a site asks for it.")
    /// Folder of the CA certificates.
    public static let tlsAuthorities = Setting<String>(
        "tls-authorities", default: "",
        help: "Folder with the certificate of each role's authority, {role}.pem. A role without a file is not trusted.",
        reason: "Only tls+tcp addresses need it. Who is let in, the contract says; who is who, these files.")
    /// Own certificate.
    public static let tlsCertificate = Setting<String>(
        "tls-certificate", default: "", help: "PEM file with this service's certificate.",
        reason: "Only tls+tcp addresses need it.")
    /// Own private key's path.
    public static let tlsKey = Setting<String>(
        "tls-key", default: "", help: "PEM file with this service's private key.",
        reason: "Only tls+tcp addresses need it.")
    /// Plain TCP to other hosts.
    public static let insecure = Setting<Bool>(
        "insecure", default: false,
        help: "Allows tcp:// addresses beyond loopback, readable by anybody on the network.",
        reason: "Nobody should get that without asking for it.")

    /// The roles that other services call.
    public static let calledRoles = ["asset-registry", "capture-controller", "indexer", "mqtt-edge-adapter"]

    /// This instance's name.
    public static func instance(role: String) -> Setting<String> {
        Setting<String>(
            "instance", default: "\(role)-0",
            help: "Name of this instance, unique among those of its role; in logs, leases and file names.",
            reason: "Most sites run one of each; the number is what a StatefulSet would give it.")
    }

    /// Where a neighbour serves requests.
    public static func neighbour(_ role: String) -> Setting<[String]> {
        Setting<[String]>(
            role, default: [], shownDefault: "ipc://{run-directory}/\(role).rpc",
            help: "Addresses of \(role) for requests.", reason: "All services on one host find each other unconfigured."
        )
    }

    /// Where a neighbour publishes hints.
    public static func neighbourHints(_ role: String) -> Setting<[String]> {
        Setting<[String]>(
            "\(role)-hints", default: [], shownDefault: "ipc://{run-directory}/\(role).hints",
            help: "Addresses of \(role) for hints.", reason: "All services on one host find each other unconfigured.")
    }

    /// All of them, for a service of `role`.
    public static func all(role: String) -> [any AnySetting] {
        let own: [any AnySetting] = [
            config, instance(role: role), logLevel, logFormat, runDirectory, secretsDirectory, listen, hints,
            httpListen,
        ]
        let neighbours: [any AnySetting] = calledRoles.filter { $0 != role }.flatMap { called -> [any AnySetting] in
            [neighbour(called), neighbourHints(called)]
        }
        return own + neighbours + [tlsAuthorities, tlsCertificate, tlsKey, insecure]
    }
}

/// Which addresses a service uses, from its settings; as text, because parsing belongs to RPC.
struct Addresses: Sendable {
    let role: String
    let settings: Settings

    var instance: String { settings[CommonSettings.instance(role: role)] }

    /// A further instance on one host has sockets of its own name; the usual single one those of its role.
    private var socketName: String {
        settings.source(of: "instance") == .default || instance == "\(role)-0" ? role : instance
    }

    var listen: [String] { own(CommonSettings.listen, "rpc") }
    var hints: [String] { own(CommonSettings.hints, "hints") }

    func neighbour(_ called: String) -> [String] { other(CommonSettings.neighbour(called), called, "rpc") }
    func neighbourHints(_ called: String) -> [String] { other(CommonSettings.neighbourHints(called), called, "hints") }

    private func own(_ setting: Setting<[String]>, _ kind: String) -> [String] {
        let given = settings[setting]
        return given.isEmpty ? [socket(socketName, kind)] : given
    }

    private func other(_ setting: Setting<[String]>, _ called: String, _ kind: String) -> [String] {
        let given = settings[setting]
        return given.isEmpty ? [socket(called, kind)] : given
    }

    private func socket(_ name: String, _ kind: String) -> String {
        "ipc://\(settings[CommonSettings.runDirectory])/\(name).\(kind)"
    }
}
