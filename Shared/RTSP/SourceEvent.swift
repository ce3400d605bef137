// What a session with a camera tells its consumer, over RTSP (RTSPSession.swift) and over HTTP (HTTP/HTTPPlayback.swift), and what
// its consumer can ask of it.

import Media

/// A session with a camera that its consumer holds.
public protocol SourcePlayback: Sendable {
    /// Ends the session. Its consumer hears `ended` without a failure, and packets until then.
    func stop()
    /// Each packet is wanted at once from now on, or not any more.
    func setLive(_ isLive: Bool)
    /// Where pictures come only when they are asked for: how often that is, in nanoseconds between two.
    func setPoll(ns: Int64)
}

extension SourcePlayback {
    /// Pictures come by themselves.
    public func setPoll(ns: Int64) {}
}

/// What a session tells its consumer, on the thread that carries all cameras: it must not wait there.
public enum SourceEvent: Sendable {
    /// Packets come from now on.
    case playing([RTSPTrack])
    case packet(MediaPacket)
    /// All that had come is handed on, and more is within 100 ms: what should be written by then is complete. Not told where packets
    /// do not come through a SocketLoop.
    case drained
    /// What was passed over so far, told every few seconds where it grew.
    case counted(SourceCounters)
    /// The stream is elsewhere; this session ends.
    case redirected(RTSPURL)
    /// Datagrams do not get through; this session ends.
    case blocked
    /// The last event; no failure where the session was ended here.
    case ended(RTSPFailure?, SourceCounters)
}

/// What a session passed over, since its beginning.
public struct SourceCounters: Sendable, Hashable {
    /// All zero.
    public init() {}
    /// RTP packets that never came.
    public var packetsLost: UInt64 = 0
    /// Pictures and sounds dropped because a part of them did not come.
    public var unitsTorn: UInt64 = 0
    /// Packets on channels that no stream was set up for, of other payload types, or torn ones.
    public var framesSkipped: UInt64 = 0
    /// Streams of the description that cannot be recorded (metadata, other codecs), or are a second of their kind.
    public var streamsSkipped: UInt64 = 0
    /// Bytes between messages that are nothing.
    public var noiseBytes: UInt64 = 0
}
