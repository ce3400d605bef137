// What the tests publish at a real media server: a film of a real encoder, and a thread that plays it as a camera would.

import Foundation
import Media
import Synchronization
import Testing

@testable import RTSP

/// Six seconds of an encoder: pictures at 25 per second with a keyframe each second, and sound. Noise, so that no two packets
/// are alike.
struct Film {
    let pictures: [MediaPacket]
    let sounds: [MediaPacket]
    static let picturesPerSecond = 25

    /// - Parameter sound: AAC, PCMU or PCMA.
    init(_ video: Codec, sound: Codec) throws {
        let folder = try TestFolder()
        let input = ["-f", "lavfi", "-i"]
        let rateHz = sound == .aac ? 48_000 : 8_000
        try run(
            ["ffmpeg", "-loglevel", "error", "-nostdin"] + input
                + ["testsrc2=size=640x360:rate=25:duration=6,noise=alls=20:allf=t"] + input
                + ["anoisesrc=sample_rate=\(rateHz):duration=6:seed=1", "-map", "0:v"]
                + Self.coder(video) + [folder.file("v"), "-map", "1:a", "-ac", "1"]
                + Self.coder(sound) + [folder.file("a")])
        let stream = try Data(contentsOf: URL(fileURLWithPath: folder.file("v")))
        pictures = video == .mjpeg ? try Self.images(stream) : Self.pictures(stream, video)
        let samples = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder.file("a"))))
        sounds = sound == .aac ? try Self.frames(samples) : try Self.samples(samples, sound)
        try #require(pictures.count == 6 * Self.picturesPerSecond && sounds.count > 200)
    }

    /// ffmpeg's options.
    private static func coder(_ codec: Codec) -> [String] {
        let group = "keyint=25:min-keyint=25:scenecut=0:aud=1"
        let live = ["-preset", "ultrafast", "-tune", "zerolatency", "-b:v", "2M", "-pix_fmt", "yuv420p"]
        return switch codec {
        case .h264: ["-c:v", "libx264"] + live + ["-x264-params", group, "-f", "h264"]
        case .hevc: ["-c:v", "libx265"] + live + ["-x265-params", "\(group):log-level=error", "-f", "hevc"]
        case .mjpeg: ["-c:v", "mjpeg", "-huffman", "default", "-q:v", "12", "-pix_fmt", "yuvj420p", "-f", "mjpeg"]
        case .aac: ["-c:a", "aac", "-f", "adts"]
        case .pcma: ["-c:a", "pcm_alaw", "-f", "alaw"]
        case .pcmu, .l16: ["-c:a", "pcm_mulaw", "-f", "mulaw"]
        }
    }

    /// The film goes on with its beginning.
    func picture(_ number: Int) -> MediaPacket { Self.packet(number, of: pictures) }
    func sound(_ number: Int) -> MediaPacket { Self.packet(number, of: sounds) }

    private static func packet(_ number: Int, of packets: [MediaPacket]) -> MediaPacket {
        var packet = packets[number % packets.count]
        packet.ptsTicks = (packets[1].ptsTicks - packets[0].ptsTicks) * Int64(number)
        packet.dtsTicks = packet.ptsTicks
        return packet
    }

    private static func pictures(_ stream: Data, _ codec: Codec) -> [MediaPacket] {
        var assembler = VideoAssembler(codec: codec, timescale: 90_000)
        var packets: [MediaPacket] = []
        var number: Int64 = -1
        stream.withUnsafeBytes { bytes in
            for unit in AnnexB.units(in: bytes) {
                // A delimiter begins each picture.
                let first = bytes[unit.lowerBound]
                if codec == .h264 ? first & 0x1F == 9 : first >> 1 == 35 { number += 1 }
                let piece = [0, 0, 0, 1] + Array(bytes[unit])
                let made = piece.withUnsafeBytes { assembler.append($0, ptsTicks: number * 3_600, arrivalNs: 0) }
                if let made { packets.append(made) }
            }
        }
        return packets + (assembler.flush().map { [$0] } ?? [])
    }

    /// Of JPEG pictures, one behind the other.
    private static func images(_ stream: Data) throws -> [MediaPacket] {
        let configuration = try CodecConfiguration.mjpeg(widthPx: 640, heightPx: 360)
        let bytes = [UInt8](stream)
        let starts = bytes.indices.dropLast(2).filter { bytes[$0...].starts(with: [0xFF, 0xD8, 0xFF]) }
        return zip(starts, starts.dropFirst() + [bytes.count]).enumerated().map { number, range in
            .of(Array(bytes[range.0..<range.1]), configuration, ptsTicks: Int64(number) * 3_600)
        }
    }

    /// Of an ADTS stream.
    private static func frames(_ stream: [UInt8]) throws -> [MediaPacket] {
        let first = try #require(stream.count > 7 ? stream : nil)
        let layout = (Int(first[2] & 1) << 2) | Int(first[3] >> 6)
        let rate = first[2] >> 2 & 0x0F
        let configuration = try CodecConfiguration.aac(
            audioSpecificConfig: [(first[2] >> 6 + 1) << 3 | rate >> 1, (rate & 1) << 7 | UInt8(layout) << 3])
        var packets: [MediaPacket] = []
        var start = 0
        while start + 7 < stream.count {
            let size = Int(stream[start + 3] & 3) << 11 | Int(stream[start + 4]) << 3 | Int(stream[start + 5] >> 5)
            try #require(size > 7 && start + size <= stream.count)
            packets.append(
                .of(Array(stream[start + 7..<start + size]), configuration, ptsTicks: Int64(packets.count) * 1_024))
            start += size
        }
        return packets
    }

    /// In packets of 20 ms.
    private static func samples(_ stream: [UInt8], _ codec: Codec) throws -> [MediaPacket] {
        let configuration = try CodecConfiguration.pcm(codec, sampleRateHz: 8_000, channels: 1)
        return stride(from: 0, to: stream.count - stream.count % 160, by: 160).map { start in
            .of(Array(stream[start..<start + 160]), configuration, ptsTicks: Int64(start))
        }
    }
}

/// Publishes a film at its own pace, over and over, on a thread of its own: what else the tests do must not delay it.
final class Filming: Sendable {
    private let isOver = Mutex(false)
    private let done = DispatchSemaphore(value: 0)
    private let sent = Mutex<UInt64>(0)

    init(_ film: Film, to publisher: RTSPPublisher) {
        Thread.detachNewThread { self.run(film, publisher) }
    }

    /// Ends it; gives how many packets were sent.
    func end() -> UInt64 {
        isOver.withLock { $0 = true }
        done.wait()
        return sent.withLock(\.self)
    }

    private func run(_ film: Film, _ publisher: RTSPPublisher) {
        var (picture, sound) = (0, 0)
        let beginNs = nowNs()
        while !isOver.withLock(\.self) {
            // At the same time the picture goes first: a film begins with one.
            let (next, later) = (film.picture(picture), film.sound(sound))
            var packet = later.ptsUs < next.ptsUs ? later : next
            if packet.kind == .video { picture += 1 } else { sound += 1 }
            packet.arrivalNs = beginNs + packet.ptsUs * 1_000
            var due = timespec(
                tv_sec: Int(packet.arrivalNs / 1_000_000_000), tv_nsec: Int(packet.arrivalNs % 1_000_000_000))
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nil)
            publisher.send([packet])
            sent.withLock { $0 += 1 }
        }
        done.signal()
    }
}
