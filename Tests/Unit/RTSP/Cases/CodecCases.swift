// Parameter sets, keyframes and the order of pictures (cases 15, 16, 17, 18).

import FakeCamera
import Media
import Testing

@testable import RTSP

@Suite(.timeLimit(.minutes(1))) struct CodecCases {
    // MARK: Parameter sets

    /// Case 15 (mediamtx#4262, moonfire#217). The change is known with the picture that it begins with, not before or after.
    @Test(arguments: [CameraStream.Format.h264, .h265])
    func resolutionThatChangesInTheMiddle(format: CameraStream.Format) async throws {
        let change: @Sendable (inout CameraStream) -> Void = {
            $0.picture = { PictureFormat(widthPx: $0 < 24 ? 640 : 1_920, heightPx: $0 < 24 ? 480 : 1_088) }
        }
        let (played, _) = try await playAndCheck(
            Scenario([format == .h264 ? .h264(frames: 60, change) : .h265(frames: 60, change)]))
        #expect(played.packets.map(\.configuration.widthPx) == (0..<60).map { $0 < 24 ? 640 : 1_920 })
        #expect(Set(played.packets.map { ObjectIdentifier($0.configuration) }).count == 2)
    }

    /// Case 15: only the usability information changes.
    @Test func frameRateInTheSetsThatChangesInTheMiddle() async throws {
        let (played, _) = try await playAndCheck(
            Scenario([.h264(frames: 60) { $0.picture = { PictureFormat(framesPerSecond: $0 < 36 ? 25 : 12) } }]))
        let sets = played.packets.map(\.configuration.sequenceParameterSets)
        #expect(
            sets[0..<36].allSatisfy { $0 == sets[0] } && sets[36...].allSatisfy { $0 == sets[36] }
                && sets[0] != sets[36])
    }

    /// Case 15: other sets with each group of pictures, and back.
    @Test func setsThatOscillateWithEachGroupOfPictures() async throws {
        let (played, _) = try await playAndCheck(
            Scenario([.h264(frames: 96) { $0.picture = { PictureFormat(framesPerSecond: $0 / 12 % 2 == 0 ? 25 : 30) } }]
            ))
        let sets = played.packets.map(\.configuration.sequenceParameterSets)
        #expect((0..<96).allSatisfy { sets[$0] == sets[$0 / 12 % 2 * 12] } && sets[0] != sets[12])
        #expect(!played.packets.contains { $0.startsNewTimeline })
    }

    @Test(arguments: [CameraStream.Format.h264, .h265])
    func setsOnlyInTheDescription(format: CameraStream.Format) async throws {
        let change: @Sendable (inout CameraStream) -> Void = { $0.parameterSets = [.description] }
        try await playAndCheck(Scenario([format == .h264 ? .h264(change) : .h265(change)]))
    }

    @Test(arguments: [CameraStream.Format.h264, .h265])
    func setsOnlyWithThePictures(format: CameraStream.Format) async throws {
        let change: @Sendable (inout CameraStream) -> Void = { $0.parameterSets = [.inBand] }
        try await playAndCheck(Scenario([format == .h264 ? .h264(change) : .h265(change)]))
    }

    /// The description has the sets of another profile of the camera; those that come with the pictures are right.
    @Test func setsOfTheDescriptionThatAreOutOfDate() async throws {
        let stale = "Z0LADdkBQfsBEAAAAwAQAAADAyDxQqSA,aMuDyyA="
        let (played, _) = try await playAndCheck(
            Scenario([.h264(frames: 30) { $0.parameterSets = [.inBand] }]) {
                $0.dialect.description =
                    "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=1\r\n"
                    + "a=fmtp:96 sprop-parameter-sets=\(stale)\r\n"
            })
        #expect(played.packets.allSatisfy { $0.configuration.widthPx == 640 })
    }

    // MARK: Keyframes

    /// Case 16: pictures before the first keyframe, whose parameters are known, are told as what they are.
    @Test func noKeyframeForTenSecondsAtTheStart() async throws {
        let (played, _) = try await playAndCheck(Scenario([.h264(frames: 300) { $0.firstKeyframe = 250 }]))
        #expect(played.packets.firstIndex { $0.isKeyframe } == 250)
    }

    /// Case 16: without parameters they mean nothing; they are left out and what follows is whole.
    @Test func noParameterSetsForTenSecondsAtTheStart() async throws {
        let camera = try FakeCamera(
            Scenario([
                .h264(frames: 300) {
                    $0.firstKeyframe = 250
                    $0.parameterSets = [.inBand]
                }
            ]))
        let played = try await play(camera)
        check(played, camera, from: 250)
        #expect(played.packets.count == 50)
    }

    /// Case 16: "H.264+", one keyframe in five minutes, then none.
    @Test func groupsOfPicturesOfFiveMinutesAndThenNone() async throws {
        let (played, _) = try await playAndCheck(
            Scenario([
                .h264(frames: 8_000) {
                    $0.keyframeEvery = 7_500
                    $0.frameBytes = { _ in 60 }
                }
            ]))
        #expect(played.packets.indices.filter { played.packets[$0].isKeyframe } == [0, 7_500])
    }

    // MARK: H.265

    /// Case 17 (mediacommon PR#371): long-term references and not one short-term set; temporal layers.
    @Test(arguments: 1...3) func h265WithoutShortTermReferenceSets(layers: Int) async throws {
        let (played, _) = try await playAndCheck(
            Scenario([
                .h265(frames: 36) {
                    $0.picture = { _ in PictureFormat(widthPx: 1_280, heightPx: 720, temporalLayers: layers) }
                    $0.rtp.aggregates = true
                    $0.slices = 2
                }
            ]))
        #expect(played.packets.allSatisfy { $0.configuration.widthPx == 1_280 && $0.configuration.heightPx == 720 })
        #expect(played.packets.allSatisfy { $0.configuration.videoParameterSets.count == 1 })
    }

    // MARK: Order

    /// Case 18 (retina#61, moonfire#231): decoding order is not the order of showing.
    @Test(arguments: [CameraStream.Format.h264, .h265])
    func picturesThatAreShownInAnotherOrder(format: CameraStream.Format) async throws {
        // I P b b P b b …: a picture that two others overtake is shown two places later, each of those one place earlier.
        let change: @Sendable (inout CameraStream) -> Void = {
            $0.picture = { _ in PictureFormat(reorderDepth: 1) }
            $0.shownLaterBy = { $0 % 12 == 0 ? 0 : ($0 % 12 - 1) % 3 == 0 ? 2 : -1 }
            $0.rtp.firstTimestamp = 90_000
        }
        let (played, _) = try await playAndCheck(
            Scenario([format == .h264 ? .h264(frames: 58, change) : .h265(frames: 58, change)]))
        #expect(played.packets.contains { $0.ptsTicks != $0.dtsTicks })
        #expect(!played.packets.contains { $0.startsNewTimeline })
        let shown = played.packets.map(\.ptsTicks)
        #expect(zip(shown, shown.dropFirst()).contains { $0 > $1 })
        #expect(played.packets.allSatisfy { $0.dtsTicks <= $0.ptsTicks })
    }
}
