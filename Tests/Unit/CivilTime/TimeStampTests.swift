// TimeStamp: formats, leap years, the ends of the range, text that is not a time.
import CivilTime
import Foundation
import Testing

@Suite("Time stamps")
struct TimeStampTests {
    @Test(arguments: [
        (Int64(0), "19700101T000000.000000Z", "1970-01-01T00:00:00Z"),
        (951_782_400_000_000, "20000229T000000.000000Z", "2000-02-29T00:00:00Z"),
        (951_868_799_999_999, "20000229T235959.999999Z", "2000-02-29T23:59:59Z"),
        (951_868_800_000_000, "20000301T000000.000000Z", "2000-03-01T00:00:00Z"),
        (1_709_164_800_000_001, "20240229T000000.000001Z", "2024-02-29T00:00:00Z"),
        (1_795_410_372_123_456, "20261123T050612.123456Z", "2026-11-23T05:06:12Z"),
        (4_102_444_799_999_999, "20991231T235959.999999Z", "2099-12-31T23:59:59Z"),
        (4_102_444_800_000_000, "21000101T000000.000000Z", "2100-01-01T00:00:00Z"),
    ])
    func writesAndReadsBothForms(us: Int64, compact: String, iso: String) throws {
        let time = try #require(TimeStamp(us: us))
        #expect(time.compact == compact)
        #expect(time.isoSeconds == iso)
        #expect(TimeStamp(compact: compact) == time)
        #expect(TimeStamp(iso: time.isoMicroseconds) == time)
        #expect(TimeStamp(iso: iso)?.us == us / 1_000_000 * 1_000_000)
    }

    @Test func agreesWithTheCLibraryOnEveryDay() throws {
        for day in stride(from: 0, to: 47_482, by: 1) {
            var seconds = time_t(day * 86_400 + 3_661)
            var parts = tm()
            gmtime_r(&seconds, &parts)
            let expected = TimeStamp(
                year: Int(parts.tm_year) + 1900, month: Int(parts.tm_mon) + 1, day: Int(parts.tm_mday), hour: 1,
                minute: 1, second: 1)
            let time = try #require(TimeStamp(us: Int64(seconds) * 1_000_000))
            #expect(time == expected)
            #expect(TimeStamp(compact: time.compact) == time)
        }
    }

    @Test func refusesWhatLiesOutside() {
        #expect(TimeStamp(us: -1) == nil)
        #expect(TimeStamp(us: TimeStamp.latestUs + 1) == nil)
        #expect(TimeStamp(us: .max) == nil)
        #expect(TimeStamp(us: .min) == nil)
        #expect(TimeStamp(iso: "1970-01-01T00:00:00+00:01") == nil)
        #expect(TimeStamp(iso: "2100-01-01T00:00:01Z") == nil)
    }

    @Test(arguments: [
        "", "2026-11-23", "2026-11-23T05:06:12", "2026-11-23_05:06:12Z", "2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-04-31T00:00:00Z",
        "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z", "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.123", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+0100",
        "2026-01-01T00:00:00Zx", "٢٠٢٦-01-01T00:00:00Z", "+026-01-01T00:00:00Z",
    ])
    func refusesWhatIsNoTime(text: String) {
        #expect(TimeStamp(iso: text) == nil)
        #expect(TimeStamp(compact: text) == nil)
    }

    @Test func readsFractionsAndOffsets() {
        #expect(TimeStamp(iso: "2026-11-23T05:06:12.5Z")?.us == 1_795_410_372_500_000)
        #expect(TimeStamp(iso: "2026-11-23T05:06:12.123456789Z")?.us == 1_795_410_372_123_456)
        #expect(TimeStamp(iso: "2026-11-23T05:06:12.12345678901234567890Z")?.us == 1_795_410_372_123_456)
        #expect(TimeStamp(iso: "2026-11-23T06:06:12+01:00")?.us == 1_795_410_372_000_000)
        #expect(TimeStamp(iso: "2026-11-22T23:36:12-05:30")?.us == 1_795_410_372_000_000)
    }

    @Test func readsWhatOthersWriteInsteadOfTheLetters() {
        #expect(TimeStamp(iso: "2026-11-23 05:06:12Z")?.us == 1_795_410_372_000_000)
        #expect(TimeStamp(iso: "2026-11-23t05:06:12z")?.us == 1_795_410_372_000_000)
    }

    @Test func aLeapSecondIsTheSecondAfterIt() {
        #expect(TimeStamp(iso: "2016-12-31T23:59:60Z") == TimeStamp(iso: "2017-01-01T00:00:00Z"))
        #expect(TimeStamp(iso: "2016-12-31T23:59:60.5Z") == TimeStamp(iso: "2017-01-01T00:00:00.5Z"))
    }

    @Test func cutsWhatAFormHasNoRoomFor() throws {
        let time = try #require(TimeStamp(us: 1_795_410_372_999_999))
        #expect(time.isoSeconds == "2026-11-23T05:06:12Z")
        #expect(time.isoMilliseconds == "2026-11-23T05:06:12.999Z")
        #expect(time.isoMicroseconds == "2026-11-23T05:06:12.999999Z")
    }

    @Test func sortsAsTextInTheOrderOfTime() throws {
        let times = [0, 999_999, 1_000_000, 951_868_799_999_999, 951_868_800_000_000, TimeStamp.latestUs]
        let texts = try times.map { try #require(TimeStamp(us: $0)).compact }
        #expect(texts == texts.sorted())
    }
}
