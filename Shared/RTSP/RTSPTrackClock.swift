// RTSPTrackClock: the media time of one track, on a timeline that all tracks of a session share. Pure.
//
// The timestamps of each track begin anywhere (RFC 3550, section 5.1). Time 0 is the first picture. Where 0 lies for sound say the
// sender's reports, which name the same wall clock for both tracks; where they have not come yet, or say what cannot be, PLAY's
// answer (RTP-Info), which is wrong in too many cameras and so has to name the very packets that came first; else sound that arrives
// with a picture belongs to it. That is off by as much as a camera has gathered of both when it is told to play, a second or less.
//
// Where the numbering of pictures begins anew (another source), their time jumps, which ends the run; sound begins anew where the
// pictures are then.

struct RTSPTrackClock: Sendable {
    /// A sender's report may differ from what the arrivals say by no more: a network holds nothing back for longer.
    static let maximumDelayUs: Int64 = 5_000_000

    /// Farther than any time that goes on (DecodeTimeline), so that it is taken for what it is.
    private static let jumpS: Int64 = 3_600

    private let rateHz: Int64
    private var clock: RTPClock?
    private var last: Int64?
    private var isBroken = false
    private var report: (wallUs: Int64, timestamp: UInt32)?

    init(rateHz: Int) {
        self.rateHz = Int64(min(max(rateHz, 1), 10_000_000))
    }

    var isStarted: Bool { clock != nil }

    /// What the sender's wall clock showed at time 0, in microseconds; nil: it did not say.
    var zeroWallUs: Int64? {
        guard let clock, let report else { return nil }
        return report.wallUs &- us(clock.extend(report.timestamp))
    }

    /// This timestamp is time 0: the first picture's.
    mutating func start(origin timestamp: UInt32) { clock = RTPClock(origin: timestamp) }

    /// Sound begins with this timestamp.
    ///
    /// - Parameters:
    ///   - timeUs: on the common timeline, by what arrived with it.
    ///   - videoZeroWallUs: what the sender's wall clock showed at time 0.
    ///   - stated: a timestamp and its time on the common timeline, by PLAY's answer.
    mutating func start(
        _ timestamp: UInt32, timeUs: Int64, videoZeroWallUs: Int64?, stated: (timestamp: UInt32, timeUs: Int64)? = nil
    ) {
        func origin(_ timestamp: UInt32, _ timeUs: Int64) -> UInt32 {
            timestamp &- UInt32(truncatingIfNeeded: ticks(timeUs))
        }
        let arrived = origin(timestamp, timeUs)
        var told: [UInt32] = []
        if let report, let zeroUs = videoZeroWallUs { told.append(origin(report.timestamp, report.wallUs &- zeroUs)) }
        if let stated { told.append(origin(stated.timestamp, stated.timeUs)) }
        let believed = told.first { us(abs(Int64(Int32(bitPattern: $0 &- arrived)))) <= Self.maximumDelayUs }
        clock = RTPClock(origin: believed ?? arrived)
    }

    /// The time of a packet, in ticks.
    mutating func take(_ timestamp: UInt32) -> Int64 {
        if isBroken, let last { clock?.restart(timestamp, at: last &+ rateHz * Self.jumpS) }
        isBroken = false
        let time = clock?.take(timestamp) ?? 0
        last = time
        return time
    }

    /// The next picture does not go on with the numbering: its time jumps ahead.
    mutating func jump() {
        isBroken = true
        report = nil
    }

    /// The next sound is where the pictures are.
    mutating func stop() {
        clock = nil
        report = nil
    }

    /// The sender says what its wall clock shows; 0: it has none.
    mutating func note(_ sent: RTCPPacket.SenderReport) {
        guard sent.ntp != 0 else { return }
        let fractionUs = Int64(((sent.ntp & 0xFFFF_FFFF) * 1_000_000) >> 32)
        report = (Int64(sent.ntp >> 32) * 1_000_000 + fractionUs, sent.rtpTimestamp)
    }

    private func us(_ ticks: Int64) -> Int64 {
        ticks / rateHz &* 1_000_000 &+ ticks % rateHz * 1_000_000 / rateHz
    }

    private func ticks(_ us: Int64) -> Int64 {
        us / 1_000_000 &* rateHz &+ us % 1_000_000 * rateHz / 1_000_000
    }
}
