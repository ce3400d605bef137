// The table that `--help` prints: key, type, unit, default, what is allowed, what it does and why its default.

/// Text for `--help`.
public enum SettingsHelp {
    private static let width = 100

    /// The whole page.
    public static func page(role: String, summary: String, schema: SettingsSchema) -> String {
        var lines = ["\(role): \(summary)", "", "usage: \(role) [--key value | --key=value | --switch] ...", ""]
        // One that this service has, so that the example can be typed.
        let key = schema.settings.first?.key ?? CommonSettings.config.key
        lines += wrapped(
            "A setting is given as a flag, as a variable (\(SettingsSchema.variable(of: key)) for \(key)) or in the "
                + "YAML or JSON file that --config names; the flag wins over the variable, the variable over the file. "
                + "Credentials are never settings: they are files below secrets-directory.", indent: 0)
        lines.append("")
        for setting in schema.settings { lines += entry(setting) }
        lines.append("  --help, --version")
        return lines.joined(separator: "\n") + "\n"
    }

    private static func entry(_ setting: any AnySetting) -> [String] {
        var facts = [setting.isRequired ? "required" : "default: \(setting.defaultText)"]
        if let unit = setting.unit { facts[0] += setting.isRequired ? "" : " \(unit)" }
        facts.append("allowed: \(setting.allowedText ?? setting.typeName)")
        return ["  --\(setting.key)"] + wrapped(setting.help, indent: 6)
            + wrapped(facts.joined(separator: "; "), indent: 6) + wrapped("why: \(setting.reason)", indent: 6) + [""]
    }

    private static func wrapped(_ text: String, indent: Int) -> [String] {
        let space = String(repeating: " ", count: indent)
        var lines: [String] = []
        var line = space
        for word in text.split(separator: " ") {
            if line.count > indent, line.count + 1 + word.count > width {
                lines.append(line)
                line = space
            }
            line += (line.count > indent ? " " : "") + word
        }
        return lines + [line]
    }
}
