// A camera of this host: a Video4Linux2 device that gives coded pictures (H.264, H.265 or Motion JPEG; the driver's raw pictures are not
// coded here). On a thread of its own, because the driver is waited for. Its consumer hears the same events as of a camera.
import CVideo
import Glibc
import Media
import RTSP
import ServiceKit
import Synchronization

/// The devices that a configuration may name.
struct VideoDevices: Sendable {
    let paths: [String]

    /// The path of a device that an address names; nil where it names none.
    static func path(_ address: String) -> String? {
        MediaRoots.path(address).flatMap { $0.hasPrefix("/dev/") ? $0 : nil }
    }

    /// - Throws: what to do about a device that is not allowed.
    func check(_ path: String) throws(ConnectionFailure) {
        guard !paths.contains(path) else { return }
        let known = paths.isEmpty ? "none is set" : paths.joined(separator: ", ")
        throw ConnectionFailure(
            cause: .notFound,
            reason: "\(path) is none of this controller's video-devices (\(known)): name it there")
    }
}

final class VideoDevicePlayback: SourcePlayback {
    /// A driver that gives nothing for so long has lost its camera.
    static let silenceNs: Int64 = 5_000_000_000
    /// Between two looks whether the session is to end.
    private static let lookMs: Int32 = 100
    /// What can be recorded, what records best first.
    private static let formats: [(code: UInt32, codec: Codec)] = [
        (sg_video_h264(), .h264), (sg_video_hevc(), .hevc), (sg_video_mjpeg(), .mjpeg), (sg_video_jpeg(), .mjpeg),
    ]

    private let path: String
    private let tell: @Sendable (SourceEvent) -> Void
    private let isStopped = Atomic(false)

    init(_ path: String, tell: @escaping @Sendable (SourceEvent) -> Void) {
        self.path = path
        self.tell = tell
    }

    func begin() { startThread("camera \(path)") { [self] in run() } }

    /// Ends within some tenths of a second.
    func stop() { isStopped.store(true, ordering: .relaxed) }

    /// Each picture is told when it is there.
    func setLive(_ isLive: Bool) {}

    private var isOver: Bool { isStopped.load(ordering: .relaxed) }

    private func run() {
        var counters = SourceCounters()
        var failure: RTSPFailure?
        do throws(RTSPFailure) { try play(&counters) } catch { failure = error }
        tell(.ended(isOver ? nil : failure, counters))
    }

    private func play(_ counters: inout SourceCounters) throws(RTSPFailure) {
        var device = sg_video_device()
        let codes = Self.formats.map(\.code)
        let opened = sg_video_open(path, codes, Int32(codes.count), &device)
        guard opened == 0 else { throw Self.failure(opening: -opened) }
        defer { sg_video_close(&device) }
        guard let codec = Self.formats.first(where: { $0.code == device.format })?.codec else {
            throw Self.failure(opening: ENOTSUP)
        }
        var pictures = DevicePictures(codec)
        var heardNs = monotonicUs() * 1000
        while !isOver {
            var polled = pollfd(fd: device.descriptor, events: Int16(POLLIN), revents: 0)
            _ = poll(&polled, 1, Self.lookMs)
            var picture = sg_video_picture()
            let taken = sg_video_take(&device, &picture)
            let nowNs = monotonicUs() * 1000
            if taken == 0 {
                heardNs = nowNs
                let packets = Self.bytes(device, picture).map {
                    pictures.take(
                        $0, monotonicUs: picture.monotonic_us, nowNs: nowNs, isDamaged: picture.is_damaged != 0)
                }
                guard sg_video_give(&device, picture.index) == 0 else { throw Self.gone }
                for packet in packets ?? [] { tell(.packet(packet)) }
                if pictures.torn != counters.unitsTorn {
                    counters.unitsTorn = pictures.torn
                    tell(.counted(counters))
                }
            } else if taken != -EAGAIN {
                throw Self.gone
            } else if nowNs - heardNs > Self.silenceNs {
                throw RTSPFailure(.silent, "the camera gave no picture for \(Self.silenceNs / 1_000_000_000) s")
            }
        }
    }

    /// A copy, because the driver gets its buffer back. Nil for a buffer that is not ours.
    private static func bytes(_ device: sg_video_device, _ picture: sg_video_picture) -> [UInt8]? {
        let buffers = [device.buffer.0, device.buffer.1, device.buffer.2, device.buffer.3]
        guard buffers.indices.contains(Int(picture.index)), let start = buffers[Int(picture.index)].start else {
            return nil
        }
        return Array(UnsafeRawBufferPointer(start: start, count: Int(picture.bytes)))
    }

    private static let gone = RTSPFailure(.silent, "the camera was unplugged, or its driver failed")

    private static func failure(opening code: Int32) -> RTSPFailure {
        switch code {
        case ENOENT: RTSPFailure(.notFound, "there is no such device: is the camera plugged in?")
        case EACCES, EPERM: RTSPFailure(.notFound, "the device may not be opened: give this service the group video")
        case EBUSY: RTSPFailure(.busy, "another program uses the device")
        case ENODEV: RTSPFailure(.notFound, "the device is no camera")
        case ENOTSUP:
            RTSPFailure(.protocolError, "the device gives only raw pictures; H.264, H.265 or Motion JPEG is needed")
        default: RTSPFailure(.silent, "the device cannot be used: \(String(cString: strerror(code)))")
        }
    }
}

/// Pictures of a device to packets. Pure.
struct DevicePictures: Sendable {
    private static let timescale: UInt32 = 90_000

    /// Pictures that could not be used.
    private(set) var torn: UInt64 = 0

    private let codec: Codec
    private var assembler: VideoAssembler
    private var firstUs: Int64?
    private var lastTicks: Int64 = -1

    init(_ codec: Codec) {
        self.codec = codec
        assembler = VideoAssembler(codec: codec, timescale: Self.timescale)
    }

    /// Takes the content of a buffer: a whole picture. `monotonicUs`: when the driver says that it was taken; -1: it does not say.
    mutating func take(_ bytes: [UInt8], monotonicUs: Int64, nowNs: Int64, isDamaged: Bool) -> [MediaPacket] {
        let isWhole = codec != .mjpeg || bytes.withUnsafeBytes(JPEGHeader.isWhole)
        guard !isDamaged, !bytes.isEmpty, isWhole else {
            torn += 1
            return []
        }
        // A driver that counts by another clock, or ahead of ours, is not believed.
        let takenUs = (0...nowNs / 1000).contains(monotonicUs) ? monotonicUs : nowNs / 1000
        let firstUs = firstUs ?? takenUs
        self.firstUs = firstUs
        lastTicks = max(lastTicks + 1, rescale(takenUs - firstUs, from: 1_000_000, to: Self.timescale))
        let arrivalNs = takenUs * 1000
        if codec == .mjpeg {
            return [assembler.take(picture: PacketBytes(bytes), ptsTicks: lastTicks, arrivalNs: arrivalNs)].compactMap {
                $0
            }
        }
        let before = bytes.withUnsafeBytes { assembler.append($0, ptsTicks: lastTicks, arrivalNs: arrivalNs) }
        return [before, assembler.flush()].compactMap { $0 }
    }
}
