// SDKPeer: azure-storage-blob as a process (Tests/Bench/sdk-peer), and with how many at a time it is fastest.

import Foundation

/// What an upload took.
struct UploadTurn {
    let seconds: Double
    /// User and system time of its processes.
    let cpuSeconds: Double
    /// Largest resident set, 10^6 bytes.
    let peakMB: Double
}

final class SDKPeer {
    /// How much goes on at a time.
    struct Setting: CustomStringConvertible {
        let processes: Int
        /// Files at a time in each process: threads.
        let files: Int
        /// max_concurrency: blocks of each file on their way.
        let blocks: Int

        var connections: Int { processes * files * blocks }
        var description: String { "\(processes) processes x \(files) files x max_concurrency \(blocks)" }
    }

    /// A blob of up to 64 MiB goes in one request, so max_concurrency changes nothing for small files.
    static let smallSettings = [(1, 1), (1, 4), (1, 8), (2, 1), (2, 2), (2, 4), (4, 2)].map {
        Setting(processes: $0.0, files: $0.1, blocks: 1)
    }
    static let largeSettings = [
        (1, 1, 4), (1, 1, 8), (1, 2, 4), (1, 4, 2), (2, 1, 2), (2, 1, 4), (2, 2, 2), (2, 2, 4), (4, 1, 2),
    ].map { Setting(processes: $0.0, files: $0.1, blocks: $0.2) }

    private let process: ServerProcess
    private let folder: String
    private let sink: BlobSink
    private(set) var version = ""

    private struct Job: Encodable {
        let list: String
        let processes: Int
        let files: Int
        let blocks: Int
    }

    private struct Answer: Decodable {
        let seconds: Double
        let cpu: Double
        let peakKib: Int
        let sdk: String
    }

    /// - Parameter folder: where its lists of files go.
    init(_ sink: BlobSink, folder: String) throws {
        let environment = try bench.run(["/usr/bin/env", "Tests/Support/blob-conformance/venv"])
            .trimmingCharacters(in: .whitespacesAndNewlines)
        (self.sink, self.folder) = (sink, folder)
        let most = (Self.smallSettings + Self.largeSettings).map(\.processes).max() ?? 1
        process = try ServerProcess([
            "\(environment)/bin/python", "Tests/Bench/sdk-peer", sink.endpoint, BlobSink.container, "\(most)",
        ])
    }

    func end() { process.end() }

    /// Uploads files and their sidecars; an error where the sink then has something else.
    func upload(_ files: UploadFiles, _ setting: Setting) throws -> UploadTurn {
        let list = "\(folder)/\(files.name).list"
        let lines = files.files.flatMap { file in
            let hash = file.digest.hexadecimal
            return [
                "\(files.folder)/\(file.path)\t\(file.path)\t\(hash)\t\(files.contentType)\t0\n",
                "\(files.folder)/\(file.sidecarPath)\t\(file.sidecarPath)\t\(hash)\tapplication/json\t1\n",
            ]
        }
        try Data(lines.joined().utf8).write(to: URL(fileURLWithPath: list))
        try sink.forget()
        let job = Job(list: list, processes: setting.processes, files: setting.files, blocks: setting.blocks)
        try process.tell(String(decoding: JSONEncoder().encode(job), as: UTF8.self))
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let answer = try decoder.decode(Answer.self, from: Data(try process.line().utf8))
        let faults = files.faults(in: try sink.blobs())
        guard faults.isEmpty else {
            throw BenchError("azure-storage-blob: \(faults.prefix(3).joined(separator: "; "))")
        }
        version = answer.sdk
        return UploadTurn(
            seconds: answer.seconds, cpuSeconds: answer.cpu, peakMB: Double(answer.peakKib) * 1024 / 1e6)
    }

    /// The fastest of some settings, tried with these files.
    func best(of settings: [Setting], with files: UploadFiles) throws -> Setting {
        let tried = try settings.map { (setting: $0, seconds: try upload(files, $0).seconds) }
        guard let best = tried.min(by: { $0.seconds < $1.seconds }) else {
            throw BenchError("there is no setting to try")
        }
        return best.setting
    }
}
