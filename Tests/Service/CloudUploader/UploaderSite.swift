// One uploader with its volume, its Blob server in this process, and a faked indexer, in a folder of its own.
import BlobServer
import CivilTime
import Crypto
import Fakes
import Foundation
import Harness
import RPC
import Volume
import Wire

struct UploaderSite {
    static let wrongKey = Data("canary-key, but not that of the account".utf8).base64EncodedString()

    let folder: TemporaryDirectory
    let indexer: FakeIndexer
    let blob: BlobServer
    let archive: String
    let volumeID: String

    /// - Parameters:
    ///   - keepsBlobs: the storage writes to the folder "blobs", so that a second one can take its place.
    ///   - tokens: until when the storage takes a bearer token.
    ///   - storageClock: the time by which the storage judges signatures.
    init(
        container: Bool = true, indexerRuns: Bool = true, key: String = BlobServer.developmentKey,
        keepsBlobs: Bool = false, storageClock: ShiftedClock = ShiftedClock(),
        tokens: @escaping TokenExpiry = { _ in nil }
    ) async throws {
        folder = try TemporaryDirectory()
        try folder.makeFolder("run")
        archive = try folder.makeFolder("archive")
        volumeID = try VolumeRoot.adopt(at: archive, role: .archive, nowUs: 1_700_000_000_000_000).volumeID
        try folder.write(key + "\n", to: "secrets/storage/key")
        indexer = try FakeIndexer(
            address: "ipc://\(folder.path("run/indexer.rpc"))", hints: "ipc://\(folder.path("run/indexer.hints"))")
        var storage = BlobServer.Configuration(folder: keepsBlobs ? try folder.makeFolder("blobs") : nil)
        storage.tokens = tokens
        storage.now = { storageClock.now }
        blob = try await BlobServer.start(storage)
        if container { try blob.createContainer("cams") }
        if indexerRuns { indexer.server.start() }
    }

    /// A site for the time of a test.
    static func with(
        container: Bool = true, indexerRuns: Bool = true, key: String = BlobServer.developmentKey,
        _ body: (UploaderSite) async throws -> Void
    ) async throws {
        let site = try await UploaderSite(container: container, indexerRuns: indexerRuns, key: key)
        do {
            try await body(site)
        } catch {
            try await site.blob.stop()
            throw error
        }
        try await site.blob.stop()
    }

    /// Starts the executable. `changes` override settings; nil takes one away.
    func start(_ changes: [String: String?] = [:], switches: [String] = []) throws -> ServiceProcess {
        var settings: [String: String?] = [
            "run-directory": folder.path("run"), "archive-volume": archive, "wait-ms": "500",
            "secrets-directory": folder.path("secrets"), "key-file": "storage/key", "blob-endpoint": blob.endpoint,
            "account": BlobServer.developmentAccount, "container": "cams", "single-put-bytes": "100000",
            "block-bytes": "100000",
        ]
        settings.merge(changes) { $1 }
        let flags = settings.compactMap { key, value in value.map { "--\(key)=\($0)" } }
        return try ServiceProcess("cloud-uploader", flags + switches, logs: folder)
    }

    /// Writes an archived file with its sidecar and makes the item that asks for its upload.
    func archived(_ bytes: [UInt8], _ name: String, id: UInt64, epoch: UInt64 = 1) throws -> ClaimedItem {
        let path = "cam1/2026/11/23/05/segment_\(name)_cam1.mp4"
        let target = URL(fileURLWithPath: archive).appendingPathComponent(path)
        try FileManager.default.createDirectory(
            at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: target)
        try Data(#"{"camera_id":"cam1"}"#.utf8)
            .write(to: target.deletingPathExtension().appendingPathExtension("json"))
        return ClaimedItem(
            itemID: id, epoch: epoch, kind: .segment, archivePath: path, sizeBytes: UInt64(bytes.count),
            sha256: Self.sha256(bytes), camera: "cam1",
            window: Window(startUs: 1_763_874_000_000_000, endUs: 1_763_874_010_000_000), requestIDs: ["r1"])
    }

    func completed(_ count: Int = 1) async throws -> [CompleteItemRequest] {
        try await eventually("\(count) items complete; failures: \(indexer.failItem.requests)", within: .seconds(30)) {
            indexer.completeItem.requests.count >= count ? indexer.completeItem.requests : nil
        }
    }

    func failed(_ count: Int = 1) async throws -> FailItemRequest {
        try await eventually("\(count) items fail", within: .seconds(30)) {
            indexer.failItem.requests.count >= count ? indexer.failItem.requests.last : nil
        }
    }

    func health() async throws -> HealthReply {
        let client = try client()
        defer { client.close() }
        return try await client.health()
    }

    func client() throws -> ServiceClient {
        try ServiceClient("cloud-uploader", at: "ipc://\(folder.path("run/cloud-uploader.rpc"))")
    }

    /// Requests for a blob that arrived whole and were answered well.
    func accepted(_ operation: BlobOperation) -> [RequestRecord] {
        blob.requests.filter { $0.operation == operation && (200..<300).contains($0.status) }
    }

    /// A service SAS for the container, of version 2020-12-06, that ends so many seconds from now.
    static func containerSignature(rights: String, seconds: Double = 3600) -> String {
        let expiry = (TimeStamp(us: Int64(Date().timeIntervalSince1970 + seconds) * 1_000_000)?.isoSeconds ?? "")
        let account = BlobServer.developmentAccount
        let text = "\(rights)\n\n\(expiry)\n/blob/\(account)/cams\n\n\n\n2020-12-06\nc\n\n\n\n\n\n\n"
        let key = SymmetricKey(data: Data(base64Encoded: BlobServer.developmentKey) ?? Data())
        let mac = Data(HMAC<SHA256>.authenticationCode(for: Data(text.utf8), using: key)).base64EncodedString()
        Canary.remember(mac)
        let sig = mac.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
        return "sv=2020-12-06&sr=c&sp=\(rights)&se=\(expiry)&sig=\(sig)"
    }

    static func randomBytes(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        var bytes: [UInt8] = []
        while bytes.count < count {
            withUnsafeBytes(of: generator.next()) { bytes.append(contentsOf: $0) }
        }
        return Array(bytes.prefix(count))
    }

    /// As the property Content-MD5 has it.
    static func md5(_ bytes: [UInt8]) -> String { Data(Insecure.MD5.hash(data: bytes)).base64EncodedString() }

    static func sha256(_ bytes: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: bytes)) }
}
