// Inputs made by ffmpeg when the tests run, as packets; and ffmpeg and ffprobe as the judges of what we write.
import Foundation
import Media
import Testing

/// Runs a program and returns what it wrote.
enum Tool {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    struct Output {
        let status: Int32
        let output: Data
        let errors: String
        var text: String { String(decoding: output, as: UTF8.self) }
    }

    static func run(_ name: String, _ arguments: [String]) throws -> Output {
        let folder = try Folder()
        let errors = folder.url.appendingPathComponent("stderr")
        let output = folder.url.appendingPathComponent("stdout")
        // Files instead of pipes: no deadlock however much either side writes.
        for file in [errors, output] { _ = FileManager.default.createFile(atPath: file.path, contents: nil) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [name] + arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        process.waitUntilExit()
        return Output(
            status: process.terminationStatus, output: try Data(contentsOf: output),
            errors: String(decoding: try Data(contentsOf: errors), as: UTF8.self))
    }

    /// Runs ffmpeg without its banner; throws with its own words where it fails.
    @discardableResult
    static func ffmpeg(_ arguments: [String]) throws -> Output {
        let result = try run("ffmpeg", ["-hide_banner", "-loglevel", "warning", "-nostdin", "-y"] + arguments)
        guard result.status == 0 else { throw Failure(description: "ffmpeg: \(result.errors)") }
        return result
    }
}

/// A folder that is gone with its last reference.
final class Folder {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("MediaTests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(at: url)
    }

    func path(_ name: String) -> String {
        url.appendingPathComponent(name).path
    }

    func write(_ bytes: [UInt8], _ name: String) throws -> String {
        try Data(bytes).write(to: url.appendingPathComponent(name))
        return path(name)
    }

    func read(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: url.appendingPathComponent(name)))
    }
}

/// A stream of packets and the hashes of its pictures as ffmpeg decodes the original.
struct Clip: Sendable {
    let packets: [MediaPacket]
    let frameHashes: [String]
    /// The original file.
    let original: [UInt8]
}

/// Clips of two seconds, 320 x 240, 25 frames per second, made once per run of the tests.
enum Fixtures {
    static let h264 = Result {
        try clip(.h264, ["-c:v", "libx264", "-x264-params", "keyint=25:bframes=0:repeat-headers=1:aud=1"])
    }
    static let reordered = Result {
        try clip(
            .h264,
            ["-c:v", "libx264", "-x264-params", "keyint=25:bframes=3:b-adapt=0:b-pyramid=normal:repeat-headers=1"])
    }
    static let hevc = Result {
        try clip(
            .hevc,
            [
                "-c:v", "libx265", "-x265-params", "log-level=none:keyint=25:bframes=3:repeat-headers=1:aud=1",
                "-tag:v", "hvc1",
            ])
    }
    static let mjpeg = Result { try clip(.mjpeg, ["-c:v", "mjpeg", "-q:v", "5", "-pix_fmt", "yuvj420p"]) }
    /// H.264 and H.265 without reordering, in two sizes each: a camera that changes its picture while it runs.
    static let changing: [Codec: [Result<Clip, any Error>]] = Dictionary(
        uniqueKeysWithValues: [Codec.h264, .hevc].map { codec in
            let encoder =
                codec == .h264
                ? ["-c:v", "libx264", "-x264-params", "keyint=10:bframes=0:repeat-headers=1"]
                : [
                    "-c:v", "libx265", "-x265-params", "log-level=none:keyint=10:bframes=0:repeat-headers=1",
                    "-tag:v", "hvc1",
                ]
            return (
                codec,
                ["320:240", "192:128"].map { size in Result { try clip(codec, ["-vf", "scale=\(size)"] + encoder) } }
            )
        })
    /// Small enough to be cut at every byte.
    static let tiny = Result {
        try clip(
            .h264, ["-vf", "scale=64:48", "-c:v", "libx264", "-x264-params", "keyint=10:bframes=2:repeat-headers=1"])
    }

    static func all() -> [(name: String, clip: Result<Clip, any Error>)] {
        [("h264", h264), ("h264 reordered", reordered), ("hevc", hevc), ("mjpeg", mjpeg)]
    }

    static let runID = "6d1e7a0e-0c2b-4a51-9a7e-4d0f3f2c9b11"

    static func info() -> SegmentInfo {
        var info = SegmentInfo(device: "gate", endpoint: "main", runID: runID)
        info.startUs = 1_764_000_000_000_000
        info.anchor = MediaAnchor(mediaUs: 0, wallUs: 1_764_000_000_000_000)
        return info
    }

    /// ffmpeg makes a fragmented file, our reader reads it, the assembler makes packets of it as it does of RTP.
    static func clip(_ codec: Codec, _ arguments: [String]) throws -> Clip {
        let folder = try Folder()
        try Tool.ffmpeg(
            ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=2", "-pix_fmt", "yuv420p"] + arguments
                + ["-video_track_timescale", "90000", "-movflags", "frag_keyframe+empty_moov+default_base_moof"]
                + ["-f", "mp4", folder.path("in.mp4")])
        let original = try folder.read("in.mp4")
        let reader = FragmentedMP4Reader(MemoryBytes(original))
        var assembler = VideoAssembler(codec: codec, timescale: 90_000)
        var packets: [MediaPacket] = []
        for (number, sample) in try reader.fragments().flatMap(\.samples).enumerated() {
            let payload = try reader.payload(of: sample)
            let piece = codec == .mjpeg ? payload : payload.withUnsafeBytes { AnnexB.fromLengthPrefixed($0) } ?? []
            let packet = piece.withUnsafeBytes {
                assembler.append($0, ptsTicks: 500_000 + sample.ptsTicks, arrivalNs: Int64(number) * 40_000_000)
            }
            if let packet { packets.append(packet) }
        }
        if let last = assembler.flush() { packets.append(last) }
        return Clip(packets: packets, frameHashes: try frameHashes(folder.path("in.mp4")), original: original)
    }

    /// Hash of each decoded picture, in the order of presentation.
    static func frameHashes(_ path: String) throws -> [String] {
        let result = try Tool.ffmpeg(["-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"])
        return result.text.split(separator: "\n").filter { !$0.hasPrefix("#") }
            .compactMap { $0.split(separator: ",").last.map { $0.trimmingCharacters(in: .whitespaces) } }
    }
}

/// Numbers that are the same in each run: SplitMix64.
struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

extension AnnexB {
    /// Units behind 4-byte lengths to units behind start codes, as RTP would bring them. nil where a length does not fit.
    static func fromLengthPrefixed(_ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
        lengthPrefixedUnits(in: bytes).map { units in
            units.flatMap { [0, 0, 0, 1] + Array(UnsafeRawBufferPointer(rebasing: bytes[$0])) }
        }
    }
}
