// Points in time as they stand in names, documents, messages and log lines: the one calendar of Sightglass. Pure arithmetic on
// microseconds: no calendar object, no locale, no time zone data, so that a name depends on nothing but its time.
// Forms: compact `20261123T050612.123456Z` (names on a recording volume), seconds `2026-11-23T05:06:12Z` (on an archive
// volume), milliseconds `2026-11-23T05:06:12.123Z` (logs, tables), precise `2026-11-23T05:06:12.123456Z` (documents).

/// A point in time: microseconds since 1970-01-01T00:00:00Z, UTC, without leap seconds; up to the start of 2100.
public struct TimeStamp: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Start of 2100, the last point that has a name.
    public static let latestUs: Int64 = 4_102_444_800_000_000

    /// Microseconds since 1970, 0 to `latestUs`.
    public let us: Int64

    /// Nil outside 0 to `latestUs`.
    public init?(us: Int64) {
        guard (0...Self.latestUs).contains(us) else { return nil }
        self.us = us
    }

    /// Nil unless all parts are in range and the day exists.
    public init?(
        year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0, microsecond: Int = 0
    ) {
        guard (1970...2100).contains(year), (1...12).contains(month), day >= 1,
            day <= Self.days(inMonth: month, of: year), (0...23).contains(hour), (0...59).contains(minute),
            (0...59).contains(second), (0...999_999).contains(microsecond)
        else { return nil }
        let days = Self.daysSince1970(year: year, month: month, day: day)
        let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second
        self.init(us: Int64(seconds) * 1_000_000 + Int64(microsecond))
    }

    /// Reads the compact form, and only that.
    public init?(compact text: some StringProtocol) {
        var reader = DigitReader(text)
        guard let year = reader.number(4), let month = reader.number(2), let day = reader.number(2),
            reader.skip("T"), let hour = reader.number(2), let minute = reader.number(2),
            let second = reader.number(2), reader.skip("."), let microsecond = reader.number(6), reader.skip("Z"),
            reader.isAtEnd
        else { return nil }
        self.init(
            year: year, month: month, day: day, hour: hour, minute: minute, second: second, microsecond: microsecond)
    }

    /// Reads RFC 3339: `2026-11-23T05:06:12Z`, with or without a fraction (cut to microseconds), with `Z` or an offset such
    /// as `+01:00`. A blank may stand for the `T`, letters may be small, and a leap second (`:60`) is the second after it.
    /// Nil for everything else, a time without an offset above all: whose clock would it be?
    public init?(iso text: some StringProtocol) {
        var reader = DigitReader(text)
        guard let year = reader.number(4), reader.skip("-"), let month = reader.number(2), reader.skip("-"),
            let day = reader.number(2), reader.skip("T") || reader.skip("t") || reader.skip(" "),
            let hour = reader.number(2),
            reader.skip(":"), let minute = reader.number(2), reader.skip(":"), let second = reader.number(2),
            second <= 60
        else { return nil }
        var microsecond = 0
        if reader.skip(".") {
            guard let fraction = reader.fraction() else { return nil }
            microsecond = fraction
        }
        guard let offset = reader.offsetSeconds(), reader.isAtEnd,
            let local = TimeStamp(
                year: year, month: month, day: day, hour: hour, minute: minute, second: min(second, 59),
                microsecond: microsecond)
        else { return nil }
        let leapUs: Int64 = second == 60 ? 1_000_000 : 0
        self.init(us: local.us + leapUs - Int64(offset) * 1_000_000)
    }

    /// `20261123T050612.123456Z`: sorts as text in the order of time.
    public var compact: String {
        let p = parts
        return Self.pad(p.year, 4) + Self.pad(p.month, 2) + Self.pad(p.day, 2) + "T" + Self.pad(p.hour, 2)
            + Self.pad(p.minute, 2) + Self.pad(p.second, 2) + "." + Self.pad(p.microsecond, 6) + "Z"
    }

    /// `2026-11-23T05:06:12Z`: the second that the time lies in, cut and not rounded.
    public var isoSeconds: String { isoWithoutZone + "Z" }

    /// `2026-11-23T05:06:12.123Z`, cut and not rounded.
    public var isoMilliseconds: String { isoWithoutZone + "." + Self.pad(parts.microsecond / 1000, 3) + "Z" }

    /// `2026-11-23T05:06:12.123456Z`.
    public var isoMicroseconds: String { isoWithoutZone + "." + Self.pad(parts.microsecond, 6) + "Z" }

    /// The precise form.
    public var description: String { isoMicroseconds }

    /// `2026/11/23/05`: the folders of the hour that the time lies in.
    public var hourFolders: String { dayFolders + "/" + Self.pad(parts.hour, 2) }

    /// `2026/11/23`: the folders of the day that the time lies in.
    public var dayFolders: String {
        let p = parts
        return Self.pad(p.year, 4) + "/" + Self.pad(p.month, 2) + "/" + Self.pad(p.day, 2)
    }

    /// Earlier first.
    public static func < (left: TimeStamp, right: TimeStamp) -> Bool { left.us < right.us }

    private var isoWithoutZone: String {
        let p = parts
        return Self.pad(p.year, 4) + "-" + Self.pad(p.month, 2) + "-" + Self.pad(p.day, 2) + "T" + Self.pad(p.hour, 2)
            + ":" + Self.pad(p.minute, 2) + ":" + Self.pad(p.second, 2)
    }

    private var parts: (year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int, microsecond: Int) {
        let seconds = Int(us / 1_000_000)
        let (year, month, day) = Self.date(daysSince1970: seconds / 86_400)
        let ofDay = seconds % 86_400
        return (year, month, day, ofDay / 3_600, ofDay / 60 % 60, ofDay % 60, Int(us % 1_000_000))
    }

    private static func pad(_ number: Int, _ digits: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    private static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    private static func days(inMonth month: Int, of year: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    // Both ways count years from 1 March, so that the leap day is the last day of a year and every month before it has
    // a fixed place: (153 * m + 2) / 5 days lie before month m of March = 0.
    private static func daysSince1970(year: Int, month: Int, day: Int) -> Int {
        let y = month > 2 ? year : year - 1
        let m = (month + 9) % 12
        return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468
    }

    private static func date(daysSince1970 days: Int) -> (year: Int, month: Int, day: Int) {
        let fromMarch0 = days + 719_468
        let era = fromMarch0 / 146_097
        let dayOfEra = fromMarch0 % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let m = (5 * dayOfYear + 2) / 153
        let month = m < 10 ? m + 3 : m - 9
        let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * m + 2) / 5 + 1)
    }
}

/// Reads fixed digits from a text, without ever trapping.
private struct DigitReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ text: some StringProtocol) { bytes = Array(text.utf8) }

    var isAtEnd: Bool { position == bytes.count }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, UInt32(bytes[position]) == character.value else { return false }
        position += 1
        return true
    }

    mutating func digit() -> Int? {
        guard position < bytes.count, (0x30...0x39).contains(bytes[position]) else { return nil }
        defer { position += 1 }
        return Int(bytes[position]) - 0x30
    }

    mutating func number(_ digits: Int) -> Int? {
        var value = 0
        for _ in 0..<digits {
            guard let next = digit() else { return nil }
            value = value * 10 + next
        }
        return value
    }

    /// One or more digits after the point, as microseconds.
    mutating func fraction() -> Int? {
        var value = 0
        var count = 0
        while let next = digit() {
            count += 1
            if count <= 6 { value = value * 10 + next }
        }
        guard count > 0 else { return nil }
        for _ in min(count, 6)..<6 { value *= 10 }
        return value
    }

    mutating func offsetSeconds() -> Int? {
        if skip("Z") || skip("z") { return 0 }
        let sign: Int
        if skip("+") { sign = 1 } else if skip("-") { sign = -1 } else { return nil }
        guard let hours = number(2), hours <= 23, skip(":"), let minutes = number(2), minutes <= 59 else { return nil }
        return sign * (hours * 3_600 + minutes * 60)
    }
}
