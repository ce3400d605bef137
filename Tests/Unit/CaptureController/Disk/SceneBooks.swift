// What a scene knows: its pictures, and the books of what was handed to the disk and what the disk confirmed. Every picture
// carries its camera and its number, so that what is found afterwards can be told apart. The scene: RecordedScene.swift.
import Synchronization
import Wire

@testable import CaptureController

/// A picture of a scene.
struct ScenePicture: Sendable, Hashable {
    let camera: Int
    let number: Int

    /// 4 bytes of length as H.264 has them, 8 of identity, then a byte of its own, never 0.
    func payload(_ sizeBytes: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: UInt8(1 + (number * 7 + camera) % 250), count: sizeBytes)
        let length = sizeBytes - 4
        bytes.replaceSubrange(
            0..<12,
            with: [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) } + [0x65, UInt8(camera)]
                + [16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) } + [0xFF, 0xFF, 0xFF])
        return bytes
    }

    /// The picture that a payload is of, where all of its bytes are right.
    init?(payload: [UInt8]) {
        guard payload.count >= 12 else { return nil }
        self.init(
            camera: Int(payload[5]), number: Int(payload[6]) << 16 | Int(payload[7]) << 8 | Int(payload[8]))
        guard self.payload(payload.count) == payload else { return nil }
    }

    init(camera: Int, number: Int) {
        self.camera = camera
        self.number = number
    }
}

/// What is known of a scene at a moment.
struct SceneBooks: Sendable {
    struct Frame: Sendable {
        let picture: ScenePicture
        let endUs: Int64
        let handedUs: Int64
    }
    /// Every picture that a camera gave while it was recorded, and when.
    var taken: [ScenePicture: (source: SourceKey, startUs: Int64)] = [:]
    /// By segment, in the order in which they were handed over.
    var handed: [UInt64: [Frame]] = [:]
    var confirmed: Set<ScenePicture> = []
    /// Segments that the disk gave up: the recorder was told, so what of them is not confirmed is a declared loss.
    var lost: Set<UInt64> = []
    /// Of files that the disk called sealed or the catalogue was told of.
    var paths: Set<String> = []
    var gaps: [Gap] = []
    /// So many of `gaps` are in the journal.
    var gapsJournalled = 0
    var snapshots: [String: [UInt8]] = [:]
    var reasons: Set<String> = []

    /// Frames that are missing without an excuse when only `found` are there at `nowUs`: confirmed ones, and those handed over
    /// more than `graceUs` ago to segments that the disk did not give up.
    func missing(_ found: Set<ScenePicture>, nowUs: Int64, graceUs: Int64) -> [String] {
        var lostConfirmed = 0
        var lostLate = 0
        var oldestUs = nowUs
        for (id, frames) in handed {
            for frame in frames where !found.contains(frame.picture) {
                if confirmed.contains(frame.picture) {
                    lostConfirmed += 1
                } else if !lost.contains(id), frame.handedUs < nowUs - graceUs {
                    lostLate += 1
                    oldestUs = min(oldestUs, frame.handedUs)
                }
            }
        }
        return (lostConfirmed > 0 ? ["\(lostConfirmed) confirmed pictures are missing"] : [])
            + (lostLate > 0 ? ["\(lostLate) pictures are missing, handed over up to \(nowUs - oldestUs) us ago"] : [])
    }

    /// Pictures that are missing and lie in no gap that was told.
    func unexplained(_ found: Set<ScenePicture>) -> [String] {
        let missing = taken.filter { picture, frame in
            !found.contains(picture)
                && !gaps.contains { gap in
                    gap.source == frame.source.wire && gap.window?.startUs ?? .max <= frame.startUs
                        && frame.startUs < gap.window?.endUs ?? .min
                }
        }
        return missing.isEmpty ? [] : ["\(missing.count) pictures are missing without a gap"]
    }

    mutating func confirm(_ id: UInt64, toUs: Int64) {
        for frame in handed[id] ?? [] where frame.endUs <= toUs { confirmed.insert(frame.picture) }
    }
}

/// The books, the clock of the scene, and what the disk said that the recorders have not heard yet.
final class SceneLedger: SegmentOwner {
    enum News: Sendable {
        case synced(UInt64)
        case lost(UInt64, keptToUs: Int64?)
    }
    let books = Mutex(SceneBooks())
    private let news = Mutex<[News]>([])
    /// Wall time and monotonic time at once, microseconds.
    private let clockUs = Atomic<Int64>(1_795_410_372_000_000)

    var nowUs: Int64 { clockUs.load(ordering: .relaxed) }
    func pass(us: Int64) { clockUs.add(us, ordering: .relaxed) }

    func takeNews() -> [News] {
        news.withLock { news in
            defer { news = [] }
            return news
        }
    }

    func segmentSynced(id: UInt64, toUs: Int64) {
        books.withLock { $0.confirm(id, toUs: toUs) }
        news.withLock { $0.append(.synced(id)) }
    }

    func segmentSealed(id: UInt64, file: MediaFile) {
        books.withLock { books in
            books.confirm(id, toUs: .max)
            books.paths.insert(file.path ?? "")
        }
    }

    func segmentLost(id: UInt64, keptToUs: Int64?, reason: String) {
        books.withLock { books in
            books.lost.insert(id)
            books.reasons.insert(reason)
        }
        news.withLock { $0.append(.lost(id, keptToUs: keptToUs)) }
    }
}
