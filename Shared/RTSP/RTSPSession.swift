// RTSPSession: one camera on a SocketLoop. Joins the connection, the parser, the session's state machine and the track readers;
// decides nothing itself. Lives on the loop's thread.

import Media

/// One camera.
final class RTSPSession: ConnectionOwner {
    /// Bytes that the kernel gathers while packets come: the loop reads every 100 ms, and in between only what is more than a
    /// camera of 4 Mbit/s sends in that time, a keyframe.
    static let lowWaterBytes = 64 << 10
    /// A live view waits no longer for a packet that is here: half a frame of 25 a second.
    static let livePaceNs: Int64 = 20_000_000
    /// So long after PLAY each packet is wanted at once: the first ones tell when the session's pictures were taken.
    static let promptNs: Int64 = 2_000_000_000

    /// How often the camera hears how its packets arrive; RFC 3550 section 6.2 names 5 s as the least.
    static let reportNs: Int64 = 5_000_000_000
    /// Datagrams of which none came so long after PLAY are blocked on the way; cameras send within a second.
    static let blockedNs: Int64 = 3_000_000_000
    /// The first picture is handed on after so much silence, though nothing shows yet that it is whole: the packets of one picture
    /// follow each other within milliseconds, and of a camera with one picture a second it must not wait for the second.
    static let settleNs: Int64 = 100_000_000

    private let url: RTSPURL
    private var settings: RTSPSessionSettings
    private let user: @Sendable () throws(RTSPFailure) -> RTSPUser?
    private let tell: @Sendable (SourceEvent) -> Void
    private var parser = RTSPStreamParser()
    private var machine: RTSPClientMachine
    private var connection: Connection?
    private var failure: RTSPFailure?
    private var tracks: [RTSPTrack] = []
    /// One for each track. They are large: changed where they lie, never copied.
    private var readers: [RTSPTrackReader] = []
    /// Channels of the tracks' RTP and RTCP packets.
    private var channels: (rtp: [UInt8], rtcp: [UInt8]) = ([], [])
    private var video: RTSPVideoTime?
    /// The memory of `deliver`'s list.
    private var spare: [MediaPacket] = []
    private var passedOver = SourceCounters()
    private var told = SourceCounters()
    private var silence: RTSPSilence?
    private var nextReportNs = Int64.max
    private var gathersFromNs = Int64.max
    private var chosen: [Int] = []
    private var blockedAtNs = Int64.max

    /// - Parameters:
    ///   - user: asked when the camera asks, so that a changed password works at the next attempt.
    init(
        url: RTSPURL, settings: RTSPSessionSettings, user: @escaping @Sendable () throws(RTSPFailure) -> RTSPUser?,
        tell: @escaping @Sendable (SourceEvent) -> Void
    ) {
        machine = RTSPClientMachine(url: url, clientNonce: settings.clientNonce)
        self.url = url
        self.settings = settings
        self.user = user
        self.tell = tell
    }

    /// Ends the session as a camera likes it.
    func stop() { carryOut(machine.stop(), 0) }

    // MARK: The connection

    func connected(_ connection: Connection, nowNs: Int64) {
        self.connection = connection
        settings.follow?(.connected(connection.peer?.text ?? url.hostAndPort))
        carryOut(machine.connected(nowNs: nowNs), nowNs)
    }

    func tick(nowNs: Int64) {
        guard connection != nil else { return }
        carryOut(machine.tick(nowNs: nowNs), nowNs)
        if let words = silence?.verdict(nowNs: nowNs) {
            silence = nil
            end(RTSPFailure(.silent, words), nowNs)
        }
        for index in tracks.indices where tracks[index].isDatagrams {
            deliver { readers[index].expire(nowNs: nowNs, video: video, deliver: $0) }
        }
        if nowNs >= gathersFromNs {
            if !settings.isLive { connection?.setLowWater(bytes: Self.lowWaterBytes) }
            connection?.paceNs = settings.isLive ? Self.livePaceNs : 0
        }
        for index in readers.indices where readers[index].kind == .video {
            deliver { readers[index].settle(beforeNs: nowNs - Self.settleNs, video: video, deliver: $0) }
        }
        if nowNs >= blockedAtNs, silence?.hasPackets == false {
            blockedAtNs = .max
            tell(.blocked)
            carryOut(machine.stop(), nowNs)
        }
        guard nowNs >= nextReportNs else { return }
        nextReportNs = nowNs + Self.reportNs
        tellCounters()
        for (index, track) in tracks.enumerated() { send(readers[index].receiverReport(nowNs: nowNs), on: track) }
    }

    private func tellCounters() {
        let now = counters
        guard now != told else { return }
        told = now
        tell(.counted(now))
    }

    private func send(_ report: [UInt8], on track: RTSPTrack) {
        if !track.isDatagrams {
            connection?.send(RTSPStreamParser.frame(report, channel: track.rtcpChannel))
        } else if track.serverPorts.count > 1 {
            connection?.sendDatagram(report, channel: track.rtcpChannel, to: track.serverPorts[1])
        }
    }

    func received(datagram bytes: UnsafeRawBufferPointer, channel: UInt8, nowNs: Int64) {
        take(bytes, channel: channel, nowNs)
    }

    private func end(_ why: RTSPFailure, _ nowNs: Int64) {
        failure = failure ?? why
        carryOut(machine.stop(), nowNs)
    }

    /// From now on each packet is wanted at once, or not any more.
    func setLive(_ isLive: Bool) {
        settings.isLive = isLive
        if isLive { connection?.setLowWater(bytes: 1) }
    }

    func received(_ bytes: UnsafeRawBufferPointer, nowNs: Int64) -> Int {
        parser.all(in: bytes) { step, bytes in
            switch step {
            case .needsMore: break
            case .frame(let channel, let payload, _):
                take(UnsafeRawBufferPointer(rebasing: bytes[payload]), channel: channel, nowNs)
            case .response(let response, _): carryOut(machine.received(response, nowNs: nowNs), nowNs)
            case .request(let request, _): carryOut(machine.received(request), nowNs)
            case .skip(let count, let isNoise):
                guard isNoise else { return }
                passedOver.noiseBytes += UInt64(count)
                settings.follow?(.noise(Array(bytes.prefix(min(count, SessionStep.noiseBytes)))))
            case .failed(let error):
                failure = failure ?? RTSPFailure(.protocolError, "the camera sent what is no message: \(error)")
                connection?.close()
            }
        }
    }

    func drained(nowNs: Int64) { tell(.drained) }

    func ended(_ end: ConnectionEnd, nowNs: Int64) {
        for index in readers.indices {
            deliver { readers[index].flush(arrivalNs: nowNs, video: video, deliver: $0) }
        }
        settings.follow?(.disconnected(end))
        tell(.ended(failure ?? RTSPFailure.of(end, with: .camera, at: url), counters))
    }

    // MARK: The session

    private func carryOut(_ actions: [RTSPClientMachine.Action], _ nowNs: Int64) {
        for action in actions {
            switch action {
            case .send(let bytes): connection?.send(bytes)
            case .needsUser: identify(nowNs)
            case .described(let description):
                settings.follow?(.described(description))
                chosen = choose(description)
                setUp(overDatagrams: settings.prefersDatagrams, nowNs)
            case .needsDatagrams: setUp(overDatagrams: true, nowNs)
            case .expecting(let tracks): begin(tracks)
            case .beginning(let starts): for index in readers.indices { readers[index].note(starts) }
            case .playing(let tracks):
                silence = RTSPSilence(sinceNs: nowNs, allowedNs: settings.silenceNs)
                if tracks.contains(where: \.isDatagrams) { awaitDatagrams(nowNs) }
                nextReportNs = nowNs + Self.reportNs
                tell(.playing(tracks))
                gathersFromNs = nowNs + Self.promptNs
            case .redirected(let url): tell(.redirected(url))
            case .failed(let why): failure = failure ?? why
            case .close: connection?.close()
            }
        }
    }

    /// Sets up what was chosen. Over TLS nothing leaves the connection: datagrams would show the pictures to everybody.
    private func setUp(overDatagrams: Bool, _ nowNs: Int64) {
        var ports: [(UInt16, UInt16)] = []
        if overDatagrams, !url.isSecure, let connection {
            do throws(SocketError) {
                for track in chosen.indices {
                    ports.append(try connection.openDatagrams(channel: RTSPTransport.channels(ofTrack: track).0))
                }
            } catch {
                return end(RTSPFailure(.protocolError, "no ports for datagrams can be opened: \(error)"), nowNs)
            }
        }
        carryOut(machine.setUp(media: chosen, ports: ports, nowNs: nowNs), nowNs)
    }

    /// A word from each of our ports opens the way back through what stands between; then packets have to come.
    private func awaitDatagrams(_ nowNs: Int64) {
        blockedAtNs = nowNs + Self.blockedNs
        for track in tracks where track.isDatagrams {
            for (channel, port) in zip([track.rtpChannel, track.rtcpChannel], track.serverPorts) where port > 0 {
                connection?.sendDatagram([0x80, 0xC9, 0, 1, 0, 0, 0, 0], channel: channel, to: port)
            }
        }
    }

    private func identify(_ nowNs: Int64) {
        settings.follow?(.asksForUser)
        do throws(RTSPFailure) {
            guard let user = try user() else {
                throw RTSPFailure(.unauthorized, "the camera asks for a user, and none is configured")
            }
            carryOut(machine.answer(as: user, nowNs: nowNs), nowNs)
        } catch {
            end(error, nowNs)
        }
    }

    /// The first stream of pictures and the first of sound that can be read.
    private func choose(_ description: SessionDescription) -> [Int] {
        var kinds: Set<TrackKind> = settings.wantsAudio ? [] : [.audio]
        let chosen = description.media.indices.filter { index in
            guard let reader = reader(description.media[index]) else { return false }
            return kinds.insert(reader.kind).inserted
        }
        passedOver.streamsSkipped += UInt64(description.media.count - chosen.count)
        // Sound alone is no footage.
        return kinds.contains(.video) ? chosen : []
    }

    private func reader(_ media: MediaDescription, isInOrder: Bool = true) -> RTSPTrackReader? {
        RTSPTrackReader(media, isInOrder: isInOrder, ssrc: settings.ssrc)
    }

    /// Some cameras send the first packets before they answer PLAY.
    private func begin(_ tracks: [RTSPTrack]) {
        let read = tracks.compactMap { track in
            reader(track.media, isInOrder: !track.isDatagrams).map { (track, $0) }
        }
        self.tracks = read.map(\.0)
        readers = read.map(\.1)
        channels = (self.tracks.map(\.rtpChannel), self.tracks.map(\.rtcpChannel))
    }

    private func take(_ bytes: UnsafeRawBufferPointer, channel: UInt8, _ nowNs: Int64) {
        if let index = channels.rtp.firstIndex(of: channel) {
            if video == nil, readers[index].kind == .audio { settle() }
            var isKnown = false
            deliver { isKnown = readers[index].take(bytes, arrivalNs: nowNs, video: video, deliver: $0) }
            guard isKnown else {
                passedOver.framesSkipped += 1
                return
            }
            if silence?.hasPackets == false { settings.follow?(.media) }
            silence?.packet()
        } else if let index = channels.rtcp.firstIndex(of: channel) {
            if readers[index].takeControl(bytes, arrivalNs: nowNs) {
                end(RTSPFailure(.silent, "the camera ended the stream (RTCP BYE)"), nowNs)
            }
        } else {
            passedOver.framesSkipped += 1
        }
    }

    /// The first sound is placed beside the first picture.
    private func settle() {
        for index in readers.indices where readers[index].kind == .video {
            deliver { readers[index].settle(video: nil, deliver: $0) }
        }
    }

    /// Tells of the packets that `make` hands on, once no reader is being changed any more.
    private func deliver(_ make: ((MediaPacket) -> Void) -> Void) {
        var packets: [MediaPacket] = []
        swap(&packets, &spare)
        make { packets.append($0) }
        for packet in packets {
            if packet.kind == .video {
                // By index: a closure that takes a reader takes a copy of all that it holds.
                let pictures = readers.indices.first { readers[$0].kind == .video }
                video = RTSPVideoTime(
                    packet, after: video, zeroWallUs: pictures.flatMap { readers[$0].zeroWallUs },
                    statedZeroUs: pictures.flatMap { readers[$0].statedZeroUs })
                silence?.picture(atNs: packet.arrivalNs)
                if packet.startsNewTimeline { for index in readers.indices { readers[index].realign() } }
                tellTime(of: packet)
            }
            tell(.packet(packet))
        }
        packets.removeAll(keepingCapacity: true)
        swap(&packets, &spare)
    }

    /// Tells what the camera's own clock showed at a picture.
    private func tellTime(of picture: MediaPacket) {
        guard let follow = settings.follow, let zeroUs = video?.zeroWallUs else { return }
        follow(.pictureTime(wallUs: zeroUs &+ picture.ptsUs &- RTCPPacket.ntpEpochSeconds * 1_000_000))
    }

    /// What was passed over so far.
    private var counters: SourceCounters {
        var counters = passedOver
        for reader in readers {
            counters.packetsLost += reader.packetsLost
            counters.unitsTorn += reader.unitsTorn
        }
        return counters
    }
}
