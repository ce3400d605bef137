// The cases that cameras in the field were hardest in: each is a camera (FakeCamera) with one habit, and the verdict is always
// that what was received is what was sent minus what the camera declares lost. This file has what the cases share.
//
//   SessionCases, AuthenticationCases, KeepaliveCases     connections, users, requests
//   DescriptionCases, InterleavingCases                   descriptions as brands write them; what lies between the frames
//   TimeCases, OrderCases                                 RTP numbers and times; pictures in another order than they are shown
//   PayloadCases, CodecCases, SoundCases                  payloads, parameter sets, sound
//   ReportCases                                           RTCP in both directions
//   AnyCameraCases                                        habits at random, many at once
//   FakeCameraTests                                       the camera and the verdict themselves

import FakeCamera
import Foundation
import Media
import Testing

@testable import RTSP

/// What a session told.
struct Played: Sendable {
    var tracks: [RTSPTrack] = []
    var packets: [MediaPacket] = []
    var redirected: RTSPURL?
    var isBlocked = false
    var failure: RTSPFailure?
    var counters = SourceCounters()
    var hasEnded = false

    func packets(_ kind: TrackKind) -> [MediaPacket] { packets.filter { $0.kind == kind } }
    /// The words of the failure; empty without one.
    var words: String { failure?.description ?? "" }
}

/// One session with a camera, from the connection to its end. Belongs to one test.
final class Viewer {
    private let loop: SocketLoop
    private let id: ConnectionID
    private var events: AsyncStream<SourceEvent>.Iterator
    private(set) var played = Played()

    init(
        _ url: String, user: RTSPUser? = nil, loop: SocketLoop? = nil,
        settings: RTSPSessionSettings = .patient
    ) throws {
        let url = try #require(RTSPURL(url))
        self.loop = try loop ?? SocketLoop(name: "viewer")
        let (stream, tell) = AsyncStream.makeStream(of: SourceEvent.self)
        events = stream.makeAsyncIterator()
        id = self.loop.connect(
            host: url.host, port: url.port, connectNs: 10_000_000_000,
            maximumMessageBytes: RTSPStreamParser.maximumMessageBytes
        ) {
            RTSPSession(url: url, settings: settings, user: { () throws(RTSPFailure) in user }) { event in
                tell.yield(event)
                if case .ended = event { tell.finish() }
            }
        }
    }

    deinit { loop.stop() }

    /// Waits for the next event; false after the last one.
    private func step() async -> Bool {
        guard let event = await events.next() else { return false }
        switch event {
        case .playing(let tracks): played.tracks = tracks
        case .packet(let packet): played.packets.append(packet)
        case .drained: break
        case .counted(let counters): played.counters = counters
        case .redirected(let url): played.redirected = url
        case .blocked: played.isBlocked = true
        case .ended(let failure, let counters):
            (played.failure, played.counters, played.hasEnded) = (failure, counters, true)
        }
        return true
    }

    /// Waits until it plays.
    func untilPlaying() async { while played.tracks.isEmpty, await step() {} }

    /// Waits until so many packets came.
    func until(packets: Int) async { while played.packets.count < packets, await step() {} }

    /// Waits until the session ended.
    func untilEnd() async -> Played {
        while await step() {}
        return played
    }

    /// The session's own end, on the loop's thread.
    func stop() { loop.with(id) { _, owner in (owner as? RTSPSession)?.stop() } }

    /// Lets the session believe that it is so much later.
    func tick(secondsFromNow seconds: Int64) {
        loop.with(id) { _, owner in owner.tick(nowNs: Self.nowNs + seconds * 1_000_000_000) }
    }

    /// Ends the connection without the session's doing; its last event comes all the same.
    func cut() { loop.with(id) { connection, _ in connection.close() } }

    private static var nowNs: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

extension RTSPSessionSettings {
    /// Waits for ever for a picture: the cases move the clock by minutes.
    static var patient: RTSPSessionSettings {
        var settings = RTSPSessionSettings()
        settings.silenceNs = .max
        return settings
    }
}

/// Plays all that a camera sends.
func play(
    _ camera: FakeCamera, user: RTSPUser? = nil
) async throws -> Played {
    try await Viewer(camera.url, user: user).untilEnd()
}

/// Plays all that a camera with this scenario sends, and checks that all of its first stream came. For cases that are about
/// nothing but that.
@discardableResult
func playAndCheck(
    _ scenario: Scenario, areTimesExact: Bool = true, sourceLocation: SourceLocation = #_sourceLocation
) async throws -> (Played, CameraRecord) {
    let camera = try FakeCamera(scenario)
    let played = try await play(camera)
    let kind: TrackKind = [.aac, .pcmu, .pcma].contains(scenario.streams[0].format) ? .audio : .video
    check(played, camera, kind, areTimesExact: areTimesExact, sourceLocation: sourceLocation)
    return (played, camera.record)
}

/// The verdict: received is sent minus declared loss, in order, keyframes where they were sent, and times that grow.
///
/// - Parameter areTimesExact: distances between times are those that were sent; false where the camera's clock jumps.
func check(
    _ played: Played, _ camera: FakeCamera, _ kind: TrackKind = .video, stream: Int = 0, session: Int = 0,
    from first: Int = 0, areTimesExact: Bool = true, sourceLocation: SourceLocation = #_sourceLocation
) {
    let sent = camera.record.expected(stream: stream, session: session).filter { $0.number >= first }
    let complaints = complaints(played.packets(kind), sent, areTimesExact: areTimesExact)
    #expect(complaints == [], "\(played.words)", sourceLocation: sourceLocation)
}

/// What is wrong with packets that should be these units.
func complaints(_ packets: [MediaPacket], _ sent: [SentUnit], areTimesExact: Bool) -> [String] {
    guard !sent.isEmpty else { return ["nothing was sent"] }
    let byHash = Dictionary(sent.map { ($0.hash, $0.number) }) { first, _ in first }
    let numbers = packets.map { byHash[contentHash(kept($0))] ?? -1 }
    guard numbers == sent.map(\.number) else {
        let missing = Set(sent.map(\.number)).subtracting(numbers).sorted()
        let strange = numbers.indices.filter { numbers[$0] < 0 }
        if missing.isEmpty, strange.isEmpty { return ["out of order, or twice: \(numbers)"] }
        return ["\(missing.count) missing: \(missing.prefix(20)); not as sent, by place: \(strange.prefix(20))"]
    }
    var complaints: [String] = []
    let keys = zip(packets, sent).filter { $0.isKeyframe != $1.isKeyframe }.map(\.1.number)
    if !keys.isEmpty { complaints.append("keyframes are not those that were sent: \(keys)") }
    let steps = zip(packets, packets.dropFirst()).enumerated().filter {
        $1.1.dtsTicks <= $1.0.dtsTicks && !$1.1.startsNewTimeline
    }
    if !steps.isEmpty { complaints.append("decoding times do not grow behind \(steps.map(\.offset))") }
    guard areTimesExact else { return complaints }
    let wrong = zip(packets, sent).filter { $0.ptsTicks - packets[0].ptsTicks != $1.ticks - sent[0].ticks }
    if !wrong.isEmpty { complaints.append("times are not those that were sent: \(wrong.map(\.1.number))") }
    return complaints
}

/// What `SentUnit.hash` is of: of a JPEG picture its tables and its scan, of others all bytes.
func kept(_ packet: MediaPacket) -> [UInt8] {
    let bytes = packet.bytes.array
    guard packet.configuration.codec == .mjpeg else { return bytes }
    var kept: [UInt8] = []
    var index = 2
    while index + 4 <= bytes.count, bytes[index] == 0xFF {
        let end = index + 2 + (Int(bytes[index + 2]) << 8 | Int(bytes[index + 3]))
        guard end <= bytes.count else { break }
        if bytes[index + 1] == 0xDB { kept += bytes[index + 5..<end] }
        if bytes[index + 1] == 0xDA { return kept + bytes[end..<bytes.count - 2] }
        index = end
    }
    return []
}
