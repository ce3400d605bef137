// A source that is a file, or a folder. A film is played in its own time, again and again; of a folder, what appears in it: JPEG
// pictures as they are, films from their beginning to their end. On a thread of its own, because reading waits; a media-worker takes
// films apart. Its consumer hears the same events as of a camera.
import Foundation
import Glibc
import Logging
import Media
import MediaWork
import RTSP
import ServiceKit
import Synchronization

final class FilePlayback: SourcePlayback {
    /// Between two looks into a folder.
    static let lookNs: Int64 = 500_000_000
    /// A file of a folder that did not change for so long is whole.
    static let settledUs: Int64 = 1_000_000
    /// Of a picture; a larger file that calls itself one is none.
    static let maximumPictureBytes = Int64(MultipartJPEGReader.maximumPartBytes)

    private let entry: SourceEntry
    private let mediaWorker: String
    private let tell: @Sendable (SourceEvent) -> Void
    private let logger: Logger
    private let isStopped = Atomic(false)

    init(
        _ entry: SourceEntry, mediaWorker: String, logger: Logger, tell: @escaping @Sendable (SourceEvent) -> Void
    ) {
        self.entry = entry
        self.mediaWorker = mediaWorker
        self.logger = logger
        self.tell = tell
    }

    func begin() { startThread("file source") { [self] in run() } }

    /// Ends at the next sample, at most some tenths of a second from now.
    func stop() { isStopped.store(true, ordering: .relaxed) }

    /// Samples are told one by one anyway.
    func setLive(_ isLive: Bool) {}

    private var isOver: Bool { isStopped.load(ordering: .relaxed) }

    private func run() {
        var counters = SourceCounters()
        var failure: RTSPFailure?
        do {
            var stage = FilmStage(nowNs: monotonicNs())
            switch entry.kind {
            case .file: while !isOver { try play(entry, &stage, &counters) }
            case .folder: try follow(&stage, &counters)
            }
        } catch {
            failure = RTSPFailure(.protocolError, "\((error as? ConnectionFailure)?.reason ?? "\(error)")")
        }
        tell(.ended(isOver ? nil : failure, counters))
    }

    /// One film, from its beginning to its end.
    private func play(_ file: SourceEntry, _ stage: inout FilmStage, _ counters: inout SourceCounters) throws {
        let reader = try FilmReader(executable: mediaWorker, sizeBytes: file.sizeBytes) {
            try file.read(at: $0, count: $1)
        }
        defer { reader.end() }
        let before = stage.pictures
        stage.beginFilm(nowNs: monotonicNs())
        var early: [FilmSample]? = []
        loop: while !isOver {
            switch try reader.next() {
            case .track(let track): stage.add(track)
            case .sample(let sample):
                guard var waiting = early else {
                    tell(sample, &stage)
                    continue
                }
                waiting.append(sample)
                early = stage.isBeginning(waiting) ? nil : waiting
                if early == nil { for sample in stage.beginning(waiting) { tell(sample, &stage) } }
            case .end: break loop
            }
        }
        // A film of a few pictures.
        if let early { for sample in stage.beginning(early) where !isOver { tell(sample, &stage) } }
        for packet in stage.endFilm(nowNs: monotonicNs()) { tell(.packet(packet)) }
        counters.unitsTorn = stage.broken
        // It would be played again at once, for ever.
        if stage.pictures == before, !isOver {
            throw ConnectionFailure(cause: .protocolError, reason: "the file holds no picture that can be used")
        }
    }

    /// Tells of a sample when it is due.
    private func tell(_ sample: FilmSample, _ stage: inout FilmStage) {
        guard let dueNs = stage.dueNs(sample) else { return }
        wait(untilNs: dueNs)
        for packet in stage.take(sample, nowNs: monotonicNs()) { tell(.packet(packet)) }
    }

    /// What appears in the folder, in the order of names; what is in it at first is not new.
    private func follow(_ stage: inout FilmStage, _ counters: inout SourceCounters) throws {
        var seen = Set(try entry.names())
        while !isOver {
            wait(untilNs: monotonicNs() + Self.lookNs)
            for name in try entry.names() where !seen.contains(name) && !isOver {
                // Gone again, or no file: looked at once more with the next round.
                guard let file = try? entry.entry(name), file.kind == .file,
                    wallClockUs() - file.modifiedUs >= Self.settledUs
                else { continue }
                seen.insert(name)
                do { try show(file, &stage, &counters) } catch {
                    counters.unitsTorn += 1
                    logger.warning(
                        "a file of the source's folder was passed over: \(error)", metadata: ["file": "\(name)"])
                    tell(.counted(counters))
                }
            }
            seen.formIntersection(try entry.names())
        }
    }

    private func show(_ file: SourceEntry, _ stage: inout FilmStage, _ counters: inout SourceCounters) throws {
        guard try file.read(at: 0, count: 2) == [0xFF, 0xD8] else { return try play(file, &stage, &counters) }
        guard file.sizeBytes <= Self.maximumPictureBytes else {
            throw ConnectionFailure(cause: .protocolError, reason: "a picture of \(file.sizeBytes) bytes is too large")
        }
        var bytes: [UInt8] = []
        while true {
            let piece = try file.read(at: Int64(bytes.count), count: WorkHeader.maximumPieceBytes)
            bytes += piece
            if piece.isEmpty || bytes.count > Int(Self.maximumPictureBytes) { break }
        }
        guard let packet = stage.still(bytes, nowNs: monotonicNs()) else {
            throw ConnectionFailure(cause: .protocolError, reason: "it is no whole JPEG picture")
        }
        tell(.packet(packet))
    }

    /// In pieces, so that a stop does not wait for a picture a minute away.
    private func wait(untilNs: Int64) {
        while !isOver, case let leftNs = untilNs - monotonicNs(), leftNs > 0 {
            Thread.sleep(forTimeInterval: Double(min(leftNs, 100_000_000)) / 1e9)
        }
    }
}

private func monotonicNs() -> Int64 { monotonicUs() * 1000 }
