// RTSPTrackReader: the RTP packets of one track to media packets. Pure: bytes and times in, packets out.
//
//   RTPReorderBuffer ─ Depacketizer ─ RTSPTrackClock ─ VideoAssembler or AudioTimeline

import Media

/// Where the pictures of a session are on its timeline.
struct RTSPVideoTime: Sendable {
    /// The newest picture's, in microseconds.
    var newestUs: Int64
    /// When it arrived, on the monotonic clock.
    var newestArrivalNs: Int64
    /// What the sender's wall clock showed at time 0, in microseconds; nil: it did not say.
    var zeroWallUs: Int64?
    /// Where the moment lies that PLAY's answer gave the timestamps of, in microseconds; nil: it did not, or not rightly.
    var statedZeroUs: Int64?
    /// The longest way seen from a picture's decoding time to its presentation.
    var leadUs: Int64 = 0
    /// Pictures that must still come before it is known where the others are.
    var picturesOwed = 0
}

extension RTSPVideoTime {
    /// The next picture came. Pictures that are reordered come later than the sound of their time: none leaves the camera before
    /// the one that is shown after it. How much later is known when the first of those came.
    init(_ picture: MediaPacket, after last: RTSPVideoTime?, zeroWallUs: Int64?, statedZeroUs: Int64?) {
        let last = picture.startsNewTimeline ? nil : last
        let leadUs = max(last?.leadUs ?? 0, picture.ptsUs.subtractingReportingOverflow(picture.dtsUs).partialValue)
        let owed = last.map { $0.picturesOwed - 1 } ?? min(picture.configuration.reorderDepth ?? 0, 1)
        self.init(
            newestUs: picture.dtsUs &+ leadUs, newestArrivalNs: picture.arrivalNs, zeroWallUs: zeroWallUs,
            statedZeroUs: statedZeroUs, leadUs: leadUs, picturesOwed: max(0, owed))
    }
}

/// Reads one track.
struct RTSPTrackReader {
    /// One of the two; optionals, so that the one is changed where it lies.
    private struct Output {
        var video: VideoAssembler?
        var audio: AudioTimeline?
        /// What was lost stands before a picture that has not come yet.
        var owesLoss = false
    }

    /// What comes behind the order.
    private struct Assembly {
        var depacketizer: any Depacketizer
        var clock: RTSPTrackClock
        var output: Output
        /// When the packet before came.
        var previousNs: Int64 = .min
    }

    /// Video or sound.
    let kind: TrackKind
    private let payloadType: UInt8?
    private var order: RTPReorderBuffer
    private var sequence = RTPSequence()
    private let clockRateHz: Int
    /// The first packet.
    private var first: RTSPStart?
    private var starts: [RTSPStart] = []
    /// The timestamp of the packet before.
    private var newest: UInt32?
    private var report: ReceiverReport
    private var assembly: Assembly

    /// Packets that never came.
    var packetsLost: UInt64 { order.counters.lost }
    /// Pictures and sounds dropped because a part of them did not come.
    var unitsTorn: UInt64 { assembly.depacketizer.counters.torn }

    /// Nil for a stream that cannot be recorded.
    ///
    /// - Parameters:
    ///   - isInOrder: its packets come through TCP; others wait for those that overtook them.
    ///   - ssrc: ours in what the camera is told, random.
    init?(_ media: MediaDescription, isInOrder: Bool, ssrc: UInt32) {
        guard let made = Self.video(media) ?? Self.audio(media) else { return nil }
        assembly = made
        kind = made.output.video == nil ? .audio : .video
        payloadType = media.payloadType
        clockRateHz = media.clockRateHz ?? 90_000
        report = ReceiverReport(ssrc: ssrc, clockRate: clockRateHz)
        order = isInOrder ? RTPReorderBuffer(depth: 0) : RTPReorderBuffer()
    }

    private static func video(_ media: MediaDescription) -> Assembly? {
        let timescale = UInt32(clamping: media.clockRateHz ?? 90_000)
        let clock = RTSPTrackClock(rateHz: Int(timescale))
        func assembler(_ codec: Codec) -> Output {
            let sets: [UInt8] = media.parameterSets.flatMap { set -> [UInt8] in [0, 0, 0, 1] + set }
            return Output(video: VideoAssembler(codec: codec, timescale: timescale, parameterSets: sets))
        }
        switch media.encoding {
        case "H264": return Assembly(depacketizer: H264Depacketizer(), clock: clock, output: assembler(.h264))
        case "H265", "HEVC":
            let difference = media.parameter("sprop-max-don-diff").flatMap { Int($0) } ?? 0
            return Assembly(
                depacketizer: H265Depacketizer(maximumDONDifference: difference), clock: clock, output: assembler(.hevc)
            )
        case "JPEG": return Assembly(depacketizer: JPEGDepacketizer(), clock: clock, output: assembler(.mjpeg))
        default: return nil
        }
    }

    private static func audio(_ media: MediaDescription) -> Assembly? {
        guard let clockRateHz = media.clockRateHz else { return nil }
        let timescale = UInt32(clamping: clockRateHz)
        switch media.encoding {
        case "MPEG4-GENERIC":
            guard let format = AACFormat(formatParameters: media.formatParameters),
                let configuration = try? CodecConfiguration.aac(
                    audioSpecificConfig: format.audioSpecificConfig, timescale: timescale)
            else { return nil }
            return Assembly(
                depacketizer: AACDepacketizer(format: format), clock: RTSPTrackClock(rateHz: clockRateHz),
                output: Output(audio: AudioTimeline(configuration: configuration)))
        case "PCMU", "PCMA", "L16":
            guard let codec = Codec(rawValue: media.encoding?.lowercased() ?? ""),
                let configuration = try? CodecConfiguration.pcm(
                    codec, sampleRateHz: clockRateHz, channels: media.channels)
            else { return nil }
            return Assembly(
                depacketizer: PCMDepacketizer(frameBytes: configuration.pcmFrameBytes),
                clock: RTSPTrackClock(rateHz: clockRateHz),
                output: Output(audio: AudioTimeline(configuration: configuration)))
        default: return nil
        }
    }

    /// Takes the bytes of one RTP packet; false for those that are none of this track.
    ///
    /// - Parameter video: where the pictures are, which sound must lie near to; nil before the first.
    mutating func take(
        _ bytes: UnsafeRawBufferPointer, arrivalNs: Int64, video: RTSPVideoTime?, deliver: (MediaPacket) -> Void
    ) -> Bool {
        guard let packet = try? RTPPacket(bytes), packet.payloadType == payloadType else { return false }
        // Another source has a numbering and a clock of its own; some cameras only change its name.
        if let known = sequence.ssrc, known != packet.ssrc, !goesOn(packet) {
            starts = []
            order.drain { Self.read($0, video, &assembly, deliver) }
            Self.read(.restarted, video, &assembly, deliver)
        }
        _ = sequence.take(packet.sequenceNumber, ssrc: packet.ssrc)
        newest = packet.timestamp
        first = first ?? RTSPStart(sequenceNumber: packet.sequenceNumber, timestamp: packet.timestamp)
        report.note(timestamp: packet.timestamp, ssrc: packet.ssrc, arrivalNs: arrivalNs)
        guard start(packet, arrivalNs, video) else { return true }
        order.take(bytes, sequenceNumber: packet.sequenceNumber, arrivalNs: arrivalNs) {
            Self.read($0, video, &assembly, deliver)
        }
        return true
    }

    /// Begins the track's clock with its first packet; false for sound from before the first pictures.
    private mutating func start(_ packet: RTPPacket, _ arrivalNs: Int64, _ video: RTSPVideoTime?) -> Bool {
        guard !assembly.clock.isStarted else { return true }
        if kind == .video {
            assembly.clock.start(origin: packet.timestamp)
        } else {
            guard let video else { return false }
            let stated = stated.flatMap { stated in video.statedZeroUs.map { (stated, $0) } }
            guard video.picturesOwed == 0 || stated != nil else { return false }
            let passedUs = max(0, arrivalNs - video.newestArrivalNs) / 1000
            assembly.clock.start(
                packet.timestamp, timeUs: video.newestUs &+ passedUs, videoZeroWallUs: video.zeroWallUs,
                stated: stated)
        }
        return true
    }

    private func goesOn(_ packet: RTPPacket) -> Bool {
        guard let highest = sequence.highest, let newest else { return false }
        let step = Int16(bitPattern: packet.sequenceNumber &- UInt16(truncatingIfNeeded: highest))
        let ticks = Int32(bitPattern: packet.timestamp &- newest)
        return (1...32).contains(step) && (0...Int64(clockRateHz) * 2).contains(Int64(ticks))
    }

    /// The pictures are on another timeline from now on: sound begins anew there.
    mutating func realign() {
        starts = []
        if kind == .audio { assembly.clock.stop() }
    }

    /// The camera said where its streams begin.
    mutating func note(_ starts: [RTSPStart]) { self.starts = starts }

    /// The timestamp of the moment that is common to all streams, by the camera's word. Too many cameras answer with whatever is in
    /// their memory: a word counts where it names the packet that came first, and a moment shortly before it.
    private var stated: UInt32? {
        guard let first, let start = starts.first(where: { $0.sequenceNumber == first.sequenceNumber }),
            (0...Int64(max(0, clockRateHz))).contains(Int64(Int32(bitPattern: first.timestamp &- start.timestamp)))
        else { return nil }
        return start.timestamp
    }

    /// Where that moment lies on a timeline whose time 0 is the first packet, in microseconds.
    var statedZeroUs: Int64? {
        guard let first, let stated, clockRateHz > 0 else { return nil }
        return -(Int64(first.timestamp &- stated) * 1_000_000 / Int64(clockRateHz))
    }

    /// What the sender's wall clock showed at time 0, in microseconds.
    var zeroWallUs: Int64? { assembly.clock.zeroWallUs }

    /// To be called several times a second: gives up packets that others wait for too long.
    mutating func expire(nowNs: Int64, video: RTSPVideoTime?, deliver: (MediaPacket) -> Void) {
        order.expire(nowNs: nowNs) { Self.read($0, video, &assembly, deliver) }
    }

    /// Hands on a picture that waits only for the next packet to show that it is whole, if its last one came before `beforeNs`.
    mutating func settle(beforeNs: Int64 = .max, video: RTSPVideoTime?, deliver: (MediaPacket) -> Void) {
        let cameNs = assembly.previousNs
        guard cameNs < beforeNs else { return }
        assembly.depacketizer.settle {
            Self.make($0, cameNs, video, &assembly.clock, &assembly.output, deliver)
        }
    }

    /// The session is over: hands on what is whole and was waiting for what comes after it.
    mutating func flush(arrivalNs: Int64, video: RTSPVideoTime?, deliver: (MediaPacket) -> Void) {
        order.drain { Self.read($0, video, &assembly, deliver) }
        assembly.depacketizer.flush {
            Self.make($0, arrivalNs, video, &assembly.clock, &assembly.output, deliver)
        }
    }

    // MARK: RTCP

    /// Takes the bytes of a compound packet. True: the camera ends this track (BYE).
    mutating func takeControl(_ bytes: UnsafeRawBufferPointer, arrivalNs: Int64) -> Bool {
        let packet = RTCPPacket(bytes)
        for sent in packet.senderReports {
            report.note(sent, arrivalNs: arrivalNs)
            assembly.clock.note(sent)
        }
        return packet.goodbyes.contains { $0 == sequence.ssrc }
    }

    /// What the camera is told about its packets.
    mutating func receiverReport(nowNs: Int64) -> [UInt8] {
        report.packet(sequence, name: RTSPClient.canonicalName, nowNs: nowNs)
    }

    // MARK: Packets to units, units to media packets

    private static func read(
        _ output: RTPReorderBuffer.Output, _ video: RTSPVideoTime?, _ assembly: inout Assembly,
        _ deliver: (MediaPacket) -> Void
    ) {
        switch output {
        case .lost: assembly.depacketizer.lose()
        case .restarted:
            // What was under way is not ended by what comes now, and its times do not go on.
            assembly.depacketizer.lose()
            if assembly.output.video == nil { assembly.clock.stop() } else { assembly.clock.jump() }
        case .packet(let bytes, let arrivalNs):
            guard let packet = try? RTPPacket(bytes) else { return }
            take(
                packet, (assembly.previousNs, arrivalNs), video, &assembly.depacketizer, &assembly.clock,
                &assembly.output, deliver)
            assembly.previousNs = arrivalNs
        }
    }

    /// The parts of an `Assembly` apart from each other: the depacketizer calls back while it changes.
    private static func take(
        _ packet: RTPPacket, _ arrivalNs: (previous: Int64, own: Int64), _ video: RTSPVideoTime?,
        _ depacketizer: inout any Depacketizer,
        _ clock: inout RTSPTrackClock, _ output: inout Output, _ deliver: (MediaPacket) -> Void
    ) {
        depacketizer.take(packet) { unit in
            var cameNs = arrivalNs.own
            // A picture that ends because another one begins was complete with the packet before.
            if case .accessUnit(_, let timestamp, _) = unit, timestamp != packet.timestamp {
                cameNs = arrivalNs.previous
            }
            make(unit, cameNs, video, &clock, &output, deliver)
        }
    }

    private static func make(
        _ unit: DepacketizedUnit, _ arrivalNs: Int64, _ video: RTSPVideoTime?, _ clock: inout RTSPTrackClock,
        _ output: inout Output, _ deliver: (MediaPacket) -> Void
    ) {
        var made: MediaPacket?
        switch unit {
        case .accessUnit(let unit, let timestamp, let followsLoss):
            output.owesLoss = output.owesLoss || followsLoss
            made = output.video?.take(unit, ptsTicks: clock.take(timestamp), arrivalNs: arrivalNs)
        case .picture(let bytes, let timestamp, let followsLoss):
            output.owesLoss = output.owesLoss || followsLoss
            made = output.video?.take(
                picture: bytes, ptsTicks: clock.take(timestamp), arrivalNs: arrivalNs)
        case .audio(let bytes, let timestamp):
            made = output.audio?.packet(
                bytes, ptsTicks: clock.take(timestamp), arrivalNs: arrivalNs,
                videoPtsUs: video?.newestUs)
        }
        guard var made else { return }
        if made.kind == .video {
            made.followsLoss = output.owesLoss
            output.owesLoss = false
        }
        deliver(made)
    }
}
