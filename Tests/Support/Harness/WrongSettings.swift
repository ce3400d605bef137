// The wrong settings that every executable must refuse in the same way: one line that names what is wrong, and exit code 64.

import Foundation

/// Starting an executable with settings that cannot be right.
public enum WrongSettings {
    private struct Case {
        let name: String
        var arguments: [String] = []
        var environment: [String: String] = [:]
        /// What the line must name.
        let word: String
    }

    /// Starts `executable` with each kind of wrong settings. `settings` are arguments that make it start otherwise;
    /// `key` is a setting of its own and `value` one outside of its range. Gives what was not as promised, one text each.
    public static func complaints(
        _ executable: String, settings: [String] = [], key: String, outOfRange value: String
    ) async throws -> [String] {
        let folder = try TemporaryDirectory()
        let unknown = try folder.write("no-such-setting: 1\n", to: "unknown.yaml")
        let beyond = try folder.write("\(key): \(value)\n", to: "beyond.yaml")
        let broken = try folder.write("log-level: [\n", to: "broken.yaml")
        let absent = folder.path("absent.yaml")
        let variable = "SIGHTGLASS_" + key.uppercased().replacingOccurrences(of: "-", with: "_")
        let cases = [
            Case(name: "unknown key", arguments: ["--no-such-setting", "1"], word: "no-such-setting"),
            Case(name: "unknown key in a file", arguments: ["--config", unknown], word: "no-such-setting"),
            Case(name: "value out of range", arguments: ["--\(key)", value], word: key),
            Case(name: "value out of range in a file", arguments: ["--config", beyond], word: key),
            Case(name: "value out of range in the environment", environment: [variable: value], word: key),
            Case(name: "value of another kind", arguments: ["--\(key)", "many"], word: key),
            Case(name: "file that is not there", arguments: ["--config", absent], word: absent),
            Case(name: "folder instead of a file", arguments: ["--config", folder.url.path], word: folder.url.path),
            Case(name: "file that is no YAML", arguments: ["--config", broken], word: broken),
            Case(name: "address of no kind", arguments: ["--listen", "gopher://x"], word: "gopher://x"),
        ]
        let common = ["--run-directory", try folder.makeFolder("run")] + settings
        var complaints: [String] = []
        for wrong in cases {
            let process = try ServiceProcess(
                executable, common + wrong.arguments, environment: wrong.environment, logs: folder)
            let code: Int32
            do {
                code = try await process.exitCode(within: .seconds(10))
            } catch {
                try await process.kill()
                complaints.append("\(wrong.name): it did not end: \(process.standardError)")
                continue
            }
            let lines = process.standardError.split(separator: "\n")
            let isNamed = lines.first.map { $0.lowercased().contains(wrong.word.lowercased()) } ?? false
            if code != 64 || lines.count != 1 || !isNamed {
                complaints.append("\(wrong.name): exit code \(code), \(lines.count) lines: \(process.standardError)")
            }
        }
        return complaints
    }
}
