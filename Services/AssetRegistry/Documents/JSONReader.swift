// Reads JSON (RFC 8259) into DocumentValue with the place of every value. Own code, because a message must name line and
// column, a key that stands twice must be refused, and a deep or huge text must cost nothing: all bounds are checked on
// the way, nothing is read twice.

/// A cursor over the bytes of one text.
struct JSONReader {
    private let bytes: [UInt8]
    private var index = 0
    private var line = 1
    private var column = 1
    private var valueCount = 0

    private init(_ text: String) {
        bytes = Array(text.utf8)
    }

    /// Reads the one value that a text holds.
    static func read(_ text: String) throws(DocumentError) -> DocumentValue {
        var reader = JSONReader(text)
        reader.skipSpace()
        let value = try reader.readValue(depth: 0)
        reader.skipSpace()
        guard reader.index == reader.bytes.count else {
            throw reader.error("there is more text after the end of the value")
        }
        return value
    }

    /// Reads values one after the other, separated by white space or lines of `---`.
    static func readDocuments(_ text: String) throws(DocumentError) -> [DocumentValue] {
        var reader = JSONReader(text)
        var values: [DocumentValue] = []
        while true {
            reader.skipSpace()
            while reader.column == 1, reader.bytes[reader.index...].starts(with: Array("---".utf8)) {
                for _ in 0..<3 { reader.advance() }
                reader.skipSpace()
            }
            if reader.index == reader.bytes.count { return values }
            values.append(try reader.readValue(depth: 0))
        }
    }

    // MARK: Cursor

    private var position: TextPosition { TextPosition(line: line, column: column) }

    private func error(_ problem: String) -> DocumentError { DocumentError(position: position, problem: problem) }

    private var current: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func advance() {
        let byte = bytes[index]
        index += 1
        if byte == UInt8(ascii: "\n") {
            line += 1
            column = 1
        } else if byte & 0xC0 != 0x80 {
            column += 1
        }
    }

    private mutating func skipSpace() {
        while let byte = current, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { advance() }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard current == byte else { return false }
        advance()
        return true
    }

    // MARK: Values

    private mutating func readValue(depth: Int) throws(DocumentError) -> DocumentValue {
        guard depth <= DocumentValue.Limits.depth else {
            throw error("nested deeper than \(DocumentValue.Limits.depth) levels")
        }
        valueCount += 1
        guard valueCount <= DocumentValue.Limits.values else {
            throw error("more than \(DocumentValue.Limits.values) values")
        }
        let start = position
        let content: DocumentValue.Content
        guard let byte = current else { throw error("the text ends where a value should be") }
        switch byte {
        case UInt8(ascii: "{"): content = try readObject(depth: depth)
        case UInt8(ascii: "["): content = try readArray(depth: depth)
        case UInt8(ascii: "\""): content = .string(try readString())
        case UInt8(ascii: "t"): content = try readWord("true", .bool(true))
        case UInt8(ascii: "f"): content = try readWord("false", .bool(false))
        case UInt8(ascii: "n"): content = try readWord("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): content = .number(try readNumber())
        default:
            throw error(
                "a JSON value should be here: an object, a list, a text in \"...\", a number, true, false or null")
        }
        return DocumentValue(content: content, position: start)
    }

    private mutating func readWord(
        _ word: String, _ content: DocumentValue.Content
    ) throws(DocumentError) -> DocumentValue.Content {
        for byte in word.utf8 {
            guard take(byte) else { throw error("this should be \(word); a text stands in \"...\"") }
        }
        return content
    }

    private mutating func readArray(depth: Int) throws(DocumentError) -> DocumentValue.Content {
        advance()
        var elements: [DocumentValue] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            skipSpace()
            elements.append(try readValue(depth: depth + 1))
            skipSpace()
            if take(UInt8(ascii: ",")) { continue }
            guard take(UInt8(ascii: "]")) else { throw error("',' or ']' should follow in the list") }
            return .array(elements)
        }
    }

    private mutating func readObject(depth: Int) throws(DocumentError) -> DocumentValue.Content {
        advance()
        var members: [DocumentValue.Member] = []
        var keys = Set<String>()
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object(members) }
        while true {
            skipSpace()
            guard current == UInt8(ascii: "\"") else { throw error("a key in \"...\" should be here") }
            let keyPosition = position
            let key = try readString()
            guard keys.insert(key).inserted else {
                throw DocumentError(
                    position: keyPosition, problem: "the key \"\(key.prefix(64))\" stands twice in one object")
            }
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw error("':' should follow the key") }
            skipSpace()
            members.append(DocumentValue.Member(key: key, value: try readValue(depth: depth + 1)))
            skipSpace()
            if take(UInt8(ascii: ",")) { continue }
            guard take(UInt8(ascii: "}")) else { throw error("',' or '}' should follow in the object") }
            return .object(members)
        }
    }

    private mutating func readNumber() throws(DocumentError) -> String {
        let start = index
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { try readDigits() }
        if take(UInt8(ascii: ".")) { try readDigits() }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "-")) { _ = take(UInt8(ascii: "+")) }
            try readDigits()
        }
        return String(decoding: bytes[start..<index], as: UTF8.self)
    }

    private mutating func readDigits() throws(DocumentError) {
        guard let first = current, (0x30...0x39).contains(first) else { throw error("a digit should be here") }
        while let digit = current, (0x30...0x39).contains(digit) { advance() }
    }

    private mutating func readString() throws(DocumentError) -> String {
        advance()
        var text: [UInt8] = []
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                advance()
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"): try readEscape(into: &text)
            case 0..<0x20: throw error("a line break or control byte inside a text: write it as \\n or \\u00XX")
            default:
                text.append(byte)
                advance()
            }
        }
        throw error("the text ends inside a \"...\"")
    }

    private mutating func readEscape(into text: inout [UInt8]) throws(DocumentError) {
        advance()
        guard let byte = current else { throw error("the text ends after a backslash") }
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            advance()
            text += Array(String(try readScalar()).utf8)
            return
        default: throw error("no such escape: use \\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\uXXXX")
        }
        advance()
    }

    private mutating func readScalar() throws(DocumentError) -> Unicode.Scalar {
        let high = try readHex()
        if let scalar = Unicode.Scalar(high) { return scalar }
        guard (0xD800..<0xDC00).contains(high), take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
            throw error("half of a surrogate pair stands alone")
        }
        let low = try readHex()
        guard (0xDC00..<0xE000).contains(low),
            let scalar = Unicode.Scalar(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
        else { throw error("half of a surrogate pair stands alone") }
        return scalar
    }

    private mutating func readHex() throws(DocumentError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw error("four hexadecimal digits should follow \\u")
            }
            value = value * 16 + UInt32(digit)
            advance()
        }
        return value
    }
}
