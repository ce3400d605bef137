// Exact clips on the volume: reads the segments that a piece of a run needs, and writes what ExactClip makes of them. Blocking; on the
// thread of renditions. No sample is decoded here, so no media-worker is needed.
import Media
import Volume
import Wire

/// A piece of a run that is to be cut.
struct ClipJob: Sendable {
    let source: SourceKey
    let leaseEpoch: UInt64
    let roll: RollPlan
    let span: Span
    let files: [RolledClips.Segment]
    let counters: TaskCounters

    /// What it may take on the volume, at most.
    var sizeBytes: Int64 { files.reduce(0) { $0 + $1.sizeBytes } }
}

struct ClipCutter: Sendable {
    /// Copied at once.
    private static let copyBytes = 1 << 20

    let busy: BusyNames
    let instance: String

    /// Cuts the clip, or two and more where the camera changed its codec within. Empty where it is there already.
    func cut(_ job: ClipJob, on volume: VolumeRoot) throws -> [(MediaFile, note: String)] {
        let path = try self.path(job, startUs: job.span.startUs)
        guard !volume.exists(path) else { return [] }
        let readers = try job.files.map { try volume.reader(try RelativePath($0.path)) }
        guard !readers.isEmpty else {
            throw MediaError("the camera gave no footage of the time from \(job.span.startUs) to \(job.span.endUs) us")
        }
        var files = try readers.map { try ClipFile(StagedBytes(reader: $0)) }[...]
        var made: [(MediaFile, note: String)] = []
        while let first = files.first {
            let fromUs = made.isEmpty ? job.span.startUs : first.info.startUs
            let clip = try ExactClip(
                of: Array(files), fromUs: fromUs, toUs: job.span.endUs, wantsAudio: job.roll.wantsAudio,
                createdUs: fromUs)
            let sealed = try write(
                clip, Array(readers[files.startIndex...]), job, on: volume,
                as: made.isEmpty ? path : try self.path(job, startUs: fromUs))
            made.append((record(job, first.info, clip, sealed, volumeID: volume.volumeID), Self.note(clip, job)))
            files = files.dropFirst(max(1, clip.filesTaken))
        }
        return made
    }

    private func path(_ job: ClipJob, startUs: Int64) throws(VolumeError) -> RelativePath {
        let layout = try RecordingLayout.segment(
            owner: job.roll.stream.asset, part: job.roll.stream.stream, startUs: startUs, endUs: job.span.endUs,
            fileExtension: "mp4")
        return job.roll.folder.isEmpty ? layout : try RelativePath(job.roll.folder + "/" + layout.string)
    }

    private func write(
        _ clip: ExactClip, _ readers: [FileReader], _ job: ClipJob, on volume: VolumeRoot, as path: RelativePath
    ) throws -> SealedFile {
        // Not .mp4: salvage would take it for a segment.
        let name = try StagingName(owner: instance, epoch: job.leaseEpoch, label: "clip.\(TicketCounter.next()).part")
        busy.insert(name.fileName)
        defer { busy.remove(name.fileName) }
        let file = try StagedFile.create(in: volume, name: name)
        do {
            try file.append(clip.head)
            for piece in clip.pieces {
                var offset = piece.offset
                while offset < piece.offset + piece.sizeBytes {
                    let count = min(Int64(Self.copyBytes), piece.offset + piece.sizeBytes - offset)
                    let bytes = try readers[piece.file].read(at: offset, count: Int(count))
                    guard !bytes.isEmpty else { throw MediaError("a segment became shorter while it was read") }
                    try file.append(bytes)
                    offset += Int64(bytes.count)
                }
            }
            return try file.seal(as: path)
        } catch {
            try? file.discard()
            throw error
        }
    }

    private static func note(_ clip: ExactClip, _ job: ClipJob) -> String {
        // A picture lasts until the next one: the rest of the last one is not missing.
        let missingUs = clip.missingUs + max(0, job.span.endUs - clip.endUs)
        guard missingUs > 100_000 else { return "" }
        return "\((Double(missingUs) / 100_000).rounded() / 10) s of the newest clip have no footage"
    }

    private func record(
        _ job: ClipJob, _ info: SegmentInfo, _ clip: ExactClip, _ sealed: SealedFile, volumeID: String
    ) -> MediaFile {
        MediaFile(
            kind: .rendition, volumeID: volumeID, path: sealed.path.string, source: job.source.wire,
            stream: job.roll.stream.wire, startUs: clip.startUs, endUs: max(clip.endUs, clip.startUs + 1),
            sizeBytes: UInt64(sealed.digest.sizeBytes), frames: clip.frames, videoCodec: info.videoCodec,
            audioCodec: info.audioCodec.isEmpty || !job.roll.wantsAudio ? nil : info.audioCodec,
            widthPx: info.widthPx, heightPx: info.heightPx, runID: info.runID, leaseEpoch: job.leaseEpoch,
            sha256: sealed.digest.sha256, fileExtension: "mp4")
    }
}
