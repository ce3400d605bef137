// Reads JSON (RFC 8259) that strangers sent: bounded depth, exact numbers, and an error that names the byte. Strict: no
// comments, no trailing commas, no bare words, nothing after the value, no invalid UTF-8, no U+0000 in strings (strings of
// the contract end at it).

/// JSON that cannot be read.
struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Position of the byte at which reading stopped, from 0.
    let offset: Int
    /// What is wrong there.
    let problem: String

    var description: String { "not valid JSON at byte \(offset): \(problem)" }
}

/// A recursive-descent reader over bytes.
struct JSONParser {
    /// Deeper nesting is refused. No event that means anything comes near it, and the reader's stack stays small.
    static let maximumDepth = 64

    private let bytes: [UInt8]
    private var position = 0

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Reads one value that fills the bytes, but for white space around it.
    static func parse(_ bytes: [UInt8]) throws(JSONError) -> JSONValue {
        var parser = JSONParser(bytes)
        parser.skipSpace()
        let value = try parser.value(depth: 0)
        parser.skipSpace()
        guard parser.position == bytes.count else { throw parser.error("there is more after the end of the value") }
        return value
    }

    private func error(_ problem: String) -> JSONError { JSONError(offset: position, problem: problem) }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        guard depth <= Self.maximumDepth else { throw error("nested deeper than \(Self.maximumDepth) levels") }
        switch current {
        case nil: throw error("a value is missing")
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        let text = "\(word)"
        guard bytes[position...].starts(with: text.utf8) else { throw error("expected \(text)") }
        position += text.utf8.count
        return value
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
        position += 1
        var fields: [JSONValue.Field] = []
        skipSpace()
        if current == UInt8(ascii: "}") {
            position += 1
            return .object([])
        }
        while true {
            skipSpace()
            guard current == UInt8(ascii: "\"") else { throw error("a field's name in quotes is missing") }
            let name = try string()
            skipSpace()
            guard current == UInt8(ascii: ":") else { throw error("':' is missing after \"\(name.prefix(40))\"") }
            position += 1
            skipSpace()
            fields.append(JSONValue.Field(name: name, value: try value(depth: depth + 1)))
            skipSpace()
            switch current {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "}"):
                position += 1
                return .object(fields)
            default: throw error("',' or '}' is missing")
            }
        }
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
        position += 1
        var elements: [JSONValue] = []
        skipSpace()
        if current == UInt8(ascii: "]") {
            position += 1
            return .array([])
        }
        while true {
            skipSpace()
            elements.append(try value(depth: depth + 1))
            skipSpace()
            switch current {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "]"):
                position += 1
                return .array(elements)
            default: throw error("',' or ']' is missing")
            }
        }
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = position
        if current == UInt8(ascii: "-") { position += 1 }
        let leading = current
        let wholeDigits = skipDigits()
        guard wholeDigits > 0 else {
            position = start
            throw error("a value is missing")
        }
        if leading == UInt8(ascii: "0"), wholeDigits > 1 { throw error("a number does not begin with 0") }
        if current == UInt8(ascii: ".") {
            position += 1
            guard skipDigits() > 0 else { throw error("digits are missing after '.'") }
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            position += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
            guard skipDigits() > 0 else { throw error("digits are missing in the exponent") }
        }
        return .number(String(decoding: bytes[start..<position], as: UTF8.self))
    }

    private mutating func skipDigits() -> Int {
        let start = position
        while let byte = current, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        return position - start
    }

    private mutating func string() throws(JSONError) -> String {
        position += 1
        var content: [UInt8] = []
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: content, as: UTF8.self) else {
                    throw error("the string before is not valid UTF-8")
                }
                position += 1
                return text
            case UInt8(ascii: "\\"):
                position += 1
                try escape(into: &content)
            case 0..<0x20: throw error("a control character in a string has to be escaped")
            default:
                content.append(byte)
                position += 1
            }
        }
        throw error("a string does not end")
    }

    private mutating func escape(into content: inout [UInt8]) throws(JSONError) {
        guard let byte = current else { throw error("a string does not end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "f"): content.append(0x0C)
        case UInt8(ascii: "n"): content.append(0x0A)
        case UInt8(ascii: "r"): content.append(0x0D)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "u"):
            guard let scalar = try unicodeScalar() else { throw error("half of a surrogate pair") }
            guard scalar.value != 0 else { throw error("the character U+0000 is not allowed") }
            content += Array(String(Character(scalar)).utf8)
        default: throw error("unknown escape")
        }
    }

    /// The scalar of "\uXXXX", joined with the second half where it is a surrogate; nil for half a pair.
    private mutating func unicodeScalar() throws(JSONError) -> Unicode.Scalar? {
        let first = try hexDigits()
        guard (0xD800..<0xDC00).contains(first) else { return Unicode.Scalar(first) }
        guard current == UInt8(ascii: "\\"), position + 1 < bytes.count, bytes[position + 1] == UInt8(ascii: "u") else {
            return nil
        }
        position += 2
        let second = try hexDigits()
        guard (0xDC00..<0xE000).contains(second) else { return nil }
        return Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
    }

    private mutating func hexDigits() throws(JSONError) -> UInt32 {
        guard position + 4 <= bytes.count,
            bytes[position..<position + 4].allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let value = UInt32(String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16)
        else { throw error("four hexadecimal digits are missing") }
        position += 4
        return value
    }
}
