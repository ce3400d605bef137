// What is made of what a probe saw. What whole cameras make a probe say is in the suite of the service level.

import Media
import RTSP
import Testing

@testable import CLI

@Suite struct ProbeDiagnosisTests {
    /// The pictures of a camera of 25 pictures a second; `keyframes` by their numbers.
    private func pictures(
        _ count: Int, keyframes: (Int) -> Bool, ticksPerFrame: Int64 = 3_600, jumpsAt: Set<Int> = []
    ) throws -> PictureRecord {
        var record = PictureRecord()
        let configuration = try CodecConfiguration.mjpeg(widthPx: 640, heightPx: 480, timescale: 90_000)
        for number in 0..<count {
            record.take(
                MediaPacket(
                    configuration: configuration, bytes: PacketBytes([1, 2, 3]),
                    ptsTicks: Int64(number) * ticksPerFrame,
                    dtsTicks: Int64(number) * ticksPerFrame, durationTicks: ticksPerFrame,
                    isKeyframe: keyframes(number),
                    arrivalNs: Int64(number) * 40_000_000, startsNewTimeline: jumpsAt.contains(number)))
        }
        return record
    }

    private func diagnose(_ address: String = "rtsp://192.0.2.10/main", _ change: (inout ProbeRecord) -> Void) throws
        -> CheckList
    {
        var record = ProbeRecord()
        record.take(.connected("192.0.2.10:554"), wallUs: 0)
        change(&record)
        return ProbeDiagnosis(
            address: try #require(ProbeAddress(address)), record: record, hasUser: true, patience: .seconds(10)
        ).checks
    }

    private func codes(_ list: CheckList) -> [String] { list.checks.map(\.code).filter { !$0.isEmpty } }

    @Test(arguments: [(25, ""), (99, ""), (101, "keyframe_interval"), (249, "keyframe_interval")])
    func theWayFromKeyframeToKeyframe(every: Int, code: String) throws {
        let seen = try pictures(500) { $0 % every == 0 }
        let list = try diagnose {
            $0.isPlaying = true
            $0.pictures = seen
        }
        #expect(codes(list) == (code.isEmpty ? [] : [code]))
        #expect(list.verdict == (code.isEmpty ? .good : .attention))
    }

    @Test func moreThanTenSecondsAreWrong() throws {
        let seen = try pictures(600) { $0 % 260 == 0 }
        let list = try diagnose {
            $0.isPlaying = true
            $0.pictures = seen
        }
        #expect(list.verdict == .wrong && codes(list) == ["keyframe_interval"])
        #expect(list.checks.contains { $0.seen == "each 10.400s at the longest" })
    }

    @Test func picturesAreCounted() throws {
        let seen = try pictures(126) { $0 % 25 == 0 }
        #expect(seen.count == 126 && seen.keyframes == 6 && seen.jumps == 0)
        #expect(seen.perSecond == 25 && seen.spanUs == 5_000_000 && seen.longestIntervalUs == 1_000_000)
        #expect(try #require(seen.pace) == 1)
        let fast = try pictures(126, keyframes: { $0 % 25 == 0 }, ticksPerFrame: 7_200)
        #expect(try #require(fast.pace) == 2)
        #expect(try pictures(30, keyframes: { _ in true }).pace == nil, "too short to say")
    }

    @Test func aJumpBeginsAnew() throws {
        let seen = try pictures(100, keyframes: { $0 % 25 == 0 }, jumpsAt: [0, 50])
        #expect(seen.jumps == 1, "a session begins a timeline of its own")
        #expect(seen.longestIntervalUs == 1_000_000)
    }

    @Test func aClockIsWrongFromTwoSecondsOn() throws {
        let seen = try pictures(100) { $0 % 25 == 0 }
        func verdict(aheadUs: Int64) throws -> Check.Verdict {
            try diagnose {
                $0.isPlaying = true
                $0.pictures = seen
                $0.take(.pictureTime(wallUs: 5_000_000 + aheadUs), wallUs: 5_000_000)
            }.verdict
        }
        #expect(try verdict(aheadUs: 1_900_000) == .good)
        #expect(try verdict(aheadUs: -2_100_000) == .attention)
        #expect(try verdict(aheadUs: .max - 5_000_000) == .attention)
    }

    @Test func nameAndAddressAreTold() throws {
        let list = try diagnose("rtsp://camera1/main") { $0.failure = RTSPFailure(.notFound, "no such path") }
        #expect(list.checks.first?.seen == "camera1 is 192.0.2.10:554")
        #expect(codes(list) == ["not_found"])
    }

    @Test func noiseOfBytesThatAreNoTextIsCounted() throws {
        let list = try diagnose { $0.take(.noise([0x15, 0x03, 0x03]), wallUs: 0) }
        #expect(codes(list) == ["not_rtsp"])
        #expect(list.checks.last?.seen.hasSuffix("it says 3 bytes that are no text") == true)
    }

    @Test func aTalkerWithoutEndMakesNoProgress() {
        var record = ProbeRecord()
        record.take(.noise([1]), wallUs: 0)
        #expect(record.progress == 0)
        for _ in 0..<100 { record.take(.noise([UInt8](repeating: 65, count: 64)), wallUs: 0) }
        #expect(record.progress == 0 && record.noise.count == 128)
    }

    @Test func adviceThatSeveralShareIsGivenOnce() {
        let list = CheckList(checks: [
            .good("a", "well"), .wrong("b", "x", "bad", do: "mend it"), .attention("c", "x", "so so", do: "mend it"),
        ])
        #expect(list.verdict == .wrong)
        #expect(list.lines.suffix(2) == ["What to do", "  b, c: mend it"])
    }

    @Test(arguments: [
        ("rtsp://a:b@c/d", true), ("rtsp://c/d@e", false), ("rtsp://c?x=@", false), ("c@d", false),
        ("http://u@[::1]/", true),
    ])
    func aUserInAnAddressIsSeen(text: String, isThere: Bool) {
        #expect(ProbeAddress.namesUser(text) == isThere)
    }
}
