// Times and durations as people write them: "2026-11-23T05:11:02.5Z", "now", "-90s", "10m ago"; "30s", "1h30m", "250ms".
// Printed times are UTC.

import ArgumentParser
import CivilTime

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

    /// RFC 3339, and the offset without a colon that `date +%FT%T%z` prints.
    private static func parseTimestamp(_ text: Substring) -> Int64? {
        TimeStamp(iso: text.replacing(/([+-]\d\d)(\d\d)$/) { "\($0.1):\($0.2)" })?.us
    }

    /// "2026-11-23T05:11:02.500Z"; "-" for none.
    static func show(_ us: Int64?) -> String {
        guard let us, us > 0 else { return "-" }
        return TimeStamp(us: us)?.isoMilliseconds ?? "\(us) us"
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
