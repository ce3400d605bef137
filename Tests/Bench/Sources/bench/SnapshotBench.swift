// SnapshotBench: what a picture costs: on demand from a camera that is connected, beside ffmpeg with the keyframe in a file; and
// a picture a second of many cameras.
//
// The processor's time is that of the controller and its media-workers, without what the same controller took in a window
// before, when it only kept the cameras' rings. ffmpeg's is that of one process for each picture, which is how a script
// takes one; it needs no camera, whose next keyframe it would wait for.

import ArgumentParser
import Foundation
import RPC
import Synchronization
import Wire

struct SnapshotBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "Pictures on demand, beside ffmpeg, and a picture a second of many cameras.")

    @Option(help: "Pictures on demand, of one camera.") var pictures = 100
    @Option(help: "Cameras of which a picture a second is made.") var cameras = 16
    @Option(help: "Seconds of a window.") var seconds = 20.0
    @Option(help: "Folder with the services' executables.") var bin = ".build/release"
    @OptionGroup var common: CommonOptions

    func run() throws {
        let machine = Machine.current()
        try LoadCameras.prepare()
        var report = Report(bench: "snapshot", machine: machine, rounds: 1)
        try onDemand(&report)
        try eachSecond(&report)
        throw ExitCode(try report.finish(writingTo: common.output))
    }

    // MARK: On demand

    private func onDemand(_ report: inout Report) throws {
        let load = try LoadCameras(1)
        defer { load.end() }
        let site = try CaptureSite(bin: bin)
        defer { site.end() }
        site.run(nil, of: 1, load, ringSeconds: CaptureSite.ringSeconds)
        try load.wait("the camera plays", seconds: 30) { $0.playing(atLeast: 1) ? () : nil }
        // The first pictures start the media-workers.
        _ = try take(5, of: site)
        let controller = ProcessUse(processes: [site.processID])
        let idle = try window(controller)
        let use = ProcessUse(processes: [site.processID] + ProcessUse.children(of: site.processID))
        let (before, began) = (try use.cpuSeconds(), ContinuousClock.now)
        let latencies = try take(pictures, of: site)
        let took = began.duration(to: .now) / .seconds(1)
        let cpuMs = (try use.cpuSeconds() - before - idle * took) / Double(pictures) * 1000
        let peer = try ffmpeg()
        report.figures += [
            Figure(
                name: "snapshot.on-demand.p50", value: quantile(0.5, of: latencies), unit: "ms",
                peer: quantile(0.5, of: peer.latenciesMs), peerName: "ffmpeg", bar: .atMost(60)),
            Figure(
                name: "snapshot.on-demand.p99", value: quantile(0.99, of: latencies), unit: "ms",
                peer: quantile(0.99, of: peer.latenciesMs), peerName: "ffmpeg", bar: .none),
            Figure(
                name: "snapshot.on-demand.cpu", value: cpuMs, unit: "ms", peer: peer.cpuMs, peerName: "ffmpeg",
                bar: .atMost(25)),
        ]
        report.notes.append(
            "\(pictures) pictures of 1080p in JPEG, one after the other; a call that fails ends the bench")
    }

    /// Takes pictures one after the other and gives the milliseconds of each.
    private func take(_ count: Int, of site: CaptureSite) throws -> [Double] {
        let client = RPCClient(
            role: "capture-controller", addresses: [try RPCAddress(parsing: site.address)], caller: "bench/0")
        defer { client.close() }
        return try waiting {
            var latenciesMs: [Double] = []
            while latenciesMs.count < count {
                let began = ContinuousClock.now
                let reply: TakeSnapshotReply
                do {
                    reply = try await client.call(
                        CaptureControllerMethods.takeSnapshot,
                        TakeSnapshotRequest(source: CaptureSite.source(0), format: "jpeg"))
                } catch let error as RPCError {
                    // Before the first keyframe is there.
                    let isEarly = error.code == .unavailable || error.code == .notFound
                    guard latenciesMs.isEmpty, isEarly else { throw error }
                    try await Task.sleep(for: .milliseconds(100))
                    continue
                }
                guard reply.widthPx == 1920, reply.heightPx == 1080 else {
                    throw BenchError("a picture of another size")
                }
                latenciesMs.append(began.duration(to: .now) / .milliseconds(1))
            }
            return latenciesMs
        }
    }

    /// One process for each picture, of a file that begins with a keyframe.
    private func ffmpeg() throws -> (latenciesMs: [Double], cpuMs: Double) {
        let count = max(1, pictures / 5)
        var latenciesMs: [Double] = []
        let before = Self.childrenSeconds()
        for _ in 0..<count {
            let began = ContinuousClock.now
            _ = try bench.run([
                "/usr/bin/env", "ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-threads", "1", "-i",
                LoadCameras.film, "-frames:v", "1", "-q:v", "5", "-f", "image2pipe", "-c:v", "mjpeg", "/dev/null",
            ])
            latenciesMs.append(began.duration(to: .now) / .milliseconds(1))
        }
        return (latenciesMs, (Self.childrenSeconds() - before) / Double(count) * 1000)
    }

    /// User and system time of the children that ended.
    private static func childrenSeconds() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_CHILDREN.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    // MARK: A picture a second

    private func eachSecond(_ report: inout Report) throws {
        let load = try LoadCameras(cameras, film: LoadCameras.filmOfManyKeyframes)
        defer { load.end() }
        let site = try CaptureSite(bin: bin)
        defer { site.end() }
        site.run(
            TaskSettings(
                type: .snapshotToMqtt, format: "jpeg", snapshotsPerSecond: 1,
                mqtt: MqttDestination(qos: 1, retain: false, ttlS: 10)),
            of: cameras, load, ringSeconds: CaptureSite.ringSeconds)
        try load.wait("every camera plays", seconds: 60) { $0.playing(atLeast: cameras) ? () : nil }
        Thread.sleep(forTimeInterval: Double(CaptureSite.ringSeconds))
        _ = try load.report()
        let before = site.picturesPublished
        let share = try window(
            ProcessUse(processes: [site.processID] + ProcessUse.children(of: site.processID)))
        let made = site.picturesPublished - before
        let sent = try load.report()
        report.figures += [
            Figure(
                name: "snapshot.\(cameras)-cameras.cpu", value: share * 100, unit: "%core", bar: .atMost(40)),
            // A picture may fall out of the window at either end.
            Figure(
                name: "snapshot.\(cameras)-cameras.missing",
                value: max(0, (seconds - 1) * Double(cameras) - Double(made)), unit: "pictures", bar: .atMost(0)),
            Figure(
                name: "snapshot.\(cameras)-cameras.frames-sent-late", value: Double(sent.late), unit: "frames",
                bar: .atMost(0)),
        ]
        report.notes.append(
            "\(cameras) cameras of 1080p, a keyframe each second, a picture in JPEG of each: \(made) pictures in "
                + "\(Figure.text(seconds)) s; cpu is user and system time, with that of the cameras' sessions")
    }

    /// The share of one core that processes take.
    private func window(_ use: ProcessUse) throws -> Double {
        let (before, began) = (try use.cpuSeconds(), ContinuousClock.now)
        Thread.sleep(forTimeInterval: seconds)
        return (try use.cpuSeconds() - before) / (began.duration(to: .now) / .seconds(1))
    }
}

/// Waits on the main thread for what is asynchronous: processes must be started on it, see `dependentProcess`.
func waiting<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) throws -> T {
    let result = Mutex<Result<T, any Error>?>(nil)
    let done = DispatchSemaphore(value: 0)
    Task {
        let outcome: Result<T, any Error>
        do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
        result.withLock { $0 = outcome }
        done.signal()
    }
    done.wait()
    guard let outcome = result.withLock({ $0 }) else { throw BenchError("nothing came of a task") }
    return try outcome.get()
}
