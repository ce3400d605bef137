// Which packets a decoder gets for pictures of single frames.
import Media
import Testing

@testable import CaptureController

struct ExactFramesTests {
    /// Packets of groups of ten; those at `wanted` are wanted. Gives which were sent after each, and which of them begin anew.
    private func play(
        _ count: Int, wanted: Set<Int>, _ frames: inout ExactFrames, from start: Int = 0, bytes: Int = 100
    ) throws -> (sent: [[Int]], anew: [Int], refused: [Int]) {
        let configuration = try CodecConfiguration.mjpeg(widthPx: 16, heightPx: 16, timescale: 90_000)
        var (sent, anew, refused): ([[Int]], [Int], [Int]) = ([], [], [])
        for number in start..<start + count {
            let packet = MediaPacket(
                configuration: configuration, bytes: PacketBytes([UInt8](repeating: 0, count: bytes)),
                ptsTicks: Int64(number), dtsTicks: Int64(number), durationTicks: 1, isKeyframe: number % 10 == 0,
                arrivalNs: 0)
            let job = ExactJob(
                stream: StreamKey(asset: "a", stream: "s"), packet: packet, timeUs: Int64(number), runID: "r",
                isWanted: wanted.contains(number))
            guard let now = frames.take(job) else {
                refused.append(number)
                continue
            }
            sent.append(now.map { Int($0.job.timeUs) })
            anew += now.filter(\.startsAnew).map { Int($0.job.timeUs) }
        }
        return (sent, anew, refused)
    }

    @Test func onlyGroupsOfWhichAPictureIsWantedAreDecodedAndUpToIt() throws {
        var frames = ExactFrames()
        let (sent, anew, _) = try play(40, wanted: [3], &frames)
        #expect(sent[3] == [0, 1, 2, 3])
        #expect(sent[4] == [4], "the picture has not come out yet")
        #expect(sent[39] == [39] && anew == [0])
        frames.came()
        let (later, again, _) = try play(30, wanted: [55], &frames, from: 40)
        #expect(later[0..<15].joined().isEmpty)
        #expect(later[15] == [50, 51, 52, 53, 54, 55] && again == [50])
    }

    @Test func nothingIsDecodedTwice() throws {
        var frames = ExactFrames()
        var all: [Int] = []
        var anew: [Int] = []
        for number in 0..<30 {
            let step = try play(1, wanted: [2, 7, 12, 25], &frames, from: number)
            all += step.sent.joined()
            anew += step.anew
            for _ in 0..<frames.awaited { frames.came() }
        }
        #expect(all == Array(0...7) + Array(10...12) + Array(20...25))
        #expect(anew == [0, 10, 20])
    }

    @Test func everyFrameIsOneUnbrokenStream() throws {
        var frames = ExactFrames()
        var anew: [Int] = []
        for number in 0..<30 {
            let step = try play(1, wanted: [number], &frames, from: number)
            #expect(step.sent == [[number]])
            anew += step.anew
            frames.came()
        }
        #expect(anew == [0])
    }

    @Test func beforeTheFirstKeyframeThereIsNoPicture() throws {
        var frames = ExactFrames()
        let (sent, _, refused) = try play(10, wanted: [6, 11], &frames, from: 5)
        #expect(refused == [6] && sent.flatMap { $0 } == [10, 11, 12, 13, 14])
    }

    @Test func aGroupWithoutEndIsGivenUp() throws {
        var frames = ExactFrames()
        let (_, _, refused) = try play(9, wanted: [8], &frames, bytes: 5 << 20)
        #expect(refused == [8])
        let (sent, anew, _) = try play(2, wanted: [11], &frames, from: 10)
        #expect(sent.flatMap { $0 } == [10, 11] && anew == [10])
    }
}
