// Settings: the values a service runs with, after file, environment and flags were read and checked.

/// The values of a service's settings.
public struct Settings: Sendable {
    /// Where a value came from. The later in this list, the stronger.
    public enum Source: String, Sendable, Hashable {
        case `default`, file, environment, flag
    }

    private var values: [String: any SettingValue] = [:]
    private var sources: [String: Source] = [:]

    /// No value is set: every setting gives its default.
    public init() {}

    /// The value of a setting, or its default.
    public subscript<Value: SettingValue>(setting: Setting<Value>) -> Value {
        get { values[setting.key] as? Value ?? setting.defaultValue }
        // For tests that build settings without flags.
        set {
            values[setting.key] = newValue
            sources[setting.key] = .flag
        }
    }

    /// Where the value of `key` came from.
    public func source(of key: String) -> Source { sources[key] ?? .default }

    mutating func set(_ key: String, _ value: any SettingValue, _ source: Source) {
        values[key] = value
        sources[key] = source
    }
}

/// A mistake in flags, environment or file. One line; a service that meets it exits with 64. Throw it as well where values
/// that are fine by themselves do not fit together.
public struct SettingsError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Names the setting and the value, what was wrong and what is allowed. Free of credentials.
    public let description: String

    /// The message passes redaction, because a value may hold what should not be there.
    public init(_ message: String) {
        description = Redaction.redact(message)
    }
}
