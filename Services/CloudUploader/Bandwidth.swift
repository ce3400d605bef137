// How much may be sent, and when: the settings `bandwidth`, `bandwidth-by-time` and `time-zone`, read and answered for a moment.
// Values only.
//
//     bandwidth           20 Mbit/s
//     bandwidth-by-time   mon-fri 06:00-18:00 5 Mbit/s; sat,sun 08:00-22:00 0; 23:00-05:00 unlimited
//     time-zone           Europe/Berlin
//
// A window is half-open, in the wall time of `time-zone`. One that ends before it begins goes over midnight and belongs to the day
// on which it begins; without days it is of every day. Of several that fit, the first rules; where none does, `bandwidth`.
// A time that the zone skips belongs to no window, one that it has twice is in its window twice: both follow from looking at
// what the clock on the wall shows.
import Foundation
import ServiceKit

/// How many bytes may be sent a second.
struct Bandwidth: Sendable, Equatable {
    /// Nil: no limit. 0: nothing may be sent.
    let bytesPerSecond: Int64?

    static let unlimited = Bandwidth(bytesPerSecond: nil)
    static let nothing = Bandwidth(bytesPerSecond: 0)

    /// 64 kbit/s: below it the smallest block takes so long that services and middleboxes take the connection for dead.
    static let leastBits: Double = 64_000
    /// A terabit.
    static let mostBits: Double = 1e12

    private static let units: [(name: String, factor: Double)] = [
        ("kbit/s", 1e3), ("Mbit/s", 1e6), ("Gbit/s", 1e9), ("bit/s", 1), ("", 1),
    ]

    /// "20 Mbit/s", "512kbit/s", "64000" (bits per second), "0" or "unlimited". Decimal units, as providers sell lines.
    init(_ text: String) throws(BandwidthProblem) {
        let text = text.trimmingCharacters(in: .whitespaces)
        if text == "unlimited" {
            self = .unlimited
            return
        }
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text.dropFirst(digits.count).trimmingCharacters(in: .whitespaces)
        guard let number = Double(digits), let factor = Self.units.first(where: { $0.name == unit })?.factor else {
            throw BandwidthProblem("'\(text)' is no bandwidth: give one such as 20 Mbit/s, 512 kbit/s, 0 or unlimited")
        }
        let bits = number * factor
        guard bits == 0 || (Self.leastBits...Self.mostBits).contains(bits) else {
            throw BandwidthProblem("'\(text)' is out of range: 0, or 64 kbit/s to 1000 Gbit/s, are allowed")
        }
        bytesPerSecond = Int64(bits / 8)
    }

    private init(bytesPerSecond: Int64?) { self.bytesPerSecond = bytesPerSecond }
}

/// What is wrong, without the name of the setting.
struct BandwidthProblem: Error, Equatable {
    let text: String
    init(_ text: String) { self.text = text }
}

/// Some hours of some days.
struct BandwidthWindow: Sendable, Equatable {
    static let minutesPerDay = 24 * 60
    private static let dayNames = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

    /// On which it begins; Monday is 0.
    let days: Set<Int>
    /// Minutes of the day. An end that is not after the start is on the next day.
    let start: Int
    let end: Int
    let bandwidth: Bandwidth

    /// "sat,sun 08:00-22:00 0", or without days.
    init(_ text: String) throws(BandwidthProblem) {
        var words = text.split(separator: " ").map(String.init)[...]
        do throws(BandwidthProblem) {
            if let first = words.first, first.first?.isLetter == true {
                days = try Self.days(first)
                words.removeFirst()
            } else {
                days = Set(0..<7)
            }
            guard let hours = words.popFirst() else { throw BandwidthProblem("it has no times, such as 06:00-18:00") }
            let ends = hours.split(separator: "-", omittingEmptySubsequences: false)
            guard ends.count == 2 else { throw BandwidthProblem("'\(hours)' are no times, such as 06:00-18:00") }
            (start, end) = (try Self.minute(ends[0]), try Self.minute(ends[1]))
            guard start != end, start < Self.minutesPerDay else {
                throw BandwidthProblem("'\(hours)' is no time at all; a whole day is 00:00-24:00")
            }
            guard !words.isEmpty else { throw BandwidthProblem("it has no bandwidth, such as 5 Mbit/s") }
            bandwidth = try Bandwidth(words.joined(separator: " "))
        } catch {
            throw BandwidthProblem("in '\(text)': \(error.text)")
        }
    }

    private static func days(_ text: String) throws(BandwidthProblem) -> Set<Int> {
        var days: Set<Int> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            var ends: [Int] = []
            for name in part.split(separator: "-", omittingEmptySubsequences: false) {
                guard let day = dayNames.firstIndex(of: name.lowercased()) else {
                    throw BandwidthProblem("'\(name)' is no day: mon, tue, wed, thu, fri, sat and sun are")
                }
                ends.append(day)
            }
            guard ends.count <= 2, let first = ends.first, let last = ends.last else {
                throw BandwidthProblem("'\(part)' are no days, such as mon-fri")
            }
            // sat-mon goes over the end of the week.
            days.formUnion((first...(last < first ? last + 7 : last)).map { $0 % 7 })
        }
        return days
    }

    private static func minute(_ text: Substring) throws(BandwidthProblem) -> Int {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        if parts.count == 2, parts.allSatisfy({ $0.count == 2 }), let hour = UInt8(parts[0]),
            let minute = UInt8(parts[1]),
            minute < 60, hour < 24 || hour == 24 && minute == 0
        {
            return Int(hour) * 60 + Int(minute)
        }
        throw BandwidthProblem("'\(text)' is no time: 00:00 to 24:00 are")
    }

    /// Whether what the clock on the wall shows lies in it.
    func contains(day: Int, minute: Int) -> Bool {
        guard end <= start else { return days.contains(day) && (start..<end).contains(minute) }
        return minute >= start && days.contains(day) || minute < end && days.contains((day + 6) % 7)
    }
}

/// The limit of each moment.
struct BandwidthSchedule: Sendable, Equatable {
    let steady: Bandwidth
    let windows: [BandwidthWindow]
    let zone: TimeZone

    /// - Parameters:
    ///   - bandwidth: empty for no limit; 0 is not allowed.
    ///   - byTime: windows, separated by semicolons; empty for none.
    ///   - zone: "UTC", "Europe/Berlin".
    init(bandwidth: String = "", byTime: String = "", zone name: String = "UTC") throws(SettingsError) {
        do throws(BandwidthProblem) {
            steady = bandwidth.isEmpty ? .unlimited : try Bandwidth(bandwidth)
        } catch {
            throw SettingsError("setting 'bandwidth': \(error.text)")
        }
        guard steady != .nothing else {
            throw SettingsError(
                "setting 'bandwidth': with 0 nothing would ever be sent; leave it out for no limit, or stop the service"
            )
        }
        var windows: [BandwidthWindow] = []
        for part in byTime.split(separator: ";") where part.contains(where: { $0 != " " }) {
            do throws(BandwidthProblem) {
                windows.append(try BandwidthWindow(part.trimmingCharacters(in: .whitespaces)))
            } catch {
                throw SettingsError("setting 'bandwidth-by-time': \(error.text)")
            }
        }
        self.windows = windows
        guard let zone = TimeZone(identifier: name) else {
            throw SettingsError("setting 'time-zone': '\(name)' is no time zone; give a name such as Europe/Berlin")
        }
        self.zone = zone
    }

    /// What may be sent at a moment, in microseconds since 1970, UTC.
    func bandwidth(atUs us: Int64) -> Bandwidth {
        guard !windows.isEmpty else { return steady }
        let utc = us / 1_000_000
        let local = utc + Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(utc))))
        // The first day of 1970 was a Thursday.
        let day = Int((local / 86_400 + 3) % 7)
        let minute = Int(local % 86_400 / 60)
        return windows.first { $0.contains(day: day, minute: minute) }?.bandwidth ?? steady
    }

    /// When it has to be asked again: windows, and the jumps of a zone, begin with a minute. Nil: never.
    func nextLook(afterUs us: Int64) -> Int64? {
        windows.isEmpty ? nil : (us / 60_000_000 + 1) * 60_000_000
    }
}
