// ServiceSite: real services, each a process of its own, in one folder: sockets, state, and volumes that the bench fills itself.
// What is not started here may be faked at the same addresses.

import Foundation
import RPC
import Wire

final class ServiceSite {
    /// A volume of this site.
    struct Volume {
        let path: String
        let id: String
    }

    let folder: String
    let bin: String
    private var running: [(name: String, process: Process)] = []
    private var clients: [String: RPCClient] = [:]

    /// - Parameter bin: folder of the executables.
    init(bin: String) throws {
        folder = "/tmp/sg-bench-\(getpid())-\(UInt16.random(in: 0...UInt16.max))"
        self.bin = URL(fileURLWithPath: bin).standardizedFileURL.path
        for name in ["run", "secrets", "state"] {
            try FileManager.default.createDirectory(atPath: folder + "/" + name, withIntermediateDirectories: true)
        }
    }

    var runFolder: String { folder + "/run" }
    /// Where the indexer of this site keeps its database.
    var database: String { folder + "/state/indexer/catalogue.sqlite" }
    /// "ext2/ext3", "tmpfs": what the figures of files are of.
    var fileSystem: String {
        let text = try? bench.run(["/usr/bin/env", "stat", "-f", "-c", "%T", folder])
        return (text ?? "unknown").trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Makes a volume.
    func adopt(_ name: String, role: String) throws -> Volume {
        let path = folder + "/" + name
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let words = try bench.run([bin + "/sightglass", "volume", "adopt", "--role", role, path]).split(separator: " ")
        guard let id = words.last?.trimmingCharacters(in: .whitespacesAndNewlines), UUID(uuidString: id) != nil else {
            throw BenchError("`sightglass volume adopt` did not say the volume's identity")
        }
        return Volume(path: path, id: id)
    }

    /// Starts a service, waits until it is ready and gives its process; call it on the main thread.
    @discardableResult
    func start(_ name: String, _ arguments: [String] = []) throws -> pid_t {
        let process = dependentProcess(
            [
                "\(bin)/\(name)", "--run-directory", runFolder, "--log-level", "warning",
            ] + arguments)
        process.standardError = try CaptureSite.newFile("\(folder)/\(name).log")
        process.standardOutput = FileHandle.nullDevice
        process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("SIGHTGLASS_") }
        try process.run()
        running.append((name, process))
        let client = try client(name)
        let end = ContinuousClock.now + .seconds(120)
        var reasons: [String] = []
        while process.isRunning, ContinuousClock.now < end {
            let reply = try? waiting {
                try await client.call(HealthMethods.check, HealthRequest(), timeout: .seconds(1))
            }
            if reply?.ready == true { return process.processIdentifier }
            reasons = reply?.reasons ?? reasons
            Thread.sleep(forTimeInterval: 0.02)
        }
        throw BenchError("\(name) does not become ready: \(reasons.joined(separator: "; ")) \(log(name).suffix(1000))")
    }

    /// The catalogue, alone.
    func startIndexer() throws { try start("indexer", ["--state-directory", folder + "/state/indexer"]) }

    /// Ends a service in order.
    func stop(_ name: String) {
        for one in running where one.name == name {
            one.process.terminate()
            one.process.waitUntilExit()
        }
        running.removeAll { $0.name == name }
    }

    /// A client of a service of this site, real or faked.
    func client(_ role: String) throws -> RPCClient {
        if let known = clients[role] { return known }
        let made = try newClient(role)
        clients[role] = made
        return made
    }

    /// One more client, with a connection of its own; whoever asked closes it.
    func newClient(_ role: String) throws -> RPCClient {
        RPCClient(
            role: role, addresses: [try RPCAddress(parsing: "ipc://\(runFolder)/\(role).rpc")], caller: "bench/0")
    }

    private func log(_ name: String) -> String {
        (try? String(contentsOfFile: "\(folder)/\(name).log", encoding: .utf8)) ?? ""
    }

    /// Ends all services and removes the folder; what they complained of goes to standard error.
    func end() {
        clients.values.forEach { $0.close() }
        for (name, _) in running.reversed() { stop(name) }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        for name in names where name.hasSuffix(".log") {
            let complaints = log(String(name.dropLast(4))).split(separator: "\n").suffix(5).joined(separator: "\n")
            if !complaints.isEmpty { FileHandle.standardError.write(Data((complaints + "\n").utf8)) }
        }
        try? FileManager.default.removeItem(atPath: folder)
    }
}

/// Commits of a SQLite database in WAL mode, counted by SQLite itself: the index that all connections share holds a number that grows
/// with each transaction (www.sqlite.org/walformat.html, iChange). It starts anew with the first connection.
struct CommitCounter {
    private let path: String

    init(database: String) { path = database + "-shm" }

    func count() throws -> Int {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw BenchError("\(path) is not there: the catalogue is not in WAL mode, or not open") }
        defer { close(file) }
        var change: UInt32 = 0
        guard pread(file, &change, 4, 8) == 4 else { throw BenchError("\(path) is too short") }
        return Int(change)
    }

    /// From a count to a later one; the number wraps around.
    static func between(_ before: Int, _ after: Int) -> Int { Int(UInt32(after) &- UInt32(before)) }
}
