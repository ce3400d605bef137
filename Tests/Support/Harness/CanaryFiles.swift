// Where canaries are looked for: files and folders, running processes, and whole sites.

import Foundation
import RPC
import Wire

/// Looks at files.
public struct CanaryFiles: Sendable {
    /// Folders in which credentials belong, by the names that tests and sites give them: a site's secrets, and the options of
    /// mosquitto's clients. A private key belongs into a file whose name ends in ".key".
    static let holders: Set<String> = ["secrets", "clients"]
    /// A file that is larger is footage, or random bytes of a test: then only its ends are looked at, where a format has its texts.
    static let largestWhole = 32 << 20
    static let end = 2 << 20

    private let scanner: CanaryScanner
    /// Paths of files and folders that are passed over.
    private let spared: Set<String>
    private let shapes: Bool

    /// `sparing`: paths of files and folders where credentials belong, beside those of `holders`. `shapes`: also what only looks like
    /// a credential.
    public init(scanner: CanaryScanner = Canary.scanner, sparing spared: Set<String> = [], shapes: Bool = true) {
        self.scanner = scanner
        self.shapes = shapes
        self.spared = spared
    }

    /// What is found in a file, or in all files below a folder. Links are not followed, sockets and pipes not opened.
    public func finds(at path: String) -> [CanaryFind] {
        guard !spared.contains(path) else { return [] }
        var status = stat()
        guard lstat(path, &status) == 0 else { return [] }
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
            let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
            return names.sorted().filter { !Self.holders.contains($0) && !$0.hasSuffix(".key") }.flatMap { name in
                // A name may tell as much as a content.
                scanner.finds(in: name, place: "the name of a file in \(path)", shapes: false)
                    + finds(at: "\(path)/\(name)")
            }
        case S_IFREG: return finds(inFile: path)
        default: return []
        }
    }

    private func finds(inFile path: String) -> [CanaryFind] {
        guard let file = FileHandle(forReadingAtPath: path) else { return [] }
        defer { try? file.close() }
        guard let size = try? file.seekToEnd(), size > 0 else { return [] }
        func piece(_ offset: UInt64, _ count: Int) -> [UInt8] {
            try? file.seek(toOffset: offset)
            return [UInt8]((try? file.read(upToCount: count)) ?? Data())
        }
        if size <= Self.largestWhole { return scanner.finds(in: piece(0, Int(size)), place: path, shapes: shapes) }
        return [0, size - UInt64(Self.end)].flatMap {
            scanner.finds(in: piece($0, Self.end), place: path, shapes: shapes)
        }
    }
}

/// Looks at a process as everybody on the machine sees it: its arguments and its environment.
public enum CanaryProcess {
    /// Waits until a process that was started has its arguments: spawning returns a moment before the kernel shows them.
    public static func awaitArguments(of id: pid_t, while isRunning: () -> Bool) {
        while isRunning(), FileManager.default.contents(atPath: "/proc/\(id)/cmdline")?.isEmpty ?? false { usleep(500) }
    }

    /// What is found; nothing for a process that is gone. Shapes are left out: what the machine's own environment holds is not ours.
    public static func finds(_ id: pid_t, name: String, scanner: CanaryScanner = Canary.scanner) -> [CanaryFind] {
        [("cmdline", "the arguments"), ("environ", "the environment")].flatMap { file, what in
            let bytes = [UInt8](FileManager.default.contents(atPath: "/proc/\(id)/\(file)") ?? Data())
            // NUL lies between the words; what is text should be taken for text.
            return scanner.finds(in: bytes.map { $0 == 0 ? 0x0a : $0 }, place: "\(what) of \(name)", shapes: false)
        }
    }

    /// What a service says of itself to whoever asks: its health and all its metrics. Nothing where it does not answer.
    public static func finds(answering address: String, role: String, scanner: CanaryScanner = Canary.scanner) async
        -> [CanaryFind]
    {
        guard let parsed = try? RPCAddress(parsing: address, allowInsecure: true) else { return [] }
        let client = RPCClient(role: role, addresses: [parsed], caller: "test/test-0")
        defer { client.close() }
        do {
            let reply = try await client.call(
                HealthMethods.check, HealthRequest(), timeout: .seconds(1), idempotencyKey: nil)
            return scanner.finds(in: "\(reply)", place: "health and metrics of \(role)")
        } catch {
            return scanner.finds(in: "\(error)", place: "an error of \(role)")
        }
    }
}

/// Looks at a site of deploy/local/site: what its processes show, and what they wrote.
public struct SiteScan: Sendable {
    private let folder: String
    private let scanner: CanaryScanner
    private let files: CanaryFiles

    /// `sparing`: paths below the site's folder where credentials belong, beside `CanaryFiles.holders`.
    public init(folder: String, sparing spared: [String] = []) {
        self.folder = folder
        scanner = CanaryScanner(secrets: Self.secrets(below: folder + "/secrets"))
        files = CanaryFiles(scanner: scanner, sparing: Set(spared.map { "\(folder)/\($0)" }))
    }

    /// The contents of a site's secrets: of a login only the password, of a private key the line that no other key has.
    static func secrets(below folder: String) -> [String] {
        let names = (try? FileManager.default.subpathsOfDirectory(atPath: folder)) ?? []
        return names.filter { !$0.hasSuffix("username") && !$0.hasSuffix("user") }.compactMap { name in
            guard let text = try? String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8) else { return nil }
            let lines = text.split(separator: "\n")
            if text.contains("-----BEGIN") {
                return text.contains("PRIVATE KEY") && lines.count > 2 ? String(lines[2]) : nil
            }
            let line = String(lines.first ?? "")
            let secret = name.hasSuffix(".login") ? String(line.drop { $0 != ":" }.dropFirst()) : line
            return secret.utf8.count >= 8 ? secret : nil
        }
    }

    /// Arguments, environment, health and metrics of what runs.
    public func running() async -> [CanaryFind] {
        var finds: [CanaryFind] = []
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder + "/pids")) ?? [] {
            let text = (try? String(contentsOfFile: "\(folder)/pids/\(name)", encoding: .utf8)) ?? ""
            guard let id = pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)) else { continue }
            finds += CanaryProcess.finds(id, name: name, scanner: scanner)
        }
        for socket in (try? FileManager.default.contentsOfDirectory(atPath: folder + "/run")) ?? []
        where socket.hasSuffix(".rpc") {
            let instance = String(socket.dropLast(".rpc".count))
            let role = serviceNames.first { instance.hasPrefix($0) } ?? instance
            finds += await CanaryProcess.finds(answering: "ipc://\(folder)/run/\(socket)", role: role, scanner: scanner)
        }
        return finds
    }

    /// All files but those of credentials: logs, settings, databases, volumes, the broker's messages, blobs.
    public func written() -> [CanaryFind] { files.finds(at: folder) }
}
