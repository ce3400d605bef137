// One encoded frame or audio packet, and the bytes it shares with whoever keeps it: ring, recorder, snapshot, push.

import Glibc

// @unchecked Sendable is sound: the memory is written inside `init` or before it, and by nobody after that; it is freed in `deinit`,
// or by the block that it lies in, after the last one let go.
/// Immutable bytes on the heap, shared by reference. A packet is copied once, when it leaves the demuxer.
public final class PacketBytes: @unchecked Sendable {
    /// Size in bytes.
    public let count: Int
    private let storage: UnsafeMutableRawPointer
    /// What owns the memory where the bytes were not copied; `storage` lies in it.
    private let shared: PacketBlock?

    /// Copies `bytes`.
    public init(copying bytes: UnsafeRawBufferPointer) {
        count = bytes.count
        shared = nil
        storage = .allocate(byteCount: max(bytes.count, 1), alignment: 16)
        if let base = bytes.baseAddress, bytes.count > 0 {
            storage.copyMemory(from: base, byteCount: bytes.count)
        }
    }

    /// Copies `bytes`.
    public convenience init(_ bytes: [UInt8]) {
        self.init(count: bytes.count) { target in bytes.withUnsafeBytes { target.copyMemory(from: $0) } }
    }

    /// Room for `count` bytes, zeroed, then filled by `fill` before anyone else sees them.
    public init(count: Int, fill: (UnsafeMutableRawBufferPointer) -> Void) {
        self.count = count
        shared = nil
        storage = .allocate(byteCount: max(count, 1), alignment: 16)
        let buffer = UnsafeMutableRawBufferPointer(start: storage, count: count)
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
        fill(buffer)
    }

    /// Shares memory of which `range` are the bytes, and keeps it. They are not written to any more.
    init(sharing memory: PacketBlock, _ range: Range<Int>) {
        count = range.count
        shared = memory
        storage = memory.base + range.lowerBound
    }

    deinit {
        if shared == nil { storage.deallocate() }
    }

    /// The bytes, for the duration of `body`. The pointer must not leave it.
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try body(UnsafeRawBufferPointer(start: storage, count: count))
    }

    /// A copy as an array.
    public var array: [UInt8] {
        withUnsafeBytes { Array($0) }
    }
}

/// Which of the two tracks of a source.
public enum TrackKind: Sendable, Hashable {
    /// Pictures.
    case video
    /// Sound.
    case audio
}

/// One access unit of video or one packet of audio, with its times within the run.
public struct MediaPacket: Sendable {
    /// What a decoder needs beside the bytes; its timescale is the unit of all `Ticks` here.
    public var configuration: CodecConfiguration
    /// H.264 and H.265: NAL units, each after its length in 4 bytes, without access unit delimiters and without those
    /// parameter sets that are in the configuration. Others: as the codec has them.
    public var bytes: PacketBytes
    /// Presentation time within the run, in ticks.
    public var ptsTicks: Int64
    /// Decoding time within the run, in ticks; grows strictly within a track until `startsNewTimeline`.
    public var dtsTicks: Int64
    /// Length in ticks; for video an estimate from the packets before. 0: unknown.
    public var durationTicks: Int64
    /// Decoding can start here. True for all audio.
    public var isKeyframe: Bool
    /// When its last byte arrived, in nanoseconds of the host's monotonic clock.
    public var arrivalNs: Int64
    /// The times do not continue those of the packet before (the camera's clock jumped): the run ends before this packet.
    /// Set on video only; audio that does not fit the video's times is dropped by the source.
    public var startsNewTimeline: Bool
    /// What the camera sent between this packet and the one before did not come whole. Set on video only.
    public var followsLoss: Bool

    /// A packet from its parts.
    public init(
        configuration: CodecConfiguration, bytes: PacketBytes, ptsTicks: Int64, dtsTicks: Int64, durationTicks: Int64,
        isKeyframe: Bool, arrivalNs: Int64, startsNewTimeline: Bool = false, followsLoss: Bool = false
    ) {
        self.configuration = configuration
        self.bytes = bytes
        self.ptsTicks = ptsTicks
        self.dtsTicks = dtsTicks
        self.durationTicks = durationTicks
        self.isKeyframe = isKeyframe
        self.arrivalNs = arrivalNs
        self.startsNewTimeline = startsNewTimeline
        self.followsLoss = followsLoss
    }

    /// Video or audio.
    public var kind: TrackKind { configuration.kind }
    /// Presentation time within the run, in microseconds.
    public var ptsUs: Int64 { rescale(ptsTicks, from: configuration.timescale, to: 1_000_000) }
    /// Decoding time within the run, in microseconds.
    public var dtsUs: Int64 { rescale(dtsTicks, from: configuration.timescale, to: 1_000_000) }
    /// Length in microseconds; 0: unknown.
    public var durationUs: Int64 { rescale(durationTicks, from: configuration.timescale, to: 1_000_000) }
    /// Size of the payload in bytes.
    public var sizeBytes: Int { bytes.count }
}

/// Converts a time between two timescales (ticks per second), rounding down. Saturates where the result does not fit.
public func rescale(_ ticks: Int64, from: UInt32, to: UInt32) -> Int64 {
    if from == to || from == 0 { return ticks }
    // Whole seconds and the rest apart: the product of the rest always fits 64 bits without a sign.
    let source = Int64(from)
    var seconds = ticks / source
    var rest = ticks % source
    if rest < 0 {
        rest += source
        seconds -= 1
    }
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: Int64(to))
    if overflow { return ticks < 0 ? .min : .max }
    let fraction = UInt64(rest) * UInt64(to) / UInt64(source)
    let (sum, carried) = whole.addingReportingOverflow(Int64(fraction))
    return carried ? (ticks < 0 ? .min : .max) : sum
}
