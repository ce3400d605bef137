// A catalogue in a temporary folder with a clock of its own, and short ways to say what happens to it. The calls are the
// real ones, without a socket: see Tests/Service/Indexer for that.

import Foundation
import Metrics
import RPC
import ServiceKit
import Synchronization
import Wire

@testable import Indexer

final class TestCatalogue: Sendable {
    static let startUs: Int64 = 1_795_410_000 * Micro.second

    let clock = ManualWallClock(us: TestCatalogue.startUs)
    let bell = WorkBell()
    let progress = ClaimProgress()
    let catalogue: Catalogue
    let effects: Mutex<Effects>
    private let folder: URL
    private let spoolID = Mutex<UInt64>(0)

    var records: RecordCalls { RecordCalls(catalogue: catalogue, counters: IndexerCounters()) }
    var queries: QueryCalls { QueryCalls(catalogue: catalogue) }
    var requests: RequestCalls { RequestCalls(catalogue: catalogue, counters: IndexerCounters()) }
    var claims: ClaimCalls {
        ClaimCalls(catalogue: catalogue, bell: bell, progress: progress, counters: IndexerCounters())
    }
    var uploads: UploadCalls { UploadCalls(catalogue: catalogue, progress: progress) }
    var retention: RetentionCalls { RetentionCalls(catalogue: catalogue, counters: IndexerCounters()) }

    init(_ change: (inout Policy) -> Void = { _ in }) throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("indexer-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        var policy = Policy()
        policy.commitDelayUs = 0
        change(&policy)
        let heard = EffectsBox()
        effects = Mutex(Effects())
        let herald = Herald(bell: bell) { _, _, _ in }
        catalogue = try Catalogue(
            path: folder.appendingPathComponent("catalogue.sqlite").path, policy: policy, clock: clock,
            onCommit: { effects in
                heard.merge(effects)
                herald.announce(effects)
            })
        box = heard
    }

    /// Size of the write-ahead log.
    func walBytes() throws -> Int {
        try FileManager.default.attributesOfItem(atPath: folder.path + "/catalogue.sqlite-wal")[.size] as? Int ?? 0
    }

    private let box: EffectsBox
    /// All that commits made known so far.
    var announced: Effects { box.effects.withLock { $0 } }

    final class EffectsBox: Sendable {
        let effects = Mutex(Effects())
        func merge(_ other: Effects) { effects.withLock { $0.merge(other) } }
    }

    deinit {
        try? catalogue.close()
        try? FileManager.default.removeItem(at: folder)
    }

    // MARK: - Time, in seconds from the start

    static func us(_ seconds: Double) -> Int64 { startUs + Int64((seconds * 1_000_000).rounded()) }
    func now(_ seconds: Double) { clock.set(us: Self.us(seconds)) }
    static func window(_ from: Double, _ to: Double) -> Window { Window(startUs: us(from), endUs: us(to)) }
    static func seconds(_ us: Int64?) -> Double { Double((us ?? 0) - startUs) / 1_000_000 }

    // MARK: - Records

    static func source(_ camera: String) -> SourceName { SourceName(device: "dev-\(camera)", endpoint: "main") }

    static func segment(
        _ from: Double, _ to: Double, camera: String = "cam1", run: String = "run1", epoch: UInt64 = 1,
        volume: String = "vol1", path: String? = nil, salvaged: Bool = false, sha256: [UInt8]? = nil
    ) -> MediaRecord {
        MediaRecord(
            file: MediaFile(
                kind: .segment, volumeID: volume, path: path ?? "\(camera)/\(run)/\(us(from))_\(us(to)).mp4",
                source: source(camera), stream: StreamName(asset: camera, stream: "clips"), startUs: us(from),
                endUs: us(to), sizeBytes: 1000, frames: 100, videoCodec: "h264", runID: run, leaseEpoch: epoch,
                salvaged: salvaged, sha256: sha256, fileExtension: "mp4"))
    }

    static func snapshot(_ at: Double, camera: String = "cam1") -> MediaRecord {
        MediaRecord(
            file: MediaFile(
                kind: .snapshot, volumeID: "vol1", path: "\(camera)/snap/\(us(at)).jpg", source: source(camera),
                stream: StreamName(asset: camera, stream: "pictures"), startUs: us(at), endUs: us(at), sizeBytes: 50,
                frames: 1, videoCodec: "jpeg", runID: "run1", leaseEpoch: 1, fileExtension: "jpg"))
    }

    static func rendition(_ from: Double, _ to: Double, camera: String = "cam1") -> MediaRecord {
        var record = segment(from, to, camera: camera, path: "\(camera)/run1/\(us(from))_\(us(to)).mkv")
        record.file?.kind = .rendition
        record.file?.fileExtension = "mkv"
        return record
    }

    static func gap(_ from: Double, _ to: Double, camera: String = "cam1", cause: String = "dark") -> MediaRecord {
        MediaRecord(
            gap: Gap(source: source(camera), window: window(from, to), cause: cause, reason: "the camera is silent"))
    }

    static func run(_ id: String, camera: String = "cam1", from: Double) -> MediaRecord {
        MediaRecord(run: Run(runID: id, source: source(camera), startedUs: us(from), leaseEpoch: 1))
    }

    @discardableResult func record(_ records: [MediaRecord]) async throws -> RecordMediaReply {
        let numbered = records.map { record in
            var record = record
            record.spoolID = spoolID.withLock { id in
                id += 1
                return id
            }
            return record
        }
        return try await self.records.recordMedia(RecordMediaRequest(controllerID: "cc-0", records: numbered))
    }

    /// Segments of ten seconds from one time to another.
    func recordFootage(_ from: Double, _ to: Double, camera: String = "cam1", run: String = "run1") async throws {
        var at = from
        while at < to {
            try await record([Self.segment(at, min(at + 10, to), camera: camera, run: run)])
            at += 10
        }
    }

    // MARK: - Requests

    static func camera(_ name: String, _ footage: FootageState = .recording, _ reason: String? = nil) -> RequestedCamera
    {
        RequestedCamera(camera: name, source: source(name), footage: footage, footageReason: reason)
    }

    @discardableResult func event(
        _ key: String, at: Double, before: Int64 = -15_000, after: Int64 = 5000, maximum: UInt64? = nil,
        rule: String = "rule", cameras: [RequestedCamera] = [camera("cam1")], delivery: Delivery = .cloud,
        kinds: [MediaKind] = [.segment], priority: Int32 = 100, due: Int64? = nil
    ) async throws -> SubmitReply {
        try await requests.submitEvent(
            SubmitEventRequest(
                eventKey: key, rule: rule, eventUs: Self.us(at), startOffsetMs: before, endOffsetMs: after,
                maximumMs: maximum, cameras: cameras, requestedBy: "mqtt:alerts", reason: "anomaly \(key)",
                delivery: delivery, priority: priority, kinds: kinds, dueUs: due))
    }

    @discardableResult func archive(
        _ id: String? = nil, _ from: Double, _ to: Double, cameras: [RequestedCamera] = [camera("cam1")],
        delivery: Delivery = .archive, mode: ArchiveMode? = nil, kinds: [MediaKind] = [.segment], priority: Int32 = 50,
        due: Int64? = nil
    ) async throws -> SubmitReply {
        try await requests.submitArchive(
            SubmitArchiveRequest(
                requestID: id, window: Self.window(from, to), cameras: cameras, requestedBy: "ops", reason: "look",
                delivery: delivery, mode: mode, priority: priority, kinds: kinds, dueUs: due))
    }

    func request(_ id: String?) async throws -> ArchiveRequest {
        try await requests.getRequest(GetRequestRequest(requestID: id))
    }

    /// What the timer does.
    func tick() async throws {
        try await catalogue.write { turn in
            try turn.advanceDue()
            try turn.expireClaims()
        }
    }

    // MARK: - Work

    func claim(_ work: Work, limit: UInt32 = 64, kinds: [ItemKind] = [], worker: String = "w") async throws
        -> [ClaimedItem]
    {
        try await claims.claimItems(
            ClaimItemsRequest(work: work, worker: worker, limit: limit, leaseMs: 30_000, kinds: kinds),
            remaining: .seconds(10)
        ).items
    }

    static func digest(_ item: ClaimedItem) -> [UInt8] {
        item.sha256 ?? sha256([UInt8]((item.archivePath ?? "").utf8))
    }

    @discardableResult func complete(
        _ item: ClaimedItem, _ work: Work, handedOver: Bool = false, crc64: UInt64? = nil
    ) async throws -> ItemState? {
        try await claims.completeItem(
            CompleteItemRequest(
                claim: ItemClaim(itemID: item.itemID, epoch: item.epoch), work: work, worker: "w",
                sizeBytes: item.sizeBytes ?? 1000, sha256: Self.digest(item), archiveVolumeID: "arch",
                blobURL: work == .upload ? "https://a.blob/c/\(item.archivePath ?? "")" : nil, handedOver: handedOver,
                crc64: crc64)
        ).state
    }

    /// Claims and completes all that there is, in rounds, until nothing is left. Gives the paths in their order.
    @discardableResult func work(_ work: Work) async throws -> [String] {
        var paths: [String] = []
        while true {
            let items = try await claim(work)
            if items.isEmpty { return paths }
            for item in items {
                try await complete(item, work)
                paths.append(item.archivePath ?? "")
            }
        }
    }
}

/// Replies that are sent encoded, as a caller reads them.
extension QueryCalls {
    func files(_ request: QueryMediaRequest) async throws -> QueryMediaReply {
        try QueryMediaReply(wire: try await queryMedia(request).bytes)
    }
}

extension RecordCalls {
    func known(_ request: ListFilesRequest) async throws -> ListFilesReply {
        try ListFilesReply(wire: try await listFiles(request).bytes)
    }
}
