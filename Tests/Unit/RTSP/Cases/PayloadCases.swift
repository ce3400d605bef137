// Payloads as cameras cut them (cases 17, 20, 21; retina's list).

import FakeCamera
import Media
import Testing

@testable import RTSP

@Suite(.timeLimit(.minutes(1))) struct PayloadCases {
    struct Habit: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let change: @Sendable (inout CameraStream) -> Void

        init(_ name: String, _ change: @escaping @Sendable (inout CameraStream) -> Void) {
            (testDescription, self.change) = (name, change)
        }
    }

    /// What both codecs have in common; the marker and the end of each picture are there.
    static let habits = [
        Habit("one NAL unit in each packet") { $0.rtp.maximumPayloadBytes = 60_000 },
        Habit("fragments of 100 bytes") { $0.rtp.maximumPayloadBytes = 100 },
        Habit("parameter sets and slices share packets") {
            $0.rtp.aggregates = true
            $0.slices = 8
            $0.frameBytes = { _ in 1_600 }
        },
        Habit("whole pictures in one aggregate") {
            $0.rtp.aggregates = true
            $0.slices = 5
            $0.rtp.maximumPayloadBytes = 10_000
        },
        Habit("eight slices, each in fragments") {
            $0.slices = 8
            $0.frameBytes = { _ in 24_000 }
        },
        Habit("ivel: marker on the supplement before the picture") {
            $0.hasSupplement = true
            $0.rtp.marker = .lastAndSupplement
        },
        Habit("fragments without an end") { $0.rtp.fragmentsHaveNoEnd = true },
        Habit("tiandy: later fragments name another type") { $0.rtp.fragmentsChangeType = true },
        Habit("an empty fragment in each NAL unit") { $0.rtp.hasEmptyFragments = true },
        Habit("v380: start codes inside the payload") {
            $0.rtp.hasStartCodesInside = true
            $0.hasSupplement = true
            $0.slices = 3
        },
        Habit("header extension, contributing sources and padding") { $0.rtp.hasDecoratedPackets = true },
        Habit("pictures of 24 bytes") { $0.frameBytes = { _ in 24 } },
        Habit("a keyframe of 300 KB") { $0.frameBytes = { $0 == 12 ? 300_000 : 2_000 } },
    ]

    @Test(arguments: habits) func h264AsCamerasCutIt(habit: Habit) async throws {
        let (played, _) = try await playAndCheck(Scenario([.h264(frames: 30, habit.change)]))
        #expect(played.counters.unitsTorn == 0 && played.counters.packetsLost == 0)
    }

    @Test(arguments: habits) func h265AsCamerasCutIt(habit: Habit) async throws {
        let (played, _) = try await playAndCheck(Scenario([.h265(frames: 30, habit.change)]))
        #expect(played.counters.unitsTorn == 0 && played.counters.packetsLost == 0)
    }

    /// Without markers the next picture's time ends a picture; the last one ends with the session.
    @Test(arguments: [CameraStream.Format.h264, .h265]) func picturesWithoutMarkers(format: CameraStream.Format)
        async throws
    {
        let change: @Sendable (inout CameraStream) -> Void = { $0.rtp.marker = .never }
        let camera = try FakeCamera(
            Scenario([format == .h264 ? .h264(frames: 30, change) : .h265(frames: 30, change)]))
        let played = try await play(camera)
        check(played, camera)
        let came = played.packets.map { contentHash(kept($0)) }
        #expect(came.starts(with: camera.record.expected().dropLast().map(\.hash)))
    }

    /// A camera that marks each slice is found out with its first picture; from then on its markers mean nothing.
    @Test(arguments: [CameraStream.Format.h264, .h265]) func markersOnEachSlice(format: CameraStream.Format)
        async throws
    {
        let (played, _) = try await playAndCheck(sliced(format) { $0.rtp.marker = .everySlice })
        #expect(played.counters.unitsTorn == 0)
    }

    /// The same camera with sound, which is placed beside the first picture: its end is known when the second one begins, 40 ms later.
    @Test func markersOnEachSliceBesideSound() async throws {
        var scenario = sliced(.h264) { $0.rtp.marker = .everySlice }
        scenario.streams.append(.pcmu(frames: 60))
        let camera = try FakeCamera(scenario)
        let played = try await play(camera)
        check(played, camera)
        check(played, camera, .audio, stream: 1, from: 2)
    }

    /// Marked are slices, but never the last one; or any, so that some pictures have no marker at all.
    @Test(arguments: [CameraStream.Format.h264, .h265]) func markersOnSlicesAndMissingAtTheEnd(
        format: CameraStream.Format
    ) async throws {
        for marks: @Sendable (Int, Int) -> Bool in [{ $1 < 3 }, { $1 == 0 }, { ($0 * 4 + $1) % 3 == 0 }] {
            let (played, _) = try await playAndCheck(sliced(format) { $0.rtp.marksSlice = marks })
            #expect(played.counters.unitsTorn == 0)
        }
    }

    /// Pictures that are marked on each slice among pictures that are marked as they should be, the first of them first.
    @Test func markersOnEachSliceOfSomePictures() async throws {
        let (played, _) = try await playAndCheck(sliced(.h264) { $0.rtp.marksSlice = { $1 == 3 || $0 % 3 == 0 } })
        #expect(played.counters.unitsTorn == 0)
    }

    /// A camera that was believed, and begins to mark each slice: of one picture the first slice was handed on when that is
    /// found out. It is declared torn, and nothing after it is.
    @Test func markersOnEachSliceFromSomePictureOn() async throws {
        let camera = try FakeCamera(sliced(.h264) { $0.rtp.marksSlice = { $1 == 3 || $0 >= 10 } })
        let played = try await play(camera)
        let sent = camera.record.expected().map(\.hash)
        var came = played.packets.map { contentHash(kept($0)) }
        #expect(!sent.contains(came.remove(at: 10)))
        #expect(came == Array(sent[..<10] + sent[11...]))
        #expect(played.counters.unitsTorn == 1)
        #expect(played.packets.map(\.followsLoss) == (0..<30).map { $0 == 11 })
    }

    private func sliced(_ format: CameraStream.Format, _ change: (inout CameraStream) -> Void) -> Scenario {
        let four: (inout CameraStream) -> Void = {
            $0.slices = 4
            change(&$0)
        }
        return Scenario([format == .h264 ? .h264(frames: 30, four) : .h265(frames: 30, four)])
    }

    /// Case 21: as large as pictures get.
    @Test func keyframeOfTwentyMegabytes() async throws {
        let (played, _) = try await playAndCheck(
            Scenario([
                .h265(frames: 4) {
                    $0.frameBytes = { $0 == 0 ? 20 << 20 : 2_000 }
                    $0.rtp.maximumPayloadBytes = 16_000
                }
            ]))
        #expect(played.packets.first.map { $0.sizeBytes > 20_000_000 } == true)
    }

    /// Case 21: larger than anything is garbage that must not eat the memory; what follows is not lost.
    @Test func pictureBeyondAllBoundsIsDroppedAlone() async throws {
        let camera = try FakeCamera(
            Scenario([
                .h264(frames: 6) {
                    $0.frameBytes = { $0 == 2 ? 40 << 20 : 2_000 }
                    $0.rtp.maximumPayloadBytes = 60_000
                }
            ]))
        let played = try await play(camera)
        let came = played.packets.map { contentHash(kept($0)) }
        #expect(came == camera.record.expected().filter { $0.number != 2 }.map(\.hash))
    }

    /// Case 20: tables of their own for each picture, restart markers in each third.
    @Test func motionJPEGWithChangingTablesAndRestartMarkers() async throws {
        let (played, _) = try await playAndCheck(
            Scenario([.mjpeg(frames: 30) { $0.frameBytes = { 3_000 + $0 * 100 } }]))
        for (number, packet) in played.packets.enumerated() {
            #expect(packet.isKeyframe && packet.configuration.widthPx == 640 && packet.configuration.heightPx == 480)
            let bytes = packet.bytes.array
            let hasInterval = bytes.indices.dropLast(1).contains { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xDD }
            #expect(hasInterval == (number % 3 == 1))
        }
    }

    @Test func motionJPEGThatLosesPackets() async throws {
        let camera = try FakeCamera(Scenario([.mjpeg(frames: 60) { $0.rtp.leavesOut = { $0 % 17 == 5 } }]))
        let played = try await play(camera)
        check(played, camera)
        #expect(played.counters.unitsTorn == UInt64(camera.record.units.filter(\.isLost).count))
    }

    /// The size changes in the middle: a camera whose profile is edited while it plays.
    @Test func motionJPEGThatChangesItsSize() async throws {
        let (played, _) = try await playAndCheck(
            Scenario([
                .mjpeg(frames: 20) { $0.picture = { PictureFormat(widthPx: $0 < 10 ? 640 : 1_280, heightPx: 480) } }
            ]))
        #expect(played.packets.map(\.configuration.widthPx) == (0..<20).map { $0 < 10 ? 640 : 1_280 })
    }

    /// What the camera burns into each picture is still readable behind everything.
    @Test func picturesCarryTheirNumbers() async throws {
        let (played, _) = try await playAndCheck(Scenario([.h264(frames: 20) { $0.parameterSets = [.description] }]))
        let numbers = played.packets.map { FrameStamp.number(in: Array($0.bytes.array.dropFirst(6))) }
        #expect(numbers == Array(0..<20))
    }
}
