// Brings catalogue and volume together: files that the catalogue does not know are recorded again from what they say about
// themselves, rows whose file is gone are reported as deleted. In the background, slower than the disk could, because cameras
// record on it; waits for the indexer. ReconcileLoop.swift says when, PruneBreaker.swift when too much is gone to believe it.
import Foundation
import Logging
import Media
import MediaWork
import RPC
import ServiceKit
import Synchronization
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

    /// What a pass found.
    struct Outcome: Sendable, Equatable {
        var files = 0
        var recordedAgain = 0
        /// Rows whose file is not there.
        var gone = 0
        /// Files that say nothing that the catalogue could take, and need not be read again.
        var foreign: Set<String> = []
    }

    /// Rows of the catalogue are asked for so many at a time, with a pause in between.
    private static let rowsAtOnce: UInt32 = 1000
    private static let pause = Duration.milliseconds(100)
    /// After so many files the walk over the volume rests for a moment: at most 20 000 files a second.
    private static let filesAtOnce = 1000
    private static let walkPauseSeconds = 0.05
    /// Gaps that are told again where nothing else was missing: of the last days.
    private static let recentGaps = 5000

    /// One pass. Throws where indexer or volume went away on the way; then it is tried again.
    /// - Parameters:
    ///   - isFirst: since the volume opened; then the young segments are looked through for renditions.
    ///   - foreign: files that an earlier pass could not use.
    func run(isFirst: Bool, passingOver foreign: Set<String>, breaker: inout PruneBreaker) async throws -> Outcome {
        // Asked for at once, a catalogue that is away costs no walk over the volume.
        _ = try await rows(after: nil, limit: 1)
        // The volume first, then what is on its way to the catalogue, then the catalogue: so a file whose record we spooled is
        // not read again. One that is sealed meanwhile has a row and is not in our list; it is looked for before it counts as gone.
        var unknown = try await filesOnVolume()
        var outcome = Outcome(files: unknown.count, foreign: foreign)
        let hasMemory = try await inventory.holding().files > 0
        if !isFirst { try await Task.sleep(for: .seconds(1)) }
        while try await spool.count() > 0 { try await Task.sleep(for: .milliseconds(200)) }
        var rowCount = 0
        var unseen: [String] = []
        try await forEachPage { page in
            rowCount += page.count
            var known: [MediaFile] = []
            for file in page {
                guard let path = file.path else { continue }
                if unknown.remove(path) == nil { unseen.append(path) } else { known.append(file) }
            }
            let found = known
            try await blocking.run { [inventory] in try inventory.add(found) }
            guard isFirst else { return }
            let youngUs = wallClockUs() - Self.renditionAgeUs
            for segment in found where segment.kind == .segment && (segment.endUs ?? 0) > youngUs {
                wantsRendition(segment)
            }
        }
        for path in unknown.subtracting(foreign).sorted() {
            let begin = ContinuousClock.now
            switch await record(path) {
            case .recorded: outcome.recordedAgain += 1
            case .foreign: outcome.foreign.insert(path)
            case .gone, .failed: break
            }
            // As long as reading took, so that it never has more than half of the disk.
            try await Task.sleep(for: min(ContinuousClock.now - begin, .seconds(1)))
        }
        try await recordGaps(all: isFirst || outcome.recordedAgain > 0)
        let missing = try await confirmedMissing(unseen)
        // A catalogue that is older than the volume names what we deleted since: we do not believe to have that. Where we have
        // no memory at all, anything may be lost.
        let lost = hasMemory ? try await inventory.noted(missing) : Set(missing)
        try await reportGone(missing.filter { !lost.contains($0) })
        outcome.gone = missing.count
        if breaker.mayPrune(missing: lost.count, of: rowCount, nowUs: MonotonicTime.nowUs()) {
            try await reportGone(lost.sorted())
        } else {
            logger.error(
                """
                more files are gone from the volume than can be believed: nothing is given up for a day, see whether a \
                folder or a disk is missing
                """, metadata: ["files": "\(lost.count)", "of": "\(rowCount)"])
        }
        log(outcome, isFirst: isFirst)
        return outcome
    }

    private func log(_ outcome: Outcome, isFirst: Bool) {
        let isNews = isFirst || outcome.recordedAgain > 0 || outcome.gone > 0
        logger.log(
            level: isNews ? .info : .debug, "volume and catalogue compared",
            metadata: [
                "files": "\(outcome.files)", "recorded_again": "\(outcome.recordedAgain)", "gone": "\(outcome.gone)",
            ])
    }

    private func filesOnVolume() async throws -> Set<String> {
        let isOver = Atomic<Bool>(false)
        return try await withTaskCancellationHandler {
            try await blocking.run { [volume] in
                var files: Set<String> = []
                try volume.forEachFile { (entry) throws(VolumeError) in
                    files.insert(entry.path.string)
                    if files.count % Self.filesAtOnce == 0 { Thread.sleep(forTimeInterval: Self.walkPauseSeconds) }
                    return !isOver.load(ordering: .relaxed)
                }
                // Half a list would make the other half look lost.
                if isOver.load(ordering: .relaxed) { throw CancellationError() }
                return files
            }
        } onCancel: {
            isOver.store(true, ordering: .relaxed)
        }
    }

    /// What the catalogue believes the volume to hold, page by page, so that it never is in memory as a whole.
    private func forEachPage(_ body: ([MediaFile]) async throws -> Void) async throws {
        var after: String?
        while true {
            let reply = try await rows(after: after, limit: Self.rowsAtOnce)
            try await body(reply.files)
            guard reply.more ?? false, let last = reply.files.last?.path, last != after else { return }
            after = last
            try await Task.sleep(for: Self.pause)
        }
    }

    private func rows(after path: String?, limit: UInt32) async throws -> ListFilesReply {
        try await indexer.call(
            IndexerMethods.listFiles,
            ListFilesRequest(volumeID: volume.volumeID, afterPath: path, limit: limit), timeout: .seconds(20))
    }

    /// The journal's gaps once more: the catalogue knows most of them and passes over those.
    private func recordGaps(all: Bool) async throws {
        let (gaps, damaged) = try await blocking.run { [volume] in try GapJournal(volume).read(nowUs: wallClockUs()) }
        for gap in all ? gaps[...] : gaps.suffix(Self.recentGaps) { outbox.put(MediaRecord(gap: gap)) }
        if damaged > 0 {
            logger.warning("damaged lines in the journal of gaps were passed over", metadata: ["lines": "\(damaged)"])
        }
    }

    /// Which of these files are not there. Error where the volume itself is not: its rows are never given up.
    private func confirmedMissing(_ paths: [String]) async throws -> [String] {
        guard !paths.isEmpty else { return [] }
        return try await blocking.run { [volume] in
            try volume.checkStillThere()
            return try paths.filter { path in !volume.exists(try RelativePath(path)) }
        }
    }

    private func reportGone(_ missing: [String]) async throws {
        for start in stride(from: 0, to: missing.count, by: 500) {
            let part = Array(missing[start..<min(start + 500, missing.count)])
            _ = try await indexer.call(
                IndexerMethods.reportDeleted,
                ReportDeletedRequest(volumeID: volume.volumeID, owner: instance, paths: part))
            logger.warning("files of the catalogue are gone from the volume", metadata: ["files": "\(part.count)"])
        }
        try await inventory.remove(missing)
    }

    private enum Recorded { case recorded, foreign, gone, failed }

    private func record(_ path: String) async -> Recorded {
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
                return .foreign
            }
            return .recorded
        } catch let error as VolumeError where error.kind == .missing {
            // Deleted as granted while we looked.
            return .gone
        } catch let error as VolumeError {
            logger.warning("a file could not be recorded again: \(error)", metadata: ["path": "\(path)"])
            return .failed
        } catch {
            logger.warning("a file could not be recorded again: \(error)", metadata: ["path": "\(path)"])
            return .foreign
        }
    }

    /// A stream's configured folder lies in front of the layout's seven parts.
    private static func withoutFolder(_ path: RelativePath) -> RelativePath {
        (try? RelativePath(path.parts.suffix(7).joined(separator: "/"))) ?? path
    }
}
