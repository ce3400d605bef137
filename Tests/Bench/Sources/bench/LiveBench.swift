// LiveBench: what it costs to push cameras to a media server as they come, beside ffmpeg -c copy, and how much later a frame is there.
//
// Cameras of 1080p, 25 frames a second and 4 Mbit/s put into each frame when they send it (rtsploadcam -t); the media server
// (rtspsink) tells how long each frame took to be there with its last byte. The peers take turns within a round. The controller
// keeps its cameras' rings meanwhile, as it does at a site.

import ArgumentParser
import Foundation
import Wire

struct LiveBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "live",
        abstract: "Processor and delay of pushing cameras to a media server, beside ffmpeg -c copy.")

    @Option(help: "Cameras that are pushed at the same time.") var cameras = 8
    @Option(help: "Rounds; each measures both.") var rounds = 3
    @Option(help: "Seconds of a window.") var seconds = 15.0
    @Option(help: "Folder with the services' executables.") var bin = ".build/release"
    @OptionGroup var common: CommonOptions

    /// Rings are full, and whoever had to begin with a group of pictures has caught up.
    private static let warmUpSeconds = Double(CaptureSite.ringSeconds) + 2 * LoadCameras.keyframeSeconds

    private struct Measured {
        var cpuPerCent = Rounds()
        var p50Ms = Rounds()
        var p99Ms = Rounds()
        var missing = 0
        var late = 0
    }

    func run() throws {
        let machine = Machine.current()
        try LoadCameras.prepare()
        var ours = Measured()
        var peer = Measured()
        for round in 0..<rounds {
            // Each is first in turn.
            if round % 2 == 0 { try pushOurs(&ours) }
            try pushFFmpeg(&peer)
            if round % 2 == 1 { try pushOurs(&ours) }
        }
        var report = Report(bench: "live", machine: machine, rounds: rounds)
        func figure(_ name: String, _ unit: String, _ bar: Bar, _ part: (Measured) -> Rounds) -> Figure {
            Figure(
                name: "live.\(name)", value: part(ours).median, unit: unit, peer: part(peer).median,
                peerName: "ffmpeg -c copy", bar: bar, spread: part(ours).spread, peerSpread: part(peer).spread)
        }
        report.figures = [
            figure("cpu-per-stream", "%core", .ratioAtMost(0.4), \.cpuPerCent),
            figure("delay.p50", "ms", .none, \.p50Ms), figure("delay.p99", "ms", .atMost(25), \.p99Ms),
            Figure(name: "live.frames-missing", value: Double(ours.missing), unit: "frames", bar: .atMost(0)),
            Figure(
                name: "live.frames-sent-late", value: Double(ours.late + peer.late), unit: "frames", bar: .atMost(0)),
        ]
        report.notes.append(
            "\(cameras) cameras; cpu is all of the controller, with sessions and rings; delay is from the camera's sending of a "
                + "frame to its last byte at the media server")
        throw ExitCode(try report.finish(writingTo: common.output))
    }

    private func pushOurs(_ measured: inout Measured) throws {
        let load = try LoadCameras(cameras, hasStamps: true)
        defer { load.end() }
        let sink = try MediaSink()
        defer { sink.end() }
        let site = try CaptureSite(bin: bin)
        defer { site.end() }
        site.run(of: cameras, load, ringSeconds: CaptureSite.ringSeconds) { camera in
            TaskSettings(type: .streamToRtsp, mediaServerURL: "rtsp://127.0.0.1:\(sink.port)/cam\(camera)")
        }
        try measure(ProcessUse(processes: [site.processID]), load, sink, &measured)
        guard site.isRunning else { throw BenchError("the controller ended: \(site.log.suffix(1000))") }
    }

    private func pushFFmpeg(_ measured: inout Measured) throws {
        let load = try LoadCameras(cameras, hasStamps: true)
        defer { load.end() }
        let sink = try MediaSink()
        defer { sink.end() }
        let pushes = try (0..<cameras).map { camera in
            let process = dependentProcess([
                "/usr/bin/env", "ffmpeg", "-nostdin", "-loglevel", "error", "-rtsp_transport", "tcp", "-i",
                load.url(camera), "-c", "copy", "-f", "rtsp", "-rtsp_transport", "tcp",
                "rtsp://127.0.0.1:\(sink.port)/cam\(camera)",
            ])
            process.standardError = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            try process.run()
            return process
        }
        defer {
            for push in pushes {
                push.terminate()
                push.waitUntilExit()
            }
        }
        try measure(ProcessUse(processes: pushes.map(\.processIdentifier)), load, sink, &measured)
    }

    private func measure(
        _ use: ProcessUse, _ load: LoadCameras, _ sink: MediaSink, _ measured: inout Measured
    ) throws {
        try load.wait("every camera plays", seconds: 60) { $0.playing(atLeast: cameras) ? () : nil }
        Thread.sleep(forTimeInterval: Self.warmUpSeconds)
        _ = try (load.report(), sink.report())
        let (before, began) = (try use.cpuSeconds(), ContinuousClock.now)
        Thread.sleep(forTimeInterval: seconds)
        let took = began.duration(to: .now) / .seconds(1)
        measured.cpuPerCent.add((try use.cpuSeconds() - before) / took / Double(cameras) * 100)
        let (sent, taken) = (try load.report(), try sink.report())
        guard taken.streams == cameras else {
            throw BenchError("\(taken.streams) of \(cameras) streams are at the media server")
        }
        guard taken.stamped > 0 else { throw BenchError("no frame at the media server says when it was sent") }
        measured.p50Ms.add(taken.p50Ms)
        measured.p99Ms.add(taken.p99Ms)
        // Frames that are on their way at either end of the window, one of each camera.
        measured.missing += max(0, sent.frames - taken.frames - cameras)
        measured.late += sent.late
    }
}

/// Tests/Support/cameras/rtspsink as a process.
private final class MediaSink {
    struct Taken {
        let streams: Int
        let frames: Int
        let stamped: Int
        let p50Ms: Double
        let p99Ms: Double
    }

    let port: Int
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var pending = Data()

    init() throws {
        port = try freePort()
        process.executableURL = URL(fileURLWithPath: ".build/cameras/rtspsink")
        process.arguments = ["-p", "\(port)"]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        _ = try line()
    }

    private func line() throws -> [Double] {
        while true {
            if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                let text = String(decoding: pending[pending.startIndex..<end], as: UTF8.self)
                pending.removeSubrange(pending.startIndex...end)
                return text.split(separator: " ").dropFirst().compactMap { Double($0) }
            }
            let more = output.fileHandleForReading.availableData
            guard !more.isEmpty else { throw BenchError("the media server ended") }
            pending += more
        }
    }

    /// What came since the last call.
    func report() throws -> Taken {
        try input.fileHandleForWriting.write(contentsOf: Data("report\n".utf8))
        let numbers = try line()
        guard numbers.count == 6 else { throw BenchError("the media server's report makes no sense") }
        return Taken(
            streams: Int(numbers[0]), frames: Int(numbers[1]), stamped: Int(numbers[2]), p50Ms: numbers[3],
            p99Ms: numbers[4])
    }

    func end() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}
