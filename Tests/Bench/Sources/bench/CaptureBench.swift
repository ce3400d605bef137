// CaptureBench: what it costs to record cameras, beside ffmpeg and GStreamer.
//
// Cameras of 1080p, 25 frames a second and 4 Mbit/s come by RTP over TCP from rtsploadcam. The recorders take turns: within a
// round each of them records all cameras alone, with a warm-up in which rings fill, then a window in which the kernel's figures
// are taken. Then the cameras end, and what they sent is compared with what is in the files.
//
//     Tests/bench capture                               16 cameras, 3 rounds
//     Tests/bench capture --cameras 128 --minutes 10    the controller alone for long; finished files are deleted above 4 GB

import ArgumentParser
import Foundation

struct CaptureBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "capture", abstract: "Processor, memory and losses of recording, beside ffmpeg and GStreamer.")

    @Option(help: "Cameras that are recorded at the same time.") var cameras = 16
    @Option(help: "Rounds; each measures every recorder once.") var rounds = 3
    @Option(help: "Seconds of a window.") var seconds = 20.0
    @Option(help: "Minutes of a long window: one round of the controller alone.") var minutes: Double?
    @Option(help: "Bytes of finished files that the long form keeps; the oldest go.") var retainedBytes = 4_000_000_000
    @Option(help: "Folder with the services' executables.") var bin = ".build/release"
    @OptionGroup var common: CommonOptions

    /// Rings hold all they will ever hold after their seconds and two groups of pictures.
    private static let warmUpSeconds = Double(CaptureSite.ringSeconds) + 2 * LoadCameras.keyframeSeconds

    private struct Turn {
        /// Per cent of one core for one camera.
        let cpuPerCent: Double
        let pssMiB: Double
        let sent: LoadCameras.Sent
        var framesSent = 0
        var framesStored = 0
        var framesDeclared = 0
        /// Per cent of one core that the cameras themselves took.
        let simulatorPerCent: Double
    }

    private var window: Double { minutes.map { $0 * 60 } ?? seconds }

    func run() throws {
        let machine = Machine.current()
        try LoadCameras.prepare()
        var turns: [String: [Turn]] = [:]
        var recorders: [(name: String, turn: () throws -> Turn)] = [("ours", controllerTurn)]
        if minutes == nil {
            for kind in [PeerRecorders.Kind.ffmpeg, .gstreamer] where PeerRecorders.isInstalled(kind) {
                recorders.append((kind.rawValue, { try peerTurn(kind) }))
            }
        }
        let count = minutes == nil ? rounds : 1
        for round in 0..<count {
            for offset in recorders.indices {
                let recorder = recorders[(round + offset) % recorders.count]
                turns[recorder.name, default: []].append(try recorder.turn())
            }
        }
        var report = Report(bench: minutes == nil ? "capture" : "capture-long", machine: machine, rounds: count)
        try add(turns, to: &report)
        throw ExitCode(try report.finish(writingTo: common.output))
    }

    // MARK: Turns

    private func controllerTurn() throws -> Turn {
        let load = try LoadCameras(cameras)
        defer { load.end() }
        let site = try CaptureSite(bin: bin, retainedBytes: minutes == nil ? .max : retainedBytes)
        defer { site.end() }
        site.record(cameras, of: load)
        var turn = try measure(ProcessUse(processes: [site.processID]), load) { try site.countFinished() }
        turn.framesSent = try load.close()
        try site.settle(framesSent: turn.framesSent)
        turn.framesStored = site.framesStored
        turn.framesDeclared = site.framesDeclared
        guard site.isRunning else { throw BenchError("the controller ended: \(site.log.suffix(1000))") }
        return turn
    }

    private func peerTurn(_ kind: PeerRecorders.Kind) throws -> Turn {
        let load = try LoadCameras(cameras)
        defer { load.end() }
        let recorders = try PeerRecorders(kind, load)
        defer { recorders.end() }
        var turn = try measure(recorders.use, load) {}
        // GStreamer does not finish its files when a camera ends: its frames are not counted.
        guard kind == .ffmpeg else { return turn }
        turn.framesSent = try load.close()
        turn.framesStored = try recorders.framesStored()
        return turn
    }

    /// Waits until all cameras are recorded and the warm-up is over, then measures a window. `eachSecond` is called in both.
    private func measure(_ use: ProcessUse, _ load: LoadCameras, eachSecond: () throws -> Void) throws -> Turn {
        func pass(_ seconds: Double) throws {
            let end = ContinuousClock.now + .seconds(seconds)
            while ContinuousClock.now < end {
                Thread.sleep(forTimeInterval: min(1, seconds))
                try eachSecond()
            }
        }
        try load.wait("every camera plays", seconds: 60) { $0.playing(atLeast: cameras) ? () : nil }
        try pass(Self.warmUpSeconds)
        let simulator = ProcessUse(processes: [load.processID])
        _ = try load.report()
        let began = ContinuousClock.now
        let (before, simulatorBefore) = (try use.cpuSeconds(), try simulator.cpuSeconds())
        try pass(window)
        let (after, simulatorAfter) = (try use.cpuSeconds(), try simulator.cpuSeconds())
        let took = began.duration(to: .now) / .seconds(1)
        return Turn(
            cpuPerCent: (after - before) / took / Double(cameras) * 100, pssMiB: try use.pssMiB() / Double(cameras),
            sent: try load.report(), simulatorPerCent: (simulatorAfter - simulatorBefore) / took * 100)
    }

    // MARK: Figures

    private func add(_ turns: [String: [Turn]], to report: inout Report) throws {
        func rounds(_ name: String, _ part: (Turn) -> Double) -> Rounds? {
            guard let turns = turns[name] else { return nil }
            var rounds = Rounds()
            for turn in turns { rounds.add(part(turn)) }
            return rounds
        }
        func figure(
            _ name: String, _ unit: String, _ bar: Bar, beside peer: String? = nil, of recorder: String = "ours",
            _ part: (Turn) -> Double
        ) {
            guard let own = rounds(recorder, part) else { return }
            let other = peer.flatMap { rounds($0, part) }
            report.figures.append(
                Figure(
                    name: "capture.\(name)", value: own.median, unit: unit, peer: other?.median, peerName: peer,
                    bar: bar, spread: own.spread, peerSpread: other?.spread))
        }
        // A ring holds whole groups of pictures, so up to one more than its seconds. The cameras' keyframes are apart, so that the
        // rings of many are half a group more.
        let ringSeconds = Double(CaptureSite.ringSeconds) + LoadCameras.keyframeSeconds / 2
        let ringMiB = try LoadCameras.bytesPerSecond() * ringSeconds / 1_048_576
        let most = { (part: (Turn) -> Int) in Double(turns.values.joined().map(part).max() ?? 0) }

        figure(
            "cpu-per-camera", "%core", minutes == nil ? .ratioAtMost(0.4) : .none, beside: "ffmpeg", \.cpuPerCent)
        if turns["gstreamer"] != nil {
            figure("cpu-per-camera-beside-gstreamer", "%core", .none, beside: "gstreamer", \.cpuPerCent)
        }
        figure("cpu", "%core", minutes == nil ? .none : .atMost(60)) { $0.cpuPerCent * Double(cameras) }
        figure("memory-per-camera", "MiB", .atMost(3 + ringMiB), beside: "ffmpeg", \.pssMiB)
        figure("memory-per-camera-without-ring", "MiB", .atMost(3)) { $0.pssMiB - ringMiB }
        if turns["gstreamer"] != nil {
            figure("memory-per-camera-beside-gstreamer", "MiB", .none, beside: "gstreamer", \.pssMiB)
        }
        figure("frames-sent", "frames", .none) { Double($0.framesSent) }
        report.figures += [
            Figure(
                name: "capture.frames-missing", value: lost(turns["ours"], { $0.framesSent - $0.framesStored }),
                unit: "frames", peer: turns["ffmpeg"].map { lost($0, { $0.framesSent - $0.framesStored }) },
                peerName: "ffmpeg", bar: .atMost(0)),
            Figure(
                name: "capture.frames-missing-undeclared",
                value: lost(turns["ours"], { $0.framesSent - $0.framesStored - $0.framesDeclared }), unit: "frames",
                bar: .atMost(0)),
            Figure(
                name: "capture.frames-sent-late", value: most { $0.sent.late }, unit: "frames", bar: .atMost(0)),
        ]
        figure("simulator-cpu", "%core", .none, \.simulatorPerCent)

        if most({ $0.sent.late }) > 0 || most({ $0.sent.lost }) > 0 {
            let latest = turns.values.joined().map(\.sent.mostLateMs).max() ?? 0
            report.notes.append(
                "VOID: the cameras sent late (up to \(Figure.text(latest)) ms) or gave up frames; the machine had too much to do"
            )
        }
        report.notes.append(
            "ring of a camera: \(Int(ringMiB * 1_048_576)) bytes, \(CaptureSite.ringSeconds) s and half a group of pictures"
        )
        report.notes.append("\(cameras) cameras, window \(Figure.text(window)) s; cpu is user and system time")
        if minutes == nil, turns["gstreamer"] == nil {
            report.notes.append(
                "GStreamer was not measured: it needs gstreamer1.0-tools, gstreamer1.0-plugins-good and -bad")
        }
    }

    /// The worst round: losses are not averaged.
    private func lost(_ turns: [Turn]?, _ part: (Turn) -> Int) -> Double { Double(turns?.map(part).max() ?? 0) }
}
