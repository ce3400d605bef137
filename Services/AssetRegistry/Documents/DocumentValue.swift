// The value tree that a YAML or JSON document is read into: what was written, and where. JSONReader.swift and
// YAMLReader.swift make it; DeviceDocument.swift and AssetDocument.swift read it.

/// A place in a text, both from 1. Columns count Unicode scalars.
struct TextPosition: Sendable, Hashable, CustomStringConvertible {
    let line: Int
    let column: Int
    var description: String { "line \(line), column \(column)" }
}

/// A text that is not a document.
struct DocumentError: Error, Sendable, Equatable, CustomStringConvertible {
    let position: TextPosition
    /// What is wrong and what to do. Never quotes a value: it may be a credential.
    let problem: String
    var description: String { "\(position): \(problem)" }
}

/// One value of a document, with its place.
struct DocumentValue: Sendable {
    /// A key with its value, in the order of the text.
    struct Member: Sendable {
        let key: String
        let value: DocumentValue
    }

    enum Content: Sendable {
        case null
        case bool(Bool)
        /// As written, in JSON's grammar: kept as text so that 0.1 stays 0.1.
        case number(String)
        case string(String)
        case array([DocumentValue])
        case object([Member])
    }

    let content: Content
    let position: TextPosition

    /// Bounds for what is read. Real documents have 8 levels and some hundred values.
    enum Limits {
        /// Levels of arrays and objects. Below what costs a stack anything.
        static let depth = 32
        /// Values in one text: 1 MiB holds fewer in any sensible document.
        static let values = 200_000
    }
}

extension DocumentValue {
    /// The value of a key; nil where it is absent or this is no object.
    subscript(key: String) -> DocumentValue? {
        guard case .object(let members) = content else { return nil }
        return members.first { $0.key == key }?.value
    }

    var members: [Member]? {
        if case .object(let members) = content { members } else { nil }
    }
    var elements: [DocumentValue]? {
        if case .array(let elements) = content { elements } else { nil }
    }
    var string: String? {
        if case .string(let text) = content { text } else { nil }
    }
    var bool: Bool? {
        if case .bool(let value) = content { value } else { nil }
    }
    var isNull: Bool {
        if case .null = content { true } else { false }
    }
    /// A finite number.
    var number: Double? {
        guard case .number(let text) = content, let value = Double(text), value.isFinite else { return nil }
        return value
    }
    /// A whole number; 30 and 30.0 alike.
    var integer: Int? {
        guard let number, number == number.rounded(), abs(number) <= 9_007_199_254_740_992 else { return nil }
        return Int(number)
    }

    /// What kind of value this is, for messages.
    var kindName: String {
        switch content {
        case .null: "null"
        case .bool: "true or false"
        case .number: "a number"
        case .string: "a text"
        case .array: "a list"
        case .object: "an object"
        }
    }

    /// Every text in the value, keys excepted.
    func forEachString(_ visit: (String, TextPosition) throws -> Void) rethrows {
        switch content {
        case .null, .bool, .number: break
        case .string(let text): try visit(text, position)
        case .array(let elements): for element in elements { try element.forEachString(visit) }
        case .object(let members): for member in members { try member.value.forEachString(visit) }
        }
    }
}

// MARK: - Writing JSON

extension DocumentValue {
    /// Compact JSON. With `sortedKeys`, two values that say the same in another order give the same text.
    func json(sortedKeys: Bool = false) -> String {
        var text = ""
        write(to: &text, sortedKeys: sortedKeys)
        return text
    }

    private func write(to text: inout String, sortedKeys: Bool) {
        switch content {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .number(let number): text += number
        case .string(let string): Self.writeQuoted(string, to: &text)
        case .array(let elements):
            text += "["
            for (index, element) in elements.enumerated() {
                if index > 0 { text += "," }
                element.write(to: &text, sortedKeys: sortedKeys)
            }
            text += "]"
        case .object(let members):
            text += "{"
            let ordered = sortedKeys ? members.sorted { $0.key < $1.key } : members
            for (index, member) in ordered.enumerated() {
                if index > 0 { text += "," }
                Self.writeQuoted(member.key, to: &text)
                text += ":"
                member.value.write(to: &text, sortedKeys: sortedKeys)
            }
            text += "}"
        }
    }

    private static func writeQuoted(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let hex = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
