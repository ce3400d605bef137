// RTSPTrackReader: the RTP packets of one track to media packets. Pure: bytes and times in, packets out.
//
//   RTPReorderBuffer ─ Depacketizer ─ RTPClock ─ VideoAssembler or AudioTimeline

import Media

/// Reads one track.
struct RTSPTrackReader {
    private enum Output {
        case video(VideoAssembler)
        case audio(AudioTimeline)
    }

    /// What comes behind the order.
    private struct Assembly {
        var depacketizer: any Depacketizer
        var clock = RTPClock()
        var output: Output
    }

    /// Video or sound.
    let kind: TrackKind
    private let payloadType: UInt8?
    private var order: RTPReorderBuffer
    private var assembly: Assembly

    /// Packets that never came.
    var packetsLost: UInt64 { order.counters.lost }
    /// Pictures and sounds dropped because a part of them did not come.
    var unitsTorn: UInt64 { assembly.depacketizer.counters.torn }

    /// Nil for a stream that cannot be recorded.
    ///
    /// - Parameter isInOrder: its packets come through TCP; others wait for those that overtook them.
    init?(_ media: MediaDescription, isInOrder: Bool) {
        guard let made = Self.video(media) ?? Self.audio(media) else { return nil }
        assembly = made
        if case .video = made.output { kind = .video } else { kind = .audio }
        payloadType = media.payloadType
        order = isInOrder ? RTPReorderBuffer(depth: 0) : RTPReorderBuffer()
    }

    private static func video(_ media: MediaDescription) -> Assembly? {
        let timescale = UInt32(clamping: media.clockRateHz ?? 90_000)
        func assembler(_ codec: Codec) -> Output {
            let sets: [UInt8] = media.parameterSets.flatMap { set -> [UInt8] in [0, 0, 0, 1] + set }
            return .video(VideoAssembler(codec: codec, timescale: timescale, parameterSets: sets))
        }
        switch media.encoding {
        case "H264": return Assembly(depacketizer: H264Depacketizer(), output: assembler(.h264))
        case "H265", "HEVC":
            let difference = media.parameter("sprop-max-don-diff").flatMap { Int($0) } ?? 0
            return Assembly(
                depacketizer: H265Depacketizer(maximumDONDifference: difference), output: assembler(.hevc))
        case "JPEG": return Assembly(depacketizer: JPEGDepacketizer(), output: assembler(.mjpeg))
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
                depacketizer: AACDepacketizer(format: format),
                output: .audio(AudioTimeline(configuration: configuration)))
        case "PCMU", "PCMA", "L16":
            guard let codec = Codec(rawValue: media.encoding?.lowercased() ?? ""),
                let configuration = try? CodecConfiguration.pcm(
                    codec, sampleRateHz: clockRateHz, channels: media.channels)
            else { return nil }
            return Assembly(
                depacketizer: PCMDepacketizer(frameBytes: configuration.pcmFrameBytes),
                output: .audio(AudioTimeline(configuration: configuration)))
        default: return nil
        }
    }

    /// Takes the bytes of one RTP packet; false for those that are none of this track.
    ///
    /// - Parameter newestVideoUs: when the newest picture is shown, which sound must lie near to.
    mutating func take(
        _ bytes: UnsafeRawBufferPointer, arrivalNs: Int64, newestVideoUs: Int64?, deliver: (MediaPacket) -> Void
    ) -> Bool {
        guard let packet = try? RTPPacket(bytes), packet.payloadType == payloadType else { return false }
        Self.take(bytes, packet.sequenceNumber, arrivalNs, newestVideoUs, &order, &assembly, deliver)
        return true
    }

    private static func take(
        _ bytes: UnsafeRawBufferPointer, _ sequenceNumber: UInt16, _ arrivalNs: Int64, _ newestVideoUs: Int64?,
        _ order: inout RTPReorderBuffer, _ assembly: inout Assembly, _ deliver: (MediaPacket) -> Void
    ) {
        order.take(bytes, sequenceNumber: sequenceNumber, arrivalNs: arrivalNs) { output in
            switch output {
            case .lost: assembly.depacketizer.lose()
            case .restarted:
                // Another numbering: what was under way is not ended by it, and its times do not go on.
                assembly.depacketizer.lose()
                assembly.clock = RTPClock()
            case .packet(let bytes, let arrivalNs):
                guard let packet = try? RTPPacket(bytes) else { return }
                read(
                    packet, arrivalNs, newestVideoUs, &assembly.depacketizer, &assembly.clock, &assembly.output, deliver
                )
            }
        }
    }

    private static func read(
        _ packet: RTPPacket, _ arrivalNs: Int64, _ newestVideoUs: Int64?, _ depacketizer: inout any Depacketizer,
        _ clock: inout RTPClock, _ output: inout Output, _ deliver: (MediaPacket) -> Void
    ) {
        depacketizer.take(packet) { unit in
            switch (unit, output) {
            case (.accessUnit(let unit, let timestamp, _), .video(var assembler)):
                let made = assembler.take(unit, ptsTicks: clock.take(timestamp), arrivalNs: arrivalNs)
                output = .video(assembler)
                if let made { deliver(made) }
            case (.picture(let bytes, let timestamp, _), .video(var assembler)):
                let made = assembler.take(picture: bytes, ptsTicks: clock.take(timestamp), arrivalNs: arrivalNs)
                output = .video(assembler)
                if let made { deliver(made) }
            case (.audio(let bytes, let timestamp), .audio(var timeline)):
                let made = timeline.packet(
                    bytes, ptsTicks: clock.take(timestamp), arrivalNs: arrivalNs, videoPtsUs: newestVideoUs)
                output = .audio(timeline)
                if let made { deliver(made) }
            default: break
            }
        }
    }
}
