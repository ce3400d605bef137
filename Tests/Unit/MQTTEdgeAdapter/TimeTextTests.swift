// Times in JSON. Expected values come from `date -u -d`.

import JSON
import Testing

@testable import MQTTEdgeAdapter

@Suite struct TimeTextTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00.000001Z", 1),
        ("2000-02-29T12:00:00Z", 951_825_600_000_000),
        ("2025-11-23T04:05:06.789Z", 1_763_870_706_789_000),
        ("2025-11-23t04:05:06.123456789z", 1_763_870_706_123_456),
        ("2025-11-23 05:05:06.789+01:00", 1_763_870_706_789_000),
        ("2025-11-22T23:35:06.789-04:30", 1_763_870_706_789_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
        ("2099-12-31T23:59:59.999999Z", 4_102_444_799_999_999),
    ])
    func readsRFC3339(text: String, us: Int64) throws {
        #expect(try TimeText.parse(.string(text), .auto) == us)
        #expect(try TimeText.parse(.string(text), .rfc3339) == us)
    }

    @Test(arguments: [
        "", "now", "2025-11-23", "2025-11-23T04:05:06", "2025-11-23T04:05Z", "2025-13-01T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "2025-04-31T00:00:00Z", "2025-00-10T00:00:00Z", "2025-01-00T00:00:00Z", "2025-01-01T24:00:00Z",
        "2025-01-01T00:60:00Z", "2025-01-01T00:00:61Z", "2025-01-01T00:00:00.Z", "2025-01-01T00:00:00+0100",
        "2025-01-01T00:00:00+24:00", "2025-01-01T00:00:00Zx", "2025-01-01T00:00:00+01:00x", "+2025-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z", "2100-01-01T00:00:01Z", "20２5-01-01T00:00:00Z", "2025/11/23T04:05:06Z",
    ])
    func refusesOtherText(text: String) {
        #expect(throws: Problem.self) { try TimeText.parse(.string(text), .auto) }
    }

    @Test(arguments: [
        ("1763870706", 1_763_870_706_000_000), ("1763870706.789", 1_763_870_706_789_000),
        ("1763870706789", 1_763_870_706_789_000), ("1763870706789123", 1_763_870_706_789_123),
        ("1.763870706789e12", 1_763_870_706_789_000),
    ])
    func findsTheUnitOfANumberByItsSize(literal: String, us: Int64) throws {
        #expect(try TimeText.parse(.number(literal), .auto) == us)
        #expect(try TimeText.parse(.string(literal), .auto) == us)
    }

    @Test(arguments: [
        (TimeFormat.seconds, "86400", 86_400_000_000), (.milliseconds, "86400", 86_400_000),
        (.microseconds, "86400", 86_400),
        (.nanoseconds, "86400000", 86_400),
    ])
    func takesTheUnitThatIsTold(format: TimeFormat, literal: String, us: Int64) throws {
        #expect(try TimeText.parse(.number(literal), format) == us)
    }

    @Test(arguments: ["0", "-1", "1e400", "-1e400", "1e30", "9999999999999999999999"])
    func refusesNumbersThatAreNoTime(literal: String) {
        #expect(throws: Problem.self) { try TimeText.parse(.number(literal), .auto) }
    }

    @Test(arguments: [JSONValue.null, .bool(true), .array([]), .object([]), .string("nan"), .string("inf")])
    func refusesOtherValues(value: JSONValue) {
        #expect(throws: Problem.self) { try TimeText.parse(value, .auto) }
    }

    @Test func aNumberIsNoRFC3339() {
        #expect(throws: Problem.self) { try TimeText.parse(.number("1763870706"), .rfc3339) }
    }

    @Test(
        arguments: [
            (1_763_870_706_789_000, "2025-11-23T04:05:06.789Z"), (1_763_870_706_789_012, "2025-11-23T04:05:06.789012Z"),
            (1, "1970-01-01T00:00:00.000001Z"), (951_782_400_000_000, "2000-02-29T00:00:00.000Z"),
            (4_102_444_799_999_999, "2099-12-31T23:59:59.999999Z"),
        ] as [(Int64, String)])
    func writesRFC3339(us: Int64, text: String) throws {
        #expect(TimeText.rfc3339(us) == text)
        #expect(try TimeText.parseRFC3339(text) == us)
    }

    /// A status with such a time ended the adapter.
    @Test func everyNumberCanBeWrittenAsATime() {
        #expect(TimeText.rfc3339(.min) == "-9223372036854775808 us")
        #expect(TimeText.rfc3339(.max) == "9223372036854775807 us")
        #expect(TimeText.rfc3339(-1) == "-1 us")
    }
}
