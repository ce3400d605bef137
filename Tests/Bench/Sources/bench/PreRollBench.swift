// PreRollBench: the memory that the footage before an event takes, beside the bytes of that footage, and beside what it would take
// as pictures, which is how a recorder that decodes holds it.

import ArgumentParser
import Foundation
import Wire

struct PreRollBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "preroll", abstract: "Memory for the footage before an event.")

    @Option(help: "Cameras that are held.") var cameras = 4
    @Option(help: "Seconds that are held of each.") var ringSeconds = 60
    @Option(help: "Folder with the services' executables.") var bin = ".build/release"
    @OptionGroup var common: CommonOptions

    func run() throws {
        let machine = Machine.current()
        try LoadCameras.prepare()
        let load = try LoadCameras(cameras)
        defer { load.end() }
        let site = try CaptureSite(bin: bin)
        defer { site.end() }
        let use = ProcessUse(processes: [site.processID])
        // What the controller takes for its cameras without their footage: rings of a second.
        site.run(nil, of: cameras, load, ringSeconds: 1)
        try load.wait("every camera plays", seconds: 30) { $0.playing(atLeast: cameras) ? () : nil }
        Thread.sleep(forTimeInterval: 10)
        let shortMiB = try meanMiB(use)
        site.run(nil, of: cameras, load, ringSeconds: ringSeconds)
        Thread.sleep(forTimeInterval: Double(ringSeconds) + 2 * LoadCameras.keyframeSeconds)
        let (mib, sent) = (try meanMiB(use), try load.report())
        let heldMiB = try LoadCameras.bytesPerSecond() * Double(ringSeconds - 1) / 1_048_576
        let rawMiB = Double(1920 * 1080 * 3 / 2 * 25 * (ringSeconds - 1)) / 1_048_576
        var report = Report(bench: "preroll", machine: machine, rounds: 1)
        report.figures = [
            Figure(
                name: "preroll.memory-per-camera", value: (mib - shortMiB) / Double(cameras), unit: "MiB",
                peer: heldMiB,
                peerName: "its bytes", bar: .ratioAtMost(1.15)),
            Figure(
                name: "preroll.memory-beside-pictures", value: (mib - shortMiB) / Double(cameras), unit: "MiB",
                peer: rawMiB, peerName: "decoded pictures", bar: .none),
            Figure(name: "preroll.frames-sent-late", value: Double(sent.late), unit: "frames", bar: .atMost(0)),
        ]
        report.notes.append(
            "\(cameras) cameras of 4 Mbit/s: what a ring of \(ringSeconds) s takes beyond one of a second; decoded pictures "
                + "are 1080p in 4:2:0, 25 a second")
        throw ExitCode(try report.finish(writingTo: common.output))
    }

    /// A ring holds whole groups of pictures, so up to one more than its seconds: what it takes is the mean over some groups.
    private func meanMiB(_ use: ProcessUse) throws -> Double {
        let (groups, samplesPerGroup) = (3, 8)
        var sum = 0.0
        for _ in 0..<groups * samplesPerGroup {
            sum += try use.pssMiB()
            Thread.sleep(forTimeInterval: LoadCameras.keyframeSeconds / Double(samplesPerGroup))
        }
        return sum / Double(groups * samplesPerGroup)
    }
}
