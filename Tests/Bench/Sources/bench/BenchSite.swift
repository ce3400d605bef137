// BenchSite: deploy/local/site for a bench: the processes of a whole site, spoken to as operators do.

import Foundation
import Synchronization

/// A site in a folder of its own.
final class BenchSite {
    let folder = "/tmp/sg-bench-\(getpid())"
    private let environment: [String: String]
    private static let namespace = "azure-iot-operations"

    /// - Parameters:
    ///   - bin: folder of the executables.
    ///   - cameras: 0 or 3; see deploy/local/site.
    init(bin: String, cameras: Int = 3) throws {
        let path = URL(fileURLWithPath: bin).standardizedFileURL.path
        environment = ProcessInfo.processInfo.environment.merging(
            ["SITE": folder, "BIN": path, "XDG_CONFIG_HOME": folder + "/clients", "CAMERAS": "\(cameras)"]
        ) { $1 }
    }

    func up() throws { try site("up") }

    func down() { try? site("down") }

    /// Ends one process in order.
    func stop(_ name: String) throws { try site("stop", name) }

    /// Starts one process again.
    func start(_ name: String) throws { try site("start", name) }

    /// A process of the site.
    func processID(_ name: String) throws -> pid_t {
        let text = try String(contentsOfFile: "\(folder)/pids/\(name)", encoding: .utf8)
        guard let id = pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw BenchError("\(folder)/pids/\(name) names no process")
        }
        return id
    }

    private func site(_ verb: String, _ name: String? = nil) throws {
        let process = self.process("deploy/local/site", [verb] + (name.map { [$0] } ?? []))
        process.standardOutput = FileHandle.standardError
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw BenchError("deploy/local/site \(verb) failed") }
    }

    private func process(_ tool: String, _ arguments: [String]) -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [tool] + arguments
        process.environment = environment
        return process
    }

    /// Publishes one message.
    func publish(_ topic: String, _ payload: String) throws {
        let process = process("mosquitto_pub", ["-q", "1", "-t", "\(Self.namespace)/\(topic)", "-m", payload])
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw BenchError("mosquitto_pub \(topic) failed") }
    }

    /// A mosquitto_pub that stays connected.
    func publisher(to topic: String) throws -> LinePublisher { try publisher(toTopic: "\(Self.namespace)/\(topic)") }

    /// The same for any topic.
    func publisher(toTopic topic: String) throws -> LinePublisher {
        try LinePublisher(process("mosquitto_pub", ["-q", "1", "-l", "-t", topic]))
    }

    /// Publishes a file so many times, one after the other.
    func publishFile(_ path: String, _ topic: String, repeating count: Int) throws {
        let process = process("mosquitto_pub", ["-q", "1", "-t", topic, "-f", path, "--repeat", "\(count)"])
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw BenchError("mosquitto_pub \(topic) failed") }
    }

    /// A mosquitto_sub that is subscribed, each of whose messages is a line.
    func lines(_ topic: String, format: String, arguments: [String] = []) throws -> LineWatcher {
        let ready = "bench/ready"
        try publishRetained(ready)
        let watcher = try LineWatcher(
            process(
                "mosquitto_sub", ["-q", "1", "-F", "%t\t\(format)", "-t", topic, "-t", ready] + arguments))
        watcher.waitReady()
        return watcher
    }

    private func publishRetained(_ topic: String) throws {
        let process = process("mosquitto_pub", ["-q", "1", "-r", "-t", topic, "-m", "ready"])
        try process.run()
        process.waitUntilExit()
    }

    /// A mosquitto_sub whose messages are kept, the newest of each topic.
    func watch(_ filter: String) throws -> TopicWatcher {
        let arguments = ["-q", "1", "-F", "%t\t%p", "-t", "\(Self.namespace)/\(filter)"]
        return try TopicWatcher(process("mosquitto_sub", arguments), prefix: Self.namespace + "/")
    }

    /// A sealed clip of a recording camera.
    struct Clip {
        let path: String
        let camera: String
        /// Seconds since 1970.
        let start: Double
        let end: Double
    }

    /// Waits for a sealed clip that was not used yet.
    func sealedClip(besides used: Set<String>) throws -> Clip {
        let deadline = ContinuousClock.now + .seconds(60)
        let root = folder + "/recording"
        while ContinuousClock.now < deadline {
            let names = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
            for name in names.sorted() where name.hasSuffix(".mp4") && !name.hasPrefix(".") && !used.contains(name) {
                let parts = name.split(separator: "/")
                let times = (parts.last ?? "").dropLast(4).split(separator: "_").compactMap { Self.time(String($0)) }
                guard parts.count > 2, times.count == 2, times[1] - times[0] > 0.5 else { continue }
                return Clip(path: name, camera: String(parts[0]), start: times[0], end: times[1])
            }
            Thread.sleep(forTimeInterval: 0.05)
        }
        throw BenchError("no camera seals clips")
    }

    /// "20261123T065813.123456Z".
    private static func time(_ text: String) -> Double? {
        guard text.count == 23, text.hasSuffix("Z") else { return nil }
        let digits = Array(text)
        func number(_ from: Int, _ to: Int) -> Int? { Int(String(digits[from..<to])) }
        guard let year = number(0, 4), let month = number(4, 6), let day = number(6, 8), let hour = number(9, 11),
            let minute = number(11, 13), let second = number(13, 15), let micros = number(16, 22)
        else { return nil }
        var parts = tm()
        (parts.tm_year, parts.tm_mon, parts.tm_mday) = (Int32(year - 1900), Int32(month - 1), Int32(day))
        (parts.tm_hour, parts.tm_min, parts.tm_sec) = (Int32(hour), Int32(minute), Int32(second))
        return Double(timegm(&parts)) + Double(micros) / 1e6
    }
}

/// Publishes each line as a message.
final class LinePublisher {
    private let process: Process
    private let input = Pipe()

    init(_ process: Process) throws {
        self.process = process
        process.standardInput = input
        try process.run()
    }

    func publish(_ line: String) throws {
        try input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8))
    }

    func end() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}

/// Hands on each line that comes out of a pipe, and when it came in seconds since 1970, on a thread of its own.
private func forEachLine(of output: Pipe, _ take: @escaping @Sendable (Data, Double) -> Void) {
    Thread.detachNewThread {
        var pending = Data()
        while case let data = output.fileHandleForReading.availableData, !data.isEmpty {
            let arrived = Date().timeIntervalSince1970
            pending += data
            while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                take(pending[pending.startIndex..<end], arrived)
                pending.removeSubrange(pending.startIndex...end)
            }
        }
    }
}

/// The newest message of each topic, and when it came.
final class TopicWatcher: Sendable {
    /// A message of JSON fields.
    struct Message {
        let fields: [String: Any]
        /// Seconds since 1970.
        let arrived: Double
    }

    private let pid: pid_t
    private let newest = Mutex<[String: (payload: Data, arrived: Double)]>([:])
    /// Rings once for each message.
    private let bell = DispatchSemaphore(value: 0)

    init(_ process: Process, prefix: String) throws {
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        pid = process.processIdentifier
        forEachLine(of: output) { [self] line, arrived in take(line, prefix, arrived) }
    }

    private func take(_ line: Data, _ prefix: String, _ arrived: Double) {
        guard let tab = line.firstIndex(of: UInt8(ascii: "\t")) else { return }
        let topic = String(decoding: line[line.startIndex..<tab], as: UTF8.self)
        newest.withLock { $0[String(topic.dropFirst(prefix.count))] = (Data(line[(tab + 1)...]), arrived) }
        bell.signal()
    }

    /// Waits until the newest message of a topic is as it should be; nil when it is not in time.
    func wait(_ topic: String, seconds: Double, _ isWanted: ([String: Any]) -> Bool) -> Message? {
        let end = DispatchTime.now() + seconds
        while true {
            if let (payload, arrived) = newest.withLock({ $0[topic] }),
                let fields = try? JSONSerialization.jsonObject(with: payload) as? [String: Any], isWanted(fields)
            {
                return Message(fields: fields, arrived: arrived)
            }
            guard bell.wait(timeout: end) == .success else { return nil }
        }
    }

    func end() { kill(pid, SIGTERM) }
}

/// The lines of a mosquitto_sub, and when each came.
final class LineWatcher: Sendable {
    private let pid: pid_t
    private let seen = Mutex<[(line: String, arrived: Double)]>([])
    private let isReady = DispatchSemaphore(value: 0)
    private let bell = DispatchSemaphore(value: 0)

    init(_ process: Process) throws {
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        pid = process.processIdentifier
        forEachLine(of: output) { [self] line, arrived in take(String(decoding: line, as: UTF8.self), arrived) }
    }

    private func take(_ line: String, _ arrived: Double) {
        guard !line.hasPrefix("bench/ready\t") else {
            isReady.signal()
            return
        }
        seen.withLock { $0.append((line, arrived)) }
        bell.signal()
    }

    /// Waits until the retained message came that says that the subscription is there.
    func waitReady() { _ = isReady.wait(timeout: .now() + 10) }

    /// How many came.
    var count: Int { seen.withLock { $0.count } }

    /// Waits until so many came in all, or the time is over.
    func wait(count wanted: Int, seconds: Double) {
        let end = DispatchTime.now() + seconds
        while count < wanted { guard bell.wait(timeout: end) == .success else { return } }
    }

    /// When the messages from this place on came, in seconds since 1970.
    func arrivals(from first: Int) -> [Double] { seen.withLock { $0.dropFirst(first).map(\.arrived) } }

    /// The user property "sequence" of each message, where the format shows user properties.
    var sequences: Set<Int> {
        let lines = seen.withLock { $0.map(\.line) }
        return Set(
            lines.compactMap { line in
                line.split(separator: " ").first { $0.contains("sequence:") }?.split(separator: ":").last.flatMap {
                    Int($0)
                }
            })
    }

    func end() { kill(pid, SIGTERM) }
}
