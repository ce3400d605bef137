// Renditions: sealed segments in other formats, made one after the other by a media-worker, and exact clips (ClipCutter.swift), on a
// thread of their own. Footage comes first: what waits too long, or would take the room that recording needs, is not made, and its
// task's status says so. The segment itself stays, whatever happens here.
import Logging
import Media
import MediaWork
import ServiceKit
import Synchronization
import Volume
import Wire

/// One segment that is to be made in another format.
struct RenditionJob: Sendable {
    /// As the catalogue has it.
    let segment: MediaFile
    let plan: RenditionPlan
    let counters: TaskCounters
}

/// What the thread is given.
enum RenditionWork: Sendable {
    case rendition(RenditionJob)
    case clip(ClipJob)
}

final class RenditionThread: Sendable {
    /// Segments that may wait: four hours of one camera by the minute, or four minutes of sixty.
    static let mostWaiting = 256
    /// Below so much free room, in percent of the volume, nothing is made: retention makes room for footage.
    static let roomPercent: Int64 = 5
    /// So many times its footage's length may a rendition take: VP8 of the largest cameras on a busy core.
    static let mostTimes: Int64 = 6

    private let jobs = Mailbox<RenditionWork>(maximumBytes: mostWaiting)
    private let keeper: VolumeKeeper
    private let busy: BusyNames
    private let maker: RenditionMaker
    private let cutter: ClipCutter
    private let instance: String
    private let record: @Sendable (MediaRecord) -> Void
    private let isClosed = Atomic(false)
    private let logger: Logger

    /// `record` must not wait.
    init(
        keeper: VolumeKeeper, busy: BusyNames, mediaWorker: String, instance: String, logger: Logger,
        record: @escaping @Sendable (MediaRecord) -> Void
    ) {
        self.keeper = keeper
        self.busy = busy
        self.instance = instance
        self.record = record
        self.logger = logger
        maker = RenditionMaker(executable: mediaWorker)
        cutter = ClipCutter(busy: busy, instance: instance)
        startThread("renditions") { [self] in
            while let taken = jobs.take(waitingAtMost: 3600) {
                for work in taken {
                    switch work {
                    case .rendition(let job): make(job)
                    case .clip(let job): make(job)
                    }
                }
            }
        }
    }

    /// Adds a job; where too many wait, it is not made.
    func put(_ job: RenditionJob) {
        if !jobs.put(.rendition(job), bytes: 1) {
            job.counters.dropped(
                1,
                error: "\(job.plan.format.rawValue) was not made of \(job.segment.path ?? ""): "
                    + "\(Self.mostWaiting) others wait; the footage is there as mp4")
        }
    }

    /// Adds an exact clip; where too many wait, it is not made.
    func put(_ job: ClipJob) {
        if !jobs.put(.clip(job), bytes: 1) {
            job.counters.dropped(1, error: "a clip was not made: \(Self.mostWaiting) others wait; the footage is there")
        }
    }

    /// Ends what is under way. What waits is made after the next start.
    func close() {
        isClosed.store(true, ordering: .relaxed)
        jobs.close()
    }

    private func make(_ job: RenditionJob) {
        guard !isClosed.load(ordering: .relaxed) else { return }
        do {
            guard let (file, note) = try made(job) else { return }
            record(MediaRecord(file: file))
            job.counters.produced(file.path ?? "", atUs: file.endUs ?? 0, note: note)
        } catch {
            guard !isClosed.load(ordering: .relaxed) else { return }
            job.counters.dropped(
                1,
                error: "\(job.plan.format.rawValue) was not made of \(job.segment.path ?? ""): \(error); "
                    + "the footage is there as mp4")
            logger.warning("a rendition was not made: \(error)", metadata: ["segment": "\(job.segment.path ?? "")"])
        }
    }

    private func make(_ job: ClipJob) {
        guard !isClosed.load(ordering: .relaxed) else { return }
        do {
            let volume = try openVolume()
            try checkRoom(volume, job.sizeBytes)
            for (file, note) in try cutter.cut(job, on: volume) {
                record(MediaRecord(file: file))
                job.counters.produced(file.path ?? "", atUs: file.endUs ?? 0, note: note)
            }
        } catch {
            if let error = error as? VolumeError { keeper.failed(error) }
            job.counters.dropped(1, error: "a clip was not made: \(error)")
            logger.warning("a clip was not made: \(error)", metadata: ["stream": "\(job.roll.stream)"])
        }
    }

    private func openVolume() throws -> VolumeRoot {
        guard let volume = keeper.current else {
            throw VolumeError(.missing, path: keeper.path, keeper.error ?? "the recording volume is not open")
        }
        return volume
    }

    /// Nil where it is there already.
    private func made(_ job: RenditionJob) throws -> (MediaFile, note: String)? {
        let volume = try openVolume()
        let path = try RenditionFiles.path(of: job.segment, job.plan)
        guard !volume.exists(path) else { return nil }
        let reader = try volume.reader(try RelativePath(job.segment.path ?? ""))
        try checkRoom(volume, reader.sizeBytes)
        guard
            let request = RenditionRequest(
                job.plan.format, wantsAudio: job.plan.wantsAudio, sizeBytes: reader.sizeBytes)
        else { throw VolumeError(.corrupted, path: path.string, "the segment has \(reader.sizeBytes) bytes") }
        let name = try StagingName(
            owner: instance, epoch: job.segment.leaseEpoch ?? 0,
            label: "rendition.\(TicketCounter.next()).\(job.plan.format.fileExtension)")
        // Salvage must not take it for a leftover.
        busy.insert(name.fileName)
        defer { busy.remove(name.fileName) }
        let scratch = try StagedScratch(in: volume, name: name)
        do {
            let lengthUs = (job.segment.endUs ?? 0) - (job.segment.startUs ?? 0)
            let rendition = try maker.make(
                request, RenditionBytes(reader, scratch),
                within: max(RenditionMaker.shortestLimit, .microseconds(lengthUs * Self.mostTimes)),
                isWanted: { !isClosed.load(ordering: .relaxed) })
            let sealed = try scratch.finish().seal(as: path)
            return (RenditionFiles.record(job, rendition, sealed, volumeID: volume.volumeID), rendition.note)
        } catch {
            try? scratch.discard()
            if let error = error as? VolumeError { keeper.failed(error) }
            throw error
        }
    }

    private func checkRoom(_ volume: VolumeRoot, _ sizeBytes: Int64) throws(VolumeError) {
        let space = try volume.freeSpace()
        guard space.availableBytes - sizeBytes > space.totalBytes / 100 * Self.roomPercent else {
            throw VolumeError(.full, path: volume.path, "less than \(Self.roomPercent) % are free, which footage needs")
        }
    }
}

/// A segment read and its rendition written, on the volume.
private final class RenditionBytes: RenditionExchange {
    private let reader: FileReader
    private let scratch: StagedScratch

    init(_ reader: FileReader, _ scratch: StagedScratch) {
        self.reader = reader
        self.scratch = scratch
    }

    func read(at offset: Int64, count: Int) throws -> [UInt8] {
        guard offset < reader.sizeBytes else { return [] }
        return try reader.read(at: offset, count: Int(min(Int64(count), reader.sizeBytes - offset)))
    }

    func write(_ bytes: [UInt8], at offset: Int64) throws { try scratch.write(bytes, at: offset) }
}

/// Where renditions lie, and what the catalogue hears of them.
enum RenditionFiles {
    /// Beside its segment, or in the same place below the stream that asked for it: the same times, another ending.
    static func path(of segment: MediaFile, _ plan: RenditionPlan) throws(VolumeError) -> RelativePath {
        let parts = try RelativePath(segment.path ?? "").parts
        // Times have a '.' too.
        let stem = parts.last.map { $0[..<($0.lastIndex(of: ".") ?? $0.endIndex)] } ?? ""
        let name = "\(stem).\(plan.format.fileExtension)"
        if StreamKey(segment.stream) == plan.stream {
            return try RelativePath((parts.dropLast() + [name]).joined(separator: "/"))
        }
        let layout = try RecordingLayout.segment(
            owner: plan.stream.asset, part: plan.stream.stream, startUs: segment.startUs ?? 0,
            endUs: max(segment.endUs ?? 0, (segment.startUs ?? 0) + 1), fileExtension: plan.format.fileExtension)
        let folder = layout.parts.dropLast().joined(separator: "/")
        return try RelativePath((plan.folder.isEmpty ? "" : plan.folder + "/") + folder + "/" + name)
    }

    static func record(
        _ job: RenditionJob, _ rendition: Rendition, _ sealed: SealedFile, volumeID: String
    ) -> MediaFile {
        var file = job.segment
        file.kind = .rendition
        file.volumeID = volumeID
        file.path = sealed.path.string
        file.stream = job.plan.stream.wire
        file.sizeBytes = UInt64(sealed.digest.sizeBytes)
        file.sha256 = sealed.digest.sha256
        file.frames = rendition.frames
        file.videoCodec = rendition.videoCodec
        file.audioCodec = rendition.audioCodec.isEmpty ? nil : rendition.audioCodec
        file.fileExtension = job.plan.format.fileExtension
        file.salvaged = nil
        file.sequence = nil
        return file
    }

    /// Of a rendition that is found on the volume and not in the catalogue: as much as its path tells.
    static func record(
        found path: RelativePath, _ parsed: RecordingLayout.Parsed, _ digest: Digest, source: SourceKey,
        stream: StreamKey?, volumeID: String
    ) -> MediaFile {
        MediaFile(
            kind: .rendition, volumeID: volumeID, path: path.string, source: source.wire, stream: stream?.wire,
            startUs: parsed.startUs, endUs: parsed.endUs, sizeBytes: UInt64(max(digest.sizeBytes, 0)),
            sha256: digest.sha256, fileExtension: parsed.fileExtension)
    }
}
