// The information box: whatever goes in comes out, and nothing else is taken for it.
import Media
import Testing

@Suite struct SegmentInfoTests {
    private func full() -> SegmentInfo {
        var info = Fixtures.info()
        info.asset = "yard"
        info.stream = "clips"
        info.controllerID = "cc-0"
        info.runStartedUs = 1_763_999_000_000_000
        info.runEndedUs = 1_764_000_100_000_000
        info.runEndReason = "camera ended the connection – Grüße"
        info.leaseEpoch = .max
        info.sequence = 17
        info.endUs = info.startUs + 60_000_000
        info.frames = 1500
        info.mediaStartUs = -5
        info.anchor = MediaAnchor(version: 3, mediaUs: -1, wallUs: 1, ratePpm: -500, origin: "sender_report")
        info.gaps = [
            SegmentGap(startUs: 1, endUs: 2, cause: "dark", reason: "no answer", framesLost: 3),
            SegmentGap(startUs: 5, endUs: 9, cause: "", reason: ""),
        ]
        info.videoCodec = "h264"
        info.audioCodec = "aac"
        info.widthPx = 1920
        info.heightPx = 1080
        info.salvaged = true
        info.isFinal = true
        return info
    }

    @Test func everyFieldSurvives() throws {
        let box = full().box()
        let head: [UInt8] = [0, 0, UInt8(box.count >> 8), UInt8(box.count & 255)] + Array("uuid".utf8)
        #expect(Array(box.prefix(8)) == head)
        #expect(SegmentInfo(uuidBoxContent: Array(box.dropFirst(8))) == full())
    }

    @Test func unknownFieldsAreIgnored() {
        let content = Array(full().box().dropFirst(8)) + [0x7F, 0xFF, 0, 0, 0, 2, 9, 9]
        #expect(SegmentInfo(uuidBoxContent: content) == full())
    }

    @Test func tornOrForeignBoxesAreNotTaken() {
        let content = Array(full().box().dropFirst(8))
        let minimal = SegmentInfo(device: "d", endpoint: "e", runID: "r").box().count - 8
        for length in 0..<min(minimal, 60) { #expect(SegmentInfo(uuidBoxContent: Array(content[..<length])) == nil) }
        var foreign = content
        foreign[3] ^= 1
        #expect(SegmentInfo(uuidBoxContent: foreign) == nil)
        foreign = content
        foreign[16] = 2
        #expect(SegmentInfo(uuidBoxContent: foreign) == nil)
        #expect(SegmentInfo(uuidBoxContent: content + [0, 1, 0xFF, 0xFF, 0xFF, 0xFF]) == nil)
    }

    @Test func manyGapsAndLongTextsStayReadable() throws {
        var info = full()
        info.runEndReason = String(repeating: "ü", count: 5000)
        info.gaps = (0..<5000).map {
            SegmentGap(
                startUs: $0, endUs: $0 + 1, cause: "dark", reason: String(repeating: "x", count: 2000), framesLost: 1)
        }
        let read = try #require(SegmentInfo(uuidBoxContent: Array(info.box().dropFirst(8))))
        #expect(read.gaps.count == 500)
        #expect(read.gaps.last?.endUs == 5000)
        #expect(read.runEndReason.utf8.count == 512)
    }

    @Test func anchorMapsMediaToWall() {
        let anchor = MediaAnchor(mediaUs: 1_000_000, wallUs: 50_000_000, ratePpm: 100)
        #expect(anchor.wallUs(ofMediaUs: 1_000_000) == 50_000_000)
        #expect(anchor.wallUs(ofMediaUs: 11_000_000) == 60_001_000)
        #expect(anchor.wallUs(ofMediaUs: 0) == 48_999_900)
        #expect(anchor.wallUs(ofMediaUs: .max) == .max)
        #expect(anchor.wallUs(ofMediaUs: .min) == .min)
    }
}
