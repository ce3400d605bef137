// A whole site for the system tests and the fault campaign: deploy/local/site in a folder of its own. Tests speak to it as an
// operator does, by mosquitto_pub and mosquitto_sub, and look at its files and blobs.

import Crypto
import Foundation
import Synchronization

/// Every service of the suite, as `deploy/local/site` names them.
public let serviceNames = [
    "asset-registry", "indexer", "capture-controller", "archiver", "cloud-uploader", "mqtt-edge-adapter",
]

/// A running site. `down` ends it; a test that fails leaves it to the next `down`.
public struct Site: Sendable {
    /// Where tests put what the site has not; the site itself is its folder "site".
    public let folder: TemporaryDirectory
    /// What all topics begin with.
    public static let namespace = "azure-iot-operations"
    /// How it differs from the demo's: the variables that `deploy/local/site` describes.
    private let size: [String: String]

    /// Starts everything and waits until it is ready.
    public static func up(_ size: [String: String] = [:]) async throws -> Site {
        let site = Site(folder: try TemporaryDirectory(), size: size)
        let result = try await site.run(["up"])
        guard result.exitCode == 0 else {
            throw HarnessError("site up: \(result.output)\(result.error)\n\(try await site.logs())")
        }
        return site
    }

    /// The site's folder.
    public var path: String { folder.path("site") }

    /// For the tools that speak to it.
    public var environment: [String: String] {
        size.merging([
            "SITE": path, "BIN": Executables.folder.path, "XDG_CONFIG_HOME": path + "/clients",
            "SECRETS": "canary",
        ]) { $1 }
    }

    /// Runs `deploy/local/site` on it, to its end.
    @discardableResult public func run(_ arguments: [String]) async throws -> ToolResult {
        let script = Executables.repository.appendingPathComponent("deploy/local/site").path
        return try await runTool("bash", [script] + arguments, environment: environment, within: .seconds(120))
    }

    private func must(_ arguments: [String]) async throws {
        let result = try await run(arguments)
        guard result.exitCode == 0 else {
            throw HarnessError("site \(arguments.joined(separator: " ")): \(result.output)\(result.error)")
        }
    }

    /// Starts one process.
    public func start(_ name: String) async throws { try await must(["start", name]) }
    /// SIGTERM; throws when it does not end within 5 s.
    public func stop(_ name: String) async throws { try await must(["stop", name]) }
    /// SIGKILL.
    public func kill(_ name: String) async throws { try await must(["kill", name]) }
    /// Ends everything and removes the folder; throws when a process does not end within 5 s, and where a credential stands in
    /// anything that the site showed or wrote.
    public func down() async throws {
        let scan = SiteScan(folder: path)
        let finds = await scan.running() + scan.written()
        try await must(["down"])
        guard finds.isEmpty else { throw HarnessError(finds.map(\.description).joined(separator: "\n")) }
    }

    /// The last lines of every log, for a failed test.
    public func logs() async throws -> String {
        try await runTool("bash", ["-c", "tail -n 8 \"$SITE\"/logs/*.log"], environment: environment).output
    }

    /// The whole log of one process.
    public func log(_ name: String) -> String {
        (try? String(contentsOfFile: "\(path)/logs/\(name).log", encoding: .utf8)) ?? ""
    }

    /// Runs the operator's command line against it.
    public func sightglass(_ arguments: [String], input: String? = nil) async throws -> ToolResult {
        try await runTool(
            "sightglass", arguments + ["--run-directory", path + "/run"], input: input, environment: environment)
    }

    // --- MQTT ---------------------------------------------------------------------------------------------------------

    /// Publishes below the namespace with QoS 1; throws when the broker does not take it within `limit`.
    public func publish(_ topic: String, _ payload: String, within limit: Duration = .seconds(60)) async throws {
        let result = try await runTool(
            "mosquitto_pub", ["-q", "1", "-t", "\(Self.namespace)/\(topic)", "-s"], input: payload,
            environment: environment, within: limit)
        guard result.exitCode == 0 else { throw HarnessError("mosquitto_pub: \(result.error)") }
    }

    /// The retained JSON object on a topic, or nil where there is none within a second.
    public func retained(_ topic: String) async throws -> [String: JSON]? {
        let result = try await runTool(
            "mosquitto_sub",
            ["-q", "1", "-t", "\(Self.namespace)/\(topic)", "-C", "1", "-W", "1", "--retained-only", "-F", "%p"],
            environment: environment)
        guard result.exitCode == 0, !result.output.isEmpty else { return nil }
        return try JSONDecoder().decode([String: JSON].self, from: Data(result.output.utf8))
    }

    /// Waits until the retained object on a topic is as it should be, and gives it.
    @discardableResult public func status(
        _ topic: String, within limit: Duration = .seconds(30), is wanted: @Sendable ([String: JSON]) -> Bool
    ) async throws -> [String: JSON] {
        let last = Last()
        do {
            return try await eventually("\(topic) says so", within: limit) {
                guard let value = try await retained(topic) else { return nil }
                last.note("\(value)")
                return wanted(value) ? value : nil
            }
        } catch {
            throw HarnessError("\(error); last: \(last.text)\n\(try await logs())")
        }
    }

    // --- Files --------------------------------------------------------------------------------------------------------

    /// Where a file of the archive volume is.
    public func archived(_ relative: String) -> String { "\(path)/archive/\(relative)" }

    /// SHA-256 of a file in hexadecimal.
    public func sha256(_ file: String) throws -> String {
        guard let data = FileManager.default.contents(atPath: file) else { throw HarnessError("no file \(file)") }
        return SHA256.hash(data: data).map { String(format: "%02x", $0) }.joined()
    }

    /// The sealed footage files of an asset, on the recording volume.
    public func segments(of asset: String) -> [String] {
        let files = FileManager.default.enumerator(atPath: "\(path)/recording/\(asset)")
        return (files?.compactMap { $0 as? String } ?? []).filter { $0.hasSuffix(".mp4") }
    }

    /// Files left in the staging folders of both volumes that belong to no open work.
    public func staged(_ volume: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: "\(path)/\(volume)/.staging")) ?? []
    }
}

/// The last value a wait has seen, for its error message.
private final class Last: Sendable {
    private let held = Mutex("nothing")
    var text: String { held.withLock { $0 } }
    func note(_ text: String) { held.withLock { $0 = text } }
}
