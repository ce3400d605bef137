// A real process under test: started, watched, stopped and killed like an operator or a failing machine would.

import Foundation
import Synchronization

/// One running executable. Its output goes to files, so that nothing is lost when it is killed. It must show no credential: its
/// arguments and environment are looked at at its start and at its end, then also its output and, where it is asked to end, its
/// health and metrics (Canaries.swift).
public final class ServiceProcess: Sendable {
    private let child: ChildProcess
    /// The file that its standard output goes to.
    public let outputPath: String
    private let errorPath: String
    /// The executable's name, for messages.
    public let name: String
    private let arguments: [String]
    private let finds: Mutex<Set<CanaryFind>>

    /// Starts an executable (found by `Executables.path`) with arguments. `logs` is the folder for its output.
    public init(
        _ name: String, _ arguments: [String], environment: [String: String] = [:], logs: TemporaryDirectory,
        label: String? = nil
    ) throws {
        self.name = name
        self.arguments = arguments
        let stem = "\(label ?? name)-\(UInt32.random(in: 0...UInt32.max))"
        outputPath = logs.path(stem + ".out")
        errorPath = logs.path(stem + ".err")
        let inherited = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("SIGHTGLASS_") }
        child = try ChildProcess(
            try Executables.path(of: name), arguments, environment: inherited.merging(environment) { $1 },
            input: "/dev/null", output: outputPath, error: errorPath)
        let child = child
        CanaryProcess.awaitArguments(of: child.processID) { child.exitStatus == nil }
        finds = Mutex(Set(CanaryProcess.finds(child.processID, name: name)))
    }

    /// The process id.
    public var processID: Int32 { child.processID }

    /// Whether it still runs.
    public var isRunning: Bool { child.exitStatus == nil }

    /// All that it wrote to standard error so far.
    public var standardError: String { (try? String(contentsOfFile: errorPath, encoding: .utf8)) ?? "" }

    /// The whole lines that it wrote to standard output so far: a line that is being written would be taken for all of it.
    public var standardOutput: String {
        let bytes = [UInt8](FileManager.default.contents(atPath: outputPath) ?? Data())
        let end = bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        return String(decoding: bytes[..<end], as: UTF8.self)
    }

    /// Sends a signal.
    public func signal(_ number: Int32) {
        child.signal(number)
    }

    /// SIGKILL, and waits until the process is gone. Throws where it showed a credential.
    public func kill() async throws {
        lookAtProcess()
        signal(SIGKILL)
        _ = try await exitCode(within: .seconds(5))
    }

    /// SIGTERM, and waits until the process has ended. Gives its exit code; throws when it takes longer than `within`,
    /// by default the 5 s that every service promises, and where it showed a credential.
    @discardableResult public func terminate(within limit: Duration = .seconds(5)) async throws -> Int32 {
        lookAtProcess()
        await lookAtAnswers()
        signal(SIGTERM)
        return try await exitCode(within: limit)
    }

    /// Waits for the end of the process and gives its exit code (the negated signal where one ended it).
    public func exitCode(within limit: Duration) async throws -> Int32 {
        let code = try await eventually("\(name) ends", within: limit) { self.child.exitStatus }
        let files = CanaryFiles()
        let all = finds.withLock { $0 }.union(files.finds(at: outputPath)).union(files.finds(at: errorPath))
        guard all.isEmpty else { throw HarnessError(all.map(\.description).sorted().joined(separator: "\n")) }
        return code
    }

    private func lookAtProcess() {
        let found = CanaryProcess.finds(processID, name: name)
        finds.withLock { $0.formUnion(found) }
    }

    /// Where it is one of ours and has a socket in its run-directory.
    private func lookAtAnswers() async {
        guard serviceNames.contains(name), isRunning, let folder = argument("--run-directory") else { return }
        let socket = "\(folder)/\(name).rpc"
        guard FileManager.default.fileExists(atPath: socket) else { return }
        let found = await CanaryProcess.finds(answering: "ipc://\(socket)", role: name)
        finds.withLock { $0.formUnion(found) }
    }

    private func argument(_ key: String) -> String? {
        if let index = arguments.firstIndex(of: key), index + 1 < arguments.count { return arguments[index + 1] }
        return arguments.first { $0.hasPrefix(key + "=") }.map { String($0.dropFirst(key.count + 1)) }
    }

    /// Waits for a text on standard error.
    public func waitForLog(_ text: String, within limit: Duration = .seconds(10)) async throws {
        do {
            try await eventually("\(name) logs \"\(text)\"", within: limit) {
                self.standardError.contains(text) ? true : nil
            }
        } catch {
            throw HarnessError("\(error)\n--- standard error of \(name):\n\(standardError.suffix(4000))")
        }
    }
}

/// Waits until `probe` gives a value, and gives it. Throws what it waited for when the time is over; an error that `probe`
/// throws counts as "not yet" and is named then.
@discardableResult public func eventually<T: Sendable>(
    _ what: String, within limit: Duration = .seconds(10), _ probe: () async throws -> T?
) async throws -> T {
    let clock = ContinuousClock()
    let end = clock.now + limit
    var last: String = ""
    while true {
        do {
            if let value = try await probe() { return value }
            last = ""
        } catch { last = ": \(error)" }
        guard clock.now < end else { throw HarnessError("waited \(limit) in vain: \(what)\(last)") }
        try await Task.sleep(for: .milliseconds(20))
    }
}
