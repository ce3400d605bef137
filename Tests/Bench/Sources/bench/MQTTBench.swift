// MQTTBench: pictures and commands through the adapter, beside mosquitto_pub: how many, how late, and none lost when the broker is
// restarted meanwhile (case 34 of the field's lessons).
//
// A whole site (deploy/local/site) without controller and cameras, so that nothing else works: the pictures come from here, by
// PublishSnapshot as controllers send them. mosquitto_pub publishes the same bytes to the same broker in the same run, and the
// same mosquitto_sub counts both.
//
//   rate       so many calls under way at a time; mosquitto_pub --repeat
//   latency    50 a second, from the call, or from the line into mosquitto_pub -l, to the line out of mosquitto_sub
//   command    start and stop by turns, from the line into a connected mosquitto_pub to the answer out of mosquitto_sub
//   restart    the broker ends and starts in the middle; what was acknowledged to the caller has to arrive

import ArgumentParser
import Foundation
import RPC
import Synchronization
import Wire

struct MQTTBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mqtt", abstract: "Pictures and commands through the adapter, beside mosquitto_pub.")

    @Option(help: "Pictures of a round.") var pictures = 400
    @Option(help: "Rounds of the rate, and of the latency.") var rounds = 5
    @Option(help: "Bytes of a picture.") var bytes = 300_000
    @Option(help: "Calls under way at a time.") var inFlight = 8
    @Option(help: "Commands.") var commands = 300
    @Option(help: "Folder with the services' executables.") var bin = ".build/release"
    @OptionGroup var common: CommonOptions

    private static let topic = "bench/pictures"
    private static let perSecond = 50.0

    func run() throws {
        let machine = Machine.current()
        let site = try BenchSite(bin: bin)
        defer { site.down() }
        try site.up()
        for name in ["capture-controller", "archiver", "cloud-uploader", "camera-line1", "camera-line2", "camera-dock"]
        {
            try site.stop(name)
        }
        let client = RPCClient(
            role: "mqtt-edge-adapter",
            addresses: [try RPCAddress(parsing: "ipc://\(site.folder)/run/mqtt-edge-adapter.rpc")], caller: "bench/0")
        defer { client.close() }
        var report = Report(bench: "mqtt", machine: machine, rounds: rounds)
        try rate(&report, site, client)
        try latency(&report, site, client)
        try command(&report, site)
        try restart(&report, site, client)
        throw ExitCode(try report.finish(writingTo: common.output))
    }

    private func request(_ number: Int, to topic: String = topic) -> PublishSnapshotRequest {
        PublishSnapshotRequest(
            stream: StreamName(asset: "line1", stream: "pictures"),
            source: SourceName(device: "line1-camera", endpoint: "main"),
            picture: [UInt8](repeating: 0x2E, count: bytes),
            contentType: "image/jpeg", capturedUs: Int64(Date().timeIntervalSince1970 * 1e6), sequence: UInt64(number),
            destination: MqttDestination(topic: topic, qos: 1, ttlS: 60), expiresInMs: 30_000)
    }

    // MARK: Rate

    private func rate(_ report: inout Report, _ site: BenchSite, _ client: RPCClient) throws {
        let file = site.folder + "/picture"
        try Data(repeating: 0x2E, count: bytes).write(to: URL(fileURLWithPath: file))
        let watcher = try site.lines(Self.topic, format: "%l")
        defer { watcher.end() }
        var (own, peer) = (Rounds(), Rounds())
        var lost = 0
        for round in 0...rounds {
            let ownRate = try counted(watcher, &lost) { try publish(pictures, client) }
            let peerRate = try counted(watcher, &lost) {
                try site.publishFile(file, Self.topic, repeating: pictures)
            }
            // The first round warms up.
            guard round > 0 else { continue }
            own.add(ownRate)
            peer.add(peerRate)
        }
        report.figures += [
            Figure(
                name: "mqtt.pictures.rate", value: own.median, unit: "pictures/s", peer: peer.median,
                peerName: "mosquitto_pub", bar: .ratioAtLeast(0.9), spread: own.spread, peerSpread: peer.spread),
            Figure(name: "mqtt.pictures.lost", value: Double(lost), unit: "pictures", bar: .atMost(0)),
        ]
        report.notes.append("pictures of \(bytes) bytes, QoS 1; \(inFlight) calls under way; mosquitto_pub --repeat")
    }

    /// Pictures a second until the subscriber has all of them.
    private func counted(_ watcher: LineWatcher, _ lost: inout Int, _ publish: () throws -> Void) throws -> Double {
        let before = watcher.count
        let began = ContinuousClock.now
        try publish()
        watcher.wait(count: before + pictures, seconds: 10)
        let took = began.duration(to: .now) / .seconds(1)
        lost += max(0, before + pictures - watcher.count)
        return Double(pictures) / took
    }

    /// So many pictures, each acknowledged.
    private func publish(_ count: Int, _ client: RPCClient) throws {
        let (next, inFlight) = (Counter(), inFlight)
        let bench = self
        try waiting {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<inFlight {
                    group.addTask {
                        while case let number = next.next(), number <= count {
                            let reply = try await client.call(
                                MqttEdgeAdapterMethods.publishSnapshot, bench.request(number), timeout: .seconds(30))
                            guard reply.published == true else { throw BenchError(reply.reason ?? "not published") }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    // MARK: Latency

    private func latency(_ report: inout Report, _ site: BenchSite, _ client: RPCClient) throws {
        let watcher = try site.lines("bench/late", format: "%l")
        defer { watcher.end() }
        let line = String(repeating: ".", count: bytes)
        var (own, peer) = (Rounds(), Rounds())
        var (ownMedian, peerMedian) = (Rounds(), Rounds())
        let bench = self
        for round in 0...rounds {
            let ours = try paced(watcher) { number in
                try waiting {
                    let reply = try await client.call(
                        MqttEdgeAdapterMethods.publishSnapshot, bench.request(number, to: "bench/late"),
                        timeout: .seconds(10))
                    guard reply.published == true else { throw BenchError(reply.reason ?? "not published") }
                }
            }
            let publisher = try site.publisher(toTopic: "bench/late")
            let theirs = try paced(watcher) { _ in try publisher.publish(line) }
            publisher.end()
            guard round > 0 else { continue }
            own.add(quantile(0.99, of: ours))
            ownMedian.add(quantile(0.5, of: ours))
            peer.add(quantile(0.99, of: theirs))
            peerMedian.add(quantile(0.5, of: theirs))
        }
        report.figures += [
            Figure(
                name: "mqtt.pictures.latency.p50", value: ownMedian.median, unit: "ms", peer: peerMedian.median,
                peerName: "mosquitto_pub", bar: .none, spread: ownMedian.spread, peerSpread: peerMedian.spread),
            Figure(
                name: "mqtt.pictures.latency.p99", value: own.median, unit: "ms", peer: peer.median,
                peerName: "mosquitto_pub", bar: .ratioAtMost(3), spread: own.spread, peerSpread: peer.spread),
        ]
    }

    /// Milliseconds from handing a picture over to its arrival, 50 a second.
    private func paced(_ watcher: LineWatcher, _ publish: (Int) throws -> Void) throws -> [Double] {
        let first = watcher.count
        let count = Int(Self.perSecond) * 4
        var sent: [Double] = []
        let began = Date().timeIntervalSince1970
        for number in 0..<count {
            let due = began + Double(number) / Self.perSecond
            Thread.sleep(forTimeInterval: max(0, due - Date().timeIntervalSince1970))
            sent.append(Date().timeIntervalSince1970)
            try publish(number + 1)
        }
        watcher.wait(count: first + count, seconds: 10)
        let arrived = watcher.arrivals(from: first)
        guard arrived.count == count else { throw BenchError("\(count - arrived.count) of \(count) pictures are lost") }
        return zip(arrived, sent).map { ($0 - $1) * 1000 }
    }

    // MARK: Commands

    private func command(_ report: inout Report, _ site: BenchSite) throws {
        let watcher = try site.lines("azure-iot-operations/asset-operations/line1/clips/+/response", format: "%p")
        defer { watcher.end() }
        let publishers = try ["start", "stop"].map { verb in
            try site.publisher(toTopic: "azure-iot-operations/asset-operations/line1/clips/\(verb)")
        }
        defer { publishers.forEach { $0.end() } }
        var latencies: [Double] = []
        for number in 0..<commands + 20 {
            let before = watcher.count
            let sent = Date().timeIntervalSince1970
            try publishers[number % 2].publish("{}")
            watcher.wait(count: before + 1, seconds: 5)
            guard let arrived = watcher.arrivals(from: before).first else {
                throw BenchError("a command has no answer")
            }
            if number >= 20 { latencies.append((arrived - sent) * 1000) }
            Thread.sleep(forTimeInterval: .random(in: 0.001...0.01))
        }
        report.figures += [
            Figure(
                name: "mqtt.command.p50", value: quantile(0.5, of: latencies), unit: "ms", bar: .atMost(3),
                spread: (latencies.min() ?? 0)...(latencies.max() ?? 0)),
            Figure(name: "mqtt.command.p99", value: quantile(0.99, of: latencies), unit: "ms", bar: .none),
        ]
    }

    // MARK: Restart

    private func restart(_ report: inout Report, _ site: BenchSite, _ client: RPCClient) throws {
        let watcher = try site.lines("bench/restart", format: "%P", arguments: ["-c", "-i", "bench-restart"])
        defer { watcher.end() }
        let sender = PersistentSender()
        let (bench, inFlight) = (self, inFlight)
        let publishing = Task {
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<inFlight {
                    group.addTask {
                        while let number = sender.next() {
                            let reply = try? await client.call(
                                MqttEdgeAdapterMethods.publishSnapshot, bench.request(number, to: "bench/restart"),
                                timeout: .seconds(30))
                            if reply?.published == true {
                                sender.wasAccepted(number)
                            } else {
                                try? await Task.sleep(for: .milliseconds(20))
                            }
                        }
                    }
                }
            }
        }
        func until(_ count: Int) throws {
            let end = ContinuousClock.now + .seconds(60)
            while sender.accepted.count < count {
                guard ContinuousClock.now < end else { throw BenchError("pictures do not go on") }
                Thread.sleep(forTimeInterval: 0.02)
            }
        }
        try until(100)
        try site.stop("broker")
        Thread.sleep(forTimeInterval: 1)
        try site.start("broker")
        try until(sender.accepted.count + 100)
        sender.end()
        try waiting { await publishing.value }
        let sent = sender.accepted
        let end = ContinuousClock.now + .seconds(20)
        var missing = sent.subtracting(watcher.sequences)
        while !missing.isEmpty, ContinuousClock.now < end {
            Thread.sleep(forTimeInterval: 0.1)
            missing = sent.subtracting(watcher.sequences)
        }
        report.figures.append(
            Figure(name: "mqtt.restart.lost", value: Double(missing.count), unit: "pictures", bar: .atMost(0)))
        report.notes.append("\(sent.count) pictures were acknowledged around a restart of the broker")
    }
}

/// Numbers of pictures until it ends, and which of them were acknowledged.
private final class PersistentSender: Sendable {
    private let counter = Counter()
    private let state = Mutex((accepted: Set<Int>(), isOver: false))

    func next() -> Int? { state.withLock(\.isOver) ? nil : counter.next() }
    func wasAccepted(_ number: Int) { state.withLock { _ = $0.accepted.insert(number) } }
    func end() { state.withLock { $0.isOver = true } }
    var accepted: Set<Int> { state.withLock(\.accepted) }
}

/// 1, 2, 3, ...
private final class Counter: Sendable {
    private let last = Mutex(0)

    func next() -> Int {
        last.withLock { last in
            last += 1
            return last
        }
    }
}
