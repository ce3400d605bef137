// The header Retry-After (RFC 9110, 10.2.3): seconds, or a date in one of the three forms that HTTP knows. A date is compared with
// the answer's own Date where it has one, so that a clock of ours that is wrong changes nothing.
import CivilTime

enum RetryAfter {
    /// The longest that is believed, in seconds: an hour. A storage that asks for more is asked again each hour.
    static let longestSeconds = 3600

    /// Seconds from 0 to an hour; nil for what is neither. `date` is the answer's Date.
    static func seconds(_ text: String, date: String?, nowUs: Int64) -> Int? {
        if !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            return min(Int(text) ?? longestSeconds, longestSeconds)
        }
        guard let untilUs = microseconds(text) else { return nil }
        let waitUs = untilUs - (date.flatMap(microseconds) ?? nowUs)
        // A second begun counts: never sooner than asked.
        return Int(min(max(0, (waitUs + 999_999) / 1_000_000), Int64(longestSeconds)))
    }

    private static let months = [
        "Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "May": 5, "Jun": 6, "Jul": 7, "Aug": 8, "Sep": 9, "Oct": 10, "Nov": 11,
        "Dec": 12,
    ]

    /// "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT" or "Sun Nov  6 08:49:37 1994", in microseconds since 1970.
    private static func microseconds(_ text: String) -> Int64? {
        var parts = text.split { " ,-".contains($0) }.map(String.init)
        guard parts.count >= 5 else { return nil }
        if months[parts[1]] != nil {
            // The old form of C has the year last.
            guard parts.count == 5 else { return nil }
            parts = [parts[0], parts[2], parts[1], parts[4], parts[3], "GMT"]
        }
        guard parts.count == 6, parts[5] == "GMT", let day = Int(parts[1]), let month = months[parts[2]],
            let written = Int(parts[3])
        else { return nil }
        // Two digits are the year of the last or this century that is not too far ahead.
        let year = parts[3].count == 2 ? written + (written < 70 ? 2000 : 1900) : written
        let time = parts[4].split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
        guard time.count == 3, let hour = time[0], let minute = time[1], let second = time[2] else { return nil }
        return TimeStamp(
            year: year, month: month, day: day, hour: hour, minute: minute, second: min(second, 59))?.us
    }
}
