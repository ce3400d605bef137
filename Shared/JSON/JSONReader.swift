// Reads JSON (RFC 8259) that strangers wrote. Strict: no comments, no trailing commas, no bare words, nothing after the value,
// no invalid UTF-8, no half surrogate pairs, and no U+0000 in a string, at which the strings of the contract would end. All
// bounds are checked on the way and nothing is read twice, so that a deep or huge text costs no more than its length.

/// A text that is not JSON, or not JSON as the reader's rules allow it.
public struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Where reading stopped.
    public let place: TextPlace
    /// What is wrong there and what to do. Never quotes a value: it may be a credential.
    public let problem: String

    /// An error as given.
    public init(place: TextPlace, problem: String) {
        self.place = place
        self.problem = problem
    }

    /// "line 3, column 14: ',' or '}' should follow in the object".
    public var description: String { "\(place): \(problem)" }
}

/// A cursor over the bytes of one text.
public struct JSONReader {
    /// What a reader takes.
    public struct Rules: Sendable {
        /// Bytes of the whole text.
        public let maximumBytes: Int
        /// Levels of arrays and objects. Each costs the reader's stack some hundred bytes.
        public let maximumDepth: Int
        /// Values in one text, which take up to a hundred times the memory of their bytes.
        public let maximumValues: Int
        /// Whether a key that stands twice in one object is an error; else both members are kept, and the last counts.
        public let refusesRepeatedKeys: Bool

        /// All are required: whoever reads knows who writes.
        public init(maximumBytes: Int, maximumDepth: Int, maximumValues: Int, refusesRepeatedKeys: Bool) {
            self.maximumBytes = maximumBytes
            self.maximumDepth = maximumDepth
            self.maximumValues = maximumValues
            self.refusesRepeatedKeys = refusesRepeatedKeys
        }
    }

    private let bytes: [UInt8]
    private let rules: Rules
    private var index = 0
    private var line = 1
    private var column = 1
    private var valueCount = 0

    private init(_ bytes: [UInt8], _ rules: Rules) throws(JSONError) {
        self.bytes = bytes
        self.rules = rules
        guard bytes.count <= rules.maximumBytes else {
            throw error("the text has \(bytes.count) bytes: at most \(rules.maximumBytes) are taken")
        }
    }

    /// Reads the one value that fills the bytes, but for white space around it.
    public static func read(_ bytes: [UInt8], _ rules: Rules) throws(JSONError) -> JSONValue {
        var reader = try JSONReader(bytes, rules)
        reader.skipSpace()
        let value = try reader.readValue(depth: 0)
        reader.skipSpace()
        guard reader.index == bytes.count else { throw reader.error("there is more text after the end of the value") }
        return value
    }

    /// Reads the one value that a text holds.
    public static func read(_ text: String, _ rules: Rules) throws(JSONError) -> JSONValue {
        try read(Array(text.utf8), rules)
    }

    /// Reads values one after the other, separated by white space or by `---` at the begin of a line; the bounds are those of
    /// all together.
    public static func readSequence(_ text: String, _ rules: Rules) throws(JSONError) -> [JSONValue] {
        var reader = try JSONReader(Array(text.utf8), rules)
        var values: [JSONValue] = []
        while true {
            reader.skipSpace()
            while reader.column == 1, reader.bytes[reader.index...].starts(with: "---".utf8) {
                for _ in 0..<3 { reader.advance() }
                reader.skipSpace()
            }
            if reader.index == reader.bytes.count { return values }
            values.append(try reader.readValue(depth: 0))
        }
    }

    // MARK: Cursor

    private var place: TextPlace { TextPlace(line: line, column: column) }

    private func error(_ problem: String) -> JSONError { JSONError(place: place, problem: problem) }

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
        while let byte = current, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { advance() }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard current == byte else { return false }
        advance()
        return true
    }

    // MARK: Values

    private mutating func readValue(depth: Int) throws(JSONError) -> JSONValue {
        valueCount += 1
        guard valueCount <= rules.maximumValues else { throw error("more than \(rules.maximumValues) values") }
        let start = place
        let content: JSONValue.Content
        guard let byte = current else { throw error("the text ends where a value should be") }
        switch byte {
        case UInt8(ascii: "{"): content = .object(try readObject(depth: depth + 1))
        case UInt8(ascii: "["): content = .array(try readArray(depth: depth + 1))
        case UInt8(ascii: "\""): content = .string(try readString())
        case UInt8(ascii: "t"): content = try readWord("true", .bool(true))
        case UInt8(ascii: "f"): content = try readWord("false", .bool(false))
        case UInt8(ascii: "n"): content = try readWord("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): content = .number(try readNumber())
        default:
            throw error(
                "a JSON value should be here: an object, an array, a text in \"...\", a number, true, false or null")
        }
        return JSONValue(content, at: start)
    }

    private mutating func readWord(
        _ word: String, _ content: JSONValue.Content
    ) throws(JSONError) -> JSONValue.Content {
        for byte in word.utf8 {
            guard take(byte) else { throw error("this should be \(word); a text stands in \"...\"") }
        }
        return content
    }

    private func checkDepth(_ depth: Int) throws(JSONError) {
        guard depth <= rules.maximumDepth else { throw error("nested deeper than \(rules.maximumDepth) levels") }
    }

    private mutating func readArray(depth: Int) throws(JSONError) -> [JSONValue] {
        try checkDepth(depth)
        advance()
        var elements: [JSONValue] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return elements }
        while true {
            skipSpace()
            elements.append(try readValue(depth: depth))
            skipSpace()
            if take(UInt8(ascii: ",")) { continue }
            guard take(UInt8(ascii: "]")) else { throw error("',' or ']' should follow in the array") }
            return elements
        }
    }

    private mutating func readObject(depth: Int) throws(JSONError) -> [JSONValue.Member] {
        try checkDepth(depth)
        advance()
        var members: [JSONValue.Member] = []
        // Bytes, because Swift's String takes two ways to write "é" for one.
        var keys = Set<[UInt8]>()
        skipSpace()
        if take(UInt8(ascii: "}")) { return members }
        while true {
            skipSpace()
            guard current == UInt8(ascii: "\"") else { throw error("a key in \"...\" should be here") }
            let keyPlace = place
            let key = try readString()
            if rules.refusesRepeatedKeys, !keys.insert(Array(key.utf8)).inserted {
                throw JSONError(place: keyPlace, problem: "the key \"\(key.prefix(64))\" stands twice in one object")
            }
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw error("':' should follow the key") }
            skipSpace()
            members.append(JSONValue.Member(key: key, value: try readValue(depth: depth)))
            skipSpace()
            if take(UInt8(ascii: ",")) { continue }
            guard take(UInt8(ascii: "}")) else { throw error("',' or '}' should follow in the object") }
            return members
        }
    }

    private mutating func readNumber() throws(JSONError) -> String {
        let start = index
        _ = take(UInt8(ascii: "-"))
        if take(UInt8(ascii: "0")) {
            if let digit = current, (0x30...0x39).contains(digit) { throw error("a number does not begin with 0") }
        } else {
            try readDigits()
        }
        if take(UInt8(ascii: ".")) { try readDigits() }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "-")) { _ = take(UInt8(ascii: "+")) }
            try readDigits()
        }
        return String(decoding: bytes[start..<index], as: UTF8.self)
    }

    private mutating func readDigits() throws(JSONError) {
        guard let first = current, (0x30...0x39).contains(first) else { throw error("a digit should be here") }
        while let digit = current, (0x30...0x39).contains(digit) { advance() }
    }

    // MARK: Strings

    private mutating func readString() throws(JSONError) -> String {
        let start = place
        advance()
        var content: [UInt8] = []
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                advance()
                guard let text = String(validating: content, as: UTF8.self) else {
                    throw JSONError(place: start, problem: "this text is not valid UTF-8")
                }
                return text
            case UInt8(ascii: "\\"): try readEscape(into: &content)
            case 0..<0x20: throw error("a line break or control byte inside a text: write it as \\n or \\u00XX")
            default:
                content.append(byte)
                advance()
            }
        }
        throw error("the text ends inside a \"...\"")
    }

    private mutating func readEscape(into content: inout [UInt8]) throws(JSONError) {
        advance()
        guard let byte = current else { throw error("the text ends after a backslash") }
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "f"): content.append(0x0C)
        case UInt8(ascii: "n"): content.append(0x0A)
        case UInt8(ascii: "r"): content.append(0x0D)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "u"):
            advance()
            content += Array(String(try readScalar()).utf8)
            return
        default: throw error("no such escape: use \\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\uXXXX")
        }
        advance()
    }

    /// The scalar of "XXXX" after "\u", joined with its second half where it is the first of a surrogate pair.
    private mutating func readScalar() throws(JSONError) -> Unicode.Scalar {
        let first = try readHex()
        guard first != 0 else { throw error("the character U+0000 is not allowed: leave it out") }
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard (0xD800..<0xDC00).contains(first), take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
            throw error("half of a surrogate pair stands alone")
        }
        let second = try readHex()
        guard (0xDC00..<0xE000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
        else { throw error("half of a surrogate pair stands alone") }
        return scalar
    }

    private mutating func readHex() throws(JSONError) -> UInt32 {
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
