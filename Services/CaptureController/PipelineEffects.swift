// What a source's pipeline wants done outside of it, as values. SourceSession carries them out in order, none of them waits.
import Media
import Wire

/// A segment that is to be written.
struct SegmentTicket: Sendable {
    /// Unique in this process.
    let id: UInt64
    let source: SourceKey
    let want: RecordingWant
    /// What the file says about itself from its first byte on.
    let info: SegmentInfo
    let video: CodecConfiguration
    /// What the video may change to within the segment.
    let otherVideo: [CodecConfiguration]
    let audio: CodecConfiguration?
}

/// How a segment ends.
struct SegmentEnd: Sendable, Equatable {
    let id: UInt64
    let startUs: Int64
    let endUs: Int64
    /// Set where the run ended with it.
    var runEndedUs: Int64?
    var runEndReason = ""
}

/// A keyframe that is to become a picture.
struct SnapshotJob: Sendable {
    let stream: StreamKey
    let packet: MediaPacket
    let timeUs: Int64
    let runID: String
}

/// A packet of a camera whose snapshots may be of any frame.
struct ExactJob: Sendable {
    let stream: StreamKey
    let packet: MediaPacket
    let timeUs: Int64
    let runID: String
    /// It is to become a picture.
    let isWanted: Bool
}

enum PipelineEffect: Sendable {
    case open(SegmentTicket)
    /// Packets of one fragment, in their order of decoding; `endUs` is the end of the frame that is shown last, `startUs` the start
    /// of what is shown first.
    case fragment(id: UInt64, packets: [MediaPacket], startUs: Int64, endUs: Int64, isBackfill: Bool)
    case seal(SegmentEnd)
    case record(MediaRecord)
    case snapshot(SnapshotJob)
    case exact(ExactJob)
    case push(MediaPacket)
    /// The run ended: pushes start a new session, because times begin anew.
    case pushesRestart
}

/// One unbroken session of the source.
struct RunContext: Sendable {
    let runID: String
    let startedUs: Int64
    /// From the run's media time to wall time.
    var clock: RunClock
    var nextSequence: UInt32 = 0

    /// A run under its first anchor.
    init(runID: String, startedUs: Int64, anchor: MediaAnchor) {
        self.runID = runID
        self.startedUs = startedUs
        clock = RunClock(anchor)
    }

    func wallUs(_ packet: MediaPacket) -> Int64 { clock.wallUs(ofMediaUs: packet.ptsUs) }

    func head(_ packet: MediaPacket) -> PacketHead {
        let mediaUs = packet.ptsUs
        let startUs = clock.wallUs(ofMediaUs: mediaUs)
        let endUs = clock.wallUs(ofMediaUs: mediaUs &+ max(packet.durationUs, 0))
        return PacketHead(
            isVideo: packet.kind == .video, isKeyframe: packet.kind == .video && packet.isKeyframe,
            startUs: startUs, durationUs: max(endUs &- startUs, 0))
    }

    /// Wall time of a keyframe that a version of the clock begins with; nil for any other packet.
    func beginsVersionUs(_ packet: MediaPacket) -> Int64? {
        guard packet.kind == .video, packet.isKeyframe, clock.begins(atMediaUs: packet.ptsUs) else { return nil }
        return wallUs(packet)
    }

    /// Begins a version of the clock with a frame at `mediaUs`, where that is worth it, and records it.
    mutating func bend(atMediaUs mediaUs: Int64, lengthUs: Int64, effects: inout [PipelineEffect]) {
        guard let version = clock.bend(atMediaUs: mediaUs, lengthUs: lengthUs) else { return }
        effects.append(.record(version.wire(runID: runID)))
    }
}
