// The JSON documents that go beside the footage: the sidecar of each file and the manifest of each request. Pure: values in,
// bytes out, keys sorted, so that the same facts always give the same bytes. The sidecar's first six keys are those that
// existing cloud query tools read.

import CivilTime
import Foundation
import Volume
import Wire

/// The `.json` beside an archived file.
struct Sidecar: Codable, Sendable, Equatable {
    /// The camera as its folder is called.
    var cameraID: String
    /// Where the camera is; not known here, so always empty.
    var location = ""
    var segmentStart: String
    var segmentEnd: String
    var durationSeconds: Double
    /// The file's name without folders.
    var fileName: String
    // Ours.
    var kind: String
    /// "device/endpoint".
    var source: String
    var asset: String?
    var codec: String?
    var widthPx: UInt32?
    var heightPx: UInt32?
    var frames: UInt32?
    var runID: String?
    var startUs: Int64
    var endUs: Int64
    /// Absent until the file is archived: the archiver fills them in.
    var sizeBytes: Int64?
    var sha256: String?
    var sourcePath: String
    var sourceVolumeID: String
    var requestIDs: [String]
    /// Of the events behind these requests, in the order of their coming; absent where no event asked for it.
    var eventKeys: [String]?

    enum CodingKeys: String, CodingKey {
        case location, kind, source, asset, codec, frames, sha256
        case eventKeys = "event_keys"
        case cameraID = "camera_id"
        case segmentStart = "segment_start"
        case segmentEnd = "segment_end"
        case durationSeconds = "duration_seconds"
        case fileName = "file_name"
        case widthPx = "width_px"
        case heightPx = "height_px"
        case runID = "run_id"
        case startUs = "start_us"
        case endUs = "end_us"
        case sizeBytes = "size_bytes"
        case sourcePath = "source_path"
        case sourceVolumeID = "source_volume_id"
        case requestIDs = "request_ids"
    }
}

/// What was asked for and what came of it.
struct Manifest: Codable, Sendable, Equatable {
    struct Camera: Codable, Sendable, Equatable {
        var camera: String
        var source: String
        /// Spans with footage, joined.
        var covered: [TimeSpan]
        var gaps: [MissingSpan]
        /// How many more gaps there are than are listed; absent when all are.
        var gapsOmitted: Int?

        enum CodingKeys: String, CodingKey {
            case camera, source, covered, gaps
            case gapsOmitted = "gaps_omitted"
        }
    }

    struct TimeSpan: Codable, Sendable, Equatable {
        var start: String
        var end: String

        init(_ span: Span) {
            start = documentTime(span.startUs)
            end = documentTime(span.endUs)
        }
    }

    struct MissingSpan: Codable, Sendable, Equatable {
        var start: String
        var end: String
        var cause: String
        var reason: String
        var framesLost: Int64?

        enum CodingKeys: String, CodingKey {
            case start, end, cause, reason
            case framesLost = "frames_lost"
        }
    }

    struct File: Codable, Sendable, Equatable {
        var path: String
        var kind: String
        var camera: String
        var start: String
        var end: String
        var sizeBytes: Int64?
        var sha256: String?
        var sourceVolumeID: String?
        var sourcePath: String?
        /// Why the file is not there, where it could not be archived.
        var error: String?

        enum CodingKeys: String, CodingKey {
            case path, kind, camera, start, end, sha256, error
            case sizeBytes = "size_bytes"
            case sourceVolumeID = "source_volume_id"
            case sourcePath = "source_path"
        }
    }

    var requestID: String
    var window: TimeSpan
    var requestedBy: String
    var reason: String
    var eventKeys: [String]
    var accepted: String
    var mode: String
    var cameras: [Camera]
    var files: [File]
    /// A manifest too long for one message comes in parts; each has all but a share of the files.
    var part: Int
    var parts: Int

    enum CodingKeys: String, CodingKey {
        case window, reason, accepted, mode, cameras, files, part, parts
        case requestID = "request_id"
        case requestedBy = "requested_by"
        case eventKeys = "event_keys"
    }

    /// The manifest in parts of at most about `maximumBytes` of files each; at least one.
    func split(maximumBytes: Int = 400_000) -> [Manifest] {
        var shares: [[File]] = [[]]
        var size = 0
        for file in files {
            let names = file.path.utf8.count + file.camera.utf8.count
            let bytes = 450 + names + (file.sourcePath?.utf8.count ?? 0) + (file.error?.utf8.count ?? 0)
            if size + bytes > maximumBytes, size > 0 {
                shares.append([])
                size = 0
            }
            shares[shares.count - 1].append(file)
            size += bytes
        }
        return shares.enumerated().map { index, share in
            var part = self
            (part.files, part.part, part.parts) = (share, index + 1, shares.count)
            return part
        }
    }
}

/// The precise form of a time in documents.
func documentTime(_ us: Int64) -> String { TimeStamp(us: us)?.isoMicroseconds ?? String(us) }

/// A document's bytes: sorted keys, so that the same facts give the same file, and one line feed at the end.
func documentBytes(_ document: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return try [UInt8](encoder.encode(document)) + [0x0a]
}
