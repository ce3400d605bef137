// NumberedFilm: a film whose pictures carry their number, as black and white blocks that survive coding; recorded as the recorder
// does, and read back from whatever was made of it. So a cut is proven by the numbers of the pictures that a decoder shows.
//
// H.264, 640x360 at 25 frames a second, 4 Mbit/s, a keyframe each 2 s. Block number i from the left is bit i.

import Foundation
import Media

struct NumberedFilm {
    static let path = ".build/media/numbered.h264"
    static let frameUs: Int64 = 40_000
    static let framesOfSegment = 250
    /// Ten minutes, and a segment more, so that a window of ten minutes begins and ends within one.
    static let segments = 61
    static let frames = segments * framesOfSegment
    private static let bits = 14
    private static let blockPx = 32
    private static let ticksOfFrame: Int64 = 3_600
    /// As many pictures as the recorder has in a fragment.
    private static let framesOfFragment = 3

    /// Makes the film where it is not there yet; a minute.
    static func prepare() throws {
        guard !FileManager.default.fileExists(atPath: path) else { return }
        try FileManager.default.createDirectory(atPath: ".build/media", withIntermediateDirectories: true)
        let width = bits * blockPx
        // Noise keeps the bit rate up; the blocks are drawn over it.
        var picture =
            "testsrc2=size=640x360:rate=25:duration=\(frames / 25),noise=alls=24:allf=t,"
            + "drawbox=x=0:y=0:w=\(width):h=\(blockPx):color=black:t=fill"
        for bit in 0..<bits {
            picture +=
                ",drawbox=x=\(bit * blockPx):y=0:w=\(blockPx):h=\(blockPx):color=white:t=fill"
                + ":enable='mod(floor(n/\(1 << bit))\\,2)'"
        }
        // Written aside first, so that an interrupted run leaves no half film.
        _ = try bench.run([
            "/usr/bin/env", "ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-f", "lavfi", "-i",
            picture, "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-b:v",
            "4M", "-maxrate", "4M", "-bufsize", "4M", "-x264-params",
            "keyint=50:min-keyint=50:scenecut=0:repeat-headers=1:aud=1", path + ".new.h264",
        ])
        guard rename(path + ".new.h264", path) == 0 else { throw BenchError("\(path) cannot be written") }
    }

    let packets: [MediaPacket]

    /// Reads the film.
    init() throws {
        let film = try Data(contentsOf: URL(fileURLWithPath: Self.path), options: .alwaysMapped)
        var assembler = VideoAssembler(codec: .h264, timescale: 90_000)
        var packets: [MediaPacket] = []
        packets.reserveCapacity(Self.frames)
        film.withUnsafeBytes { bytes in
            for (number, unit) in Self.accessUnits(bytes).enumerated() {
                let packet = assembler.append(
                    UnsafeRawBufferPointer(rebasing: bytes[unit]), ptsTicks: Int64(number) * Self.ticksOfFrame,
                    arrivalNs: Int64(number) * Self.frameUs * 1000)
                if let packet { packets.append(packet) }
            }
        }
        if let last = assembler.flush() { packets.append(last) }
        guard packets.count == Self.frames else {
            throw BenchError("\(Self.path) has \(packets.count) pictures and not \(Self.frames): remove it")
        }
        self.packets = packets
    }

    /// Each begins with a delimiter: 0, 0, 0, 1, 9.
    private static func accessUnits(_ bytes: UnsafeRawBufferPointer) -> [Range<Int>] {
        var starts: [Int] = []
        var from = 3
        // The rarest of these bytes; memchr looks at many at once.
        while let base = bytes.baseAddress, from < bytes.count - 1,
            let found = memchr(base + from, 1, bytes.count - 1 - from)
        {
            let one = UnsafeRawPointer(found) - base
            if bytes[one + 1] & 0x1F == 9, bytes[one - 1] | bytes[one - 2] | bytes[one - 3] == 0 {
                starts.append(one - 3)
            }
            from = one + 1
        }
        return zip(starts, starts.dropFirst() + [bytes.count]).map { $0..<$1 }
    }

    /// One segment as the recorder writes it: the bytes of the file, and what it says of itself.
    func segment(_ number: Int, of footage: MadeFootage, camera: Int) throws -> (bytes: [UInt8], info: SegmentInfo) {
        let own = packets[number * Self.framesOfSegment..<(number + 1) * Self.framesOfSegment]
        guard let first = own.first, first.isKeyframe else {
            throw BenchError("segment \(number) of \(Self.path) does not begin with a keyframe: remove the film")
        }
        var info = SegmentInfo(
            device: footage.asset(camera), endpoint: "main", runID: footage.run(camera, spoolID: 0).run?.runID ?? "")
        info.asset = footage.asset(camera)
        info.stream = "clips"
        info.controllerID = "capture-controller-0"
        info.runStartedUs = footage.zeroUs
        info.leaseEpoch = 1
        info.sequence = UInt32(number)
        info.startUs = footage.startUs(number)
        info.endUs = footage.startUs(number + 1)
        info.mediaStartUs = first.ptsUs
        info.anchor = MediaAnchor(mediaUs: 0, wallUs: footage.zeroUs)
        info.videoCodec = "h264"
        info.widthPx = UInt32(first.configuration.widthPx)
        info.heightPx = UInt32(first.configuration.heightPx)
        info.frames = UInt32(own.count)
        var writer = FragmentedMP4Writer(tracks: [first.configuration], createdUs: info.startUs)
        var bytes = writer.header(info: info)
        for (index, packet) in own.enumerated() {
            try writer.append(packet)
            guard index % Self.framesOfFragment == Self.framesOfFragment - 1 || index == own.count - 1 else { continue }
            if let fragment = writer.takeFragment(newest: .write) { bytes += fragment }
        }
        bytes += FragmentedMP4Writer.trailer(info: info)
        return (bytes, info)
    }

    /// The numbers of the pictures that ffmpeg shows of a file, in their order.
    static func numbers(in path: String) throws -> [Int] {
        let raw = path + ".numbers"
        defer { try? FileManager.default.removeItem(atPath: raw) }
        _ = try bench.run([
            "/usr/bin/env", "ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-i", path, "-map", "0:v",
            "-fps_mode", "passthrough", "-vf",
            "crop=\(bits * blockPx):\(blockPx):0:0,scale=\(bits):1:flags=area,format=gray", "-f", "rawvideo", raw,
        ])
        let pixels = [UInt8](try Data(contentsOf: URL(fileURLWithPath: raw)))
        return stride(from: 0, to: pixels.count - pixels.count % bits, by: bits).map { at in
            (0..<bits).reduce(0) { $0 | (pixels[at + $1] > 127 ? 1 << $1 : 0) }
        }
    }
}
