// Processes: what a bench starts, reads and ends.

import Foundation

struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Runs a command to its end and gives its standard output; an exit code that is not 0 is an error.
func run(_ command: [String]) throws -> String {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: command[0])
    process.arguments = Array(command.dropFirst())
    process.standardOutput = output
    process.standardError = FileHandle.standardError
    try process.run()
    let bytes = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
        throw BenchError("\(command.joined(separator: " ")): exit code \(process.terminationStatus)")
    }
    return String(decoding: bytes, as: UTF8.self)
}

/// A command, to be started on the main thread, that is ended when this process ends, also by a signal.
func dependentProcess(_ command: [String]) -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    // setpriv becomes the command, so its process id is the command's.
    process.arguments = ["setpriv", "--pdeathsig", "TERM"] + command
    return process
}

/// A server process that says "ready" when it is, and ends when its standard input does.
final class ServerProcess {
    private let process = Process()
    private let input = Pipe()

    init(_ command: [String]) throws {
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: command[0])
        process.arguments = Array(command.dropFirst())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let first = output.fileHandleForReading.availableData
        guard String(decoding: first, as: UTF8.self).hasPrefix("ready") else {
            throw BenchError("\(command.joined(separator: " ")) did not become ready")
        }
    }

    /// A line of /proc/PID/status: "VmRSS", "VmHWM".
    func memoryKiB(_ name: String) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
        guard let value = line?.split(whereSeparator: { !$0.isNumber }).first.flatMap({ Int($0) }) else {
            throw BenchError("no \(name) of process \(process.processIdentifier)")
        }
        return value
    }

    func end() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}

/// An executable beside this one.
func sibling(_ name: String) -> String {
    let own = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
    return own.deletingLastPathComponent().appendingPathComponent(name).path
}
