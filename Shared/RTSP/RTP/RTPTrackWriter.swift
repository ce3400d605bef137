// RTPTrackWriter: the media packets of one track to RTP packets, as interleaved frames of an RTSP connection
// (RFC 2326, section 10.12), and its sender reports. Pure: what is random comes from outside.

import Media

/// What a track's numbers begin with: random, so that nobody can guess them (RFC 3550 5.1), and other for each track.
struct RTPStart: Sendable, Equatable {
    /// Names the source.
    let ssrc: UInt32
    let sequenceNumber: UInt16
    /// Of media time 0.
    let timestamp: UInt32

    static func random(using generator: inout some RandomNumberGenerator) -> RTPStart {
        RTPStart(
            ssrc: .random(in: .min ... .max, using: &generator),
            sequenceNumber: .random(in: .min ... .max, using: &generator),
            timestamp: .random(in: .min ... .max, using: &generator))
    }
}

/// Writes one track.
struct RTPTrackWriter: Sendable {
    /// What stands in the headers, and what was counted for the reports.
    private struct Numbering {
        let payloadType: UInt8
        let ssrc: UInt32
        var sequenceNumber: UInt16
        var packets: UInt32 = 0
        var payloadBytes: UInt32 = 0

        mutating func append(_ payload: RTPPayload, timestamp: UInt32, channel: UInt8, to out: inout [UInt8]) {
            let count = payload.head.count + payload.body.count
            withUnsafeTemporaryAllocation(byteCount: 16, alignment: 4) { head in
                RTPTrackWriter.write(frameOf: 12 + count, channel: channel, to: head)
                head[4] = 0x80
                head[5] = (payload.marker ? 0x80 : 0) | payloadType
                head.storeBytes(of: sequenceNumber.bigEndian, toByteOffset: 6, as: UInt16.self)
                head.storeBytes(of: (timestamp &+ payload.offsetTicks).bigEndian, toByteOffset: 8, as: UInt32.self)
                head.storeBytes(of: ssrc.bigEndian, toByteOffset: 12, as: UInt32.self)
                out.append(contentsOf: UnsafeRawBufferPointer(head))
            }
            out.append(contentsOf: payload.head)
            out.append(contentsOf: payload.body)
            sequenceNumber &+= 1
            packets &+= 1
            payloadBytes &+= UInt32(count)
        }
    }

    let configuration: CodecConfiguration
    let format: RTPFormat
    /// The interleaved channel of the RTP packets.
    var rtpChannel: UInt8
    /// The interleaved channel of the reports.
    var rtcpChannel: UInt8
    private let start: RTPStart
    private var packetizer: any Packetizer
    private var numbering: Numbering

    /// - Parameter format: as it was announced for this configuration.
    init(_ configuration: CodecConfiguration, format: RTPFormat, channels: (UInt8, UInt8), start: RTPStart) {
        self.configuration = configuration
        self.format = format
        (rtpChannel, rtcpChannel) = channels
        self.start = start
        packetizer = Packetizers.of(configuration)
        numbering = Numbering(
            payloadType: format.payloadType, ssrc: start.ssrc, sequenceNumber: start.sequenceNumber)
    }

    /// Appends a packet of the track. One that cannot be sent is refused, and nothing is appended.
    mutating func write(_ packet: MediaPacket, to out: inout [UInt8]) throws(MediaError) {
        let ticks = rescale(packet.ptsTicks, from: packet.configuration.timescale, to: format.clockRateHz)
        let timestamp = start.timestamp &+ UInt32(truncatingIfNeeded: ticks)
        var numbering = numbering
        out.reserveCapacity(out.count + packet.sizeBytes + packet.sizeBytes / 32 + 256)
        try packetizer.cut(packet) { payload in
            numbering.append(payload, timestamp: timestamp, channel: rtpChannel, to: &out)
        }
        self.numbering = numbering
    }

    /// Appends a sender report, once a packet was sent.
    ///
    /// - Parameters:
    ///   - wallNs: now, in nanoseconds since 1970.
    ///   - mediaUs: the media time of now, in microseconds.
    func writeReport(name: String, wallNs: Int64, mediaUs: Int64, to out: inout [UInt8]) {
        guard numbering.packets > 0 else { return }
        let ticks = rescale(mediaUs, from: 1_000_000, to: format.clockRateHz)
        let report = RTCPPacket.encoded(
            RTCPPacket.SenderReport(
                ssrc: start.ssrc, ntp: RTCPPacket.ntp(wallNs: wallNs),
                rtpTimestamp: start.timestamp &+ UInt32(truncatingIfNeeded: ticks), packets: numbering.packets),
            bytes: numbering.payloadBytes, name: name)
        withUnsafeTemporaryAllocation(byteCount: 4, alignment: 4) { head in
            Self.write(frameOf: report.count, channel: rtcpChannel, to: head)
            out.append(contentsOf: UnsafeRawBufferPointer(head))
        }
        out += report
    }

    /// The head of an interleaved frame. Payloads of `maximumPayloadBytes` keep it below its 64 KiB.
    private static func write(frameOf count: Int, channel: UInt8, to head: UnsafeMutableRawBufferPointer) {
        head[0] = UInt8(ascii: "$")
        head[1] = channel
        head.storeBytes(of: UInt16(truncatingIfNeeded: count).bigEndian, toByteOffset: 2, as: UInt16.self)
    }
}
