// Reports in both directions, and the sender's wall clock.

import Testing

@testable import RTSP

@Suite struct RTCPTests {
    private let report: [UInt8] =
        [0x80, 200, 0, 6] + big(7) + big(0xE000_0001) + big(0x8000_0000) + big(90) + big(3) + big(4)

    private func parse(_ bytes: [UInt8]) -> RTCPPacket {
        bytes.withUnsafeBytes { RTCPPacket($0) }
    }

    @Test func aCompoundPacketIsReadToItsEnd() {
        let description: [UInt8] = [0x81, 202, 0, 2] + big(7) + [1, 1, 65, 0]
        let unknown: [UInt8] = [0x80, 207, 0, 0]
        let goodbye: [UInt8] = [0x82, 203, 0, 2] + big(7) + big(8)
        let packet = parse(report + description + unknown + goodbye)
        #expect(
            packet.senderReports == [.init(ssrc: 7, ntp: 0xE000_0001_8000_0000, rtpTimestamp: 90, packets: 3)])
        #expect(packet.goodbyes == [7, 8] && packet.ignored == 1 && packet.unknown == 1 && !packet.isCut)
    }

    @Test func whatStandsBeforeACutCounts() {
        let packet = parse(report + [0x81, 202, 0, 9, 1])
        #expect(packet.senderReports.count == 1 && packet.isCut)
        #expect(parse([0x81, 203, 0, 0]) == parse([0x9F, 203, 0, 0]))
        #expect(parse([0x80, 200, 0, 1] + big(1)).isCut)
    }

    @Test func randomBytesNeverHarm() {
        var random = Seeded(7)
        var cut = 0
        for _ in 0..<5000 {
            var bytes = random.bytes(upTo: 80)
            if bytes.count > 4 { bytes.replaceSubrange(0..<3, with: [0x81, 200 + bytes[1] % 5, 0]) }
            if parse(bytes).isCut { cut += 1 }
        }
        #expect(cut > 100)
    }

    @Test func theReportStatesLossAsTheRFCCounts() {
        var sequence = RTPSequence()
        var writer = ReceiverReport(ssrc: 5, clockRate: 90_000)
        for number: UInt16 in [65534, 65535, 0, 3] {
            _ = sequence.take(number, ssrc: 7)
            writer.note(timestamp: 0, ssrc: 7, arrivalNs: 0)
        }
        let first = writer.packet(sequence, name: "x", nowNs: 0)
        #expect(Array(first[0..<12]) == [0x81, 201, 0, 7] + big(5) + big(7))
        // 2 of 6: a fraction of 85/256; extended highest number 0x10003.
        #expect(Array(first[12..<20]) == [85, 0, 0, 2] + big(0x1_0003))
        #expect(Array(first[32...]) == [0x81, 202, 0, 2] + big(5) + [1, 1, 120, 0])
        _ = sequence.take(4, ssrc: 7)
        #expect(writer.packet(sequence, name: "x", nowNs: 0)[12] == 0)
    }

    @Test func theReportAnswersTheSendersReport() {
        var sequence = RTPSequence()
        _ = sequence.take(1, ssrc: 7)
        var writer = ReceiverReport(ssrc: 5, clockRate: 90_000)
        writer.note(timestamp: 0, ssrc: 7, arrivalNs: 0)
        for sender in parse(report).senderReports { writer.note(sender, arrivalNs: 1_000_000_000) }
        let packet = writer.packet(sequence, name: "x", nowNs: 2_500_000_000)
        #expect(Array(packet[24..<32]) == big(0x0001_8000) + big(98304))
    }

    @Test func beforeTheFirstPacketTheReportIsEmpty() {
        var writer = ReceiverReport(ssrc: 5, clockRate: 90_000)
        #expect(Array(writer.packet(RTPSequence(), name: "x", nowNs: 0)[0..<8]) == [0x80, 201, 0, 1] + big(5))
    }

    @Test func evenArrivalHasNoJitterAndUnevenHasSome() {
        var even = ReceiverReport(ssrc: 5, clockRate: 90_000)
        var uneven = ReceiverReport(ssrc: 5, clockRate: 90_000)
        for frame in 0..<100 {
            let time = UInt32(frame * 3600) &+ 0xFFFF_0000
            even.note(timestamp: time, ssrc: 7, arrivalNs: Int64(frame) * 40_000_000)
            uneven.note(timestamp: time, ssrc: 7, arrivalNs: Int64(frame) * 40_000_000 + Int64(frame % 2) * 10_000_000)
        }
        #expect(even.jitterTicks == 0)
        // Each packet is 900 ticks off from the one before.
        #expect((850...900).contains(uneven.jitterTicks))
    }
}

@Suite struct SenderClockTests {
    // 2025-01-01 00:00:00.
    private let wallNs: Int64 = 1_735_689_600_000_000_000
    private func ntp(_ wallNs: Int64) -> UInt64 {
        UInt64(wallNs / 1_000_000_000 + 2_208_988_800) << 32
    }

    @Test func aReportMapsMediaTimeToTheWallClock() {
        var clock = SenderClock(clockRate: 90_000)
        #expect(clock.wallNs(ticks: 0) == nil)
        #expect(clock.take(ntp: ntp(wallNs), ticks: 900_000, wallNs: wallNs + 5_000_000) == .used)
        #expect(clock.wallNs(ticks: 945_000) == wallNs + 500_000_000)
        #expect(clock.wallNs(ticks: 855_000) == wallNs - 500_000_000)
        #expect(clock.wallNs(ticks: .min) == nil)
    }

    @Test func absentAndLyingReportsAreRefused() {
        var clock = SenderClock(clockRate: 90_000)
        #expect(clock.take(ntp: 0, ticks: 0, wallNs: wallNs) == .absent)
        let off = -3 * 3_600_000_000_000 as Int64
        #expect(clock.take(ntp: ntp(wallNs + off), ticks: 0, wallNs: wallNs) == .implausible(offNs: off))
        #expect(!clock.isKnown && clock.refused == 2)
        #expect(clock.take(ntp: ntp(wallNs), ticks: 0, wallNs: wallNs) == .used)
    }

    @Test func aJumpVoidsTheMappingUntilTheNextReport() {
        var clock = SenderClock(clockRate: 90_000)
        _ = clock.take(ntp: ntp(wallNs), ticks: 0, wallNs: wallNs)
        let later = wallNs + 5_000_000_000
        #expect(clock.take(ntp: ntp(later), ticks: 90_000, wallNs: later) == .jumped)
        #expect(!clock.isKnown)
        #expect(clock.take(ntp: ntp(later), ticks: 90_000, wallNs: later) == .used)
    }

    @Test func theFractionOfASecondCounts() {
        var clock = SenderClock(clockRate: 90_000)
        // A half, and a quarter.
        _ = clock.take(ntp: ntp(wallNs) | 0xC000_0000, ticks: 0, wallNs: wallNs)
        #expect(clock.wallNs(ticks: 0) == wallNs + 750_000_000)
    }

    @Test func timesAfter2036AreUnderstood() {
        var clock = SenderClock(clockRate: 90_000)
        let future: Int64 = 2_085_978_496 * 1_000_000_000 + 3_000_000_000
        #expect(clock.take(ntp: 3 << 32, ticks: 0, wallNs: future) == .used)
    }

    @Test func randomReportsNeverHarm() {
        var random = Seeded(8)
        var clock = SenderClock(clockRate: 8000)
        for _ in 0..<5000 {
            let wall = Int64(bitPattern: random.next())
            _ = clock.take(ntp: random.next(), ticks: Int64(bitPattern: random.next()), wallNs: wall)
            _ = clock.take(ntp: ntp(wallNs), ticks: Int64(bitPattern: random.next()), wallNs: wallNs)
            _ = clock.wallNs(ticks: Int64(bitPattern: random.next()))
        }
        #expect(clock.refused > 1000)
    }
}
