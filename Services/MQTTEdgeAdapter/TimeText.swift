// Times as people and machines write them in JSON, to and from microseconds since 1970 (UTC): RFC 3339 text, or a number
// whose unit is told or found from its size. A time without an offset is refused: whose clock would it be?

/// How a time is written.
enum TimeFormat: String, Sendable, CaseIterable {
    /// RFC 3339 text, or a number whose unit follows from its size.
    case auto
    case rfc3339
    case seconds = "s"
    case milliseconds = "ms"
    case microseconds = "us"
    case nanoseconds = "ns"
}

enum TimeText {
    /// What the contract allows: after 1970, before 2100. In microseconds.
    static let allowedUs: ClosedRange<Int64> = 1...4_102_444_800_000_000

    /// The time in microseconds, or what is wrong with it, for a person.
    static func parse(_ value: JSONValue, _ format: TimeFormat) throws(Problem) -> Int64 {
        let us: Int64
        switch value {
        case .string(let text) where format == .rfc3339 || (format == .auto && Double(text) == nil):
            us = try parseRFC3339(text)
        case .string(let text) where format != .rfc3339: us = try microseconds(text, format)
        case .number(let literal) where format != .rfc3339: us = try microseconds(literal, format)
        default: throw Problem("is \(value.kind); expected \(expected(format))")
        }
        guard allowedUs.contains(us) else { throw Problem("lies outside 1970 to 2100") }
        return us
    }

    private static func expected(_ format: TimeFormat) -> String {
        switch format {
        case .auto: "RFC 3339 text or a number since 1970"
        case .rfc3339: "RFC 3339 text"
        case .seconds, .milliseconds, .microseconds, .nanoseconds: "a number of \(format.rawValue) since 1970"
        }
    }

    /// Units by size, for the years 1973 to 5138 in each: what lies below 1e11 counts seconds, below 1e14 milliseconds,
    /// below 1e17 microseconds, and above that nanoseconds.
    private static func microseconds(_ literal: String, _ format: TimeFormat) throws(Problem) -> Int64 {
        guard let value = Double(literal), value.isFinite else { throw Problem("is no number") }
        let perUnit: Double
        switch format {
        case .seconds: perUnit = 1e6
        case .milliseconds: perUnit = 1e3
        case .microseconds: perUnit = 1
        case .nanoseconds: perUnit = 1e-3
        case .auto, .rfc3339: perUnit = value < 1e11 ? 1e6 : value < 1e14 ? 1e3 : value < 1e17 ? 1 : 1e-3
        }
        let us = (value * perUnit).rounded()
        guard us > 0, us <= Double(allowedUs.upperBound) else { throw Problem("lies outside 1970 to 2100") }
        return Int64(us)
    }

    /// "2025-11-23T04:05:06.789+01:00"; digits beyond microseconds are cut off.
    static func parseRFC3339(_ text: String) throws(Problem) -> Int64 {
        let bytes = Array(text.utf8)
        let form = Problem("is not RFC 3339 with an offset, like 2025-11-23T04:05:06.789Z")
        func digits(_ range: Range<Int>) -> Int64? {
            guard range.upperBound <= bytes.count else { return nil }
            var value: Int64 = 0
            for byte in bytes[range] {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int64(byte - 0x30)
            }
            return value
        }
        guard bytes.count >= 20, bytes.count <= 40, bytes[4] == 0x2D, bytes[7] == 0x2D, bytes[13] == 0x3A,
            bytes[16] == 0x3A, [0x54, 0x74, 0x20].contains(bytes[10]),
            let year = digits(0..<4), let month = digits(5..<7), let day = digits(8..<10),
            let hour = digits(11..<13), let minute = digits(14..<16), let second = digits(17..<19)
        else { throw form }
        guard (1...12).contains(month), (1...daysIn(month: month, year: year)).contains(day), hour < 24, minute < 60,
            second <= 60
        else { throw Problem("names a day or an hour that does not exist") }
        var position = 19
        var fractionUs: Int64 = 0
        if bytes[position] == 0x2E {
            let start = position + 1
            position = start
            while position < bytes.count, (0x30...0x39).contains(bytes[position]) { position += 1 }
            guard position > start else { throw form }
            for index in 0..<6 {
                fractionUs = fractionUs * 10 + (start + index < position ? Int64(bytes[start + index] - 0x30) : 0)
            }
        }
        guard position < bytes.count else { throw form }
        var offsetMinutes: Int64 = 0
        switch bytes[position] {
        case 0x5A, 0x7A: guard position + 1 == bytes.count else { throw form }
        case 0x2B, 0x2D:
            guard position + 6 == bytes.count, bytes[position + 3] == 0x3A,
                let hours = digits(position + 1..<position + 3), let minutes = digits(position + 4..<position + 6),
                hours < 24, minutes < 60
            else { throw form }
            offsetMinutes = (hours * 60 + minutes) * (bytes[position] == 0x2B ? 1 : -1)
        default: throw form
        }
        let days = daysSince1970(year: year, month: month, day: day)
        let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offsetMinutes * 60
        return seconds * 1_000_000 + fractionUs
    }

    /// "2025-11-23T04:05:06.789012Z"; milliseconds where nothing is lost by it.
    static func rfc3339(_ us: Int64) -> String {
        let days = us.quotientFloor(86_400_000_000)
        let ofDay = us - days * 86_400_000_000
        let (year, month, day) = civil(daysSince1970: days)
        let seconds = ofDay / 1_000_000
        let fraction = ofDay % 1_000_000
        let fractionText =
            fraction % 1_000 == 0 ? padded(fraction / 1_000, 3) : padded(fraction, 6)
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T\(padded(seconds / 3_600, 2)):"
            + "\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2)).\(fractionText)Z"
    }

    static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    private static func daysIn(month: Int64, year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days of the proleptic Gregorian calendar, counted in eras of 400 years that begin on March 1st.
    private static func daysSince1970(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted.quotientFloor(400)
        let ofEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + dayOfYear - 719_468
    }

    private static func civil(daysSince1970 days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = shifted.quotientFloor(146_097)
        let ofEra = shifted - era * 146_097
        let yearOfEra = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let dayOfYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth + (shiftedMonth < 10 ? 3 : -9)
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }
}

/// What is wrong with one value, to stand behind its name in a message: "timestamp is null; expected …".
struct Problem: Error, Sendable, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

extension Int64 {
    /// Division that rounds down, also below zero.
    fileprivate func quotientFloor(_ divisor: Int64) -> Int64 {
        self >= 0 ? self / divisor : -((divisor - 1 - self) / divisor)
    }
}
