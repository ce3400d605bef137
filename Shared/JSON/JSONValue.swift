// JSONValue: JSON (RFC 8259) as a tree that loses nothing of what was written: the order of members, the digits of numbers,
// and the place of each value. JSONReader.swift reads it, JSONWriter.swift writes it.
//
// Why not Foundation's coder for what strangers send: it takes a key that stands twice and keeps either, turns 64-bit
// identifiers into rounded numbers where a type does not name them, bounds the depth only at 512, and its errors name no line.
// Where we only write values of our own types (the indexer's documents), Foundation's encoder serves.

/// A place in a text: line and column, both from 1. Columns count Unicode scalars.
public struct TextPlace: Sendable, Hashable, CustomStringConvertible {
    /// From 1.
    public let line: Int
    /// From 1.
    public let column: Int

    /// A place as given.
    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    /// "line 3, column 14".
    public var description: String { "line \(line), column \(column)" }
}

/// A JSON value. Two are equal where they say the same, byte for byte, wherever they were read.
public struct JSONValue: Sendable {
    /// A key with its value.
    public struct Member: Sendable, Equatable {
        /// As it reads, escapes resolved.
        public let key: String
        /// What stands behind the colon.
        public let value: JSONValue

        /// A member as given.
        public init(key: String, value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    /// What a value may be.
    public enum Content: Sendable {
        case null
        case bool(Bool)
        /// As written, in JSON's grammar ("4711", "-1.5e3"), so that 0.1 stays 0.1 and an identifier keeps its 64 bits.
        case number(String)
        case string(String)
        case array([JSONValue])
        /// In the order of the text. A reader that takes a key twice (`JSONReader.Rules`) keeps both here.
        case object([Member])
    }

    /// What it is.
    public let content: Content
    /// Where the value begins in the text that it was read from; nil for one that was made here.
    public let place: TextPlace?

    /// A value as given.
    public init(_ content: Content, at place: TextPlace? = nil) {
        self.content = content
        self.place = place
    }
}

// MARK: - Making values

extension JSONValue {
    /// The word null.
    public static let null = JSONValue(.null)

    /// True or false.
    public static func bool(_ value: Bool) -> JSONValue { JSONValue(.bool(value)) }
    /// A text.
    public static func string(_ text: String) -> JSONValue { JSONValue(.string(text)) }
    /// Values in their order.
    public static func array(_ elements: [JSONValue]) -> JSONValue { JSONValue(.array(elements)) }
    /// Members in their order.
    public static func object(_ members: [Member]) -> JSONValue { JSONValue(.object(members)) }

    /// A number by its literal, which the caller answers for: it is written as it is.
    public static func number(_ literal: String) -> JSONValue { JSONValue(.number(literal)) }

    /// A whole number of any size.
    public static func integer(_ value: some BinaryInteger) -> JSONValue { JSONValue(.number(String(value))) }

    /// A number; null where it is infinite or none, for which JSON has no word.
    public static func real(_ value: Double) -> JSONValue {
        value.isFinite ? JSONValue(.number(String(value))) : .null
    }

    // What may be absent. Labelled, because overloads that differ in an optional only are too much for the type checker in a
    // literal of twenty members.

    /// True or false; nil, which `fields` leaves out, where there is none.
    public static func bool(optional value: Bool?) -> JSONValue? { value.map { JSONValue(.bool($0)) } }
    /// A text; nil, which `fields` leaves out, where there is none.
    public static func string(optional text: String?) -> JSONValue? { text.map { JSONValue(.string($0)) } }
    /// A whole number; nil, which `fields` leaves out, where there is none.
    public static func integer(optional value: (some BinaryInteger)?) -> JSONValue? {
        value.map { JSONValue(.number(String($0))) }
    }

    /// An object of the members that have a value: nil leaves the member out.
    public static func fields(_ members: KeyValuePairs<String, JSONValue?>) -> JSONValue {
        JSONValue(.object(members.compactMap { key, value in value.map { Member(key: key, value: $0) } }))
    }
}

// MARK: - Looking at values

extension JSONValue {
    /// The value of a key, the last one where it stands twice; nil where it is absent or this is no object. Keys are compared
    /// by their bytes, so that two ways to write "é" are two keys here as they are for every other program.
    public subscript(key: String) -> JSONValue? {
        guard case .object(let members) = content else { return nil }
        return members.last { $0.key.utf8.elementsEqual(key.utf8) }?.value
    }

    /// Those of an object, in the order of the text; nil for any other value.
    public var members: [Member]? {
        if case .object(let members) = content { members } else { nil }
    }

    /// Those of an array; nil for any other value.
    public var elements: [JSONValue]? {
        if case .array(let elements) = content { elements } else { nil }
    }

    /// The text of a string; nil for any other value.
    public var string: String? {
        if case .string(let text) = content { text } else { nil }
    }

    /// True or false; nil for any other value.
    public var bool: Bool? {
        if case .bool(let value) = content { value } else { nil }
    }

    /// Whether it is the word null.
    public var isNull: Bool {
        if case .null = content { true } else { false }
    }

    /// A number as the nearest Double; nil for any other value, and for a number beyond the range of a Double.
    public var number: Double? {
        guard case .number(let literal) = content, let value = Double(literal), value.isFinite else { return nil }
        return value
    }

    /// A whole number of at most 2^53 in size, 30 and 30.0 alike; nil for any other value.
    public var integer: Int? {
        guard let number, number == number.rounded(), abs(number) <= 9_007_199_254_740_992 else { return nil }
        return Int(number)
    }

    /// What kind of value this is, for messages: "a string", "an object".
    public var kindName: String {
        switch content {
        case .null: "null"
        case .bool: "true or false"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }

    /// Visits every string in the value, keys excepted, with the value that it is.
    public func forEachString(_ visit: (String, JSONValue) throws -> Void) rethrows {
        switch content {
        case .null, .bool, .number: break
        case .string(let text): try visit(text, self)
        case .array(let elements): for element in elements { try element.forEachString(visit) }
        case .object(let members): for member in members { try member.value.forEachString(visit) }
        }
    }
}

// MARK: - Comparing

extension JSONValue: Equatable {
    /// Whether they say the same, wherever they were read.
    public static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left.content, right.content) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.number(let left), .number(let right)), (.string(let left), .string(let right)):
            left.utf8.elementsEqual(right.utf8)
        case (.array(let left), .array(let right)): left == right
        case (.object(let left), .object(let right)): left == right
        case (.null, _), (.bool, _), (.number, _), (.string, _), (.array, _), (.object, _): false
        }
    }
}

extension JSONValue.Member {
    /// Whether key and value say the same.
    public static func == (left: JSONValue.Member, right: JSONValue.Member) -> Bool {
        left.key.utf8.elementsEqual(right.key.utf8) && left.value == right.value
    }
}
