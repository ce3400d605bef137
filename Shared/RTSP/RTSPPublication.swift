// RTSPPublication: the tracks of one source at one media server, on a SocketLoop. Joins the connection, the parser, the session's
// state machine and the track writers; SendWatch and SendClock (OutgoingFlow.swift) and GroupGate decide what goes when.
// Lives on the loop's thread and never waits: a server that reads too slowly costs whole groups of pictures.

import Media

/// What a publication tells its consumer, on the loop's thread: it must not wait there.
public enum RTSPPublicationEvent: Sendable {
    /// Packets are taken from now on; the first that goes is a video keyframe.
    case publishing
    /// At most twice a second, where something was counted.
    case counters(RTSPPublicationCounters)
    /// The last event; no failure where the publication was ended here.
    case ended(RTSPFailure?, RTSPPublicationCounters)
}

/// What became of the packets that a publication was given, since its beginning.
public struct RTSPPublicationCounters: Sendable, Hashable {
    /// Media packets on their way to the server.
    public var packetsSent: UInt64 = 0
    /// Media packets that did not go: before the server took packets, before a keyframe, of dropped groups, of sound that was
    /// not announced.
    public var packetsLeftOut: UInt64 = 0
    /// Groups of pictures cut short or left out because the server reads too slowly.
    public var groupsDropped: UInt64 = 0
}

/// What a publication needs beside its address.
struct RTSPPublicationSettings: Sendable {
    /// One for each track; at least one.
    var tracks: [CodecConfiguration]
    /// What each track's numbers begin with: random.
    var starts: [RTPStart]
    /// How many bytes may wait for the server to read. While more do, groups of pictures are dropped: it is what the latency
    /// of the live stream can grow to, divided by its bit rate.
    var maximumUnsentBytes: Int
    /// The canonical name in the reports (RFC 3550 6.5.1), the same for all publications of this host.
    var canonicalName: String

    /// Settings with random starts.
    init(tracks: [CodecConfiguration], maximumUnsentBytes: Int, canonicalName: String) {
        var generator = SystemRandomNumberGenerator()
        self.tracks = tracks
        starts = tracks.map { _ in RTPStart.random(using: &generator) }
        self.maximumUnsentBytes = maximumUnsentBytes
        self.canonicalName = canonicalName
    }
}

/// One publication.
final class RTSPPublication: ConnectionOwner {
    /// How often reports go: RFC 3550's least interval (6.2). A receiver learns from the first one, which goes at once.
    static let reportNs: Int64 = 5_000_000_000
    /// How often counters are told, at most.
    static let countersNs: Int64 = 500_000_000

    private let url: RTSPURL
    private let user: @Sendable () throws(RTSPFailure) -> RTSPUser?
    private let wallClockNs: @Sendable () -> Int64
    private let tell: @Sendable (RTSPPublicationEvent) -> Void
    private let maximumUnsentBytes: Int
    private let canonicalName: String
    private var parser = RTSPStreamParser()
    private var machine: RTSPPublisherMachine
    private var writers: [RTPTrackWriter]
    private var connection: Connection?
    private var failure: RTSPFailure?
    private var isPublishing = false
    private var gate = GroupGate()
    private var clock = SendClock()
    private var watch = SendWatch()
    private var counted = RTSPPublicationCounters()
    private var told = RTSPPublicationCounters()
    private var nextCountersNs: Int64 = 0
    private var nextReportNs: Int64 = 0

    /// - Parameters:
    ///   - user: asked for when the server asks, so that a changed password works at the next attempt.
    ///   - wallClockNs: nanoseconds since 1970, for the reports.
    init(
        url: RTSPURL, settings: RTSPPublicationSettings, clientNonce: @escaping @Sendable () -> String,
        user: @escaping @Sendable () throws(RTSPFailure) -> RTSPUser?, wallClockNs: @escaping @Sendable () -> Int64,
        tell: @escaping @Sendable (RTSPPublicationEvent) -> Void
    ) {
        let announcement = RTSPAnnouncement(settings.tracks, number: settings.starts.first?.ssrc ?? 0)
        machine = RTSPPublisherMachine(url: url, announcement: announcement, clientNonce: clientNonce)
        // The channels are known when the server has answered.
        writers = zip(zip(settings.tracks, announcement.formats), settings.starts).map { track, start in
            RTPTrackWriter(track.0, format: track.1, channels: (0, 0), start: start)
        }
        self.url = url
        maximumUnsentBytes = settings.maximumUnsentBytes
        canonicalName = settings.canonicalName
        self.user = user
        self.wallClockNs = wallClockNs
        self.tell = tell
    }

    /// What became of the packets so far.
    var counters: RTSPPublicationCounters {
        var counters = counted
        counters.groupsDropped = gate.groupsDropped
        return counters
    }

    /// Whether a packet's track is the one that was announced; pictures of another configuration need a new publication.
    func isAnnounced(_ configuration: CodecConfiguration) -> Bool { track(of: configuration) != nil }

    /// Ends the publication as a server likes it.
    func stop() { carryOut(machine.stop(), 0) }

    /// Sends a packet, or leaves it out and counts it.
    func take(_ packet: MediaPacket, nowNs: Int64) {
        guard isPublishing, let connection else { return leaveOut() }
        guard let track = track(of: packet.configuration) else {
            // Sound that was not announced is no loss for those who watch.
            guard packet.kind == .video else { return leaveOut() }
            return fail("the pictures' parameters changed; the stream must be announced anew", nowNs)
        }
        guard gate.admits(isVideoKeyframe: packet.kind == .video && packet.isKeyframe) else { return leaveOut() }
        guard connection.unsent.count <= maximumUnsentBytes else {
            gate.refused()
            return leaveOut()
        }
        var bytes: [UInt8] = []
        // At once: headers are a fiftieth of what they stand before, and a list that grows is copied with each step.
        bytes.reserveCapacity(packet.sizeBytes + packet.sizeBytes / 32 + 256)
        do throws(MediaError) {
            try writers[track].write(packet, to: &bytes)
        } catch {
            return fail(error.description, nowNs)
        }
        counted.packetsSent += 1
        clock.note(mediaUs: packet.dtsUs, arrivalNs: packet.arrivalNs)
        connection.send(bytes)
    }

    private func track(of configuration: CodecConfiguration) -> Int? {
        writers.firstIndex { $0.configuration == configuration }
    }

    private func leaveOut() { counted.packetsLeftOut += 1 }

    private func fail(_ reason: String, _ nowNs: Int64) {
        carryOut(machine.fail(RTSPFailure(.protocolError, reason)), nowNs)
    }

    // MARK: The connection

    func connected(_ connection: Connection, nowNs: Int64) {
        self.connection = connection
        // The gate holds the bound; beyond it only the one packet that passed it last, and requests and reports, wait.
        connection.maximumUnsentBytes = maximumUnsentBytes + 2 * VideoAssembler.maximumUnitBytes
        carryOut(machine.connected(nowNs: nowNs), nowNs)
    }

    func tick(nowNs: Int64) {
        guard let connection else { return }
        carryOut(machine.tick(nowNs: nowNs), nowNs)
        if watch.isStuck(queuedBytes: connection.bytesQueued, unsentBytes: connection.unsent.count, nowNs: nowNs) {
            let reason = "the media server reads nothing of what is sent to it"
            carryOut(machine.fail(RTSPFailure(.silent, reason)), nowNs)
        }
        if isPublishing { report(connection, nowNs) }
        if counters != told, nowNs >= nextCountersNs {
            told = counters
            nextCountersNs = nowNs + Self.countersNs
            tell(.counters(told))
        }
    }

    func received(_ bytes: UnsafeRawBufferPointer, nowNs: Int64) -> Int {
        parser.all(in: bytes) { step, _ in
            switch step {
            case .response(let response, _): carryOut(machine.received(response, nowNs: nowNs), nowNs)
            case .request(let request, _): carryOut(machine.received(request), nowNs)
            case .failed(let error): fail(error.description, nowNs)
            // The receiver's reports, and what is nothing.
            case .frame, .skip, .needsMore: break
            }
        }
    }

    func ended(_ end: ConnectionEnd, nowNs: Int64) {
        isPublishing = false
        tell(.ended(failure ?? RTSPFailure.of(end, with: .mediaServer, at: url), counters))
    }

    // MARK: The publication

    private func carryOut(_ actions: [RTSPPublisherMachine.Action], _ nowNs: Int64) {
        for action in actions {
            switch action {
            case .send(let bytes): connection?.send(bytes)
            case .needsUser: identify(nowNs)
            case .publishing(let channels):
                for (track, pair) in zip(writers.indices, channels) {
                    writers[track].rtpChannel = pair.rtp
                    writers[track].rtcpChannel = pair.rtcp
                }
                isPublishing = true
                tell(.publishing)
            case .failed(let why): failure = failure ?? why
            case .close:
                isPublishing = false
                connection?.close()
            }
        }
    }

    private func identify(_ nowNs: Int64) {
        do throws(RTSPFailure) {
            guard let user = try user() else {
                throw RTSPFailure(.unauthorized, "the media server asks for a user, and none is configured")
            }
            carryOut(machine.answer(as: user, nowNs: nowNs), nowNs)
        } catch {
            carryOut(machine.fail(error), nowNs)
        }
    }

    /// All tracks at once and by one clock, so that they agree on which sound belongs to which picture. A report that would
    /// wait behind what is unsent would lie.
    private func report(_ connection: Connection, _ nowNs: Int64) {
        guard nowNs >= nextReportNs, connection.unsent.isEmpty, let mediaUs = clock.mediaUs(nowNs: nowNs) else {
            return
        }
        nextReportNs = nowNs + Self.reportNs
        let wallNs = wallClockNs()
        var bytes: [UInt8] = []
        for writer in writers {
            writer.writeReport(name: canonicalName, wallNs: wallNs, mediaUs: mediaUs, to: &bytes)
        }
        connection.send(bytes)
    }
}
