// What must hold after a scene was cut: the next life opens the volume, salvages, and then every file is whole, holds only
// pictures that were taken, overlaps no other; nothing that was confirmed is missing; staging is empty; the journal reads.
import Harness
import Media
import Synchronization
import Wire

@testable import CaptureController
@testable import Volume

/// A disk as a cut left it, with the books of that moment.
struct SceneCut: Sendable {
    /// Of the cut, so that a failure can be played again.
    let name: String
    let image: DiskImage
    let books: SceneBooks
    let nowUs: Int64
    /// The scene went to its end: each picture is there or lies in a gap that was told.
    var isWhole = false

    /// The next life: what of it is wrong. `graceUs`: what was handed over so shortly before may be missing.
    /// `cuts`: how often the next life is cut off too, by a power cut at a random step.
    func violations(graceUs: Int64, cuts: Int = 0, _ random: inout SplitMix64) -> [String] {
        var image = image
        for _ in 0..<cuts { image = Self.interruptedSalvage(image, &random) }
        do {
            let disk = EmulatedDisk(image)
            let volume = try Self.salvage(disk)
            return try check(volume, graceUs: graceUs).map { "\(name): \($0)" }
        } catch {
            return ["\(name): \(error)"]
        }
    }

    /// Opens the volume and salvages, as the service does it at its start.
    @discardableResult
    static func salvage(_ disk: EmulatedDisk) throws -> VolumeRoot {
        let volume = try VolumeRoot.open(at: RecordedScene.volume, role: .recording, calls: disk.calls)
        _ = salvage(volume, busy: BusyNames())
        return volume
    }

    static func salvage(_ volume: VolumeRoot, busy: BusyNames) -> SalvageResult {
        Salvage(
            volume: volume, instance: RecordedScene.instance, leases: [:],
            folder: { $0 == StreamKey(asset: "press", stream: "clips") ? "hall" : "" }, busy: busy,
            logger: RecordedScene.logger
        ).run()
    }

    private static func interruptedSalvage(_ image: DiskImage, _ random: inout SplitMix64) -> DiskImage {
        let disk = EmulatedDisk(image)
        let steps = StepCounter()
        disk.onStep { _, _, _ in
            steps.next()
            return 0
        }
        _ = try? salvage(disk)
        let number = random.below(steps.count + 1)
        let again = EmulatedDisk(image)
        let kept = StepCounter()
        // After the cut nothing has an effect any more.
        again.onStep { _, _, _ in kept.next() > number ? 5 : 0 }
        _ = try? salvage(again)
        return again.image.afterPowerCut(&random)
    }

    private func check(_ volume: VolumeRoot, graceUs: Int64) throws -> [String] {
        var wrong: [String] = []
        var found: Set<ScenePicture> = []
        var spans: [String: [Span]] = [:]
        var paths: Set<String> = []
        try volume.forEachFile { (entry) throws(VolumeError) in
            paths.insert(entry.path.string)
            let parts = entry.path.parts
            guard let parsed = RecordingLayout.parse(try RelativePath(parts.suffix(7).joined(separator: "/"))) else {
                wrong.append("\(entry.path.string) is no name of the layout")
                return true
            }
            let reader = try volume.reader(entry.path)
            guard let endUs = parsed.endUs else {
                let bytes = try reader.read(at: 0, count: Int(entry.sizeBytes))
                if let taken = books.snapshots[entry.path.string], taken != bytes {
                    wrong.append("the picture \(entry.path.string) is not what was taken")
                }
                if bytes.isEmpty { wrong.append("the picture \(entry.path.string) is empty") }
                return true
            }
            spans["\(parsed.owner)/\(parsed.part)", default: []].append(Span(startUs: parsed.startUs, endUs: endUs))
            do {
                wrong += try Self.read(reader, &found).map { "\(entry.path.string): \($0)" }
            } catch {
                wrong.append("\(entry.path.string): \(error)")
            }
            return true
        }
        for (stream, list) in spans {
            let sorted = list.sorted { $0.startUs < $1.startUs }
            for (one, next) in zip(sorted, sorted.dropFirst()) where one.endUs > next.startUs {
                wrong.append("two files of \(stream) overlap at \(next.startUs)")
            }
        }
        wrong += books.missing(found, nowUs: nowUs, graceUs: graceUs)
        if isWhole { wrong += books.unexplained(found) }
        for path in books.paths.union(books.snapshots.keys) where !paths.contains(path) {
            wrong.append("\(path) was reported and is not there")
        }
        wrong += try volume.calls.list(volume.stagingPath).map { "\($0) is left in staging" }
        let gaps = try GapJournal(volume).read(nowUs: 1_795_410_372_000_000).gaps
        for gap in books.gaps.prefix(books.gapsJournalled) where !gaps.contains(gap) {
            wrong.append("a gap that was journalled is gone")
        }
        return wrong
    }

    /// Reads a published segment whole.
    private static func read(_ file: FileReader, _ found: inout Set<ScenePicture>) throws -> [String] {
        let reader = FragmentedMP4Reader(StagedBytes(reader: file))
        let salvage = try reader.salvage()
        guard salvage.isComplete, salvage.videoFrames > 0 else { return ["it is torn"] }
        var wrong: [String] = []
        if salvage.info?.frames != salvage.videoFrames { wrong.append("its box counts other frames than it has") }
        let video = Set(salvage.tracks.filter { $0.kind == .video }.map(\.id))
        for fragment in try reader.fragments() {
            for sample in fragment.samples where video.contains(sample.trackID) {
                guard let picture = ScenePicture(payload: try reader.payload(of: sample)) else {
                    wrong.append("the picture at byte \(sample.offset) is torn")
                    continue
                }
                if !found.insert(picture).inserted { wrong.append("picture \(picture) is there twice") }
            }
        }
        return wrong
    }
}

/// Counts steps of a disk.
final class StepCounter: Sendable {
    private let number = Atomic<Int>(0)
    var count: Int { number.load(ordering: .relaxed) }
    @discardableResult func next() -> Int { number.add(1, ordering: .relaxed).newValue }
}
