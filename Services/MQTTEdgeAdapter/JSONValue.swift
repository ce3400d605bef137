// JSON as it comes from and goes to MQTT: one value type that keeps the order of fields and the digits of numbers, its
// writer, and access by path. The parser is in JSONParser.swift.

/// A JSON value. Numbers keep their digits, because an event id may need all 64 bits.
enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    /// The literal as it was written: "4711", "-1.5e3".
    case number(String)
    case string(String)
    case array([JSONValue])
    /// In the order of the text. Of fields with the same name the last counts.
    case object([Field])

    /// One name and its value.
    struct Field: Sendable, Equatable {
        let name: String
        let value: JSONValue
    }
}

extension JSONValue {
    /// A number; integers and identifiers go this way.
    static func integer(_ value: some BinaryInteger) -> JSONValue { .number(String(value)) }

    /// An object of the fields that have a value: nil leaves the field out.
    static func fields(_ fields: KeyValuePairs<String, JSONValue?>) -> JSONValue {
        .object(fields.compactMap { name, value in value.map { Field(name: name, value: $0) } })
    }

    /// The field of an object; nil where it is absent, null, or this is no object.
    subscript(name: String) -> JSONValue? {
        guard case .object(let fields) = self, let field = fields.last(where: { $0.name == name }) else { return nil }
        return field.value == .null ? nil : field.value
    }

    /// The text of a string.
    var text: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// The elements of an array.
    var elements: [JSONValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    /// The number of a number literal; finite by the grammar, but for exponents beyond a Double.
    var double: Double? {
        guard case .number(let literal) = self, let value = Double(literal), value.isFinite else { return nil }
        return value
    }

    /// "string", "object": for messages.
    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "true or false"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }

    /// The JSON text, without white space.
    func encoded() -> [UInt8] {
        var text = ""
        write(into: &text)
        return [UInt8](text.utf8)
    }

    private func write(into text: inout String) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .number(let literal): text += literal
        case .string(let value): Self.write(value, into: &text)
        case .array(let elements):
            text += "["
            for (index, element) in elements.enumerated() {
                if index > 0 { text += "," }
                element.write(into: &text)
            }
            text += "]"
        case .object(let fields):
            text += "{"
            for (index, field) in fields.enumerated() {
                if index > 0 { text += "," }
                Self.write(field.name, into: &text)
                text += ":"
                field.value.write(into: &text)
            }
            text += "}"
        }
    }

    private static func write(_ value: String, into text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case let control where control.value < 0x20 || control.value == 0x7F:
                let digits = String(control.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}

/// A place in a JSON value: "attributes.devices[0].score", with or without "$." in front.
struct JSONPath: Sendable, Equatable {
    enum Step: Sendable, Equatable {
        case field(String)
        case element(Int)
    }

    let steps: [Step]
    let text: String

    /// Nil where the text is no path: an empty step, a bracket that does not close, an index that is no number.
    init?(_ text: String) {
        self.text = text
        var rest = Substring(text)
        if rest.hasPrefix("$.") { rest = rest.dropFirst(2) }
        guard !rest.isEmpty else { return nil }
        var steps: [Step] = []
        for part in rest.split(separator: ".", omittingEmptySubsequences: false) {
            guard let (name, indices) = Self.split(part) else { return nil }
            steps.append(.field(name))
            steps += indices.map(Step.element)
        }
        self.steps = steps
    }

    /// "devices[0][1]" as its name and its indices.
    private static func split(_ part: Substring) -> (name: String, indices: [Int])? {
        guard let bracket = part.firstIndex(of: "[") else {
            return part.isEmpty || part.contains("]") ? nil : (String(part), [])
        }
        let name = part[..<bracket]
        guard !name.isEmpty, part.hasSuffix("]") else { return nil }
        let inner = part[part.index(after: bracket)...].dropLast()
        var indices: [Int] = []
        for digits in inner.split(separator: "][", omittingEmptySubsequences: false) {
            guard let index = Int(digits), index >= 0 else { return nil }
            indices.append(index)
        }
        return indices.isEmpty ? nil : (String(name), indices)
    }

    /// What is there; nil where nothing is, or null.
    func value(in root: JSONValue) -> JSONValue? {
        var current = root
        for step in steps {
            switch step {
            case .field(let name):
                guard let next = current[name] else { return nil }
                current = next
            case .element(let index):
                guard let elements = current.elements, index < elements.count else { return nil }
                current = elements[index]
            }
        }
        return current == .null ? nil : current
    }
}
