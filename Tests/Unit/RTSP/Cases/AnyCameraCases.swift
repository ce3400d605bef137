// Cameras with habits drawn at random, many at once: those that one case each tries alone do not get into each other's way.
// A seed that fails stands in the name of its test.

import FakeCamera
import Testing

@testable import RTSP

@Suite(.timeLimit(.minutes(1))) struct AnyCameraCases {
    @Test(arguments: 1...60) func whatWasSentMinusWhatIsLostArrives(seed: UInt64) async throws {
        var random = Seeded(seed)
        let losesPackets = Bool.random(using: &random)
        var streams = [video(&random, losesPackets: losesPackets)]
        let hasSound = Bool.random(using: &random)
        if hasSound { streams.append(sound(&random, losesPackets: losesPackets)) }
        let isSoundFirst = hasSound && Bool.random(using: &random)
        if isSoundFirst { streams.reverse() }
        let camera = try FakeCamera(Scenario(streams) { change(&$0, &random) })
        let played = try await play(camera, user: RTSPUser(name: "admin", password: "pass:word \"1\""))
        let (pictures, sounds) = isSoundFirst ? (1, 0) : (0, 1)
        check(played, camera, stream: pictures)
        // Sound begins with the first picture that came.
        let sent = camera.record.units
        let begin = sent.drop { $0.stream != pictures || $0.isLost }
        if hasSound, let first = begin.first(where: { $0.stream == sounds })?.number {
            check(played, camera, .audio, stream: sounds, from: first)
        }
        #expect(losesPackets || played.counters.packetsLost == 0 && played.counters.unitsTorn == 0)
    }

    private func video(_ random: inout Seeded, losesPackets: Bool) -> CameraStream {
        var stream = Bool.random(using: &random) ? CameraStream.h264() : .h265()
        stream.frames = Int.random(in: 10...60, using: &random)
        stream.keyframeEvery = Int.random(in: 1...40, using: &random)
        stream.slices = Int.random(in: 1...6, using: &random)
        let (small, large) = (Int.random(in: 24...400, using: &random), Int.random(in: 400...9_000, using: &random))
        stream.frameBytes = { number in small + (number * 7_919) % (large - small + 1) }
        // A lost supplement or parameter set is not seen by anybody.
        stream.hasSupplement = !losesPackets && Bool.random(using: &random)
        stream.parameterSets = losesPackets ? [.description] : [.description, .inBand]
        stream.rtp = habits(&random, losesPackets: losesPackets)
        if stream.hasSupplement, Bool.random(using: &random) { stream.rtp.marker = .lastAndSupplement }
        stream.rtp.hasStartCodesInside = Int.random(in: 0..<5, using: &random) == 0
        return stream
    }

    private func habits(_ random: inout Seeded, losesPackets: Bool) -> RTPHabits {
        var rtp = RTPHabits()
        rtp.maximumPayloadBytes = [64, 200, 1_400, 16_000].randomElement(using: &random) ?? 1_400
        rtp.aggregates = Bool.random(using: &random)
        rtp.fragmentsHaveNoEnd = Bool.random(using: &random)
        rtp.fragmentsChangeType = Bool.random(using: &random)
        rtp.hasEmptyFragments = Bool.random(using: &random)
        rtp.hasDecoratedPackets = Bool.random(using: &random)
        rtp.firstSequence = Bool.random(using: &random) ? 65_500 : UInt16.random(in: 0...UInt16.max, using: &random)
        rtp.ssrc = UInt32.random(in: 0...UInt32.max, using: &random)
        let (every, offset) = (Int.random(in: 1...9, using: &random), Int.random(in: 1...60, using: &random))
        rtp.repeats = { $0 % every == 0 }
        if losesPackets { rtp.leavesOut = { ($0 &* 2_654_435_761 &+ offset) >> 7 % 41 == 0 } }
        return rtp
    }

    private func sound(_ random: inout Seeded, losesPackets: Bool) -> CameraStream {
        var stream = Bool.random(using: &random) ? CameraStream.aac(frames: 40) : .pcmu(frames: 60)
        let isAAC = stream.format == .aac
        stream.rtp = habits(&random, losesPackets: losesPackets)
        // Telephone sound is one packet each.
        stream.rtp.maximumPayloadBytes = isAAC && Bool.random(using: &random) ? 80 : 1_400
        stream.rtp.aggregates = isAAC && stream.rtp.maximumPayloadBytes == 1_400 && Bool.random(using: &random)
        return stream
    }

    private func change(_ scenario: inout Scenario, _ random: inout Seeded) {
        scenario.dialect.channelShift = UInt8.random(in: 0...100, using: &random)
        scenario.dialect.lineEnd = Bool.random(using: &random) ? "\r\n" : "\n"
        scenario.dialect.statesCSeq = Bool.random(using: &random)
        scenario.dialect.delivery = Int.random(in: 0..<4, using: &random) == 0 ? .bytewise : .whole
        if Bool.random(using: &random) {
            scenario.authentication = Authentication([.basic, .digest(.sha256, qop: true)]) {
                $0.staleAt = ["SETUP", "PLAY"]
                $0.saysStale = Bool.random(using: &random)
            }
        }
        let contents: [Interjection.Content] = [
            .bytes([13, 10]), .bytes(Array("torn off".utf8)), .frame(channel: 201, [1, 2, 3]),
            .packet(payloadType: 50, [9, 9]), .senderReport(ntp: 1), .request("OPTIONS", body: ""),
        ]
        for content in contents where Int.random(in: 0..<3, using: &random) == 0 {
            scenario.interjections.append(
                Interjection(content, everyUnits: Int.random(in: 1...9, using: &random)))
        }
    }
}
