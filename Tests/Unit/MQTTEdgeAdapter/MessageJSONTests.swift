// What the JSON of messages has in common, and paths into it.

import JSON
import Testing

@testable import MQTTEdgeAdapter

private func parsed(_ text: String) throws -> JSONValue { try JSONReader.read(text, .messages) }

@Suite struct MessageJSONTests {
    @Test func ofKeysThatStandTwiceTheLastCounts() throws {
        #expect(try parsed(#"{"a":1,"a":2}"#)[given: "a"] == .number("2"))
    }

    @Test func nullIsNotGiven() throws {
        #expect(try parsed(#"{"a":null}"#)[given: "a"] == nil)
    }

    @Test func asManyValuesAsFitAreRead() throws {
        let count = EventMapping.maximumBytes / 2 - 1
        let text = "[" + Array(repeating: "1", count: count).joined(separator: ",") + "]"
        #expect(try parsed(text).elements?.count == count)
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
