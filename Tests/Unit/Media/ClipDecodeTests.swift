// Clips of films whose pictures carry their number (NumberedFilm.swift), decoded by ffmpeg and counted by ffprobe: both must show exactly
// the pictures that began in the window, each at its time.
import Foundation
import Media
import Testing

@Suite struct ClipDecodeTests {
    static let films: [(name: String, film: Result<NumberedFilm, any Error>)] = [
        ("groups of a second", .init { try NumberedFilm([FilmPart(120, "keyint=25:bframes=0")], seed: 1) }),
        (
            "reordered, with sound",
            .init {
                try NumberedFilm(
                    [FilmPart(120, fps: 30, "keyint=12:bframes=3:b-adapt=0:b-pyramid=normal")], seed: 2,
                    wantsSound: true)
            }
        ),
        ("keyframes only", .init { try NumberedFilm([FilmPart(60, fps: 10, "keyint=1")], seed: 3) }),
        (
            "groups of any length",
            .init {
                try NumberedFilm(
                    [
                        FilmPart(
                            150, fps: 50, "keyint=60:bframes=2:b-adapt=0",
                            ["-force_key_frames", "0.1,0.12,0.5,0.9,1.4,1.5,2.2,2.24,2.5"])
                    ], seed: 4, wantsSound: true)
            }
        ),
        (
            "open groups with holes between files",
            .init {
                try NumberedFilm(
                    [FilmPart(160, "keyint=10:min-keyint=10:bframes=3:b-adapt=0:open-gop=1")], seed: 5, isLossy: true)
            }
        ),
        (
            "another profile, and other colours",
            .init {
                try NumberedFilm(
                    [
                        FilmPart(50, "keyint=10:bframes=0", ["-profile:v", "baseline"]),
                        FilmPart(50, "keyint=10:bframes=2:b-adapt=0:colorprim=bt709:transfer=bt709"),
                        FilmPart(40, "keyint=10:bframes=0", ["-profile:v", "baseline"]),
                    ], seed: 6)
            }
        ),
        (
            "another size",
            .init {
                try NumberedFilm(
                    [
                        FilmPart(40, "keyint=10:bframes=0"), FilmPart(45, widthPx: 96, "keyint=15:bframes=0"),
                        FilmPart(40, "keyint=10:bframes=0"),
                    ], seed: 7)
            }
        ),
    ]

    /// Moments that no rounding makes doubtful, in order. Over a hole behind which an open group begins, H.264's counters cannot be
    /// continued by any decoder: such a film is cut within its stretches.
    private func moments(_ count: Int, _ model: ClipModel, _ numbers: inout SeededNumbers) throws -> [Int64] {
        let times = model.pictures.map(\.wallUs)
        let all = try #require(times.min()) - 200_000...(try #require(times.max())) + 200_000
        let openings = model.pictures.filter(\.opensFile).map(\.wallUs)
        while true {
            var found: Set<Int64> = []
            while found.count < count {
                let isOpening = Int.random(in: 0..<3, using: &numbers) == 0
                let us = isOpening ? openings.randomElement(using: &numbers) : Int64.random(in: all, using: &numbers)
                if let us, !model.isAmbiguous(us) { found.insert(us) }
            }
            let sorted = found.sorted()
            let shown = model.shown(sorted[0], sorted[count - 1])
            if Set(shown.map(\.stretch)).count < 2 { return sorted }
        }
    }

    private func clip(_ film: NumberedFilm, _ fromUs: Int64, _ toUs: Int64) throws -> [UInt8] {
        let files = try film.files.map { try ClipFile(MemoryBytes($0)) }
        let clip = try ExactClip(of: files, fromUs: fromUs, toUs: toUs, createdUs: 0)
        return clip.pieces.reduce(into: clip.head) { bytes, piece in
            bytes += film.files[piece.file][Int(piece.offset)..<Int(piece.offset + piece.sizeBytes)]
        }
    }

    /// What a decoder complains of. Not of a clip that begins with an open group, whose keyframe lets go of pictures that are not
    /// there; nor what FFmpeg's parser ("NULL"), which knows the first description only, makes of the slices of others.
    private static func faults(_ errors: String) -> [String] {
        errors.split(separator: "\n").map(String.init).filter { line in
            !["[NULL @", "    Last message repeated"].contains { line.hasPrefix($0) }
                && !line.hasSuffix("mmco: unref short failure")
        }
    }

    /// The numbers that ffmpeg decodes, of pictures as wide as those sent. Also of those that it holds for doubtful (output_corrupt), as it
    /// does with the last picture of a clip of some pictures that begins with an open group.
    private func decoded(_ bytes: [UInt8], _ sent: [SentPicture], _ folder: Folder) throws -> [Int] {
        let path = try folder.write(bytes, "clip.mp4")
        let result = try Tool.ffmpeg([
            "-flags", "+output_corrupt", "-i", path, "-map", "0:v", "-autoscale", "0", "-fps_mode", "passthrough",
            "-enc_time_base", "-1",
            "-pix_fmt", "gray", "-f",
            "rawvideo", folder.path("raw"),
        ])
        #expect(Self.faults(result.errors) == [], "ffmpeg warns: \(Self.faults(result.errors))")
        var raw = try folder.read("raw")[...]
        var numbers: [Int] = []
        for picture in sent {
            let size = picture.widthPx * NumberedFilm.heightPx
            guard raw.count >= size else { break }
            numbers.append(NumberedFilm.number(in: raw.prefix(size), widthPx: picture.widthPx))
            raw = raw.dropFirst(size)
        }
        #expect(raw.isEmpty, "\(raw.count) bytes of more pictures")
        return numbers
    }

    @Test(arguments: films.indices) func ffmpegAndFFprobeShowThePicturesOfTheWindow(index: Int) throws {
        let film = try Self.films[index].film.get()
        let folder = try Folder()
        var numbers = SeededNumbers(state: UInt64(index) + 100)
        for _ in 0..<5 {
            let window = try moments(2, film.model, &numbers)
            let sent = film.model.shown(window[0], window[1])
            guard !sent.isEmpty else {
                #expect(throws: MediaError.self) { try clip(film, window[0], window[1]) }
                continue
            }
            let found = try decoded(try clip(film, window[0], window[1]), sent, folder)
            #expect(
                found == sent.map(\.number), "\(Self.films[index].name), \(window.map { $0 - NumberedFilm.startUs })")
            let probed = try Tool.run(
                "ffprobe",
                [
                    "-v", "warning", "-flags", "+output_corrupt", "-select_streams", "v", "-count_frames",
                    "-show_entries",
                    "frame=pts_time,width:stream=nb_read_frames", "-of", "csv", folder.path("clip.mp4"),
                ])
            #expect(Self.faults(probed.errors) == [], "ffprobe warns: \(Self.faults(probed.errors))")
            let lines = probed.text.split(separator: "\n").map { $0.split(separator: ",") }
            #expect(lines.last { $0.first == "stream" }?.last.flatMap { Int($0) } == sent.count)
            let frames = lines.filter { $0.first == "frame" }
            #expect(
                frames.compactMap { Int($0[2]) } == sent.map(\.widthPx),
                "\(frames.map { $0[2] }) \(sent.map(\.widthPx))")
            for (frame, picture) in zip(frames, sent) {
                let wanted = Double(picture.wallUs - window[0]) / 1_000_000
                let time = try #require(Double(frame[1]))
                // 500 ppm, and some ticks.
                #expect(abs(time - wanted) < 0.000_1 + Double(window[1] - window[0]) * 0.000_000_000_5)
            }
        }
    }

    @Test(arguments: films.indices) func twoClipsThatFollowEachOtherDecodeAsOne(index: Int) throws {
        let film = try Self.films[index].film.get()
        let folder = try Folder()
        var numbers = SeededNumbers(state: UInt64(index) + 200)
        let cuts = try moments(3, film.model, &numbers)
        let parts = try [(0, 1), (1, 2), (0, 2)].map { from, to in
            let sent = film.model.shown(cuts[from], cuts[to])
            return sent.isEmpty ? [] : try decoded(try clip(film, cuts[from], cuts[to]), sent, folder)
        }
        #expect(parts[0] + parts[1] == parts[2] && !parts[2].isEmpty)
    }

    @Test func theFilmsHaveWhatTheyAreFor() throws {
        let films = try Self.films.map { try $0.film.get() }
        let models = films.map(\.model)
        #expect(films.allSatisfy { $0.files.count > 1 })
        let reordered = models.map { zip($0.pictures, $0.pictures.dropFirst()).contains { $0.wallUs > $1.wallUs } }
        #expect(reordered == [false, true, false, true, true, true, false])
        #expect(models[4].pictures.contains(where: \.isLost) && Set(models[4].pictures.map(\.stretch)).count > 2)
        #expect(Set(models[5].pictures.map(\.decoderConfiguration)).count == 2)
        #expect(Set(models[6].pictures.map(\.widthPx)) == [64, 96])
    }
}
