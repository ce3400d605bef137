// SettingsSchema: all settings of one service, and how values are found: flag over environment over file over default.
//
//   --lease-ms 30000   --lease-ms=30000   --insecure   --indexer a --indexer b (a list)
//   SIGHTGLASS_LEASE_MS=30000
//   lease-ms: 30000        in the YAML or JSON file that --config (or SIGHTGLASS_CONFIG) names; keys are flat
//
// An unknown flag or key in the file is an error. An unknown SIGHTGLASS_ variable is only a warning, because one
// environment file may serve several services; those that the build and the tests use are not even that. Pure but for the
// reading of the file, which the caller passes in. The table that --help prints: SettingsHelp.swift.
import Yams

/// The settings that a service knows.
public struct SettingsSchema: Sendable {
    /// What reading the command line came to.
    public enum Outcome: Sendable {
        /// The operator asked for help: print it, exit 0.
        case help
        /// The operator asked for the version: print it, exit 0.
        case version
        /// Values, and what to warn of.
        case settings(Settings, warnings: [String])
    }

    /// Variables that belong to building and testing, not to a service.
    public static let foreignVariables: Set<String> = ["SIGHTGLASS_BIN", "SIGHTGLASS_TESTS", "SIGHTGLASS_BUILD"]
    /// A configuration file is a page of text; more is a mistake in the path.
    public static let maximumFileBytes = 1 << 20

    static let variablePrefix = "SIGHTGLASS_"

    /// In the order of declaration, which is the order of the help.
    public let settings: [any AnySetting]
    private let byKey: [String: any AnySetting]

    /// Error: two settings with one key, or one that would hold a credential. Both are mistakes of the service itself.
    public init(_ settings: [any AnySetting]) throws(SettingsError) {
        var byKey: [String: any AnySetting] = [:]
        for setting in settings {
            guard byKey.updateValue(setting, forKey: setting.key) == nil else {
                throw SettingsError("setting '\(setting.key)' is declared twice")
            }
            guard !Self.wouldHoldSecret(setting.key) else {
                throw SettingsError("setting '\(setting.key)' would hold a credential: take a file reference instead")
            }
        }
        self.settings = settings
        self.byKey = byKey
    }

    /// Finds and checks all values.
    /// - Parameters:
    ///   - arguments: without the program's name.
    ///   - readFile: gives the text of a file; its error's description goes into the message.
    public func resolve(
        arguments: [String], environment: [String: String], readFile: (String) throws -> String
    ) throws(SettingsError) -> Outcome {
        let flags: [(key: String, value: RawSetting)]
        switch try parse(arguments) {
        case .help: return .help
        case .version: return .version
        case .flags(let found): flags = found
        }
        let (variables, warnings) = variables(in: environment)
        var result = Settings()
        let path =
            flags.first { $0.key == CommonSettings.config.key }?.value.single
            ?? variables.first { $0.key == CommonSettings.config.key }?.value.single ?? ""
        if !path.isEmpty {
            for (key, value) in try entries(ofFile: path, readFile) {
                try set(&result, key, value, .file, origin: " in \(path)")
            }
        }
        for (key, value) in variables {
            try set(&result, key, value, .environment, origin: " (\(Self.variable(of: key)))")
        }
        for (key, value) in flags { try set(&result, key, value, .flag, origin: "") }
        for setting in settings where setting.isRequired && result.source(of: setting.key) == .default {
            throw SettingsError(
                "setting '\(setting.key)' is missing (\(setting.help)): give --\(setting.key), "
                    + "\(Self.variable(of: setting.key)) or the key in a --config file")
        }
        return .settings(result, warnings: warnings)
    }

    /// The variable of a key: "lease-ms" is SIGHTGLASS_LEASE_MS.
    public static func variable(of key: String) -> String {
        variablePrefix + key.uppercased().replacing("-", with: "_")
    }

    private enum CommandLine {
        case help, version
        case flags([(key: String, value: RawSetting)])
    }

    private func parse(_ arguments: [String]) throws(SettingsError) -> CommandLine {
        if arguments.contains("--help") || arguments.contains("-h") { return .help }
        if arguments.contains("--version") { return .version }
        var flags: [(key: String, value: RawSetting)] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("--"), argument.count > 2 else {
                throw SettingsError("unexpected argument '\(argument)': settings are given as --key value")
            }
            let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let key = String(parts[0])
            guard let setting = byKey[key] else { throw unknown("--\(key)", key, origin: "", prefix: "--") }
            let value: String
            if parts.count == 2 {
                value = String(parts[1])
            } else if setting.isSwitch {
                value = "true"
            } else if let next = rest.first, !next.hasPrefix("--") {
                value = next
                rest.removeFirst()
            } else {
                throw SettingsError("setting '--\(key)' needs a value: \(setting.allowedText ?? setting.typeName)")
            }
            guard let earlier = flags.firstIndex(where: { $0.key == key }) else {
                flags.append((key, .text(value)))
                continue
            }
            guard setting.isList else { throw SettingsError("setting '--\(key)' is given twice") }
            let texts =
                switch flags[earlier].value {
                case .text(let text): [text]
                case .list(let texts): texts
                }
            flags[earlier].value = .list(texts + [value])
        }
        return .flags(flags)
    }

    private func variables(in environment: [String: String]) -> ([(key: String, value: RawSetting)], [String]) {
        var found: [(key: String, value: RawSetting)] = []
        var warnings: [String] = []
        for (name, value) in environment.sorted(by: { $0.key < $1.key })
        where name.hasPrefix(Self.variablePrefix) && !Self.foreignVariables.contains(name) {
            let key = name.dropFirst(Self.variablePrefix.count).lowercased().replacing("_", with: "-")
            if byKey[key] != nil, Self.variable(of: key) == name {
                found.append((key, .text(value)))
            } else {
                let hint = nearest(to: key).map { ": did you mean \(Self.variable(of: $0))?" } ?? ""
                warnings.append("variable \(name) is no setting of this service\(hint)")
            }
        }
        return (found, warnings)
    }

    private func entries(
        ofFile path: String, _ readFile: (String) throws -> String
    ) throws(SettingsError) -> [(String, RawSetting)] {
        let text: String
        do { text = try readFile(path) } catch {
            throw SettingsError("cannot read the file \(path) that 'config' names: \(error)")
        }
        guard text.utf8.count <= Self.maximumFileBytes else {
            throw SettingsError("\(path) is larger than 1 MiB: is it a configuration file?")
        }
        let node: Node?
        do { node = try Yams.compose(yaml: text) } catch let error as YamlError {
            throw SettingsError("\(path) is neither YAML nor JSON: \(Self.oneLine(error))")
        } catch {
            throw SettingsError("\(path) is neither YAML nor JSON")
        }
        guard let node else { return [] }
        guard let mapping = node.mapping else {
            throw SettingsError("\(path) must hold keys and values, 'lease-ms: 30000'")
        }
        var entries: [(String, RawSetting)] = []
        for (key, value) in mapping {
            guard let name = key.scalar?.string else { throw SettingsError("\(path) has a key that is not a text") }
            guard name != CommonSettings.config.key else {
                throw SettingsError("'config' in \(path) cannot name another file: files do not include each other")
            }
            if let scalar = value.scalar {
                guard value.tag != Tag(.null) || scalar.style != .plain || !Self.nulls.contains(scalar.string) else {
                    throw SettingsError("setting '\(name)' in \(path) has no value: give one or remove the key")
                }
                entries.append((name, .text(scalar.string)))
            } else if let sequence = value.sequence {
                let texts = sequence.compactMap { $0.scalar?.string }
                guard texts.count == sequence.count else {
                    throw SettingsError("setting '\(name)' in \(path) must be a list of plain values")
                }
                entries.append((name, .list(texts)))
            } else {
                throw SettingsError("setting '\(name)' in \(path) must be one value or a list: keys are flat")
            }
        }
        return entries
    }

    private func set(
        _ settings: inout Settings, _ key: String, _ raw: RawSetting, _ source: Settings.Source, origin: String
    ) throws(SettingsError) {
        guard let setting = byKey[key] else { throw unknown(key, key, origin: origin, prefix: "") }
        do throws(SettingProblem) {
            settings.set(key, try setting.value(from: raw), source)
        } catch {
            throw SettingsError("setting '\(key)'\(origin) \(error.text), not '\(raw.shown)'")
        }
    }

    private func unknown(_ shown: String, _ key: String, origin: String, prefix: String) -> SettingsError {
        let hint = nearest(to: key).map { "did you mean '\(prefix)\($0)'?" } ?? "see --help"
        return SettingsError("unknown setting '\(shown)'\(origin): \(hint)")
    }

    private func nearest(to key: String) -> String? {
        let underscored = key.lowercased().replacing("_", with: "-")
        let candidates = settings.map { ($0.key, EditDistance.between($0.key, underscored)) }
        guard let best = candidates.min(by: { $0.1 < $1.1 }), best.1 <= max(1, best.0.count / 3) else { return nil }
        return best.0
    }

    private static let nulls: Set<String> = ["", "~", "null", "Null", "NULL"]

    private static func wouldHoldSecret(_ key: String) -> Bool {
        let words = key.split(separator: "-")
        let pointsToFile = ["file", "directory", "reference"].contains { words.last ?? "" == $0 }
        return !pointsToFile
            && words.contains { ["password", "secret", "secrets", "token", "credential"].contains($0) }
    }

    /// What and where, without the excerpt of the file that the library's own text has: it may hold a credential.
    private static func oneLine(_ error: YamlError) -> String {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            "line \(mark.line): \(problem)"
        case .duplicatedKeysInMapping(let duplicates, _):
            "the key '\(duplicates.map { String($0.prefix(100)) }.joined(separator: "', '"))' is there twice"
        default: "it cannot be read"
        }
    }
}

/// How many single-character changes lie between two words.
enum EditDistance {
    static func between(_ left: String, _ right: String) -> Int {
        let left = Array(left.utf8)
        // A word this long is no slip of a finger.
        let right = Array(right.utf8.prefix(200))
        var row = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, b) in right.enumerated() {
                let above = row[j + 1]
                row[j + 1] = a == b ? diagonal : 1 + min(diagonal, above, row[j])
                diagonal = above
            }
        }
        return row[right.count]
    }
}
