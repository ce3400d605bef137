// PeerRecorders: how ffmpeg and GStreamer record the same cameras into files of the same length, without decoding.

import Foundation

/// Recorders of one kind, at work.
final class PeerRecorders {
    enum Kind: String {
        /// A process for each camera: it reads its inputs in turn, and one that stalls would stall all.
        case ffmpeg
        /// One process for all, which is cheaper than one for each: its threads share the libraries' memory.
        case gstreamer
    }

    let kind: Kind
    private let folder: String
    private var running: [Process] = []

    /// Whether its program is there, with all that it needs.
    static func isInstalled(_ kind: Kind) -> Bool {
        let question = kind == .ffmpeg ? ["ffmpeg", "-version"] : ["gst-inspect-1.0", "--exists", "h264parse"]
        return (try? bench.run(["/usr/bin/env"] + question)) != nil
    }

    init(_ kind: Kind, _ cameras: LoadCameras) throws {
        self.kind = kind
        folder = "/tmp/sg-bench-\(getpid())-\(kind.rawValue)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        switch kind {
        case .ffmpeg:
            for camera in 0..<cameras.cameras {
                try start(
                    "ffmpeg",
                    [
                        "-nostdin", "-loglevel", "error", "-rtsp_transport", "tcp", "-i", cameras.url(camera), "-c",
                        "copy", "-f", "segment", "-segment_time", "\(CaptureSite.segmentSeconds)", "-segment_format",
                        "mp4", "-reset_timestamps", "1", "\(folder)/cam\(camera)-%05d.mp4",
                    ])
            }
        case .gstreamer:
            // Live, as the others are: without a delay for packets out of order, which TCP has none of.
            try start(
                "gst-launch-1.0",
                ["-q", "-e"]
                    + (0..<cameras.cameras).flatMap { camera in
                        [
                            "rtspsrc", "location=\(cameras.url(camera))", "protocols=tcp", "latency=0", "!",
                            "rtph264depay", "!", "h264parse", "!", "splitmuxsink",
                            "location=\(folder)/cam\(camera)-%05d.mp4",
                            "max-size-time=\(CaptureSite.segmentSeconds * 1_000_000_000)",
                        ]
                    })
        }
    }

    private func start(_ tool: String, _ arguments: [String]) throws {
        let process = dependentProcess([tool] + arguments)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        running.append(process)
    }

    var use: ProcessUse { ProcessUse(processes: running.map(\.processIdentifier)) }

    /// Waits until ffmpeg has ended because its cameras did, and gives the frames in its files.
    func framesStored() throws -> Int {
        running.forEach { $0.waitUntilExit() }
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        return try names.reduce(0) { sum, name in
            let text = try bench.run([
                "/usr/bin/env", "ffprobe", "-v", "error", "-count_packets", "-select_streams", "v:0", "-show_entries",
                "stream=nb_read_packets", "-of", "csv=p=0", "\(folder)/\(name)",
            ])
            return sum + (text.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0)
        }
    }

    func end() {
        for process in running where process.isRunning { process.terminate() }
        running.forEach { $0.waitUntilExit() }
        try? FileManager.default.removeItem(atPath: folder)
    }
}
