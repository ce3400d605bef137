// The one shape of all depacketizers: packets of one track go in, in order; whole access units or audio frames come out.
//
// Who feeds one tells it where packets are missing. What was torn by that is dropped and counted, never handed on; the first
// unit that is whole again says that it follows a loss, for it may refer to pictures that did not come.

import Media

/// What comes out. Times are the packets' own 32 bits, in order of decoding; `RTPClock` extends them.
public enum DepacketizedUnit {
    /// An access unit of H.264 or H.265, for `VideoAssembler.take`.
    case accessUnit(AccessUnitBuffer, timestamp: UInt32, followsLoss: Bool)
    /// A whole JPEG picture, for `VideoAssembler.take(picture:)`.
    case picture(PacketBytes, timestamp: UInt32, followsLoss: Bool)
    /// An audio frame (AAC) or a run of samples (PCM), borrowed for the duration of the call, for `AudioTimeline`.
    case audio(UnsafeRawBufferPointer, timestamp: UInt32)
}

/// What was seen and dropped since the beginning.
public struct DepacketizerCounters: Sendable, Hashable {
    /// Units handed on.
    public var units: UInt64 = 0
    /// Units dropped because a part of them did not come.
    public var torn: UInt64 = 0
    /// Units dropped because they exceed the bounds.
    public var tooLarge: UInt64 = 0
    /// Packets, or parts of them, that could not be understood.
    public var malformed: UInt64 = 0

    /// All zero.
    public init() {}
}

/// A payload format.
public protocol Depacketizer: Sendable {
    /// What happened so far.
    var counters: DepacketizerCounters { get }
    /// Takes the next packet.
    mutating func take(_ packet: RTPPacket, deliver: (DepacketizedUnit) -> Void)
    /// Packets are missing between the last one and the next, or the source changed.
    mutating func lose()
    /// Nothing comes for now: hands on what waits only for the next packet to show that it is whole.
    mutating func settle(deliver: (DepacketizedUnit) -> Void)
    /// The stream is over: hands on what is whole.
    mutating func flush(deliver: (DepacketizedUnit) -> Void)
}

extension Depacketizer {
    /// Most formats know at once.
    public mutating func settle(deliver: (DepacketizedUnit) -> Void) {}
}
