// A real indexer with uploads in its queue, and real uploaders that share it, each with a way of its own to one storage. The
// test plays the recorder and the archiver: it records footage and archives what the indexer wants archived.
import BlobServer
import Crypto
import FaultProxy
import Foundation
import Harness
import RPC
import Synchronization
import Testing
import Volume
import Wire

final class SharedQueue: Sendable {
    static let names = ["cloud-uploader-1", "cloud-uploader-2", "cloud-uploader-3"]
    static let leaseSeconds = 2
    static let blockBytes = 65_536
    /// Nine blocks, the last one shorter.
    static let fileBytes = 9 * blockBytes - 1000

    let folder: TemporaryDirectory
    let blob: BlobServer
    /// By the uploader's name.
    let proxies: [String: FaultProxy]
    private let indexer: ServiceProcess
    let client: ServiceClient
    private let archive: VolumeRoot
    private let archivePath: String
    /// Where the next request's footage begins, in seconds after `zeroUs`; each has footage of its own.
    private let reached = Mutex(0)
    private let zeroUs: Int64
    private static let noise = (0..<fileBytes).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 11) }

    init() async throws {
        folder = try TemporaryDirectory()
        try folder.makeFolder("run")
        try folder.write(BlobServer.developmentKey, to: "secrets/key")
        archivePath = try folder.makeFolder("archive")
        zeroUs = (Int64(Date().timeIntervalSince1970) - 3600) * 1_000_000
        _ = try VolumeRoot.adopt(at: archivePath, role: .archive, nowUs: zeroUs)
        archive = try VolumeRoot.open(at: archivePath, role: .archive, access: .reader)
        blob = try await BlobServer.start()
        try blob.createContainer("cams")
        var proxies: [String: FaultProxy] = [:]
        for name in Self.names { proxies[name] = try await FaultProxy.start(to: blob.port) }
        self.proxies = proxies
        indexer = try ServiceProcess(
            "indexer",
            [
                "--run-directory", folder.path("run"), "--state-directory", folder.path("state"), "--commit-delay-ms",
                "0",
            ], logs: folder)
        client = try ServiceClient("indexer", at: "ipc://\(folder.path("run/indexer.rpc"))", caller: "test/uploads")
    }

    /// Ends what `init` started.
    func end() async throws {
        for proxy in proxies.values { try await proxy.stop() }
        try await blob.stop()
        #expect(try await indexer.terminate() == 0)
    }

    func start(_ name: String) throws -> ServiceProcess {
        let settings = [
            "run-directory": folder.path("run"), "archive-volume": archivePath,
            "secrets-directory": folder.path("secrets"), "key-file": "key", "instance": name,
            "blob-endpoint": "http://127.0.0.1:\(try proxy(name).port)/\(BlobServer.developmentAccount)",
            "account": BlobServer.developmentAccount, "container": "cams", "lease-ms": "\(Self.leaseSeconds * 1000)",
            "single-put-bytes": "\(Self.blockBytes)", "block-bytes": "\(Self.blockBytes)",
        ]
        return try ServiceProcess(
            "cloud-uploader", settings.map { "--\($0)=\($1)" }, logs: folder, label: name)
    }

    func proxy(_ name: String) throws -> FaultProxy {
        guard let proxy = proxies[name] else { throw HarnessError("no uploader \(name)") }
        return proxy
    }

    // MARK: Work

    /// Footage that is recorded, wanted in the cloud, and archived: so many files of nine blocks with a sidecar each, and a manifest.
    func submit(_ requestID: String, files: Int) async throws {
        let first = reached.withLock { reached in
            defer { reached += files }
            return reached
        }
        func us(_ number: Int) -> Int64 { zeroUs + Int64(first + number) * 1_000_000 }
        let source = SourceName(device: "cam", endpoint: "main")
        let records = (0..<files).map { number in
            MediaRecord(
                spoolID: UInt64(first + number),
                file: MediaFile(
                    kind: .segment, volumeID: "recordings", path: "cam/\(us(number)).mp4", source: source,
                    stream: StreamName(asset: "cam", stream: "clips"), startUs: us(number), endUs: us(number + 1),
                    sizeBytes: UInt64(Self.fileBytes), frames: 25, videoCodec: "h264", runID: "run", leaseEpoch: 1,
                    fileExtension: "mp4"))
        }
        _ = try await client.call(
            IndexerMethods.recordMedia, RecordMediaRequest(controllerID: "controller", records: records))
        _ = try await client.call(
            IndexerMethods.submitArchive,
            SubmitArchiveRequest(
                requestID: requestID, window: Window(startUs: us(0), endUs: us(files)),
                cameras: [RequestedCamera(camera: "cam", source: source, footage: .sealed)], requestedBy: "tests",
                reason: "a test", delivery: .cloud, priority: 50, kinds: [.segment]))
        var left = files + 1
        while left > 0 {
            let claimed = try await client.call(
                IndexerMethods.claimItems,
                ClaimItemsRequest(work: .archive, worker: "archiver/tests", limit: 64, leaseMs: 30_000, waitMs: 5000)
            ).items
            guard !claimed.isEmpty else { throw HarnessError("\(left) items are never archived") }
            for item in claimed { try await archived(item) }
            left -= claimed.count
        }
    }

    private func archived(_ item: ClaimedItem) async throws {
        let path = item.archivePath ?? ""
        let content = item.content ?? Self.content(path)
        let target = URL(fileURLWithPath: archivePath).appendingPathComponent(path)
        try FileManager.default.createDirectory(
            at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(content).write(to: target)
        _ = try await client.call(
            IndexerMethods.completeItem,
            CompleteItemRequest(
                claim: ItemClaim(itemID: item.itemID, epoch: item.epoch), work: .archive, worker: "archiver/tests",
                sizeBytes: UInt64(content.count), sha256: Array(SHA256.hash(data: content)),
                archiveVolumeID: archive.volumeID))
    }

    /// What a file has, by its name.
    static func content(_ path: String) -> [UInt8] { Array(SHA256.hash(data: Data(path.utf8))) + noise.dropFirst(32) }

    func request(_ requestID: String) async throws -> ArchiveRequest {
        try await client.call(IndexerMethods.getRequest, GetRequestRequest(requestID: requestID))
    }

    /// The request as soon as all of it is in the cloud.
    func done(_ requestID: String, within limit: Duration) async throws -> ArchiveRequest {
        try await eventually("request \(requestID) is done", within: limit) {
            let request = try await self.request(requestID)
            return request.state == .done ? request : nil
        }
    }

    // MARK: What came of it

    /// Accepted commits by the server's record, by path.
    var commits: [String: Int] {
        var counts: [String: Int] = [:]
        for request in blob.requests
        where [.putBlob, .putBlockList].contains(request.operation) && (200..<300).contains(request.status) {
            counts[request.path, default: 0] += 1
        }
        return counts
    }

    /// Who committed which path, by what the proxies saw accepted.
    func committed(by name: String) throws -> Set<String> {
        let prefix = "/\(BlobServer.developmentAccount)/cams/"
        return Set(
            try proxy(name).requests.filter { request in
                ["PUT", "PUT blocklist"].contains(request.operation) && request.serverStatus == 201
            }.map { ($0.path.removingPercentEncoding ?? "").replacingOccurrences(of: prefix, with: "") })
    }

    /// What is not as it must be: each file of the request once in the storage, as it is on the volume.
    func complaints(_ request: ArchiveRequest) -> [String] {
        var found: [String] = []
        let commits = commits
        for file in request.files {
            let path = file.archivePath ?? ""
            if commits["cams/\(path)"] != 1 { found.append("\(path): \(commits["cams/\(path)"] ?? 0) commits") }
            let local = FileManager.default.contents(atPath: "\(archivePath)/\(path)").map { [UInt8]($0) }
            if local == nil || blob.content(of: path, in: "cams") != local { found.append("\(path): other content") }
            if file.blobURL?.removingPercentEncoding?.hasSuffix("/cams/\(path)") != true {
                found.append("\(path) is said to be at \(file.blobURL ?? "")")
            }
            if path.hasSuffix(".mp4"), commits["cams/\(path.dropLast(4)).json"] != 1 {
                found.append("the sidecar of \(path): \(commits["cams/\(path.dropLast(4)).json"] ?? 0) commits")
            }
        }
        return found
    }
}
