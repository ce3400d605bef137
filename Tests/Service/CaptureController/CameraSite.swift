// A site for one test: a real RTSP camera behind Digest authentication, faked neighbours, a recording volume, and the real
// capture-controller in front of them. Everything lives in one temporary folder and on ports of its own.
import Fakes
import Foundation
import Harness
import RPC
import Volume
import Wire

final class CameraSite: Sendable {
    static let password = "canary-camera-password"
    /// A login of ffmpeg and ffprobe, which take one in the address alone, for everybody to see: no service knows it.
    static let player = "player:of-the-test"

    let folder: TemporaryDirectory
    let registry: FakeRegistry
    let indexer: FakeIndexer
    let adapter: FakeAdapter
    let volumeID: String
    let cameraPort: UInt16
    let client: ServiceClient

    static let source = SourceName(device: "line1", endpoint: "main")

    /// Prepares all of it; nothing runs yet but what a test starts.
    init(adopted: Bool = true) throws {
        folder = try TemporaryDirectory()
        let run = try folder.makeFolder("run")
        try folder.makeFolder("volume")
        try folder.write("cam", to: "secrets/line1/username")
        try folder.write(Self.password, to: "secrets/line1/password")
        try folder.write("canary-wrong", to: "secrets/line1/wrong")
        try folder.write("cam:\(Self.password)\n\(Self.player)\n", to: "camera.users")
        registry = try FakeRegistry(
            address: "ipc://\(run)/asset-registry.rpc", hints: "ipc://\(run)/asset-registry.hints")
        indexer = try FakeIndexer(address: "ipc://\(run)/indexer.rpc", hints: "ipc://\(run)/indexer.hints")
        adapter = try FakeAdapter(address: "ipc://\(run)/mqtt-edge-adapter.rpc")
        cameraPort = try freePort()
        if adopted {
            let now = Int64(Date().timeIntervalSince1970 * 1_000_000)
            volumeID = try VolumeRoot.adopt(at: folder.path("volume"), role: .recording, nowUs: now).volumeID
        } else {
            volumeID = ""
        }
        client = try ServiceClient("capture-controller", at: "ipc://\(run)/capture-controller.rpc")
    }

    var address: String { "ipc://\(folder.path("run"))/capture-controller.rpc" }
    var volume: String { folder.path("volume") }

    /// Starts the camera: H.264 640x360@15 with sound, a keyframe each second.
    /// - Parameter damage: one bit in so many of its pictures is wrong; nil: none.
    func startCamera(film: String = "dock.mkv", damage: Int? = nil) async throws -> ServiceProcess {
        let built = try await runTool("bash", [Self.script("build")], within: .seconds(120))
        let made = try await runTool("bash", [Self.script("make-media")], within: .seconds(180))
        guard built.exitCode == 0, made.exitCode == 0 else {
            throw HarnessError("camera: \(built.error) \(made.error)")
        }
        let root = Executables.repository.path
        let camera = try ServiceProcess(
            "bash",
            [
                "-c", "exec \"$0\" \"$@\"", root + "/.build/cameras/rtspcam", "-p", "\(cameraPort)", "-f",
                root + "/.build/media/" + film, "-A", "digest", "-u", folder.path("camera.users"),
            ] + (damage.map { ["-d", "\($0)"] } ?? []), logs: folder, label: "camera")
        try await eventually("the camera listens") { camera.standardOutput.contains("ready") ? true : nil }
        return camera
    }

    /// Starts a media server that asks for the camera's user. `tls`: options that name its certificate and key.
    func startMediaServer(port: UInt16, _ tls: [String] = []) async throws -> ServiceProcess {
        let server = try ServiceProcess(
            "bash",
            [
                "-c", "exec \"$0\" \"$@\"", Executables.repository.path + "/.build/cameras/rtsprelay", "-p", "\(port)",
                "-A", "digest", "-u", folder.path("camera.users"),
            ] + tls, logs: folder, label: "relay")
        try await eventually("the media server listens") { server.standardOutput.contains("ready") ? true : nil }
        return server
    }

    private static func script(_ name: String) -> String {
        Executables.repository.path + "/Tests/Support/cameras/" + name
    }

    /// Starts the controller.
    func startController(_ arguments: [String] = []) throws -> ServiceProcess {
        try ServiceProcess(
            "capture-controller",
            [
                "--run-directory", folder.path("run"), "--secrets-directory", folder.path("secrets"),
                "--recording-volume", volume, "--state-directory", folder.path("state"), "--log-level", "debug",
            ] + arguments, logs: folder)
    }

    func startNeighbours() {
        registry.server.start()
        indexer.server.start()
        adapter.server.start()
    }

    func endpoint(
        port: UInt16? = nil, host: String = "127.0.0.1", password: String = "line1/password", standby: Standby = .ring
    ) -> InboundEndpoint {
        InboundEndpoint(
            source: Self.source, endpointType: "Microsoft.Media",
            address: "rtsp://\(host):\(port ?? cameraPort)/cam0", authentication: .usernamePassword,
            username: SecretReference(path: "line1/username"), password: SecretReference(path: password),
            standby: standby, ringSeconds: 20, enabled: true, revision: 1)
    }

    func stream(_ name: String, _ settings: TaskSettings, running: Bool = true) -> StreamDefinition {
        StreamDefinition(
            name: StreamName(asset: "press", stream: name), source: Self.source, enabled: true, settings: settings,
            desired: DesiredState(running: running, runID: "run-\(name)", startedBy: "test"), revision: 1)
    }

    func clips(seconds: UInt32 = 2, path: String? = nil, format: String = "mp4") -> StreamDefinition {
        stream("clips", TaskSettings(type: .clipToFs, format: format, durationS: seconds, path: path))
    }

    /// The one source's status.
    func sourceStatus() async throws -> SourceStatus? {
        try await client.call(CaptureControllerMethods.listStatus, ListStatusRequest(), timeout: .seconds(3)).sources
            .first
    }

    func task(_ stream: String) async throws -> TaskStatus? {
        try await client.call(
            CaptureControllerMethods.listStatus, ListStatusRequest(asset: "press", stream: stream), timeout: .seconds(3)
        ).tasks.first
    }

    /// All records that the indexer was sent, in order.
    var records: [MediaRecord] { indexer.recordMedia.requests.flatMap(\.records) }
    /// Segments in the order in which the indexer first heard of them. The fake remembers nothing, so reconciliation tells it
    /// of files again.
    var segments: [MediaFile] { told(.segment) }

    /// Files of a kind, in that order.
    func told(_ kind: MediaKind) -> [MediaFile] {
        var seen: Set<String> = []
        return records.compactMap(\.file).filter { $0.kind == kind && seen.insert($0.path ?? "").inserted }
    }

    /// Hashes of the pictures of a file anywhere, decoded.
    static func pictureHashes(_ path: String) async throws -> [Substring] {
        let result = try await runTool(
            "ffmpeg", ["-nostdin", "-v", "error", "-i", path, "-map", "0:v:0", "-f", "framemd5", "-"],
            within: .seconds(60))
        guard result.exitCode == 0 else { throw HarnessError(result.error) }
        return result.output.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { $0.split(separator: ",")[5] }
    }

    /// Finished files on the volume.
    func files(_ suffix: String = ".mp4") -> [String] {
        let all = FileManager.default.enumerator(atPath: volume)?.compactMap { $0 as? String } ?? []
        return all.filter { $0.hasSuffix(suffix) && !$0.hasPrefix(".") }.sorted()
    }

    /// Frames and length of a file as ffprobe counts them.
    func probe(_ path: String) async throws -> (frames: Int, seconds: Double, firstIsKey: Bool) {
        let result = try await runTool(
            "ffprobe",
            [
                "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts_time,duration_time,flags", "-of",
                "csv=p=0", volume + "/" + path,
            ])
        guard result.exitCode == 0, result.error.isEmpty else { throw HarnessError("ffprobe \(path): \(result.error)") }
        let rows = result.output.split(separator: "\n").map {
            $0.split(separator: ",", omittingEmptySubsequences: false)
        }
        let ends = rows.compactMap { row in Double(row[0]).map { $0 + (Double(row[1]) ?? 0) } }
        return (rows.count, ends.max() ?? 0, rows.first.map { $0[2].hasPrefix("K") } ?? false)
    }

    static func nowUs() -> Int64 { Int64(Date().timeIntervalSince1970 * 1_000_000) }
}
