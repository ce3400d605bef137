// Checks of what comes in: each gives a checked value or INVALID_ARGUMENT with the field's path and what is allowed.

import CivilTime
import RPC
import Volume
import Wire

enum Check {
    static let latestUs = TimeStamp.latestUs
    static let earliestUs: Int64 = 1

    /// A name of a device, endpoint, asset or stream.
    static func name(_ value: String?, _ field: String) throws(RPCError) -> String {
        guard let value, !value.isEmpty else { throw .invalidArgument(field, "is missing: give 1 to 128 bytes") }
        guard value.utf8.count <= 128 else {
            throw .invalidArgument(field, "has \(value.utf8.count) bytes: 1 to 128 are allowed")
        }
        guard !value.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f || $0 == UInt8(ascii: "/") }) else {
            throw .invalidArgument(field, "has a '/' or a control byte: neither is allowed")
        }
        return value
    }

    /// A text for people or programs, without a form of its own. Control bytes become spaces.
    static func text(_ value: String?, _ field: String, maximumBytes: Int = 1024) throws(RPCError) -> String {
        let value = value ?? ""
        guard value.utf8.count <= maximumBytes else {
            throw .invalidArgument(field, "has \(value.utf8.count) bytes: at most \(maximumBytes) are allowed")
        }
        guard value.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else { return value }
        return String(
            String.UnicodeScalarView(value.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : $0 }))
    }

    /// A text that must not be empty.
    static func someText(_ value: String?, _ field: String, maximumBytes: Int = 128) throws(RPCError) -> String {
        let value = try text(value, field, maximumBytes: maximumBytes)
        guard !value.isEmpty else { throw .invalidArgument(field, "is missing: give 1 to \(maximumBytes) bytes") }
        return value
    }

    /// An id that also becomes a file's name.
    static func identifier(_ value: String?, _ field: String, maximumBytes: Int = 64) throws(RPCError) -> String {
        let value = try someText(value, field, maximumBytes: maximumBytes)
        let isPlain = value.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
            default: false
            }
        }
        guard isPlain, !value.hasPrefix(".") else {
            throw .invalidArgument(field, "is 1 to \(maximumBytes) of A-Z a-z 0-9 . _ - and does not begin with '.'")
        }
        return value
    }

    static func time(_ value: Int64?, _ field: String) throws(RPCError) -> Int64 {
        guard let value else { throw .invalidArgument(field, "is missing: give microseconds since 1970, UTC") }
        guard (earliestUs...latestUs).contains(value) else {
            throw .invalidArgument(field, "is \(value): microseconds since 1970, UTC, up to the year 2100 are allowed")
        }
        return value
    }

    static func source(_ value: SourceName?, _ field: String) throws(RPCError) -> SourceID {
        guard let value else { throw .invalidArgument(field, "is missing: give device and endpoint") }
        return SourceID(
            device: try name(value.device, "\(field).device"), endpoint: try name(value.endpoint, "\(field).endpoint"))
    }

    /// A window of the contract: not empty, at most 24 hours unless a longer bound is given.
    static func window(
        _ value: Window?, _ field: String, longestUs: Int64 = EventWindow.longestUs
    ) throws(RPCError) -> Span {
        guard let value else { throw .invalidArgument(field, "is missing: give start_us and end_us") }
        let start = try time(value.startUs, "\(field).start_us")
        let end = try time(value.endUs, "\(field).end_us")
        guard end > start else {
            throw .invalidArgument("\(field).end_us", "must be greater than start_us: the window is half-open")
        }
        guard end - start <= longestUs else {
            throw .invalidArgument(
                "\(field).end_us",
                "the window has \((end - start) / Micro.second) s: at most "
                    + "\(longestUs / Micro.second) s are allowed; ask in several parts")
        }
        return Span(start, end)
    }

    /// An unsigned number as SQLite can store it.
    static func count(_ value: UInt64?, _ field: String) throws(RPCError) -> Int64 {
        guard let value else { return 0 }
        guard let number = Int64(exactly: value) else { throw .invalidArgument(field, "\(value) is too large") }
        return number
    }

    /// A number with a default and bounds.
    static func bounded(
        _ value: UInt32?, _ field: String, default standard: Int, _ range: ClosedRange<Int>
    ) throws(RPCError) -> Int {
        guard let value else { return standard }
        guard range.contains(Int(value)) else {
            throw .invalidArgument(field, "is \(value): \(range.lowerBound) to \(range.upperBound) are allowed")
        }
        return Int(value)
    }

    static func digest(_ value: [UInt8]?, _ field: String) throws(RPCError) -> [UInt8]? {
        guard let value, !value.isEmpty else { return nil }
        guard value.count == 32 else { throw .invalidArgument(field, "has \(value.count) bytes: a SHA-256 has 32") }
        return value
    }

    static func path(_ value: String?, _ field: String) throws(RPCError) -> RelativePath {
        guard let value else { throw .invalidArgument(field, "is missing") }
        do { return try RelativePath(value) } catch { throw .invalidArgument(field, "\(error)") }
    }

    static func kinds(_ values: [MediaKind], _ field: String) throws(RPCError) -> WantedKinds {
        var result: WantedKinds = []
        for (index, value) in values.enumerated() {
            switch value {
            case .segment: result.insert(.segments)
            case .snapshot: result.insert(.snapshots)
            case .unspecified, .unrecognized:
                throw .invalidArgument("\(field)[\(index)]", "is \(value.name): segment and snapshot are allowed")
            }
        }
        return result.isEmpty ? .both : result
    }

    static func delivery(_ value: Delivery?) throws(RPCError) -> Delivery {
        switch value {
        case .archive: return .archive
        // What footage is kept for is to get it to the cloud; who wants less says so.
        case .cloud, .unspecified, nil: return .cloud
        case .unrecognized: throw .invalidArgument("delivery", "is unknown: archive and cloud are allowed")
        }
    }

    static func mode(_ value: ArchiveMode?) throws(RPCError) -> ArchiveMode {
        switch value {
        case .clip: return .clip
        case .files, .unspecified, nil: return .files
        case .unrecognized: throw .invalidArgument("mode", "is unknown: files and clip are allowed")
        }
    }

    static func work(_ value: Work?) throws(RPCError) -> Work {
        switch value {
        case .archive: return .archive
        case .upload: return .upload
        case .unspecified, .unrecognized, nil:
            throw .invalidArgument("work", "is missing or unknown: archive and upload are allowed")
        }
    }
}
