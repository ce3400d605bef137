// Parameter sets that change while a camera is recorded (field lessons, case 15): no segment for each group of pictures, and
// every picture in a file that can hold it.
import Media
import Testing
import Wire

@testable import CaptureController

struct ParameterChangeTests {
    private static let sps: [UInt8] = [0x67, 0x42, 0x00, 0x1E, 0x95, 0xA0, 0x50, 0x7C, 0x40]
    private static let second: Int64 = 1_000_000
    private static let clip = ClipPlan(
        stream: StreamKey(asset: "press", stream: "clips"), taskRunID: "r", segmentUs: 60 * second, folder: "")

    /// New at each call, equal by content: so does the assembler make one for each change.
    private static func sets(_ number: Int) throws -> CodecConfiguration {
        try .h264(sps: [sps], pps: [[0x68, 0xCE, 0x3C, UInt8(0x80 + number)]])
    }

    /// 25 frames per second from `from` to `to` seconds, a keyframe each second; `number` chooses the parameter sets by the frame.
    private static func play(_ film: inout Film, from: Int64, to: Int64, number: (Int64) -> Int) throws {
        var configuration = try sets(number(from * 25))
        for frame in from * 25..<to * 25 {
            let us = frame * 40_000
            let next = try sets(number(frame))
            if next != configuration { configuration = next }
            let packet = MediaPacket(
                configuration: configuration, bytes: PacketBytes([0, 0, 0, 2, 0x65, 0x80]), ptsTicks: frame * 3600,
                dtsTicks: frame * 3600, durationTicks: 3600, isKeyframe: frame % 25 == 0, arrivalNs: us * 1000)
            film.effects += film.pipeline.packet(packet, wallUs: Film.baseUs + us, nowUs: us)
            film.effects += film.pipeline.tick(wallUs: Film.baseUs + us, nowUs: us)
        }
    }

    /// Ends the film, writes what its effects say as the disk does, and gives the numbers of frames by file.
    private static func framesByFile(_ film: inout Film) throws -> [Int] {
        film.effects += film.pipeline.sessionEnded(cause: "stopped", reason: "", wallUs: Film.baseUs)
        var files: [(id: UInt64, writer: FragmentedMP4Writer, frames: Int)] = []
        for effect in film.effects {
            switch effect {
            case .open(let ticket):
                let writer = FragmentedMP4Writer(tracks: [ticket.video], otherVideo: ticket.otherVideo, createdUs: 0)
                files.append((ticket.id, writer, 0))
            case .fragment(let id, let packets, _, _, _):
                let index = try #require(files.firstIndex { $0.id == id })
                for packet in packets {
                    #expect(!files[index].writer.needsNewFile(for: packet), "a picture that its file cannot hold")
                    try files[index].writer.append(packet)
                    files[index].frames += 1
                }
                #expect(files[index].writer.takeFragment(newest: .write) != nil)
            default: break
            }
        }
        #expect(files.allSatisfy { $0.writer.samplesRefused == 0 })
        return files.map(\.frames)
    }

    private static func gaps(_ film: Film) -> [Gap] { film.records.compactMap(\.gap) }

    @Test func aCameraThatGoesToAndFroCostsOneSegmentMoreThanASteadyOne() throws {
        var steady = try Film(clip: Self.clip)
        try Self.play(&steady, from: 0, to: 602) { _ in 0 }
        var oscillating = try Film(clip: Self.clip)
        try Self.play(&oscillating, from: 0, to: 602) { Int($0 / 25 % 2) }
        #expect(steady.seals.count == 10)
        #expect(oscillating.seals.count == steady.seals.count + 1)
        #expect(oscillating.seals.prefix(3) == [[0, 1], [1, 61], [61, 121]])
        #expect(try Self.framesByFile(&oscillating).reduce(0, +) == 602 * 25)
        #expect(Self.gaps(oscillating).isEmpty)
    }

    @Test func eachNewConfigurationCutsOnce() throws {
        var film = try Film(clip: Self.clip)
        try Self.play(&film, from: 0, to: 40) { [0, 1, 0, 2, 1, 0, 2, 1][Int($0 / 25 % 8)] }
        #expect(film.seals == [[0, 1], [1, 3]])
        #expect(try Self.framesByFile(&film).reduce(0, +) == 40 * 25)
        let tickets = film.effects.compactMap { if case .open(let ticket) = $0 { ticket } else { nil } }
        #expect(tickets.map(\.otherVideo.count) == [0, 1, 2])
        #expect(tickets.last?.video == (try Self.sets(2)), "the file begins with what its first picture has")
    }

    @Test func moreConfigurationsThanAFileDeclaresStillLoseNothing() throws {
        var film = try Film(clip: Self.clip)
        try Self.play(&film, from: 0, to: 40) { Int($0 / 25 % 12) }
        #expect(try Self.framesByFile(&film).reduce(0, +) == 40 * 25)
        #expect(Self.gaps(film).isEmpty)
        let most = film.effects.compactMap { if case .open(let ticket) = $0 { ticket.otherVideo.count } else { nil } }
            .max()
        #expect(most == FragmentedMP4Writer.mostVideoConfigurations - 1)
    }

    @Test func aKnownChangeWithoutAKeyframeGoesOnInItsSegment() throws {
        var film = try Film(clip: Self.clip)
        // To 1 at the keyframe of second 1, then to and fro in the middle of groups.
        try Self.play(&film, from: 0, to: 10) { $0 < 25 ? 0 : Int(1 + ($0 - 25) / 40) % 2 }
        #expect(film.seals == [[0, 1]])
        #expect(try Self.framesByFile(&film).reduce(0, +) == 10 * 25)
    }

    @Test func anUnknownChangeWithoutAKeyframeIsAGapUpToTheNext() throws {
        var film = try Film(clip: Self.clip)
        try Self.play(&film, from: 0, to: 5) { $0 < 35 ? 0 : 1 }
        #expect(film.seals == [[0, 1.4]])
        let gap = try #require(Self.gaps(film).first)
        #expect(Self.gaps(film).count == 1)
        #expect(gap.window == Window(startUs: Film.baseUs + 1_400_000, endUs: Film.baseUs + 2_000_000))
        #expect(gap.framesLost == 15)
        #expect(try Self.framesByFile(&film).reduce(0, +) == 5 * 25 - 15)
    }

    @Test func aRingOfTwoConfigurationsBecomesOneFileWithAllPictures() throws {
        var film = try Film()
        try Self.play(&film, from: 0, to: 15) { Int($0 / 25 % 2) }
        _ = film.ensure("event", 3, 9, atSecond: 15)
        #expect(film.seals == [[3, 9]])
        #expect(try Self.framesByFile(&film) == [150])
    }

    @Test func aNewRunDeclaresOnlyWhatItHasShown() throws {
        var film = try Film(clip: Self.clip)
        try Self.play(&film, from: 0, to: 5) { Int($0 / 25 % 2) }
        film.effects += film.pipeline.sessionEnded(cause: "dark", reason: "", wallUs: Film.baseUs + 5 * Self.second)
        film.effects = []
        try Self.play(&film, from: 20, to: 22) { _ in 0 }
        let ticket = film.effects.compactMap { if case .open(let ticket) = $0 { ticket } else { nil } }.first
        #expect(ticket?.otherVideo.isEmpty == true)
    }
}
