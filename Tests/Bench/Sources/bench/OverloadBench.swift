// OverloadBench: 200 clients flood a server that does a millisecond of work per call: a process of its own that can do some
// 2,000 a second on two cores, which the clients need as well. It must answer every call, with its result or with
// RESOURCE_EXHAUSTED, stay small, and serve normally in the second after.

import ArgumentParser
import Foundation

struct OverloadBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "overload", abstract: "A server that is asked for more than it can do.")

    @Option(help: "Clients, each with a connection of its own.") var clients = 200
    @Option(help: "Calls that each client has in flight.") var inFlight = 4
    @Option(help: "Seconds of flood.") var seconds = 10
    @OptionGroup var common: CommonOptions

    func run() throws {
        let machine = Machine.current()
        let address = "ipc:///tmp/sg-bench-overload-\(getpid())"
        let server = try ServerProcess([sibling("rpc-peer"), "serve", address])
        defer { server.end() }
        // What a server that was used a little has in memory.
        _ = try bench.run([sibling("rpc-peer"), "call", address, "64", "1000", "1", "100"])
        let before = try server.memoryKiB("VmRSS")
        let output = try bench.run([
            sibling("rpc-peer"), "flood", address, "\(clients)", "\(inFlight)", "\(seconds)",
        ])
        let most = try server.memoryKiB("VmHWM")
        let lines = output.split(separator: "\n").map { $0.split(separator: " ").dropFirst().compactMap { Double($0) } }
        guard lines.count == 3, lines[1].count == 3 else { throw BenchError("the flood said: \(output)") }
        let (calm, answers, after) = (lines[0], lines[1], lines[2])
        let failed = after.filter { $0 < 0 }.count

        var report = Report(bench: "overload", machine: machine, rounds: 1)
        func figure(_ name: String, _ value: Double, _ unit: String, peer: Double? = nil, _ bar: Bar) {
            report.figures.append(Figure(name: "overload.\(name)", value: value, unit: unit, peer: peer, bar: bar))
        }
        figure("results", answers[0] / Double(seconds), "calls/s", .none)
        figure("refusals", answers[1] / Double(seconds), "calls/s", .none)
        figure("other-answers", answers[2], "calls", .atMost(0))
        // The server's own bound: 64 requests and their replies, 80 contexts, 200 connections of some 20 KiB.
        figure("server-memory-growth", Double(most - before) / 1024, "MB", .atMost(16))
        figure("failed-in-the-second-after", Double(failed), "calls", .atMost(0))
        figure(
            "p50-in-the-second-after", quantile(0.5, of: after.filter { $0 >= 0 }) / 1000, "us",
            peer: quantile(0.5, of: calm) / 1000, .ratioAtMost(1.5))
        figure("p99-in-the-second-after", quantile(0.99, of: after.filter { $0 >= 0 }) / 1000, "us", .none)
        report.notes.append("the peer of the second after is the second before")
        throw ExitCode(try report.finish(writingTo: common.output))
    }
}
