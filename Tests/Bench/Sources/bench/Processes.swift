// Processes: what a bench starts, reads and ends.

import Foundation

struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Runs a command to its end and gives its standard output; an exit code that is not 0 is an error.
func run(_ command: [String]) throws -> String { try runToEnd(command).output }

/// The same, and when it ended: its output ends with it, while `waitUntilExit` looks every twentieth of a second only.
func runToEnd(_ command: [String]) throws -> (output: String, endedAt: ContinuousClock.Instant) {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: command[0])
    process.arguments = Array(command.dropFirst())
    process.standardOutput = output
    process.standardError = FileHandle.standardError
    try process.run()
    let bytes = output.fileHandleForReading.readDataToEndOfFile()
    let endedAt = ContinuousClock.now
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
        throw BenchError("\(command.joined(separator: " ")): exit code \(process.terminationStatus)")
    }
    return (String(decoding: bytes, as: UTF8.self), endedAt)
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
    private let output = Pipe()
    private var unread = Data()
    /// What follows "ready " in its first line.
    private(set) var greeting = ""

    init(_ command: [String]) throws {
        process.executableURL = URL(fileURLWithPath: command[0])
        process.arguments = Array(command.dropFirst())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let first = try? line()
        guard let first, first.hasPrefix("ready") else {
            throw BenchError("\(command.joined(separator: " ")) did not become ready")
        }
        greeting = String(first.dropFirst("ready ".count))
    }

    /// Writes a line to its standard input.
    func tell(_ line: String) throws { try input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8)) }

    /// The next line of its standard output, without its end; an error when it has ended.
    func line() throws -> String {
        while true {
            if let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
                defer { unread = Data(unread[(end + 1)...]) }
                return String(decoding: unread[unread.startIndex..<end], as: UTF8.self)
            }
            let more = output.fileHandleForReading.availableData
            guard !more.isEmpty else { throw BenchError("\(process.executableURL?.path ?? "") has ended") }
            unread += more
        }
    }

    /// A line of /proc/PID/status: "VmRSS", "VmHWM".
    func memoryKiB(_ name: String) throws -> Int { try ProcessUse.memoryKiB(name, of: process.processIdentifier) }

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
