// The processes of one site: signals to them, starts, and how they end. A site's processes are daemons; this process adopts
// them (Tests/Support/CSubreaper), so that it learns the status of each end, also of one that nobody caused.

import CSubreaper
import Foundation
import Harness

actor Processes {
    private let site: Site
    private var pids: [ProcessName: pid_t] = [:]
    /// Those that should be running now.
    private var expected: Set<ProcessName> = []

    /// A service promises to end so soon after SIGTERM.
    static let stopWithin = Duration.seconds(5)

    init(site: Site) { self.site = site }

    /// Call it before the site is started.
    static func adoptOrphans() throws {
        guard csubreaper_become() else { throw HarnessError("this process cannot adopt orphans") }
    }

    /// Takes the processes of a site that is up.
    func take(all names: [ProcessName]) throws {
        for name in names { try take(name) }
    }

    private func take(_ name: ProcessName) throws {
        let file = "\(site.path)/pids/\(name.rawValue)"
        guard let text = try? String(contentsOfFile: file, encoding: .utf8),
            let pid = pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines))
        else { throw HarnessError("\(file) has no process id") }
        pids[name] = pid
        expected.insert(name)
    }

    func pid(_ name: ProcessName) -> pid_t? { expected.contains(name) ? pids[name] : nil }

    /// How a process ended; nil while it runs.
    private func end(of pid: pid_t) -> String? {
        var status: Int32 = 0
        switch waitpid(pid, &status, WNOHANG) {
        case pid:
            let signal = status & 0x7F
            return signal == 0 ? "exit code \((status >> 8) & 0xFF)" : "signal \(signal)"
        case 0: return nil
        default:
            // Its starter has not let go of it yet, or it is gone for good.
            return FileManager.default.fileExists(atPath: "/proc/\(pid)") ? nil : "an unknown status"
        }
    }

    private func waitForEnd(of pid: pid_t, within limit: Duration) async throws -> String? {
        let deadline = ContinuousClock.now + limit
        while true {
            if let end = end(of: pid) { return end }
            guard ContinuousClock.now < deadline else { return nil }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// SIGKILL, and waits until it is gone.
    func kill(_ name: ProcessName) async throws {
        guard let pid = pid(name) else { return }
        expected.remove(name)
        Glibc.kill(pid, SIGKILL)
        guard try await waitForEnd(of: pid, within: .seconds(5)) != nil else {
            throw HarnessError("\(name.rawValue) survives SIGKILL")
        }
    }

    /// Whether a process has taken SIGTERM into its own hands.
    private func handlesTermination(_ pid: pid_t) -> Bool {
        let status = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
        return status.split(separator: "\n").contains { line in
            guard line.hasPrefix("SigCgt:") || line.hasPrefix("SigIgn:"),
                let mask = line.split(separator: "\t").last.flatMap({ UInt64($0, radix: 16) })
            else { return false }
            return mask & (1 << UInt64(SIGTERM - 1)) != 0
        }
    }

    /// SIGTERM, and waits until it is gone. Gives what was not as promised.
    func stop(_ name: ProcessName) async throws -> Violation? {
        guard let pid = pid(name) else { return nil }
        expected.remove(name)
        let begun = ContinuousClock.now
        let isListening = handlesTermination(pid)
        Glibc.kill(pid, SIGTERM)
        guard let end = try await waitForEnd(of: pid, within: Self.stopWithin) else {
            Glibc.kill(pid, SIGKILL)
            _ = try await waitForEnd(of: pid, within: .seconds(5))
            return Violation(.process, name.rawValue, "did not end within \(Self.stopWithin) of SIGTERM")
        }
        guard name.isService, end != "exit code 0" else { return nil }
        // In its first moments it is not the service yet; the signal ends it as it ends any program.
        if !isListening, end == "signal \(SIGTERM)" { return nil }
        return Violation(
            .process, name.rawValue,
            "ended with \(end) \(ContinuousClock.now - begun) after SIGTERM, not with exit code 0")
    }

    func start(_ name: ProcessName) async throws {
        guard !expected.contains(name) else { return }
        try await site.start(name.rawValue)
        try take(name)
    }

    func pause(_ name: ProcessName) { pid(name).map { _ = Glibc.kill($0, SIGSTOP) } }
    func resume(_ name: ProcessName) { pid(name).map { _ = Glibc.kill($0, SIGCONT) } }

    /// Processes that ended by themselves since the last question, and how.
    func deaths() -> [(name: ProcessName, end: String)] {
        expected.sorted().compactMap { name in
            guard let pid = pids[name], let end = end(of: pid) else { return nil }
            expected.remove(name)
            return (name, end)
        }
    }

    /// Kills whatever is left; for an interrupted campaign.
    func killAll() {
        for name in expected { pids[name].map { _ = Glibc.kill($0, SIGKILL) } }
        expected = []
    }

    /// Memory in KiB and open descriptors of a running process.
    func usage(_ name: ProcessName) -> (memoryKiB: Int, descriptors: Int)? {
        guard let pid = pid(name), let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
            let memory = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) }),
            let open = try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd")
        else { return nil }
        return (memory, open.count)
    }
}

/// Carries out one thing after the other for each process: a process is not started while it is being killed.
actor Lanes {
    private var last: [ProcessName: Task<Void, Never>] = [:]

    /// Does it when all that was put before for this process is done.
    func put(_ name: ProcessName, _ body: @escaping @Sendable () async -> Void) {
        let before = last[name]
        last[name] = Task {
            await before?.value
            await body()
        }
    }

    /// Waits until nothing is under way.
    func drained() async {
        for name in last.keys.sorted() { await last[name]?.value }
    }
}
