// Machine: what a figure was measured on, as far as /proc and the tools tell.

import Foundation

/// The machine and the versions of a run.
struct Machine: Codable, CustomStringConvertible {
    let processor: String
    let cores: Int
    let memoryGiB: Int
    let kernel: String
    let swift: String
    let commit: String
    /// Load average of the last minute when the run began: above some tenths, something else was running.
    let loadBefore: Double

    static func current() -> Machine {
        let information = text(of: "/proc/cpuinfo")
        let model = information.split(separator: "\n").first { $0.hasPrefix("model name") }
        let memory = text(of: "/proc/meminfo").split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0
        return Machine(
            processor: model?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown",
            cores: ProcessInfo.processInfo.activeProcessorCount, memoryGiB: memory >> 20,
            kernel: text(of: "/proc/sys/kernel/osrelease").trimmingCharacters(in: .whitespacesAndNewlines),
            swift: output(of: "swift", ["--version"]).split(separator: "\n").first.map(String.init) ?? "",
            commit: output(of: "git", ["describe", "--always", "--dirty"]),
            loadBefore: text(of: "/proc/loadavg").split(separator: " ").first.flatMap { Double($0) } ?? 0)
    }

    var description: String {
        "\(processor), \(cores) cores, \(memoryGiB) GiB, Linux \(kernel), \(swift), commit \(commit), load \(loadBefore)"
    }

    private static func text(of path: String) -> String {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    private static func output(of tool: String, _ arguments: [String]) -> String {
        (try? run(["/usr/bin/env", tool] + arguments))?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
    }
}
