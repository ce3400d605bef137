// What sources ask of the disk and what the disk tells them. The queue: DiskThread.swift; the work: DiskWriter.swift.
import Media
import Volume
import Wire

/// What the disk thread tells the owner of a segment. Called on the disk thread; must not wait.
protocol SegmentOwner: AnyObject, Sendable {
    func segmentSynced(id: UInt64, toUs: Int64)
    func segmentSealed(id: UInt64, file: MediaFile)
    /// `keptToUs`: footage up to there lies in staging and is salvaged later; nil where nothing of it is left.
    func segmentLost(id: UInt64, keptToUs: Int64?, reason: String)
}

/// A picture to be stored.
struct PictureFile: Sendable {
    let bytes: [UInt8]
    let file: MediaFile
    let folder: String
    let owner: String
    let leaseEpoch: UInt64
    /// Called on the disk thread with the record of the stored file, or with why it was not stored.
    let done: @Sendable (Result<MediaFile, VolumeError>) -> Void
}

enum DiskWork: Sendable {
    case open(SegmentTicket, any SegmentOwner)
    case fragment(id: UInt64, packets: [MediaPacket], endUs: Int64, isBackfill: Bool)
    case seal(SegmentEnd)
    case picture(PictureFile)
    /// A gap for the journal on the volume.
    case gap(Gap)
    /// Runs when everything before it is done.
    case run(@Sendable () -> Void)

    /// What the memory that one packet takes is more than its payload.
    static let packetOverheadBytes = 64

    /// What it counts in the queue; 0 always fits.
    var queuedBytes: Int {
        switch self {
        // A ring that is written out is in memory anyway, and a hole in it could not be dropped by groups of pictures.
        case .fragment(_, _, _, true), .open, .seal, .gap, .run: 0
        case .fragment(_, let packets, _, false): packets.reduce(1) { $0 + $1.sizeBytes + Self.packetOverheadBytes }
        case .picture(let picture): picture.bytes.count + 1
        }
    }
}
