// The ring's invariants and bounds.
import Media
import Testing

@Suite struct PacketRingTests {
    private func packet(_ ms: Int64, key: Bool, bytes: Int = 100, breaks: Bool = false) throws -> MediaPacket {
        MediaPacket(
            configuration: try .mjpeg(widthPx: 8, heightPx: 8), bytes: PacketBytes(count: bytes) { _ in },
            ptsTicks: ms * 90, dtsTicks: ms * 90, durationTicks: 3600, isKeyframe: key, arrivalNs: ms * 1_000_000,
            startsNewTimeline: breaks)
    }

    /// A keyframe each second, 25 frames per second.
    private func fill(_ ring: inout PacketRing, frames: Range<Int64>) throws {
        for number in frames { ring.append(try packet(number * 40, key: number % 25 == 0)) }
    }

    @Test func beginsAtAKeyframe() throws {
        var ring = PacketRing(maximumSeconds: 10, maximumBytes: 1 << 20)
        try fill(&ring, frames: 3..<40)
        #expect(ring.oldestUs == 1_000_000)
        #expect(ring.newestUs == 1_600_000)
        #expect(ring.count == 15)
        #expect(ring.sizeBytes == 1500)
        #expect(ring.newestKeyframe?.ptsUs == 1_000_000)
    }

    @Test func keepsAtLeastItsSecondsAndNotAGroupMore() throws {
        var ring = PacketRing(maximumSeconds: 3, maximumBytes: 1 << 30)
        for number in Int64(0)..<1000 {
            try fill(&ring, frames: number..<number + 1)
            let held = try #require(ring.newestUs) - (try #require(ring.oldestUs))
            #expect(held <= 4_000_000)
            #expect(number < 100 || held >= 3_000_000)
            #expect(ring.sizeBytes == ring.count * 100)
        }
        #expect(ring.groupsDroppedForBytes == 0)
    }

    @Test func neverExceedsItsBytes() throws {
        var ring = PacketRing(maximumSeconds: 3600, maximumBytes: 6000)
        for number in Int64(0)..<500 {
            try fill(&ring, frames: number..<number + 1)
            #expect(ring.sizeBytes <= 6000)
            #expect(ring.packets(fromPtsUs: .min).first?.isKeyframe == true)
        }
        #expect(ring.groupsDroppedForBytes == 18)
    }

    @Test func groupLargerThanTheRingIsLetGoWhole() throws {
        var ring = PacketRing(maximumSeconds: 10, maximumBytes: 1000)
        try fill(&ring, frames: 0..<25)
        #expect(ring.isEmpty)
        #expect(ring.sizeBytes == 0)
        #expect(ring.oldestUs == nil && ring.newestKeyframe == nil && ring.packets(fromPtsUs: 0).isEmpty)
        try fill(&ring, frames: 25..<30)
        #expect(ring.count == 5)
    }

    @Test func givesPacketsFromTheKeyframeBefore() throws {
        var ring = PacketRing(maximumSeconds: 100, maximumBytes: 1 << 30)
        try fill(&ring, frames: 0..<100)
        #expect(ring.packets(fromPtsUs: 2_500_000).map(\.ptsUs).first == 2_000_000)
        #expect(ring.packets(fromPtsUs: 2_500_000).count == 50)
        #expect(ring.packets(fromPtsUs: -1).count == 100)
        #expect(ring.packets(fromPtsUs: .max).first?.ptsUs == 3_000_000)
    }

    @Test func newTimelineEmptiesIt() throws {
        var ring = PacketRing(maximumSeconds: 100, maximumBytes: 1 << 30)
        try fill(&ring, frames: 0..<100)
        ring.append(try packet(0, key: false, breaks: true))
        #expect(ring.isEmpty)
        ring.append(try packet(40, key: true))
        #expect(ring.count == 1)
        #expect(ring.newestUs == 80_000)
    }
}
