// RTSPConversation: what every session with a server has in common: one request at a time and the answer to it, who we say we
// are, the session's name, and keepalives. Pure. RTSPClientMachine and RTSPPublisherMachine say what is asked in which order.

/// One connection's requests and answers. `Step` is what the owner asks about.
struct RTSPConversation<Step: Sendable>: Sendable {
    /// A request, without the headers that each one has.
    struct Question: Sendable {
        var method: String
        var uri: String
        var headers: [(String, String)] = []
        var body: [UInt8] = []
    }

    /// What an answer, or the want of one, means for the owner.
    enum Outcome: Sendable {
        case nothing
        case send([UInt8])
        /// The server asks for a user: `answer(as:)`, or `goodbye` where there is none.
        case needsUser
        /// The server sends us elsewhere.
        case redirected(RTSPURL)
        case failed(RTSPFailure)
        case answered(Step, RTSPResponse)
    }

    private enum Purpose: Sendable {
        case step(Step)
        case keepalive(RTSPKeepalive)
    }

    private struct Pending: Sendable {
        let purpose: Purpose
        let question: Question
        let cseq: Int
        let sentNs: Int64
    }

    /// What keepalives and TEARDOWN are about.
    var aggregateURI: String
    private(set) var isOver = false
    private let url: RTSPURL
    private let peer: RTSPPeer
    private let answerNs: Int64
    private let clientNonce: @Sendable () -> String
    private var authenticator = RTSPAuthenticator()
    private var user: RTSPUser?
    private var pending: Pending?
    private var nextCSeq = 1
    private var session: RTSPSessionID?
    private var ways: [RTSPKeepalive] = []
    private var nextKeepaliveNs: Int64?

    /// - Parameters:
    ///   - answerNs: a server that takes longer to answer is not there any more.
    ///   - clientNonce: gives new random letters with each call.
    init(url: RTSPURL, peer: RTSPPeer, answerNs: Int64, clientNonce: @escaping @Sendable () -> String) {
        self.url = url
        self.peer = peer
        self.answerNs = answerNs
        self.clientNonce = clientNonce
        aggregateURI = url.text
    }

    // MARK: From the owner

    /// The bytes of a request; its answer comes out of `heard` with `step`.
    mutating func ask(_ step: Step, _ question: Question, nowNs: Int64) -> [UInt8] {
        send(question, .step(step), nowNs)
    }

    /// The user that `needsUser` asked for. Kept until the connection ends. Nil: nothing is to be asked again.
    mutating func answer(as user: RTSPUser, nowNs: Int64) -> [UInt8]? {
        self.user = user
        return again(nowNs)
    }

    /// What the server can be asked, as the answer to OPTIONS says.
    mutating func learn(_ options: RTSPResponse) { ways = RTSPKeepalive.ways(publicMethods: options.headers["Public"]) }

    /// From now on the server is told in time that we are still there.
    mutating func keepAlive(nowNs: Int64) {
        nextKeepaliveNs = nowNs + Int64(session?.timeoutS ?? 60) * 1_000_000_000 / 2
    }

    /// Ends the conversation; gives the TEARDOWN of a session that was begun.
    mutating func goodbye() -> [UInt8]? {
        guard !isOver else { return nil }
        isOver = true
        guard session != nil else { return nil }
        return request(Question(method: "TEARDOWN", uri: aggregateURI)).encoded
    }

    /// To be called several times a second.
    mutating func tick(nowNs: Int64) -> Outcome {
        guard !isOver else { return .nothing }
        if let pending, nowNs - pending.sentNs >= answerNs {
            // Some cameras never answer a keepalive; whether packets flow says more.
            guard case .keepalive = pending.purpose else {
                return .failed(RTSPFailure(.silent, "\(peer.words) does not answer \(pending.question.method)"))
            }
            self.pending = nil
        }
        guard let due = nextKeepaliveNs, nowNs >= due, pending == nil, let way = ways.first else { return .nothing }
        return .send(keepalive(way, nowNs))
    }

    // MARK: From the server

    /// A response came.
    mutating func heard(_ response: RTSPResponse, nowNs: Int64) -> Outcome {
        // One that answers something else is none of ours; one that does not say answers what is asked.
        guard !isOver, let pending, response.cseq == nil || response.cseq == pending.cseq, response.status >= 200 else {
            return .nothing
        }
        if let told = response.headers["Session"].flatMap({ RTSPSessionID($0, earlier: session) }) { session = told }
        if response.status == 401 { return challenged(pending, response, nowNs) }
        if case .step = pending.purpose, [301, 302, 303, 305].contains(response.status) { return redirected(response) }
        self.pending = nil
        authenticator.accepted()
        switch pending.purpose {
        case .step(let step): return .answered(step, response)
        case .keepalive(let way): return kept(way, response, nowNs)
        }
    }

    /// The answer to a request of the server.
    func answer(to request: RTSPRequest) -> [UInt8]? {
        guard !isOver else { return nil }
        var headers = RTSPHeaders()
        if let cseq = request.headers["CSeq"] { headers.add("CSeq", cseq) }
        let isKnown = ["OPTIONS", "GET_PARAMETER", "SET_PARAMETER"].contains(request.method)
        let answer = RTSPResponse(
            status: isKnown ? 200 : 501, reason: isKnown ? "OK" : "Not Implemented", headers: headers)
        return answer.encoded
    }

    private mutating func challenged(_ pending: Pending, _ response: RTSPResponse, _ nowNs: Int64) -> Outcome {
        switch authenticator.challenged(response.headers) {
        case .refused: return .failed(.refused(pending.question.method, response, by: peer))
        case .notUnderstood(let words):
            let reason = "\(peer.words) asks for an authentication that is not spoken here: \(words)"
            return .failed(RTSPFailure(.unauthorized, reason))
        case .answer:
            guard user != nil else { return .needsUser }
            return again(nowNs).map { .send($0) } ?? .nothing
        }
    }

    private func redirected(_ response: RTSPResponse) -> Outcome {
        guard let target = response.headers["Location"].flatMap(url.redirected) else {
            return .failed(
                RTSPFailure(
                    .protocolError, "\(peer.words) redirects to where it may not be followed (\(response.status))"))
        }
        return .redirected(target)
    }

    private mutating func kept(_ way: RTSPKeepalive, _ response: RTSPResponse, _ nowNs: Int64) -> Outcome {
        if response.status == 454 { return .failed(.refused(way.rawValue, response, by: peer)) }
        // Refused: the next way, at once. With none left the packets themselves have to do.
        if !response.isSuccess {
            ways.removeAll { $0 == way }
            if let next = ways.first { return .send(keepalive(next, nowNs)) }
        }
        return .nothing
    }

    // MARK: Requests

    private mutating func keepalive(_ way: RTSPKeepalive, _ nowNs: Int64) -> [UInt8] {
        keepAlive(nowNs: nowNs)
        return send(Question(method: way.rawValue, uri: aggregateURI), .keepalive(way), nowNs)
    }

    /// The request that is under way, once more.
    private mutating func again(_ nowNs: Int64) -> [UInt8]? {
        guard !isOver, let pending else { return nil }
        return send(pending.question, pending.purpose, nowNs)
    }

    private mutating func send(_ question: Question, _ purpose: Purpose, _ nowNs: Int64) -> [UInt8] {
        pending = Pending(purpose: purpose, question: question, cseq: nextCSeq, sentNs: nowNs)
        return request(question).encoded
    }

    private mutating func request(_ question: Question) -> RTSPRequest {
        var request = RTSPRequest(method: question.method, uri: question.uri, body: question.body)
        request.headers.add("CSeq", "\(nextCSeq)")
        nextCSeq += 1
        if let user,
            let header = authenticator.header(
                method: question.method, uri: question.uri, user: user, clientNonce: clientNonce())
        {
            request.headers.add("Authorization", header)
        }
        if let session { request.headers.add("Session", session.text) }
        for (name, value) in question.headers { request.headers.add(name, value) }
        request.headers.add("User-Agent", "Sightglass")
        return request
    }
}

extension RTSPResponse {
    /// 2xx.
    var isSuccess: Bool { (200..<300).contains(status) }

    /// The whole session is refused, not one stream of it: the user, the room, or the session's name.
    var refusesSession: Bool { [401, 403, 453, 454, 503].contains(status) }
}
