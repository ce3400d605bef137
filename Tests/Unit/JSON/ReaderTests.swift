// Reading: what is valid, what is refused, where the error points, and texts made to hurt the reader.

import JSON
import Testing

extension JSONReader.Rules {
    static let strict = JSONReader.Rules(
        maximumBytes: 1 << 20, maximumDepth: 32, maximumValues: 10_000, refusesRepeatedKeys: true)
    static let lenient = JSONReader.Rules(
        maximumBytes: 1 << 20, maximumDepth: 32, maximumValues: 10_000, refusesRepeatedKeys: false)
}

@Suite struct ReaderTests {
    @Test(arguments: [
        ("{}", JSONValue.object([])),
        (" [ ] ", .array([])),
        (#""""#, .string("")),
        (#""a\"\\\/\b\f\n\r\té😀""#, .string("a\"\\/\u{08}\u{0C}\n\r\té😀")),
        (#""\u00e9\u00E9\ud83d\ude00\uDBFF\uDFFF""#, .string("éé😀\u{10FFFF}")),
        ("\"\u{7F}\u{2028}\u{FEFF}\"", .string("\u{7F}\u{2028}\u{FEFF}")),
        ("0", .number("0")), ("-0", .number("-0")), ("-0.5e+10", .number("-0.5e+10")), ("1E-2", .number("1E-2")),
        ("\n\t true\r", .bool(true)), ("false", .bool(false)), ("null", .null),
        (#"{"":[{"a":null}]}"#, .fields(["": .array([.fields(["a": .null])])])),
    ])
    func readsWhatIsValid(text: String, value: JSONValue) throws {
        #expect(try JSONReader.read(text, .strict) == value)
    }

    @Test(arguments: [
        "", " ", "{", "[", "]", "}", "[1,]", "[,1]", "[1,,2]", "{\"a\":1,}", "{,}", "{a:1}", "{\"a\" 1}", "{\"a\":}",
        "{1:2}",
        "{\"a\"}", "[1 2]", "[1}", "{\"a\":1]", "nul", "tru", "True", "nullx", "'a'", "\"a", "\"a\\\"", "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"", "\"\\u\u{FF11}234\"", "\"\\u-123\"", "\"\n\"", "\"\t\"", "\"\u{00}\"", "01", "-01", "-", "--1",
        "1.",
        ".5", "1.e2", "1e", "1e+", "+1", "1.2.3", "NaN", "-Infinity", "{} {}", "1 2", "[1]]", "1,", "// c\n1", "/**/1",
        "\u{FEFF}1",
        "\u{00A0}1", "0x10", "1_000", "\u{661}",
    ])
    func refusesWhatIsNot(text: String) {
        #expect(throws: JSONError.self) { try JSONReader.read(text, .strict) }
    }

    @Test(arguments: [
        #""\ud83d""#, #""\ude00""#, #""\ud83dx""#, #""\ud83d\n""#, #""\ud83d\ud83d""#, #""\ude00\ud83d""#,
        #""\uD800\u0041""#,
    ])
    func refusesHalfASurrogatePair(text: String) {
        let error = #expect(throws: JSONError.self) { try JSONReader.read(text, .strict) }
        #expect(error?.problem.contains("surrogate") == true)
    }

    /// The strings of the contract end at it: "a\u0000b" would be another name for "a".
    @Test(arguments: [#""a\u0000b""#, #"{"a\u0000":1}"#])
    func refusesTheCharacterZero(text: String) {
        let error = #expect(throws: JSONError.self) { try JSONReader.read(text, .strict) }
        #expect(error?.problem.contains("U+0000") == true)
    }

    @Test(arguments: [
        [0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xC3, 0x22],
        [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], [0x22, 0x80, 0x22], [0x80], [0x00], [0xEF, 0xBB, 0xBF, 0x31],
    ])
    func refusesBytesThatAreNoText(bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try JSONReader.read(bytes, .strict) }
    }

    @Test(arguments: [
        ("{\n  \"a\": 1,\n  \"a\": 2\n}", 3, 3), ("{\"a\" 1}", 1, 6), ("[1, 2", 1, 6), ("nul", 1, 4), ("01", 1, 2),
        ("\"ä\u{01}\"", 1, 3), ("", 1, 1), ("{\"a\":}", 1, 6), ("+1", 1, 1), ("1.", 1, 3), ("{\"a\":1 \"b\":2}", 1, 8),
    ])
    func namesThePlaceOfAMistake(text: String, line: Int, column: Int) {
        let error = #expect(throws: JSONError.self) { try JSONReader.read(text, .strict) }
        #expect(error?.place == TextPlace(line: line, column: column), "\(error.map(\.description) ?? "")")
    }

    @Test func everyValueHasItsPlace() throws {
        let value = try JSONReader.read("{\"ä\": [1,\n 2]}", .strict)
        #expect(value.place == TextPlace(line: 1, column: 1))
        #expect(value["ä"]?.place == TextPlace(line: 1, column: 7))
        #expect(value["ä"]?.elements?.last?.place == TextPlace(line: 2, column: 2))
    }

    // MARK: Bounds

    @Test func depthIsBounded() throws {
        let deepest = String(repeating: "[", count: 32) + "1" + String(repeating: "]", count: 32)
        _ = try JSONReader.read(deepest, .strict)
        for bomb in [String(repeating: "[", count: 200_000), String(repeating: "[{\"a\":", count: 100_000)] {
            let error = #expect(throws: JSONError.self) { try JSONReader.read(bomb, .strict) }
            #expect(error?.problem == "nested deeper than 32 levels")
        }
        #expect(throws: JSONError(place: TextPlace(line: 1, column: 33), problem: "nested deeper than 32 levels")) {
            try JSONReader.read("[\(deepest)]", .strict)
        }
    }

    @Test func sizeIsBounded() throws {
        let rules = JSONReader.Rules(maximumBytes: 5, maximumDepth: 1, maximumValues: 3, refusesRepeatedKeys: true)
        #expect(try JSONReader.read("[1,2]", rules).elements?.count == 2)
        #expect(throws: JSONError.self) { try JSONReader.read("[1, 2]", rules) }
    }

    @Test func theNumberOfValuesIsBounded() throws {
        let rules = JSONReader.Rules(maximumBytes: 100, maximumDepth: 1, maximumValues: 3, refusesRepeatedKeys: true)
        #expect(try JSONReader.read("[1,2]", rules).elements?.count == 2)
        #expect(throws: JSONError.self) { try JSONReader.read("[1,2,3]", rules) }
        #expect(throws: JSONError.self) { try JSONReader.readSequence("1 2 3 4", rules) }
    }

    // MARK: Numbers

    @Test func numbersKeepTheirDigits() throws {
        for literal in ["18446744073709551615", "-9223372036854775809", "0.1", "1.50", "1e400", "9007199254740993"] {
            #expect(try JSONReader.read(literal, .strict).text() == literal)
        }
        let long = String(repeating: "9", count: 100_000)
        #expect(try JSONReader.read(long, .strict) == .number(long))
    }

    @Test func aNumberBeyondADoubleIsNone() throws {
        #expect(try JSONReader.read("1e400", .strict).number == nil)
        #expect(try JSONReader.read(String(repeating: "9", count: 400), .strict).integer == nil)
        #expect(try JSONReader.read("1e-400", .strict).number == 0)
    }

    @Test(
        arguments: [
            ("30", 30), ("30.0", 30), ("3e1", 30), ("-0", 0), ("9007199254740992", 9_007_199_254_740_992), ("0.5", nil),
            ("9007199254740994", nil), ("\"30\"", nil),
        ] as [(String, Int?)])
    func wholeNumbersAreExact(text: String, value: Int?) throws {
        #expect(try JSONReader.read(text, .strict).integer == value)
    }

    // MARK: Keys

    @Test func aKeyThatStandsTwiceIsRefusedOrTheLastCounts() throws {
        let text = #"{"a":1,"b":{"a":2},"a":3}"#
        let error = #expect(throws: JSONError.self) { try JSONReader.read(text, .strict) }
        #expect(error?.place.column == 20)
        let value = try JSONReader.read(text, .lenient)
        #expect(value["a"] == .number("3"))
        #expect(value.members?.count == 3)
    }

    @Test func anEscapedKeyIsTheSameKey() {
        #expect(throws: JSONError.self) { try JSONReader.read(#"{"a":1,"\u0061":2}"#, .strict) }
    }

    /// For Swift's String they are equal; for every other reader of the same text they are two.
    @Test func keysAreComparedByTheirBytes() throws {
        let value = try JSONReader.read("{\"\u{E9}\":1,\"e\u{301}\":2}", .strict)
        #expect(value["\u{E9}"] == .number("1"))
        #expect(value["e\u{301}"] == .number("2"))
        #expect(JSONValue.string("\u{E9}") != .string("e\u{301}"))
    }

    // MARK: Sequences

    @Test func readsSeveralValues() throws {
        let values = try JSONReader.readSequence("{\"a\":1}\n---\n{\"a\":2}\n{\"a\":3} {\"a\":4}\n", .strict)
        #expect(values.map { $0["a"]?.integer } == [1, 2, 3, 4])
        #expect(try JSONReader.readSequence("---\n---\n", .strict).isEmpty)
        #expect(throws: JSONError.self) { try JSONReader.readSequence("1 ---\n2", .strict) }
    }
}
