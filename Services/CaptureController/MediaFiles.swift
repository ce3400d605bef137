// From what a file says about itself to its path and its records, the same for a segment that is sealed, one that is
// salvaged and one that is found again on the volume.
import Media
import Volume
import Wire

enum MediaFiles {
    /// Where a segment belongs: below the stream that asked for it, else below its source.
    ///
    /// A clock that was set back can give two files the same times. The second one's name then ends a microsecond later, the third
    /// one's two: `number` 1, 2 and so on. What the file says of itself is not changed by it.
    static func segmentPath(
        _ info: SegmentInfo, folder: String, number: Int64 = 0
    ) throws(VolumeError) -> RelativePath {
        let owner = info.asset.isEmpty ? info.device : info.asset
        let part = info.asset.isEmpty ? info.endpoint : info.stream
        let path = try RecordingLayout.segment(
            owner: owner, part: part, startUs: info.startUs, endUs: max(info.endUs ?? 0, info.startUs + 1) + number,
            fileExtension: "mp4")
        return try below(folder, path)
    }

    /// So many files of the same times get names of their own; nobody sets a clock back so often.
    static let mostOfOneTime: Int64 = 100

    /// The first path of a segment that is not taken; the plain one where all are.
    static func freePath(
        _ info: SegmentInfo, folder: String, isTaken: (RelativePath) -> Bool
    ) throws(VolumeError) -> RelativePath {
        for number in 0..<mostOfOneTime {
            let path = try segmentPath(info, folder: folder, number: number)
            if !isTaken(path) { return path }
        }
        return try segmentPath(info, folder: folder)
    }

    /// Where a picture belongs.
    static func snapshotPath(
        stream: StreamKey?, source: SourceKey, folder: String, timeUs: Int64, fileExtension: String
    ) throws(VolumeError) -> RelativePath {
        let path = try RecordingLayout.snapshot(
            owner: stream?.asset ?? source.device, part: stream?.stream ?? source.endpoint, timeUs: timeUs,
            fileExtension: fileExtension)
        return try below(folder, path)
    }

    private static func below(_ folder: String, _ path: RelativePath) throws(VolumeError) -> RelativePath {
        folder.isEmpty ? path : try RelativePath(folder + "/" + path.string)
    }

    /// The catalogue's row of a segment.
    static func record(_ info: SegmentInfo, path: RelativePath, volumeID: String, digest: Digest?) -> MediaFile {
        record(info, path: path, volumeID: volumeID, sizeBytes: digest?.sizeBytes ?? 0, sha256: digest?.sha256)
    }

    static func record(
        _ info: SegmentInfo, path: RelativePath, volumeID: String, sizeBytes: Int64, sha256: [UInt8]?
    ) -> MediaFile {
        MediaFile(
            kind: .segment, volumeID: volumeID, path: path.string,
            source: SourceName(device: info.device, endpoint: info.endpoint),
            stream: info.asset.isEmpty ? nil : StreamName(asset: info.asset, stream: info.stream),
            startUs: info.startUs, endUs: max(info.endUs ?? 0, info.startUs + 1), sizeBytes: UInt64(max(sizeBytes, 0)),
            frames: info.frames, videoCodec: info.videoCodec,
            audioCodec: info.audioCodec.isEmpty ? nil : info.audioCodec,
            widthPx: info.widthPx, heightPx: info.heightPx, runID: info.runID, leaseEpoch: info.leaseEpoch,
            salvaged: info.salvaged, sha256: sha256, fileExtension: "mp4", sequence: info.sequence)
    }

    /// What the disk did not keep.
    static func diskGap(_ source: SourceKey, _ span: Span, runID: String) -> Gap {
        Gap(
            source: source.wire, window: span.wire, cause: "disk_full",
            reason: "the recording volume did not take the footage; see the volume's status", runID: runID)
    }

    /// Everything else that a file's box tells: its run, the anchor, the gaps before and in it. In the order in which the
    /// catalogue must see them.
    static func context(_ info: SegmentInfo) -> [MediaRecord] {
        let source = SourceName(device: info.device, endpoint: info.endpoint)
        var records = [
            MediaRecord(
                run: Run(
                    runID: info.runID, source: source, startedUs: info.runStartedUs, endedUs: info.runEndedUs,
                    endReason: info.runEndedUs == nil ? nil : info.runEndReason, leaseEpoch: info.leaseEpoch,
                    controllerID: info.controllerID))
        ]
        if let anchor = info.anchor { records.append(anchor.wire(runID: info.runID)) }
        for gap in info.gaps {
            records.append(
                MediaRecord(
                    gap: Gap(
                        source: source, window: Window(startUs: gap.startUs, endUs: gap.endUs), cause: gap.cause,
                        reason: gap.reason, runID: info.runID,
                        framesLost: gap.framesLost == 0 ? nil : gap.framesLost)))
        }
        return records
    }
}
