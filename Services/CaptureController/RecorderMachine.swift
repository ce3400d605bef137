// From packets to segments: the decisions, without packets' bytes and without a file. Pure: what is known of a packet and
// the time go in, actions come out; SourcePipeline carries them out in order.
//
// Rules
//   R1  A segment begins with a keyframe. It ends at the first keyframe at or after its length, so that no frame is lost
//       or doubled between two segments.
//   R2  Where no keyframe comes, the segment is sealed anyway at four times its length (but not before 5 minutes): an
//       endless segment would never be archived. What comes up to the next keyframe cannot be played, so it is not kept, and
//       that is a gap.
//   R3  The first keyframe is flushed at once, the rest when the session handed on all that it had gathered (100 ms), when
//       the oldest waiting packet is 120 ms old (of a camera whose packets come one by one), or when 1 s of media waits (a ring
//       that is written out). With a tick every 25 ms that keeps the promise of 150 ms.
//   R4  A change of what is wanted (another stream's folder) cuts at the next keyframe. So does one of the codec or of parameters
//       that the segment's file does not declare; what comes up to that keyframe cannot be kept, and is a gap.
//   R5  What the writer refused is dropped up to the next keyframe, and reported as a gap. So is what comes after a segment
//       that the disk lost.
//   R6  A seal that was asked for happens at the first keyframe at or after the moment. When the media passed the moment
//       and the camera then gives nothing for 2 s, at once.

/// What the machine needs to know of a packet.
struct PacketHead: Sendable, Equatable {
    /// False for audio.
    var isVideo: Bool
    var isKeyframe: Bool
    /// Presentation time as wall time, microseconds.
    var startUs: Int64
    var durationUs: Int64

    var endUs: Int64 { startUs + durationUs }
}

/// For whom and how to record.
struct RecordingWant: Sendable, Equatable {
    /// The clip stream that asked for it; nil for footage that none asked for.
    var stream: StreamKey?
    /// Folder below the volume's root, from a stream's configured path. Empty for the root.
    var folder: String
    /// Length of a segment in microseconds.
    var segmentUs: Int64
    /// Epoch of the lease under which it is recorded.
    var leaseEpoch: UInt64
}

/// What the owner of the machine does, in this order.
enum RecorderAction: Sendable, Equatable {
    /// Open a segment. `startUs` is the presentation time of its first frame.
    case open(want: RecordingWant, startUs: Int64)
    /// Add the packet at hand to the open fragment.
    case append
    /// Hand the open fragment to the writer.
    case flush
    /// Finish the segment. `endUs` is the end of its last frame.
    case seal(startUs: Int64, endUs: Int64)
    /// Frames in `span` were lost.
    case gap(span: Span, framesLost: UInt32, cause: LossCause)
}

/// Why the recorder lost frames that the camera gave.
enum LossCause: Sendable, Equatable {
    /// More waited for the disk than may wait.
    case queueFull
    /// The disk refused the segment.
    case disk
    /// No keyframe came for too long.
    case noKeyframe
}

/// The recorder of one source.
struct RecorderMachine: Sendable, Equatable {
    static let flushAfterUs: Int64 = 120_000
    static let flushMediaUs: Int64 = 1_000_000
    static let sealGraceUs: Int64 = 2_000_000
    static let shortestForcedCutUs: Int64 = 300_000_000

    private struct Open: Sendable, Equatable {
        var want: RecordingWant
        var startUs: Int64
        var endUs: Int64
        /// Arrival (monotonic) and presentation time of the oldest packet not flushed.
        var waitingSinceUs: Int64?
        /// Arrival of the newest packet (monotonic).
        var lastPacketUs: Int64
        var waitingFromUs: Int64 = 0
        var cutAtNextKeyframe = false
        /// Set while packets are dropped: where the gap begins, and how many frames are lost so far.
        var droppingFromUs: Int64?
        var framesLost: UInt32 = 0
        /// What was lost before it, reported once the disk has bytes of this segment: a disk that is full for an hour is one
        /// gap and not one for each attempt.
        var missed: Missed?
    }

    /// Frames that came while no segment could be open.
    private struct Missed: Sendable, Equatable {
        let fromUs: Int64
        var frames: UInt32
        let cause: LossCause
    }

    private enum State: Sendable, Equatable {
        case idle
        case waitingForKeyframe(RecordingWant, missed: Missed?)
        case open(Open)
    }

    private var state: State = .idle
    /// What to record after the next cut, where it differs from now.
    private var nextWant: RecordingWant?
    /// Wall times at which the open segment is to be sealed, by R6.
    private var sealMomentsUs: Set<Int64> = []

    var isRecording: Bool {
        if case .idle = state { return false }
        return true
    }

    /// Start of the open segment.
    var openSpan: Span? {
        if case .open(let open) = state { return Span(startUs: open.startUs, endUs: open.endUs) }
        return nil
    }

    /// What shall be recorded from now on. Nil ends the segment at once.
    mutating func setWant(_ want: RecordingWant?) -> [RecorderAction] {
        switch (state, want) {
        case (.idle, nil): return []
        case (.idle, .some(let want)):
            state = .waitingForKeyframe(want, missed: nil)
            return []
        case (.waitingForKeyframe(_, let missed), .some(let want)):
            state = .waitingForKeyframe(want, missed: missed)
            return []
        case (.waitingForKeyframe, nil):
            state = .idle
            return []
        case (.open(var open), .some(let want)):
            if open.want.stream != want.stream || open.want.folder != want.folder
                || open.want.leaseEpoch != want.leaseEpoch
            {
                open.cutAtNextKeyframe = true
                nextWant = want
            } else {
                open.want = want
                nextWant = nil
            }
            state = .open(open)
            return []
        case (.open(let open), nil):
            return close(open, next: nil)
        }
    }

    /// Seal the segment that is open then at the first keyframe at or after `wallUs`.
    mutating func requestSeal(atUs wallUs: Int64) {
        if case .open(let open) = state, wallUs <= open.startUs { return }
        sealMomentsUs.insert(wallUs)
    }

    /// The next packet has parameters that the open segment's file does not declare.
    mutating func formatChanged(before next: PacketHead) -> [RecorderAction] {
        guard case .open(let open) = state else { return [] }
        let want = nextWant ?? open.want
        let sealing = close(open, next: want)
        let missed = Missed(fromUs: open.endUs, frames: 0, cause: .noKeyframe)
        state = .waitingForKeyframe(want, missed: next.isKeyframe ? nil : missed)
        return sealing
    }

    /// The session ended, or the service stops.
    mutating func sessionEnded() -> [RecorderAction] {
        guard case .open(let open) = state else { return [] }
        return close(open, next: nextWant ?? open.want)
    }

    /// The writer could not keep the segment (disk full, input/output error). Nothing of it is to be sealed.
    /// `keptToUs`: what comes before it can be salvaged later.
    mutating func segmentLost(frames: UInt32, keptToUs: Int64? = nil) -> [RecorderAction] {
        guard case .open(var open) = state else { return [] }
        let actions = keptToUs == nil ? [] : Self.report(&open)
        let frames = frames + (open.missed?.frames ?? 0)
        let missed = Missed(fromUs: open.missed?.fromUs ?? keptToUs ?? open.startUs, frames: frames, cause: .disk)
        state = .waitingForKeyframe(nextWant ?? open.want, missed: missed)
        nextWant = nil
        return actions
    }

    /// Bytes of the open segment are safe.
    mutating func segmentConfirmed() -> [RecorderAction] {
        guard case .open(var open) = state else { return [] }
        let actions = Self.report(&open)
        state = .open(open)
        return actions
    }

    /// True while a loss is known whose end is not reported yet.
    var hasMissed: Bool {
        switch state {
        case .idle: false
        case .waitingForKeyframe(_, let missed): missed != nil
        case .open(let open): open.missed != nil
        }
    }

    private static func report(_ open: inout Open) -> [RecorderAction] {
        guard let missed = open.missed else { return [] }
        open.missed = nil
        guard missed.fromUs < open.startUs else { return [] }
        let span = Span(startUs: missed.fromUs, endUs: open.startUs)
        return [.gap(span: span, framesLost: missed.frames, cause: missed.cause)]
    }

    /// The fragment just handed over was refused because the queue is full.
    mutating func fragmentRefused(startUs: Int64, frames: UInt32) {
        guard case .open(var open) = state else { return }
        open.droppingFromUs = open.droppingFromUs ?? startUs
        open.framesLost += frames
        open.endUs = max(open.startUs, min(open.endUs, startUs))
        open.waitingSinceUs = nil
        state = .open(open)
    }

    mutating func packet(_ head: PacketHead, nowUs: Int64) -> [RecorderAction] {
        switch state {
        case .idle: return []
        case .waitingForKeyframe(let want, var missed):
            guard head.isVideo, head.isKeyframe else {
                if head.isVideo { missed?.frames += 1 }
                state = .waitingForKeyframe(want, missed: missed)
                return []
            }
            let begun = begin(want, with: head, missed: missed, nowUs: nowUs)
            guard let missed, missed.cause != .disk, missed.fromUs < head.startUs else {
                return begun
            }
            let span = Span(startUs: missed.fromUs, endUs: head.startUs)
            return [.gap(span: span, framesLost: missed.frames, cause: missed.cause)] + begun
        case .open(let open):
            return continued(open, head, nowUs: nowUs)
        }
    }

    /// Called every few milliseconds, so that a camera that pauses does not keep a fragment back.
    mutating func tick(nowUs: Int64) -> [RecorderAction] {
        guard case .open(let open) = state else { return [] }
        if sealMomentsUs.contains(where: { $0 <= open.endUs }), nowUs - open.lastPacketUs >= Self.sealGraceUs {
            return close(open, next: nextWant ?? open.want)
        }
        guard let since = open.waitingSinceUs, nowUs - since >= Self.flushAfterUs else { return [] }
        return drained()
    }

    /// All that the camera sent so far is here, and more comes at once: R3.
    mutating func drained() -> [RecorderAction] {
        guard case .open(var open) = state, open.waitingSinceUs != nil else { return [] }
        open.waitingSinceUs = nil
        state = .open(open)
        return [.flush]
    }

    private mutating func begin(
        _ want: RecordingWant, with head: PacketHead, missed: Missed? = nil, nowUs: Int64
    ) -> [RecorderAction] {
        var open = Open(want: want, startUs: head.startUs, endUs: head.endUs, lastPacketUs: nowUs)
        open.missed = missed?.cause == .disk ? missed : nil
        state = .open(open)
        // A request for a moment before this segment was carried out by the segments before it.
        sealMomentsUs = sealMomentsUs.filter { $0 > head.startUs }
        return [.open(want: want, startUs: head.startUs), .append, .flush]
    }

    private mutating func continued(_ old: Open, _ head: PacketHead, nowUs: Int64) -> [RecorderAction] {
        var open = old
        open.lastPacketUs = nowUs
        let videoKey = head.isVideo && head.isKeyframe
        if videoKey, head.startUs > open.startUs, isDue(open, atUs: head.startUs) {
            let want = nextWant ?? open.want
            let sealing = close(
                open, next: want, endUs: open.droppingFromUs == nil ? head.startUs : nil, gapToUs: head.startUs)
            return sealing + begin(want, with: head, nowUs: nowUs)
        }
        if head.isVideo, open.droppingFromUs == nil, head.startUs - open.startUs >= forcedCutUs(open) {
            let want = nextWant ?? open.want
            // Where frames are reordered, some that are shown before this one have not come yet: they are lost as well.
            let keptUs = min(head.startUs, open.endUs)
            let sealing = close(open, next: want, endUs: keptUs)
            state = .waitingForKeyframe(want, missed: Missed(fromUs: keptUs, frames: 1, cause: .noKeyframe))
            return sealing
        }
        var actions: [RecorderAction] = []
        if let from = open.droppingFromUs {
            guard videoKey else {
                if head.isVideo { open.framesLost += 1 }
                state = .open(open)
                return []
            }
            actions.append(
                .gap(span: Span(startUs: from, endUs: head.startUs), framesLost: open.framesLost, cause: .queueFull))
            open.droppingFromUs = nil
            open.framesLost = 0
        }
        if head.isVideo { open.endUs = max(open.endUs, head.endUs) }
        actions.append(.append)
        let since = open.waitingSinceUs ?? nowUs
        let from = open.waitingSinceUs == nil ? head.startUs : open.waitingFromUs
        if nowUs - since >= Self.flushAfterUs || head.startUs - from >= Self.flushMediaUs {
            open.waitingSinceUs = nil
            actions.append(.flush)
        } else {
            open.waitingSinceUs = since
            open.waitingFromUs = from
        }
        state = .open(open)
        return actions
    }

    private func isDue(_ open: Open, atUs: Int64) -> Bool {
        if open.cutAtNextKeyframe { return true }
        if sealMomentsUs.contains(where: { $0 <= atUs }) { return true }
        return atUs - open.startUs >= open.want.segmentUs
    }

    private func forcedCutUs(_ open: Open) -> Int64 {
        max(4 * open.want.segmentUs, Self.shortestForcedCutUs)
    }

    /// Seals the open segment. `endUs` nil: at the end of its last frame.
    private mutating func close(
        _ closing: Open, next: RecordingWant?, endUs: Int64? = nil, gapToUs: Int64? = nil
    ) -> [RecorderAction] {
        var open = closing
        var actions = Self.report(&open)
        if open.waitingSinceUs != nil { actions.append(.flush) }
        actions.append(.seal(startUs: open.startUs, endUs: max(endUs ?? open.endUs, open.startUs + 1)))
        if let from = open.droppingFromUs {
            let to = max(gapToUs ?? open.endUs, from + 1)
            actions.append(.gap(span: Span(startUs: from, endUs: to), framesLost: open.framesLost, cause: .queueFull))
        }
        let reachedUs = endUs ?? open.endUs
        sealMomentsUs = sealMomentsUs.filter { $0 > reachedUs }
        nextWant = nil
        if let next { state = .waitingForKeyframe(next, missed: nil) } else { state = .idle }
        return actions
    }
}
