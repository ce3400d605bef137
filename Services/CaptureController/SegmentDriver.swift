// A recorder machine with its packets: turns the machine's actions into effects, keeps the open fragment. One runs along with
// the camera, another for a moment each time when a part of the ring is written out. Pure but for the numbers of its segments.
import Media
import Wire

/// What the driver must know of the source.
struct DriverContext: Sendable {
    let source: SourceKey
    let controllerID: String
    let video: CodecConfiguration?
    let audio: CodecConfiguration?
    /// What the next segment declares beside its first.
    var shown = ShownConfigurations()
    let isBackfill: Bool
}

struct SegmentDriver: Sendable {
    private(set) var machine = RecorderMachine()
    private var ticketID: UInt64?
    private var fragment: [MediaPacket] = []
    /// First start and last end of what is in it: not those of its first and last frame, where frames are reordered.
    private var fragmentStartUs = Int64.max
    private var fragmentEndUs: Int64 = 0
    /// What the open segment's file declares for its video, and which of it came last.
    private var declared: [CodecConfiguration] = []
    private var configuration: CodecConfiguration?

    /// Gaps that the next segment's box carries, so that they survive the loss of the catalogue.
    /// Bounded: of a camera that flaps while nothing records it, the newest are kept here, all of them in the journal.
    var pendingGaps: [SegmentGap] = [] {
        didSet { if pendingGaps.count > Self.mostPendingGaps { pendingGaps.removeFirst() } }
    }
    static let mostPendingGaps = 256
    /// Pictures and sounds of 100 ms: a list that grows costs an allocation each time.
    private static let usualPackets = 8

    var openTicketID: UInt64? { ticketID }
    var isRecording: Bool { machine.isRecording }
    var openSpan: Span? { machine.openSpan }

    mutating func setWant(
        _ want: RecordingWant?, run: inout RunContext?, context: DriverContext, effects: inout [PipelineEffect]
    ) {
        let actions = machine.setWant(want)
        perform(actions, packet: nil, run: &run, context: context, effects: &effects)
    }

    mutating func requestSeal(atUs: Int64) { machine.requestSeal(atUs: atUs) }

    mutating func packet(
        _ packet: MediaPacket, nowUs: Int64, run: inout RunContext?, context: DriverContext,
        effects: inout [PipelineEffect]
    ) {
        guard let present = run else { return }
        let head = present.head(packet)
        if packet.kind == .video, packet.configuration !== configuration {
            // What the open file declares goes on in it.
            if ticketID != nil, !declared.contains(packet.configuration) {
                let actions = machine.formatChanged(before: head)
                perform(actions, packet: nil, run: &run, context: context, effects: &effects)
            }
            configuration = packet.configuration
        }
        let actions = machine.packet(head, nowUs: nowUs)
        perform(actions, packet: packet, run: &run, context: context, effects: &effects)
    }

    mutating func tick(nowUs: Int64, run: inout RunContext?, context: DriverContext, effects: inout [PipelineEffect]) {
        perform(machine.tick(nowUs: nowUs), packet: nil, run: &run, context: context, effects: &effects)
    }

    mutating func drained(run: inout RunContext?, context: DriverContext, effects: inout [PipelineEffect]) {
        perform(machine.drained(), packet: nil, run: &run, context: context, effects: &effects)
    }

    /// Seals what is open, with the run's end in its box.
    mutating func sessionEnded(
        reason: String, endedUs: Int64, run: inout RunContext?, context: DriverContext, effects: inout [PipelineEffect]
    ) {
        let actions = machine.sessionEnded()
        perform(actions, packet: nil, run: &run, context: context, effects: &effects, ended: (endedUs, reason))
    }

    /// The writer refused the fragment: R5. The last one of a segment that ends with it is a loss of its own.
    mutating func fragmentRefused(
        id: UInt64, span: Span, frames: UInt32, run: RunContext?, context: DriverContext,
        effects: inout [PipelineEffect]
    ) {
        if id == ticketID {
            machine.fragmentRefused(startUs: span.startUs, frames: frames)
        } else if frames > 0 {
            report(span, frames, .queueFull, run: run, context: context, effects: &effects)
        }
    }

    /// The segment's file is lost. True where it was the open one.
    ///
    /// Not inlined, because the optimizer of Swift 6.3.1 then fails an assertion of its own ("Found ownership error") in whoever
    /// asked for `openSpan` before: release builds would not compile.
    @inline(never) @discardableResult mutating func segmentLost(
        id: UInt64, keptToUs: Int64?, run: inout RunContext?, context: DriverContext, effects: inout [PipelineEffect]
    ) -> Bool {
        guard id == ticketID else { return false }
        ticketID = nil
        fragment = []
        let actions = machine.segmentLost(frames: 0, keptToUs: keptToUs)
        perform(actions, packet: nil, run: &run, context: context, effects: &effects)
        return true
    }

    /// The disk has bytes of the open segment.
    mutating func segmentConfirmed(run: inout RunContext?, context: DriverContext, effects: inout [PipelineEffect]) {
        perform(machine.segmentConfirmed(), packet: nil, run: &run, context: context, effects: &effects)
    }

    private mutating func perform(
        _ actions: [RecorderAction], packet: MediaPacket?, run: inout RunContext?, context: DriverContext,
        effects: inout [PipelineEffect], ended: (us: Int64, reason: String)? = nil
    ) {
        for action in actions {
            switch action {
            case .open(let want, let startUs):
                open(want, startUs: startUs, packet: packet, run: &run, context: context, effects: &effects)
            case .append:
                guard let packet, let present = run else { continue }
                if fragment.isEmpty { fragment.reserveCapacity(Self.usualPackets) }
                fragment.append(packet)
                let head = present.head(packet)
                fragmentStartUs = min(fragmentStartUs, head.startUs)
                if head.isVideo { fragmentEndUs = max(fragmentEndUs, head.endUs) }
            case .flush:
                flush(context: context, effects: &effects)
            case .seal(let startUs, let endUs):
                flush(context: context, effects: &effects)
                guard let id = ticketID else { continue }
                effects.append(
                    .seal(
                        SegmentEnd(
                            id: id, startUs: startUs, endUs: endUs, runEndedUs: ended?.us,
                            runEndReason: ended?.reason ?? "")))
                ticketID = nil
            case .gap(let span, let framesLost, let cause):
                report(span, framesLost, cause, run: run, context: context, effects: &effects)
            }
        }
    }

    private mutating func report(
        _ span: Span, _ framesLost: UInt32, _ loss: LossCause, run: RunContext?, context: DriverContext,
        effects: inout [PipelineEffect]
    ) {
        let (cause, reason) =
            switch loss {
            case .queueFull: ("dropped", "the disk did not keep up; \(framesLost) frames were dropped")
            case .disk: ("disk_full", "the recording volume did not take the footage; see the volume's status")
            case .noKeyframe: ("dropped", "the camera sent no keyframe; what it sent cannot be played")
            }
        pendingGaps.append(
            SegmentGap(
                startUs: span.startUs, endUs: span.endUs, cause: cause, reason: reason, framesLost: framesLost))
        effects.append(
            .record(
                MediaRecord(
                    gap: Gap(
                        source: context.source.wire, window: span.wire, cause: cause, reason: reason,
                        runID: run?.runID, framesLost: framesLost))))
    }

    private mutating func open(
        _ want: RecordingWant, startUs: Int64, packet: MediaPacket?, run: inout RunContext?, context: DriverContext,
        effects: inout [PipelineEffect]
    ) {
        guard var present = run, let packet else { return }
        if !context.isBackfill {
            present.bend(atMediaUs: packet.ptsUs, lengthUs: want.segmentUs, effects: &effects)
        }
        let video = packet.kind == .video ? packet.configuration : (context.video ?? packet.configuration)
        var info = SegmentInfo(
            device: context.source.device, endpoint: context.source.endpoint, runID: present.runID)
        info.asset = want.stream?.asset ?? ""
        info.stream = want.stream?.stream ?? ""
        info.controllerID = context.controllerID
        info.runStartedUs = present.startedUs
        info.leaseEpoch = want.leaseEpoch
        info.sequence = present.nextSequence
        info.startUs = startUs
        info.mediaStartUs = packet.ptsUs
        info.anchor = present.clock.anchor(ofMediaUs: packet.ptsUs)
        info.gaps = pendingGaps
        info.videoCodec = video.codec.rawValue
        info.audioCodec = context.audio?.codec.rawValue ?? ""
        info.widthPx = UInt32(clamping: video.widthPx)
        info.heightPx = UInt32(clamping: video.heightPx)
        pendingGaps = []
        present.nextSequence += 1
        run = present
        let id = TicketCounter.next()
        ticketID = id
        fragment = []
        fragmentStartUs = .max
        fragmentEndUs = startUs
        declared = FragmentedMP4Writer.declared(video, others: context.shown.newestFirst)
        effects.append(
            .open(
                SegmentTicket(
                    id: id, source: context.source, want: want, info: info, video: video,
                    otherVideo: Array(declared.dropFirst()), audio: context.audio)))
    }

    private mutating func flush(context: DriverContext, effects: inout [PipelineEffect]) {
        guard let id = ticketID, !fragment.isEmpty else { return }
        effects.append(
            .fragment(
                id: id, packets: fragment, startUs: fragmentStartUs, endUs: fragmentEndUs,
                isBackfill: context.isBackfill))
        fragment = []
        fragmentStartUs = .max
    }
}
