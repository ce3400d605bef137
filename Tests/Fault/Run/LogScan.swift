// Reads the logs of a site for what must not be in them: a crash, a service that gave itself up, a secret.

import Foundation
import Harness

struct LogScan {
    private let site: Site
    private let services: [ProcessName]
    private var offsets: [ProcessName: UInt64] = [:]

    /// What the Swift runtime and the system say of a crash, and our services of an end that they did not want.
    static let alarms = [
        "Fatal error", "Crash:", "crashed", "Illegal instruction", "Segmentation fault", "Bad pointer dereference",
        "AddressSanitizer", "Assertion failed", "double free", "malloc():", " critical",
    ]

    init(site: Site, services: [ProcessName]) { (self.site, self.services) = (site, services) }

    /// What is new in the services' logs since the last call.
    mutating func alarms() -> [Violation] {
        services.flatMap { name -> [Violation] in
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

    /// Credentials in arguments, environments, health and metrics of what runs.
    func secretsShown() async -> [Violation] {
        await SiteScan(folder: site.path).running().map { Violation(.secret, $0.place, $0.description) }
    }

    /// Credentials in any file of the site but those of its secrets.
    func secretsWritten() -> [Violation] {
        SiteScan(folder: site.path).written().map { Violation(.secret, $0.place, $0.description) }
    }
}
