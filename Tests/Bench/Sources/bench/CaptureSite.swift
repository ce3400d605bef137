// CaptureSite: the real capture-controller, alone, in a folder of its own. Registry, indexer and adapter are faked in this process;
// a clip-to-fs stream runs for every camera. Beside a ServiceSite, the indexer is that site's.

import Fakes
import Foundation
import Media
import Synchronization
import Wire

/// One controller that records.
final class CaptureSite {
    /// Seconds of the ring in memory.
    static let ringSeconds = 10
    /// Length of a segment, in seconds.
    static let segmentSeconds = 10

    let volume: String
    private let folder: String
    private let ownsFolder: Bool
    private let registry: FakeRegistry
    /// Nil where there is a real one.
    private let indexer: FakeIndexer?
    private let adapter: FakeAdapter
    private let process: Process
    private let shelf: Shelf
    private var recordsSeen = 0

    /// Starts it; it knows no camera yet.
    /// - Parameters:
    ///   - bin: folder of the executables.
    ///   - retainedBytes: above this, the oldest finished files are granted for deletion.
    convenience init(bin: String, retainedBytes: Int = .max) throws {
        let folder = "/tmp/sg-bench-\(getpid())-\(UInt16.random(in: 0...UInt16.max))"
        for name in ["run", "volume", "secrets", "state"] {
            try FileManager.default.createDirectory(atPath: folder + "/" + name, withIntermediateDirectories: true)
        }
        let bin = URL(fileURLWithPath: bin).standardizedFileURL.path
        _ = try bench.run([bin + "/sightglass", "volume", "adopt", "--role", "recording", folder + "/volume"])
        let indexer = try FakeIndexer(
            address: "ipc://\(folder)/run/indexer.rpc", hints: "ipc://\(folder)/run/indexer.hints")
        let shelf = Shelf(retainedBytes: retainedBytes)
        indexer.getDeletionGrants.answer { _ in shelf.grants() }
        indexer.server.start()
        try self.init(
            bin: bin, folder: folder, volume: folder + "/volume", indexer: indexer, shelf: shelf,
            ["--deletion-seconds", "1"])
    }

    /// Starts it among the services of a site, on a volume of it. Registry and adapter are faked.
    convenience init(
        beside site: ServiceSite, on volume: ServiceSite.Volume, _ arguments: [String] = []
    ) throws {
        try self.init(
            bin: site.bin, folder: site.folder, volume: volume.path, indexer: nil, shelf: Shelf(retainedBytes: .max),
            arguments)
    }

    private init(
        bin: String, folder: String, volume: String, indexer: FakeIndexer?, shelf: Shelf, _ arguments: [String]
    ) throws {
        self.folder = folder
        self.volume = volume
        self.indexer = indexer
        self.shelf = shelf
        ownsFolder = indexer != nil
        let run = "ipc://\(folder)/run"
        registry = try FakeRegistry(address: "\(run)/asset-registry.rpc", hints: "\(run)/asset-registry.hints")
        adapter = try FakeAdapter(address: "\(run)/mqtt-edge-adapter.rpc")
        for server in [registry.server, adapter.server] { server.start() }
        process = dependentProcess(
            [
                bin + "/capture-controller", "--run-directory", folder + "/run", "--secrets-directory",
                folder + "/secrets", "--recording-volume", volume, "--state-directory", folder + "/state",
                "--capacity", "1000", "--log-level", "warning",
            ] + arguments)
        process.standardError = try Self.newFile(folder + "/controller.log")
        process.standardOutput = FileHandle.nullDevice
        process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("SIGHTGLASS_") }
        try process.run()
    }

    static func newFile(_ path: String) throws -> FileHandle {
        guard FileManager.default.createFile(atPath: path, contents: nil), let file = FileHandle(forWritingAtPath: path)
        else { throw BenchError("\(path) cannot be written") }
        return file
    }

    var processID: pid_t { process.processIdentifier }
    var isRunning: Bool { process.isRunning }
    var log: String { (try? String(contentsOfFile: folder + "/controller.log", encoding: .utf8)) ?? "" }

    /// The name of a camera's device.
    static func device(_ camera: Int) -> String { "load\(camera)" }

    /// From now on, so many cameras are recorded.
    func record(_ count: Int, of cameras: LoadCameras) {
        run(
            TaskSettings(type: .clipToFs, format: "mp4", durationS: UInt32(Self.segmentSeconds)), of: count, cameras,
            ringSeconds: Self.ringSeconds)
    }

    /// Where it answers calls.
    var address: String { "ipc://\(folder)/run/capture-controller.rpc" }
    /// Pictures that the adapter was given.
    var picturesPublished: Int { adapter.publishSnapshot.requests.count }

    /// The name of a camera.
    static func source(_ camera: Int) -> SourceName { SourceName(device: device(camera), endpoint: "main") }

    /// From now on, this is done with so many cameras; nil: nothing but the ring.
    func run(_ settings: TaskSettings?, of count: Int, _ cameras: LoadCameras, ringSeconds: Int) {
        run(of: count, cameras, ringSeconds: ringSeconds) { _ in settings }
    }

    /// From now on, with each camera what `settings` says.
    func run(of count: Int, _ cameras: LoadCameras, ringSeconds: Int, settings: (Int) -> TaskSettings?) {
        let sources = (0..<count).map(Self.source)
        registry.configure(
            endpoints: sources.enumerated().map { index, source in
                InboundEndpoint(
                    source: source, endpointType: "Microsoft.Media", address: cameras.url(index),
                    authentication: .anonymous, standby: .ring, ringSeconds: UInt32(ringSeconds), enabled: true,
                    revision: 1)
            },
            streams: sources.enumerated().compactMap { index, source in
                settings(index).map { settings in
                    StreamDefinition(
                        name: StreamName(asset: source.device, stream: "task"), source: source, enabled: true,
                        settings: settings, desired: DesiredState(running: true, runID: "bench", startedBy: "bench"),
                        revision: 1)
                }
            })
    }

    /// Counts the frames in the files that were finished since the last call. Finished files may be deleted from then on, so
    /// this is to be called each second.
    func countFinished() throws {
        let requests = indexer?.recordMedia.requests ?? []
        for record in requests.dropFirst(recordsSeen).flatMap(\.records) {
            if let gap = record.gap { shelf.declare(record.spoolID ?? 0, framesLost: Int(gap.framesLost ?? 0)) }
            guard let file = record.file, let path = file.path, shelf.isNew(path) else { continue }
            let frames = try StoredFrames.count(in: volume + "/" + path)
            shelf.put(path, bytes: file.sizeBytes ?? 0, frames: frames)
        }
        recordsSeen = requests.count
    }

    /// Frames in finished files so far.
    var framesStored: Int { shelf.framesStored }
    /// Frames that the controller says it lost.
    var framesDeclared: Int { shelf.framesDeclared }

    /// Waits until as many frames are stored or declared lost as were sent, or nothing more comes.
    func settle(framesSent: Int, seconds: Double = 20) throws {
        let end = ContinuousClock.now + .seconds(seconds)
        repeat {
            try countFinished()
            if framesStored + framesDeclared >= framesSent { return }
            Thread.sleep(forTimeInterval: 0.1)
        } while ContinuousClock.now < end
    }

    /// Ends the controller and removes what it stored; what it complained of goes to standard error.
    func end() {
        process.terminate()
        process.waitUntilExit()
        let complaints = log.split(separator: "\n").suffix(5).joined(separator: "\n")
        if !complaints.isEmpty { FileHandle.standardError.write(Data((complaints + "\n").utf8)) }
        if ownsFolder { try? FileManager.default.removeItem(atPath: folder) }
    }
}

/// Finished files: what is in them, and which may go.
private final class Shelf: Sendable {
    private struct State {
        var files: [(path: String, bytes: UInt64)] = []
        var bytes: UInt64 = 0
        var known: Set<String> = []
        var gaps: Set<UInt64> = []
        var stored = 0
        var declared = 0
    }
    private let retainedBytes: UInt64
    private let state = Mutex(State())

    init(retainedBytes: Int) { self.retainedBytes = UInt64(retainedBytes) }

    var framesStored: Int { state.withLock { $0.stored } }
    var framesDeclared: Int { state.withLock { $0.declared } }

    /// The controller tells of a file again when it reconciles.
    func isNew(_ path: String) -> Bool { state.withLock { $0.known.insert(path).inserted } }

    func put(_ path: String, bytes: UInt64, frames: Int) {
        state.withLock {
            $0.files.append((path, bytes))
            $0.bytes += bytes
            $0.stored += frames
        }
    }

    /// A record that is sent again counts once.
    func declare(_ id: UInt64, framesLost: Int) {
        state.withLock { if $0.gaps.insert(id).inserted { $0.declared += framesLost } }
    }

    func grants() -> GetDeletionGrantsReply {
        state.withLock { state in
            var granted: [DeletionGrant] = []
            while state.bytes > retainedBytes, granted.count < state.files.count, granted.count < 1000 {
                let file = state.files[granted.count]
                state.bytes -= file.bytes
                granted.append(DeletionGrant(path: file.path, sizeBytes: file.bytes, cause: "quota", now: true))
            }
            state.files.removeFirst(granted.count)
            return GetDeletionGrantsReply(grants: granted)
        }
    }
}
