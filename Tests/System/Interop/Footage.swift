// What ffmpeg reads in a file: its packets and its decoded pictures, as a list that can be compared with that of another file.

import Foundation
import Harness
import Testing

@testable import RTSP

/// What a film or a recording holds.
struct Footage: Sendable {
    /// One packet or picture of ffmpeg's framemd5.
    struct Unit: Sendable {
        let dtsUs: Int64
        let ptsUs: Int64
        let sizeBytes: Int
        let hash: String
    }

    /// In decoding order; `hash` is of what a receiver must keep: without parameter sets and delimiters, of a JPEG picture its tables
    /// and its scan.
    private(set) var pictures: [Unit] = []
    /// In the order in which they are shown; `hash` is of the picture as it looks.
    private(set) var decoded: [Unit] = []
    private(set) var sounds: [Unit] = []
    /// What ffmpeg says while it decodes all of it.
    let warnings: String

    /// - Parameter folder: for intermediate files.
    init(_ path: String, of film: Film, in folder: TemporaryDirectory) async throws {
        let scratch = try folder.makeFolder("\(UUID())")
        let lists = (decoded: "\(scratch)/decoded", pictures: "\(scratch)/pictures", sounds: "\(scratch)/sounds")
        let stream = "\(scratch)/stream"
        // Time stamps as they are, every picture once.
        let input = ["-v", "warning", "-nostdin", "-threads", "1", "-copyts", "-i", path]
        warnings = try await tool("ffmpeg", ["-v", "warning", "-nostdin", "-i", path, "-f", "null", "-"]).error
        try await tool("ffmpeg", input + ["-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", lists.decoded])
        let filter: [String] =
            switch film.pictures {
            case .h264, .h264b: ["-bsf:v", "h264_mp4toannexb,filter_units=remove_types=7-9"]
            case .hevc: ["-bsf:v", "hevc_mp4toannexb,filter_units=remove_types=32-35"]
            case .mjpeg: []
            }
        var outputs = ["-map", "0:v", "-c", "copy"] + filter + ["-f", "framemd5", lists.pictures]
        if film.pictures == .mjpeg { outputs += ["-map", "0:v", "-c", "copy", "-f", "data", stream] }
        if film.sound != .none { outputs += ["-map", "0:a", "-c", "copy", "-f", "framemd5", lists.sounds] }
        try await tool("ffmpeg", input + outputs)
        decoded = try Self.list(lists.decoded)
        pictures = try Self.list(lists.pictures)
        if film.sound != .none { sounds = try Self.list(lists.sounds) }
        if film.pictures == .mjpeg { try keepScans([UInt8](try Data(contentsOf: URL(fileURLWithPath: stream)))) }
    }

    /// Lines of "stream, dts, pts, duration, size, hash" behind "#tb 0: 1/1000".
    private static func list(_ path: String) throws -> [Unit] {
        var units: [Unit] = []
        var timeBase = (numerator: 1.0, denominator: 1.0)
        for line in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n") {
            if line.hasPrefix("#tb 0: ") {
                let parts = line.dropFirst(7).split(separator: "/").compactMap { Double($0) }
                try #require(parts.count == 2)
                timeBase = (parts[0], parts[1])
            }
            guard !line.hasPrefix("#") else { continue }
            let fields = line.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
            try #require(fields.count == 6, "\(line)")
            func us(_ field: String) throws -> Int64 {
                Int64((try #require(Double(field)) * timeBase.numerator * 1e6 / timeBase.denominator).rounded())
            }
            units.append(
                Unit(
                    dtsUs: try us(fields[1]), ptsUs: try us(fields[2]), sizeBytes: try #require(Int(fields[4])),
                    hash: fields[5]))
        }
        return units
    }

    /// The header of a JPEG picture is made anew by each receiver: what it must keep is what `JPEGScan` reads.
    private mutating func keepScans(_ stream: [UInt8]) throws {
        var start = 0
        pictures = try pictures.map { unit in
            let picture = Array(stream[start..<start + unit.sizeBytes])
            start += unit.sizeBytes
            let scan = try picture.withUnsafeBytes { try JPEGScan($0) }
            let kept = Data([scan.type, scan.precision] + scan.tables + picture[scan.data])
            return Unit(
                dtsUs: unit.dtsUs, ptsUs: unit.ptsUs, sizeBytes: unit.sizeBytes, hash: kept.base64EncodedString())
        }
        try #require(start == stream.count)
    }
}

extension [Footage.Unit] {
    /// Where a run of these units begins in a film that is played over and over; nil where it is none: one is missing, stands twice
    /// or is another one.
    func place(of run: [Footage.Unit]) -> Int? {
        guard Set(map(\.hash)).count == count, let first = run.first else { return nil }
        guard let start = firstIndex(where: { $0.hash == first.hash }) else { return nil }
        let isWhole = run.enumerated().allSatisfy { self[(start + $0) % count].hash == $1.hash }
        return isWhole ? start : nil
    }
}

/// What the films hold: each is read once.
actor Sources {
    private var read: [String: Task<Footage, any Error>] = [:]

    func footage(of film: Film, in folder: TemporaryDirectory) async throws -> Footage {
        // Detached: a task of the suite's would hold the site, which holds this.
        let reading = read[film.name] ?? Task.detached { try await Footage(film.path, of: film, in: folder) }
        read[film.name] = reading
        return try await reading.value
    }
}
