// H.264 and H.265 payloads to access units, with the deviations of known cameras.

import Media
import Testing

@testable import RTSP

/// What came out, copied: the NAL units, the time, whether it follows a loss.
struct Unit: Equatable {
    var nals: [[UInt8]]
    var time: UInt32
    var followsLoss = false
}

struct Feed<Format: Depacketizer> {
    var format: Format
    var units: [Unit] = []

    init(_ format: Format) {
        self.format = format
    }

    mutating func send(_ payload: [UInt8], at time: UInt32 = 0, marker: Bool = false) {
        var out: [Unit] = []
        rtp(payload, timestamp: time, marker: marker).withUnsafeBytes { bytes in
            guard let packet = try? RTPPacket(bytes) else { return }
            format.take(packet) { out.append(unit($0)) }
        }
        units += out
    }

    mutating func settle() {
        var out: [Unit] = []
        format.settle { out.append(unit($0)) }
        units += out
    }

    mutating func end() {
        var out: [Unit] = []
        format.flush { out.append(unit($0)) }
        units += out
    }
}

func unit(_ output: DepacketizedUnit) -> Unit {
    switch output {
    case .accessUnit(let buffer, let time, let followsLoss):
        Unit(nals: buffer.units.map { buffer.withUnit($0) { Array($0) } }, time: time, followsLoss: followsLoss)
    case .picture(let bytes, let time, let followsLoss):
        Unit(nals: [bytes.array], time: time, followsLoss: followsLoss)
    case .audio(let bytes, let time): Unit(nals: [Array(bytes)], time: time)
    }
}

@Suite struct H264DepacketizerTests {
    private let slice: [UInt8] = [0x41, 0x80, 1]
    private let later: [UInt8] = [0x41, 0x40, 2]
    private let sei: [UInt8] = [0x06, 5, 1, 0]

    /// A session begins where the camera is: the first packets that come may be the rest of a picture.
    @Test func whatComesFirstIsNoPictureWithoutItsFirstSlice() {
        var feed = Feed(H264Depacketizer())
        feed.send(later, at: 1, marker: true)
        feed.send(slice, at: 2)
        feed.send(later, at: 2, marker: true)
        feed.end()
        #expect(feed.units == [Unit(nals: [slice, later], time: 2, followsLoss: true)])
        #expect(feed.format.counters.torn == 1)
    }

    @Test func singleUnitsOfOneTimeAreOneAccessUnit() {
        var feed = Feed(H264Depacketizer())
        feed.send(slice, at: 1)
        feed.send(later, at: 1, marker: true)
        feed.end()
        #expect(feed.units == [Unit(nals: [slice, later], time: 1)])
    }

    @Test func aMissingMarkerIsMadeUpByTheNextTime() {
        var feed = Feed(H264Depacketizer())
        feed.send(slice, at: 1)
        feed.send(slice, at: 2)
        #expect(feed.units == [Unit(nals: [slice], time: 1)])
        feed.end()
        #expect(feed.units.count == 2)
    }

    @Test func aggregatesAreTakenApart() {
        var feed = Feed(H264Depacketizer())
        feed.send([0x78, 0, 2, 0x67, 9, 0, 0, 0, 3] + slice, marker: true)
        feed.end()
        #expect(feed.units == [Unit(nals: [[0x67, 9], slice], time: 0)])
    }

    @Test func anAggregateThatIsCutTearsItsUnit() {
        var feed = Feed(H264Depacketizer())
        feed.send([0x78, 0, 3] + slice + [0, 9, 0x41], marker: true)
        #expect(feed.units.isEmpty && feed.format.counters.malformed == 1 && feed.format.counters.torn == 1)
    }

    @Test func fragmentsAreJoinedAndEmptyOnesDoNoHarm() {
        var feed = Feed(H264Depacketizer())
        feed.send([0x7C, 0x85, 0x80])
        feed.send([0x7C, 0x05])
        feed.send([0x7C, 0x05, 7])
        feed.send([0x7C, 0x45, 8], marker: true)
        feed.end()
        #expect(feed.units == [Unit(nals: [[0x65, 0x80, 7, 8]], time: 0)])
    }

    @Test func tiandyChangesTheTypeWithinAFragmentedUnit() {
        var feed = Feed(H264Depacketizer())
        feed.send([0x7C, 0x85, 0x80])
        feed.send([0x7C, 0x41, 8], marker: true)
        feed.end()
        #expect(feed.units == [Unit(nals: [[0x65, 0x80, 8]], time: 0)])
    }

    @Test func v380SendsAnnexBInThePayload() {
        var feed = Feed(H264Depacketizer())
        feed.send([0, 0, 0, 1, 0x67, 9, 0, 0, 0, 1, 0x68, 7, 0, 0, 1] + slice, at: 1, marker: true)
        feed.send([0x67, 9, 0, 0, 0, 1] + slice, at: 2, marker: true)
        #expect(feed.units.map(\.nals) == [[[0x67, 9], [0x68, 7], slice], [[0x67, 9], slice]])
    }

    @Test func ivelMarksTheMessageBeforeThePicture() {
        var feed = Feed(H264Depacketizer())
        feed.send(sei, at: 1, marker: true)
        feed.send(slice, at: 1, marker: true)
        feed.end()
        #expect(feed.units == [Unit(nals: [sei, slice], time: 1)])
    }

    @Test func aMarkerOnEachSliceIsNotBelieved() {
        var feed = Feed(H264Depacketizer())
        for time: UInt32 in 1...3 {
            feed.send(slice, at: time, marker: true)
            #expect(feed.units.count == Int(time) - 1, "a picture ends where the next one begins")
            feed.send(sei, at: time)
            feed.send(later, at: time, marker: true)
        }
        feed.end()
        #expect(feed.units == (1...3).map { Unit(nals: [slice, sei, later], time: $0) })
        #expect(feed.format.counters.torn == 0)
    }

    @Test func onlyTheFirstPictureWaitsForThePacketBehindItsMarker() {
        var feed = Feed(H264Depacketizer())
        feed.send(slice, at: 1, marker: true)
        #expect(feed.units.isEmpty)
        feed.send([0x7C, 0x81, 0x80], at: 2)
        #expect(feed.units.map(\.time) == [1])
        feed.send([0x7C, 0x41, 8], at: 2, marker: true)
        #expect(feed.units.map(\.time) == [1, 2])
        feed.send(slice, at: 3, marker: true)
        #expect(feed.units.map(\.time) == [1, 2, 3])
    }

    @Test func whatWaitsIsHandedOnWhereNothingComes() {
        var feed = Feed(H264Depacketizer())
        feed.send(slice, at: 1, marker: true)
        feed.settle()
        #expect(feed.units.map(\.time) == [1])
        // Nothing is known of the markers yet: the next one waits again, unless something of it may still come.
        feed.send(slice, at: 2, marker: true)
        feed.send(sei, at: 2)
        feed.settle()
        #expect(feed.units.map(\.time) == [1])
        feed.send(later, at: 2, marker: true)
        feed.end()
        #expect(feed.units.map(\.nals) == [[slice], [slice, sei, later]])
    }

    @Test func aFirstPictureWhoseLaterSlicesAreTornIsNotHandedOn() {
        for loses in [true, false] {
            var feed = Feed(H264Depacketizer())
            feed.send(slice, at: 1, marker: true)
            if loses {
                feed.format.lose()
                feed.send(later, at: 1, marker: true)
            } else {
                feed.send([0x7C, 0x81, 0x40], at: 1)
                feed.format.lose()
                feed.send([0x7C, 0x41, 8], at: 1, marker: true)
            }
            feed.send(slice, at: 2)
            feed.send(later, at: 2, marker: true)
            feed.end()
            #expect(feed.units == [Unit(nals: [slice, later], time: 2, followsLoss: true)])
            #expect(feed.format.counters.torn == 1)
        }
    }

    @Test func aLossBehindTheFirstPictureIsToldByTheSecond() {
        var feed = Feed(H264Depacketizer())
        feed.send(slice, at: 1, marker: true)
        feed.format.lose()
        feed.send(slice, at: 2, marker: true)
        feed.end()
        #expect(feed.units == [Unit(nals: [slice], time: 1), Unit(nals: [slice], time: 2, followsLoss: true)])
    }

    @Test func framesWithAFrozenTimeStayApart() {
        var feed = Feed(H264Depacketizer())
        for _ in 0..<3 { feed.send(slice, at: 5, marker: true) }
        feed.end()
        #expect(feed.units.count == 3)
    }

    @Test func lossWithinAUnitTearsItAndTheNextOneSaysSo() {
        var feed = Feed(H264Depacketizer())
        feed.send([0x7C, 0x85, 0x80], at: 1)
        feed.format.lose()
        feed.send([0x7C, 0x45, 8], at: 1, marker: true)
        feed.send(slice, at: 2, marker: true)
        feed.send(slice, at: 3, marker: true)
        #expect(
            feed.units == [Unit(nals: [slice], time: 2, followsLoss: true), Unit(nals: [slice], time: 3)])
        #expect(feed.format.counters.torn == 1)
    }

    @Test func aUnitWhoseHeadWasLostIsTorn() {
        var feed = Feed(H264Depacketizer())
        feed.send(slice, at: 1, marker: true)
        feed.format.lose()
        feed.send(later, at: 2, marker: true)
        feed.format.lose()
        feed.send([0x7C, 0x05, 1], at: 3)
        feed.send([0x7C, 0x45, 8], at: 3, marker: true)
        #expect(feed.units.count == 1 && feed.format.counters.torn == 2)
    }

    @Test func aUnitWithoutItsLastFragmentIsTorn() {
        var feed = Feed(H264Depacketizer())
        feed.send([0x7C, 0x85, 0x80], at: 1)
        feed.send(slice, at: 2, marker: true)
        feed.end()
        #expect(feed.units.map(\.time) == [2])
    }

    @Test func anEndlessUnitIsDroppedAndTheNextOneComes() {
        var feed = Feed(H264Depacketizer())
        feed.send([0x7C, 0x85, 0x80], at: 1)
        let large = [0x7C, 0x05] + [UInt8](repeating: 1, count: 60_000)
        for _ in 0..<600 { feed.send(large, at: 1) }
        feed.send(slice, at: 2, marker: true)
        feed.end()
        #expect(feed.units.map(\.time) == [2])
        #expect(feed.format.counters.tooLarge == 1)
    }

    @Test func aKeyframeOfTwentyMegabytesPasses() {
        var feed = Feed(H264Depacketizer())
        feed.send([0x7C, 0x85, 0x80], at: 1)
        let large = [0x7C, 0x05] + [UInt8](repeating: 1, count: 60_000)
        for _ in 0..<333 { feed.send(large, at: 1) }
        feed.send([0x7C, 0x45, 1], at: 1, marker: true)
        feed.end()
        #expect(feed.units.first?.nals.first?.count == 3 + 333 * 60_000)
    }

    @Test func randomPayloadsNeverHarm() {
        var random = Seeded(3)
        var feed = Feed(H264Depacketizer())
        for step in 0..<8000 {
            var payload = random.bytes(upTo: 40)
            if !payload.isEmpty, step % 2 == 0 { payload[0] = [24, 28, 0, 1].randomElement(using: &random) ?? 28 }
            feed.send(payload, at: UInt32(step / 4), marker: Bool.random(using: &random))
            if step % 50 == 0 { feed.format.lose() }
        }
        #expect(feed.format.counters.torn > 100 && feed.format.counters.units > 100)
        #expect(feed.units.allSatisfy { $0.nals.allSatisfy { !$0.isEmpty } })
    }
}

@Suite struct H265DepacketizerTests {
    private let slice: [UInt8] = [0x02, 1, 0x80, 1]

    @Test func unitsAggregatesAndFragmentsAreTakenApart() {
        var feed = Feed(H265Depacketizer())
        feed.send([0x60, 1, 0, 3, 0x40, 1, 9, 0, 3, 0x42, 1, 8])
        feed.send([0x62, 1, 0x93, 0x80])
        feed.send([0x62, 1, 0x13, 5])
        feed.send([0x62, 1, 0x53, 6], marker: true)
        feed.send(slice, at: 1, marker: true)
        #expect(
            feed.units == [
                Unit(nals: [[0x40, 1, 9], [0x42, 1, 8], [0x26, 1, 0x80, 5, 6]], time: 0),
                Unit(nals: [slice], time: 1),
            ])
    }

    @Test func decodingOrderNumbersAreSkippedWhereTheyAre() {
        var feed = Feed(H265Depacketizer(maximumDONDifference: 1))
        feed.send([0x60, 1, 0, 7, 0, 3, 0x40, 1, 9, 1, 0, 3, 0x42, 1, 8])
        feed.send([0x62, 1, 0x93, 0, 7, 0x80])
        feed.send([0x62, 1, 0x53, 6], marker: true)
        feed.send([0x02, 1, 0, 8, 0x80, 1], at: 1, marker: true)
        #expect(
            feed.units == [
                Unit(nals: [[0x40, 1, 9], [0x42, 1, 8], [0x26, 1, 0x80, 6]], time: 0),
                Unit(nals: [slice], time: 1),
            ])
    }

    @Test func unitsOfOneByteAreCountedAndDoNotPass() {
        var feed = Feed(H265Depacketizer())
        feed.send([0x02], at: 1, marker: true)
        feed.send(slice, at: 2, marker: true)
        feed.end()
        #expect(feed.units.map(\.time) == [2] && feed.format.counters.malformed == 1)
    }

    @Test func lossTearsAndLaterSegmentsDoNotBeginAPicture() {
        var feed = Feed(H265Depacketizer())
        feed.format.lose()
        feed.send([0x02, 1, 0x40, 1], at: 1, marker: true)
        feed.send(slice, at: 2, marker: true)
        feed.end()
        #expect(feed.units == [Unit(nals: [slice], time: 2, followsLoss: true)])
    }

    @Test(arguments: [0, 1]) func randomPayloadsNeverHarm(difference: Int) {
        var random = Seeded(4)
        var feed = Feed(H265Depacketizer(maximumDONDifference: difference))
        for step in 0..<8000 {
            var payload = random.bytes(upTo: 40)
            if !payload.isEmpty { payload[0] = [0x60, 0x62, 0x02, 0x26].randomElement(using: &random) ?? 0x62 }
            feed.send(payload, at: UInt32(step / 4), marker: Bool.random(using: &random))
            if step % 50 == 0 { feed.format.lose() }
        }
        #expect(feed.format.counters.torn > 100 && feed.format.counters.units > 100)
    }
}

@Suite struct AccessUnitBufferTests {
    // A baseline stream's sets, 320 x 240.
    private let sps: [UInt8] = [0x67, 0x42, 0xC0, 0x0D, 0xDA, 0x05, 0x07, 0xE4]
    private let pps: [UInt8] = [0x68, 0xCE, 0x3C, 0x80]
    private let idr: [UInt8] = [0x65, 0x88, 0x84, 1]

    private func buffer(_ nals: [[UInt8]]) -> AccessUnitBuffer {
        var buffer = AccessUnitBuffer()
        for nal in nals {
            let fits = buffer.beginUnit() && nal.withUnsafeBytes { buffer.extend($0) }
            #expect(fits)
            buffer.endUnit()
        }
        return buffer
    }

    @Test func parameterSetsLeaveTheSamplesWhereverTheyStand() {
        var assembler = VideoAssembler(codec: .h264, timescale: 90_000)
        let unit = buffer([[9, 0xF0], sps, [6, 1, 1, 0], pps, idr])
        let packet = assembler.take(unit, ptsTicks: 5, arrivalNs: 1)
        #expect(packet?.bytes.array == big(4) + [6, 1, 1, 0] + big(4) + idr)
        #expect(packet?.isKeyframe == true && packet?.ptsTicks == 5)
        #expect(packet?.configuration.sequenceParameterSets == [sps])
        // The value that was taken is still what it was.
        #expect(unit.units.count == 5 && unit.withUnit(unit.units[4]) { Array($0) } == idr)
    }

    @Test func aUnitWithoutAPictureIsJoinedToTheNextOne() {
        var assembler = VideoAssembler(codec: .h264, timescale: 90_000)
        let alone = assembler.take(buffer([sps, pps, [6, 1, 1, 0]]), ptsTicks: 5, arrivalNs: 1)
        #expect(alone?.ptsTicks == nil)
        let packet = assembler.take(buffer([idr]), ptsTicks: 6, arrivalNs: 1)
        #expect(packet?.bytes.array == big(4) + [6, 1, 1, 0] + big(4) + idr)
    }

    @Test func anEmptyUnitVanishes() {
        var unit = buffer([idr])
        let fits = unit.beginUnit()
        unit.endUnit()
        #expect(fits)
        #expect(unit.units.count == 1)
        var assembler = VideoAssembler(codec: .h264, timescale: 90_000, parameterSets: big(1) + sps + big(1) + pps)
        #expect(assembler.take(unit, ptsTicks: 6, arrivalNs: 1)?.bytes.array == big(4) + idr)
    }
}
