// What the site says by MQTT: a mosquitto_sub that runs all the time, comes back after the broker was away, and whose lines are
// read from its file as they come.

import Foundation
import Harness

struct StatusWatch {
    private let notebook: Notebook
    private let process: ServiceProcess

    private static let topics = [
        "media-sync/receipts/#", "media-sync/requests/#", "source-status/#", "asset-status/#", "sightglass/adapter",
    ]

    init(site: Site, scratch: TemporaryDirectory, notebook: Notebook) throws {
        self.notebook = notebook
        process = try ServiceProcess(
            "mosquitto_sub",
            ["-q", "1", "-F", "%t\t%p"] + Self.topics.flatMap { ["-t", "\(Site.namespace)/\($0)"] },
            environment: site.environment, logs: scratch)
    }

    /// Reads until cancelled.
    func run() async throws {
        guard let file = FileHandle(forReadingAtPath: process.outputPath) else {
            throw HarnessError("no output of mosquitto_sub")
        }
        var rest = Data()
        while !Task.isCancelled {
            if let more = try file.readToEnd(), !more.isEmpty {
                rest += more
                while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    await take(rest[rest.startIndex..<end])
                    rest = Data(rest[rest.index(after: end)...])
                }
            }
            guard process.isRunning else { throw HarnessError("mosquitto_sub ended: \(process.standardError)") }
            try? await Task.sleep(for: .milliseconds(25))
        }
    }

    func end() async throws { try await process.kill() }

    private func take(_ line: Data) async {
        guard let tab = line.firstIndex(of: UInt8(ascii: "\t")),
            let json = try? JSONDecoder().decode(JSON.self, from: Data(line[line.index(after: tab)...]))
        else { return }
        let parts = String(decoding: line[line.startIndex..<tab], as: UTF8.self).split(separator: "/").map(String.init)
        switch parts.dropFirst().prefix(2).joined(separator: "/") {
        case "media-sync/receipts" where parts.count == 4:
            await notebook.received(
                Receipt(
                    atUs: nowUs(), stamp: json["time"]?.text ?? "", word: json["receipt"]?.text ?? "",
                    requestID: json["requestId"]?.text,
                    message: json["error"]?["message"]?.text), under: parts[3])
        case "media-sync/requests" where parts.count == 4:
            await notebook.requestState(
                parts[3], json["state"]?.text ?? "", files: json["files"]?.list.count ?? 0,
                gaps: json["gaps"]?.list.count ?? 0, reason: json["reason"]?.text)
        default:
            await notebook.status(
                parts.dropFirst().joined(separator: "/"),
                "\(json["state"]?.text ?? "") \(json["runId"]?.text ?? "")")
        }
    }
}
