// Films whose pictures carry their number: 4 x 4 blocks, black or white, are its bits, so that any decoder gives it back however it
// rounds. ffmpeg codes them, the assembler makes packets of them, and they are cut into files as the recorder cuts.
import Foundation
import Media
import Testing

/// How a part of a film is coded.
struct FilmPart {
    let pictures: Int
    var fps = 25
    var widthPx = 64
    /// For libx264; parameter sets are repeated with each keyframe.
    let x264: String
    var more: [String] = []

    init(_ pictures: Int, fps: Int = 25, widthPx: Int = 64, _ x264: String, _ more: [String] = []) {
        (self.pictures, self.fps, self.widthPx, self.x264, self.more) = (pictures, fps, widthPx, x264, more)
    }
}

/// One run of a camera, in files.
struct NumberedFilm {
    static let heightPx = 64
    static let startUs: Int64 = 1_764_000_000_000_000

    private(set) var files: [[UInt8]] = []
    private(set) var model = ClipModel()

    /// `lossy`: some files in the middle are not there.
    init(_ parts: [FilmPart], seed: UInt64, wantsSound: Bool = false, isLossy: Bool = false) throws {
        var numbers = SeededNumbers(state: seed)
        var assembler = VideoAssembler(codec: .h264, timescale: 90_000)
        var packets: [MediaPacket] = []
        var shown: [Int64: (number: Int, widthPx: Int)] = [:]
        var startTicks: Int64 = 500_000
        for part in parts {
            let first = shown.count
            let frameTicks = Int64(90_000 / part.fps)
            // Times are not even; a picture is found again by its own.
            let times = (0..<part.pictures).map {
                startTicks + Int64($0) * frameTicks + Int64.random(in: 0..<frameTicks / 4, using: &numbers)
            }
            for (index, time) in times.enumerated() { shown[time] = (first + index, part.widthPx) }
            for (index, unit) in try Self.coded(part, from: first) {
                let ticks = times[index]
                let packet = unit.withUnsafeBytes {
                    assembler.append($0, ptsTicks: ticks, arrivalNs: ticks * 100_000 / 9)
                }
                if let packet { packets.append(packet) }
            }
            startTicks += Int64(part.pictures) * frameTicks
        }
        if let last = assembler.flush() { packets.append(last) }
        try #require(packets.count == shown.count)
        try write(packets, shown, &numbers, wantsSound, isLossy)
    }

    /// Access units of a part in the order of decoding, each with the place at which it is shown.
    private static func coded(_ part: FilmPart, from first: Int) throws -> [(shownAt: Int, unit: [UInt8])] {
        let folder = try Folder()
        let raw = (first..<first + part.pictures).flatMap { picture($0, widthPx: part.widthPx) }
        try Tool.ffmpeg(
            ["-f", "rawvideo", "-pix_fmt", "gray", "-s", "\(part.widthPx)x\(heightPx)", "-r", "\(part.fps)"]
                + ["-i", try folder.write(raw, "in.raw"), "-pix_fmt", "yuv420p", "-c:v", "libx264"] + part.more
                + ["-x264-params", "scenecut=0:threads=1:repeat-headers=1:" + part.x264]
                + ["-video_track_timescale", "90000", "-movflags", "frag_keyframe+empty_moov+default_base_moof"]
                + ["-f", "mp4", folder.path("out.mp4")])
        let reader = FragmentedMP4Reader(MemoryBytes(try folder.read("out.mp4")))
        let samples = try reader.fragments().flatMap(\.samples)
        let order = samples.map(\.ptsTicks).sorted()
        return try samples.map { sample in
            let payload = try reader.payload(of: sample)
            return (
                try #require(order.firstIndex(of: sample.ptsTicks)),
                try #require(payload.withUnsafeBytes { AnnexB.fromLengthPrefixed($0) })
            )
        }
    }

    private static func picture(_ number: Int, widthPx: Int) -> [UInt8] {
        (0..<heightPx).flatMap { y in
            (0..<widthPx).map { x in number >> (y / 16 * 4 + x * 4 / widthPx) & 1 == 1 ? 235 : 16 }
        }
    }

    /// The number in a decoded gray picture.
    static func number(in picture: ArraySlice<UInt8>, widthPx: Int) -> Int {
        (0..<16).reduce(0) { number, bit in
            let (x, y) = ((bit % 4 * 2 + 1) * widthPx / 8, bit / 4 * 16 + 8)
            return picture[picture.startIndex + y * widthPx + x] > 125 ? number | 1 << bit : number
        }
    }

    /// Files end in front of keyframes; the clock is bent between some of them.
    private mutating func write(
        _ video: [MediaPacket], _ shown: [Int64: (number: Int, widthPx: Int)], _ numbers: inout SeededNumbers,
        _ wantsSound: Bool, _ isLossy: Bool
    ) throws {
        let sound = wantsSound ? try CodecConfiguration.pcm(.pcma, sampleRateHz: 8000, channels: 1) : nil
        let keys = video.indices.filter { video[$0].isKeyframe }
        let firstUs = try #require(video.first).ptsUs
        var anchor = MediaAnchor(mediaUs: firstUs, wallUs: Self.startUs + Int64.random(in: 0..<40_000, using: &numbers))
        var starts: [Int] = []
        for key in keys where starts.isEmpty || Bool.random(using: &numbers) { starts.append(key) }
        var stretch = 0
        var isBehindHole = true
        var soundUs = firstUs
        for (place, (start, end)) in zip(starts, starts.dropFirst() + [video.count]).enumerated() {
            let first = video[start]
            anchor = MediaAnchor(
                mediaUs: first.ptsUs, wallUs: anchor.wallUs(ofMediaUs: first.ptsUs),
                ratePpm: Int32.random(in: -500...500, using: &numbers))
            if isLossy, place % 3 == 1 {
                stretch += 1
                isBehindHole = true
                continue
            }
            let own = Array(video[start..<end])
            let startUs = anchor.wallUs(ofMediaUs: first.ptsUs)
            let next = end < video.count ? video[end] : nil
            let endUs = next.map { anchor.wallUs(ofMediaUs: $0.ptsUs) }
            soundUs = max(soundUs, first.ptsUs)
            let untilUs = next?.ptsUs ?? (own.map(\.ptsUs).max() ?? 0)
            var mixed = own
            while let sound, soundUs < untilUs {
                mixed.append(Self.silence(sound, soundUs))
                soundUs += 40_000
            }
            let sorted = mixed.prefix(1) + mixed.dropFirst().sorted { $0.dtsUs < $1.dtsUs }
            files.append(try file(Array(sorted), sound, anchor, endUs, &numbers))
            for packet in own {
                let (number, widthPx) = try #require(shown[packet.ptsTicks])
                let wallUs = anchor.wallUs(ofMediaUs: packet.ptsUs)
                model.pictures.append(
                    SentPicture(
                        number: number, wallUs: wallUs,
                        statedEndUs: anchor.wallUs(ofMediaUs: packet.ptsUs + packet.durationUs),
                        isKeyframe: packet.isKeyframe, widthPx: widthPx,
                        decoderConfiguration: packet.configuration.decoderConfiguration, bytes: [], stretch: stretch,
                        opensFile: packet.ptsTicks == first.ptsTicks, isLost: isBehindHole && wallUs < startUs))
            }
            isBehindHole = false
        }
    }

    private static func silence(_ sound: CodecConfiguration, _ us: Int64) -> MediaPacket {
        let ticks = rescale(us, from: 1_000_000, to: 8000)
        return MediaPacket(
            configuration: sound, bytes: PacketBytes([UInt8](repeating: 0xD5, count: 320)), ptsTicks: ticks,
            dtsTicks: ticks, durationTicks: 320, isKeyframe: true, arrivalNs: 0)
    }

    private func file(
        _ packets: [MediaPacket], _ sound: CodecConfiguration?, _ anchor: MediaAnchor, _ endUs: Int64?,
        _ numbers: inout SeededNumbers
    ) throws -> [UInt8] {
        let first = packets[0]
        // What else the camera showed before is declared too, so that a change needs no file of its own.
        let others = packets.map(\.configuration).filter { $0 != first.configuration }
        var writer = FragmentedMP4Writer(
            tracks: [first.configuration] + [sound].compactMap { $0 }, otherVideo: others, createdUs: Self.startUs)
        var info = SegmentInfo(device: "gate", endpoint: "main", runID: Fixtures.runID)
        info.anchor = anchor
        info.mediaStartUs = first.ptsUs
        info.startUs = anchor.wallUs(ofMediaUs: first.ptsUs)
        var bytes = writer.header(info: info)
        for packet in packets {
            try writer.append(packet)
            if Int.random(in: 0..<5, using: &numbers) == 0 { bytes += writer.takeFragment(newest: .write) ?? [] }
        }
        bytes += writer.takeFragment(newest: .write) ?? []
        info.frames = writer.videoFrames
        info.endUs =
            endUs ?? anchor.wallUs(ofMediaUs: info.mediaStartUs + writer.videoEndUs - writer.videoStartUs)
        return bytes + FragmentedMP4Writer.trailer(info: info)
    }
}
