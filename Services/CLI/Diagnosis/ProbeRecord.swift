// What a probe saw of a camera: steps and packets of one session go in, facts come out. Pure.

import Media
import RTSP

struct ProbeRecord: Sendable {
    /// The address that answered.
    var address: String?
    var asksForUser = false
    var description: SessionDescription?
    /// What came that is no message.
    var noise: [UInt8] = []
    var connectionEnd: ConnectionEnd?
    /// The camera accepted the session.
    var isPlaying = false
    var hasMedia = false
    var pictures = PictureRecord()
    /// How its own clock was off at the newest picture that it told the time of; positive: fast.
    var clockAheadUs: Int64?
    var failure: RTSPFailure?
    var counters = SourceCounters()
    /// The session is over.
    var hasEnded = false
    /// It did not go on within the probe's patience.
    var gaveUp = false
    /// Grows with each sign that the camera goes on.
    var progress = 0

    mutating func take(_ step: SessionStep, wallUs: Int64) {
        progress += 1
        switch step {
        case .connected(let address):
            self.address = address
            connectionEnd = nil
        case .asksForUser: asksForUser = true
        case .described(let description): self.description = description
        case .media: hasMedia = true
        case .noise(let bytes):
            // Somebody who talks without end goes no further.
            progress -= 1
            noise = Array((noise + bytes).prefix(128))
        case .pictureTime(let cameraUs): clockAheadUs = cameraUs.subtractingReportingOverflow(wallUs).partialValue
        case .disconnected(let end): connectionEnd = end
        }
    }

    mutating func take(_ event: SourceEvent) {
        switch event {
        case .playing:
            progress += 1
            isPlaying = true
        case .packet(let packet):
            hasMedia = true
            isPlaying = true
            if packet.kind == .video {
                progress += 1
                pictures.take(packet)
            } else {
                pictures.sound = packet.configuration.codec
            }
        case .counted(let counters): self.counters = counters
        case .ended(let failure, let counters):
            hasEnded = true
            self.failure = failure
            self.counters = counters
        case .drained, .redirected, .blocked: break
        }
    }
}

/// The pictures of a session.
struct PictureRecord: Sendable {
    /// The first seconds say nothing of the pace: cameras begin with what they have gathered.
    static let settleNs: Int64 = 1_000_000_000

    var configuration: CodecConfiguration?
    var sound: Codec?
    var count = 0
    var bytes = 0
    var keyframes = 0
    /// The longest way from one keyframe to the next, by the camera's time.
    var longestIntervalUs: Int64 = 0
    /// Times did not go on.
    var jumps = 0
    private var firstNs: Int64 = 0
    private var lastNs: Int64 = 0
    private var firstKeyframeNs: Int64 = 0
    private var keyframeUs: Int64?
    private var paceFrom: (arrivalNs: Int64, mediaUs: Int64)?
    private var paceTo: (arrivalNs: Int64, mediaUs: Int64)?

    /// From the first picture to the newest, as they came.
    var spanUs: Int64 { (lastNs - firstNs) / 1000 }
    /// Since the first keyframe.
    var sinceKeyframeUs: Int64 { keyframes > 0 ? (lastNs - firstKeyframeNs) / 1000 : 0 }
    /// Pictures per second, as they came.
    var perSecond: Double { spanUs > 0 ? Double(count - 1) * 1_000_000 / Double(spanUs) : 0 }
    /// Bits per second, as they came.
    var bitsPerSecond: Double { spanUs > 0 ? Double(bytes) * 8_000_000 / Double(spanUs) : 0 }
    /// Seconds of the camera's time in a second of ours; nil where too little was seen.
    var pace: Double? {
        guard let paceFrom, let paceTo, paceTo.arrivalNs - paceFrom.arrivalNs >= Self.settleNs else { return nil }
        return Double(paceTo.mediaUs - paceFrom.mediaUs) * 1000 / Double(paceTo.arrivalNs - paceFrom.arrivalNs)
    }

    mutating func take(_ picture: MediaPacket) {
        if count == 0 { firstNs = picture.arrivalNs }
        count += 1
        bytes += picture.sizeBytes
        lastNs = max(lastNs, picture.arrivalNs)
        configuration = picture.configuration
        if picture.startsNewTimeline, count > 1 {
            jumps += 1
            keyframeUs = nil
            (paceFrom, paceTo) = (nil, nil)
        }
        let now = (arrivalNs: picture.arrivalNs, mediaUs: picture.dtsUs)
        if paceFrom != nil { paceTo = now } else if lastNs - firstNs >= Self.settleNs { paceFrom = now }
        guard picture.isKeyframe else { return }
        if keyframes == 0 { firstKeyframeNs = picture.arrivalNs }
        keyframes += 1
        if let before = keyframeUs { longestIntervalUs = max(longestIntervalUs, picture.dtsUs - before) }
        keyframeUs = picture.dtsUs
    }
}
