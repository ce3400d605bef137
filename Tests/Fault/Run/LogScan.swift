// Reads the logs of a site for what must not be in them: a crash, a service that gave itself up, a secret.

import Foundation
import Harness

struct LogScan {
    private let site: Site
    private var offsets: [ProcessName: UInt64] = [:]

    /// What the Swift runtime and the system say of a crash, and our services of an end that they did not want.
    static let alarms = [
        "Fatal error", "Crash:", "crashed", "Illegal instruction", "Segmentation fault", "Bad pointer dereference",
        "AddressSanitizer", "Assertion failed", "double free", "malloc():", " critical",
    ]

    init(site: Site) { self.site = site }

    /// What is new in the services' logs since the last call.
    mutating func alarms() -> [Violation] {
        ProcessName.services.flatMap { name -> [Violation] in
            let path = "\(site.path)/logs/\(name.rawValue).log"
            guard let file = FileHandle(forReadingAtPath: path) else { return [] }
            defer { try? file.close() }
            try? file.seek(toOffset: offsets[name] ?? 0)
            let data = (try? file.readToEnd()) ?? Data()
            offsets[name, default: 0] += UInt64(data.count)
            return Self.alarms(in: String(decoding: data, as: UTF8.self)).map { Violation(.log, name.rawValue, $0) }
        }
    }

    /// Lines that tell of what must not happen.
    static func alarms(in text: String) -> [String] {
        text.split(separator: "\n").filter { line in alarms.contains { line.contains($0) } }
            .map { String($0.prefix(400)) }
    }

    /// Files of logs, states and the archive that hold a secret.
    func secrets() async throws -> [Violation] {
        var violations: [Violation] = []
        for name in ["camera/password", "relay/password", "mqtt-password", "blob-key"] {
            let text = try String(contentsOfFile: "\(site.path)/secrets/\(name)", encoding: .utf8)
            let secret = text.trimmingCharacters(in: .whitespacesAndNewlines)
            // The pattern by a file: an argument can be read by everyone on the machine.
            let scratch = try TemporaryDirectory()
            let pattern = try scratch.write(secret, to: "pattern")
            let found = try await runTool(
                "grep",
                ["-rlF", "-f", pattern, site.path + "/logs", site.path + "/state", site.path + "/archive"])
            for file in found.output.split(separator: "\n") {
                violations.append(Violation(.secret, String(file), "holds the content of secrets/\(name)"))
            }
        }
        return violations
    }
}
