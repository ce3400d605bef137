// What the suite asks pictures of: keyframes made by ffmpeg when the tests run.
import Foundation
import Harness
import Media
import Testing

@testable import MediaWork

enum Keyframes {
    /// The first picture of ffmpeg's test card, 320 x 240, as a camera's packet.
    static func make(_ codec: Codec) async throws -> MediaPacket {
        let encoder: [String] =
            switch codec {
            case .h264: ["-c:v", "libx264", "-f", "h264"]
            case .hevc: ["-c:v", "libx265", "-x265-params", "log-level=none", "-f", "hevc"]
            default: ["-c:v", "mjpeg", "-q:v", "5", "-pix_fmt", "yuvj420p", "-f", "mjpeg"]
            }
        let folder = try TemporaryDirectory()
        let made = try await runTool(
            "ffmpeg",
            ["-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240", "-frames:v", "1"]
                + ["-pix_fmt", "yuv420p"] + encoder + [folder.path("keyframe")])
        try #require(made.exitCode == 0, "\(made.error)")
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder.path("keyframe"))))
        var assembler = VideoAssembler(codec: codec, timescale: 90_000)
        let packet = bytes.withUnsafeBytes { assembler.append($0, ptsTicks: 0, arrivalNs: 0) } ?? assembler.flush()
        return try #require(packet)
    }

    static func request(_ codec: Codec = .h264, format: PictureFormat = .jpeg) async throws -> PictureRequest {
        try PictureRequest(try await make(codec), PictureStyle(format))
    }

    /// A JPEG that says it is larger than it is.
    static func jpeg(widthPx: Int, heightPx: Int) async throws -> PictureRequest {
        var bytes = try await make(.mjpeg).bytes.array
        let frame = try #require(bytes.indices.dropLast(9).first { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xC0 })
        bytes.replaceSubrange(
            frame + 5..<frame + 9,
            with: [heightPx >> 8, heightPx & 0xFF, widthPx >> 8, widthPx & 0xFF].map { UInt8($0) })
        return try PictureRequest(
            codec: .mjpeg, decoderConfiguration: [], widthPx: 0, heightPx: 0, packet: PacketBytes(bytes),
            style: PictureStyle(.png))
    }
}

/// Asks on a thread of its own, as the tasks of the controller do.
func ask(
    _ client: MediaWorkerClient, _ request: PictureRequest, within limit: Duration = MediaWorkerClient.defaultLimit
) async -> Result<Picture, PictureError> {
    await withCheckedContinuation { continuation in
        let isStarted = startWorkThread {
            do throws(PictureError) {
                continuation.resume(returning: .success(try client.picture(of: request, within: limit)))
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
        #expect(isStarted)
    }
}

extension Result where Failure == PictureError {
    var error: PictureError? { if case .failure(let error) = self { error } else { nil } }
}

/// The executable under test, with one process unless a test wants more.
func realClient(workers: Int = 1) throws -> MediaWorkerClient {
    MediaWorkerClient(executable: try Executables.path(of: "media-worker").path, workers: workers)
}

/// A client whose worker is a shell script.
func scriptedClient(_ script: String, in folder: TemporaryDirectory) throws -> MediaWorkerClient {
    let path = try folder.write("#!/bin/sh\n\(script)\n", to: "worker")
    try #require(chmod(path, 0o700) == 0)
    return MediaWorkerClient(executable: path, workers: 1)
}

/// What /proc says about a process.
enum ProcessFacts {
    /// False for one that waits to be reaped, too.
    static func isRunning(_ id: Int32) -> Bool {
        guard let status = try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8) else { return false }
        return !["Z", "X"].contains(status.split(separator: ")").last?.split(separator: " ").first ?? "X")
    }

    static func text(_ id: Int32, _ file: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: "/proc/\(id)/\(file)")), as: UTF8.self)
    }

    /// The limits are set last.
    static func isLockedIn(_ id: Int32) throws -> Bool {
        try text(id, "limits").split(separator: "\n")
            .contains { $0.hasPrefix("Max open files") && $0.split(separator: " ")[3] == "4" }
    }
}
