// What a killed recorder left in `.staging` becomes finished files: cut behind the last whole fragment, closed with the final
// box, published, recorded. Run when the volume was opened, before anything new is written; it blocks.
import Logging
import Media
import Metrics
import Volume
import Wire

/// What salvage did.
struct SalvageResult: Sendable {
    /// Salvaged files and what their boxes tell, in the order in which the catalogue must see them.
    var records: [MediaRecord] = []
    /// Where the footage of each source ends, for the gap up to its next frame.
    var endUs: [SourceKey: Int64] = [:]
    var salvaged = 0
    var discarded = 0
    /// Footage that this process had written to a segment, and that is not in what was left of it.
    var gaps: [Gap] = []
    /// Leftovers that could not be finished for want of room, or because the disk failed; they are tried again.
    var failed = 0

    /// A file that is finished.
    mutating func take(_ info: SegmentInfo, _ path: RelativePath, _ volumeID: String, _ digest: Digest) {
        records += MediaFiles.context(info)
        records.append(MediaRecord(file: MediaFiles.record(info, path: path, volumeID: volumeID, digest: digest)))
        let source = SourceKey(device: info.device, endpoint: info.endpoint)
        endUs[source] = max(endUs[source] ?? 0, info.endUs ?? 0)
    }
}

struct Salvage: Sendable {
    let volume: VolumeRoot
    let instance: String
    /// Leases held now: another controller's leftovers are finished only by who holds the source now, under a higher epoch.
    let leases: [SourceKey: HeldLease]
    /// Folder below the root that a stream's footage belongs to.
    let folder: @Sendable (StreamKey) -> String
    /// What this process is writing is asked for after staging was listed: a file that is begun in between must not be taken for a
    /// leftover.
    let busy: BusyNames
    let logger: Logger

    func run() -> SalvageResult {
        var result = SalvageResult()
        let entries: [StagingEntry]
        do {
            entries = try volume.stagingEntries()
        } catch {
            logger.error("leftovers in staging could not be listed: \(error)")
            return result
        }
        let writing = busy.all
        for entry in entries {
            guard let name = entry.name, !writing.contains(name.fileName) else { continue }
            do {
                try finish(name, &result)
            } catch {
                let kind = (error as? VolumeError)?.kind
                // It was sealed after staging was listed.
                if kind == .missing { continue }
                if kind == .full || kind == .inputOutput { result.failed += 1 }
                logger.error("a leftover could not be salvaged: \(error)", metadata: ["file": "\(name.fileName)"])
            }
        }
        if result.salvaged + result.discarded > 0 {
            Counter(label: "sightglass_controller_salvaged_total").increment(by: result.salvaged)
            logger.notice(
                "leftovers of an earlier run were finished",
                metadata: ["salvaged": "\(result.salvaged)", "discarded": "\(result.discarded)"])
        }
        return result
    }

    private func finish(_ name: StagingName, _ result: inout SalvageResult) throws {
        guard name.label.hasSuffix(".mp4") else {
            // A picture that was not complete: nothing can be kept of it. Another's is left to the other.
            if name.owner == instance { try discard(name, &result) }
            return
        }
        let found = try FragmentedMP4Reader(StagedBytes(reader: try volume.stagedReader(name)))
            .salvage(findingLostPages: true)
        guard var info = found.finalInfo, found.validBytes > 0 else {
            // Told first: a file that is removed, though its folder's sync fails, is not found here again.
            tellLost(name, fromUs: nil, &result)
            if name.owner == instance { try discard(name, &result) }
            return
        }
        let source = SourceKey(device: info.device, endpoint: info.endpoint)
        guard name.owner == instance || leases[source].map({ $0.epoch > name.epoch }) ?? false else { return }
        if !found.isComplete {
            info.runEndedUs = info.endUs
            info.runEndReason = "the recorder was killed"
        }
        let sealed = try seal(name, info, found, &result)
        result.take(info, sealed.path, volume.volumeID, sealed.digest)
        result.salvaged += 1
    }

    /// Under the first name that no other content has; the same content is what an interrupted life published already.
    private func seal(
        _ name: StagingName, _ info: SegmentInfo, _ found: MP4Salvage, _ result: inout SalvageResult
    ) throws -> SealedFile {
        let stream = info.asset.isEmpty ? nil : StreamKey(asset: info.asset, stream: info.stream)
        var number: Int64 = 0
        while true {
            let path = try MediaFiles.segmentPath(info, folder: stream.map(folder) ?? "", number: number)
            let file = try StagedFile.resume(in: volume, name: name, keepingBytes: found.validBytes)
            if !found.isComplete { try file.append(FragmentedMP4Writer.trailer(info: info)) }
            if number == 0 { tellLost(name, fromUs: info.endUs, &result) }
            do throws(VolumeError) { return try file.seal(as: path) } catch {
                number += 1
                guard error.kind == .exists, number < MediaFiles.mostOfOneTime else { throw error }
            }
        }
    }

    /// A time of the file and one of the recorder differ by rounding; a frame is longer.
    private static let roundingUs: Int64 = 10_000

    /// Less is left than was written: a sync had failed, and what it was to make safe is gone. `fromUs`: the end of what is left.
    private func tellLost(_ name: StagingName, fromUs: Int64?, _ result: inout SalvageResult) {
        guard let segment = busy.takeGivenUp(name.fileName) else { return }
        let fromUs = max(fromUs ?? segment.span.startUs, segment.span.startUs)
        guard fromUs + Self.roundingUs < segment.span.endUs else { return }
        result.gaps.append(
            MediaFiles.diskGap(
                segment.source, Span(startUs: fromUs, endUs: segment.span.endUs), runID: segment.runID))
    }

    private func discard(_ name: StagingName, _ result: inout SalvageResult) throws {
        try volume.discardStaged(name)
        result.discarded += 1
    }
}

/// A file of the volume as the media reader wants it.
struct StagedBytes: ByteSource {
    let reader: FileReader
    var size: Int64 { reader.sizeBytes }

    func read(at offset: Int64, count: Int) throws(MediaError) -> [UInt8] {
        do { return try reader.read(at: offset, count: count) } catch { throw MediaError("\(error)") }
    }
}
