// ReconnectBench: from the moment at which a camera's port is open again to its first new stored frame.
//
// All cameras are on one port, so that one round gives a figure for each. Between close and open the host is up and refuses
// connections, as a camera that restarts does. The time in which a camera had no keyframe to give is subtracted.

import ArgumentParser
import Foundation

struct ReconnectBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reconnect", abstract: "From a camera that is back to its first new stored frame.")

    @Option(help: "Cameras that go and come together.") var cameras = 8
    @Option(help: "Times that they go and come.") var rounds = 5
    @Option(help: "Seconds for which the port is closed.") var seconds = 5.0
    @Flag(help: "Closed for 5 minutes, once.") var long = false
    @Option(help: "Folder with the services' executables.") var bin = ".build/release"
    @OptionGroup var common: CommonOptions

    func run() throws {
        let machine = Machine.current()
        try LoadCameras.prepare()
        let load = try LoadCameras(cameras)
        defer { load.end() }
        let site = try CaptureSite(bin: bin)
        defer { site.end() }
        let devices = Set((0..<cameras).map(CaptureSite.device))
        var frames = FirstFrames(volume: site.volume)
        site.record(cameras, of: load)
        _ = try frames.wait(for: devices, seconds: 30)
        let closedSeconds = long ? 300 : seconds
        let count = long ? 1 : rounds
        var values = Rounds()
        var retries = Rounds()
        for _ in 0..<count {
            // A session that lasted counts as recovered; the next failure begins with the shortest wait again.
            Thread.sleep(forTimeInterval: .random(in: 12...13))
            try load.order("close")
            // Of random length, so that no round meets the same moment between two attempts.
            Thread.sleep(forTimeInterval: closedSeconds + .random(in: 0...1))
            frames = FirstFrames(volume: site.volume)
            try load.order("open")
            let stored = try frames.wait(for: devices, seconds: 60)
            try load.wait("sessions with all cameras", seconds: 1) { story -> Void? in
                guard let opened = story.opened.last else { return nil }
                let sessions = (0..<cameras).compactMap { camera in
                    story.sessions.last { $0.camera == camera && $0.connected > opened && $0.keyframe != nil }
                }
                guard sessions.count == cameras else { return nil }
                for session in sessions {
                    let wait = (session.keyframe ?? .nan) - session.playing
                    values.add((stored[CaptureSite.device(session.camera)] ?? .nan) - opened - wait)
                    retries.add(session.connected - opened)
                }
                return ()
            }
        }
        let sent = try load.report()
        var report = Report(bench: long ? "reconnect-long" : "reconnect", machine: machine, rounds: count)
        report.figures = [
            Figure(
                name: "reconnect.first-new-frame.most", value: values.spread?.upperBound ?? .nan, unit: "s",
                bar: .atMost(1), spread: values.spread),
            Figure(
                name: "reconnect.first-new-frame.p50", value: values.median, unit: "s", bar: .none,
                spread: values.spread),
            Figure(
                name: "reconnect.opened-to-connected.p50", value: retries.median, unit: "s", bar: .none,
                spread: retries.spread),
            Figure(name: "reconnect.frames-sent-late", value: Double(sent.late), unit: "frames", bar: .atMost(0)),
        ]
        report.notes.append(
            "\(cameras) cameras, closed for \(Figure.text(closedSeconds)) to \(Figure.text(closedSeconds + 1)) s; "
                + "first-new-frame is without the wait for a keyframe, which is the camera's")
        throw ExitCode(try report.finish(writingTo: common.output))
    }
}
