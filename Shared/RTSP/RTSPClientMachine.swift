// RTSPClientMachine: one session with a camera, from OPTIONS to TEARDOWN. Pure: messages and times go in, actions come out;
// RTSPStreamParser finds the messages, SocketLoop carries them.
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

    private enum Step: Sendable, Equatable {
        case options, describe, setUp(Int), play, keepalive(RTSPKeepalive)
    }

    private struct Pending: Sendable {
        let step: Step
        let request: RTSPRequest
        let cseq: Int
        let sentNs: Int64
    }

    private let url: RTSPURL
    private let clientNonce: @Sendable () -> String
    private var authenticator = RTSPAuthenticator()
    private var user: RTSPUser?
    private var pending: Pending?
    private var nextCSeq = 1
    private var session: RTSPSessionID?
    private var base: String?
    private var sdp: SessionDescription?
    private var wanted: [Int] = []
    private var tracks: [RTSPTrack] = []
    private var ways: [RTSPKeepalive] = []
    private var nextKeepaliveNs: Int64?
    private var isOver = false

    /// - Parameters:
    ///   - url: of the camera's stream.
    ///   - clientNonce: gives new random letters with each call.
    public init(url: RTSPURL, clientNonce: @escaping @Sendable () -> String) {
        self.url = url
        self.clientNonce = clientNonce
    }

    // MARK: From the owner

    /// The connection stands.
    public mutating func connected(nowNs: Int64) -> [Action] { send(.options, nowNs) }

    /// The user that `needsUser` asked for. Kept until the connection ends.
    public mutating func answer(as user: RTSPUser, nowNs: Int64) -> [Action] {
        self.user = user
        guard !isOver, let pending else { return [] }
        return send(pending.step, nowNs)
    }

    /// Sets up those streams of the description, by their places in it.
    public mutating func setUp(media: [Int], nowNs: Int64) -> [Action] {
        guard !isOver, let sdp else { return [] }
        wanted = media.filter(sdp.media.indices.contains)
        guard !wanted.isEmpty else {
            return fail(RTSPFailure(.protocolError, "the camera offers no stream that can be recorded"), nowNs)
        }
        return send(.setUp(0), nowNs)
    }

    /// Ends the session, so that the camera has room for the next one.
    public mutating func stop(nowNs: Int64) -> [Action] {
        guard !isOver else { return [] }
        isOver = true
        guard session != nil else { return [.close] }
        return [.send(encoded("TEARDOWN", uri: aggregateURI)), .close]
    }

    /// To be called several times a second.
    public mutating func tick(nowNs: Int64) -> [Action] {
        guard !isOver else { return [] }
        if let pending, nowNs - pending.sentNs >= Self.answerNs {
            // Some cameras never answer a keepalive; whether packets come says more.
            guard case .keepalive = pending.step else {
                return fail(RTSPFailure(.silent, "the camera does not answer \(pending.request.method)"), nowNs)
            }
            self.pending = nil
        }
        guard let due = nextKeepaliveNs, nowNs >= due, pending == nil, let way = ways.first else { return [] }
        return send(.keepalive(way), nowNs)
    }

    // MARK: From the camera

    /// A response came.
    public mutating func received(_ response: RTSPResponse, nowNs: Int64) -> [Action] {
        // One that answers something else is none of ours; one that does not say answers what is asked.
        guard !isOver, let pending, response.cseq == nil || response.cseq == pending.cseq, response.status >= 200 else {
            return []
        }
        if let told = response.headers["Session"].flatMap(RTSPSessionID.init) { session = told }
        switch response.status {
        case 401: return challenged(pending, response, nowNs)
        case 301, 302, 303, 305:
            guard case .keepalive = pending.step else { return redirect(response, nowNs) }
        default: break
        }
        self.pending = nil
        authenticator.accepted()
        switch pending.step {
        case .options: return optionsAnswered(response, nowNs)
        case .describe: return described(pending, response, nowNs)
        case .setUp(let index): return setUpAnswered(index, response, nowNs)
        case .play: return playAnswered(response, nowNs)
        case .keepalive(let way): return keepaliveAnswered(way, response, nowNs)
        }
    }

    /// A request of the camera came; it gets an answer.
    public mutating func received(_ request: RTSPRequest, nowNs: Int64) -> [Action] {
        guard !isOver else { return [] }
        var headers = RTSPHeaders()
        if let cseq = request.headers["CSeq"] { headers.add("CSeq", cseq) }
        let isKnown = ["OPTIONS", "GET_PARAMETER", "SET_PARAMETER"].contains(request.method)
        let answer = RTSPResponse(
            status: isKnown ? 200 : 501, reason: isKnown ? "OK" : "Not Implemented", headers: headers)
        return [.send(answer.encoded)]
    }

    private mutating func challenged(_ pending: Pending, _ response: RTSPResponse, _ nowNs: Int64) -> [Action] {
        switch authenticator.challenged(response.headers) {
        case .refused: return fail(.refused(pending.request.method, response), nowNs)
        case .notUnderstood(let words):
            let reason = "the camera asks for an authentication that is not spoken here: \(words)"
            return fail(RTSPFailure(.unauthorized, reason), nowNs)
        case .answer: return user == nil ? [.needsUser] : send(pending.step, nowNs)
        }
    }

    private mutating func redirect(_ response: RTSPResponse, _ nowNs: Int64) -> [Action] {
        guard let target = response.headers["Location"].flatMap(url.redirected) else {
            return fail(
                RTSPFailure(
                    .protocolError, "the camera redirects to where it may not be followed (\(response.status))"),
                nowNs)
        }
        return stop(nowNs: nowNs).filter { $0 != .close } + [.redirected(target), .close]
    }

    /// OPTIONS only tells what else can be asked: a camera that refuses it may serve all the same.
    private mutating func optionsAnswered(_ response: RTSPResponse, _ nowNs: Int64) -> [Action] {
        ways = RTSPKeepalive.ways(publicMethods: response.headers["Public"])
        return send(.describe, nowNs)
    }

    private mutating func described(_ pending: Pending, _ response: RTSPResponse, _ nowNs: Int64) -> [Action] {
        guard response.isSuccess else { return fail(.refused(pending.request.method, response), nowNs) }
        base = response.headers["Content-Base"] ?? response.headers["Content-Location"]
        let description = SessionDescription(response.body)
        sdp = description
        guard !description.media.isEmpty else {
            return fail(RTSPFailure(.protocolError, "the camera describes no streams"), nowNs)
        }
        return [.described(description)]
    }

    private mutating func setUpAnswered(_ index: Int, _ response: RTSPResponse, _ nowNs: Int64) -> [Action] {
        guard response.isSuccess, let sdp, index < wanted.count else { return fail(.refused("SETUP", response), nowNs) }
        let transport = RTSPTransport(response.headers["Transport"] ?? "")
        // The server's channels count; one that names none took ours.
        let asked = Self.channels(of: index)
        let channels = transport.channels ?? asked
        tracks.append(
            RTSPTrack(
                media: sdp.media[wanted[index]], rtpChannel: channels.0, rtcpChannel: channels.1, ssrc: transport.ssrc))
        return send(index + 1 < wanted.count ? .setUp(index + 1) : .play, nowNs)
    }

    private mutating func playAnswered(_ response: RTSPResponse, _ nowNs: Int64) -> [Action] {
        guard response.isSuccess else { return fail(.refused("PLAY", response), nowNs) }
        scheduleKeepalive(nowNs)
        return [.playing(tracks)]
    }

    private mutating func keepaliveAnswered(
        _ way: RTSPKeepalive, _ response: RTSPResponse, _ nowNs: Int64
    ) -> [Action] {
        if response.status == 454 { return fail(.refused(way.rawValue, response), nowNs) }
        // Refused: the next way, at once. With none left the packets themselves have to do.
        if !response.isSuccess {
            ways.removeAll { $0 == way }
            if let next = ways.first { return send(.keepalive(next), nowNs) }
        }
        return []
    }

    // MARK: Requests

    private static func channels(of index: Int) -> (UInt8, UInt8) {
        let first = UInt8(truncatingIfNeeded: index * 2)
        return (first, first &+ 1)
    }

    private var aggregateURI: String { url.joining(control: sdp?.control, base: base) }

    private mutating func scheduleKeepalive(_ nowNs: Int64) {
        nextKeepaliveNs = nowNs + Int64(session?.timeoutS ?? 60) * 1_000_000_000 / 2
    }

    private mutating func send(_ step: Step, _ nowNs: Int64) -> [Action] {
        let cseq = nextCSeq
        var extra: [(String, String)] = []
        let method: String
        var uri = url.text
        switch step {
        case .options: method = "OPTIONS"
        case .describe:
            method = "DESCRIBE"
            extra = [("Accept", "application/sdp")]
        case .setUp(let index):
            method = "SETUP"
            let media = sdp.flatMap { index < wanted.count ? $0.media[wanted[index]] : nil }
            uri = url.joining(control: media?.control, base: base)
            let channels = Self.channels(of: index)
            extra = [("Transport", "RTP/AVP/TCP;unicast;interleaved=\(channels.0)-\(channels.1)")]
        case .play:
            method = "PLAY"
            uri = aggregateURI
            extra = [("Range", "npt=0.000-")]
        case .keepalive(let way):
            method = way.rawValue
            uri = aggregateURI
            scheduleKeepalive(nowNs)
        }
        let request = self.request(method, uri: uri, extra)
        pending = Pending(step: step, request: request, cseq: cseq, sentNs: nowNs)
        return [.send(request.encoded)]
    }

    private mutating func encoded(_ method: String, uri: String) -> [UInt8] { request(method, uri: uri, []).encoded }

    private mutating func request(_ method: String, uri: String, _ extra: [(String, String)]) -> RTSPRequest {
        var request = RTSPRequest(method: method, uri: uri)
        request.headers.add("CSeq", "\(nextCSeq)")
        nextCSeq += 1
        if let user,
            let header = authenticator.header(method: method, uri: uri, user: user, clientNonce: clientNonce())
        {
            request.headers.add("Authorization", header)
        }
        if let session { request.headers.add("Session", session.text) }
        for (name, value) in extra { request.headers.add(name, value) }
        request.headers.add("User-Agent", "Sightglass")
        return request
    }

    private mutating func fail(_ failure: RTSPFailure, _ nowNs: Int64) -> [Action] {
        let goodbye = stop(nowNs: nowNs).filter { $0 != .close }
        return goodbye + [.failed(failure), .close]
    }
}

extension RTSPResponse {
    /// 2xx.
    var isSuccess: Bool { (200..<300).contains(status) }
}
