// BlobSink: the Blob service that keeps nothing (Sources/blob-sink), as a process, and its own speed.

import Foundation

final class BlobSink {
    /// A committed blob.
    struct Blob {
        /// In its container.
        let name: String
        let commits: Int
        let bytes: Int
        /// x-ms-meta-sha256; "-" where there is none.
        let sha256: String
    }

    static let account = "devstoreaccount1"
    static let container = "cams"
    /// Any key will do: the sink looks at no signature.
    static let key = "a2V5"

    private let process: ServerProcess
    private let port: String

    init() throws {
        process = try ServerProcess([sibling("blob-sink"), "serve"])
        port = process.greeting
    }

    /// Without the account.
    var endpoint: String { "http://127.0.0.1:\(port)" }

    func end() { process.end() }

    /// Nothing is there any more, and nothing counted.
    func forget() throws { _ = try ask("forget") }

    /// Bytes of the bodies of Put Blob and Put Block.
    func mediaBytes() throws -> Int { try count("media_bytes") }

    /// Requests of all kinds.
    func requests() throws -> Int { try count("requests") }

    private func count(_ name: String) throws -> Int {
        let words = try ask("counts").first { $0.hasPrefix(name + " ") }?.split(separator: " ")
        guard let value = words?.last.flatMap({ Int($0) }) else { throw BenchError("the sink does not count \(name)") }
        return value
    }

    /// What is committed.
    func blobs() throws -> [Blob] {
        let prefix = "/\(Self.account)/\(Self.container)/"
        return try ask("blobs").map { line in
            let words = line.split(separator: " ")
            guard words.count == 4, let commits = Int(words[0]), let bytes = Int(words[1]),
                let path = String(words[3]).removingPercentEncoding, path.hasPrefix(prefix)
            else { throw BenchError("the sink says: \(line)") }
            return Blob(
                name: String(path.dropFirst(prefix.count)), commits: commits, bytes: bytes, sha256: String(words[2]))
        }
    }

    /// Answers are lines, the last of which is empty.
    private func ask(_ question: String) throws -> [String] {
        try process.tell(question)
        var lines: [String] = []
        while case let line = try process.line(), !line.isEmpty { lines.append(line) }
        return lines
    }

    /// Processor seconds of the plainest client that reads these files and sends them: no checksum, no signature, no sidecar, and nobody
    /// is told. No upload costs less.
    func plainCPUSeconds(of files: UploadFiles, connections: Int) throws -> Double {
        let list = NSTemporaryDirectory() + "blob-sink-\(getpid()).txt"
        defer { try? FileManager.default.removeItem(atPath: list) }
        try files.files.map { "\(files.folder)/\($0.path)\n" }.joined().write(
            toFile: list, atomically: false, encoding: .utf8)
        let text = try bench.run([
            "/bin/sh", "-c", "exec \"$0\" files \(port) \(connections) < \(list)", sibling("blob-sink"),
        ])
        guard let seconds = text.split(whereSeparator: \.isWhitespace).last.flatMap({ Double($0) }), seconds > 0 else {
            throw BenchError("blob-sink files says: \(text)")
        }
        try forget()
        return seconds
    }

    /// What it takes from the plainest client, in 10^6 bytes a second.
    func capacity(_ shape: String, bodies: Int, bytes: Int, connections: Int) throws -> Double {
        let text = try bench.run([sibling("blob-sink"), "load", port, shape, "\(bodies)", "\(bytes)", "\(connections)"])
        guard let seconds = text.split(whereSeparator: \.isWhitespace).last.flatMap({ Double($0) }), seconds > 0 else {
            throw BenchError("blob-sink load says: \(text)")
        }
        try forget()
        return Double(bodies * bytes) / 1e6 / seconds
    }
}
