// RPCBench: a call between two processes over ipc, beside the same exchange in plain C with nng and beside grpc-swift.
//
// Each peer is a server process that stays, and a caller process per round. The peers take turns within a round, so that
// what else the machine does meets all of them; figures are medians over the rounds.

import ArgumentParser
import Foundation

struct RPCBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rpc", abstract: "Request and reply over ipc, beside plain C with nng and grpc-swift.")

    @Option(help: "Rounds; each measures every peer once.") var rounds = 9
    @OptionGroup var common: CommonOptions

    private struct Load {
        let name: String
        let bytes: Int
        let calls: Int
        let inFlight: Int
    }

    private static let peers = [("ours", "rpc-peer"), ("nng in C", "nng-peer"), ("grpc-swift", "grpc-peer")]
    private static let loads = [
        Load(name: "64B.sequential", bytes: 64, calls: 4_000, inFlight: 1),
        Load(name: "64B.8-in-flight", bytes: 64, calls: 16_000, inFlight: 8),
        Load(name: "64KiB.sequential", bytes: 64 << 10, calls: 2_000, inFlight: 1),
        Load(name: "64KiB.8-in-flight", bytes: 64 << 10, calls: 8_000, inFlight: 8),
    ]

    private struct Measured {
        var p50us = Rounds()
        var p99us = Rounds()
        var perSecond = Rounds()
    }

    func run() throws {
        let machine = Machine.current()
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sg-bench-\(getpid())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func address(_ program: String) -> String {
            let path = folder.appendingPathComponent(program).path
            return program == "grpc-peer" ? path : "ipc://\(path)"
        }
        let servers = try Self.peers.map { try ServerProcess([sibling($0.1), "serve", address($0.1)]) }
        defer { servers.forEach { $0.end() } }

        var measured: [String: [String: Measured]] = [:]
        for round in 0..<rounds {
            for load in Self.loads {
                // Every peer is first in turn, once.
                for offset in 0..<Self.peers.count {
                    let (peer, program) = Self.peers[(round + offset) % Self.peers.count]
                    let output = try bench.run([
                        sibling(program), "call", address(program), "\(load.bytes)", "\(load.calls)",
                        "\(load.inFlight)", "\(load.calls / 10)",
                    ])
                    try Self.add(output, load, to: &measured[load.name, default: [:]][peer, default: Measured()])
                }
            }
        }
        var report = Report(bench: "rpc", machine: machine, rounds: rounds)
        for load in Self.loads { report.figures += Self.figures(load, measured[load.name] ?? [:]) }
        report.notes.append("a call that fails ends the bench: calls lost 0")
        throw ExitCode(try report.finish(writingTo: common.output))
    }

    private static func add(_ output: String, _ load: Load, to measured: inout Measured) throws {
        let lines = output.split(separator: "\n")
        let latencies = lines.compactMap { Double($0) }
        guard let last = lines.last, last.hasPrefix("total "), let total = Double(last.dropFirst(6)),
            latencies.count == load.calls - load.calls % load.inFlight
        else { throw BenchError("\(load.name): \(latencies.count) of \(load.calls) calls") }
        measured.p50us.add(quantile(0.5, of: latencies) / 1_000)
        measured.p99us.add(quantile(0.99, of: latencies) / 1_000)
        measured.perSecond.add(Double(latencies.count) / total * 1e9)
    }

    private static func figures(_ load: Load, _ measured: [String: Measured]) -> [Figure] {
        guard let ours = measured["ours"], let plain = measured["nng in C"], let grpc = measured["grpc-swift"] else {
            return []
        }
        func figure(
            _ what: String, _ unit: String, _ bar: Bar, _ peer: (String, Measured), _ part: (Measured) -> Rounds
        ) -> Figure {
            Figure(
                name: "rpc.\(load.name).\(what)", value: part(ours).median, unit: unit, peer: part(peer.1).median,
                peerName: peer.0, bar: bar, spread: part(ours).spread, peerSpread: part(peer.1).spread)
        }
        func throughput(_ measured: Measured) -> Rounds {
            var megabytes = Rounds()
            for value in measured.perSecond.values { megabytes.add(value * Double(load.bytes) / 1e6) }
            return megabytes
        }
        let c = ("nng in C", plain)
        let swift = ("grpc-swift", grpc)
        if load.bytes > 1_000 {
            // What a connection carries is measured with several calls under way; one after the other it is the latency of one,
            // in which each copy and each wake-up counts in full: printed, and left without a bar.
            let bar = load.inFlight > 1 ? Bar.ratioAtLeast(0.8) : .none
            return [
                figure("throughput", "MB/s", bar, c, throughput),
                figure("throughput-beside-grpc", "MB/s", .none, swift, throughput),
            ]
        }
        if load.inFlight == 1 {
            return [
                figure("p50", "us", .ratioAtMost(1.5), c, \.p50us), figure("p99", "us", .none, c, \.p99us),
                figure("p50-beside-grpc", "us", .none, swift, \.p50us),
            ]
        }
        return [
            figure("rate", "calls/s", .ratioAtLeast(0.7), c, \.perSecond),
            figure("rate-beside-grpc", "calls/s", .none, swift, \.perSecond),
        ]
    }
}
