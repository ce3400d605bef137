// The indexer's own rules for what comes in; those of the whole contract are ServiceKit's FieldCheck.

import RPC
import ServiceKit
import Volume
import Wire

extension FieldCheck {
    /// An id that also becomes a file's name.
    static func identifier(_ value: String?, _ field: @autoclosure () -> String, maximumBytes: Int = 64)
        throws(RPCError) -> String
    {
        let value = try someText(value, field(), maximumBytes: maximumBytes)
        let isPlain = value.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
            default: false
            }
        }
        guard isPlain, !value.hasPrefix(".") else {
            throw wrong(field(), "is not 1 to \(maximumBytes) of A-Z a-z 0-9 . _ - or begins with '.'")
        }
        return value
    }

    static func sourceID(_ value: SourceName?, _ field: @autoclosure () -> String) throws(RPCError) -> SourceID {
        let (device, endpoint) = try source(value, field())
        return SourceID(device: device, endpoint: endpoint)
    }

    /// A window of the contract: not empty, at most 24 hours unless a longer bound is given.
    static func span(
        _ value: Window?, _ field: @autoclosure () -> String, longestUs: Int64 = longestWindowUs
    ) throws(RPCError) -> Span {
        let range = try window(value, field(), longestUs: longestUs)
        return Span(range.lowerBound, range.upperBound)
    }

    /// An unsigned number as SQLite can store it.
    static func count(_ value: UInt64?, _ field: @autoclosure () -> String) throws(RPCError) -> Int64 {
        guard let value else { return 0 }
        guard let number = Int64(exactly: value) else {
            throw wrong(field(), "is \(value): at most \(Int64.max) are allowed")
        }
        return number
    }

    static func path(_ value: String?, _ field: @autoclosure () -> String) throws(RPCError) -> RelativePath {
        guard let value else { throw wrong(field(), "is missing") }
        do { return try RelativePath(value) } catch { throw wrong(field(), "cannot be used: \(error.detail)") }
    }

    /// What a camera is called: the asset, or "device/endpoint"; that of the source where it is absent.
    static func camera(_ value: String?, of source: SourceID, _ field: @autoclosure () -> String) throws(RPCError)
        -> String
    {
        guard let value, value != source.text else { return source.text }
        return try name(value, field())
    }

    static func kinds(_ values: [MediaKind], _ field: @autoclosure () -> String) throws(RPCError) -> WantedKinds {
        var result: WantedKinds = []
        for (index, value) in values.enumerated() {
            switch value {
            case .segment: result.insert(.segments)
            case .snapshot: result.insert(.snapshots)
            case .rendition, .unspecified, .unrecognized:
                throw wrong("\(field())[\(index)]", "is \(value.name): segment and snapshot are allowed")
            }
        }
        return result.isEmpty ? .both : result
    }

    static func delivery(_ value: Delivery?) throws(RPCError) -> Delivery {
        switch value {
        case .archive: return .archive
        // What footage is kept for is to get it to the cloud; who wants less says so.
        case .cloud, .unspecified, nil: return .cloud
        case .unrecognized: throw wrong("delivery", "is unknown: archive and cloud are allowed")
        }
    }

    static func mode(_ value: ArchiveMode?) throws(RPCError) -> ArchiveMode {
        switch value {
        case .clip: return .clip
        case .files, .unspecified, nil: return .files
        case .unrecognized: throw wrong("mode", "is unknown: files and clip are allowed")
        }
    }

    static func work(_ value: Work?) throws(RPCError) -> Work {
        switch value {
        case .archive: return .archive
        case .upload: return .upload
        case .unspecified, .unrecognized, nil:
            throw wrong("work", "is missing or unknown: archive and upload are allowed")
        }
    }
}
