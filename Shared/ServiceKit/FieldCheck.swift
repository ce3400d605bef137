// FieldCheck: the contract's rules for the fields of a request, as their comments in proto/sightglass/v1 state them. Each check
// gives the checked value, or INVALID_ARGUMENT with the field's path and a message that begins with it. Rules that only one
// service has stand in an extension beside its handlers.

import CivilTime
import RPC
import Wire

/// Checks of what comes in.
public enum FieldCheck {
    /// Times of the contract, in microseconds since 1970, UTC: up to the year 2100.
    public static let timesUs: ClosedRange<Int64> = 1...TimeStamp.latestUs
    /// The longest window that a request may ask for: 24 hours.
    public static let longestWindowUs: Int64 = 86_400_000_000

    /// INVALID_ARGUMENT; the message is the field's path and what is wrong with it: "limit", "is 0: 1 to 100 are allowed".
    public static func wrong(_ field: String, _ problem: String) -> RPCError {
        .invalidArgument(field, "\(field) \(problem)")
    }

    // MARK: - Names and texts

    /// A name of a device, endpoint, asset or stream: 1 to 128 bytes without '/' and control bytes.
    public static func name(_ value: String?, _ field: @autoclosure () -> String) throws(RPCError) -> String {
        let value = try identity(value, field())
        guard !value.utf8.contains(where: { isControl($0) || $0 == UInt8(ascii: "/") }) else {
            throw wrong(field(), "has a '/' or a control byte: neither is allowed")
        }
        return value
    }

    /// A name that may be absent, which means all.
    public static func nameIfAny(_ value: String?, _ field: @autoclosure () -> String) throws(RPCError) -> String? {
        guard let value else { return nil }
        return try name(value, field())
    }

    /// A source of which both parts are there.
    @discardableResult public static func source(
        _ value: SourceName?, _ field: @autoclosure () -> String
    ) throws(RPCError) -> (device: String, endpoint: String) {
        guard let value else { throw wrong(field(), "is missing: give device and endpoint") }
        return (try name(value.device, "\(field()).device"), try name(value.endpoint, "\(field()).endpoint"))
    }

    /// A stream of which both parts are there.
    @discardableResult public static func stream(
        _ value: StreamName?, _ field: @autoclosure () -> String
    ) throws(RPCError) -> (asset: String, stream: String) {
        guard let value else { throw wrong(field(), "is missing: give asset and stream") }
        return (try name(value.asset, "\(field()).asset"), try name(value.stream, "\(field()).stream"))
    }

    /// A text for people or programs, without a form of its own, that may be empty. Control bytes become spaces.
    public static func text(
        _ value: String?, _ field: @autoclosure () -> String, maximumBytes: Int = 1024
    ) throws(RPCError) -> String {
        let value = value ?? ""
        guard value.utf8.count <= maximumBytes else {
            throw wrong(field(), "has \(value.utf8.count) bytes: at most \(maximumBytes) are allowed")
        }
        guard value.utf8.contains(where: isControl) else { return value }
        return String(
            String.UnicodeScalarView(value.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : $0 }))
    }

    /// A text that must not be empty.
    public static func someText(
        _ value: String?, _ field: @autoclosure () -> String, maximumBytes: Int = 128
    ) throws(RPCError) -> String {
        let value = try text(value, field(), maximumBytes: maximumBytes)
        guard !value.isEmpty else { throw wrong(field(), "is missing: give 1 to \(maximumBytes) bytes") }
        return value
    }

    /// What names an instance, a volume, a run: 1 to 128 bytes, as they are.
    private static func identity(_ value: String?, _ field: @autoclosure () -> String) throws(RPCError) -> String {
        guard let value, !value.isEmpty else { throw wrong(field(), "is missing: give 1 to 128 bytes") }
        guard value.utf8.count <= 128 else {
            throw wrong(field(), "has \(value.utf8.count) bytes: 1 to 128 are allowed")
        }
        return value
    }

    private static func isControl(_ byte: UInt8) -> Bool { byte < 0x20 || byte == 0x7f }

    /// Where a service answers requests, in at most 512 bytes. Plain tcp between hosts is taken: whether it is allowed is the
    /// setting of who calls.
    public static func address(_ value: String?, _ field: @autoclosure () -> String) throws(RPCError) -> String {
        let value = try someText(value, field(), maximumBytes: 512)
        do throws(RPCError) {
            _ = try RPCAddress(parsing: value, allowInsecure: true)
        } catch {
            throw wrong(field(), "is no address: \(error.message)")
        }
        return value
    }

    // MARK: - Times and numbers

    /// A moment.
    @discardableResult public static func time(_ value: Int64?, _ field: @autoclosure () -> String) throws(RPCError)
        -> Int64
    {
        guard let value else { throw wrong(field(), "is missing: give microseconds since 1970, UTC") }
        guard timesUs.contains(value) else {
            throw wrong(field(), "is \(value): microseconds since 1970, UTC, from 1 up to the year 2100 are allowed")
        }
        return value
    }

    /// A moment that may be absent.
    @discardableResult public static func timeIfAny(_ value: Int64?, _ field: @autoclosure () -> String)
        throws(RPCError) -> Int64?
    {
        guard let value else { return nil }
        return try time(value, field())
    }

    /// A half-open window that is not empty, at most `longestUs` long.
    public static func window(
        _ value: Window?, _ field: @autoclosure () -> String, longestUs: Int64 = longestWindowUs
    ) throws(RPCError) -> Range<Int64> {
        guard let value else { throw wrong(field(), "is missing: give start_us and end_us") }
        let start = try time(value.startUs, "\(field()).start_us")
        let end = try time(value.endUs, "\(field()).end_us")
        guard end > start else {
            throw wrong("\(field()).end_us", "must be greater than start_us: the window is half-open")
        }
        guard end - start <= longestUs else {
            throw wrong(
                "\(field()).end_us",
                "makes a window of \((end - start) / 1_000_000) s: at most \(longestUs / 1_000_000) s are allowed; ask "
                    + "in several parts")
        }
        return start..<end
    }

    /// A number with a default and bounds.
    public static func bounded<Number: FixedWidthInteger>(
        _ value: Number?, _ field: @autoclosure () -> String, default standard: Int, _ range: ClosedRange<Int>
    ) throws(RPCError) -> Int {
        guard let value else { return standard }
        guard let number = Int(exactly: value), range.contains(number) else {
            throw wrong(field(), "is \(value): \(range.lowerBound) to \(range.upperBound) are allowed")
        }
        return number
    }

    /// The size of one file, 0 where it is absent: with larger ones the sums of a catalogue could leave what SQLite counts.
    public static func fileSize(_ value: UInt64?, _ field: @autoclosure () -> String) throws(RPCError) -> Int64 {
        let size = value ?? 0
        guard size <= 1 << 40 else { throw wrong(field(), "is \(size): a file has at most 1 TiB") }
        return Int64(size)
    }

    /// A SHA-256 that may be absent or empty.
    public static func digest(_ value: [UInt8]?, _ field: @autoclosure () -> String) throws(RPCError) -> [UInt8]? {
        guard let value, !value.isEmpty else { return nil }
        guard value.count == 32 else { throw wrong(field(), "has \(value.count) bytes: a SHA-256 has 32") }
        return value
    }

    /// A list of so many entries at most, and at least.
    public static func entries<Entry>(
        _ values: [Entry], _ field: @autoclosure () -> String, _ range: ClosedRange<Int>
    ) throws(RPCError) {
        guard range.contains(values.count) else {
            throw wrong(
                field(), "has \(values.count) entries: \(range.lowerBound) to \(range.upperBound) are allowed")
        }
    }
}
