// Sound beside pictures and alone (case 19; frigate#3238, viseron#344).

import FakeCamera
import Media
import Testing

@testable import RTSP

@Suite(.timeLimit(.minutes(1))) struct SoundCases {
    private func both(_ sound: CameraStream, _ change: (inout Scenario) -> Void = { _ in }) -> Scenario {
        Scenario([.h264(frames: 50), sound], change)
    }

    private func checkBoth(_ scenario: Scenario) async throws -> Played {
        let camera = try FakeCamera(scenario)
        let played = try await play(camera)
        check(played, camera)
        check(played, camera, .audio, stream: 1)
        return played
    }

    @Test(arguments: [8_000, 16_000, 44_100, 48_000]) func aacOfAllUsualRates(sampleRateHz: Int) async throws {
        let played = try await checkBoth(both(.aac(frames: sampleRateHz / 1_024 * 2, sampleRateHz: sampleRateHz)))
        #expect(
            played.packets(.audio).allSatisfy {
                $0.configuration.sampleRateHz == sampleRateHz && $0.durationTicks == 1_024
            })
    }

    @Test func aacInFragments() async throws {
        _ = try await checkBoth(both(.aac(frames: 60) { $0.rtp.maximumPayloadBytes = 80 }))
    }

    @Test func aacThreeFramesInAPacket() async throws {
        _ = try await checkBoth(both(.aac(frames: 60) { $0.rtp.aggregates = true }))
    }

    @Test func aacInFragmentsThatGetLost() async throws {
        _ = try await checkBoth(
            both(
                .aac(frames: 60) {
                    $0.rtp.maximumPayloadBytes = 80
                    $0.rtp.leavesOut = { $0 % 23 == 11 }
                }))
    }

    @Test(arguments: [CameraStream.pcmu(), .pcma()]) func telephoneSoundIsKeptAsItIs(sound: CameraStream) async throws {
        let played = try await checkBoth(both(sound))
        let codec: Codec = sound.format == .pcmu ? .pcmu : .pcma
        #expect(played.packets(.audio).allSatisfy { $0.configuration.codec == codec && $0.durationTicks == 160 })
    }

    /// Lost packets of sound are a hole in its times, not a shift.
    @Test func lostTelephoneSoundLeavesAHole() async throws {
        _ = try await checkBoth(both(.pcmu { $0.rtp.leavesOut = { (20..<25).contains($0) } }))
    }

    @Test func soundThatVanishesInTheMiddle() async throws {
        _ = try await checkBoth(both(.aac(frames: 10)))
    }

    @Test func soundWithoutPictures() async throws {
        for stream in [CameraStream.aac(frames: 60), .pcma(frames: 60)] {
            let played = try await play(try FakeCamera(Scenario([stream])))
            #expect(played.failure?.cause == .protocolError && played.words.contains("no pictures"))
        }
    }

    /// RFC 3550, 5.1: each stream's times begin anywhere. What belongs together is said by RTP-Info and by sender reports.
    @Test func soundWhoseTimesBeginElsewhereThanThePictures() async throws {
        let camera = try FakeCamera(
            Scenario([
                .h264(frames: 50) { $0.rtp.firstTimestamp = 3_456_789_012 },
                .pcmu(frames: 100) { $0.rtp.firstTimestamp = 123_456_789 },
            ]))
        let played = try await play(camera)
        check(played, camera)
        check(played, camera, .audio, stream: 1)
    }

    /// Sound of a kind that cannot be recorded costs nothing but itself.
    @Test func soundThatNobodyKnows() async throws {
        let camera = try FakeCamera(
            both(.pcmu()) {
                $0.dialect.description =
                    "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=1\r\n"
                    + "m=audio 0 RTP/AVP 98\r\na=rtpmap:98 G726-32/8000\r\na=control:trackID=2\r\n"
            })
        let played = try await play(camera)
        check(played, camera)
        #expect(played.tracks.count == 1)
    }

    /// Cameras describe sound that they do not have, or have no more when somebody switched the microphone off.
    @Test(arguments: [404, 461, 500, 406], [true, false])
    func soundThatCannotBeSetUpCostsNothingButItself(status: Int, isFirst: Bool) async throws {
        let streams: [CameraStream] = isFirst ? [.pcmu(), .h264(frames: 30)] : [.h264(frames: 30), .pcmu()]
        let camera = try FakeCamera(Scenario(streams) { $0.dialect.refusesSetUp = [isFirst ? 0 : 1: status] })
        let played = try await play(camera)
        check(played, camera, stream: isFirst ? 1 : 0)
        #expect(played.tracks.map(\.media.kind) == ["video"])
    }

    @Test func cameraWithSoundOnlyThatCannotBeSetUpIsNotPlayed() async throws {
        let played = try await play(try FakeCamera(Scenario([.pcmu()]) { $0.dialect.refusesSetUp = [0: 404] }))
        #expect(played.failure?.cause == .protocolError && played.tracks.isEmpty)
    }

    @Test func picturesThatCannotBeSetUpAreNotDoneWithout() async throws {
        let camera = try FakeCamera(Scenario([.pcmu(), .h264()]) { $0.dialect.refusesSetUp = [1: 404] })
        let played = try await play(camera)
        #expect(played.failure?.cause == .notFound && played.tracks.isEmpty)
    }
}
