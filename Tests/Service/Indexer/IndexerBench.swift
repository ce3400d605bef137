// The real indexer under test: started here, or wherever SIGHTGLASS_INDEXER_ADDRESS says. Names are made for each test, so
// that an indexer that is in use can be tested too; what kills the process runs against our own only.

import Foundation
import Harness
import RPC
import Testing
import Wire

let givenAddress = ProcessInfo.processInfo.environment["SIGHTGLASS_INDEXER_ADDRESS"]
let ownsProcess = givenAddress == nil

/// What every indexer must do. One test after the other, because on a given indexer they share one queue of work.
@Suite(.serialized) enum IndexerContract {}

/// One indexer with a client, and names that no other test uses.
final class IndexerBench: Sendable {
    let folder: TemporaryDirectory
    let client: ServiceClient
    let address: String
    let tag: String
    /// A moment some minutes ago, in microseconds: the zero of the test's seconds.
    let zeroUs: Int64

    init() throws {
        folder = try TemporaryDirectory()
        address = givenAddress ?? "ipc://\(folder.path("indexer.rpc"))"
        client = try ServiceClient("indexer", at: address, caller: "test/indexer")
        tag = String(UInt32.random(in: 0...UInt32.max), radix: 36)
        zeroUs = (Int64(Date().timeIntervalSince1970) - 600) * 1_000_000
    }

    /// Starts the process; nil where one was given.
    func start(_ arguments: [String] = []) throws -> ServiceProcess? {
        guard ownsProcess else { return nil }
        return try ServiceProcess(
            "indexer",
            // Tests record one thing after the other, and would wait a second for each.
            ["--run-directory", folder.url.path, "--state-directory", folder.path("state"), "--commit-delay-ms", "0"]
                + arguments, logs: folder)
    }

    // MARK: - Names and times

    var volumeID: String { "rec-\(tag)" }
    var archiveID: String { "arc-\(tag)" }
    func asset(_ camera: String) -> String { "\(camera)-\(tag)" }
    func source(_ camera: String) -> SourceName { SourceName(device: asset(camera), endpoint: "main") }
    func us(_ seconds: Double) -> Int64 { zeroUs + Int64(seconds * 1_000_000) }
    func window(_ from: Double, _ to: Double) -> Window { Window(startUs: us(from), endUs: us(to)) }

    func segment(_ from: Double, _ to: Double, camera: String = "cam", spool: UInt64 = 1) -> MediaRecord {
        MediaRecord(
            spoolID: spool,
            file: MediaFile(
                kind: .segment, volumeID: volumeID, path: "\(asset(camera))/\(us(from))_\(us(to)).mp4",
                source: source(camera), stream: StreamName(asset: asset(camera), stream: "clips"), startUs: us(from),
                endUs: us(to), sizeBytes: 1000, frames: 250, videoCodec: "h264", runID: "run-\(tag)-\(camera)",
                leaseEpoch: 1, fileExtension: "mp4"))
    }

    func requested(_ camera: String = "cam", _ footage: FootageState = .sealed) -> RequestedCamera {
        RequestedCamera(camera: asset(camera), source: source(camera), footage: footage)
    }

    // MARK: - Calls

    func call<Q, R>(_ method: RPCMethod<Q, R>, _ request: Q) async throws -> R {
        try await client.call(method, request)
    }

    @discardableResult func record(_ records: [MediaRecord]) async throws -> RecordMediaReply {
        try await call(IndexerMethods.recordMedia, RecordMediaRequest(controllerID: "cc-0", records: records))
    }

    /// Three segments of ten seconds, from zero.
    func recordFootage(camera: String = "cam") async throws {
        let records = (0..<3).map { segment(Double($0) * 10, Double($0) * 10 + 10, camera: camera, spool: UInt64($0)) }
        #expect(try await record(records).acknowledged.count == 3)
    }

    func archive(
        _ id: String, _ from: Double = 0, _ to: Double = 30, delivery: Delivery = .archive,
        cameras: [RequestedCamera]? = nil
    ) -> SubmitArchiveRequest {
        SubmitArchiveRequest(
            requestID: "\(id)-\(tag)", window: window(from, to), cameras: cameras ?? [requested()], requestedBy: "ops",
            reason: "look", delivery: delivery, priority: Int32.max, kinds: [.segment])
    }

    func event(_ key: String, at: Double, footage: FootageState = .sealed) -> SubmitEventRequest {
        SubmitEventRequest(
            eventKey: "\(key)-\(tag)", rule: "rule-\(tag)", eventUs: us(at), startOffsetMs: -10_000, endOffsetMs: 5000,
            cameras: [requested("cam", footage)], requestedBy: "mqtt:alerts", reason: "anomaly", delivery: .archive,
            kinds: [.segment]
        )
    }

    func request(_ id: String) async throws -> ArchiveRequest {
        try await call(IndexerMethods.getRequest, GetRequestRequest(requestID: "\(id)-\(tag)"))
    }

    func claim(_ work: Work, limit: UInt32 = 4, leaseMs: UInt32 = 30_000, waitMs: UInt32 = 0) async throws
        -> [ClaimedItem]
    {
        try await call(
            IndexerMethods.claimItems,
            ClaimItemsRequest(work: work, worker: "worker-\(tag)", limit: limit, leaseMs: leaseMs, waitMs: waitMs)
        ).items
    }

    /// What every archived file has here; the highest bit is set, because the catalogue's numbers are signed.
    static let crc64: UInt64 = 0xF000_0000_0000_0001

    func completion(_ item: ClaimedItem, _ work: Work) -> CompleteItemRequest {
        CompleteItemRequest(
            claim: ItemClaim(itemID: item.itemID, epoch: item.epoch), work: work, worker: "worker-\(tag)",
            sizeBytes: item.sizeBytes ?? 1000, sha256: item.sha256 ?? [UInt8](repeating: 9, count: 32),
            archiveVolumeID: archiveID,
            blobURL: work == .upload ? "https://a.blob.example/footage/\(item.archivePath ?? "")" : nil,
            crc64: work == .archive ? Self.crc64 : nil)
    }

    @discardableResult func complete(_ item: ClaimedItem, _ work: Work) async throws -> CompleteItemReply {
        try await call(IndexerMethods.completeItem, completion(item, work))
    }

    /// Cancels what the test left open, so that nothing of it is in the way of others.
    func cleanUp() async throws {
        let open = try await call(IndexerMethods.listRequests, ListRequestsRequest(openOnly: true, limit: 200)).requests
        for request in open where request.cameras.contains(where: { $0.camera?.hasSuffix(tag) == true }) {
            _ = try await call(IndexerMethods.cancelRequest, CancelRequestRequest(requestID: request.requestID))
        }
    }
}

/// Runs a test body against an indexer, and stops it.
func withIndexer(_ arguments: [String] = [], _ body: (IndexerBench) async throws -> Void) async throws {
    let bench = try IndexerBench()
    let process = try bench.start(arguments)
    do { try await body(bench) } catch {
        if let process { Testing.Issue.record("\(error)\n\(process.standardError)") }
        throw error
    }
    if let process {
        #expect(try await process.terminate() == 0)
    } else {
        try await bench.cleanUp()
    }
}
