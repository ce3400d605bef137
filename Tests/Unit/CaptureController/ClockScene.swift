// A camera with a clock of its own and a host whose clock can be set, in front of a source's pipeline. The scene knows when each
// picture really was taken; it books what the pipeline makes of it and notes each breach of what must always hold.
import Harness
import Media
import Testing
import Wire

@testable import CaptureController

struct ClockScene {
    /// The host's wall clock at monotonic time 0. 2023-11-14T22:13:20Z.
    static let baseUs: Int64 = 1_700_000_000_000_000

    let configuration: CodecConfiguration
    var pipeline: SourcePipeline
    var random: SplitMix64
    /// What the camera's clock runs fast by.
    var fastPpm: Double
    let frameUs: Int64
    var framesPerGroup: Int64
    /// What the network holds a picture back for; monotonic time in.
    var delayUs: (Int64, inout SplitMix64) -> Int64 = { _, _ in 0 }
    /// What the host's wall clock was set by since the beginning.
    var setByUs: Int64 = 0
    private(set) var nowUs: Int64 = 0
    private var frame: Int64 = 0
    private var expiresUs: Int64 = 0
    /// The camera's time jumped by so much since the beginning.
    var jumpedUs: Int64 = 0

    // The books.
    private(set) var opens: [SegmentInfo] = []
    private(set) var seals: [SegmentEnd] = []
    private(set) var records: [MediaRecord] = []
    private(set) var snapshots: [SnapshotJob] = []
    private(set) var framesWritten = 0
    private(set) var breaches: [String] = []
    private var tickets: [UInt64: SegmentInfo] = [:]
    private var lastWallUs: (runID: String, us: Int64)?
    private var lastSeal: (runID: String, us: Int64)?
    /// Farthest that a picture's wall time was from the truth, since `forgetWorst`.
    private(set) var worstUs: Int64 = 0

    init(
        seed: UInt64 = 1, fastPpm: Double = 0, segmentS: Int64 = 60, standby: Standby = .record,
        frameUs: Int64 = 200_000, framesPerGroup: Int64 = 5
    ) throws {
        configuration = try CodecConfiguration.mjpeg(widthPx: 64, heightPx: 48)
        let plan = SourcePlan(
            source: SourceKey(device: "line1", endpoint: "main"), leaseEpoch: 3,
            connection: CameraConnection(
                address: "rtsp://192.0.2.1/", usernameReference: nil, passwordReference: nil, trustList: nil),
            standby: standby, ringSeconds: 20)
        pipeline = SourcePipeline(
            plan: plan, controllerID: "cc-0", ringBytes: 1 << 20, standbySegmentUs: segmentS * 1_000_000)
        random = SplitMix64(seed: seed)
        self.fastPpm = fastPpm
        self.frameUs = frameUs
        self.framesPerGroup = framesPerGroup
    }

    var wallUs: Int64 { Self.baseUs + setByUs + nowUs }
    var runs: [Run] { records.compactMap(\.run) }
    var gaps: [Gap] { records.compactMap(\.gap) }
    var anchors: [Anchor] { records.compactMap(\.anchor) }
    var framesSent: Int { Int(frame) }

    /// Gaps as cause, start and end in seconds of the scene's first clock.
    var gapTexts: [String] {
        gaps.map { gap in
            let part = [gap.window?.startUs, gap.window?.endUs].map { Double(($0 ?? 0) - Self.baseUs) / 1_000_000 }
            return "\(gap.cause ?? "") \(part[0])-\(part[1])"
        }
    }

    mutating func forgetWorst() { worstUs = 0 }

    /// Pictures of the next `seconds` of real time.
    mutating func play(seconds: Double) {
        let untilUs = trueUs + Int64(seconds * 1_000_000)
        while trueUs < untilUs { step() }
    }

    /// The camera gives nothing for so long.
    mutating func pass(seconds: Int64) {
        for _ in 0..<seconds * 2 {
            nowUs += 500_000
            look()
        }
        let passed = Double(seconds * 1_000_000) * (1 + fastPpm / 1_000_000)
        jumpedUs += Int64(passed)
        frameOriginUs += seconds * 1_000_000
    }

    /// The camera's clock when `frame` is taken, and the monotonic clock of that moment.
    private var mediaUs: Int64 { frame * frameUs + jumpedUs }
    private var frameOriginUs: Int64 = 0
    private var trueUs: Int64 { Int64(Double(frame * frameUs) / (1 + fastPpm / 1_000_000)) + frameOriginUs }

    private mutating func step() {
        let takenUs = trueUs
        nowUs = max(nowUs, takenUs + delayUs(takenUs, &random))
        let ticks = mediaUs * 9 / 100
        let packet = MediaPacket(
            configuration: configuration, bytes: PacketBytes([1]), ptsTicks: ticks, dtsTicks: ticks,
            durationTicks: frameUs * 9 / 100, isKeyframe: frame % framesPerGroup == 0, arrivalNs: nowUs * 1000)
        frame += 1
        book(pipeline.packet(packet, wallUs: wallUs, nowUs: nowUs))
        if let run = pipeline.run {
            let us = run.wallUs(packet)
            if let last = lastWallUs, last.runID == run.runID, us <= last.us {
                breaches.append("a picture at \(us) after one at \(last.us)")
            }
            lastWallUs = (run.runID, us)
            worstUs = max(worstUs, abs(us - Self.baseUs - setByUs - takenUs))
        }
        look()
    }

    private mutating func look() {
        book(pipeline.tick(wallUs: wallUs, nowUs: nowUs))
        guard nowUs >= expiresUs else { return }
        expiresUs = nowUs + 1_000_000
        book(pipeline.expire(wallUs: wallUs))
    }

    mutating func end(cause: String = "dark", reason: String = "the camera gives nothing") {
        book(pipeline.sessionEnded(cause: cause, reason: reason, wallUs: wallUs))
    }

    mutating func apply(_ plan: SourcePlan) { book(pipeline.apply(plan, wallUs: wallUs, nowUs: nowUs)) }

    mutating func ensure(_ key: String, _ span: Span, holdS: Int64 = 900) -> SourcePipeline.EnsureResult {
        let window = FootageWindow(
            key: key, source: pipeline.plan.source, span: span,
            holdUntilUs: max(wallUs, span.endUs) + holdS * 1_000_000)
        let (result, made) = pipeline.ensure(window, wallUs: wallUs, nowUs: nowUs)
        book(made)
        return result
    }

    private mutating func book(_ effects: [PipelineEffect]) {
        for effect in effects {
            switch effect {
            case .open(let ticket):
                tickets[ticket.id] = ticket.info
                opens.append(ticket.info)
            case .fragment(let id, let packets, _, _, _):
                framesWritten += packets.count { $0.kind == .video }
                guard let info = tickets[id], let anchor = info.anchor else { continue }
                checkSeam(info)
                let run = pipeline.run
                for packet in packets where packet.ptsUs >= info.mediaStartUs && run?.runID == info.runID {
                    let us = run?.wallUs(packet)
                    guard us != anchor.wallUs(ofMediaUs: packet.ptsUs) else { continue }
                    breaches.append("a file's anchor of version \(anchor.version) and the run's clock differ")
                }
            case .seal(let end):
                seals.append(end)
                if let info = tickets.removeValue(forKey: end.id) { lastSeal = (info.runID, end.endUs) }
            case .record(let record): records.append(record)
            case .snapshot(let job): snapshots.append(job)
            case .exact, .push, .pushesRestart: break
            }
        }
    }

    private mutating func checkSeam(_ info: SegmentInfo) {
        guard pipeline.plan.standby == .record, let last = lastSeal, last.runID == info.runID else { return }
        lastSeal = nil
        if last.us != info.startUs { breaches.append("a file ends at \(last.us), the next begins at \(info.startUs)") }
    }
}
