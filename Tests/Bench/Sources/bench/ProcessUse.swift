// ProcessUse: what processes took of the processor and of the memory, as the kernel counts it.

import Foundation

/// Processes that do one job together.
struct ProcessUse {
    let processes: [pid_t]

    /// The processes that a process started and that still run.
    static func children(of parent: pid_t) -> [pid_t] {
        // The kernel lists them with the thread that started them.
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(parent)/task")) ?? []
        return threads.flatMap { thread in
            let text = try? String(contentsOfFile: "/proc/\(parent)/task/\(thread)/children", encoding: .utf8)
            return (text ?? "").split(separator: " ").compactMap { pid_t($0) }
        }
    }

    /// User and system time so far, in seconds.
    func cpuSeconds() throws -> Double {
        var ticks = 0
        for process in processes {
            let text = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
            // The name in brackets may have spaces; after it, utime and stime are the 12th and 13th.
            guard let bracket = text.lastIndex(of: ")") else { throw BenchError("no figures of process \(process)") }
            let fields = text[text.index(after: bracket)...].split(separator: " ")
            guard fields.count > 12, let user = Int(fields[11]), let system = Int(fields[12]) else {
                throw BenchError("no figures of process \(process)")
            }
            ticks += user + system
        }
        return Double(ticks) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Proportional set size: memory of their own, and their share of what they have in common with others.
    func pssMiB() throws -> Double {
        var kibibytes = 0
        for process in processes {
            let text = try String(contentsOfFile: "/proc/\(process)/smaps_rollup", encoding: .utf8)
            let line = text.split(separator: "\n").first { $0.hasPrefix("Pss:") }
            guard let value = line?.split(whereSeparator: { !$0.isNumber }).first.flatMap({ Int($0) }) else {
                throw BenchError("no memory of process \(process)")
            }
            kibibytes += value
        }
        return Double(kibibytes) / 1024
    }

    /// A line of /proc/PID/status: "VmRSS", "VmHWM".
    static func memoryKiB(_ name: String, of process: pid_t) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
        guard let value = line?.split(whereSeparator: { !$0.isNumber }).first.flatMap({ Int($0) }) else {
            throw BenchError("no \(name) of process \(process)")
        }
        return value
    }

    /// The largest resident sets since the start or `forgetPeak`, added up, in 10^6 bytes.
    func peakMB() throws -> Double {
        Double(try processes.reduce(0) { $0 + (try Self.memoryKiB("VmHWM", of: $1)) }) * 1024 / 1e6
    }

    /// The peak begins anew with what is resident (proc(5), clear_refs).
    func forgetPeak() throws {
        for process in processes {
            try Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/\(process)/clear_refs"))
        }
    }
}
