// Setting: one value that an operator may set, with everything that help and error messages say about it.
// How values are found and checked: SettingsSchema.swift. What every service has: CommonSettings.swift.

/// A type that a setting's value can have: String, Int, Double, Bool or [String].
public protocol SettingValue: Sendable, Equatable {
    /// What the help calls it: "text", "number".
    static var typeName: String { get }
    /// Reads a value; nil when the text is not one.
    init?(settingText: RawSetting)
    /// As the help shows it.
    var settingText: String { get }
}

/// What a flag, a variable or a file gives for a key, before it has a type.
public enum RawSetting: Sendable, Equatable {
    /// A single value.
    case text(String)
    /// A sequence of a file, or a flag given several times.
    case list([String])

    /// For messages.
    var shown: String {
        switch self {
        case .text(let text): text
        case .list(let texts): "[" + texts.joined(separator: ", ") + "]"
        }
    }

    /// The single value; nil for a list.
    var single: String? { if case .text(let text) = self { text } else { nil } }
}

/// A setting of any type, as schema and help see it.
public protocol AnySetting: Sendable {
    /// Kebab-case: the flag is `--lease-ms`, the variable `SIGHTGLASS_LEASE_MS`, the file's key `lease-ms`.
    var key: String { get }
    /// What it does, one sentence.
    var help: String { get }
    /// Why the default is what it is, one sentence.
    var reason: String { get }
    /// "ms", "bytes"; nil for what has none.
    var unit: String? { get }
    /// What the help calls its type.
    var typeName: String { get }
    /// The default as the help shows it.
    var defaultText: String { get }
    /// What is allowed, for help and errors; nil when every value of the type is.
    var allowedText: String? { get }
    /// Whether it must be given.
    var isRequired: Bool { get }
    /// Whether it can be given as `--key` alone.
    var isSwitch: Bool { get }
    /// Whether it takes several values.
    var isList: Bool { get }
    /// Reads and checks; the error says what is allowed.
    func value(from raw: RawSetting) throws(SettingProblem) -> any SettingValue
}

/// What is wrong with a value, without the name of its setting.
public struct SettingProblem: Error, Sendable, Equatable {
    /// "must be 1000 to 600000 ms".
    public let text: String
}

/// A setting with its type. Declare them as static constants; each default carries its reason.
public struct Setting<Value: SettingValue>: AnySetting {
    /// Kebab-case; see AnySetting.
    public let key: String
    /// The value when nothing is given.
    public let defaultValue: Value
    /// "ms", "bytes"; nil for what has none.
    public let unit: String?
    /// What it does, one sentence.
    public let help: String
    /// Why the default is what it is, one sentence.
    public let reason: String
    /// Whether it must be given.
    public let isRequired: Bool
    /// What is allowed, for help and errors.
    public let allowedText: String?
    private let shownDefault: String?
    private let isAllowed: @Sendable (Value) -> Bool

    /// A setting for which every value of its type is allowed. `shownDefault` is for help where the default is made of
    /// other settings.
    public init(
        _ key: String, default defaultValue: Value, unit: String? = nil, shownDefault: String? = nil, help: String,
        reason: String
    ) {
        self.init(key, defaultValue, unit, shownDefault, help, reason, false, nil) { _ in true }
    }

    fileprivate init(
        _ key: String, _ defaultValue: Value, _ unit: String?, _ shownDefault: String?, _ help: String,
        _ reason: String, _ isRequired: Bool, _ allowedText: String?, _ isAllowed: @escaping @Sendable (Value) -> Bool
    ) {
        self.key = key
        self.defaultValue = defaultValue
        self.unit = unit
        self.shownDefault = shownDefault
        self.help = help
        self.reason = reason
        self.isRequired = isRequired
        self.allowedText = allowedText
        self.isAllowed = isAllowed
    }

    /// What the help calls the type.
    public var typeName: String { Value.typeName }
    /// The default as the help shows it.
    public var defaultText: String { isRequired ? "required" : shownDefault ?? defaultValue.settingText }
    /// Whether it can be given as `--key` alone.
    public var isSwitch: Bool { Value.self == Bool.self }
    /// Whether it takes several values.
    public var isList: Bool { Value.self == [String].self }

    /// Reads and checks; the error says what is allowed.
    public func value(from raw: RawSetting) throws(SettingProblem) -> any SettingValue {
        guard let value = Value(settingText: raw) else {
            throw SettingProblem(text: "must be \(allowedText ?? typeName)")
        }
        guard isAllowed(value) else { throw SettingProblem(text: "must be \(allowedText ?? typeName)") }
        return value
    }
}

extension Setting where Value: Comparable & SettingValue {
    /// A number within a range.
    public init(
        _ key: String, default defaultValue: Value, unit: String? = nil, range: ClosedRange<Value>, help: String,
        reason: String
    ) {
        let allowed =
            "\(range.lowerBound.settingText) to \(range.upperBound.settingText)" + (unit.map { " \($0)" } ?? "")
        self.init(key, defaultValue, unit, nil, help, reason, false, allowed) { range.contains($0) }
    }
}

extension Setting where Value == String {
    /// One of a few words.
    public init(_ key: String, default defaultValue: String, allowed: [String], help: String, reason: String) {
        let text = allowed.count < 2 ? allowed.joined() : "one of " + allowed.joined(separator: ", ")
        self.init(key, defaultValue, nil, nil, help, reason, false, text) { allowed.contains($0) }
    }

    /// A text that must be given, and not be empty: what only the operator can know. `reason` says why there is no default.
    public init(required key: String, help: String, reason: String) {
        self.init(key, "", nil, nil, help, reason, true, "a text that is not empty") { !$0.isEmpty }
    }
}

extension String: SettingValue {
    /// What the help calls the type.
    public static var typeName: String { "text" }
    /// Reads the value; nil when the text is not one.
    public init?(settingText raw: RawSetting) {
        guard let text = raw.single, !text.utf8.contains(0) else { return nil }
        self = text
    }
    /// As the help shows it.
    public var settingText: String { isEmpty ? "none" : self }
}

extension Int: SettingValue {
    /// What the help calls the type.
    public static var typeName: String { "a whole number" }
    /// Reads the value; nil when the text is not one.
    public init?(settingText raw: RawSetting) {
        guard let text = raw.single else { return nil }
        self.init(text)
    }
    /// As the help shows it.
    public var settingText: String { String(self) }
}

extension Double: SettingValue {
    /// What the help calls the type.
    public static var typeName: String { "a number" }
    /// Reads the value; nil when the text is not one.
    public init?(settingText raw: RawSetting) {
        guard let text = raw.single, let value = Double(text), value.isFinite else { return nil }
        self = value
    }
    /// As the help shows it.
    public var settingText: String { String(self) }
}

extension Bool: SettingValue {
    /// What the help calls the type.
    public static var typeName: String { "true or false" }
    /// Reads the value; nil when the text is not one.
    public init?(settingText raw: RawSetting) {
        switch raw.single?.lowercased() {
        case "true", "yes", "on", "1": self = true
        case "false", "no", "off", "0": self = false
        default: return nil
        }
    }
    /// As the help shows it.
    public var settingText: String { self ? "true" : "false" }
}

extension [String]: SettingValue {
    /// What the help calls the type.
    public static var typeName: String { "a list, separated by commas" }
    /// Reads the value; nil when the text is not one.
    public init?(settingText raw: RawSetting) {
        let texts =
            switch raw {
            case .text(let text):
                text.isEmpty ? [] : text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            case .list(let texts): texts
            }
        let trimmed = texts.map { text in
            String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
        guard trimmed.allSatisfy({ !$0.isEmpty && !$0.utf8.contains(0) }) else { return nil }
        self = trimmed
    }
    /// As the help shows it.
    public var settingText: String { isEmpty ? "none" : joined(separator: ",") }
}
