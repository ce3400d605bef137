// Cameras that are recorded onto an emulated disk by the recorder's own code (SegmentDriver, DiskWriter, Salvage), with a
// clock of the scene's own. What happens follows from the seed: sessions end and begin, leases get new epochs, segments are
// sealed early, pictures stored, gaps told. The books: SceneBooks.swift. The verdict: SceneVerdict.swift.
import Harness
import Logging
import Media
import Wire

@testable import CaptureController
@testable import Volume

final class RecordedScene {
    static let volume = "/disk"
    static let instance = "cc-0"
    static let frameUs: Int64 = 40_000

    private struct Camera {
        let index: Int
        let video: CodecConfiguration
        let audio: CodecConfiguration?
        var driver = SegmentDriver()
        var run: RunContext?
        var framesOfRun: Int64 = 0
        var sinceKeyframe = 0
        var resumesUs: Int64 = 0
        var epoch: UInt64 = 1
        var number = 0

        var source: SourceKey { SourceKey(device: "line\(index)", endpoint: "main") }
        var context: DriverContext {
            DriverContext(
                source: source, controllerID: RecordedScene.instance, video: video, audio: audio, isBackfill: false)
        }
        var want: RecordingWant {
            RecordingWant(
                stream: index == 0 ? StreamKey(asset: "press", stream: "clips") : nil, folder: index == 0 ? "hall" : "",
                segmentUs: 1_200_000, leaseEpoch: epoch)
        }
    }

    let disk: EmulatedDisk
    let ledger = SceneLedger()
    let keeper: VolumeKeeper
    let busy = BusyNames()
    private let writer: DiskWriter
    private var cameras: [Camera]
    private var random: SplitMix64
    /// False: nothing but pictures of the cameras happens.
    private let isEventful: Bool
    private let queue: Mailbox<DiskWork>
    private var stalledToUs: Int64 = 0
    private(set) var mostQueuedBytes = 0
    private(set) var refused = 0
    private var runs = 0
    /// The runs of the segments.
    private var anchors: [UInt64: RunContext] = [:]

    init(seed: UInt64, cameras count: Int = 3, isEventful: Bool = true, queueBytes: Int = 64 << 20) throws {
        random = SplitMix64(seed: seed)
        self.isEventful = isEventful
        disk = try Self.adoptedDisk()
        queue = Mailbox(maximumBytes: queueBytes)
        keeper = VolumeKeeper(path: Self.volume, logger: Self.logger, calls: self.disk.calls) { _, _ in }
        writer = DiskWriter(
            keeper: keeper, busy: busy, syncIntervalUs: 400_000, logger: Self.logger,
            record: { [ledger] record in
                ledger.books.withLock { books in
                    if let path = record.file?.path { books.paths.insert(path) }
                    if let gap = record.gap { books.gaps.append(gap) }
                }
            }, nowUs: { [ledger] in ledger.nowUs })
        cameras = try (0..<count).map { index in
            Camera(
                index: index, video: index % 3 == 1 ? try .mjpeg(widthPx: 64, heightPx: 48) : try Self.h264(),
                audio: index % 3 == 2 ? try .pcm(.l16, sampleRateHz: 48_000, channels: 2) : nil)
        }
        _ = keeper.tryOpen()
        let from = ledger.nowUs
        for index in cameras.indices { cameras[index].resumesUs = from + Int64(random.below(500_000)) }
    }

    static let logger = Logger(label: "scene") { _ in SwiftLogNoOpLogHandler() }

    static func adoptedDisk() throws -> EmulatedDisk {
        let disk = EmulatedDisk()
        try disk.calls.makeFolder(volume)
        try disk.calls.syncFolder("/.")
        _ = try VolumeRoot.adopt(at: volume, role: .recording, nowUs: 1_795_410_372_000_000, calls: disk.calls)
        return disk
    }

    private static func h264() throws -> CodecConfiguration {
        try .h264(
            sps: [[0x67, 0x42, 0x00, 0x1E, 0x95, 0xA0, 0x50, 0x7C, 0x40]], pps: [[0x68, 0xCE, 0x3C, 0x80]])
    }

    /// So many frames of each camera, at 25 frames per second.
    func play(frames: Int, _ isOver: () -> Bool = { false }) {
        for _ in 0..<frames where !isOver() {
            ledger.pass(us: Self.frameUs)
            for index in cameras.indices {
                step(&cameras[index])
                drain()
                hear()
            }
            if ledger.nowUs >= stalledToUs { writer.syncWhenDue() }
            hear()
        }
    }

    /// The disk takes so long for its next call; the cameras go on.
    func stall(us: Int64) { stalledToUs = ledger.nowUs + us }

    /// What CaptureService does every two seconds: opens the volume again and finishes what was left.
    func lookAfterVolume() {
        let isOpened = keeper.tryOpen()
        if isOpened || busy.takeLeftovers(), let volume = keeper.current {
            let result = SceneCut.salvage(volume, busy: busy)
            for gap in result.gaps { tell(gap) }
            if result.failed > 0 { busy.noteLeftovers() }
        }
    }

    private func put(_ work: DiskWork) -> Bool {
        let isTaken = queue.put(work, bytes: work.queuedBytes)
        mostQueuedBytes = max(mostQueuedBytes, queue.waitingBytes)
        return isTaken
    }

    /// What the disk thread does.
    private func drain() {
        guard ledger.nowUs >= stalledToUs else { return }
        while let works = queue.take(waitingAtMost: 0, atMostBytes: DiskThread.batchBytes), !works.isEmpty {
            for work in works {
                note(work)
                writer.take(work)
            }
            noteJournal()
        }
    }

    /// Ends all sessions and makes everything safe.
    func end() {
        for index in cameras.indices { endSession(&cameras[index], reason: "the scene is over") }
        drain()
        writer.sync()
        hear()
    }

    private func step(_ camera: inout Camera) {
        let nowUs = ledger.nowUs
        if camera.run == nil {
            guard nowUs >= camera.resumesUs else { return }
            begin(&camera)
        }
        if isEventful { happen(&camera) }
        guard let run = camera.run else { return }
        let isKeyframe = camera.sinceKeyframe == 0
        camera.sinceKeyframe = isKeyframe ? 8 + random.below(20) : camera.sinceKeyframe - 1
        let picture = ScenePicture(camera: camera.index, number: camera.number)
        camera.number += 1
        let bytes = picture.payload(isKeyframe ? 3_000 + random.below(12_000) : 100 + random.below(1_500))
        let ticks = camera.framesOfRun * 3_600
        let packet = MediaPacket(
            configuration: camera.video, bytes: PacketBytes(bytes), ptsTicks: ticks, dtsTicks: ticks,
            durationTicks: 3_600,
            isKeyframe: isKeyframe, arrivalNs: nowUs * 1_000)
        camera.framesOfRun += 1
        let startUs = run.head(packet).startUs
        ledger.books.withLock { $0.taken[picture] = (camera.source, startUs) }
        give(packet, to: &camera)
        if let audio = camera.audio {
            // Silence, as sound of 16 bits has it.
            let first = (camera.framesOfRun - 1) * 1_920
            give(
                MediaPacket(
                    configuration: audio, bytes: PacketBytes([UInt8](repeating: 0, count: 7_680)), ptsTicks: first,
                    dtsTicks: first, durationTicks: 1_920, isKeyframe: true, arrivalNs: nowUs * 1_000), to: &camera)
        }
        var effects: [PipelineEffect] = []
        var present: RunContext? = camera.run ?? run
        camera.driver.tick(nowUs: nowUs, run: &present, context: camera.context, effects: &effects)
        camera.run = present
        perform(effects, &camera)
    }

    private func give(_ packet: MediaPacket, to camera: inout Camera) {
        var effects: [PipelineEffect] = []
        camera.driver.packet(
            packet, nowUs: ledger.nowUs, run: &camera.run, context: camera.context, effects: &effects)
        perform(effects, &camera)
    }

    private func begin(_ camera: inout Camera) {
        runs += 1
        let nowUs = ledger.nowUs
        camera.run = RunContext(
            runID: "00000000-0000-4000-8000-\(String(100_000_000_000 + runs))", startedUs: nowUs,
            anchor: MediaAnchor(mediaUs: 0, wallUs: nowUs))
        camera.framesOfRun = 0
        camera.sinceKeyframe = 0
        setWant(&camera)
    }

    private func setWant(_ camera: inout Camera) {
        var effects: [PipelineEffect] = []
        camera.driver.setWant(camera.want, run: &camera.run, context: camera.context, effects: &effects)
        perform(effects, &camera)
    }

    private func endSession(_ camera: inout Camera, reason: String) {
        var effects: [PipelineEffect] = []
        camera.driver.sessionEnded(
            reason: reason, endedUs: ledger.nowUs, run: &camera.run, context: camera.context, effects: &effects)
        camera.run = nil
        perform(effects, &camera)
    }

    private func happen(_ camera: inout Camera) {
        switch random.below(400) {
        case 0..<4:
            endSession(&camera, reason: "the camera went away")
            camera.resumesUs = ledger.nowUs + 80_000 + Int64(random.below(600_000))
            let gap = Gap(
                source: camera.source.wire, window: Window(startUs: ledger.nowUs, endUs: camera.resumesUs),
                cause: "dark", reason: "the camera gives nothing")
            tell(gap)
        case 4..<8:
            camera.epoch += 1
            setWant(&camera)
        case 8..<12: camera.driver.requestSeal(atUs: ledger.nowUs)
        case 12..<20: store(camera)
        default: break
        }
    }

    private func tell(_ gap: Gap) {
        ledger.books.withLock { $0.gaps.append(gap) }
        _ = put(.gap(gap))
    }

    private func noteJournal() {
        guard queue.waitingBytes == 0, stalledToUs <= ledger.nowUs else { return }
        let waiting = writer.waitingGaps
        ledger.books.withLock { $0.gapsJournalled = max($0.gapsJournalled, $0.gaps.count - waiting) }
    }

    private func store(_ camera: Camera) {
        let bytes = [UInt8](repeating: UInt8(1 + camera.number % 250), count: 500 + random.below(9_000))
        _ = put(
            .picture(
                PictureFile(
                    bytes: bytes,
                    file: MediaFile(
                        kind: .snapshot, source: camera.source.wire, startUs: ledger.nowUs, fileExtension: "jpg"),
                    folder: "", owner: Self.instance, leaseEpoch: camera.epoch,
                    done: { [ledger] result in
                        guard case .success(let file) = result, let path = file.path else { return }
                        ledger.books.withLock { $0.snapshots[path] = bytes }
                    })))
    }

    private func perform(_ effects: [PipelineEffect], _ camera: inout Camera) {
        for effect in effects {
            switch effect {
            case .open(let ticket):
                anchors[ticket.id] = camera.run
                _ = put(.open(ticket, ledger))
            case .fragment(let id, let packets, let startUs, let endUs, _):
                guard put(.fragment(id: id, packets: packets, endUs: endUs, isBackfill: false)) else {
                    refused += 1
                    let frames = UInt32(packets.count { $0.kind == .video })
                    var told: [PipelineEffect] = []
                    camera.driver.fragmentRefused(
                        id: id, span: Span(startUs: startUs, endUs: endUs), frames: frames, run: camera.run,
                        context: camera.context, effects: &told)
                    perform(told, &camera)
                    continue
                }
            case .seal(let end): _ = put(.seal(end))
            case .record(let record): if let gap = record.gap { tell(gap) }
            case .snapshot, .exact, .push, .pushesRestart: break
            }
        }
    }

    /// Into the books, just before the disk gets it.
    private func note(_ work: DiskWork) {
        guard case .fragment(let id, let packets, _, _) = work, let run = anchors[id] else { return }
        let nowUs = ledger.nowUs
        let frames = packets.filter { $0.kind == .video }.compactMap { packet in
            ScenePicture(payload: packet.bytes.array).map {
                SceneBooks.Frame(picture: $0, endUs: run.head(packet).endUs, handedUs: nowUs)
            }
        }
        ledger.books.withLock { $0.handed[id, default: []] += frames }
    }

    /// The recorders hear what the disk said.
    private func hear() {
        noteJournal()
        for news in ledger.takeNews() {
            for index in cameras.indices { hear(news, &cameras[index]) }
        }
    }

    private func hear(_ news: SceneLedger.News, _ camera: inout Camera) {
        var effects: [PipelineEffect] = []
        let context = camera.context
        switch news {
        case .synced(let id) where camera.driver.openTicketID == id:
            camera.driver.segmentConfirmed(run: &camera.run, context: context, effects: &effects)
        case .synced: break
        case .lost(let id, let keptToUs):
            camera.driver.segmentLost(
                id: id, keptToUs: keptToUs, run: &camera.run, context: context, effects: &effects)
        }
        perform(effects, &camera)
    }
}
