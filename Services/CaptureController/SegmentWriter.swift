// One segment's file: fragments into staging, at the end the final box, the final name, and the record for the catalogue.
// Used on the disk thread only; every call may block.
import Media
import Volume
import Wire

final class SegmentWriter {
    let ticket: SegmentTicket
    let name: StagingName
    private let file: StagedFile
    private let volume: VolumeRoot
    private var mp4: FragmentedMP4Writer
    private var info: SegmentInfo
    /// Newest frame's end that has been handed to the kernel, and since when (monotonic) bytes wait for a sync.
    private(set) var writtenToUs: Int64
    private(set) var unsyncedSinceUs: Int64?
    private(set) var frames: UInt32 = 0
    /// Bytes that the last sync made safe.
    private(set) var newlySyncedBytes: Int64 = 0
    private var syncedBytes: Int64 = 0

    /// What a segment is called in staging.
    static func name(_ ticket: SegmentTicket) throws(VolumeError) -> StagingName {
        let info = ticket.info
        return try StagingName(
            owner: info.controllerID, epoch: info.leaseEpoch, label: "\(info.runID).\(info.sequence).mp4")
    }

    /// Opens the staging file and writes the header.
    init(_ ticket: SegmentTicket, name: StagingName, volume: VolumeRoot, nowUs: Int64) throws(VolumeError) {
        self.name = name
        self.ticket = ticket
        self.volume = volume
        info = ticket.info
        file = try StagedFile.create(in: volume, name: name, leftover: .refuse)
        mp4 = FragmentedMP4Writer(
            tracks: [ticket.video] + (ticket.audio.map { [$0] } ?? []), otherVideo: ticket.otherVideo,
            createdUs: info.startUs)
        writtenToUs = info.startUs
        do throws(VolumeError) { try file.append(mp4.header(info: info)) } catch {
            // Nothing of it can be kept; on a full volume there would be one such file more each second.
            try? file.discard()
            throw error
        }
        unsyncedSinceUs = nowUs
    }

    /// Appends one fragment. Packets that do not fit the file (sound that began later) are passed over. `bytes` is where it is
    /// put together: memory that one fragment after the other uses.
    func append(_ packets: [MediaPacket], endUs: Int64, nowUs: Int64, in bytes: inout [UInt8]) throws(VolumeError) {
        for packet in packets where !mp4.needsNewFile(for: packet) {
            // A refused packet is counted by the writer itself; the others of the fragment are kept.
            try? mp4.append(packet)
        }
        guard mp4.takeFragment(newest: .write, into: &bytes) else { return }
        try file.append(bytes)
        frames = mp4.videoFrames
        writtenToUs = max(writtenToUs, endUs)
        unsyncedSinceUs = unsyncedSinceUs ?? nowUs
    }

    /// Makes what was appended survive a power cut.
    func sync() throws(VolumeError) {
        guard unsyncedSinceUs != nil else { return }
        let safeBytes = try file.datasync()
        newlySyncedBytes = safeBytes - syncedBytes
        syncedBytes = safeBytes
        unsyncedSinceUs = nil
    }

    /// Removes a file that is given up.
    func discard() throws(VolumeError) { try file.discard() }

    /// Finishes the file and gives its record; nil where it holds no frame, then nothing is left of it.
    func seal(_ end: SegmentEnd) throws(VolumeError) -> MediaFile? {
        guard frames > 0 else {
            try file.discard()
            return nil
        }
        info.endUs = end.endUs
        info.frames = frames
        info.runEndedUs = end.runEndedUs
        info.runEndReason = end.runEndReason
        info.mediaStartUs = mp4.mediaStartUs ?? info.mediaStartUs
        info.isFinal = true
        try file.append(FragmentedMP4Writer.trailer(info: info))
        let path = try MediaFiles.freePath(info, folder: ticket.want.folder) { volume.exists($0) }
        let sealed = try file.seal(as: path)
        return MediaFiles.record(info, path: sealed.path, volumeID: volume.volumeID, digest: sealed.digest)
    }
}
