// Times of audio packets: several frames of one RTP packet share one time, and a frame may come without. Audio that steps
// back or lies far from the video's times is dropped; the video decides when a timeline ends.

/// Gives the packets of one audio track times that grow.
public struct AudioTimeline: Sendable {
    /// Packets dropped because their time stepped back, did not fit the video's, or was no time.
    public private(set) var dropped: UInt64 = 0
    private let configuration: CodecConfiguration
    private var nextPts: Int64?

    /// Audio farther than this from the newest video is of another timeline.
    private static let maximumDistanceUs: Int64 = 10_000_000

    /// For an audio track.
    public init(configuration: CodecConfiguration) {
        self.configuration = configuration
    }

    /// The packet, or nil where it has to be dropped. `videoPtsUs`: newest video, nil before the first.
    public mutating func packet(
        _ bytes: UnsafeRawBufferPointer, ptsTicks: Int64?, arrivalNs: Int64, videoPtsUs: Int64?
    ) -> MediaPacket? {
        let duration = durationTicks(bytes.count)
        guard let pts = ptsTicks ?? nextPts, pts.magnitude <= DecodeTimeline.maximumTicks, !bytes.isEmpty, duration > 0
        else {
            dropped += 1
            return nil
        }
        let ptsUs = rescale(pts, from: configuration.timescale, to: 1_000_000)
        if let videoPtsUs {
            let distance = ptsUs.subtractingReportingOverflow(videoPtsUs)
            if distance.overflow || distance.partialValue.magnitude > UInt64(Self.maximumDistanceUs) {
                dropped += 1
                nextPts = nil
                return nil
            }
        }
        // Half a packet is the jitter of cameras that stamp audio with a clock of milliseconds.
        if let nextPts, pts < nextPts - duration / 2, nextPts - pts < Int64(configuration.timescale) * 10 {
            dropped += 1
            return nil
        }
        let start = nextPts.map { abs(pts - $0) <= duration / 2 ? $0 : pts } ?? pts
        nextPts = start + duration
        return MediaPacket(
            configuration: configuration, bytes: PacketBytes(copying: bytes), ptsTicks: start, dtsTicks: start,
            durationTicks: duration, isKeyframe: true, arrivalNs: arrivalNs)
    }

    private func durationTicks(_ sizeBytes: Int) -> Int64 {
        guard configuration.pcmFrameBytes > 0 else { return configuration.nominalFrameTicks ?? 0 }
        let samples = Int64(sizeBytes / configuration.pcmFrameBytes)
        return samples * Int64(configuration.timescale) / Int64(configuration.sampleRateHz)
    }
}
