// Times as people and machines write them in JSON, to and from microseconds since 1970 (UTC): RFC 3339 text, or a number
// whose unit is told or found from its size.

import CivilTime
import JSON
import ServiceKit

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
    /// The time in microseconds, or what is wrong with it, for a person.
    static func parse(_ value: JSONValue, _ format: TimeFormat) throws(Problem) -> Int64 {
        let us: Int64
        switch value.content {
        case .string(let text) where format == .rfc3339 || (format == .auto && Double(text) == nil):
            us = try parseRFC3339(text)
        case .string(let text) where format != .rfc3339: us = try microseconds(text, format)
        case .number(let literal) where format != .rfc3339: us = try microseconds(literal, format)
        default: throw Problem("is \(value.kindName); expected \(expected(format))")
        }
        guard FieldCheck.timesUs.contains(us) else { throw Problem("lies outside 1970 to 2100") }
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
        guard us > 0, us <= Double(FieldCheck.timesUs.upperBound) else { throw Problem("lies outside 1970 to 2100") }
        return Int64(us)
    }

    /// "2025-11-23T04:05:06.789+01:00", as TimeStamp reads it.
    static func parseRFC3339(_ text: String) throws(Problem) -> Int64 {
        guard let time = TimeStamp(iso: text) else {
            throw Problem(
                "is no time from 1970 to 2100 in RFC 3339 with an offset, like 2025-11-23T04:05:06.789Z")
        }
        return time.us
    }

    /// "2025-11-23T04:05:06.789012Z"; milliseconds where nothing is lost by it. A number outside 1970 to 2100 stays one.
    static func rfc3339(_ us: Int64) -> String {
        guard let time = TimeStamp(us: us) else { return "\(us) us" }
        return us % 1_000 == 0 ? time.isoMilliseconds : time.isoMicroseconds
    }
}

/// What is wrong with one value, to stand behind its name in a message: "timestamp is null; expected …".
struct Problem: Error, Sendable, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
