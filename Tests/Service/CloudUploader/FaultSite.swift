// An uploader behind the fault proxy: files that go up through faults, and what must be true of each of them afterwards.
import BlobServer
import Fakes
import FaultProxy
import Foundation
import Harness
import Synchronization
import Volume
import Wire

/// A file that goes up through a fault.
struct FaultyUpload: Sendable {
    /// How it goes up; a media file is followed by its sidecar.
    enum Kind: String, CaseIterable {
        case blocks, whole, manifest
    }
    let kind: Kind
    let item: ClaimedItem
    let bytes: [UInt8]
    /// Part of the path of all its blobs, and of no others.
    let mark: String
    /// What was done to it, for messages.
    let story: String

    var path: String { item.archivePath ?? "" }
    var id: UInt64 { item.itemID ?? 0 }
}

/// A clock that is right until a test says otherwise.
final class ShiftedClock: Sendable {
    private let seconds = Mutex(0)

    /// By how much it is ahead.
    func shift(bySeconds ahead: Int) { seconds.withLock { $0 = ahead } }

    var now: Date { Date(timeIntervalSinceNow: Double(seconds.withLock { $0 })) }
}

/// One uploader with volume, faked indexer and Blob server, and the proxy between it and the server. An item that failed comes
/// again at once under a higher epoch, unless the failure was for good.
final class FaultSite: Sendable {
    static let blockBytes = 65_536
    static let blocks = 9
    static let fileBytes = blocks * blockBytes - 1000
    /// The settings' defaults, on which the bound of bytes rests.
    static let inFlight = 3
    static let parallel = 2

    let site: UploaderSite
    /// The storage's.
    let clock = ShiftedClock()
    let proxy: FaultProxy
    private let uploads = Mutex<[UInt64: FaultyUpload]>([:])
    private static let noise = UploaderSite.randomBytes(fileBytes)

    init() async throws {
        site = try await UploaderSite(storageClock: clock)
        proxy = try await FaultProxy.start(to: site.blob.port)
        site.indexer.failItem.answer { [weak self] request in
            guard request.retryable == true else { return FailItemReply(state: .poisoned) }
            self?.again(request.claim?.itemID ?? 0, epoch: (request.claim?.epoch ?? 0) + 1)
            return FailItemReply(state: .pending)
        }
    }

    /// Makes a site, lets `body` use it, and ends it.
    static func with(_ body: (FaultSite) async throws -> Void) async throws {
        let faulty = try await FaultSite()
        do {
            try await body(faulty)
        } catch {
            try await faulty.end()
            throw error
        }
        try await faulty.end()
    }

    private func end() async throws {
        try await proxy.stop()
        try await site.blob.stop()
    }

    /// Starts the uploader with the proxy as its storage.
    func start(_ changes: [String: String?] = [:]) throws -> ServiceProcess {
        let settings: [String: String?] = [
            "blob-endpoint": "http://127.0.0.1:\(proxy.port)/\(BlobServer.developmentAccount)",
            "single-put-bytes": "\(Self.blockBytes)", "block-bytes": "\(Self.blockBytes)",
            "blocks-in-flight": "\(Self.inFlight)", "parallel": "\(Self.parallel)", "wait-ms": "200",
        ]
        return try site.start(settings.merging(changes) { $1 })
    }

    // MARK: Files

    /// Writes a file of its own content to the volume and makes its item, which `offer` gives to the uploader. It takes the name
    /// of `older` where one is named.
    func upload(_ kind: FaultyUpload.Kind, as older: FaultyUpload? = nil, _ story: String) throws -> FaultyUpload {
        let id = UInt64(uploads.withLock { $0.count }) + 1
        let name = older?.id ?? id
        var bytes = Array(Self.noise.prefix(kind == .blocks ? Self.fileBytes : 40_000))
        for place in 0..<8 { bytes[place] = UInt8(truncatingIfNeeded: id >> (8 * UInt64(place))) }
        var item: ClaimedItem
        if kind == .manifest {
            let path = "sightglass.requests/2026/11/23/request_\(name)_.json"
            let target = URL(fileURLWithPath: site.archive).appendingPathComponent(path)
            try FileManager.default.createDirectory(
                at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(bytes).write(to: target)
            item = ClaimedItem(
                itemID: id, epoch: 1, kind: .manifest, archivePath: path, sha256: UploaderSite.sha256(bytes))
        } else {
            item = try site.archived(bytes, "\(name)", id: id)
        }
        // Half of them as an archiver tells them that makes this checksum, half as one that does not.
        if id.isMultiple(of: 2) { item.crc64 = CRC64(bytes).value }
        let mark = kind == .manifest ? "/request_\(name)_." : "/segment_\(name)_cam1."
        let upload = FaultyUpload(kind: kind, item: item, bytes: bytes, mark: mark, story: story)
        uploads.withLock { $0[id] = upload }
        return upload
    }

    func offer(_ uploads: [FaultyUpload]) { site.indexer.offer(uploads.map(\.item), work: .upload) }

    /// Gives an item out again, as the indexer does when its claim has ended.
    func again(_ id: UInt64, epoch: UInt64) {
        guard var item = uploads.withLock({ $0[id]?.item }) else { return }
        item.epoch = epoch
        site.indexer.offer([item], work: .upload)
    }

    // MARK: What came of them

    /// Waits until all are complete.
    func done(_ uploads: [FaultyUpload], within limit: Duration = .seconds(60)) async throws {
        let wanted = Set(uploads.map(\.id))
        do {
            try await eventually("\(wanted.count) items complete", within: limit) {
                wanted.isSubset(of: completedIDs) ? true : nil
            }
        } catch {
            let missing = uploads.filter { !completedIDs.contains($0.id) }.prefix(5).map { upload in
                "\(upload.kind), \(upload.story): \(reasons(upload)), \(proxy.requests(of: upload.mark).map(\.operation))"
            }
            throw HarnessError("\(error); missing: \(missing)")
        }
    }

    private var completedIDs: Set<UInt64> { Set(site.indexer.completeItem.requests.compactMap { $0.claim?.itemID }) }

    /// The reasons of an item's failures, oldest first.
    func reasons(_ upload: FaultyUpload) -> [String] {
        site.indexer.failItem.requests.filter { $0.claim?.itemID == upload.id }.map { $0.reason ?? "" }
    }

    /// What is not as it must be after an upload with so many interruptions, whatever they were: complete once, committed once
    /// with the right bytes, nothing stale in it or beside it, and nothing sent again but what was on its way.
    func complaints(_ upload: FaultyUpload, interruptions: Int) -> [String] {
        var found: [String] = []
        func check(_ isRight: Bool, _ text: @autoclosure () -> String) {
            if !isRight { found.append("\(upload.kind), \(upload.story): \(text())") }
        }
        let completions = site.indexer.completeItem.requests.filter { $0.claim?.itemID == upload.id }
        check(completions.count == 1, "completed \(completions.count) times")
        check(
            completions.first?.sha256 == UploaderSite.sha256(upload.bytes)
                && completions.first?.sizeBytes == UInt64(upload.bytes.count), "completed as \(completions)")
        let sidecar = upload.path.replacingOccurrences(of: ".mp4", with: ".json")
        for path in Set([upload.path, sidecar]) {
            let commits = site.blob.requests.filter {
                $0.path == "cams/\(path)" && [.putBlob, .putBlockList].contains($0.operation)
                    && (200..<300).contains($0.status)
            }
            // An answer that the server lost itself is in its record without a status.
            check(commits.count <= 1, "\(path) was committed \(commits.count) times")
        }
        check(site.blob.content(of: upload.path, in: "cams") == upload.bytes, "other content, or none")
        if upload.kind != .manifest {
            check(site.blob.content(of: sidecar, in: "cams") == Array(#"{"camera_id":"cam1"}"#.utf8), "no sidecar")
        }
        let blocks = site.blob.blob(upload.path, in: "cams")?.blocks.count ?? -1
        check(blocks == (upload.kind == .blocks ? Self.blocks : 0), "\(blocks) blocks")
        let sent = proxy.sentBytes(of: upload.mark, upload.kind == .blocks ? "PUT block" : "PUT")
        let onTheirWay = upload.kind == .blocks ? Self.inFlight * Self.blockBytes : upload.bytes.count + 1000
        let small = upload.kind == .blocks ? 0 : 1000
        let most = upload.bytes.count + small + interruptions * onTheirWay
        check(sent <= most, "\(sent) bytes were sent, at most \(most) are right")
        return found
    }
}
