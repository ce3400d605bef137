// Runs a tool (ffprobe, mosquitto_pub, openssl) to its end and gives what it printed.

import Foundation
import Synchronization

/// What a tool left behind.
public struct ToolResult: Sendable {
    /// 0 for success.
    public let exitCode: Int32
    /// Standard output.
    public let output: String
    /// Standard error.
    public let error: String
}

/// Lets so many in at a time, in their order.
private final class ToolGate: Sendable {
    /// Two for each of two processors: one of them mostly waits.
    static let commands = ToolGate(room: 4)

    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state: Mutex<State>

    init(room: Int) { state = Mutex(State(free: room)) }

    func enter() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                guard state.free == 0 else {
                    state.free -= 1
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    func leave() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
            state.free += 1
            return nil
        }
        next?.resume()
    }
}

/// Runs a tool to its end. Throws when it takes longer than `limit`; never for its exit code.
public func runTool(
    _ name: String, _ arguments: [String], input: String? = nil, environment: [String: String] = [:],
    within limit: Duration = .seconds(60)
) async throws -> ToolResult {
    let shown = Canary.scanner.finds(
        in: arguments.joined(separator: "\n"), place: "the arguments of \(name)", shapes: false)
    guard shown.isEmpty else { throw HarnessError(shown.map(\.description).joined(separator: "\n")) }
    // A suite starts all its tests at once: a hundred of our commands beginning together take longer to load than one of them waits
    // for the test's own fakes.
    let isCommand = name == "sightglass"
    if isCommand { await ToolGate.commands.enter() }
    defer { if isCommand { ToolGate.commands.leave() } }
    let executable = try Executables.path(of: name)
    // What tools of others say of addresses is theirs; a canary they must not be given.
    let folder = try TemporaryDirectory(shapes: executable.path.hasPrefix(Executables.folder.path))
    try folder.write(input ?? "", to: "in")
    let process = try ChildProcess(
        executable, arguments,
        environment: ProcessInfo.processInfo.environment.merging(environment) { $1 }, input: folder.path("in"),
        output: folder.path("out"), error: folder.path("err"))
    let exitCode = try await eventually("\(name) ends", within: limit) { process.exitStatus }
    func text(_ file: String) -> String {
        let data = FileManager.default.contents(atPath: folder.path(file)) ?? Data()
        return String(decoding: data, as: UTF8.self)
    }
    return ToolResult(exitCode: exitCode, output: text("out"), error: text("err"))
}

/// A TCP port on loopback that nobody uses at this moment.
public func freePort() throws -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw HarnessError("no socket") }
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    // Sound: sockaddr_in is what bind and getsockname read and write through sockaddr for AF_INET.
    let bound = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
            bind(descriptor, generic, length) == 0 && getsockname(descriptor, generic, &length) == 0
        }
    }
    guard bound else { throw HarnessError("no free port") }
    return UInt16(bigEndian: address.sin_port)
}
