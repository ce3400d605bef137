// Packets of cameras. An input of a payload format is a sequence of packets, so that what one leaves behind meets the next:
//
//   mode(1)  { flags(1) [sequence(2)] [timestamp(4)] length(2) payload }...
//
// flags: 0x80 marker, 0x01 a sequence number of its own (else the next), 0x02 a timestamp of its own (0x04: the one before
// plus 3600; else the same), 0x08 arrives 100 ms later (else 1 ms), 0x10 the payload is a whole RTCP packet. `mode` chooses the
// description and TCP or UDP. Sound has pictures beside it that arrive all the time.

import Media

@testable import RTSP

enum RTPTargets {
    @Sendable static func h264(_ bytes: UnsafeRawBufferPointer) {
        let sets = "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0IAHpWoKA9k,aM4xUg=="
        let video = "m=video 0 RTP/AVP 96\na=rtpmap:96 H264"
        feed(bytes, ["\(video)/90000", "\(video)/1\n\(sets)"])
    }

    @Sendable static func h265(_ bytes: UnsafeRawBufferPointer) {
        let plain = "m=video 0 RTP/AVP 96\na=rtpmap:96 H265/90000"
        feed(bytes, [plain, "\(plain)\na=fmtp:96 sprop-max-don-diff=2"])
    }

    @Sendable static func jpeg(_ bytes: UnsafeRawBufferPointer) {
        feed(bytes, ["m=video 0 RTP/AVP 96\na=rtpmap:96 JPEG/90000"])
    }

    @Sendable static func aac(_ bytes: UnsafeRawBufferPointer) {
        let plain = "m=audio 0 RTP/AVP 96\na=rtpmap:96 mpeg4-generic/16000/1\na=fmtp:96 config=1408;"
        feed(
            bytes,
            [
                "\(plain)mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3", "\(plain)mode=AAC-lbr",
                "\(plain)mode=AAC-hbr;sizelength=1;indexlength=0;indexdeltalength=0",
            ])
    }

    @Sendable static func pcm(_ bytes: UnsafeRawBufferPointer) {
        feed(bytes, ["m=audio 0 RTP/AVP 96\na=rtpmap:96 PCMU/8000", "m=audio 0 RTP/AVP 96\na=rtpmap:96 L16/44100/2"])
    }

    private static func feed(_ bytes: UnsafeRawBufferPointer, _ descriptions: [String]) {
        var input = Input(bytes)
        let mode = input.byte()
        let description = descriptions[Int(mode >> 1) % descriptions.count]
        guard var track = TrackFeed(description, isInOrder: mode & 1 == 0) else { return }
        var sequence: UInt16 = 0xFFF0
        var timestamp: UInt32 = 0xFFFF_0000
        var arrivalNs: Int64 = 0
        let hasSound = descriptions[0].hasPrefix("m=audio")
        var video: RTSPVideoTime?
        while !input.isAtEnd {
            let flags = input.byte()
            sequence = flags & 1 != 0 ? input.number() : sequence &+ 1
            if flags & 2 != 0 { timestamp = input.number() } else if flags & 4 != 0 { timestamp &+= 3600 }
            arrivalNs += flags & 8 != 0 ? 100_000_000 : 1_000_000
            let payload = input.piece(Int(input.number(UInt16.self)))
            if hasSound {
                video = RTSPVideoTime(newestUs: arrivalNs / 1000, newestArrivalNs: arrivalNs, zeroWallUs: 1_000_000)
            }
            if flags & 0x10 != 0 {
                payload.withUnsafeBytes { track.takeControl($0, arrivalNs: arrivalNs) }
                continue
            }
            var packet: [UInt8] = [0x80, flags & 0x80 | 96, UInt8(sequence >> 8), UInt8(sequence & 0xFF)]
            packet += [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: timestamp >> $0) } + [0, 0, 0, 1] + payload
            packet.withUnsafeBytes { track.take($0, arrivalNs: arrivalNs, video: &video) }
        }
        track.end(arrivalNs: arrivalNs, video: &video)
    }

    /// Whole packets, each after its length in 2 bytes, through the header, the reorder buffer and the statistics.
    @Sendable static func packets(_ bytes: UnsafeRawBufferPointer) {
        var input = Input(bytes)
        var order = RTPReorderBuffer(depth: Int(input.byte() % 16))
        var sequence = RTPSequence()
        var clock = RTPClock()
        var report = ReceiverReport(ssrc: 7, clockRate: 90_000)
        var nowNs: Int64 = 0
        func check(_ output: RTPReorderBuffer.Output) {
            if case .packet(let bytes, _) = output { must((try? RTPPacket(bytes)) != nil, "what went in comes out") }
        }
        while !input.isAtEnd {
            nowNs += 30_000_000
            let content = input.piece(Int(input.number(UInt16.self)))
            content.withUnsafeBytes { content in
                guard let packet = try? RTPPacket(content) else { return }
                must(packet.payload.count <= content.count - 12, "a payload lies behind its header")
                _ = packet.payload.reduce(0, &+)
                _ = sequence.take(packet.sequenceNumber, ssrc: packet.ssrc)
                _ = clock.take(packet.timestamp)
                report.note(timestamp: packet.timestamp, ssrc: packet.ssrc, arrivalNs: nowNs)
                order.take(content, sequenceNumber: packet.sequenceNumber, arrivalNs: nowNs, deliver: check)
            }
            let sent = report.packet(sequence, name: "camera", nowNs: nowNs)
            must(sent.withUnsafeBytes { !RTCPPacket($0).isCut }, "a report of ours can be read")
        }
        order.drain(deliver: check)
    }

    /// Compound RTCP packets, each after its length in 2 bytes, and what the clocks make of them.
    @Sendable static func rtcp(_ bytes: UnsafeRawBufferPointer) {
        var input = Input(bytes)
        var sender = SenderClock(clockRate: 90_000)
        var report = ReceiverReport(ssrc: 7, clockRate: 90_000)
        let clock = RTPClock()
        var nowNs: Int64 = 0
        while !input.isAtEnd {
            nowNs += 1_000_000_000
            let wallNs = input.number(Int64.self)
            let content = input.piece(Int(input.number(UInt16.self)))
            let packet = content.withUnsafeBytes { RTCPPacket($0) }
            must(packet.senderReports.count + packet.goodbyes.count <= content.count, "what is read was there")
            for statement in packet.senderReports {
                report.note(timestamp: statement.rtpTimestamp, ssrc: statement.ssrc, arrivalNs: nowNs)
                report.note(statement, arrivalNs: nowNs)
                let ticks = clock.extend(statement.rtpTimestamp)
                if sender.take(ntp: statement.ntp, ticks: ticks, wallNs: wallNs) == .used {
                    must(sender.wallNs(ticks: ticks) != nil, "a report that is used dates its own time")
                }
                _ = sender.wallNs(ticks: wallNs)
            }
            _ = report.packet(RTPSequence(), name: "camera", nowNs: nowNs)
        }
    }
}
