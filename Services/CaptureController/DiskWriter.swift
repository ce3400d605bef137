// What is done with the work that the disk thread takes: segments are opened, appended to, sealed; pictures stored; gaps
// journalled. All growing files are synced together, so that one sync interval holds for the volume and not for each camera.
// Used on one thread only; every call may block.
import Logging
import Metrics
import Volume
import Wire

final class DiskWriter {
    private let keeper: VolumeKeeper
    private let busy: BusyNames
    private let syncIntervalUs: Int64
    private let logger: Logger
    private let record: (MediaRecord) -> Void
    /// Monotonic.
    private let nowUs: () -> Int64
    private let breaches = Counter(label: "sightglass_controller_late_syncs_total")
    private var appendTimes = DurationBuckets(label: "sightglass_controller_appends_total")
    private var syncTimes = DurationBuckets(label: "sightglass_controller_syncs_total")

    private struct Entry {
        let writer: SegmentWriter
        let owner: any SegmentOwner
        /// Made once: to look a counter up costs more than to count.
        let syncedBytes: Counter
    }
    private var open: [UInt64: Entry] = [:]
    private var gaps: [Gap] = []
    /// Where a fragment is put together. The same memory each time stays in the processor's cache, from the copy to the kernel's.
    private var fragment: [UInt8] = []
    /// Fragments beyond it, keyframes of more than 8 Mbit/s, get memory that is given back.
    private static let mostKeptBytes = 1 << 20
    /// Segments that were lost, and from where on nothing of them is left. Its recorder tells the gap when it hears of it in time;
    /// when it had ended the segment already, the end arrives here, and the gap is told here.
    private var lostFromUs: [(ticket: SegmentTicket, fromUs: Int64)] = []
    private var lastSyncUs: Int64

    /// Gaps that are not in the journal yet.
    var waitingGaps: Int { gaps.count }

    /// A sync has to complete so soon after the bytes were written; a later one is a counted breach.
    static let promisedSyncUs: Int64 = 800_000
    /// Gaps that may wait for a volume that is away or full. Beyond it the oldest are in the spool only.
    static let mostWaitingGaps = 1000
    /// Lost segments whose end may still come: an end is never so many works behind.
    static let mostLost = 1000

    init(
        keeper: VolumeKeeper, busy: BusyNames, syncIntervalUs: Int64, logger: Logger,
        record: @escaping (MediaRecord) -> Void, nowUs: @escaping () -> Int64
    ) {
        self.keeper = keeper
        self.busy = busy
        self.syncIntervalUs = syncIntervalUs
        self.logger = logger
        self.record = record
        self.nowUs = nowUs
        lastSyncUs = nowUs()
    }

    /// Does a piece of work, and syncs where it is time.
    func take(_ work: DiskWork) {
        if case .gap(let gap) = work { gaps.append(gap) } else { perform(work) }
        syncWhenDue()
    }

    func syncWhenDue() {
        if nowUs() - lastSyncUs >= syncIntervalUs { sync() }
    }

    /// Makes everything safe that was taken.
    func sync() {
        syncSegments()
        journalGaps()
    }

    /// Writes waiting gaps to the volume's journal; what fails waits for the next time.
    private func journalGaps() {
        guard !gaps.isEmpty, let volume = keeper.current else { return }
        do {
            try GapJournal(volume).append(gaps, nowUs: wallClockUs())
            gaps = []
        } catch {
            keeper.failed(error)
            gaps.removeFirst(max(0, gaps.count - Self.mostWaitingGaps))
        }
    }

    private func perform(_ work: DiskWork) {
        // A volume that was given up is opened again only when nobody holds its lock any more; salvage finishes the files.
        defer { if keeper.current == nil { abandon() } }
        switch work {
        case .open(let ticket, let owner): begin(ticket, owner)
        case .fragment(let id, let packets, let endUs, _):
            guard let entry = open[id] else { return }
            do {
                let beganUs = nowUs()
                try entry.writer.append(packets, endUs: endUs, nowUs: beganUs, in: &fragment)
                appendTimes.record(us: nowUs() - beganUs)
                if fragment.capacity > Self.mostKeptBytes { fragment = [] }
            } catch {
                lost(id, error)
            }
        case .seal(let end): seal(end)
        case .picture(let picture): store(picture)
        case .run(let body): body()
        case .gap: break
        }
    }

    private func begin(_ ticket: SegmentTicket, _ owner: any SegmentOwner) {
        guard let volume = keeper.current else {
            remember(ticket, lostFromUs: ticket.info.startUs)
            return owner.segmentLost(
                id: ticket.id, keptToUs: nil, reason: keeper.error ?? "the recording volume is not open yet")
        }
        var taken: String?
        do {
            // Before the file is there, so that salvage never sees a growing file that is not named here.
            let name = try SegmentWriter.name(ticket)
            taken = name.fileName
            busy.insert(name.fileName)
            open[ticket.id] = Entry(
                writer: try SegmentWriter(ticket, name: name, volume: volume, nowUs: nowUs()), owner: owner,
                syncedBytes: Counter(
                    label: "sightglass_controller_bytes_synced_total", dimensions: [("source", "\(ticket.source)")]))
        } catch {
            if let taken { busy.remove(taken) }
            let reason = keeper.failed(error)
            remember(ticket, lostFromUs: ticket.info.startUs)
            owner.segmentLost(id: ticket.id, keptToUs: nil, reason: reason)
        }
    }

    private func seal(_ end: SegmentEnd) {
        guard let entry = open[end.id] else { return tellLost(end) }
        do {
            let sealed = try entry.writer.seal(end)
            open[end.id] = nil
            busy.remove(entry.writer.name.fileName)
            guard let file = sealed else { return }
            keeper.succeeded()
            record(MediaRecord(file: file))
            entry.owner.segmentSealed(id: end.id, file: file)
        } catch {
            lost(end.id, error)
            // All that there was to write is written.
            lostFromUs.removeAll { $0.ticket.id == end.id }
        }
    }

    private func remember(_ ticket: SegmentTicket, lostFromUs fromUs: Int64) {
        if lostFromUs.count >= Self.mostLost { lostFromUs.removeFirst() }
        lostFromUs.append((ticket, fromUs))
    }

    /// The end of a segment that was lost while its recorder went on to the next.
    private func tellLost(_ end: SegmentEnd) {
        guard let index = lostFromUs.firstIndex(where: { $0.ticket.id == end.id }) else { return }
        let (ticket, fromUs) = lostFromUs.remove(at: index)
        guard fromUs < end.endUs else { return }
        let gap = MediaFiles.diskGap(
            ticket.source, Span(startUs: fromUs, endUs: end.endUs), runID: ticket.info.runID)
        gaps.append(gap)
        record(MediaRecord(gap: gap))
    }

    /// The file stays in staging; it is salvaged when the volume is opened again or the service starts.
    private func lost(_ id: UInt64, _ error: VolumeError) {
        let reason = keeper.failed(error)
        guard let entry = open.removeValue(forKey: id) else { return }
        give(up: entry, id, reason)
    }

    private func give(up entry: Entry, _ id: UInt64, _ reason: String) {
        let writer = entry.writer
        let startUs = writer.ticket.info.startUs
        let isGone = writer.frames == 0 && (try? writer.discard()) != nil
        if isGone {
            busy.remove(writer.name.fileName)
        } else {
            busy.giveUp(
                writer.name.fileName,
                GivenUp(
                    source: writer.ticket.source, runID: writer.ticket.info.runID,
                    span: Span(startUs: startUs, endUs: writer.writtenToUs)))
        }
        let keptToUs = writer.frames > 0 ? writer.writtenToUs : nil
        remember(writer.ticket, lostFromUs: keptToUs ?? startUs)
        entry.owner.segmentLost(id: id, keptToUs: keptToUs, reason: reason)
    }

    private func abandon() {
        let all = open
        open = [:]
        for (id, entry) in all { give(up: entry, id, keeper.error ?? "the recording volume went away") }
    }

    private func syncSegments() {
        lastSyncUs = nowUs()
        if keeper.current == nil { abandon() }
        for (id, entry) in open {
            guard open[id] != nil, let since = entry.writer.unsyncedSinceUs else { continue }
            do {
                let toUs = entry.writer.writtenToUs
                let beganUs = nowUs()
                try entry.writer.sync()
                syncTimes.record(us: nowUs() - beganUs)
                entry.syncedBytes.increment(by: entry.writer.newlySyncedBytes)
                let tookUs = nowUs() - since
                if tookUs > Self.promisedSyncUs {
                    breaches.increment()
                    logger.warning(
                        "a sync took longer than promised; the disk is too slow",
                        metadata: ["ms": "\(tookUs / 1000)", "source": "\(entry.writer.ticket.source)"])
                }
                entry.owner.segmentSynced(id: id, toUs: toUs)
            } catch {
                lost(id, error)
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
            // Salvage must not take it for a leftover.
            busy.insert(name.fileName)
            defer { busy.remove(name.fileName) }
            let sealed = try volume.write(picture.bytes, to: path, staging: name)
            file.volumeID = volume.volumeID
            file.path = sealed.path.string
            file.sizeBytes = UInt64(sealed.digest.sizeBytes)
            file.sha256 = sealed.digest.sha256
            record(MediaRecord(file: file))
            picture.done(.success(file))
        } catch {
            keeper.failed(error)
            picture.done(.failure(error))
        }
    }
}
