// What the settings of the bandwidth mean, and what is said about those that mean nothing.
import CivilTime
import ServiceKit
import Testing

@testable import CloudUploader

@Suite struct BandwidthTests {
    @Test(
        arguments: [
            ("unlimited", nil), ("0", 0), ("0 Mbit/s", 0), ("20 Mbit/s", 2_500_000), ("20Mbit/s", 2_500_000),
            ("1.5 Mbit/s", 187_500), ("64 kbit/s", 8000), ("64000", 8000), ("64000 bit/s", 8000),
            (" 2 Gbit/s ", 250_000_000), ("1000 Gbit/s", 125_000_000_000),
        ] as [(String, Int64?)])
    func readsBandwidths(_ text: String, _ bytes: Int64?) throws {
        #expect(try Bandwidth(text).bytesPerSecond == bytes)
    }

    @Test(arguments: [
        "", "fast", "20 MB/s", "20 mbit/s", "-5 Mbit/s", "5 5 Mbit/s", "1,5 Mbit/s", "1..5 Mbit/s", "63 kbit/s", "1",
        "1001 Gbit/s", "9999999999999999999999999 Gbit/s", "Mbit/s", "٣ Mbit/s",
    ])
    func namesWhatIsNone(_ text: String) {
        let problem = #expect(throws: BandwidthProblem.self) { try Bandwidth(text) }
        #expect(problem?.text.contains("'\(text)'") == true)
    }
}

@Suite struct BandwidthScheduleTests {
    /// What may be sent at a time, in bytes a second.
    private func rate(_ windows: String, _ zone: String = "UTC", at iso: String) throws -> Int64? {
        let schedule = try BandwidthSchedule(bandwidth: "80 Mbit/s", byTime: windows, zone: zone)
        return schedule.bandwidth(atUs: try #require(TimeStamp(iso: iso)).us).bytesPerSecond
    }

    /// 2026-11-23 is a Monday.
    @Test(
        arguments: [
            ("mon-fri 06:00-18:00 8 Mbit/s", "2026-11-23T05:59:59Z", 10_000_000),
            ("mon-fri 06:00-18:00 8 Mbit/s", "2026-11-23T06:00:00Z", 1_000_000),
            ("mon-fri 06:00-18:00 8 Mbit/s", "2026-11-27T17:59:59Z", 1_000_000),
            ("mon-fri 06:00-18:00 8 Mbit/s", "2026-11-27T18:00:00Z", 10_000_000),
            ("mon-fri 06:00-18:00 8 Mbit/s", "2026-11-28T12:00:00Z", 10_000_000),
            // Over midnight: of the day on which it begins.
            ("sat 22:00-06:00 0", "2026-11-28T21:59:59Z", 10_000_000),
            ("sat 22:00-06:00 0", "2026-11-28T22:00:00Z", 0),
            ("sat 22:00-06:00 0", "2026-11-29T05:59:59Z", 0),
            ("sat 22:00-06:00 0", "2026-11-29T06:00:00Z", 10_000_000),
            ("sat 22:00-06:00 0", "2026-11-28T05:00:00Z", 10_000_000),
            ("sat 22:00-06:00 0", "2026-11-29T22:00:00Z", 10_000_000),
            ("22:00-06:00 0", "2026-11-25T05:00:00Z", 0),
            ("sun 18:00-24:00 0", "2026-11-29T23:59:59Z", 0), ("sun 18:00-24:00 0", "2026-11-30T00:00:00Z", 10_000_000),
            ("00:00-24:00 unlimited", "2026-11-29T23:59:59Z", nil),
            // Days over the end of the week, lists, capitals.
            ("sat-mon 08:00-09:00 0", "2026-11-23T08:30:00Z", 0),
            ("sat-mon 08:00-09:00 0", "2026-11-24T08:30:00Z", 10_000_000),
            ("Mon,wed-Thu 08:00-09:00 0", "2026-11-26T08:30:00Z", 0),
            ("Mon,wed-Thu 08:00-09:00 0", "2026-11-24T08:30:00Z", 10_000_000),
            // The first that fits rules.
            (" wed 12:00-13:00 unlimited ;08:00-18:00 8Mbit/s; ", "2026-11-25T12:30:00Z", nil),
            (" wed 12:00-13:00 unlimited ;08:00-18:00 8Mbit/s; ", "2026-11-25T13:00:00Z", 1_000_000),
        ] as [(String, String, Int64?)])
    func followsTheHours(_ windows: String, _ iso: String, _ bytes: Int64?) throws {
        #expect(try rate(windows, at: iso) == bytes)
    }

    /// Berlin skips 02:00 to 03:00 on 2026-03-29 and has it twice on 2026-10-25.
    @Test(
        arguments: [
            ("sun 02:00-03:00 0", "2026-03-29T00:59:59Z", 10_000_000),
            ("sun 02:00-03:00 0", "2026-03-29T01:00:00Z", 10_000_000),
            // Begins before the jump and would end in it: it ends with the jump. Begins in it: with the jump.
            ("sun 01:30-02:30 0", "2026-03-29T00:59:59Z", 0), ("sun 01:30-02:30 0", "2026-03-29T01:00:00Z", 10_000_000),
            ("sun 02:30-04:00 0", "2026-03-29T00:59:59Z", 10_000_000), ("sun 02:30-04:00 0", "2026-03-29T01:00:00Z", 0),
            // Twice: two hours long.
            ("sun 02:00-03:00 0", "2026-10-24T23:59:59Z", 10_000_000), ("sun 02:00-03:00 0", "2026-10-25T00:00:00Z", 0),
            ("sun 02:00-03:00 0", "2026-10-25T01:59:59Z", 0), ("sun 02:00-03:00 0", "2026-10-25T02:00:00Z", 10_000_000),
            // The day is the zone's as well: in Berlin it is Monday already.
            ("mon 00:00-01:00 0", "2026-11-22T23:30:00Z", 0), ("sat 22:00-06:00 0", "2026-11-28T21:30:00Z", 0),
        ] as [(String, String, Int64?)])
    func followsTheClockOnTheWall(_ windows: String, _ iso: String, _ bytes: Int64?) throws {
        #expect(try rate(windows, "Europe/Berlin", at: iso) == bytes)
    }

    @Test func isAskedAgainWithEachMinuteAndNeverWithoutWindows() throws {
        let schedule = try BandwidthSchedule(byTime: "08:00-09:00 0")
        #expect(schedule.nextLook(afterUs: 120_000_000) == 180_000_000)
        #expect(schedule.nextLook(afterUs: 179_999_999) == 180_000_000)
        #expect(try BandwidthSchedule().nextLook(afterUs: 0) == nil)
        #expect(try BandwidthSchedule().bandwidth(atUs: 0) == .unlimited)
    }

    @Test(arguments: [
        ("fast", "", "UTC", "setting 'bandwidth': 'fast' is no bandwidth"),
        ("0", "", "UTC", "setting 'bandwidth': with 0 nothing would ever be sent"),
        ("", "mon 08:00-09:00 0; mo 08:00-09:00 0", "UTC", "in 'mo 08:00-09:00 0': 'mo' is no day"),
        ("", "mon-tue-wed 08:00-09:00 0", "UTC", "'mon-tue-wed' are no days"),
        ("", "mon, 08:00-09:00 0", "UTC", "'' is no day"),
        ("", "mon 25:00-09:00 0", "UTC", "'25:00' is no time"), ("", "mon 8:00-09:00 0", "UTC", "'8:00' is no time"),
        ("", "mon 08:60-09:00 0", "UTC", "'08:60' is no time"), ("", "mon 24:01-09:00 0", "UTC", "'24:01' is no time"),
        ("", "mon 08:00 0", "UTC", "'08:00' are no times"), ("", "mon 09:00-09:00 0", "UTC", "is no time at all"),
        ("", "mon 24:00-06:00 0", "UTC", "is no time at all"), ("", "mon", "UTC", "it has no times"),
        ("", "mon 08:00-09:00", "UTC", "it has no bandwidth"),
        ("", "mon 08:00-09:00 5 MB", "UTC", "'5 MB' is no bandwidth"),
        ("", "", "Mars/Olympus", "setting 'time-zone': 'Mars/Olympus' is no time zone"),
        ("", "", "", "'' is no time zone"),
    ])
    func namesThePartThatIsWrong(_ bandwidth: String, _ byTime: String, _ zone: String, _ expected: String) {
        let error = #expect(throws: SettingsError.self) {
            try BandwidthSchedule(bandwidth: bandwidth, byTime: byTime, zone: zone)
        }
        #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
        #expect(byTime.isEmpty || error?.description.hasPrefix("setting 'bandwidth-by-time': in '") == true)
    }
}
