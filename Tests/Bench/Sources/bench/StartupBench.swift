// StartupBench: from the connection to a camera to its first stored frame.
//
// One running controller is given one more camera at a time. A whole frame must be found in the file that grows in staging; the
// time in which the camera had no keyframe to give is not the recorder's, so it is subtracted.

import ArgumentParser
import Foundation

struct StartupBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "startup", abstract: "From the connection to a camera to its first stored frame.")

    @Option(help: "Starts, each of a camera of its own.") var starts = 20
    @Option(help: "Folder with the services' executables.") var bin = ".build/release"
    @OptionGroup var common: CommonOptions

    func run() throws {
        let machine = Machine.current()
        try LoadCameras.prepare()
        let load = try LoadCameras(starts)
        defer { load.end() }
        let site = try CaptureSite(bin: bin)
        defer { site.end() }
        var values = Rounds()
        var waits = Rounds()
        var answers = Rounds()
        for camera in 0..<starts {
            let device = CaptureSite.device(camera)
            var frames = FirstFrames(volume: site.volume)
            site.record(camera + 1, of: load)
            let stored = try frames.wait(for: [device], seconds: 30)[device] ?? .nan
            let session = try load.wait("a session with \(device)", seconds: 1) { story in
                story.sessions.last { $0.camera == camera && $0.keyframe != nil }
            }
            let wait = (session.keyframe ?? .nan) - session.playing
            values.add((stored - session.connected - wait) * 1000)
            waits.add(wait * 1000)
            answers.add((session.playing - session.connected) * 1000)
            // No start shall meet the same moment of a group of pictures.
            Thread.sleep(forTimeInterval: .random(in: 0...LoadCameras.keyframeSeconds))
        }
        let sent = try load.report()
        var report = Report(bench: "startup", machine: machine, rounds: starts)
        report.figures = [
            Figure(
                name: "startup.first-stored-frame.most", value: values.spread?.upperBound ?? .nan, unit: "ms",
                bar: .atMost(100), spread: values.spread),
            Figure(
                name: "startup.first-stored-frame.p50", value: values.median, unit: "ms", bar: .none,
                spread: values.spread),
            Figure(
                name: "startup.connected-to-playing.p50", value: answers.median, unit: "ms", bar: .none,
                spread: answers.spread),
            Figure(
                name: "startup.wait-for-keyframe.p50", value: waits.median, unit: "ms", bar: .none,
                spread: waits.spread),
            Figure(name: "startup.frames-sent-late", value: Double(sent.late), unit: "frames", bar: .atMost(0)),
        ]
        report.notes.append("first-stored-frame is without the wait for a keyframe, which is the camera's")
        throw ExitCode(try report.finish(writingTo: common.output))
    }
}
