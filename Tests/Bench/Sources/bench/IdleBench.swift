// IdleBench: what the six services take while nobody asks them for anything, and how soon each is ready.
//
// A whole site (deploy/local/site: broker, Blob server, six services, each a process of its own) without cameras. Memory is the
// proportional set size, so that what the services share counts once. A start is measured from the command that starts the process to
// its first answer that says "ready", its neighbours being there.

import ArgumentParser
import Foundation
import RPC
import Wire

struct IdleBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "idle", abstract: "Memory and processor of six idle services, and how soon each is ready.")

    @Option(help: "Seconds that are watched.") var seconds = 60.0
    @Option(help: "Starts of each service.") var starts = 5
    @Option(help: "Folder with the services' executables.") var bin = ".build/release"
    @OptionGroup var common: CommonOptions

    private static let services = [
        "asset-registry", "indexer", "capture-controller", "archiver", "cloud-uploader", "mqtt-edge-adapter",
    ]
    /// Caches are filled and the first looks around are done.
    private static let settleSeconds = 15.0

    func run() throws {
        var report = Report(bench: "idle", machine: .current(), rounds: starts)
        let site = try BenchSite(bin: bin, cameras: 0)
        defer { site.down() }
        try site.up()
        Thread.sleep(forTimeInterval: Self.settleSeconds)

        let uses = try Self.services.map { name in
            let process = try site.processID(name)
            return (name: name, use: ProcessUse(processes: [process] + ProcessUse.children(of: process)))
        }
        let before = try uses.map { try $0.use.cpuSeconds() }
        let began = ContinuousClock.now
        Thread.sleep(forTimeInterval: seconds)
        let took = began.duration(to: .now) / .seconds(1)
        let cpu = try zip(uses, before).map { (try $0.use.cpuSeconds() - $1) / took * 100 }
        let memory = try uses.map { try $0.use.pssMiB() * 1.048576 }
        report.figures += [
            Figure(name: "idle.memory", value: memory.reduce(0, +), unit: "MB", bar: .atMost(120)),
            Figure(name: "idle.cpu", value: cpu.reduce(0, +), unit: "%core", bar: .atMost(1)),
        ]
        for (index, use) in uses.enumerated() {
            report.figures += [
                Figure(name: "idle.memory.\(use.name)", value: memory[index], unit: "MB", bar: .none),
                Figure(name: "idle.cpu.\(use.name)", value: cpu[index], unit: "%core", bar: .none),
            ]
        }
        for name in Self.services {
            var ready = Rounds()
            for _ in 0..<starts { ready.add(try secondsToReady(name, of: site)) }
            report.figures.append(
                Figure(
                    name: "idle.ready.\(name).most", value: ready.spread?.upperBound ?? .nan, unit: "s",
                    bar: .atMost(1), spread: ready.spread))
        }
        throw ExitCode(try report.finish(writingTo: common.output))
    }

    private func secondsToReady(_ name: String, of site: BenchSite) throws -> Double {
        try site.stop(name)
        let client = RPCClient(
            role: name, addresses: [try RPCAddress(parsing: "ipc://\(site.folder)/run/\(name).rpc")],
            caller: "bench/0")
        defer { client.close() }
        let began = ContinuousClock.now
        try site.start(name)
        while began.duration(to: .now) < .seconds(30) {
            let reply = try? waiting {
                try await client.call(HealthMethods.check, HealthRequest(), timeout: .milliseconds(500))
            }
            if reply?.ready == true { return began.duration(to: .now) / .seconds(1) }
            Thread.sleep(forTimeInterval: 0.005)
        }
        throw BenchError("\(name) is not ready after 30 s")
    }
}
