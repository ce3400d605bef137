// What the tests of publishing share: configurations of real encoders, packets made of units, and written packets read again.

import Media
import Testing

@testable import RTSP

/// Tracks as encoders describe them: 320 by 240.
enum Tracks {
    static func sets(_ text: String) -> [[UInt8]] { text.split(separator: ",").compactMap { Base64.decode($0) } }

    static func h264() throws -> CodecConfiguration {
        let sets = sets("Z0LADdkBQfsBEAAAAwAQAAADAyDxQqSA,aMuDyyA=")
        return try .h264(sps: [sets[0]], pps: [sets[1]])
    }

    static func hevc() throws -> CodecConfiguration {
        let sets = sets(hevcSets)
        return try .hevc(vps: [sets[0]], sps: [sets[1]], pps: [sets[2]])
    }

    static func aac() throws -> CodecConfiguration { try .aac(audioSpecificConfig: [0x11, 0x88]) }

    private static let hevcSets =
        "QAEMAf//AWAAAAMAkAAAAwAAAwA8lZgJ,QgEBAWAAAAMAkAAAAwAAAwA8oAoIDxZZWaSTK8BaAgAAAwACAAADABQQ,"
        + "RAHBcrRiQA=="
}

extension MediaPacket {
    /// A picture of NAL units.
    static func picture(
        _ units: [[UInt8]], _ configuration: CodecConfiguration, ptsTicks: Int64 = 0, isKeyframe: Bool = false
    ) -> MediaPacket {
        let bytes = units.flatMap { big(UInt32($0.count)) + $0 }
        return of(bytes, configuration, ptsTicks: ptsTicks, isKeyframe: isKeyframe)
    }

    static func of(
        _ bytes: [UInt8], _ configuration: CodecConfiguration, ptsTicks: Int64 = 0, isKeyframe: Bool = true
    ) -> MediaPacket {
        MediaPacket(
            configuration: configuration, bytes: PacketBytes(bytes), ptsTicks: ptsTicks, dtsTicks: ptsTicks,
            durationTicks: 0, isKeyframe: isKeyframe, arrivalNs: 0)
    }
}

/// The interleaved frames in `bytes`: channel and content.
func frames(_ bytes: [UInt8]) -> [(channel: UInt8, content: [UInt8])] {
    var found: [(channel: UInt8, content: [UInt8])] = []
    bytes.withUnsafeBytes { all in
        var start = 0
        while case .frame(let channel, let payload, let count) = front(all.dropping(start)) {
            found.append((channel, Array(all.dropping(start)[payload])))
            start += count
        }
        #expect(start == all.count)
    }
    return found
}

/// A written RTP packet, apart.
struct Written: Equatable {
    var marker: Bool
    var type: UInt8
    var number: UInt16
    var timestamp: UInt32
    var ssrc: UInt32
    var payload: [UInt8]

    static func all(_ bytes: [UInt8]) throws -> [Written] {
        try frames(bytes).map { frame in
            try frame.content.withUnsafeBytes { bytes in
                let packet = try RTPPacket(bytes)
                return Written(
                    marker: packet.marker, type: packet.payloadType, number: packet.sequenceNumber,
                    timestamp: packet.timestamp, ssrc: packet.ssrc, payload: Array(packet.payload))
            }
        }
    }
}

/// A writer of one track that was announced alone.
func writer(
    _ configuration: CodecConfiguration,
    start: RTPStart = RTPStart(ssrc: 0xCAFE, sequenceNumber: 0xFFFE, timestamp: 0xFFFF_FF00)
) -> RTPTrackWriter {
    RTPTrackWriter(
        configuration, format: RTPFormat(configuration, dynamicType: 96), channels: (0, 1), start: start)
}
