// What lies between the frames of a connection (case 8; retina, go2rtc, moonfire-nvr#302).

import FakeCamera
import Testing

@testable import RTSP

@Suite(.timeLimit(.minutes(1))) struct InterleavingCases {
    @Test func channelsOtherThanThoseThatWereAskedFor() async throws {
        let camera = try FakeCamera(Scenario([.h264(frames: 30), .pcmu(frames: 30)]) { $0.dialect.channelShift = 10 })
        let played = try await play(camera)
        check(played, camera)
        #expect(played.tracks.map(\.rtpChannel) == [10, 12])
    }

    struct Transport: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let header: @Sendable (Dialect.Asked) -> String?
    }

    static let transports = [
        Transport(testDescription: "no channels, ours hold") { _ in "RTP/AVP/TCP;unicast" },
        Transport(testDescription: "no header at all") { _ in nil },
        Transport(testDescription: "escam: another protocol's name") {
            "RTP/AVP;unicast;interleaved=\($0.channel)-\($0.channel + 1)"
        },
        Transport(testDescription: "one channel only") { "RTP/AVP/TCP;unicast;interleaved=\($0.channel)" },
        Transport(testDescription: "source before the others, with spaces") {
            "RTP/AVP/TCP; ssrc= \(String($0.ssrc, radix: 16)); mode=\"PLAY\" ; interleaved=\($0.channel)-\($0.channel + 1) ;"
        },
        Transport(testDescription: "source that is no number") {
            "ssrc=zzz;RTP/AVP/TCP;interleaved=\($0.channel)-\($0.channel + 1)"
        },
        Transport(testDescription: "source of another stream") {
            "RTP/AVP/TCP;interleaved=\($0.channel)-\($0.channel + 1);ssrc=DEADBEEF"
        },
    ]

    @Test(arguments: transports) func transportAsCamerasWriteIt(transport: Transport) async throws {
        try await playAndCheck(Scenario([.h264(frames: 20)]) { $0.dialect.transport = transport.header })
    }

    @Test func dataOnChannelsThatNobodyAskedFor() async throws {
        let scenario = Scenario([.h264(frames: 30)]) {
            $0.interjections = [
                Interjection(.frame(channel: 77, [1, 2, 3])), Interjection(.frame(channel: 3, [])),
                Interjection(.frame(channel: 255, [UInt8](repeating: 0x24, count: 65_535)), everyUnits: 10),
            ]
        }
        let (played, _) = try await playAndCheck(scenario)
        #expect(played.counters.framesSkipped == 63 && played.counters.noiseBytes == 0)
    }

    @Test func lineEndsBeforeFrames() async throws {
        let (played, _) = try await playAndCheck(
            Scenario([.h264(frames: 30)]) { $0.interjections = [Interjection(.bytes([13, 10]))] })
        #expect(played.counters.noiseBytes == 0)
    }

    /// geovision: packets of type 50 with a numbering of their own.
    @Test func packetsOfAnotherTypeOnTheChannelOfThePictures() async throws {
        let (played, _) = try await playAndCheck(
            Scenario([.h264(frames: 30)]) {
                $0.interjections = [Interjection(.packet(payloadType: 50, [1, 2, 3, 4]))]
            })
        #expect(played.counters.framesSkipped == 30 && played.counters.packetsLost == 0)
    }

    @Test func packetsThatAreNone() async throws {
        let (played, _) = try await playAndCheck(
            Scenario([.h264(frames: 30)]) {
                $0.interjections = [
                    Interjection(.frame(channel: 0, [])), Interjection(.frame(channel: 0, [0x80, 96, 0])),
                    Interjection(.frame(channel: 0, [UInt8](repeating: 0, count: 40))),
                    // More contributing sources than there are bytes.
                    Interjection(.frame(channel: 0, [0x8F, 96] + [UInt8](repeating: 0, count: 12))),
                ]
            })
        #expect(played.counters.framesSkipped == 120)
    }

    @Test func garbageBetweenFramesIsCountedAndSkipped() async throws {
        let garbage = Array("this is no frame\u{0}\u{1}\u{2}".utf8) + [0x80, 0x60, 0xFF]
        let (played, _) = try await playAndCheck(
            Scenario([.h264(frames: 30)]) { $0.interjections = [Interjection(.bytes(garbage), everyUnits: 3)] })
        #expect(played.counters.noiseBytes == UInt64(garbage.count) * 10)
    }

    /// moonfire-nvr#302: a camera that writes less than it meant to tears its own stream. Nothing torn is passed off as whole, and
    /// it is found again: the pictures that lie in the announced length are lost, no others.
    @Test func frameThatWasWrittenInPart() async throws {
        let camera = try FakeCamera(
            Scenario([.h264(frames: 60) { $0.frameBytes = { _ in 900 } }]) {
                $0.faults = [.tearsFrameBefore(unit: 20), .tearsFrameBefore(unit: 40)]
            })
        let played = try await play(camera)
        let sent = camera.record.expected()
        let whole = Set(sent.map(\.hash))
        let came = played.packets.map { contentHash(kept($0)) }
        #expect(came.allSatisfy(whole.contains))
        let missing = sent.filter { !came.contains($0.hash) }.map(\.number)
        #expect(missing.allSatisfy { (20...21).contains($0) || (40...41).contains($0) } && !missing.isEmpty)
        #expect(played.counters.noiseBytes > 0)
    }

    @Test func answersThatComeByteByByte() async throws {
        try await playAndCheck(Scenario([.h264(frames: 20), .pcmu()]) { $0.dialect.delivery = .bytewise })
    }

    /// Pictures before the answer to PLAY: cameras send from two threads.
    @Test func picturesBeforePlaysAnswer() async throws {
        let camera = try FakeCamera(Scenario([.h264(frames: 30)]) { $0.dialect.unitsBeforePlayAnswer = 3 })
        check(try await play(camera), camera)
    }

    /// Reports that lie about the time, or come before anything, disturb no picture.
    @Test(arguments: [UInt64(0), 1, UInt64.max, 0xE000_0000_0000_0000])
    func senderReportsBetweenPictures(ntp: UInt64) async throws {
        try await playAndCheck(
            Scenario([.h264(frames: 30)]) { $0.interjections = [Interjection(.senderReport(ntp: ntp), everyUnits: 5)] })
    }

    /// moonfire-nvr#114: a Reolink that sends what another session was set up for, before this one has said a word.
    @Test func framesOfAnotherSessionBeforeTheFirstAnswer() async throws {
        let stranger: [UInt8] = [0x24, 0, 0, 16, 0x80, 0xE0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 0x65, 0x88, 0x30, 0x30]
        let (played, _) = try await playAndCheck(
            Scenario([.h264(frames: 20)]) { $0.dialect.prelude = [UInt8]([stranger, stranger, stranger].joined()) })
        #expect(played.counters.framesSkipped == 3)
    }
}
