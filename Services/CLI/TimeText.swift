// Times and durations as people write them: "2026-11-23T05:11:02.5Z", "now", "-90s", "10m ago"; "30s", "1h30m", "250ms".
// Printed times are UTC. Own code: ISO 8601 needs twenty lines, and a wrong minute in a request for evidence is costly.

import ArgumentParser

enum TimeText {
    /// Microseconds since 1970; nil where the text is no time.
    static func parse(_ text: String, nowUs: Int64) -> Int64? {
        let text = text.trimmingPrefix(" ")
        if text == "now" { return nowUs }
        if text.hasPrefix("-") || text.hasPrefix("+") {
            guard let duration = DurationText.parse(text.dropFirst()) else { return nil }
            return nowUs + (text.hasPrefix("-") ? -duration : duration)
        }
        if text.hasSuffix(" ago") { return DurationText.parse(text.dropLast(4)).map { nowUs - $0 } }
        return parseTimestamp(text)
    }

    /// RFC 3339: date, 'T' or blank, time, fraction, zone. The zone is required: a guess would be hours wrong.
    private static func parseTimestamp(_ text: Substring) -> Int64? {
        let pattern =
            /(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.](\d{1,9}))?(?:[Zz]|([+-])(\d\d):?(\d\d))/
        guard let match = text.wholeMatch(of: pattern)?.output,
            let year = Int64(match.1), let month = Int64(match.2), let day = Int64(match.3), let hour = Int64(match.4),
            let minute = Int64(match.5), let second = Int64(match.6), year >= 1970, (1...12).contains(month),
            (1...daysInMonth(month, year: year)).contains(day), hour < 24, minute < 60, second <= 60
        else { return nil }
        var us = (daysFromEpoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second) * 1_000_000
        if let fraction = match.7 { us += Int64((fraction + "000000").prefix(6)) ?? 0 }
        if let sign = match.8, let hours = match.9.flatMap({ Int64($0) }), let minutes = match.10.flatMap({ Int64($0) })
        {
            guard hours < 24, minutes < 60 else { return nil }
            us += (hours * 60 + minutes) * 60_000_000 * (sign == "+" ? -1 : 1)
        }
        return us
    }

    private static func daysInMonth(_ month: Int64, year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days since 1970-01-01 of a Gregorian date from 1970 on; the year begins in March, so that the leap day is its last.
    private static func daysFromEpoch(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = year / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// "2026-11-23T05:11:02.500Z"; "-" for none.
    static func show(_ us: Int64?) -> String {
        guard let us, us > 0 else { return "-" }
        let seconds = us / 1_000_000
        let shifted = seconds / 86_400 + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let time = seconds % 86_400
        return padded(year, 4) + "-" + padded(month, 2) + "-" + padded(day, 2) + "T" + padded(time / 3600, 2) + ":"
            + padded(time / 60 % 60, 2) + ":" + padded(time % 60, 2) + "." + padded(us / 1000 % 1000, 3) + "Z"
    }

    private static func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

enum DurationText {
    private static let units: [(String, Int64)] = [
        ("ms", 1000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000), ("d", 86_400_000_000),
    ]

    /// Microseconds; nil where the text is no duration. A number alone counts seconds.
    static func parse(_ text: some StringProtocol) -> Int64? {
        var rest = Substring(text).filter { $0 != " " }[...]
        guard !rest.isEmpty else { return nil }
        if let seconds = Double(rest), seconds >= 0, seconds < 1e9 { return Int64(seconds * 1_000_000) }
        var total: Int64 = 0
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(number.count)
            let name = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(name.count)
            guard let value = Double(number), value < 1e9, let unit = units.first(where: { $0.0 == name }) else {
                return nil
            }
            total += Int64(value * Double(unit.1))
        }
        return total
    }

    /// "1h02m03s", "4.250s".
    static func show(us: Int64) -> String {
        let seconds = us / 1_000_000
        if seconds < 60 {
            let milliseconds = String(us / 1000 % 1000)
            return "\(seconds)." + String(repeating: "0", count: 3 - milliseconds.count) + milliseconds + "s"
        }
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        if seconds < 3600 { return "\(seconds / 60)m\(two(seconds % 60))s" }
        return "\(seconds / 3600)h\(two(seconds / 60 % 60))m\(two(seconds % 60))s"
    }
}

/// A duration on the command line; longer than nothing.
struct DurationArgument: ExpressibleByArgument, Sendable {
    let us: Int64

    init(milliseconds: Int64) { us = milliseconds * 1000 }

    init?(argument: String) {
        guard let us = DurationText.parse(argument), us > 0 else { return nil }
        self.us = us
    }

    var duration: Duration { .microseconds(us) }
    var defaultValueDescription: String { DurationText.show(us: us) }
}
