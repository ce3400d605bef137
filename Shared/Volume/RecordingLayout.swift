// Where a file lies on the recording volume, and how to read a path back when the catalogue has to be rebuilt from
// the volume.
//
//   {asset}/{stream}/{YYYY}/{MM}/{DD}/{HH}/{start}_{end}.{ext}      a segment
//   {asset}/{stream}/{YYYY}/{MM}/{DD}/{HH}/{time}.{ext}             a snapshot
//   {device}/{endpoint}/…                                           footage that no stream asked for
//
// Times are TimeStamp's compact form, the folders the hour of the start, UTC; names are escaped by EscapedName.
import CivilTime

/// Paths on a recording volume.
public enum RecordingLayout {
    /// What a path says about its file.
    public struct Parsed: Sendable, Hashable {
        /// Asset, or device where no stream asked for it.
        public let owner: String
        /// Stream, or endpoint.
        public let part: String
        /// First frame's time, microseconds since 1970.
        public let startUs: Int64
        /// End of the last frame; nil for a snapshot.
        public let endUs: Int64?
        /// Extension without the dot.
        public let fileExtension: String
    }

    /// The path of a segment. `owner` and `part` are asset and stream, or device and endpoint.
    /// Kind `.invalidName` when a time is outside 1970 to 2100, the end is not after the start, or a name cannot be used.
    public static func segment(
        owner: String, part: String, startUs: Int64, endUs: Int64, fileExtension: String
    ) throws(VolumeError) -> RelativePath {
        let start = try time(startUs)
        let end = try time(endUs)
        guard start < end else {
            throw VolumeError(.invalidName, path: "\(owner)/\(part)", "the segment ends before it starts")
        }
        let folder = try folder(owner: owner, part: part, start)
        return try RelativePath("\(folder)/\(start.compact)_\(end.compact).\(try checked(fileExtension))")
    }

    /// The path of a snapshot. Errors as in `segment`.
    public static func snapshot(
        owner: String, part: String, timeUs: Int64, fileExtension: String
    ) throws(VolumeError) -> RelativePath {
        let time = try time(timeUs)
        let folder = try folder(owner: owner, part: part, time)
        return try RelativePath("\(folder)/\(time.compact).\(try checked(fileExtension))")
    }

    /// What `path` says; nil when it is not of this layout.
    public static func parse(_ path: RelativePath) -> Parsed? {
        let parts = path.parts
        guard parts.count == 7, let owner = EscapedName.name(from: parts[0]),
            let part = EscapedName.name(from: parts[1]), let dot = parts[6].lastIndex(of: ".")
        else { return nil }
        let times = parts[6][..<dot].split(separator: "_", omittingEmptySubsequences: false)
        let fileExtension = String(parts[6][dot...].dropFirst())
        guard !fileExtension.isEmpty, let start = times.first.flatMap({ TimeStamp(compact: $0) }),
            start.hourFolders == parts[2...5].joined(separator: "/")
        else { return nil }
        if times.count == 1 {
            return Parsed(owner: owner, part: part, startUs: start.us, endUs: nil, fileExtension: fileExtension)
        }
        guard times.count == 2, let end = TimeStamp(compact: times[1]), start < end else { return nil }
        return Parsed(owner: owner, part: part, startUs: start.us, endUs: end.us, fileExtension: fileExtension)
    }

    private static func folder(owner: String, part: String, _ start: TimeStamp) throws(VolumeError) -> String {
        "\(try EscapedName.part(for: owner))/\(try EscapedName.part(for: part))/\(start.hourFolders)"
    }

    private static func time(_ us: Int64) throws(VolumeError) -> TimeStamp {
        try LayoutRules.time(us)
    }

    private static func checked(_ fileExtension: String) throws(VolumeError) -> String {
        try LayoutRules.fileExtension(fileExtension)
    }
}

/// What both layouts check the same way.
enum LayoutRules {
    static func time(_ us: Int64) throws(VolumeError) -> TimeStamp {
        guard let time = TimeStamp(us: us) else {
            throw VolumeError(.invalidName, path: "\(us)", "the time is not between 1970 and 2100")
        }
        return time
    }

    static func fileExtension(_ text: String) throws(VolumeError) -> String {
        let isPlain = text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte)
        }
        guard isPlain, (1...16).contains(text.utf8.count) else {
            throw VolumeError(.invalidName, path: "(extension)", "an extension is 1 to 16 letters and digits")
        }
        return text
    }
}
