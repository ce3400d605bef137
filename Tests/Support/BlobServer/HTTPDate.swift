// The three spellings of time that the Blob protocol uses: RFC 1123 in headers, ISO 8601 in XML and in signatures.
import Foundation

enum HTTPDate {
    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// "Sun, 06 Nov 1994 08:49:37 GMT".
    static func rfc1123(_ date: Date) -> String {
        let part = Parts(date)
        return "\(days[part.weekday]), \(two(part.day)) \(months[part.month - 1]) \(part.year) "
            + "\(two(part.hour)):\(two(part.minute)):\(two(part.second)) GMT"
    }

    /// "1994-11-06T08:49:37.0000000Z", seven decimals as the service writes.
    static func iso8601(_ date: Date) -> String {
        let part = Parts(date)
        let fraction = String(10_000_000 + Int((date.timeIntervalSince1970 - floor(date.timeIntervalSince1970)) * 1e7))
        return "\(part.year)-\(two(part.month))-\(two(part.day))T"
            + "\(two(part.hour)):\(two(part.minute)):\(two(part.second)).\(fraction.dropFirst())Z"
    }

    /// Reads what `rfc1123` writes; nil for anything else.
    static func parseRFC1123(_ text: String) -> Date? {
        let words = text.split(separator: " ")
        guard words.count == 6, words[5] == "GMT", let day = Int(words[1]), let year = Int(words[3]),
            let month = months.firstIndex(of: String(words[2])), let clock = parseClock(words[4])
        else { return nil }
        return make(year: year, month: month + 1, day: day, seconds: clock)
    }

    /// Reads "2026-11-23", "2026-11-23T05:11Z" and "2026-11-23T05:11:01Z" with up to seven decimals; nil otherwise.
    static func parseISO8601(_ text: String) -> Date? {
        let halves = text.split(separator: "T", maxSplits: 1)
        let numbers = halves.first?.split(separator: "-").map { Int($0) } ?? []
        guard numbers.count == 3, let year = numbers[0], let month = numbers[1], let day = numbers[2] else {
            return nil
        }
        guard halves.count == 2 else { return make(year: year, month: month, day: day, seconds: 0) }
        guard halves[1].hasSuffix("Z"), let clock = parseClock(halves[1].dropLast()) else { return nil }
        return make(year: year, month: month, day: day, seconds: clock)
    }

    private static func parseClock(_ text: Substring) -> Double? {
        let parts = text.split(separator: ":")
        guard parts.count == 2 || parts.count == 3, let hour = Int(parts[0]), let minute = Int(parts[1]),
            (0..<24).contains(hour), (0..<60).contains(minute)
        else { return nil }
        guard parts.count == 3 else { return Double(hour * 3600 + minute * 60) }
        guard let second = Double(parts[2]), (0..<61).contains(second) else { return nil }
        return Double(hour * 3600 + minute * 60) + second
    }

    private static func make(year: Int, month: Int, day: Int, seconds: Double) -> Date? {
        guard (1...12).contains(month), (1...31).contains(day), (1970...9999).contains(year) else { return nil }
        // Days since 1970 by the civil calendar: years begin in March, so that the leap day is the last one.
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return Date(timeIntervalSince1970: Double((era * 146_097 + dayOfEra - 719_468) * 86_400) + seconds)
    }

    private static func two(_ value: Int) -> String {
        value < 10 ? "0\(value)" : "\(value)"
    }

    private struct Parts {
        let year, month, day, hour, minute, second, weekday: Int

        init(_ date: Date) {
            let total = Int(floor(date.timeIntervalSince1970))
            let dayNumber = total / 86_400
            let rest = total % 86_400
            hour = rest / 3600
            minute = rest % 3600 / 60
            second = rest % 60
            weekday = (dayNumber + 4) % 7
            let shifted = dayNumber + 719_468
            let era = shifted / 146_097
            let dayOfEra = shifted - era * 146_097
            let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
            let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
            let monthFromMarch = (5 * dayOfYear + 2) / 153
            day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
            month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
            year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        }
    }
}
