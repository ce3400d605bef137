// MadeFootage: segments of many cameras as their controllers would report them, made up from camera and number: 4 Mbit/s, one behind
// the other. Paths, sizes and identities are as long as real ones.

import Foundation
import Wire

struct MadeFootage: Sendable {
    let volumeID: String
    /// The names of the cameras' devices and assets: "cam" and a number.
    var prefix = "cam"
    let cameras: Int
    /// Start of each camera's first segment, microseconds since 1970.
    let zeroUs: Int64
    var segmentUs: Int64 = 10_000_000
    var sizeBytes: UInt64 = 5_000_000

    func asset(_ camera: Int) -> String { camera < 10 ? "\(prefix)0\(camera)" : "\(prefix)\(camera)" }
    func source(_ camera: Int) -> SourceName { SourceName(device: asset(camera), endpoint: "main") }
    func startUs(_ number: Int) -> Int64 { zeroUs + Int64(number) * segmentUs }

    /// Where a segment lies on the volume, as Shared/Volume/RecordingLayout has it.
    func path(_ camera: Int, _ number: Int) -> String {
        SegmentPath.text(asset: asset(camera), startUs: startUs(number), endUs: startUs(number + 1))
    }

    /// The run that all segments of a camera belong to.
    func run(_ camera: Int, spoolID: UInt64) -> MediaRecord {
        MediaRecord(
            spoolID: spoolID,
            run: Run(runID: runID(camera), source: source(camera), startedUs: zeroUs, leaseEpoch: 1))
    }

    func segment(_ camera: Int, _ number: Int, spoolID: UInt64) -> MediaRecord {
        var mixed = UInt64(truncatingIfNeeded: number &* 64 &+ camera &+ 1) &* 0x9E37_79B9_7F4A_7C15
        let hash = [UInt8](unsafeUninitializedCapacity: 32) { bytes, count in
            for index in 0..<32 {
                mixed = mixed &* 6_364_136_223_846_793_005 &+ 1
                bytes[index] = UInt8(truncatingIfNeeded: mixed >> 56)
            }
            count = 32
        }
        return MediaRecord(
            spoolID: spoolID,
            file: MediaFile(
                kind: .segment, volumeID: volumeID, path: path(camera, number), source: source(camera),
                stream: StreamName(asset: asset(camera), stream: "clips"), startUs: startUs(number),
                endUs: startUs(number + 1), sizeBytes: sizeBytes, frames: 250, videoCodec: "h264", widthPx: 1920,
                heightPx: 1080, runID: runID(camera), leaseEpoch: 1, sha256: hash, fileExtension: "mp4",
                sequence: UInt32(truncatingIfNeeded: number)))
    }

    private func runID(_ camera: Int) -> String {
        let digits = String(camera, radix: 16)
        return "6d1e7a0e-0c2b-4a51-9a7e-" + String(repeating: "0", count: 12 - digits.count) + digits
    }
}

/// "cam01/clips/2026/11/23/06/20261123T065813.123456Z_20261123T065823.123456Z.mp4".
enum SegmentPath {
    static func text(asset: String, startUs: Int64, endUs: Int64) -> String {
        let start = CompactTime(us: startUs)
        return "\(asset)/clips/\(start.hourFolders)/\(start.text)_\(CompactTime(us: endUs).text).mp4"
    }
}

/// A time as paths have it, UTC. Made ten million times, so without a formatter.
struct CompactTime {
    private var parts = tm()
    private let micros: Int

    init(us: Int64) {
        var seconds = time_t(us / 1_000_000)
        micros = Int(us % 1_000_000)
        gmtime_r(&seconds, &parts)
    }

    /// "20261123T065813.123456Z".
    var text: String {
        Self.string(23) { put in
            put(year, 4, nil)
            put(month, 2, nil)
            put(day, 2, "T")
            put(hour, 2, nil)
            put(Int(parts.tm_min), 2, nil)
            put(Int(parts.tm_sec), 2, ".")
            put(micros, 6, "Z")
        }
    }

    /// "2026/11/23/06".
    var hourFolders: String {
        Self.string(13) { put in
            put(year, 4, "/")
            put(month, 2, "/")
            put(day, 2, "/")
            put(hour, 2, nil)
        }
    }

    /// RFC 3339, for commands: "2026-11-23T06:58:13.123456Z".
    var iso: String {
        Self.string(27) { put in
            put(year, 4, "-")
            put(month, 2, "-")
            put(day, 2, "T")
            put(hour, 2, ":")
            put(Int(parts.tm_min), 2, ":")
            put(Int(parts.tm_sec), 2, ".")
            put(micros, 6, "Z")
        }
    }

    private var year: Int { Int(parts.tm_year) + 1900 }
    private var month: Int { Int(parts.tm_mon) + 1 }
    private var day: Int { Int(parts.tm_mday) }
    private var hour: Int { Int(parts.tm_hour) }

    /// `put` writes a number with so many digits, then a sign where one is given.
    private static func string(_ count: Int, _ fill: ((Int, Int, Unicode.Scalar?) -> Void) -> Void) -> String {
        String(unsafeUninitializedCapacity: count) { bytes in
            var end = 0
            fill { number, digits, sign in
                var rest = number
                for place in (end..<end + digits).reversed() {
                    bytes[place] = UInt8(truncatingIfNeeded: 48 + rest % 10)
                    rest /= 10
                }
                end += digits
                if let sign {
                    bytes[end] = UInt8(truncatingIfNeeded: sign.value)
                    end += 1
                }
            }
            return end
        }
    }
}
