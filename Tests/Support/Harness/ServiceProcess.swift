// A real process under test: started, watched, stopped and killed like an operator or a failing machine would.

import Foundation
import Synchronization

/// One running executable. Its output goes to files, so that nothing is lost when it is killed.
public final class ServiceProcess: Sendable {
    private let child: ChildProcess
    /// The file that its standard output goes to.
    public let outputPath: String
    private let errorPath: String
    /// The executable's name, for messages.
    public let name: String

    /// Starts an executable (found by `Executables.path`) with arguments. `logs` is the folder for its output.
    public init(
        _ name: String, _ arguments: [String], environment: [String: String] = [:], logs: TemporaryDirectory,
        label: String? = nil
    ) throws {
        self.name = name
        let stem = "\(label ?? name)-\(UInt32.random(in: 0...UInt32.max))"
        outputPath = logs.path(stem + ".out")
        errorPath = logs.path(stem + ".err")
        let inherited = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("SIGHTGLASS_") }
        child = try ChildProcess(
            try Executables.path(of: name), arguments, environment: inherited.merging(environment) { $1 },
            input: "/dev/null", output: outputPath, error: errorPath)
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

    /// SIGKILL, and waits until the process is gone.
    public func kill() async throws {
        signal(SIGKILL)
        _ = try await exitCode(within: .seconds(5))
    }

    /// SIGTERM, and waits until the process has ended. Gives its exit code; throws when it takes longer than `within`,
    /// by default the 5 s that every service promises.
    @discardableResult public func terminate(within limit: Duration = .seconds(5)) async throws -> Int32 {
        signal(SIGTERM)
        return try await exitCode(within: limit)
    }

    /// Waits for the end of the process and gives its exit code (the negated signal where one ended it).
    public func exitCode(within limit: Duration) async throws -> Int32 {
        try await eventually("\(name) ends", within: limit) { self.child.exitStatus }
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
