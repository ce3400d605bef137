// Pictures that are sent in another order than they are shown (case 18; retina#61, moonfire#231), as far as the files: each
// picture is shown at its time, and a range of time holds exactly the pictures that were sent for it.

import FakeCamera
import Media
import Testing

@testable import RTSP

@Suite(.timeLimit(.minutes(1))) struct OrderCases {
    /// How a camera orders its pictures.
    struct Order: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let format: CameraStream.Format
        let depth: Int
        var isStated = true
        let groupPictures: Int
        /// By how many pictures one is shown later than it is sent, by its place in its group.
        let shownLaterBy: [Int]

        var stream: CameraStream {
            let change: @Sendable (inout CameraStream) -> Void = { stream in
                stream.picture = { _ in PictureFormat(reorderDepth: depth, statesReorderDepth: isStated) }
                stream.keyframeEvery = groupPictures
                stream.shownLaterBy = { shownLaterBy[$0 % groupPictures] }
                stream.frameBytes = { _ in 400 }
                stream.rtp.firstTimestamp = 4_294_900_000
            }
            return format == .h264 ? .h264(frames: 130, change) : .h265(frames: 130, change)
        }
    }

    /// I P b b P b b P b b: a picture that two others overtake is shown two places later, each of those one place earlier.
    private static let flat = [0, 2, -1, -1, 2, -1, -1, 2, -1, -1]
    /// I P B b b P B b b …: one of the pictures between is a reference for the other two.
    private static let pyramid = [0, 3, 0, -2, -1, 3, 0, -2, -1, 3, 0, -2, -1]

    static let orders = [
        Order(testDescription: "H.264, flat", format: .h264, depth: 1, groupPictures: 10, shownLaterBy: flat),
        Order(testDescription: "H.265, flat", format: .h265, depth: 1, groupPictures: 10, shownLaterBy: flat),
        Order(testDescription: "H.264, pyramid", format: .h264, depth: 2, groupPictures: 13, shownLaterBy: pyramid),
        Order(testDescription: "H.265, pyramid", format: .h265, depth: 2, groupPictures: 13, shownLaterBy: pyramid),
        Order(
            testDescription: "H.264, flat, not stated", format: .h264, depth: 1, isStated: false, groupPictures: 10,
            shownLaterBy: flat),
        Order(
            testDescription: "H.264, pyramid, not stated", format: .h264, depth: 2, isStated: false, groupPictures: 13,
            shownLaterBy: pyramid),
    ]

    /// A file as the recorder leaves it.
    private struct Segment {
        let bytes: [UInt8]
        /// What the catalogue knows: from the first picture to the keyframe of the next file, in microseconds of the run.
        let span: Range<Int64>

        /// Its pictures in the order of decoding: number, and when it is shown, in microseconds of the run.
        func pictures(_ format: CameraStream.Format) throws -> [(number: Int, shownUs: Int64)] {
            let reader = FragmentedMP4Reader(MemoryBytes(bytes))
            let salvage = try reader.salvage()
            let info = try #require(salvage.info)
            #expect(salvage.isComplete)
            let headerBytes = format == .h264 ? 6 : 7
            return try reader.fragments().flatMap(\.samples).map { sample in
                let number = FrameStamp.number(in: Array(try reader.payload(of: sample).dropFirst(headerBytes)))
                let ticks = sample.ptsTicks - salvage.startTicks
                return (
                    try #require(number), info.mediaStartUs + rescale(ticks, from: salvage.timescale, to: 1_000_000)
                )
            }
        }
    }

    /// Writes packets as the recorder does: a file for each two groups, the keyframe in a fragment of its own, then each three.
    private func record(_ packets: [MediaPacket]) throws -> [Segment] {
        var segments: [Segment] = []
        let keyframes = packets.indices.filter { packets[$0].isKeyframe }
        let cuts = keyframes.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
        for (start, end) in zip(cuts, cuts.dropFirst() + [packets.count]) {
            var writer = FragmentedMP4Writer(tracks: [packets[start].configuration], createdUs: 0)
            var info = SegmentInfo(device: "camera", endpoint: "main", runID: "run")
            var bytes = writer.header(info: info)
            for (place, packet) in packets[start..<end].enumerated() {
                try writer.append(packet)
                if place % 3 == 0, let fragment = writer.takeFragment(newest: .write) { bytes += fragment }
            }
            bytes += writer.takeFragment(newest: .write) ?? []
            #expect(writer.samplesRefused == 0)
            info.mediaStartUs = try #require(writer.mediaStartUs)
            info.frames = writer.videoFrames
            bytes += FragmentedMP4Writer.trailer(info: info)
            let nextUs = end < packets.count ? packets[end].ptsUs : .max
            segments.append(Segment(bytes: bytes, span: info.mediaStartUs..<nextUs))
        }
        return segments
    }

    private func played(_ order: Order) async throws -> (packets: [MediaPacket], sent: [SentUnit]) {
        let (played, record) = try await playAndCheck(Scenario([order.stream]))
        return (played.packets, record.expected())
    }

    @Test(arguments: orders) func decodingTimesAndOffsetsInTheFileAreThoseOfTheStream(order: Order) async throws {
        let (packets, sent) = try await played(order)
        for segment in try record(packets) {
            let reader = FragmentedMP4Reader(MemoryBytes(segment.bytes))
            let samples = try reader.fragments().flatMap(\.samples)
            let numbers = try segment.pictures(order.format).map(\.number)
            let first = try #require(numbers.first)
            #expect(numbers == Array(first..<first + samples.count), "in the order in which they were sent")
            #expect(samples[0].dtsTicks == 0)
            #expect(zip(samples, samples.dropFirst()).allSatisfy { $0.dtsTicks < $1.dtsTicks })
            for (sample, unit) in zip(samples, sent[first...]) {
                #expect(sample.ptsTicks - samples[0].ptsTicks == unit.ticks - sent[first].ticks)
                #expect(sample.isKeyframe == unit.isKeyframe)
            }
            guard order.isStated else { continue }
            // So many pictures' time passes from the first decoding to the first showing; nothing is shown before it is decoded.
            #expect(samples.map(\.ptsTicks).min() == Int64(order.depth) * 3_600)
            #expect(samples.allSatisfy { $0.dtsTicks <= $0.ptsTicks })
            #expect(samples.map(\.dtsTicks) == samples.indices.map { Int64($0) * 3_600 })
        }
    }

    @Test(arguments: orders) func eachPictureIsShownAtItsTimeInWhateverFileItIs(order: Order) async throws {
        let (packets, sent) = try await played(order)
        let segments = try record(packets)
        #expect(segments.count > 4)
        for segment in segments {
            let pictures = try segment.pictures(order.format)
            #expect(
                pictures.map(\.shownUs).min() == segment.span.lowerBound, "the first one shown is at the file's start")
            for (number, shownUs) in pictures {
                #expect(shownUs == rescale(sent[number].ticks - sent[0].ticks, from: 90_000, to: 1_000_000))
                #expect(segment.span.contains(shownUs), "no picture lies in another file than its time")
            }
        }
    }

    /// Ranges by the time of showing, found through the catalogue's spans, over the borders of files.
    @Test(arguments: orders) func aRangeHoldsExactlyThePicturesThatWereSentForIt(order: Order) async throws {
        let (packets, sent) = try await played(order)
        let segments = try record(packets)
        let shownUs = sent.map { rescale($0.ticks - sent[0].ticks, from: 90_000, to: 1_000_000) }
        let contents = try segments.map { try $0.pictures(order.format) }
        var random = Seeded(18)
        let endUs = Int64(sent.count) * 40_000
        var ranges = (0..<200).map { _ in
            let a = Int64.random(in: 0..<endUs, using: &random)
            return a..<Int64.random(in: a...endUs, using: &random)
        }
        // On frames, where an error of one would show.
        ranges += (0..<100).map { _ in
            let a = Int64.random(in: 0..<130, using: &random)
            return a * 40_000..<Int64.random(in: a...130, using: &random) * 40_000
        }
        for range in ranges {
            let wanted = Set(shownUs.indices.filter { range.contains(shownUs[$0]) })
            let found = zip(segments, contents).filter { $0.0.span.overlaps(range) }
                .flatMap { $0.1.filter { range.contains($0.shownUs) }.map(\.number) }
            #expect(found.count == wanted.count && Set(found) == wanted, "\(range)")
        }
    }
}
