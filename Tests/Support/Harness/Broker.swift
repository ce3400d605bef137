// A real Mosquitto of the test's own: password, persistence, a port of its own; stopped, killed and restarted at will.
//
// The password is in files only, as on a real site: every user of the machine can read the arguments of a process. What
// mosquitto_pub and mosquitto_sub need they read from a file of options, found by XDG_CONFIG_HOME.

import Foundation
import Synchronization

/// A Mosquitto broker on loopback.
public final class Broker: Sendable {
    /// User that may do everything.
    public static let user = "operator"
    /// Its password. Also in the file `passwordFile`.
    public static let password = "canary-broker-password"

    /// Where it listens on loopback.
    public let port: UInt16
    /// A file with the password, as the adapter wants it.
    public let passwordFile: String
    private let folder: TemporaryDirectory
    private let running: Mutex<ServiceProcess?> = Mutex(nil)

    /// Prepares and starts a broker. `settings` are further lines of mosquitto.conf.
    public init(settings: [String] = [], in folder: TemporaryDirectory) async throws {
        self.folder = folder
        port = try freePort()
        passwordFile = try folder.write(Self.password + "\n", to: "broker/operator.password")
        // -U replaces the text in the file by its hash.
        let users = try folder.write("\(Self.user):\(Self.password)\n", to: "broker/users")
        let made = try await runTool("mosquitto_passwd", ["-U", users])
        guard made.exitCode == 0 else { throw HarnessError("mosquitto_passwd: \(made.error)") }
        let access = ["-h 127.0.0.1", "-p \(port)", "-V 5", "-u \(Self.user)", "-P \(Self.password)", ""]
        for tool in ["mosquitto_pub", "mosquitto_sub"] {
            try folder.write(access.joined(separator: "\n"), to: "clients/\(tool)")
        }
        let configuration = [
            "user root", "listener \(port) 127.0.0.1", "allow_anonymous false", "password_file \(users)",
            "persistence true", "persistence_location \(folder.path("broker"))/", "autosave_interval 1",
            "max_queued_messages 100000", "set_tcp_nodelay true",
        ]
        try folder.write((configuration + settings).joined(separator: "\n") + "\n", to: "broker/mosquitto.conf")
        try await start()
    }

    /// Starts it (again, with what it persisted) and waits until it takes connections.
    public func start() async throws {
        let process = try ServiceProcess(
            "mosquitto", ["-c", folder.path("broker/mosquitto.conf")], logs: folder, label: "mosquitto")
        running.withLock { $0 = process }
        try await eventually("mosquitto answers on port \(port)") {
            guard process.isRunning else { throw HarnessError("mosquitto ended: \(process.standardError)") }
            let answer = try await self.publish("harness/ready", "1")
            return answer.exitCode == 0 ? true : nil
        }
    }

    /// SIGTERM: it writes what it must remember.
    public func stop() async throws { try await running.withLock { $0 }?.terminate() }

    /// SIGKILL: it forgets what was not saved.
    public func kill() async throws { try await running.withLock { $0 }?.kill() }

    /// Where the tools find their options.
    private var access: [String: String] { ["XDG_CONFIG_HOME": folder.path("clients")] }

    /// `mosquitto_pub -q 1`; `arguments` go to it as they are.
    @discardableResult public func publish(
        _ topic: String, _ payload: String, _ arguments: [String] = []
    ) async throws -> ToolResult {
        try await runTool(
            "mosquitto_pub", ["-q", "1", "-t", topic, "-s"] + arguments, input: payload, environment: access)
    }

    /// The retained or next message on a topic, by `mosquitto_sub -C 1`; nil when none came within `seconds`.
    public func message(
        on topic: String, seconds: Int = 10, format: String = "%p", _ arguments: [String] = []
    ) async throws -> String? {
        let result = try await runTool(
            "mosquitto_sub",
            ["-q", "1", "-t", topic, "-C", "1", "-W", "\(seconds)", "-F", format] + arguments,
            environment: access, within: .seconds(seconds + 10))
        return result.exitCode == 0 ? String(result.output.dropLast(result.output.hasSuffix("\n") ? 1 : 0)) : nil
    }

    /// Starts a `mosquitto_sub` that runs until it is ended; its messages are lines "topic payload" on standard output.
    public func subscribe(_ topics: [String], _ arguments: [String] = []) throws -> ServiceProcess {
        try ServiceProcess(
            "mosquitto_sub", ["-q", "1", "-v"] + topics.flatMap { ["-t", $0] } + arguments, environment: access,
            logs: folder, label: "subscriber")
    }
}
