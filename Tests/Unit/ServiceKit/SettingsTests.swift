// Settings: where values come from, who wins, and what a mistake is told.
import Testing

@testable import ServiceKit

private enum Keys {
    static let leaseMs = Setting<Int>(
        "lease-ms", default: 30_000, unit: "ms", range: 1_000...600_000, help: "Time until a claim falls back.",
        reason: "Longer than the slowest copy's renewal.")
    static let share = Setting<Double>(
        "held-share", default: 0.7, range: 0...1, help: "Share that holds may take.", reason: "The promise.")
    static let mode = Setting<String>(
        "mode", default: "ring", allowed: ["off", "ring", "record"], help: "Standby.", reason: "Cheap.")
    static let volume = Setting<String>(
        required: "volume", help: "Path of the volume.", reason: "Only the site knows it.")
    static let filters = Setting<[String]>("filters", default: ["a/#"], help: "Topics.", reason: "Common.")
    static let isDry = Setting<Bool>("dry-run", default: false, help: "Change nothing.", reason: "Services work.")
    static let all: [any AnySetting] = [leaseMs, share, mode, volume, filters, isDry]
}

private struct NoFile: Error, CustomStringConvertible { let description = "No such file or directory" }

private func resolve(
    _ arguments: [String] = [], _ environment: [String: String] = [:], file: String? = nil
) throws -> (Settings, [String]) {
    let schema = try SettingsSchema(Keys.all + CommonSettings.all(role: "indexer"))
    let outcome = try schema.resolve(
        arguments: arguments + (file == nil ? [] : ["--config", "indexer.yaml"]), environment: environment
    ) { path in
        guard let file, path == "indexer.yaml" else { throw NoFile() }
        return file
    }
    guard case .settings(let settings, let warnings) = outcome else { throw SettingsError("no settings") }
    return (settings, warnings)
}

private func complaint(
    _ arguments: [String] = [], _ environment: [String: String] = [:], file: String? = nil
) -> String? {
    do {
        _ = try resolve(arguments, environment, file: file)
        return nil
    } catch {
        return "\(error)"
    }
}

@Suite("Settings")
struct SettingsTests {
    private let needed = ["--volume", "/v"]

    @Test func flagsBeatVariablesBeatTheFileBeatTheDefault() throws {
        let file = "lease-ms: 2000\n"
        let environment = ["SIGHTGLASS_LEASE_MS": "3000"]
        #expect(try resolve(needed).0[Keys.leaseMs] == 30_000)
        #expect(try resolve(needed, file: file).0[Keys.leaseMs] == 2_000)
        #expect(try resolve(needed, environment, file: file).0[Keys.leaseMs] == 3_000)
        let (settings, _) = try resolve(needed + ["--lease-ms", "4000"], environment, file: file)
        #expect(settings[Keys.leaseMs] == 4_000)
        #expect(settings.source(of: "lease-ms") == .flag)
        #expect(settings.source(of: "mode") == .default)
    }

    @Test func everyTypeReadsFromEveryPlace() throws {
        let flags = [
            "--volume=/v", "--held-share=0.5", "--mode", "off", "--filters", "x,y", "--filters=z", "--dry-run",
        ]
        let fromFlags = try resolve(flags).0
        let fromFile = try resolve(
            file: "volume: /v\nheld-share: 0.5\nmode: \"off\"\nfilters: [\"x,y\", z]\ndry-run: yes\n"
        ).0
        let fromJSON = try resolve(
            file: "{\"volume\":\"/v\",\"held-share\":0.5,\"mode\":\"off\",\"filters\":[\"x,y\",\"z\"],\"dry-run\":true}"
        ).0
        for settings in [fromFlags, fromFile, fromJSON] {
            #expect(settings[Keys.volume] == "/v")
            #expect(settings[Keys.share] == 0.5)
            #expect(settings[Keys.mode] == "off")
            #expect(settings[Keys.filters] == ["x,y", "z"])
            #expect(settings[Keys.isDry])
        }
        let environment = ["SIGHTGLASS_VOLUME": "/v", "SIGHTGLASS_FILTERS": "x, y", "SIGHTGLASS_DRY_RUN": "1"]
        let fromEnvironment = try resolve([], environment).0
        #expect(fromEnvironment[Keys.filters] == ["x", "y"])
        #expect(fromEnvironment[Keys.isDry])
        #expect(try resolve(needed + ["--dry-run=false"], environment).0[Keys.isDry] == false)
    }

    @Test func unknownFlagsAndKeysAreErrorsWithASuggestion() {
        #expect(
            complaint(needed, file: "lese-ms: 1000")
                == "unknown setting 'lese-ms' in indexer.yaml: did you mean 'lease-ms'?")
        #expect(complaint(needed + ["--lease_ms", "1"]) == "unknown setting '--lease_ms': did you mean '--lease-ms'?")
        #expect(complaint(needed + ["--qqqqqqq", "1"]) == "unknown setting '--qqqqqqq': see --help")
        #expect(complaint(needed + ["--lesae-ms=5000"])?.contains("did you mean '--lease-ms'?") == true)
    }

    @Test func unknownVariablesAreWarningsAndTheBuildsOwnAreNot() throws {
        let warnings = try resolve(
            needed,
            [
                "SIGHTGLASS_LESE_MS": "1", "SIGHTGLASS_BIN": "/x", "SIGHTGLASS_TESTS": "y", "SIGHTGLASS_BUILD": "z",
                "HOME": "/",
            ]
        ).1
        #expect(
            warnings == ["variable SIGHTGLASS_LESE_MS is no setting of this service: did you mean SIGHTGLASS_LEASE_MS?"]
        )
    }

    @Test(arguments: [
        (["--lease-ms", "999"], "setting 'lease-ms' must be 1000 to 600000 ms, not '999'"),
        (["--lease-ms", "5s"], "setting 'lease-ms' must be 1000 to 600000 ms, not '5s'"),
        (
            ["--lease-ms", "99999999999999999999"],
            "setting 'lease-ms' must be 1000 to 600000 ms, not '99999999999999999999'"
        ),
        (["--held-share", "nan"], "setting 'held-share' must be 0.0 to 1.0, not 'nan'"),
        (["--mode", "on"], "setting 'mode' must be one of off, ring, record, not 'on'"),
        (["--dry-run=maybe"], "setting 'dry-run' must be true or false, not 'maybe'"),
        (["--filters", "a,,b"], "setting 'filters' must be a list, separated by commas, not 'a,,b'"),
        (["--volume="], "setting 'volume' must be a text that is not empty, not ''"),
        (["--lease-ms"], "setting '--lease-ms' needs a value: 1000 to 600000 ms"),
        (["--lease-ms", "--dry-run"], "setting '--lease-ms' needs a value: 1000 to 600000 ms"),
        (["--lease-ms", "2000", "--lease-ms", "3000"], "setting '--lease-ms' is given twice"),
        (["lease-ms"], "unexpected argument 'lease-ms': settings are given as --key value"),
        (["--"], "unexpected argument '--': settings are given as --key value"),
    ])
    func wrongFlagsAreNamedWithWhatIsAllowed(arguments: [String], expected: String) {
        #expect(complaint(arguments + (arguments[0].hasPrefix("--volume") ? [] : needed)) == expected)
    }

    @Test(arguments: [
        ("lease-ms: 5", "setting 'lease-ms' in indexer.yaml must be 1000 to 600000 ms, not '5'"),
        ("lease-ms:", "setting 'lease-ms' in indexer.yaml has no value: give one or remove the key"),
        ("lease-ms: ~", "setting 'lease-ms' in indexer.yaml has no value: give one or remove the key"),
        ("lease-ms: {a: 1}", "setting 'lease-ms' in indexer.yaml must be one value or a list: keys are flat"),
        ("lease-ms: [1, 2]", "setting 'lease-ms' in indexer.yaml must be 1000 to 600000 ms, not '[1, 2]'"),
        ("filters: [{a: 1}]", "setting 'filters' in indexer.yaml must be a list of plain values"),
        ("- a", "indexer.yaml must hold keys and values, 'lease-ms: 30000'"),
        ("? [a]\n: b", "indexer.yaml has a key that is not a text"),
        ("config: other.yaml", "'config' in indexer.yaml cannot name another file: files do not include each other"),
    ])
    func wrongFilesAreNamedWithWhatIsAllowed(file: String, expected: String) {
        #expect(complaint(needed, file: file) == expected)
    }

    @Test func brokenFilesAreOneLineAndShowNothingOfTheContent() throws {
        let texts = [
            "lease-ms: [1", "a: b: c", "\t- x", "lease-ms: 1\nlease-ms: 2", "key: \"hunter2-canary", "{", "a: *none",
        ]
        for text in texts {
            let message = try #require(complaint(needed, file: text), "\(text)")
            #expect(message.contains("indexer.yaml"))
            #expect(!message.contains("\n"))
            #expect(!message.contains("hunter2"))
        }
        #expect(
            complaint(["--config", "none.yaml"])
                == "cannot read the file none.yaml that 'config' names: No such file or directory")
        let large = String(repeating: "#", count: SettingsSchema.maximumFileBytes + 1)
        #expect(complaint(needed, file: large) == "indexer.yaml is larger than 1 MiB: is it a configuration file?")
        #expect(try resolve(needed, file: "").0[Keys.leaseMs] == 30_000)
        #expect(try resolve(needed, file: "# only a comment\n").0[Keys.leaseMs] == 30_000)
    }

    @Test func aRequiredSettingThatIsMissingSaysHowToGiveIt() {
        #expect(
            complaint()
                == "setting 'volume' is missing (Path of the volume.): give --volume, SIGHTGLASS_VOLUME or the key in a --config file"
        )
        #expect(
            complaint([], ["SIGHTGLASS_VOLUME": ""])?.contains("(SIGHTGLASS_VOLUME) must be a text that is not empty")
                == true)
    }

    @Test func credentialsInValuesAreNotRepeated() throws {
        let message = try #require(complaint(needed + ["--mode", "rtsp://admin:canary-7@cam/1"]))
        #expect(!message.contains("canary-7"))
        #expect(message.contains("rtsp://***@cam/1"))
    }

    @Test func aSchemaRefusesDoublesAndCredentials() {
        #expect(throws: SettingsError.self) { try SettingsSchema([Keys.leaseMs, Keys.leaseMs]) }
        for key in ["mqtt-password", "storage-token", "secret"] {
            let setting = Setting<String>(key, default: "", help: "x", reason: "x")
            #expect(throws: SettingsError.self, "\(key)") { try SettingsSchema([setting]) }
        }
        let file = Setting<String>("mqtt-password-file", default: "", help: "x", reason: "x")
        #expect(throws: Never.self) { try SettingsSchema([file]) }
    }

    @Test func helpNamesEverySettingWithUnitDefaultRangeAndReason() throws {
        let schema = try SettingsSchema(Keys.all + CommonSettings.all(role: "indexer"))
        let page = SettingsHelp.page(role: "indexer", summary: "The catalogue.", schema: schema)
        for setting in schema.settings {
            #expect(page.contains("--\(setting.key)\n"))
            #expect(!setting.reason.isEmpty && !setting.help.isEmpty)
        }
        #expect(page.contains("default: 30000 ms; allowed: 1000 to 600000 ms"))
        #expect(page.contains("why: Longer than the slowest copy's renewal."))
        #expect(page.contains("required; allowed: a text that is not empty"))
        #expect(page.split(separator: "\n").allSatisfy { $0.count <= 100 })
        for arguments in [["--help"], ["--qqq", "-h"]] {
            guard case .help = try schema.resolve(arguments: arguments, environment: [:], readFile: { _ in "" }) else {
                Issue.record("no help for \(arguments)")
                continue
            }
        }
    }

    @Test func addressesFollowRoleInstanceAndRunDirectory() throws {
        func addresses(_ arguments: [String]) throws -> Addresses {
            Addresses(role: "indexer", settings: try resolve(needed + arguments).0)
        }
        let usual = try addresses([])
        #expect(usual.instance == "indexer-0")
        #expect(usual.listen == ["ipc:///run/sightglass/indexer.rpc"])
        #expect(usual.hints == ["ipc:///run/sightglass/indexer.hints"])
        #expect(usual.neighbour("asset-registry") == ["ipc:///run/sightglass/asset-registry.rpc"])
        let second = try addresses([
            "--instance", "indexer-1", "--run-directory", "/r", "--asset-registry", "tcp://127.0.0.1:1",
        ])
        #expect(second.listen == ["ipc:///r/indexer-1.rpc"])
        #expect(second.neighbour("asset-registry") == ["tcp://127.0.0.1:1"])
        #expect(second.neighbourHints("asset-registry") == ["ipc:///r/asset-registry.hints"])
        #expect(try addresses(["--instance", "indexer-0"]).listen == usual.listen)
    }
}
