// RTSPClientMachine: one session with a camera, from OPTIONS to TEARDOWN. Pure: messages and times go in, actions come out;
// RTSPStreamParser finds the messages, SocketLoop carries them, RTSPConversation knows what every session has in common.
//
//   connected ─ OPTIONS ─ DESCRIBE ─ described: the owner chooses ─ SETUP for each ─ PLAY ─ playing ─ … stop ─ TEARDOWN
//
// One request is under way at a time. A 401 is answered with the same request and a header; a redirect ends the session, and
// its owner connects to where it leads.

/// A stream that was set up.
public struct RTSPTrack: Sendable, Equatable {
    /// What the description says of it.
    public let media: MediaDescription
    /// The interleaved channel of its RTP packets; its RTCP comes on `rtcpChannel`.
    public let rtpChannel: UInt8
    /// The interleaved channel of its RTCP packets.
    public let rtcpChannel: UInt8
    /// Where the server said it.
    public let ssrc: UInt32?
    /// Its packets come as datagrams; then the channels only name them here.
    public var isDatagrams = false
    /// The server's ports for RTP and RTCP, where it said them.
    public var serverPorts: [UInt16] = []
}

/// A session with one camera.
public struct RTSPClientMachine: Sendable {
    /// What is to be done, in this order.
    public enum Action: Sendable, Equatable {
        case send([UInt8])
        /// The server asks for a user: `answer(as:)`, or `stop` where there is none.
        case needsUser
        /// What the camera offers: `setUp(media:)` says which of it is wanted.
        case described(SessionDescription)
        /// The camera sends no packets inside the connection: `setUp` again, with ports for datagrams.
        case needsDatagrams
        /// Packets of these may come with the next bytes; PLAY is not answered yet.
        case expecting([RTSPTrack])
        /// Where the streams begin, by the camera's word.
        case beginning([RTSPStart])
        /// From now on packets come.
        case playing([RTSPTrack])
        /// The stream is elsewhere: connect there. This session is over.
        case redirected(RTSPURL)
        case failed(RTSPFailure)
        /// Nothing more is to be said on this connection.
        case close
    }

    /// A camera that takes longer to answer is not there any more.
    public static let answerNs: Int64 = 10_000_000_000

    private enum Step: Sendable {
        case options, describe, setUp(Int), play
    }

    private typealias Question = RTSPConversation<Step>.Question

    private let url: RTSPURL
    private var conversation: RTSPConversation<Step>
    private var base: String?
    private var sdp: SessionDescription?
    private var wanted: [Int] = []
    private var tracks: [RTSPTrack] = []
    private var ports: [(UInt16, UInt16)] = []
    private var hasChangedTransport = false

    /// - Parameters:
    ///   - url: of the camera's stream.
    ///   - clientNonce: gives new random letters with each call.
    public init(url: RTSPURL, clientNonce: @escaping @Sendable () -> String) {
        self.url = url
        conversation = RTSPConversation(url: url, peer: .camera, answerNs: Self.answerNs, clientNonce: clientNonce)
    }

    // MARK: From the owner

    /// The connection stands.
    public mutating func connected(nowNs: Int64) -> [Action] {
        ask(.options, Question(method: "OPTIONS", uri: url.text), nowNs)
    }

    /// The user that `needsUser` asked for. Kept until the connection ends.
    public mutating func answer(as user: RTSPUser, nowNs: Int64) -> [Action] {
        conversation.answer(as: user, nowNs: nowNs).map { [.send($0)] } ?? []
    }

    /// Sets up those streams of the description, by their places in it.
    ///
    /// - Parameter ports: for datagrams, a pair for each stream; empty: the packets come inside the connection.
    public mutating func setUp(media: [Int], ports: [(UInt16, UInt16)] = [], nowNs: Int64) -> [Action] {
        guard !conversation.isOver, let sdp else { return [] }
        self.ports = ports.count >= media.count ? ports : []
        tracks = []
        wanted = media.filter(sdp.media.indices.contains)
        guard !wanted.isEmpty else {
            return fail(
                RTSPFailure(
                    .protocolError, "the camera offers no pictures that can be recorded (H.264, H.265 or MJPEG)"))
        }
        return setUp(0, sdp, nowNs)
    }

    /// Ends the session, so that the camera has room for the next one.
    public mutating func stop() -> [Action] {
        guard !conversation.isOver else { return [] }
        return goodbye() + [.close]
    }

    /// To be called several times a second.
    public mutating func tick(nowNs: Int64) -> [Action] { carryOut(conversation.tick(nowNs: nowNs), nowNs) }

    // MARK: From the camera

    /// A response came.
    public mutating func received(_ response: RTSPResponse, nowNs: Int64) -> [Action] {
        carryOut(conversation.heard(response, nowNs: nowNs), nowNs)
    }

    /// A request of the camera came; it gets an answer.
    public mutating func received(_ request: RTSPRequest) -> [Action] {
        conversation.answer(to: request).map { [.send($0)] } ?? []
    }

    private mutating func carryOut(_ outcome: RTSPConversation<Step>.Outcome, _ nowNs: Int64) -> [Action] {
        switch outcome {
        case .nothing: return []
        case .send(let bytes): return [.send(bytes)]
        case .needsUser: return [.needsUser]
        case .redirected(let target): return goodbye() + [.redirected(target), .close]
        case .failed(let failure): return fail(failure)
        case .answered(.options, let response):
            // It only tells what else can be asked: a camera that refuses it may serve all the same.
            conversation.learn(response)
            let question = Question(method: "DESCRIBE", uri: url.text, headers: [("Accept", "application/sdp")])
            return ask(.describe, question, nowNs)
        case .answered(.describe, let response): return described(response)
        case .answered(.setUp(let index), let response): return setUpAnswered(index, response, nowNs)
        case .answered(.play, let response):
            guard response.isSuccess else { return fail(.refused("PLAY", response, by: .camera)) }
            conversation.keepAlive(nowNs: nowNs)
            let starts = RTSPStart.all(in: response.headers["RTP-Info"] ?? "")
            return (starts.isEmpty ? [] : [.beginning(starts)]) + [.playing(tracks)]
        }
    }

    private mutating func described(_ response: RTSPResponse) -> [Action] {
        guard response.isSuccess else { return fail(.refused("DESCRIBE", response, by: .camera)) }
        base = response.headers["Content-Base"] ?? response.headers["Content-Location"]
        let description = SessionDescription(response.body)
        sdp = description
        conversation.aggregateURI = url.joining(control: description.control, base: base)
        guard !description.media.isEmpty else {
            return fail(RTSPFailure(.protocolError, "the camera describes no streams"))
        }
        return [.described(description)]
    }

    private mutating func setUp(_ index: Int, _ sdp: SessionDescription, _ nowNs: Int64) -> [Action] {
        let channels = RTSPTransport.channels(ofTrack: index)
        let transport =
            ports.isEmpty
            ? "RTP/AVP/TCP;unicast;interleaved=\(channels.0)-\(channels.1)"
            : "RTP/AVP;unicast;client_port=\(ports[index].0)-\(ports[index].1)"
        let question = Question(
            method: "SETUP", uri: url.joining(control: sdp.media[wanted[index]].control, base: base),
            headers: [("Transport", transport)])
        return ask(.setUp(index), question, nowNs)
    }

    private mutating func setUpAnswered(_ index: Int, _ response: RTSPResponse, _ nowNs: Int64) -> [Action] {
        guard let sdp, index < wanted.count else { return fail(.refused("SETUP", response, by: .camera)) }
        let isLast = index + 1 == wanted.count
        // Unsupported Transport: the other one, once.
        let isSound = sdp.media[wanted[index]].kind == "audio"
        if response.status == 461, !isSound, tracks.isEmpty, !hasChangedTransport {
            hasChangedTransport = true
            guard !ports.isEmpty else { return [.needsDatagrams] }
            ports = []
            return setUp(index, sdp, nowNs)
        }
        guard response.isSuccess else {
            // Cameras describe sound that they do not have; pictures do without it.
            let isDispensable = isSound && !response.refusesSession
            guard isDispensable, !isLast || !tracks.isEmpty else {
                return fail(.refused("SETUP", response, by: .camera))
            }
            return isLast ? play(nowNs) : setUp(index + 1, sdp, nowNs)
        }
        let transport = RTSPTransport(response.headers["Transport"] ?? "")
        // The server's channels count; one that names none took ours.
        let isDatagrams = !ports.isEmpty && !transport.isInterleaved
        let asked = RTSPTransport.channels(ofTrack: index)
        let channels = isDatagrams ? asked : transport.channels ?? asked
        tracks.append(
            RTSPTrack(
                media: sdp.media[wanted[index]], rtpChannel: channels.0, rtcpChannel: channels.1, ssrc: transport.ssrc,
                isDatagrams: isDatagrams, serverPorts: transport.serverPorts))
        return isLast ? play(nowNs) : setUp(index + 1, sdp, nowNs)
    }

    private mutating func play(_ nowNs: Int64) -> [Action] {
        let question = Question(
            method: "PLAY", uri: conversation.aggregateURI, headers: [("Range", "npt=0.000-")])
        return [.expecting(tracks)] + ask(.play, question, nowNs)
    }

    private mutating func ask(_ step: Step, _ question: Question, _ nowNs: Int64) -> [Action] {
        [.send(conversation.ask(step, question, nowNs: nowNs))]
    }

    private mutating func goodbye() -> [Action] { conversation.goodbye().map { [.send($0)] } ?? [] }

    private mutating func fail(_ failure: RTSPFailure) -> [Action] { goodbye() + [.failed(failure), .close] }
}
