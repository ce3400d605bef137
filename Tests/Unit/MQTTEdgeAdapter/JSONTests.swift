// JSON from strangers: what is read, what is refused, and where the error points.

import Testing

@testable import MQTTEdgeAdapter

private func parsed(_ text: String) throws -> JSONValue { try JSONParser.parse(Array(text.utf8)) }

@Suite struct JSONTests {
    @Test(arguments: [
        (#"{}"#, JSONValue.object([])),
        (#" [ ] "#, .array([])),
        (#""a\"\\\/\b\f\n\r\té😀""#, .string("a\"\\/\u{08}\u{0C}\n\r\té😀")),
        ("18446744073709551615", .number("18446744073709551615")),
        ("-0.5e+10", .number("-0.5e+10")),
        ("\n\t true\r", .bool(true)),
        ("null", .null),
        (#"{"a":1,"a":2}"#, .object([.init(name: "a", value: .number("1")), .init(name: "a", value: .number("2"))])),
    ])
    func readsWhatIsValid(text: String, value: JSONValue) throws {
        #expect(try parsed(text) == value)
    }

    @Test(arguments: [
        "", " ", "{", "[", "[1,]", "{\"a\":1,}", "{a:1}", "{\"a\" 1}", "{\"a\":}", "[1 2]", "nul", "tru", "True", "'a'",
        "\"a", "\"\\x\"", "\"\\u12\"", "\"\\uD800\"", "\"\\uD800\\u0041\"", "\"\\u0000\"", "\"\n\"", "01", "-", "1.",
        ".5",
        "1e", "+1", "NaN", "Infinity", "{} {}", "1 2", "[1]]", "// c\n1", "\u{FEFF}1", "0x10", "1_000",
    ])
    func refusesWhatIsNot(text: String) {
        #expect(throws: JSONError.self) { try parsed(text) }
    }

    @Test(arguments: [[0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x80], [0x00]])
    func refusesBytesThatAreNoText(bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try JSONParser.parse(bytes) }
    }

    @Test func theErrorNamesTheByte() {
        #expect(throws: JSONError(offset: 7, problem: "',' or '}' is missing")) { try parsed("{\"a\":1 \"b\":2}") }
    }

    @Test func depthIsBounded() throws {
        let deep = JSONParser.maximumDepth
        _ = try parsed(String(repeating: "[", count: deep) + String(repeating: "]", count: deep))
        #expect(throws: JSONError.self) { try parsed(String(repeating: "[", count: 200_000)) }
        #expect(throws: JSONError.self) { try parsed(String(repeating: "{\"a\":", count: 200_000)) }
    }

    @Test func ofFieldsWithOneNameTheLastCounts() throws {
        #expect(try parsed(#"{"a":1,"a":2}"#)["a"] == .number("2"))
    }

    @Test func nullIsAbsent() throws {
        #expect(try parsed(#"{"a":null}"#)["a"] == nil)
    }

    @Test(arguments: [
        #"{"a":[1,2.5,"x\"\\\n\u0001é"],"b":{"c":null,"d":true}}"#, #"[]"#, #"{"":""}"#, #""😀""#,
    ])
    func whatIsWrittenReadsTheSame(text: String) throws {
        let value = try parsed(text)
        #expect(try JSONParser.parse(value.encoded()) == value)
    }

    @Test(arguments: [
        ("a", "1"), ("$.a", "1"), ("b.c[1]", "3"), ("b.d[0][1]", "5"), ("b.c[0].x", nil), ("b.c[9]", nil), ("z", nil),
        ("a.b", nil), ("n", nil),
    ])
    func pathsFindTheirValue(path: String, expected: String?) throws {
        let value = try parsed(#"{"a":1,"b":{"c":[2,3],"d":[[4,5]]},"n":null}"#)
        let found = try #require(JSONPath(path)).value(in: value)
        #expect(found == expected.map(JSONValue.number))
    }

    @Test(arguments: ["", "$.", ".", "a.", ".a", "a..b", "a[", "a]", "a[]", "a[x]", "a[-1]", "[0]", "a[0]b", "a[0]]"])
    func refusesWhatIsNoPath(path: String) {
        #expect(JSONPath(path) == nil)
    }
}
