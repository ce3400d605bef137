// Brings catalogue and volume together after a start: files that the catalogue does not know are recorded again from what they
// say about themselves, rows whose file is gone are reported as deleted. In the background; waits for the indexer.
import Logging
import Media
import MediaWork
import RPC
import ServiceKit
import Volume
import Wire

struct Reconcile: Sendable {
    let volume: VolumeRoot
    let indexer: RPCClient
    let instance: String
    let inventory: Inventory
    let outbox: Outbox
    let spool: Spool
    /// The source of a stream, for pictures, which carry no box.
    let source: @Sendable (StreamKey) async -> SourceKey?
    /// Is told of young segments, which may lack a rendition: a recorder that was stopped did not make it any more.
    let wantsRendition: @Sendable (MediaFile) -> Void
    let logger: Logger
    private let blocking = BlockingLane("reconcile")

    init(
        volume: VolumeRoot, indexer: RPCClient, instance: String, inventory: Inventory, outbox: Outbox, spool: Spool,
        logger: Logger, source: @escaping @Sendable (StreamKey) async -> SourceKey?,
        wantsRendition: @escaping @Sendable (MediaFile) -> Void
    ) {
        self.volume = volume
        self.indexer = indexer
        self.instance = instance
        self.inventory = inventory
        self.outbox = outbox
        self.spool = spool
        self.logger = logger
        self.source = source
        self.wantsRendition = wantsRendition
    }

    /// Segments that ended earlier get no rendition any more: there may be thousands, from before somebody wanted one.
    static let renditionAgeUs: Int64 = 3_600_000_000

    /// One pass. Throws where indexer or volume went away on the way; then it is tried again.
    func run() async throws {
        // What the spool holds is on its way; asking before it arrived would send all of it twice.
        while try await spool.count() > 0 {
            try await Task.sleep(for: .milliseconds(200))
        }
        // The catalogue first: a file that is sealed while we look must not count as gone.
        let rows = try await catalogue()
        let files = try await blocking.run { [volume] in
            var files: [String: Int64] = [:]
            try volume.forEachFile { (entry) throws(VolumeError) in
                files[entry.path.string] = entry.sizeBytes
                return true
            }
            return files
        }
        let known = rows.filter { files[$0.key] != nil }.map(\.value)
        try await blocking.run { [inventory] in try inventory.add(known) }
        let unknown = files.keys.filter { rows[$0] == nil }.sorted()
        for path in unknown { await record(path) }
        let nowUs = wallClockUs()
        for segment in known where segment.kind == .segment && nowUs - (segment.endUs ?? 0) < Self.renditionAgeUs {
            wantsRendition(segment)
        }
        try await recordGaps()
        let gone = rows.keys.filter { files[$0] == nil }.sorted()
        if !gone.isEmpty { try await reportGone(gone) }
        logger.info(
            "volume and catalogue compared",
            metadata: ["files": "\(files.count)", "recorded_again": "\(unknown.count)", "gone": "\(gone.count)"])
    }

    private func catalogue() async throws -> [String: MediaFile] {
        var rows: [String: MediaFile] = [:]
        var after: String?
        while true {
            let reply = try await indexer.call(
                IndexerMethods.listFiles,
                ListFilesRequest(volumeID: volume.volumeID, afterPath: after, limit: 1000), timeout: .seconds(20))
            for file in reply.files { if let path = file.path { rows[path] = file } }
            guard reply.more ?? false, let last = reply.files.last?.path, last != after else { return rows }
            after = last
        }
    }

    /// The journal's gaps once more: the catalogue knows most of them and passes over those.
    private func recordGaps() async throws {
        let (gaps, damaged) = try await blocking.run { [volume] in try GapJournal(volume).read(nowUs: wallClockUs()) }
        for gap in gaps { outbox.put(MediaRecord(gap: gap)) }
        if damaged > 0 {
            logger.warning("damaged lines in the journal of gaps were passed over", metadata: ["lines": "\(damaged)"])
        }
    }

    private func reportGone(_ paths: [String]) async throws {
        // Listing and marker are checked once more: rows of a volume that went away are never given up.
        let missing = try await blocking.run { [volume] in
            try volume.checkStillThere()
            return try paths.filter { path in !volume.exists(try RelativePath(path)) }
        }
        for start in stride(from: 0, to: missing.count, by: 500) {
            let part = Array(missing[start..<min(start + 500, missing.count)])
            _ = try await indexer.call(
                IndexerMethods.reportDeleted,
                ReportDeletedRequest(volumeID: volume.volumeID, owner: instance, paths: part))
            logger.warning("files of the catalogue are gone from the volume", metadata: ["files": "\(part.count)"])
        }
        try await inventory.remove(missing)
    }

    private func record(_ path: String) async {
        do {
            let (info, digest, parsed) = try await blocking.run { [volume] in
                let relative = try RelativePath(path)
                let reader = try volume.reader(relative)
                let info =
                    path.hasSuffix(".mp4")
                    ? try FragmentedMP4Reader(StagedBytes(reader: reader)).salvage().finalInfo : nil
                return (info, try reader.digest(), RecordingLayout.parse(Self.withoutFolder(relative)))
            }
            if let info {
                let file = MediaFiles.record(
                    info, path: try RelativePath(path), volumeID: volume.volumeID, digest: digest)
                for record in MediaFiles.context(info) { outbox.put(record) }
                outbox.put(MediaRecord(file: file))
                if wallClockUs() - (file.endUs ?? 0) < Self.renditionAgeUs { wantsRendition(file) }
            } else if let parsed, parsed.endUs != nil,
                RenditionFormat(named: parsed.fileExtension) != nil || parsed.fileExtension == "mp4"
            {
                let stream = StreamKey(asset: parsed.owner, stream: parsed.part)
                let owner = await source(stream)
                outbox.put(
                    MediaRecord(
                        file: RenditionFiles.record(
                            found: try RelativePath(path), parsed, digest,
                            source: owner ?? SourceKey(device: parsed.owner, endpoint: parsed.part),
                            stream: owner == nil ? nil : stream, volumeID: volume.volumeID)))
            } else if let parsed, parsed.endUs == nil {
                let stream = StreamKey(asset: parsed.owner, stream: parsed.part)
                let owner = await source(stream)
                let kind = parsed.fileExtension == "jpg" ? "jpeg" : parsed.fileExtension
                outbox.put(
                    MediaRecord(
                        file: MediaFile(
                            kind: .snapshot, volumeID: volume.volumeID, path: path,
                            source: (owner ?? SourceKey(device: parsed.owner, endpoint: parsed.part)).wire,
                            stream: owner == nil ? nil : stream.wire, startUs: parsed.startUs, endUs: parsed.startUs,
                            sizeBytes: UInt64(max(digest.sizeBytes, 0)), frames: 1, videoCodec: kind,
                            sha256: digest.sha256, fileExtension: parsed.fileExtension)))
            } else {
                logger.warning("a file on the volume is not ours and is left alone", metadata: ["path": "\(path)"])
            }
        } catch {
            logger.warning("a file could not be recorded again: \(error)", metadata: ["path": "\(path)"])
        }
    }

    /// A stream's configured folder lies in front of the layout's seven parts.
    private static func withoutFolder(_ path: RelativePath) -> RelativePath {
        (try? RelativePath(path.parts.suffix(7).joined(separator: "/"))) ?? path
    }
}
