// Films one behind the other as one source: when samples are due, and times that go on.
import Media
import MediaWork
import Testing

@testable import CaptureController

@Suite struct FilmStageTests {
    private static let second: Int64 = 1_000_000_000
    private static let jpeg: [UInt8] =
        [0xFF, 0xD8, 0xFF, 0xC0, 0, 11, 8, 0, 240, 1, 64, 1, 1, 0x11, 0, 0xFF, 0xDA, 0, 2, 1, 1, 0xFF, 0xD9]

    private static func picture(_ number: Int64, from: Int64 = 0, rate: Int64 = 10) -> FilmSample {
        FilmSample(codec: .mjpeg, ptsTicks: from + number * 90_000 / rate, bytes: jpeg)
    }

    private static func tracks(_ stage: inout FilmStage) {
        stage.add(
            FilmTrack(codec: .mjpeg, timescale: 90_000, sampleRateHz: 0, channels: 0, decoderConfiguration: []))
        stage.add(
            FilmTrack(codec: .pcmu, timescale: 8_000, sampleRateHz: 8_000, channels: 1, decoderConfiguration: []))
    }

    /// Plays a film of two seconds; gives when its pictures were due and what came of them.
    private func play(
        _ stage: inout FilmStage, nowNs: inout Int64, from: Int64 = 0
    ) -> (dueNs: [Int64], packets: [MediaPacket]) {
        var dueNs: [Int64] = []
        var packets: [MediaPacket] = []
        stage.beginFilm(nowNs: nowNs)
        Self.tracks(&stage)
        for number in 0..<Int64(20) {
            let sample = Self.picture(number, from: from)
            let due = stage.dueNs(sample) ?? -1
            dueNs.append(due)
            nowNs = max(nowNs, due)
            packets += stage.take(sample, nowNs: nowNs)
        }
        packets += stage.endFilm(nowNs: nowNs)
        return (dueNs, packets)
    }

    @Test func aFilmIsPlayedInItsOwnTimeAndGoesOnWhereItEnded() {
        var nowNs = 5 * Self.second
        var stage = FilmStage(nowNs: nowNs)
        // Times of a film may begin anywhere.
        let first = play(&stage, nowNs: &nowNs, from: 1 << 40)
        #expect(first.dueNs == (0..<20).map { 5 * Self.second + $0 * Self.second / 10 })
        #expect(first.packets.map(\.ptsTicks) == (0..<20).map { $0 * 9_000 })
        let second = play(&stage, nowNs: &nowNs)
        #expect(second.dueNs.first == 7 * Self.second)
        #expect(second.packets.map(\.ptsTicks) == (20..<40).map { $0 * 9_000 })
        #expect(second.packets.allSatisfy { !$0.startsNewTimeline } && stage.pictures == 40)
    }

    @Test func afterAPauseAFilmBeginsNow() {
        var nowNs: Int64 = 0
        var stage = FilmStage(nowNs: 0)
        _ = play(&stage, nowNs: &nowNs)
        nowNs = 60 * Self.second
        let late = play(&stage, nowNs: &nowNs)
        #expect(late.dueNs.first == 60 * Self.second && late.packets.first?.ptsTicks == 60 * 90_000)
    }

    @Test func soundKeepsItsPlaceBesideThePictures() {
        var stage = FilmStage(nowNs: 0)
        stage.beginFilm(nowNs: 0)
        Self.tracks(&stage)
        _ = stage.dueNs(Self.picture(0, from: 900_000))
        _ = stage.take(Self.picture(0, from: 900_000), nowNs: 0)
        let voice = FilmSample(codec: .pcmu, ptsTicks: 80_800, bytes: [UInt8](repeating: 1, count: 160))
        #expect(stage.dueNs(voice) == Self.second / 10)
        #expect(stage.take(voice, nowNs: 0).first?.ptsUs == 100_000)
        // Of a track that the film does not have.
        #expect(stage.dueNs(FilmSample(codec: .aac, ptsTicks: 0, bytes: [1])) == nil)
    }

    @Test func soundIsToldBeforeTheFirstPicture() {
        var stage = FilmStage(nowNs: 0)
        stage.beginFilm(nowNs: 0)
        Self.tracks(&stage)
        let voice = FilmSample(codec: .pcmu, ptsTicks: 0, bytes: [1])
        let early = [Self.picture(3, from: 9_000), Self.picture(0, from: 9_000)]
        #expect(!stage.isBeginning(early) && stage.isBeginning(early + [voice]))
        #expect(stage.isBeginning([FilmSample](repeating: early[0], count: 32)))
        #expect(stage.beginning(early + [voice]) == [voice] + early)
        // The film begins with what is first by its time.
        #expect(stage.dueNs(voice) == 0 && stage.dueNs(early[1]) == Self.second / 10)
    }

    @Test func picturesOfAFolderHaveTheTimeOfTheirArrival() {
        var stage = FilmStage(nowNs: 0)
        let first = stage.still(Self.jpeg, nowNs: 3 * Self.second)
        let second = stage.still(Self.jpeg, nowNs: 63 * Self.second)
        #expect(first?.ptsUs == 3_000_000 && second?.ptsUs == 63_000_000 && second?.startsNewTimeline == false)
        #expect(stage.still(Array(Self.jpeg.dropLast(2)), nowNs: 64 * Self.second) == nil)
        #expect(stage.still([0x89, 0x50], nowNs: 64 * Self.second) == nil)
    }

    /// A file that says nonsense must not hold its thread for a year.
    @Test func timesFarAheadAreBounded() {
        var stage = FilmStage(nowNs: 0)
        stage.beginFilm(nowNs: 0)
        Self.tracks(&stage)
        _ = stage.dueNs(Self.picture(0))
        #expect(stage.dueNs(Self.picture(1 << 30)) ?? .max <= 10 * Self.second)
        for ticks in [Int64.max, .min, 1 << 46, -(1 << 60)] {
            #expect(stage.dueNs(FilmSample(codec: .mjpeg, ptsTicks: ticks, bytes: [1])) == nil)
        }
    }

    @Test(arguments: [
        ("file:///media/a.mkv", "/media/a.mkv"), ("file://localhost/media/a", "/media/a"),
        ("FILE://host/x%20y", "/x y"),
        ("file://server/x", nil), ("file:/x", nil), ("http://host/x", nil), ("file://localhost", nil),
        ("file:///a%00b", nil),
    ])
    func pathsOfFileAddresses(address: String, path: String?) { #expect(MediaRoots.path(address) == path) }
}
