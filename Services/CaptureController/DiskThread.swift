// The only thread that writes to the recording volume. Sources put work into its queue and never wait; the queue is bounded in
// bytes, and what it refuses the recorder drops by whole groups of pictures. All growing files are synced together, so that
// one sync interval holds for the volume and not for each camera.
import Logging
import Media
import Metrics
import ServiceKit
import Synchronization
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
}

final class DiskThread: Sendable {
    private let mailbox: Mailbox<DiskWork>
    private let finished = Mailbox<Bool>(maximumBytes: 0)
    private let keeper: VolumeKeeper
    private let outbox: Outbox
    private let syncIntervalUs: Int64
    private let logger: Logger
    private let busy = Mutex<Set<String>>([])
    private let breaches = Counter(label: "sightglass_controller_late_syncs_total")
    private let queueBytes = Gauge(label: "sightglass_controller_disk_queue_bytes")

    /// A sync has to complete so soon after the bytes were written; a later one is a counted breach.
    static let promisedSyncUs: Int64 = 800_000
    static let packetOverheadBytes = 64
    /// Gaps that may wait for a volume that is away or full. Beyond it the oldest are in the spool only.
    static let mostWaitingGaps = 1000

    private let leftovers = Atomic<Bool>(false)

    init(keeper: VolumeKeeper, outbox: Outbox, queueBytes: Int, syncIntervalUs: Int64, logger: Logger) {
        mailbox = Mailbox(maximumBytes: queueBytes)
        self.keeper = keeper
        self.outbox = outbox
        self.syncIntervalUs = syncIntervalUs
        self.logger = logger
        startThread("disk") { [self] in run() }
    }

    /// Adds work. False where it does not fit; only fragments and pictures have a size.
    func put(_ work: DiskWork) -> Bool {
        switch work {
        // A ring that is written out is in memory anyway, and a hole in it could not be dropped by groups of pictures.
        case .fragment(_, _, _, true): mailbox.put(work)
        case .fragment(_, let packets, _, false):
            mailbox.put(work, bytes: packets.reduce(1) { $0 + $1.sizeBytes + Self.packetOverheadBytes })
        case .picture(let picture): mailbox.put(work, bytes: picture.bytes.count + 1)
        case .open, .seal, .gap, .run: mailbox.put(work)
        }
    }

    /// Names in staging that are being written now: salvage leaves them alone.
    var busyNames: Set<String> { busy.withLock { $0 } }

    /// True once after a segment was lost: what is left of it in staging can be salvaged when the volume takes bytes again.
    func takeLeftovers() -> Bool { leftovers.exchange(false, ordering: .acquiringAndReleasing) }
    func noteLeftovers() { leftovers.store(true, ordering: .releasing) }

    /// Does what waits, seals nothing by itself, and ends. Waits at most `seconds`.
    func close(waitingAtMost seconds: Double) {
        mailbox.close()
        _ = finished.take(waitingAtMost: seconds)
    }

    private struct Entry {
        let writer: SegmentWriter
        let owner: any SegmentOwner
    }

    private func run() {
        var open: [UInt64: Entry] = [:]
        var gaps: [Gap] = []
        var lastSyncUs = monotonicUs()
        while let works = mailbox.take(waitingAtMost: Double(syncIntervalUs) / 2e6) {
            queueBytes.record(mailbox.waitingBytes)
            for work in works {
                if case .gap(let gap) = work { gaps.append(gap) } else { perform(work, open: &open) }
                if monotonicUs() - lastSyncUs >= syncIntervalUs {
                    sync(&open, &lastSyncUs)
                    journal(&gaps)
                }
            }
            if monotonicUs() - lastSyncUs >= syncIntervalUs {
                sync(&open, &lastSyncUs)
                journal(&gaps)
            }
        }
        sync(&open, &lastSyncUs)
        journal(&gaps)
        finished.put(true)
    }

    /// Writes waiting gaps to the volume's journal; what fails waits for the next time.
    private func journal(_ gaps: inout [Gap]) {
        guard !gaps.isEmpty, let volume = keeper.current else { return }
        do {
            try GapJournal(volume).append(gaps, nowUs: wallClockUs())
            gaps = []
        } catch {
            keeper.failed(error)
            gaps.removeFirst(max(0, gaps.count - Self.mostWaitingGaps))
        }
    }

    private func perform(_ work: DiskWork, open: inout [UInt64: Entry]) {
        // A volume that was given up is opened again only when nobody holds its lock any more; salvage finishes the files.
        defer { if keeper.current == nil { abandon(&open) } }
        switch work {
        case .open(let ticket, let owner):
            guard let volume = keeper.current else {
                return owner.segmentLost(
                    id: ticket.id, keptToUs: nil, reason: keeper.error ?? "the recording volume is not open yet")
            }
            var taken: String?
            do {
                // Before the file is there, so that salvage never sees a growing file that is not named here.
                let name = try SegmentWriter.name(ticket)
                taken = name.fileName
                _ = busy.withLock { $0.insert(name.fileName) }
                open[ticket.id] = Entry(
                    writer: try SegmentWriter(ticket, name: name, volume: volume, nowUs: monotonicUs()), owner: owner)
            } catch {
                if let taken { busy.withLock { _ = $0.remove(taken) } }
                let reason = keeper.failed(error)
                owner.segmentLost(id: ticket.id, keptToUs: nil, reason: reason)
            }
        case .fragment(let id, let packets, let endUs, _):
            guard let entry = open[id] else { return }
            do {
                try entry.writer.append(packets, endUs: endUs, nowUs: monotonicUs())
            } catch {
                lost(id, error, &open)
            }
        case .seal(let end):
            guard let entry = open.removeValue(forKey: end.id) else { return }
            do {
                let sealed = try entry.writer.seal(end)
                release(entry)
                guard let file = sealed else { return }
                keeper.succeeded()
                outbox.put(MediaRecord(file: file))
                entry.owner.segmentSealed(id: end.id, file: file)
            } catch {
                open[end.id] = entry
                lost(end.id, error, &open)
            }
        case .picture(let picture): store(picture)
        case .run(let body): body()
        case .gap: break
        }
    }

    /// The file stays in staging; it is salvaged when the volume is opened again or the service starts.
    private func lost(_ id: UInt64, _ error: VolumeError, _ open: inout [UInt64: Entry]) {
        let reason = keeper.failed(error)
        guard let entry = open.removeValue(forKey: id) else { return }
        give(up: entry, id, reason)
    }

    private func give(up entry: Entry, _ id: UInt64, _ reason: String) {
        release(entry)
        noteLeftovers()
        let keptToUs = entry.writer.frames > 0 ? entry.writer.writtenToUs : nil
        entry.owner.segmentLost(id: id, keptToUs: keptToUs, reason: reason)
    }

    private func abandon(_ open: inout [UInt64: Entry]) {
        let all = open
        open = [:]
        for (id, entry) in all { give(up: entry, id, keeper.error ?? "the recording volume went away") }
    }

    private func release(_ entry: Entry) {
        _ = busy.withLock { $0.remove(entry.writer.name.fileName) }
    }

    private func sync(_ open: inout [UInt64: Entry], _ lastSyncUs: inout Int64) {
        lastSyncUs = monotonicUs()
        if keeper.current == nil { abandon(&open) }
        for (id, entry) in open {
            guard open[id] != nil, let since = entry.writer.unsyncedSinceUs else { continue }
            do {
                let toUs = entry.writer.writtenToUs
                try entry.writer.sync()
                Counter(
                    label: "sightglass_controller_bytes_synced_total",
                    dimensions: [("source", "\(entry.writer.ticket.source)")]
                ).increment(by: entry.writer.newlySyncedBytes)
                let tookUs = monotonicUs() - since
                if tookUs > Self.promisedSyncUs {
                    breaches.increment()
                    logger.warning(
                        "a sync took longer than promised; the disk is too slow",
                        metadata: ["ms": "\(tookUs / 1000)", "source": "\(entry.writer.ticket.source)"])
                }
                entry.owner.segmentSynced(id: id, toUs: toUs)
            } catch {
                lost(id, error, &open)
            }
        }
    }

    private func store(_ picture: PictureFile) {
        guard let volume = keeper.current else {
            let text = keeper.error ?? "the recording volume is not open yet"
            return picture.done(.failure(VolumeError(.missing, path: keeper.path, text)))
        }
        do throws(VolumeError) {
            var file = picture.file
            let source = SourceKey(file.source) ?? SourceKey(device: "", endpoint: "")
            let path = try MediaFiles.snapshotPath(
                stream: StreamKey(file.stream), source: source, folder: picture.folder, timeUs: file.startUs ?? 0,
                fileExtension: file.fileExtension ?? "jpg")
            let name = try StagingName(
                owner: picture.owner, epoch: picture.leaseEpoch, label: "picture.\(TicketCounter.next())")
            let sealed = try volume.write(picture.bytes, to: path, staging: name)
            file.volumeID = volume.volumeID
            file.path = sealed.path.string
            file.sizeBytes = UInt64(sealed.digest.sizeBytes)
            file.sha256 = sealed.digest.sha256
            outbox.put(MediaRecord(file: file))
            picture.done(.success(file))
        } catch {
            keeper.failed(error)
            picture.done(.failure(error))
        }
    }
}
