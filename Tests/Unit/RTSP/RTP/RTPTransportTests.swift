// RTP below the payload: header, sequence numbers, timestamps, order.

import Testing

@testable import RTSP

@Suite struct RTPTransportTests {
    private func payload(_ bytes: [UInt8]) throws -> [UInt8] {
        try bytes.withUnsafeBytes { Array(try RTPPacket($0).payload) }
    }

    @Test func theHeaderIsReadWithItsListExtensionAndPadding() throws {
        let bytes: [UInt8] =
            [0xB1, 0xE0, 0xFF, 0xFE] + big(7) + big(9) + big(1) + [0xBE, 0xDE, 0, 1, 1, 2, 3, 4] + [42, 43, 0, 2]
        try bytes.withUnsafeBytes { raw in
            let packet = try RTPPacket(raw)
            #expect(packet.marker && packet.payloadType == 96 && packet.sequenceNumber == 0xFFFE)
            #expect(packet.timestamp == 7 && packet.ssrc == 9 && packet.contributorCount == 1)
            #expect(packet.headerExtension?.profile == 0xBEDE)
            #expect(packet.headerExtension.map { Array($0.content) } == [1, 2, 3, 4])
            #expect(Array(packet.payload) == [42, 43])
        }
    }

    @Test func lengthsThatDoNotFitAreErrors() throws {
        let plain = rtp([])
        #expect(throws: RTPError.truncated) { try payload(Array(plain.dropLast())) }
        #expect(throws: RTPError.version(1)) { try payload([0x40] + plain.dropFirst()) }
        #expect(throws: RTPError.truncated) { try payload([0x81] + plain.dropFirst()) }
        #expect(throws: RTPError.truncated) { try payload([0x90] + plain.dropFirst() + [0, 0, 0, 1]) }
        #expect(throws: RTPError.padding) { try payload([0xA0] + plain.dropFirst() + [0]) }
        #expect(throws: RTPError.padding) { try payload([0xA0] + plain.dropFirst() + [2]) }
        let padded = try payload([0xA0] + plain.dropFirst() + [1])
        #expect(padded.isEmpty)
    }

    @Test func randomBytesAreAPacketOrAnErrorAndNothingElse() {
        var random = Seeded(1)
        var read = 0
        for _ in 0..<5000 {
            var bytes = random.bytes(upTo: 64)
            if !bytes.isEmpty { bytes[0] = 0x80 | bytes[0] & 0x3F }
            if let rest = try? payload(bytes) {
                read += 1
                #expect(rest.count <= bytes.count - 12)
            }
        }
        #expect(read > 100)
    }

    @Test func sequenceNumbersWrapAndLossIsCounted() {
        var sequence = RTPSequence()
        #expect(sequence.take(65534, ssrc: 1) == .next(extended: 0x1_FFFE, lost: 0))
        #expect(sequence.take(65535, ssrc: 1) == .next(extended: 0x1_FFFF, lost: 0))
        #expect(sequence.take(2, ssrc: 1) == .next(extended: 0x2_0002, lost: 2))
        #expect(sequence.lost == 2 && sequence.expected == 5)
        #expect(sequence.take(1, ssrc: 1) == .late(extended: 0x2_0001))
        #expect(sequence.take(1, ssrc: 1) == .duplicate)
        #expect(sequence.take(2, ssrc: 1) == .duplicate)
        #expect(sequence.lost == 1 && sequence.duplicates == 2)
    }

    @Test func anotherSourceBeginsANewNumbering() {
        var sequence = RTPSequence()
        _ = sequence.take(500, ssrc: 1)
        #expect(sequence.take(3, ssrc: 2) == .restarted(extended: 0x1_0003))
        #expect(sequence.expected == 1 && sequence.lost == 0 && sequence.restarts == 1)
    }

    @Test func aJumpIsBelievedWhenTheNextPacketContinuesIt() {
        var sequence = RTPSequence()
        _ = sequence.take(100, ssrc: 1)
        #expect(sequence.take(20000, ssrc: 1) == .stray)
        #expect(sequence.take(101, ssrc: 1) == .next(extended: 0x1_0065, lost: 0))
        #expect(sequence.take(30000, ssrc: 1) == .stray)
        #expect(sequence.take(30001, ssrc: 1) == .restarted(extended: 0x1_0000 + 30001))
    }

    @Test func timestampsWrapForwardAndBack() {
        var clock = RTPClock()
        #expect(clock.take(0xFFFF_FF00) == 0xFFFF_FF00)
        #expect(clock.take(0x100) == 0x1_0000_0100)
        #expect(clock.take(0xFFFF_FFFF) == 0xFFFF_FFFF)
        #expect(clock.extend(1) == 0x1_0000_0001)
    }

    /// Feeds packets whose only payload byte is their number; returns numbers, and losses as negative counts.
    private func order(
        _ buffer: inout RTPReorderBuffer, _ numbers: [UInt16], atNs: Int64 = 0
    ) -> [Int] {
        var out: [Int] = []
        for number in numbers {
            [UInt8(number & 0xFF)].withUnsafeBytes { bytes in
                buffer.take(bytes, sequenceNumber: number, arrivalNs: atNs) { out.append(word($0)) }
            }
        }
        return out
    }

    private func word(_ output: RTPReorderBuffer.Output) -> Int {
        switch output {
        case .packet(let bytes, _): Int(bytes[0])
        case .lost(let count): -count
        case .restarted: 1000
        }
    }

    @Test func reorderingByFiveAndDuplicatesAreUndone() {
        var buffer = RTPReorderBuffer()
        #expect(order(&buffer, [1, 3, 4, 5, 5, 6, 2, 2, 7]) == [1, 2, 3, 4, 5, 6, 7])
        #expect(buffer.counters == .init(reordered: 4, late: 2, lost: 0, stray: 0))
        #expect(buffer.deadlineNs == nil)
    }

    @Test func reorderingSurvivesTheWrap() {
        var buffer = RTPReorderBuffer()
        #expect(order(&buffer, [65534, 0, 65535, 1]) == [254, 255, 0, 1])
    }

    @Test func aGapIsGivenUpAfterItsTime() {
        var buffer = RTPReorderBuffer(depth: 64, waitNs: 100)
        #expect(order(&buffer, [1, 4]) == [1])
        #expect(buffer.deadlineNs == 100)
        var out: [Int] = []
        buffer.expire(nowNs: 99) { out.append(word($0)) }
        #expect(out.isEmpty)
        buffer.expire(nowNs: 100) { out.append(word($0)) }
        #expect(out == [-2, 4])
        #expect(order(&buffer, [2, 5], atNs: 100) == [5])
        #expect(buffer.counters.late == 1 && buffer.counters.lost == 2)
    }

    @Test func aGapIsGivenUpWhenTooManyWait() {
        var buffer = RTPReorderBuffer(depth: 2, waitNs: 100)
        #expect(order(&buffer, [1, 3, 4, 5]) == [1, -1, 3, 4, 5])
    }

    @Test func overTCPNothingWaitsAndEachGapIsTold() {
        var buffer = RTPReorderBuffer(depth: 0)
        #expect(order(&buffer, [1, 2, 5, 4, 6]) == [1, 2, -2, 5, 6])
        #expect(buffer.counters.reordered == 0 && buffer.counters.late == 1)
    }

    @Test func aConfirmedJumpDrainsAndRestarts() {
        var buffer = RTPReorderBuffer()
        #expect(order(&buffer, [1, 3, 20000, 20001]) == [1, -1, 3, 1000, Int(20001 & 0xFF)])
    }

    @Test func randomNumbersComeOutOnceAndInOrder() {
        var random = Seeded(2)
        var buffer = RTPReorderBuffer(depth: 16, waitNs: 50)
        var place: Int?
        var packets = 0
        for step in 0..<20000 {
            let number = UInt16(truncatingIfNeeded: step + Int.random(in: -20...20, using: &random))
            for value in order(&buffer, [number], atNs: Int64(step)) {
                guard value >= 0 else {
                    place = place.map { $0 - value }
                    continue
                }
                // Each packet follows the one before, or the loss that was told.
                if let place { #expect((place + 1) & 0xFF == value) }
                place = (place ?? value - 1) + 1
                packets += 1
            }
        }
        #expect(packets > 1000 && buffer.counters.lost > 0 && buffer.counters.late > 0)
    }
}
